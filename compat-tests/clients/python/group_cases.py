"""Groups through the admin client: list, describe, delete, positions read and changed."""

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    TopicPartition,
)

from cases import (
    WAIT_S,
    admin,
    case,
    consumer,
    fails_with,
    fresh,
    make_topic,
    only,
    raise_on,
    wait_until,
)
from members import Member, poll_until, shared_by


def describe(address, group):
    return only(admin(address).describe_consumer_groups([group]))


def positions(address, group, partitions=None):
    """(topic, partition) to offset, as OffsetFetch tells."""
    asked = ConsumerGroupTopicPartitions(group, partitions)
    answer = only(admin(address).list_consumer_group_offsets([asked]))
    return {(p.topic, p.partition): p.offset for p in answer.topic_partitions}


def set_position(address, group, topic, partition, offset):
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition, offset)])
    answer = only(admin(address).alter_consumer_group_offsets([wanted]))
    for place in answer.topic_partitions:
        raise_on(place.error)


def committed_group(address, topic):
    """An empty group that has a position."""
    group = fresh("group")
    reader = consumer(address, group)
    reader.commit(offsets=[TopicPartition(topic, 0, 3)], asynchronous=False)
    reader.close()
    return group


@case
def a_live_group_is_described_with_its_members(address):
    topic, group = make_topic(address, 4), fresh("group")
    members = [
        Member(address, group, [topic], client_id=f"client-{i}", group_instance_id=f"instance-{i}", session_timeout_ms=10000)
        for i in range(2)
    ]
    poll_until("both have partitions", members, lambda: shared_by(members, 4))
    found = describe(address, group)
    assert found.state == ConsumerGroupState.STABLE and found.partition_assignor == "range"
    assert not found.is_simple_consumer_group
    assert sorted(m.client_id for m in found.members) == ["client-0", "client-1"]
    assert sorted(m.group_instance_id for m in found.members) == ["instance-0", "instance-1"]
    assert all(m.host for m in found.members)
    told = sorted(sorted(p.partition for p in m.assignment.topic_partitions) for m in found.members)
    assert told == sorted(sorted(m.owned) for m in members)
    for member in members:
        member.close()


@case
def a_left_group_is_empty_and_keeps_its_positions(address):
    topic = make_topic(address)
    group = committed_group(address, topic)
    found = describe(address, group)
    assert found.state == ConsumerGroupState.EMPTY and found.members == []
    assert positions(address, group) == {(topic, 0): 3}


@case
def groups_are_listed_by_state(address):
    topic = make_topic(address)
    empty, live = committed_group(address, topic), fresh("group")
    member = Member(address, live, [topic])
    poll_until("it has its partition", [member], lambda: member.owned)

    def listed(**filters):
        answer = admin(address).list_consumer_groups(**filters).result(WAIT_S)
        assert not answer.errors, answer.errors
        return {g.group_id: g.state for g in answer.valid}

    everything = listed()
    assert everything[empty] == ConsumerGroupState.EMPTY and everything[live] == ConsumerGroupState.STABLE
    stable = listed(states={ConsumerGroupState.STABLE})
    assert live in stable and empty not in stable
    member.close()


@case
def an_empty_group_can_be_deleted_and_a_live_one_not(address):
    topic = make_topic(address)
    group = committed_group(address, topic)
    member = Member(address, group, [topic])
    poll_until("it has its partition", [member], lambda: member.owned)
    fails_with(KafkaError.NON_EMPTY_GROUP, lambda: only(admin(address).delete_consumer_groups([group])))
    member.close()
    wait_until("the group is empty", lambda: describe(address, group).state == ConsumerGroupState.EMPTY)
    only(admin(address).delete_consumer_groups([group]))
    assert positions(address, group, [TopicPartition(topic, 0)]) == {(topic, 0): -1001}
    fails_with(KafkaError.GROUP_ID_NOT_FOUND, lambda: only(admin(address).delete_consumer_groups([group])))


@case
def positions_of_an_absent_group_are_unset_and_no_error(address):
    topic = make_topic(address)
    assert positions(address, fresh("absent"), [TopicPartition(topic, 0)]) == {(topic, 0): -1001}


@case
def positions_can_be_set_from_outside(address):
    topic, group = make_topic(address, 2), fresh("group")
    set_position(address, group, topic, 1, 17)
    assert positions(address, group) == {(topic, 1): 17}
    set_position(address, group, topic, 1, 5)
    assert positions(address, group, [TopicPartition(topic, 1)]) == {(topic, 1): 5}


@case
def positions_of_a_live_group_cannot_be_set_from_outside(address):
    topic, group = make_topic(address), fresh("group")
    member = Member(address, group, [topic])
    poll_until("it has its partition", [member], lambda: member.owned)
    fails_with(KafkaError.UNKNOWN_MEMBER_ID, lambda: set_position(address, group, topic, 0, 1))
    member.close()
