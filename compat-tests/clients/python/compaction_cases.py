"""Compacted topics: the last value of each key, read to the end through what is gone; records without a key."""

from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from cases import WAIT_S, case, consumer, fails_with, make_topic, produce, raise_on, wait_until, watermarks

# Every batch is a segment of its own, and compacted as soon as another follows.
COMPACTED = {"cleanup.policy": "compact", "segment.ms": "1", "min.cleanable.dirty.ratio": "0"}


def read_to_end(address, topic, offset=OFFSET_BEGINNING):
    """All that a consumer gets until it stands at the end: (offset, key, value)."""
    end = watermarks(address, topic)[1]
    reader = consumer(address, enable_partition_eof=True)
    reader.assign([TopicPartition(topic, 0, offset)])
    records, at_end = [], []

    def step():
        message = reader.poll(0.2)
        if message is None:
            return False
        if message.error() is not None and message.error().code() == KafkaError._PARTITION_EOF:
            at_end.append(message.offset())
            return True
        raise_on(message.error())
        records.append((message.offset(), message.key(), message.value()))
        return False

    try:
        wait_until("the end", step, WAIT_S)
        assert at_end == [end], f"the end is at {end}, and the consumer at {at_end}"
        return records
    finally:
        reader.close()


@case
def a_compacted_topic_is_read_to_its_end(address):
    topic = make_topic(address, config=COMPACTED)
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    for n in range(40):
        records = [
            {"key": f"key-{i}", "value": f"{n}-{i}".encode(), "timestamp": n * 1000 + 1, "partition": 0}
            for i in range(3)
        ]
        produce(address, topic, records, compression_type=codecs[n % 5], linger_ms=50)
    produce(address, topic, [{"key": "key-0", "value": None, "timestamp": 50_000, "partition": 0}])
    produce(address, topic, [{"key": "last", "value": b"last", "timestamp": 60_000, "partition": 0}])

    def compacted():
        records = read_to_end(address, topic)
        return records if len(records) < 122 else None

    # The first compaction may come while the records do; the next one waits until the history has passed it.
    records = wait_until("the topic is compacted", compacted)
    assert watermarks(address, topic) == (0, 122), "offsets are what they were"
    offsets = [record[0] for record in records]
    assert offsets[0] > 0 and offsets[-1] == 121 and offsets == sorted(set(offsets)), offsets
    last = {key: value for _, key, value in records}
    assert last == {b"key-0": None, b"key-1": b"39-1", b"key-2": b"39-2", b"last": b"last"}, last
    for offset in (0, 1, offsets[0], offsets[0] + 1, 121):
        expected = [record for record in records if record[0] >= offset]
        assert read_to_end(address, topic, offset) == expected, f"from {offset}"


@case
def a_record_without_a_key_is_refused_by_a_compacted_topic(address):
    topic = make_topic(address, config=COMPACTED)
    for codec in ("none", "zstd"):
        send = lambda: produce(address, topic, [{"value": b"v", "partition": 0}], compression_type=codec)  # noqa: E731
        fails_with(KafkaError.INVALID_RECORD, send)
    assert watermarks(address, topic) == (0, 0)
