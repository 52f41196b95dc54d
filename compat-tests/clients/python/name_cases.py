"""Dotted names, path names and short names: each of them in every place, one topic behind all of them."""

import asyncio

import aiokafka
import kafka
from confluent_kafka import KafkaError, TopicCollection
from confluent_kafka.admin import NewTopic

from cases import admin, consume, consumer, fails_with, produce, producer, result, values, watermarks
from members import Member, poll_until
from millpond import volume_case

DOTTED, PATH, SHORT = "trading.taq.trades", "/trading/taq:trades", "taq.trades"


def every_place(millpond):
    """Each address of a volume with each name of its topic there."""
    listener = millpond.listen("trading")
    return [(millpond.kafka, DOTTED), (millpond.kafka, PATH), (listener, SHORT), (listener, PATH), (listener, DOTTED)]


def group(address, name, topic, count):
    """Reads exactly `count` messages as a group's only member, and commits."""
    reader = consumer(address, name)
    try:
        reader.subscribe([topic])
        messages = consume(reader, count)
        reader.commit(asynchronous=False)
        return messages
    finally:
        reader.close()


def texts(messages):
    return [message.value().decode() for message in messages]


def sent(prefix, count):
    return [record["value"].decode() for record in values(count, prefix)]


@volume_case
def every_name_is_the_same_topic_to_a_producer_and_a_group(millpond):
    millpond.volume("trading", 1)
    # Positions are the topic's, whatever it is called: each member goes on where the one before it stopped.
    for number, (address, name) in enumerate(every_place(millpond)):
        produce(address, name, values(10, f"v{number}"))
        messages = group(address, "readers", name, 10)
        assert texts(messages) == sent(f"v{number}", 10)
        assert (messages[0].topic(), messages[0].offset()) == (name, 10 * number)


@volume_case
def the_names_of_a_volume_are_those_of_its_clone_on_its_listener(millpond):
    millpond.volume("trading", 1)
    produce(millpond.kafka, PATH, values(5, "both"))
    millpond.snapshot("trading", "close")
    millpond.clone("trading@close", "version2")
    listener = millpond.listen("version2")
    produce(listener, PATH, values(5, "clone"))
    produce(millpond.kafka, PATH, values(5, "live"))
    assert texts(group(listener, "readers", PATH, 10)) == sent("both", 5) + sent("clone", 5)
    assert texts(group(millpond.kafka, "readers", PATH, 10)) == sent("both", 5) + sent("live", 5)


@volume_case
def lists_have_each_topic_once_and_descriptions_any_name(millpond):
    millpond.volume("trading", 3)
    listener = millpond.listen("trading")
    assert set(admin(listener).list_topics(timeout=30).topics) == {SHORT}
    main = admin(millpond.kafka)
    assert set(main.list_topics(timeout=30).topics) == {DOTTED}
    result(main.create_topics([NewTopic("/trading/taq:quotes", 2, 1)]))
    for name, partitions in ((PATH, 3), ("/trading/taq:quotes", 2), ("trading.taq.quotes", 2)):
        described = result(main.describe_topics(TopicCollection([name])))
        assert len(described[name].partitions) == partitions


@volume_case
def a_group_with_two_names_of_a_topic_is_refused(millpond):
    millpond.volume("trading", 2)
    first, second = Member(millpond.kafka, "readers", [DOTTED]), None
    poll_until("the first has its partitions", [first], lambda: len(first.owned) == 2)
    produce(millpond.kafka, PATH, values(10))
    try:
        second = Member(millpond.kafka, "readers", [PATH])
        fails_with(KafkaError.INCONSISTENT_GROUP_PROTOCOL, lambda: poll_until("it is refused", [first, second], lambda: False))
        poll_until("the first goes on", [first], lambda: len(first.read) == 10)
        assert second.read == [], "read twice"
    finally:
        first.close()
        second.close()


@volume_case
def an_idempotent_producer_under_two_names_is_told_so(millpond):
    """It counts a sequence for each name: what looks like a duplicate is none, and must not vanish with success."""
    millpond.volume("trading", 1)
    errors = []
    writer = producer(millpond.kafka, enable_idempotence=True)
    for name in (DOTTED, PATH):
        writer.produce(name, b"v", partition=0, on_delivery=lambda error, message: errors.append(error))
        assert writer.flush(30) == 0
    assert errors[0] is None and errors[1].code() == KafkaError.INVALID_REQUEST and not errors[1].fatal(), errors
    assert watermarks(millpond.kafka, DOTTED) == (0, 1)


@volume_case
def aiokafka_takes_every_name(millpond):
    millpond.volume("trading", 1)
    for number, (address, name) in enumerate(every_place(millpond)):
        got = asyncio.run(aiokafka_round(address, name, f"v{number}".encode()))
        assert got == (name, f"v{number}".encode(), number)


async def aiokafka_round(address, name, value):
    """Writes a record and reads the next one as a member of a group."""
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True) as producer:
        await producer.send_and_wait(name, value)
    settings = {"group_id": "readers", "auto_offset_reset": "earliest", "enable_auto_commit": False}
    async with aiokafka.AIOKafkaConsumer(name, bootstrap_servers=address, **settings) as reader:
        record = await asyncio.wait_for(reader.getone(), 30)
        await reader.commit()
        return record.topic, record.value, record.offset


@volume_case
def kafka_python_takes_dotted_and_short_names_and_refuses_paths_itself(millpond):
    millpond.volume("trading", 1)
    places = [place for place in every_place(millpond) if place[1] != PATH]
    for number, (address, name) in enumerate(places):
        writer = kafka.KafkaProducer(bootstrap_servers=address)
        writer.send(name, f"v{number}".encode()).get(timeout=30)
        settings = {"group_id": "readers", "auto_offset_reset": "earliest", "enable_auto_commit": False}
        reader = kafka.KafkaConsumer(name, bootstrap_servers=address, consumer_timeout_ms=30000, **settings)
        record = next(reader)
        reader.commit()
        assert (record.topic, record.value, record.offset) == (name, f"v{number}".encode(), number)
        for refuses in (lambda: writer.send(PATH, b"x"), lambda: reader.subscribe([PATH])):
            try:
                refuses()
            except ValueError:
                continue
            raise AssertionError("a path is taken: say so in docs/compatibility.md")
        reader.close()
        writer.close()
