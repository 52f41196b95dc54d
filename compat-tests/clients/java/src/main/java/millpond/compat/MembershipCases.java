package millpond.compat;

import static millpond.compat.Broker.fresh;
import static millpond.compat.Broker.get;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.InconsistentGroupProtocolException;

/** Rebalances: members that join, leave, vanish, come back; eager and cooperative; static membership. */
final class MembershipCases {
    private static final int PARTITIONS = 6;
    private static final String STRATEGY = "partition.assignment.strategy";

    private MembershipCases() {
    }

    /** One, two, three members, then two, then one: each record is read exactly once. Gives them in order of joining. */
    private static List<Member> joinAndLeave(Broker broker, Object... settings) throws Exception {
        String topic = broker.topic(PARTITIONS);
        String group = fresh("group");
        List<Member> live = new ArrayList<>();
        List<Member> everyone = new ArrayList<>();
        List<String> sent = new ArrayList<>();
        try {
            for (String stage : List.of("one", "two", "three", "the third left", "the first left")) {
                if (stage.startsWith("the")) {
                    live.remove(stage.contains("third") ? 2 : 0).close();
                } else {
                    live.add(new Member(broker, group, topic, settings));
                    everyone.add(live.get(live.size() - 1));
                }
                settle(broker, topic, stage, live, everyone, sent);
            }
        } finally {
            live.forEach(Member::close);
        }
        return everyone;
    }

    private static void settle(
            Broker broker, String topic, String stage, List<Member> live, List<Member> everyone, List<String> sent) throws Exception {
        Member.pollUntil(stage + ": a fair assignment", live, () -> Member.fair(live, PARTITIONS));
        for (int partition = 0; partition < PARTITIONS; partition++) {
            var records = Broker.values(topic, partition, 10, stage + partition);
            broker.produce(records);
            records.forEach(record -> sent.add(Broker.text(record.value())));
        }
        Member.pollUntil(stage + ": all read", live,
            () -> everyone.stream().mapToInt(member -> member.read.size()).sum() >= sent.size());
        var read = everyone.stream().flatMap(member -> member.read.stream()).sorted().toList();
        Check.equal(sent.stream().sorted().toList(), read);
        live.forEach(member -> member.consumer.commitSync());
    }

    @Case
    static void eagerMembersGiveEverythingBack(Broker broker) throws Exception {
        var members = joinAndLeave(broker);
        Check.equal(PARTITIONS, members.get(0).taken.get(0).size());
    }

    @Case
    static void cooperativeMembersKeepWhatTheyNeedNotGive(Broker broker) throws Exception {
        var members = joinAndLeave(broker, STRATEGY, CooperativeStickyAssignor.class.getName());
        var taken = members.get(0).taken.stream().filter(partitions -> !partitions.isEmpty()).toList();
        Check.equal(PARTITIONS / 2, taken.get(0).size());
    }

    @Case
    static void theDefaultAssignorsWorkTogether(Broker broker) throws Exception {
        joinAndLeave(broker, STRATEGY, List.of(
            "org.apache.kafka.clients.consumer.RangeAssignor", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"));
    }

    @Case
    static void aStaticMemberComesBackWithoutARebalance(Broker broker) throws Exception {
        String topic = broker.topic(PARTITIONS);
        String group = fresh("group");
        try (var stays = new Member(broker, group, topic, "group.instance.id", "a", "session.timeout.ms", 30_000)) {
            var goes = new Member(broker, group, topic, "group.instance.id", "b", "session.timeout.ms", 30_000);
            var both = List.of(stays, goes);
            Member.pollUntil("both have partitions", both, () -> Member.fair(both, PARTITIONS));
            int calm = stays.changes;
            var had = new HashSet<>(goes.owned);
            goes.close();
            try (var back = new Member(broker, group, topic, "group.instance.id", "b", "session.timeout.ms", 30_000)) {
                Member.pollUntil("it has partitions", List.of(stays, back), () -> !back.owned.isEmpty());
                Check.equal(had, back.owned);
                Check.equal(calm, stays.changes);
            }
        }
    }

    @Case
    static void aSecondMemberOfTheSameInstanceFencesTheFirst(Broker broker) throws Exception {
        String topic = broker.topic();
        String group = fresh("group");
        var first = new Member(broker, group, topic, "group.instance.id", "a");
        Member.pollUntil("the first has its partition", List.of(first), () -> !first.owned.isEmpty());
        try (var second = new Member(broker, group, topic, "group.instance.id", "a")) {
            Member.pollUntil("the second has it", List.of(second), () -> !second.owned.isEmpty());
            Check.fails(FencedInstanceIdException.class, () -> {
                Member.pollUntil("the first is fenced", List.of(first, second), () -> false);
                return null;
            });
        } finally {
            first.close();
        }
    }

    @Case
    static void aVanishedMembersPartitionsGoToTheOthers(Broker broker) throws Exception {
        String topic = broker.topic(4);
        String group = fresh("group");
        var vanishes = new Member(broker, group, topic, "session.timeout.ms", 6000);
        try (var stays = new Member(broker, group, topic, "session.timeout.ms", 6000)) {
            var both = List.of(vanishes, stays);
            Member.pollUntil("both have partitions", both, () -> Member.fair(both, 4));
            var remain = CloseOptions.groupMembershipOperation(CloseOptions.GroupMembershipOperation.REMAIN_IN_GROUP);
            vanishes.consumer.close(remain);
            Member.pollUntil("the other has all", List.of(stays), () -> stays.owned.size() == 4);
        }
    }

    @Case
    static void aCommitOfAnOldGenerationFails(Broker broker) throws Exception {
        String topic = broker.topic();
        String group = fresh("group");
        var spot = new TopicPartition(topic, 0);
        try (var sleeper = new Member(broker, group, topic, "max.poll.interval.ms", 1500);
             var heir = new Member(broker, group, topic)) {
            Member.pollUntil("the first has it", List.of(sleeper), () -> !sleeper.owned.isEmpty());
            Member.pollUntil("the second has it", List.of(heir), () -> !heir.owned.isEmpty());
            Check.fails(CommitFailedException.class, () -> {
                sleeper.consumer.commitSync(Map.of(spot, new OffsetAndMetadata(1)));
                return "committed";
            });
        }
    }

    @Case
    static void membersWithoutACommonProtocolAreRefused(Broker broker) throws Exception {
        String topic = broker.topic();
        String group = fresh("group");
        try (var first = new Member(broker, group, topic);
             var second = new Member(broker, group, topic, STRATEGY, CooperativeStickyAssignor.class.getName())) {
            Member.pollUntil("the first has its partition", List.of(first), () -> !first.owned.isEmpty());
            Check.fails(InconsistentGroupProtocolException.class, () -> {
                Member.pollUntil("the second is refused", List.of(second), () -> false);
                return null;
            });
        }
    }

    @Case
    static void membersAreRemovedFromOutside(Broker broker) throws Exception {
        String topic = broker.topic(2);
        String group = fresh("group");
        try (var stays = new Member(broker, group, topic, "group.instance.id", "a")) {
            var goes = new Member(broker, group, topic, "group.instance.id", "b", "session.timeout.ms", 300_000);
            var both = List.of(stays, goes);
            Member.pollUntil("both have partitions", both, () -> Member.fair(both, 2));
            goes.close();
            var removed = new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("b")));
            get(broker.admin.removeMembersFromConsumerGroup(group, removed).all());
            Member.pollUntil("the other has all", List.of(stays), () -> stays.owned.size() == 2);
        }
    }

    @Case
    static void aForcedRebalanceEndsWhereItBegan(Broker broker) throws Exception {
        String topic = broker.topic(4);
        String group = fresh("group");
        try (var first = new Member(broker, group, topic); var second = new Member(broker, group, topic)) {
            var both = List.of(first, second);
            Member.pollUntil("both have partitions", both, () -> Member.fair(both, 4));
            int before = second.changes;
            first.consumer.enforceRebalance("a test");
            Member.pollUntil("a rebalance", both, () -> second.changes >= before + 2 && Member.fair(both, 4));
        }
    }
}
