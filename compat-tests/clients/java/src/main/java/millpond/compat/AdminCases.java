package millpond.compat;

import static millpond.compat.Broker.fresh;
import static millpond.compat.Broker.get;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.UnknownMemberIdException;

/** The cluster, log directories, and groups through the admin client. */
final class AdminCases {
    private AdminCases() {
    }

    private static String emptyGroup(Broker broker, String topic) {
        String group = fresh("group");
        try (var consumer = broker.consumer(group)) {
            consumer.commitSync(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(3, "noted")));
        }
        return group;
    }

    private static Map<TopicPartition, OffsetAndMetadata> positions(Broker broker, String group) throws Exception {
        return get(broker.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
    }

    @Case
    static void theClusterDescribesItself(Broker broker) throws Exception {
        var cluster = broker.admin.describeCluster(new DescribeClusterOptions());
        Node node = get(cluster.nodes()).iterator().next();
        Check.equal(1, get(cluster.nodes()).size());
        Check.equal(broker.address, node.host() + ":" + node.port());
        Check.equal(node.id(), get(cluster.controller()).id());
        Check.that(get(cluster.clusterId()) != null && !get(cluster.clusterId()).isEmpty(), "a cluster id");
        Check.equal(get(cluster.clusterId()), get(broker.admin.describeCluster().clusterId()));
        get(broker.admin.describeFeatures().featureMetadata());
    }

    @Case
    static void logDirectoriesTellTheSizeOfEachPartition(Broker broker) throws Exception {
        String topic = broker.topic(2);
        broker.produceValues(topic, 100, "x".repeat(100));
        int node = get(broker.admin.describeCluster().nodes()).iterator().next().id();
        var directories = get(broker.admin.describeLogDirs(List.of(node)).allDescriptions()).get(node);
        var found = directories.values().stream().map(LogDirDescription::replicaInfos).flatMap(m -> m.entrySet().stream())
            .filter(entry -> entry.getKey().topic().equals(topic)).toList();
        Check.equal(2, found.size());
        for (var entry : found) {
            Check.that(entry.getValue().size() >= (entry.getKey().partition() == 0 ? 10_000 : 0), entry);
            Check.that(!entry.getValue().isFuture(), "not a future replica");
        }
    }

    @Case
    static void aLiveGroupIsDescribedAndListed(Broker broker) throws Exception {
        String topic = broker.topic(4);
        String group = fresh("group");
        try (var first = new Member(broker, group, topic, "group.instance.id", "one", "client.id", "client-one");
             var second = new Member(broker, group, topic, "group.instance.id", "two")) {
            var members = List.of(first, second);
            Member.pollUntil("both have partitions", members, () -> Member.fair(members, 4));
            var found = get(broker.admin.describeConsumerGroups(List.of(group)).describedGroups().get(group));
            Check.equal(GroupState.STABLE, found.groupState());
            Check.equal("range", found.partitionAssignor());
            Check.equal(2, found.members().size());
            for (var member : found.members()) {
                boolean isFirst = member.groupInstanceId().orElseThrow().equals("one");
                Check.equal((isFirst ? first : second).owned, member.assignment().topicPartitions());
                Check.that(!isFirst || member.clientId().equals("client-one"), member.clientId());
            }
            var classic = get(broker.admin.describeClassicGroups(List.of(group)).describedGroups().get(group));
            Check.equal("consumer", classic.protocol());
            var listed = get(broker.admin.listGroups().all()).stream().filter(g -> g.groupId().equals(group)).toList();
            Check.equal(1, listed.size());
            Check.equal("consumer", listed.get(0).protocol());
        }
    }

    @Case
    static void anEmptyGroupIsListedDescribedAndDeleted(Broker broker) throws Exception {
        String topic = broker.topic();
        String group = emptyGroup(broker, topic);
        var found = get(broker.admin.describeConsumerGroups(List.of(group)).describedGroups().get(group));
        Check.equal(GroupState.EMPTY, found.groupState());
        Check.equal(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(3, "noted")), positions(broker, group));
        get(broker.admin.deleteConsumerGroups(List.of(group)).all());
        Check.equal(Map.of(), positions(broker, group));
        Check.fails(GroupIdNotFoundException.class, () -> get(broker.admin.deleteConsumerGroups(List.of(group)).all()));
        Check.fails(GroupIdNotFoundException.class,
            () -> get(broker.admin.describeConsumerGroups(List.of(group)).describedGroups().get(group)));
    }

    @Case
    static void aLiveGroupIsNotDeletedAndItsPositionsAreItsOwn(Broker broker) throws Exception {
        String topic = broker.topic();
        var spot = new TopicPartition(topic, 0);
        String group = fresh("group");
        try (var member = new Member(broker, group, topic)) {
            Member.pollUntil("it has its partition", List.of(member), () -> !member.owned.isEmpty());
            member.consumer.commitSync(Map.of(spot, new OffsetAndMetadata(0)));
            Check.fails(GroupNotEmptyException.class, () -> get(broker.admin.deleteConsumerGroups(List.of(group)).all()));
            Check.fails(UnknownMemberIdException.class, () -> get(
                broker.admin.alterConsumerGroupOffsets(group, Map.of(spot, new OffsetAndMetadata(1))).all()));
            Check.fails(GroupSubscribedToTopicException.class,
                () -> get(broker.admin.deleteConsumerGroupOffsets(group, Set.of(spot)).partitionResult(spot)));
            Check.equal(Map.of(spot, new OffsetAndMetadata(0)), positions(broker, group));
        }
    }

    @Case
    static void positionsAreSetAndDeletedFromOutside(Broker broker) throws Exception {
        String topic = broker.topic(2);
        String group = fresh("group");
        var first = new TopicPartition(topic, 0);
        var second = new TopicPartition(topic, 1);
        var wanted = Map.of(first, new OffsetAndMetadata(17, "by hand"), second, new OffsetAndMetadata(4));
        get(broker.admin.alterConsumerGroupOffsets(group, wanted).all());
        Check.equal(wanted, positions(broker, group));
        get(broker.admin.deleteConsumerGroupOffsets(group, Set.of(first)).all());
        Check.equal(Map.of(second, new OffsetAndMetadata(4)), positions(broker, group));
        Check.fails(GroupIdNotFoundException.class,
            () -> get(broker.admin.deleteConsumerGroupOffsets(fresh("absent"), Set.of(first)).all()));
    }

    @Case
    static void positionsOfAnAbsentGroupAreNoError(Broker broker) throws Exception {
        Check.equal(Map.of(), positions(broker, fresh("absent")));
    }
}
