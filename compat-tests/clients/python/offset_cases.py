"""Reading positions: commits, resets, seeks by offset and by time, ends, deleted records."""

from confluent_kafka import (
    OFFSET_END,
    OFFSET_INVALID,
    IsolationLevel,
    KafkaError,
    TopicPartition,
)
from confluent_kafka.admin import OffsetSpec

from cases import (
    WAIT_S,
    admin,
    case,
    consume,
    consumer,
    fails_with,
    fresh,
    make_topic,
    only,
    produce,
    read_partition,
    result,
    values,
    wait_until,
    watermarks,
)


def timed(times, **extra):
    return [{"value": str(t).encode(), "timestamp": t, "partition": 0, **extra} for t in times]


def by_time(address, topic, *times):
    """The offsets that `offsets_for_times` gives for each time."""
    reader = consumer(address)
    found = [reader.offsets_for_times([TopicPartition(topic, 0, t)], timeout=WAIT_S)[0].offset for t in times]
    reader.close()
    return found


@case
def offsets_for_times_is_exact_inside_a_batch(address):
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        topic = make_topic(address)
        produce(address, topic, timed(range(1000, 2000, 10)), compression_type=codec, linger_ms=100)
        asked = [0, 1000, 1001, 1010, 1555, 1560, 1990, 1991, 5000]
        assert by_time(address, topic, *asked) == [0, 0, 1, 1, 56, 56, 99, OFFSET_END, OFFSET_END], codec


@case
def offsets_for_times_takes_the_first_of_equal_times_over_many_batches(address):
    topic = make_topic(address)
    for times in ([10, 10, 10], [20, 20], [20, 30], [30, 40]):
        produce(address, topic, timed(times), linger_ms=50)
    assert by_time(address, topic, 5, 10, 11, 20, 21, 30, 31, 40, 41) == [0, 0, 3, 3, 6, 6, 8, 8, OFFSET_END]


@case
def offsets_for_times_finds_the_first_offset_though_times_go_back(address):
    topic = make_topic(address)
    produce(address, topic, timed([100, 50, 300, 200]), linger_ms=100)
    produce(address, topic, timed([150, 400, 10]), linger_ms=100)
    assert by_time(address, topic, 1, 100, 101, 250, 301, 400, 401) == [0, 0, 2, 2, 5, 5, OFFSET_END]


@case
def offsets_for_times_of_an_empty_partition_is_the_end(address):
    assert by_time(address, make_topic(address), 0, 1000) == [OFFSET_END, OFFSET_END]


@case
def seek_by_time_then_read(address):
    topic = make_topic(address)
    for start in (0, 100, 200):
        produce(address, topic, timed(range(1000 + start, 1100 + start)))
    reader = consumer(address)
    (found,) = reader.offsets_for_times([TopicPartition(topic, 0, 1150)], timeout=WAIT_S)
    reader.assign([found])
    assert [m.value() for m in consume(reader, 10)] == [str(t).encode() for t in range(1150, 1160)]
    reader.close()


@case
def commit_and_resume_in_a_new_member(address):
    topic, group = make_topic(address), fresh("group")
    produce(address, topic, values(30))
    first = consumer(address, group)
    first.subscribe([topic])
    messages = consume(first, 10)
    first.commit(messages[-1], asynchronous=False)
    first.close()
    second = consumer(address, group)
    second.subscribe([topic])
    assert [m.offset() for m in consume(second, 20)] == list(range(10, 30))
    second.close()


@case
def auto_commit_on_close_is_where_the_next_begins(address):
    topic, group = make_topic(address), fresh("group")
    produce(address, topic, values(30))
    first = consumer(address, group, enable_auto_commit=True)
    first.subscribe([topic])
    consume(first, 13)
    first.close()
    second = consumer(address, group)
    (committed,) = second.committed([TopicPartition(topic, 0)], timeout=WAIT_S)
    assert committed.offset == 13, committed
    second.close()


@case
def commit_metadata_comes_back_and_unknown_is_none(address):
    topic, group = make_topic(address, partitions=3), fresh("group")
    reader = consumer(address, group)
    noted = TopicPartition(topic, 1, 7, metadata="where we were, ümlaut")
    reader.commit(offsets=[noted], asynchronous=False)
    reader.close()
    again = consumer(address, group)
    asked = [TopicPartition(topic, p) for p in range(3)]
    committed = again.committed(asked, timeout=WAIT_S)
    assert [p.offset for p in committed] == [OFFSET_INVALID, 7, OFFSET_INVALID]
    assert all(p.error is None for p in committed)
    assert committed[1].metadata == noted.metadata
    again.close()


@case
def a_commit_beyond_the_end_is_kept_as_it_is(address):
    topic, group = make_topic(address), fresh("group")
    reader = consumer(address, group)
    reader.commit(offsets=[TopicPartition(topic, 0, 1_000_000)], asynchronous=False)
    assert reader.committed([TopicPartition(topic, 0)], timeout=WAIT_S)[0].offset == 1_000_000
    reader.close()


@case
def reset_to_latest_sees_only_what_comes_later(address):
    topic = make_topic(address)
    produce(address, topic, values(10, "old"))
    reader = consumer(address, auto_offset_reset="latest")
    reader.subscribe([topic])

    def positioned():
        reader.poll(0.1)
        where = reader.position([TopicPartition(topic, 0)])[0].offset
        return reader.assignment() and (where >= 0 or reader_at_end(reader, topic))

    wait_until("the consumer stands at the end", positioned)
    produce(address, topic, values(3, "new"))
    seen = [m.value() for m in consume(reader, 3)]
    assert seen == [b"new-0", b"new-1", b"new-2"], seen
    reader.close()


def reader_at_end(reader, topic):
    """Whether a fetch has already told the cached high watermark: it comes only after the position is known."""
    return reader.get_watermark_offsets(TopicPartition(topic, 0), cached=True)[1] == 10


@case
def an_offset_out_of_range_is_an_error_where_no_reset_is_allowed(address):
    topic = make_topic(address)
    produce(address, topic, values(5))
    reader = consumer(address, auto_offset_reset="error")
    reader.assign([TopicPartition(topic, 0, 99)])
    error = fails_with(KafkaError._AUTO_OFFSET_RESET, lambda: consume(reader, 1))
    assert "out of range" in error.str().lower(), error.str()
    reader.close()


@case
def an_offset_out_of_range_is_reset_to_the_earliest(address):
    topic = make_topic(address)
    produce(address, topic, values(5))
    assert [m.offset() for m in read_partition(address, topic, 5, offset=99)] == list(range(5))


@case
def a_position_inside_a_compressed_batch_starts_there(address):
    topic = make_topic(address)
    produce(address, topic, values(100), compression_type="lz4", linger_ms=100)
    for offset in (1, 50, 99):
        (first,) = read_partition(address, topic, 1, offset=offset)
        assert (first.offset(), first.value()) == (offset, f"v-{offset}".encode())


@case
def seek_goes_back_and_forth(address):
    topic = make_topic(address)
    produce(address, topic, values(100))
    reader = consumer(address)
    reader.assign([TopicPartition(topic, 0, 0)])
    consume(reader, 5)
    for offset in (90, 10, 0, 99):
        reader.seek(TopicPartition(topic, 0, offset))
        assert consume(reader, 1)[0].offset() == offset
    reader.close()


@case
def the_end_of_a_partition_is_told_once_it_is_reached(address):
    topic = make_topic(address)
    produce(address, topic, values(3))
    reader = consumer(address, enable_partition_eof=True)
    reader.assign([TopicPartition(topic, 0, 0)])
    consume(reader, 3)

    def at_end():
        message = reader.poll(0.2)
        return message is not None and message.error() and message.error().code() == KafkaError._PARTITION_EOF

    wait_until("the end of the partition", at_end)
    reader.close()


@case
def list_offsets_knows_every_spec(address):
    topic = make_topic(address)
    spot = TopicPartition(topic, 0)

    def ask(spec, **more):
        return only(admin(address).list_offsets({spot: spec}, **more))

    assert (ask(OffsetSpec.max_timestamp()).offset, ask(OffsetSpec.max_timestamp()).timestamp) == (-1, -1)
    produce(address, topic, timed([100, 900, 300]), linger_ms=100)
    produce(address, topic, timed([200, 900, 800]), linger_ms=100)
    assert ask(OffsetSpec.earliest()).offset == 0
    assert ask(OffsetSpec.latest()).offset == 6
    assert ask(OffsetSpec.latest(), isolation_level=IsolationLevel.READ_COMMITTED).offset == 6
    found = ask(OffsetSpec.for_timestamp(250))
    assert (found.offset, found.timestamp) == (1, 900), found
    top = ask(OffsetSpec.max_timestamp())
    assert (top.offset, top.timestamp) == (1, 900), top
    assert ask(OffsetSpec.for_timestamp(901)).offset == -1


@case
def max_timestamp_is_exact_under_compression(address):
    for codec in ("gzip", "zstd"):
        topic = make_topic(address)
        produce(address, topic, timed([5, 9, 7, 9, 1]), compression_type=codec, linger_ms=100)
        produce(address, topic, timed([8, 2]), compression_type=codec, linger_ms=100)
        top = only(admin(address).list_offsets({TopicPartition(topic, 0): OffsetSpec.max_timestamp()}))
        assert (top.offset, top.timestamp) == (1, 9), (codec, top)


@case
def deleted_records_are_gone_and_the_rest_stays(address):
    topic, spot = make_topic(address), None
    produce(address, topic, values(50))
    spot = TopicPartition(topic, 0, 20)
    assert only(admin(address).delete_records([spot])).low_watermark == 20
    assert watermarks(address, topic) == (20, 50)
    assert [m.offset() for m in read_partition(address, topic, 30)] == list(range(20, 50))
    assert [m.offset() for m in read_partition(address, topic, 1, offset=3)] == [20]
    assert only(admin(address).list_offsets({spot: OffsetSpec.earliest()})).offset == 20
    beyond = TopicPartition(topic, 0, 51)
    fails_with(KafkaError.OFFSET_OUT_OF_RANGE, lambda: only(admin(address).delete_records([beyond])))
    everything = TopicPartition(topic, 0, OFFSET_END)
    assert only(admin(address).delete_records([everything])).low_watermark == 50
    assert watermarks(address, topic) == (50, 50)
    (sent,) = produce(address, topic, values(1))
    assert sent.offset() == 50


@case
def deleted_records_inside_a_batch_are_not_shown(address):
    topic = make_topic(address)
    produce(address, topic, values(10), compression_type="gzip", linger_ms=100)
    result(admin(address).delete_records([TopicPartition(topic, 0, 4)]))
    assert [m.offset() for m in read_partition(address, topic, 6)] == list(range(4, 10))
