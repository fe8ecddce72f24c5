#!/usr/bin/env python3
"""How much a broker takes from a client that costs next to nothing: one batch, made once, sent over and over.

  produce_load.py BOOTSTRAP [--record-bytes 1024] [--batch-bytes 100000] [--connections 2] [--seconds 5] [--acks -1]
                  [--partitions 4] [--pid BROKER_PID]

Each connection has five requests in flight, as Apache Kafka's producer does, each with one batch of one partition.
Prints one JSON line: MB/s and records/s that were acknowledged; with --pid, also the broker's CPU seconds per GB."""
import argparse, json, os, socket, struct, threading, time

IN_FLIGHT = 5


def crc32c(data):
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ 0x82F63B78 if n & 1 else n >> 1
        table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def batch(record_bytes, batch_bytes):
    """A record batch of format 2, and how many records it has."""
    count = max(1, batch_bytes // record_bytes)
    value, records, now = os.urandom(record_bytes), bytearray(), int(time.time() * 1000)
    for offset in range(count):
        body = b"\0" + varint(0) + varint(offset) + varint(-1) + varint(record_bytes) + value + varint(0)
        records += varint(len(body)) + body
    tail = struct.pack(">hiqqqhii", 0, count - 1, now, now, -1, -1, -1, count) + records
    head = struct.pack(">qiibI", 0, len(tail) + 9, -1, 2, crc32c(tail))
    return head + tail, count


def text(name):
    return struct.pack(">h", len(name)) + name.encode()


def frame(key, version, body):
    request = struct.pack(">hhi", key, version, 1) + text("load") + body
    return struct.pack(">i", len(request)) + request


def answer(stream):
    (length,) = struct.unpack(">i", stream.read(4))
    return stream.read(length)[4:]


def connect(bootstrap):
    host, port = bootstrap.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection, connection.makefile("rb")


def create(bootstrap, topic, partitions):
    connection, stream = connect(bootstrap)
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">ihii", partitions, 1, 0, 0) + struct.pack(">ib", 30_000, 0)
    connection.sendall(frame(19, 2, body))
    out = answer(stream)
    (code,) = struct.unpack(">h", out[10 + len(topic):12 + len(topic)])
    assert code == 0, f"topic {topic} cannot be created: error {code}"


def produce(arguments, topic, records, number, until, acknowledged):
    connection, stream = connect(arguments.bootstrap)
    frames = []
    for partition in range(arguments.partitions):
        body = struct.pack(">hhi", -1, arguments.acks, 30_000) + struct.pack(">i", 1) + text(topic)
        body += struct.pack(">iii", 1, partition, len(records)) + records
        frames.append(frame(0, 7, body))
    sent = answered = 0
    while True:
        while sent - answered < IN_FLIGHT and time.time() < until:
            connection.sendall(frames[(number + sent) % len(frames)])
            sent += 1
        if answered == sent:
            break
        out = answer(stream)
        (code,) = struct.unpack(">h", out[14 + len(topic):16 + len(topic)])
        assert code == 0, f"error {code}"
        answered += 1
    acknowledged[number] = answered


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("bootstrap")
    for name, default in [("record-bytes", 1024), ("batch-bytes", 100_000), ("connections", 2), ("seconds", 5),
                          ("acks", -1), ("partitions", 4), ("pid", 0)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    topic = f"load-{time.time_ns()}"
    create(arguments.bootstrap, topic, arguments.partitions)
    time.sleep(0.5)
    records, count = batch(arguments.record_bytes, arguments.batch_bytes)
    acknowledged = [0] * arguments.connections
    cpu, began = cpu_seconds(arguments.pid) if arguments.pid else 0, time.time()
    threads = [threading.Thread(target=produce, args=(arguments, topic, records, number, began + arguments.seconds, acknowledged))
               for number in range(arguments.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, batches = time.time() - began, sum(acknowledged)
    megabytes = batches * count * arguments.record_bytes / 1e6
    row = {"record_bytes": arguments.record_bytes, "batch_bytes": arguments.batch_bytes, "mb_per_s": round(megabytes / seconds, 1),
           "records_per_s": round(batches * count / seconds), "requests_per_s": round(batches / seconds)}
    if arguments.pid:
        row["broker_cpu_s_per_gb"] = round((cpu_seconds(arguments.pid) - cpu) / megabytes * 1e3, 3)
    print(json.dumps(row))


if __name__ == "__main__":
    main()
