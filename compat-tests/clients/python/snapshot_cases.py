"""Snapshots, read by groups under every name: all as it was, nothing written, positions of their own; and listings."""

from confluent_kafka import KafkaError, TopicPartition

from cases import WAIT_S, admin, consume, consumer, fails_with, make_topic, produce, values, wait_until, watermarks
from millpond import volume_case
from name_cases import DOTTED, PATH, SHORT, group

ALIAS, SNAPSHOT_PATH = "trading.-close.taq.trades", "/trading/.snapshot/close/taq:trades"


@volume_case
def a_snapshot_is_read_by_a_group_under_every_name(millpond):
    millpond.volume("trading", 1)
    records = [
        {"key": b"k%d" % i, "value": b"v%d" % i, "timestamp": 1_000_000 + i, "headers": [("h", b"%d" % i), ("h", None)], "partition": 0}
        for i in range(20)
    ]
    produce(millpond.kafka, DOTTED, records)
    millpond.snapshot("trading", "close")
    produce(millpond.kafka, DOTTED, values(20, "later"))
    listener = millpond.listen("trading@close")
    places = [(millpond.kafka, ALIAS), (millpond.kafka, SNAPSHOT_PATH), (listener, SHORT), (listener, PATH), (listener, ALIAS)]
    for number, (address, name) in enumerate(places):
        messages = group(address, f"readers{number}", name, 20)
        assert [facts(message) for message in messages] == [(i, *record.values()) for i, record in enumerate(records)]
        assert watermarks(address, name) == (0, 20)


def facts(message):
    return message.offset(), message.key(), message.value(), message.timestamp()[1], message.headers(), message.partition()


@volume_case
def a_write_to_a_snapshot_is_refused_and_the_producer_goes_on(millpond):
    millpond.volume("trading", 1)
    millpond.snapshot("trading", "close")
    for name in (ALIAS, SNAPSHOT_PATH):
        error = fails_with(KafkaError.POLICY_VIOLATION, lambda: produce(millpond.kafka, name, values(1), enable_idempotence=True))
        assert not error.fatal() and not error.retriable()
        produce(millpond.kafka, DOTTED, values(1), enable_idempotence=True)


@volume_case
def positions_on_a_snapshot_go_with_it(millpond):
    millpond.volume("trading", 1)
    produce(millpond.kafka, DOTTED, values(20))
    group(millpond.kafka, "readers", DOTTED, 20)
    millpond.snapshot("trading", "close")
    assert committed(millpond, "readers") == 20, "the position at the cut"
    group(millpond.kafka, "others", ALIAS, 20)
    assert committed(millpond, "others") == 20
    millpond.restart()
    assert committed(millpond, "others") == 20
    millpond.delete_snapshot("trading", "close")
    millpond.snapshot("trading", "close")
    assert committed(millpond, "others") < 0, "on another snapshot of that name"


def committed(millpond, name):
    reader = consumer(millpond.kafka, name)
    try:
        return reader.committed([TopicPartition(ALIAS, 0)], timeout=WAIT_S)[0].offset
    finally:
        reader.close()


@volume_case
def patterns_and_lists_do_not_see_snapshots_and_clones(millpond):
    millpond.volume("trading", 1)
    make_topic(millpond.kafka, name="plain")
    reader = consumer(millpond.kafka, "readers")
    reader.subscribe(["^.*"])
    produce(millpond.kafka, DOTTED, values(10, "early"))
    consume(reader, 10)
    reader.commit(asynchronous=False)
    millpond.snapshots("trading", "s", 1000)
    for number in range(20):
        millpond.clone(f"trading@s{number}", f"clone{number}")
    produce(millpond.kafka, "clone7.taq.trades", values(10, "clone"))
    group(millpond.kafka, "others", "trading.-s999.taq.trades", 10)
    listed = set(admin(millpond.kafka).list_topics(timeout=30).topics)
    assert listed - {"__consumer_offsets"} == {"plain", DOTTED}, listed
    # A later topic is seen, so that the pattern was looked at again with all of them there.
    make_topic(millpond.kafka, name="later")
    produce(millpond.kafka, "later", values(10, "later"))
    produce(millpond.kafka, DOTTED, values(10, "late"))
    read = set()
    wait_until("both are read", lambda: read.update(m.topic() for m in consume(reader, 1)) or {"later", DOTTED} <= read)
    assert read == {"later", DOTTED}, read
    assigned = {place.topic for place in reader.assignment()}
    assert assigned - {"__consumer_offsets"} == {"plain", "later", DOTTED}, assigned
    reader.close()
