"""A live producer and a live group, over whatever happens to the volume below them, and what must be true of both then."""

import threading
import time

from confluent_kafka import KafkaException, TopicPartition

from cases import WAIT_S, consume, consumer, producer, wait_until, watermarks

PARTITIONS = 3
# How many records a partition gets between two events, and how many are under way at the most.
STRETCH, UNDER_WAY = 40, 60


class Live:
    """One idempotent producer that writes a counter into every partition, and one member of a group that reads them."""

    def __init__(self, address, topic):
        self.address, self.topic, self.stopped, self.trouble = address, topic, False, None
        self.counter, self.acked, self.read = [0] * PARTITIONS, [0] * PARTITIONS, [[] for _ in range(PARTITIONS)]
        # Held for a round of records; settle() holds it for longer.
        self.turn = threading.Lock()
        small = {"linger_ms": 0, "batch_num_messages": 5, "reconnect_backoff_max_ms": 200}
        self.producer = producer(address, **small, enable_idempotence=True)
        self.member = consumer(address, "readers", heartbeat_interval_ms=300, reconnect_backoff_max_ms=200)
        self.member.subscribe([topic])
        self.threads = [threading.Thread(target=self.guarded, args=[step]) for step in (self.write, self.follow)]
        for thread in self.threads:
            thread.start()

    def guarded(self, step):
        try:
            while not self.stopped:
                step()
        except Exception as error:  # noqa: BLE001  (the case's own thread raises it)
            self.trouble = self.trouble or error

    def write(self):
        with self.turn:
            for partition in range(PARTITIONS):
                value = str(self.counter[partition])
                self.counter[partition] += 1
                self.producer.produce(self.topic, value, partition=partition, on_delivery=self.delivered)
        self.producer.poll(0.003)
        while len(self.producer) > UNDER_WAY and not self.stopped:
            self.producer.poll(0.01)

    def delivered(self, error, message):
        if error and not self.stopped:
            self.trouble = self.trouble or KafkaException(error)
        self.acked[message.partition()] += 1

    def follow(self):
        """Reads and commits. Errors are not the member's end, unless they are fatal: librdkafka goes on by itself."""
        message = self.member.poll(0.1)
        if message is None:
            return
        if message.error():
            assert not message.error().fatal(), message.error()
            return
        self.read[message.partition()].append((message.offset(), message.value().decode()))
        self.member.commit(message, asynchronous=True)

    def check(self):
        if self.trouble:
            raise self.trouble

    def mark(self):
        """How much the group has read until now."""
        return [len(entries) for entries in self.read]

    def advance(self):
        """Waits until a stretch more was acknowledged in every partition, and the group has read something, too."""
        acked, read = list(self.acked), self.mark()

        def advanced():
            self.check()
            written = all(now >= before + STRETCH for now, before in zip(self.acked, acked))
            return written and all(now > before for now, before in zip(self.mark(), read))

        wait_until("records are acknowledged and read in every partition", advanced)

    def settle(self, mark):
        """Holds the producer for a moment, reads the log anew, and checks it and what the group read since the mark."""
        with self.turn:
            wait_until("all is acknowledged", lambda: self.producer.flush(0.1) == 0)
            self.check()
            logs = self.logs()

            def at_end():
                self.check()
                return all(len(r) > m and r[-1] == log[-1] for r, m, log in zip(self.read, mark, logs))

            wait_until("the group has read to the end", at_end)
            for partition, log in enumerate(logs):
                branch = check_log(log, self.counter[partition] - 1)
                check_read(log, branch, self.read[partition][mark[partition] :])

    def logs(self):
        """All partitions from their beginning, read with a new client."""
        ends = [watermarks(self.address, self.topic, partition)[1] for partition in range(PARTITIONS)]
        reader, logs = consumer(self.address), [[] for _ in ends]
        try:
            reader.assign([TopicPartition(self.topic, partition, 0) for partition in range(PARTITIONS)])
            for message in consume(reader, sum(ends)):
                logs[message.partition()].append((message.offset(), message.value().decode()))
        finally:
            reader.close()
        return logs

    def close(self):
        self.stopped = True
        for thread in self.threads:
            thread.join(WAIT_S)
        self.member.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def check_log(log, last_counter):
    """One history, then, at the offset that is returned, the other one, without a gap or a duplicate within either."""
    assert [offset for offset, _ in log] == list(range(len(log)))
    counters = [int(value) for _, value in log]
    steps = [now - before for before, now in zip([-1, *counters], counters)]
    assert min(steps) >= 1, f"a duplicate, or out of order: {counters}"
    branches = [offset for offset, step in enumerate(steps) if step > 1]
    assert len(branches) == 1, f"places where histories meet: {branches}"
    assert counters[-1] == last_counter
    return branches[0]


def check_read(log, branch, read):
    """From the first record of the new history on, the group sees that history only, and all of it."""
    switched = False
    for entry in read:
        offset = entry[0]
        has_it = offset < len(log) and log[offset] == entry
        switched = switched or (has_it and offset >= branch)
        assert has_it or not switched, f"{entry} was read behind records of the history that has it not"
    missed = set(log[branch:]) - set(read)
    assert not missed, f"never read: {sorted(missed)}"
