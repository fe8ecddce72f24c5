"""kafka-python against a broker: a group with a rebalance, commits with metadata, transactions.

Usage: python kafka_python.py BOOTSTRAP; prints what it saw and ends with 0 if all of it was right.
"""

import sys
import threading
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

BOOTSTRAP = sys.argv[1]
LIMIT_S = 30
RUN = str(time.time_ns())
TOPIC, OUTPUT, GROUP = f"python-{RUN}", f"python-out-{RUN}", f"python-{RUN}"


def check(what, actual, expected):
    print(f"{what}: {actual}")
    if actual != expected:
        sys.exit(f"{what}: expected {expected}")


def wait(what, condition):
    began = time.time()
    while not condition():
        if time.time() - began > LIMIT_S:
            sys.exit(f"{what}: not within {LIMIT_S} s")
        time.sleep(0.05)


def member():
    return KafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, group_id=GROUP, auto_offset_reset="earliest",
                         enable_auto_commit=False)


def group():
    # Metadata asked for with auto-creation makes topics of the server's default; write to what there is.
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    partitions = sorted(producer.partitions_for(TOPIC))
    for number in range(90):
        producer.send(TOPIC, str(number).encode(), partition=partitions[number % len(partitions)])
    producer.close()
    first, seen = member(), set()

    def read():
        for records in first.poll(200).values():
            seen.update(int(record.value) for record in records)
        return len(seen) == 90

    wait("all records are read", read)
    place = TopicPartition(TOPIC, 0)
    first.commit({place: OffsetAndMetadata(30, "note", -1)})
    committed = first.committed(place, metadata=True)
    check("committed", (committed.offset, committed.metadata), (30, "note"))
    second, stop = member(), threading.Event()

    def poll(consumer):
        while not stop.is_set():
            consumer.poll(100)

    threads = [threading.Thread(target=poll, args=(consumer,)) for consumer in (first, second)]
    for thread in threads:
        thread.start()

    def shared():
        shares = [len(first.assignment()), len(second.assignment())]
        return sum(shares) == len(partitions) and max(shares) < max(len(partitions), 2)

    wait("two members share the partitions", shared)
    stop.set()
    for thread in threads:
        thread.join()
    first.close()
    second.close()


def transactions():
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=GROUP, transaction_timeout_ms=10000)
    producer.init_transactions()
    place = TopicPartition(TOPIC, 0)
    for first, commits in ((0, True), (100, False), (200, True)):
        producer.begin_transaction()
        for number in range(9):
            producer.send(OUTPUT, str(first + number).encode(), partition=0)
        producer.flush()
        producer.send_offsets_to_transaction({place: OffsetAndMetadata(first, "", -1)}, GROUP)
        if commits:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    producer.close()
    for isolation, expected in (("read_committed", 18), ("read_uncommitted", 27)):
        reader = KafkaConsumer(bootstrap_servers=BOOTSTRAP, isolation_level=isolation, auto_offset_reset="earliest",
                               group_id=None, consumer_timeout_ms=2000)
        reader.assign([TopicPartition(OUTPUT, 0)])
        check(isolation, len(list(reader)), expected)
        reader.close()
    reader = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=GROUP)
    check("offset of the last committed transaction", reader.committed(place), 200)
    reader.close()


group()
transactions()
