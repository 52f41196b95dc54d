"""Members of a group that note what they are given and what is taken, and a loop that polls several at once.

Everything runs in the calling thread: members are polled in turn, so that a case sees each change in order.
"""

import time

from confluent_kafka import KafkaError, KafkaException

from cases import WAIT_S, consumer, raise_on


class Member:
    """A consumer that subscribes with callbacks; commits what it read whenever partitions are taken from it."""

    def __init__(self, address, group, topics, cooperative=False, **settings):
        strategy = "cooperative-sticky" if cooperative else "range"
        settings = {"partition_assignment_strategy": strategy, "session_timeout_ms": 10000, **settings}
        self.cooperative, self.read, self.given, self.taken = cooperative, [], [], []
        self.owned, self.error = set(), None
        self.consumer = consumer(address, group, **settings)
        self.consumer.subscribe(topics, on_assign=self.on_assign, on_revoke=self.on_revoke, on_lost=self.on_lost)

    def on_assign(self, reader, partitions):
        self.given.append({p.partition for p in partitions})
        self.owned |= self.given[-1]

    def on_revoke(self, reader, partitions):
        self.taken.append({p.partition for p in partitions})
        self.commit()
        self.owned -= self.taken[-1]

    def on_lost(self, reader, partitions):
        self.owned -= {p.partition for p in partitions}

    def commit(self):
        """Commits what was read, so that the next owner goes on from there."""
        try:
            self.consumer.commit(asynchronous=False)
        except KafkaException as exception:
            if exception.args[0].code() != KafkaError._NO_OFFSET:
                raise

    def poll(self):
        message = self.consumer.poll(0.02)
        if message is None:
            return
        if message.error():
            self.error = message.error()
            if self.error.code() != KafkaError._FATAL:
                raise_on(self.error)
        else:
            self.read.append(message.value())

    def rebalances(self):
        return len(self.given) + len(self.taken)

    def close(self):
        self.consumer.close()


def poll_until(what, members, check, seconds=WAIT_S):
    """Polls all members in turn until `check` is true."""
    deadline = time.monotonic() + seconds
    while not check():
        for member in members:
            member.poll()
        state = [(sorted(m.owned), len(m.read)) for m in members]
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}; owned and read: {state}"


def shared_by(members, partitions):
    """Whether the members own all the partitions, each exactly one owner, in equal parts (to within one)."""
    sizes = [len(m.owned) for m in members]
    everything = set().union(*(m.owned for m in members))
    return sum(sizes) == len(everything) == partitions and max(sizes) - min(sizes) <= 1
