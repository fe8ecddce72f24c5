"""confluent-kafka (librdkafka) against a broker: see matrix.py for what it is given."""

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, ConfigResource, NewPartitions, NewTopic,
    ResourcePatternType, ResourceType, ScramCredentialInfo, ScramMechanism, UserScramCredentialDeletion,
    UserScramCredentialUpsertion)

from matrix import BOOTSTRAP, CA, CODECS, PARTITIONS, PASSWORD, SASL_BOOTSTRAP, USER, check, name, run, wait

PLAIN = {"bootstrap.servers": BOOTSTRAP}


def secured(mechanism, user=USER, password=PASSWORD):
    return {"bootstrap.servers": SASL_BOOTSTRAP, "security.protocol": "SASL_SSL", "ssl.ca.location": CA,
            "sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password}


# Outlives the futures that it gives out.
ADMIN = AdminClient(PLAIN)


def done(futures):
    return {key: future.result(timeout=30) for key, future in futures.items()}


def create(*topics, partitions=PARTITIONS):
    done(ADMIN.create_topics([NewTopic(topic, partitions, 1) for topic in topics]))


def read(connection, topic, count, **settings):
    config = {**connection, "group.id": name("reader"), "auto.offset.reset": "earliest", **settings}
    consumer, seen = Consumer(config), []
    consumer.assign([TopicPartition(topic, 0, 0)])

    def poll():
        for message in consumer.consume(1000, timeout=0.2):
            if message.error():
                raise AssertionError(message.error())
            seen.append(int(message.value()))
        return len(seen) >= count

    wait("the records come back", poll)
    consumer.close()
    return seen


def round_trip(connection, topic, count=100, **settings):
    create(topic)
    failures = []
    producer = Producer({**connection, **settings})
    for number in range(count):
        producer.produce(topic, str(number), partition=0, on_delivery=lambda error, _: error and failures.append(error))
    check("not flushed", producer.flush(30), 0)
    check("failures", failures, [])
    check("records", read(connection, topic, count), list(range(count)))


def records():
    round_trip(PLAIN, name("records"))


def codecs():
    for codec in CODECS:
        round_trip(PLAIN, name(codec), **{"compression.type": codec})


def groups():
    for strategy in ("range", "cooperative-sticky"):
        topic, group = name(f"groups-{strategy}"), name(f"group-{strategy}")
        create(topic)
        config = {**PLAIN, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                  "partition.assignment.strategy": strategy, "session.timeout.ms": 6000}
        members = [Consumer(config) for _ in range(2)]

        def shares():
            for member in members:
                member.poll(0.05)
            return sorted(len(member.assignment()) for member in members)

        members[0].subscribe([topic])
        wait("one member has all partitions", lambda: shares() == [0, PARTITIONS])
        members[1].subscribe([topic])
        wait("two members share the partitions", lambda: shares() == [1, 2])
        place = TopicPartition(topic, members[0].assignment()[0].partition, 0, "note")
        members[0].commit(offsets=[place], asynchronous=False)
        check("committed", members[0].committed([place], timeout=10)[0].metadata, "note")
        for member in members:
            member.close()


def transactions():
    topic, output, group = name("txn-in"), name("txn-out"), name("txn")
    create(topic, output, partitions=1)
    producer = Producer({**PLAIN, "transactional.id": group})
    consumer = Consumer({**PLAIN, "group.id": group})
    producer.init_transactions(30)
    for first, commits in ((0, True), (100, False), (200, True)):
        producer.begin_transaction()
        for number in range(9):
            producer.produce(output, str(first + number), partition=0)
        producer.flush(30)  # an abort throws away what has not been sent
        offsets = [TopicPartition(topic, 0, first)]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 30)
        if commits:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
    committed = read(PLAIN, output, 18, **{"isolation.level": "read_committed"})
    check("committed", committed, list(range(9)) + list(range(200, 209)))
    check("all", len(read(PLAIN, output, 27, **{"isolation.level": "read_uncommitted"})), 27)
    check("offset", consumer.committed([TopicPartition(topic, 0)], timeout=10)[0].offset, 200)
    consumer.close()


def admin():
    admin, topic = ADMIN, name("admin")
    create(topic)
    done(admin.create_partitions([NewPartitions(topic, PARTITIONS + 1)]))
    check("partitions", len(admin.list_topics(topic, timeout=10).topics[topic].partitions), PARTITIONS + 1)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    check("config", list(done(admin.describe_configs([resource])).values())[0]["cleanup.policy"].value, "delete")
    acl = AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:bob", "*", AclOperation.READ,
                     AclPermissionType.DENY)
    done(admin.create_acls([acl]))
    wanted = AclBindingFilter(ResourceType.TOPIC, topic, ResourcePatternType.ANY, None, None, AclOperation.ANY,
                              AclPermissionType.ANY)
    check("ACLs", len(admin.describe_acls(wanted).result(30)), 1)
    check("deleted ACLs", len(list(done(admin.delete_acls([wanted])).values())[0]), 1)
    user = name("user")
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    done(admin.alter_user_scram_credentials([UserScramCredentialUpsertion(user, info, b"secret")]))
    round_trip(secured("SCRAM-SHA-512", user, "secret"), name("as-user"), count=10)
    done(admin.alter_user_scram_credentials([UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512)]))
    done(admin.delete_topics([topic]))


def sasl_ssl():
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        round_trip(secured(mechanism), name(mechanism.lower()), count=10)


run({"records": records, "codecs": codecs, "groups": groups, "transactions": transactions, "admin": admin,
     "sasl_ssl": sasl_ssl})
