"""Topics: creation by use, illegal names, deletion and recreation, growth, metadata."""

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import NewPartitions, NewTopic

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

ILLEGAL = ["with space", "with,comma", ".", "..", "a" * 250, "colon:name", "back\\slash", "ü"]


def describe(address, topic):
    return only(admin(address).describe_topics(TopicCollection([topic])))


@case
def a_producer_creates_its_topic_by_use(address):
    topic = fresh("auto")
    (sent,) = produce(address, topic, [{"value": b"first"}])
    read = read_partition(address, topic, 1, partition=sent.partition())
    assert read[0].value() == b"first"
    assert len(describe(address, topic).partitions) >= 1


@case
def a_consumer_that_may_not_create_hears_unknown_topic(address):
    topic = fresh("absent")
    reader = consumer(address)
    reader.subscribe([topic])
    fails_with(KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: consume(reader, 1))
    reader.close()
    assert topic not in admin(address).list_topics(timeout=WAIT_S).topics


@case
def a_consumer_that_may_create_gets_its_topic(address):
    topic = fresh("auto")
    reader = consumer(address, allow_auto_create_topics=True)
    reader.assign([TopicPartition(topic, 0, 0)])

    def exists():
        message = reader.poll(0.1)
        known = message is None or not message.error() or message.error().code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        assert known, message.error()
        return topic in admin(address).list_topics(timeout=WAIT_S).topics

    wait_until("the topic exists", exists)
    produce(address, topic, [{"value": b"x", "partition": 0}])
    wait_until("the record arrives", lambda: (m := reader.poll(0.1)) and not m.error() and m.value() == b"x")
    reader.close()


@case
def illegal_names_are_refused_by_name(address):
    for name in ILLEGAL:
        topic = NewTopic(name, num_partitions=1, replication_factor=1)
        fails_with(KafkaError.TOPIC_EXCEPTION, lambda topic=topic: only(admin(address).create_topics([topic])))


@case
def an_illegal_name_in_produce_is_a_final_error(address):
    fails_with(KafkaError.TOPIC_EXCEPTION, lambda: produce(address, "with space", [{"value": b"x"}]))


@case
def legal_names_of_every_shape_work(address):
    suffix = fresh("n")
    for name in (f"with.dots.{suffix}", f"_under_{suffix}", f"-dash-{suffix}", f"{suffix}" + "x" * (249 - len(suffix))):
        make_topic(address, name=name)
        produce(address, name, values(1))
        assert read_partition(address, name, 1)[0].value() == b"v-0"


@case
def a_new_topic_is_usable_in_the_answer_that_creates_it(address):
    for _ in range(20):
        topic = make_topic(address, partitions=4)
        found = admin(address).list_topics(topic, timeout=WAIT_S).topics[topic]
        assert found.error is None and sorted(found.partitions) == [0, 1, 2, 3]
        assert all(p.error is None and p.leader >= 0 and p.leader in p.isrs for p in found.partitions.values())


@case
def deletion_and_recreation_start_anew(address):
    topic, group = make_topic(address, partitions=2), fresh("group")
    produce(address, topic, values(10, "old"))
    reader = consumer(address, group)
    reader.commit(offsets=[TopicPartition(topic, 0, 7)], asynchronous=False)
    reader.close()
    before = describe(address, topic)
    result(admin(address).delete_topics([topic]))
    wait_until("the topic is gone", lambda: topic not in admin(address).list_topics(timeout=WAIT_S).topics)
    fails_with(KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: only(admin(address).delete_topics([topic])))
    make_topic(address, name=topic, partitions=3)
    after = describe(address, topic)
    assert len(after.partitions) == 3
    assert str(before.topic_id) != str(after.topic_id)
    assert watermarks(address, topic) == (0, 0)
    (sent,) = produce(address, topic, values(1, "new"))
    assert sent.offset() == 0
    assert read_partition(address, topic, 1)[0].value() == b"new-0"


@case
def a_deleted_topics_positions_are_gone_with_it(address):
    topic, group = make_topic(address), fresh("group")
    reader = consumer(address, group)
    reader.commit(offsets=[TopicPartition(topic, 0, 7)], asynchronous=False)
    result(admin(address).delete_topics([topic]))

    def forgotten():
        try:
            (committed,) = reader.committed([TopicPartition(topic, 0)], timeout=WAIT_S)
        except KafkaException as exception:
            return exception.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        return committed.offset < 0

    wait_until("the position is gone", forgotten)
    reader.close()


@case
def partitions_grow_at_once_and_never_shrink(address):
    topic = make_topic(address, partitions=2)
    produce(address, topic, values(5))
    result(admin(address).create_partitions([NewPartitions(topic, 5)]))

    def grown():
        return sorted(admin(address).list_topics(topic, timeout=WAIT_S).topics[topic].partitions) == [0, 1, 2, 3, 4]

    wait_until("five partitions", grown)
    (sent,) = produce(address, topic, [{"value": b"x", "partition": 4}])
    assert sent.offset() == 0
    assert watermarks(address, topic) == (0, 5)
    for count in (5, 3):
        fails_with(
            KafkaError.INVALID_PARTITIONS,
            lambda count=count: only(admin(address).create_partitions([NewPartitions(topic, count)])),
        )
    absent = NewPartitions(fresh("absent"), 3)
    fails_with(KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: only(admin(address).create_partitions([absent])))


@case
def a_subscription_by_pattern_finds_new_topics(address):
    word = fresh("pattern")
    make_topic(address, name=f"{word}-a")
    make_topic(address, name=f"other-{word}")
    produce(address, f"{word}-a", values(3))
    produce(address, f"other-{word}", values(3))
    reader = consumer(address)
    reader.subscribe([f"^{word}-.*"])
    assert {m.topic() for m in consume(reader, 3)} == {f"{word}-a"}
    reader.commit(asynchronous=False)
    make_topic(address, name=f"{word}-b")
    produce(address, f"{word}-b", values(3))
    assert {m.topic() for m in consume(reader, 3)} == {f"{word}-b"}
    reader.close()


@case
def describe_topics_tells_ids_leaders_and_absence(address):
    topic, absent = make_topic(address, partitions=3), fresh("absent")
    futures = admin(address).describe_topics(TopicCollection([topic, absent]))
    found = futures[topic].result(WAIT_S)
    assert found.name == topic and not found.is_internal and len(found.partitions) == 3
    assert [p.id for p in found.partitions] == [0, 1, 2]
    assert all(p.leader is not None and len(p.replicas) == 1 and len(p.isr) == 1 for p in found.partitions)
    fails_with(KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: futures[absent].result(WAIT_S))
