"""kafka-python 3 against a broker: see matrix.py for what it is given."""

import threading

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.structs import OffsetAndMetadata

from matrix import BOOTSTRAP, CA, CODECS, PARTITIONS, PASSWORD, SASL_BOOTSTRAP, USER, check, name, run, wait

PLAIN = {"bootstrap_servers": BOOTSTRAP}


def secured(mechanism):
    return {"bootstrap_servers": SASL_BOOTSTRAP, "security_protocol": "SASL_SSL", "ssl_cafile": CA,
            "sasl_mechanism": mechanism, "sasl_plain_username": USER, "sasl_plain_password": PASSWORD}


def round_trip(connection, topic, count=100, **settings):
    producer = KafkaProducer(**connection, **settings)
    sent = [producer.send(topic, str(number).encode(), key=b"k", partition=0) for number in range(count)]
    offsets = [future.get(timeout=30).offset for future in sent]
    producer.close()
    reader = KafkaConsumer(**connection, auto_offset_reset="earliest", group_id=None)
    reader.assign([TopicPartition(topic, 0)])
    reader.seek(TopicPartition(topic, 0), offsets[0])
    seen = []

    def read():
        for records in reader.poll(200).values():
            seen.extend(int(record.value) for record in records)
        return len(seen) >= count

    wait("the records come back", read)
    reader.close()
    check("records", seen, list(range(count)))


def records():
    round_trip(PLAIN, name("records"))


def codecs():
    for codec in CODECS:
        round_trip(PLAIN, name(codec), compression_type=codec)


def member(topic, group):
    return KafkaConsumer(topic, **PLAIN, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False)


def groups():
    topic, group = name("groups"), name("group")
    admin = KafkaAdminClient(**PLAIN)
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    producer = KafkaProducer(**PLAIN)
    for number in range(90):
        producer.send(topic, str(number).encode(), partition=number % PARTITIONS)
    producer.close()
    first, seen = member(topic, group), set()

    def read():
        for polled in first.poll(200).values():
            seen.update(int(record.value) for record in polled)
        return len(seen) == 90

    wait("all records are read", read)
    place = TopicPartition(topic, 0)
    first.commit({place: OffsetAndMetadata(30, "note", -1)})
    committed = first.committed(place, metadata=True)
    check("committed", (committed.offset, committed.metadata), (30, "note"))
    second, stop = member(topic, group), threading.Event()

    def poll(consumer):
        while not stop.is_set():
            consumer.poll(100)

    threads = [threading.Thread(target=poll, args=(consumer,)) for consumer in (first, second)]
    for thread in threads:
        thread.start()
    try:
        def shared():
            shares = [len(first.assignment()), len(second.assignment())]
            return sum(shares) == PARTITIONS and max(shares) < PARTITIONS

        wait("two members share the partitions", shared)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    first.close()
    second.close()


def transactions():
    topic, output, group = name("txn-in"), name("txn-out"), name("txn")
    KafkaAdminClient(**PLAIN).create_topics([NewTopic(topic, 1, 1), NewTopic(output, 1, 1)])
    producer = KafkaProducer(**PLAIN, transactional_id=group, transaction_timeout_ms=10000)
    producer.init_transactions()
    place = TopicPartition(topic, 0)
    for first, commits in ((0, True), (100, False), (200, True)):
        producer.begin_transaction()
        for number in range(9):
            producer.send(output, str(first + number).encode(), partition=0)
        producer.flush()
        producer.send_offsets_to_transaction({place: OffsetAndMetadata(first, "", -1)}, group)
        if commits:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    producer.close()
    for isolation, expected in (("read_committed", 18), ("read_uncommitted", 27)):
        reader = KafkaConsumer(**PLAIN, isolation_level=isolation, auto_offset_reset="earliest", group_id=None,
                               consumer_timeout_ms=2000)
        reader.assign([TopicPartition(output, 0)])
        check(isolation, len(list(reader)), expected)
        reader.close()
    reader = KafkaConsumer(**PLAIN, group_id=group)
    check("offset of the last committed transaction", reader.committed(place), 200)
    reader.close()


def admin():
    admin, topic = KafkaAdminClient(**PLAIN), name("admin")
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    check("created", topic in admin.list_topics(), True)
    check("partitions", len(admin.describe_topics([topic])[0]["partitions"]), PARTITIONS)
    admin.delete_topics([topic])
    wait("deleted", lambda: topic not in admin.list_topics())
    admin.close()


def sasl_ssl():
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        round_trip(secured(mechanism), name(mechanism.lower()), count=10)


run({"records": records, "codecs": codecs, "groups": groups, "transactions": transactions, "admin": admin,
     "sasl_ssl": sasl_ssl})
