"""aiokafka against a broker: see matrix.py for what it is given."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.helpers import create_ssl_context
from aiokafka.structs import OffsetAndMetadata

from matrix import BOOTSTRAP, CA, CODECS, LIMIT_S, PARTITIONS, PASSWORD, SASL_BOOTSTRAP, USER, check, name, run

PLAIN = {"bootstrap_servers": BOOTSTRAP}


def secured(mechanism):
    return {"bootstrap_servers": SASL_BOOTSTRAP, "security_protocol": "SASL_SSL",
            "ssl_context": create_ssl_context(cafile=CA), "sasl_mechanism": mechanism,
            "sasl_plain_username": USER, "sasl_plain_password": PASSWORD}


async def create(*topics, partitions=PARTITIONS):
    admin = AIOKafkaAdminClient(**PLAIN)
    await admin.start()
    await admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics])
    await admin.close()


async def read(connection, topic, count, **settings):
    consumer = AIOKafkaConsumer(**connection, auto_offset_reset="earliest", **settings)
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])
    seen = []
    try:
        async with asyncio.timeout(LIMIT_S):
            while len(seen) < count:
                seen.append(int((await consumer.getone()).value))
    finally:
        await consumer.stop()
    return seen


async def round_trip(connection, topic, count=100, **settings):
    await create(topic)
    producer = AIOKafkaProducer(**connection, **settings)
    await producer.start()
    for number in range(count):
        await producer.send(topic, str(number).encode(), partition=0)
    await producer.stop()
    check("records", await read(connection, topic, count), list(range(count)))


async def records():
    await round_trip(PLAIN, name("records"))


async def codecs():
    for codec in CODECS:
        await round_trip(PLAIN, name(codec), compression_type=codec)


async def groups():
    topic, group = name("groups"), name("group")
    await create(topic)
    producer = AIOKafkaProducer(**PLAIN)
    await producer.start()
    for number in range(90):
        await producer.send_and_wait(topic, str(number).encode(), partition=number % PARTITIONS)
    await producer.stop()
    settings = {"group_id": group, "auto_offset_reset": "earliest", "enable_auto_commit": False}
    members = [AIOKafkaConsumer(topic, **PLAIN, **settings) for _ in range(2)]
    await members[0].start()
    seen = set()
    async with asyncio.timeout(LIMIT_S):
        while len(seen) < 90:
            seen.add(int((await members[0].getone()).value))
    place = next(place for place in members[0].assignment() if place.partition == 0)
    await members[0].commit({place: OffsetAndMetadata(30, "note")})
    check("committed", await members[0].committed(place), 30)
    await members[1].start()
    async with asyncio.timeout(LIMIT_S):
        while sorted(len(member.assignment()) for member in members) not in ([1, 2],):
            await asyncio.gather(*(member.getmany(timeout_ms=100) for member in members))
    for member in members:
        await member.stop()


async def transactions():
    topic, output, group = name("txn-in"), name("txn-out"), name("txn")
    await create(topic, output, partitions=1)
    producer = AIOKafkaProducer(**PLAIN, transactional_id=group)
    await producer.start()
    place = TopicPartition(topic, 0)
    for first, commits in ((0, True), (100, False), (200, True)):
        await producer.begin_transaction()
        for number in range(9):
            await producer.send_and_wait(output, str(first + number).encode(), partition=0)
        await producer.send_offsets_to_transaction({place: first}, group)
        await (producer.commit_transaction() if commits else producer.abort_transaction())
    await producer.stop()
    committed = await read(PLAIN, output, 18, isolation_level="read_committed")
    check("committed", committed, list(range(9)) + list(range(200, 209)))
    check("all", len(await read(PLAIN, output, 27)), 27)


async def admin():
    admin, topic = AIOKafkaAdminClient(**PLAIN), name("admin")
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    described = await admin.describe_topics([topic])
    check("partitions", len(described[0]["partitions"]), PARTITIONS)
    await admin.delete_topics([topic])
    check("deleted", topic in await admin.list_topics(), False)
    await admin.close()


async def sasl_ssl():
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        await round_trip(secured(mechanism), name(mechanism.lower()), count=10)


tests = {"records": records, "codecs": codecs, "groups": groups, "transactions": transactions, "admin": admin,
         "sasl_ssl": sasl_ssl}
run({feature: lambda test=test: asyncio.run(test()) for feature, test in tests.items()})
