"""Rebalances: members that join, leave, die, come back; eager and cooperative; static membership."""

import subprocess
import sys
from pathlib import Path

from confluent_kafka import KafkaError

from cases import case, fails_with, fresh, make_topic, produce
from members import Member, poll_until, shared_by

PARTITIONS = 6


class Feed:
    """Gives every partition its next ten records, and knows all that was ever given."""

    def __init__(self, address, topic):
        self.address, self.topic, self.sent = address, topic, []

    def more(self):
        round_number = len(self.sent)
        names = [(f"{round_number}-{p}-{i}".encode(), p) for p in range(PARTITIONS) for i in range(10)]
        produce(self.address, self.topic, [{"value": v, "partition": p} for v, p in names])
        self.sent += [v for v, _ in names]


def settle(stage, live, everyone, feed):
    """Waits for a fair assignment, feeds, and waits until each record has been read exactly once by somebody."""
    poll_until(f"{stage}: a fair assignment", live, lambda: shared_by(live, PARTITIONS))
    feed.more()
    poll_until(f"{stage}: all read", live, lambda: sum(len(m.read) for m in everyone) >= len(feed.sent))
    assert sorted(v for m in everyone for v in m.read) == sorted(feed.sent), f"{stage}: lost or read twice"
    for member in live:
        member.commit()


def join_and_leave(address, cooperative):
    """One, two, three members, then two, then one; gives the members in order of joining."""
    topic, group = make_topic(address, PARTITIONS), fresh("group")
    feed, live, everyone = Feed(address, topic), [], []
    for stage in ("one member", "two members", "three members"):
        live.append(Member(address, group, [topic], cooperative))
        everyone.append(live[-1])
        settle(stage, live, everyone, feed)
    for leaver, stage in ((2, "the third left"), (0, "the first left")):
        live.pop(leaver).close()
        settle(stage, live, everyone, feed)
    live[0].close()
    return everyone


@case
def eager_members_share_and_hand_over(address):
    first, second, _ = join_and_leave(address, cooperative=False)
    assert first.taken[0] == set(range(PARTITIONS)), "an eager member gives everything back"
    assert second.given[-1] == set(range(PARTITIONS))


@case
def cooperative_members_keep_what_they_need_not_give(address):
    first, second, third = join_and_leave(address, cooperative=True)
    first_taken = [t for t in first.taken if t]
    assert len(first_taken[0]) == PARTITIONS // 2, f"only half is handed over: {first.taken}"
    assert all(len(t) < PARTITIONS for t in first_taken[:-1]), first.taken
    assert second.owned == set(), "closed"
    assert len([t for t in third.taken if t]) == 1, "the third gave back only when it closed"


@case
def two_topics_with_different_subscribers_are_shared_by_subscription(address):
    both, one = make_topic(address, 2), make_topic(address, 2)
    group = fresh("group")
    wide = Member(address, group, [both, one])
    narrow = Member(address, group, [both])

    def split():
        held = [{(p.topic, p.partition) for p in m.consumer.assignment()} for m in (wide, narrow)]
        total = held[0] | held[1]
        return len(total) == 4 == len(held[0]) + len(held[1]) and all(t == both for t, _ in held[1]) and held[1]

    poll_until("each has its share", [wide, narrow], split)
    wide.close()
    narrow.close()


@case
def a_static_member_comes_back_without_a_rebalance(address):
    topic, group = make_topic(address, PARTITIONS), fresh("group")
    stays = Member(address, group, [topic], group_instance_id="a", session_timeout_ms=30000)
    goes = Member(address, group, [topic], group_instance_id="b", session_timeout_ms=30000)
    poll_until("both have partitions", [stays, goes], lambda: shared_by([stays, goes], PARTITIONS))
    calm, had = stays.rebalances(), set(goes.owned)
    goes.close()
    back = Member(address, group, [topic], group_instance_id="b", session_timeout_ms=30000)
    poll_until("it has its partitions back", [stays, back], lambda: back.owned)
    assert back.owned == had, (back.owned, had)
    assert stays.rebalances() == calm, "the other member saw a rebalance"
    stays.close()
    back.close()


@case
def a_second_member_of_the_same_instance_fences_the_first(address):
    topic, group = make_topic(address, 2), fresh("group")
    first = Member(address, group, [topic], group_instance_id="a", heartbeat_interval_ms=500)
    poll_until("the first has partitions", [first], lambda: len(first.owned) == 2)
    second = Member(address, group, [topic], group_instance_id="a", heartbeat_interval_ms=500)
    poll_until("the second has them", [first, second], lambda: len(second.owned) == 2 and first.error)
    assert "fenced" in first.error.str(), first.error
    first.close()
    second.close()


@case
def a_killed_members_partitions_go_to_the_others(address):
    topic, group = make_topic(address, 4), fresh("group")
    script = Path(__file__).with_name("member_main.py")
    doomed = subprocess.Popen([sys.executable, script, address, group, topic], stdout=subprocess.PIPE, text=True)
    try:
        assert doomed.stdout.readline() == "joined\n"
        stays = Member(address, group, [topic], session_timeout_ms=6000, heartbeat_interval_ms=500)
        poll_until("half is handed over", [stays], lambda: len(stays.owned) == 2)
        doomed.kill()
        poll_until("the rest is handed over", [stays], lambda: len(stays.owned) == 4)
        stays.close()
    finally:
        doomed.kill()
        doomed.wait()


@case
def members_without_a_common_protocol_are_refused(address):
    topic, group = make_topic(address), fresh("group")
    first = Member(address, group, [topic])
    poll_until("the first has its partition", [first], lambda: first.owned)
    second = Member(address, group, [topic], cooperative=True)
    fails_with(
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        lambda: poll_until("the second is refused", [first, second], lambda: False),
    )
    second.close()
    first.close()


@case
def a_grown_topic_is_shared_again(address):
    from confluent_kafka.admin import NewPartitions

    from cases import admin, result

    topic, group = make_topic(address, 2), fresh("group")
    members = [Member(address, group, [topic]) for _ in range(2)]
    poll_until("one partition each", members, lambda: shared_by(members, 2))
    result(admin(address).create_partitions([NewPartitions(topic, 6)]))
    poll_until("three partitions each", members, lambda: shared_by(members, 6))
    for member in members:
        member.close()
