"""Producing: acknowledgements, idempotence, codecs, headers, sizes, timestamps."""

import time

from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    KafkaError,
    TopicPartition,
)

from cases import (
    WAIT_S,
    admin,
    case,
    consumer,
    fails_with,
    make_topic,
    produce,
    producer,
    read_partition,
    values,
    wait_until,
    watermarks,
)

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


@case
def acks_all_gives_consecutive_offsets(address):
    topic = make_topic(address)
    delivered = produce(address, topic, values(100), acks="all")
    assert [m.offset() for m in delivered] == list(range(100))
    assert watermarks(address, topic) == (0, 100)


@case
def acks_1_gives_consecutive_offsets(address):
    topic = make_topic(address)
    delivered = produce(address, topic, values(100), acks=1)
    assert [m.offset() for m in delivered] == list(range(100))


@case
def acks_0_arrives_without_an_answer(address):
    topic = make_topic(address)
    produce(address, topic, values(100), acks=0)
    read = read_partition(address, topic, 100)
    assert [m.value() for m in read] == [r["value"] for r in values(100)]


@case
def idempotent_producer_keeps_order_with_many_small_batches(address):
    topic = make_topic(address, partitions=3)
    records = [{"value": f"{i}".encode(), "partition": i % 3} for i in range(3000)]
    produce(address, topic, records, enable_idempotence=True, batch_num_messages=7, linger_ms=0)
    for partition in range(3):
        read = read_partition(address, topic, 1000, partition)
        assert [m.value() for m in read] == [f"{i}".encode() for i in range(partition, 3000, 3)]
        assert [m.offset() for m in read] == list(range(1000))
        assert watermarks(address, topic, partition) == (0, 1000)


@case
def every_codec_comes_back_as_sent(address):
    for codec in CODECS:
        for idempotent in (False, True):
            topic = make_topic(address)
            body = b"the same words over and over " * 40
            records = [{"value": body + str(i).encode(), "key": str(i).encode(), "partition": 0} for i in range(200)]
            produce(address, topic, records, compression_type=codec, enable_idempotence=idempotent, linger_ms=20)
            read = read_partition(address, topic, 200, check_crcs=True)
            assert [(m.key(), m.value()) for m in read] == [(r["key"], r["value"]) for r in records], codec
            assert [m.offset() for m in read] == list(range(200)), codec


@case
def codecs_mix_in_one_partition(address):
    topic = make_topic(address)
    for number, codec in enumerate(CODECS):
        produce(address, topic, values(20, f"{number}"), compression_type=codec, linger_ms=20)
    read = read_partition(address, topic, 100)
    assert [m.value().decode() for m in read] == [f"{n}-{i}" for n in range(5) for i in range(20)]


@case
def a_record_is_visible_once_acks_1_has_answered(address):
    topic = make_topic(address)
    sender, reader, answered = producer(address, acks=1, linger_ms=0), consumer(address), []
    for i in range(100):
        sender.produce(topic, b"x", partition=0, on_delivery=lambda error, m: answered.append((error, m)))
        sender.flush(WAIT_S)
        error, message = answered.pop()
        assert error is None and message.offset() == i
        assert reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=WAIT_S) == (0, i + 1)
    reader.close()


@case
def headers_keep_order_duplicates_nulls_and_bytes(address):
    topic = make_topic(address)
    headers = [("a", b"1"), ("b", b"\xff\x00\xfe"), ("a", b"2"), ("empty", b""), ("null", None), ("", b"no key"), ("ü", b"u")]
    for codec in ("none", "zstd"):
        produce(address, topic, [{"value": b"x", "headers": headers, "partition": 0}], compression_type=codec)
    for message in read_partition(address, topic, 2):
        assert message.headers() == headers, message.headers()


@case
def null_and_empty_are_told_apart(address):
    topic = make_topic(address)
    pairs = [(None, None), (b"", None), (None, b""), (b"", b""), (b"k", None), (None, b"v")]
    produce(address, topic, [{"key": k, "value": v, "partition": 0} for k, v in pairs])
    read = read_partition(address, topic, len(pairs))
    assert [(m.key(), m.value()) for m in read] == pairs
    assert all(m.headers() is None for m in read)


@case
def a_large_record_fits_below_the_limit(address):
    topic = make_topic(address)
    body = bytes(range(256)) * 3900
    produce(address, topic, [{"value": body, "partition": 0}] * 3, message_max_bytes=2_000_000)
    assert all(m.value() == body for m in read_partition(address, topic, 3))


@case
def a_record_over_the_brokers_limit_is_refused(address):
    topic = make_topic(address)
    big = [{"value": b"x" * 1_100_000, "partition": 0}]
    fails_with(KafkaError.MSG_SIZE_TOO_LARGE, lambda: produce(address, topic, big, message_max_bytes=4_000_000))
    assert watermarks(address, topic) == (0, 0)
    produce(address, topic, values(1))
    assert watermarks(address, topic) == (0, 1)


@case
def a_topics_own_limit_counts_in_both_directions(address):
    small = make_topic(address, config={"max.message.bytes": "2000"})
    fails_with(
        KafkaError.MSG_SIZE_TOO_LARGE,
        lambda: produce(address, small, [{"value": b"x" * 3000, "partition": 0}]),
    )
    produce(address, small, [{"value": b"x" * 1000, "partition": 0}])
    large = make_topic(address, config={"max.message.bytes": "6000000"})
    body = b"y" * 5_000_000
    produce(address, large, [{"value": body, "partition": 0}], message_max_bytes=8_000_000)
    (read,) = read_partition(address, large, 1, fetch_message_max_bytes=1_000_000)
    assert read.value() == body


@case
def an_idempotent_producer_goes_on_after_a_refused_record(address):
    topic = make_topic(address, config={"max.message.bytes": "2000"})
    answered = []
    sender = producer(address, enable_idempotence=True, linger_ms=0)
    for size in (10, 3000, 20):
        sender.produce(topic, b"z" * size, partition=0, on_delivery=lambda error, m: answered.append(error))
        sender.flush(WAIT_S)
    assert [error and error.code() for error in answered] == [None, KafkaError.MSG_SIZE_TOO_LARGE, None]
    assert [len(m.value()) for m in read_partition(address, topic, 2)] == [10, 20]


@case
def create_time_is_the_clients(address):
    topic = make_topic(address)
    times = [1_700_000_000_123, 1_600_000_000_000, 1, 1_700_000_000_000]
    produce(address, topic, [{"value": b"x", "timestamp": t, "partition": 0} for t in times], linger_ms=50)
    read = read_partition(address, topic, len(times))
    assert [m.timestamp() for m in read] == [(TIMESTAMP_CREATE_TIME, t) for t in times]


@case
def log_append_time_is_the_brokers(address):
    topic = make_topic(address, config={"message.timestamp.type": "LogAppendTime"})
    for codec in CODECS:
        before = int(time.time() * 1000)
        sent = produce(address, topic, [{"value": b"x", "timestamp": 1000, "partition": 0}], compression_type=codec)
        after = int(time.time() * 1000)
        (read,) = read_partition(address, topic, 1, offset=sent[0].offset())
        kind, stamp = read.timestamp()
        assert kind == TIMESTAMP_LOG_APPEND_TIME and before <= stamp <= after, (codec, kind, before, stamp, after)


@case
def a_changed_timestamp_type_counts_from_then_on(address):
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    topic = make_topic(address)
    produce(address, topic, [{"value": b"a", "timestamp": 1000, "partition": 0}])
    entry = ConfigEntry("message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for future in admin(address).incremental_alter_configs([resource]).values():
        future.result(WAIT_S)

    def kind_of_the_next():
        (sent,) = produce(address, topic, [{"value": b"b", "timestamp": 1000, "partition": 0}])
        (read,) = read_partition(address, topic, 1, offset=sent.offset())
        return read.timestamp()[0] == TIMESTAMP_LOG_APPEND_TIME

    wait_until("the broker stamps the records", kind_of_the_next)
    (first,) = read_partition(address, topic, 1)
    assert first.timestamp() == (TIMESTAMP_CREATE_TIME, 1000)


@case
def keys_choose_the_same_partition_every_time(address):
    topic = make_topic(address, partitions=5)
    records = [{"key": f"k{i % 20}".encode(), "value": str(i).encode()} for i in range(200)]
    places = {}
    for message in produce(address, topic, records, partitioner="murmur2_random"):
        places.setdefault(message.key(), set()).add(message.partition())
    assert all(len(found) == 1 for found in places.values()) and len(places) == 20
