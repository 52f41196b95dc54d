"""What every case of this suite is made of: the registry, fresh names, bounded waits, short ways to produce and consume.

A case is a function with `@case`. It takes one argument, the bootstrap address, makes its own topics and groups with
random names and may run beside any other case. It waits only for things that happen, each wait with a limit.
"""

import threading
import time
import uuid

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

CASES = []
WAIT_S = 45


def case(function):
    """Adds a function to the suite."""
    CASES.append(function)
    return function


def fresh(kind):
    """A name that no other case and no other run uses."""
    return f"py-{kind}-{uuid.uuid4().hex[:12]}"


ADMINS, ADMINS_LOCK = {}, threading.Lock()


def admin(address):
    """One for all cases: calls are independent, and a client that is dropped takes its open calls with it."""
    with ADMINS_LOCK:
        if address not in ADMINS:
            ADMINS[address] = new_admin(address)
        return ADMINS[address]


def new_admin(address):
    return AdminClient({"bootstrap.servers": address})


def producer(address, **settings):
    """A producer; settings use underscores for dots."""
    return Producer({"bootstrap.servers": address, "linger.ms": 2, **dotted(settings)})


def consumer(address, group=None, **settings):
    """A consumer that reads from the beginning and commits only when told to."""
    base = {
        "bootstrap.servers": address,
        "group.id": group or fresh("group"),
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "fetch.wait.max.ms": 100,
        "topic.metadata.refresh.interval.ms": 1000,
    }
    return Consumer({**base, **dotted(settings)})


def dotted(settings):
    return {key.replace("_", "."): value for key, value in settings.items()}


def make_topic(address, partitions=1, config=None, name=None):
    """Creates a topic, waits for the broker's word, and gives its name."""
    name = name or fresh("topic")
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config or {})
    result(admin(address).create_topics([topic]))
    return name


def result(futures, seconds=WAIT_S):
    """The values of an admin call's futures by key; raises the first error."""
    return {key: future.result(seconds) for key, future in futures.items()}


def only(futures, seconds=WAIT_S):
    """The value of an admin call about one thing."""
    (value,) = result(futures, seconds).values()
    return value


def produce(address, topic, records, **settings):
    """Sends records (dicts of `Producer.produce` arguments) in order; gives the delivered messages; raises on an error."""
    sender = producer(address, **settings)
    delivered, errors = [], []

    def on_delivery(error, message):
        errors.append(error) if error else delivered.append(message)

    for record in records:
        sender.produce(topic, on_delivery=on_delivery, **record)
        sender.poll(0)
    left = sender.flush(WAIT_S)
    if errors:
        raise KafkaException(errors[0])
    assert left == 0, f"{left} records without an answer"
    return delivered


def values(count, prefix="v"):
    """Records `prefix-0` to `prefix-(count-1)`, all to partition 0."""
    return [{"value": f"{prefix}-{i}".encode(), "partition": 0} for i in range(count)]


def consume(reader, count, seconds=WAIT_S):
    """Exactly `count` messages of a consumer that is assigned or subscribed."""
    messages, deadline = [], time.monotonic() + seconds
    while len(messages) < count:
        message = reader.poll(0.2)
        if message is not None:
            raise_on(message.error())
            messages.append(message)
        assert time.monotonic() < deadline, f"{len(messages)} of {count} messages in {seconds} s"
    return messages


def read_partition(address, topic, count, partition=0, offset=OFFSET_BEGINNING, **settings):
    """`count` messages of one partition from `offset`, read without a group."""
    reader = consumer(address, **settings)
    try:
        reader.assign([TopicPartition(topic, partition, offset)])
        return consume(reader, count)
    finally:
        reader.close()


def wait_until(what, check, seconds=WAIT_S):
    """Asks `check` until it gives something true, which is returned."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def raise_on(error):
    if error is not None:
        raise KafkaException(error)


def fails_with(code, call):
    """Runs `call`, which must raise a KafkaException of this code; gives the error."""
    try:
        got = call()
    except KafkaException as exception:
        error = exception.args[0]
        assert error.code() == code, f"expected {KafkaError(code).name()}, got {error.name()}: {error.str()}"
        return error
    raise AssertionError(f"expected {KafkaError(code).name()}, got success: {got!r}")


def watermarks(address, topic, partition=0):
    """(log start, log end) as the broker says now."""
    reader = consumer(address)
    try:
        return reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=WAIT_S)
    finally:
        reader.close()
