package millpond.compat;

import static millpond.compat.Broker.fresh;
import static millpond.compat.Broker.get;
import static millpond.compat.Broker.read;
import static millpond.compat.Broker.text;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Topics: created by use and by command, illegal, deleted, made again, grown, described. */
final class TopicCases {
    private TopicCases() {
    }

    private static TopicDescription describe(Broker broker, String topic) throws Exception {
        return get(broker.admin.describeTopics(List.of(topic)).topicNameValues().get(topic));
    }

    @Case
    static void aProducerCreatesItsTopicByUse(Broker broker) throws Exception {
        String topic = fresh("auto");
        broker.produce(List.of(new ProducerRecord<>(topic, 0, null, Broker.bytes("first"))));
        Check.equal("first", text(broker.readFrom(topic, 0, 1).get(0).value()));
    }

    @Case
    static void aConsumerCreatesItsTopicByUseUnlessItMayNot(Broker broker) throws Exception {
        String wanted = fresh("auto");
        String unwanted = fresh("absent");
        try (var may = broker.consumer(fresh("group"));
             var mayNot = broker.consumer(fresh("group"), "allow.auto.create.topics", false)) {
            may.subscribe(List.of(wanted));
            mayNot.subscribe(List.of(unwanted));
            Check.until("the topic exists", () -> {
                may.poll(Duration.ofMillis(50));
                mayNot.poll(Duration.ofMillis(50));
                return broker.exists(wanted);
            });
            Check.that(!broker.exists(unwanted), "the other does not");
        }
    }

    @Case
    static void illegalNamesAreRefused(Broker broker) {
        for (String name : List.of("with space", "with,comma", ".", "..", "a".repeat(250), "colon:name", "back\\slash", "ü", "")) {
            Check.fails(InvalidTopicException.class, () -> {
                broker.create(new NewTopic(name, 1, (short) 1));
                return name;
            });
        }
    }

    @Case
    static void creationTellsWhatItMade(Broker broker) throws Exception {
        String topic = fresh("topic");
        var answer = broker.admin.createTopics(
            List.of(new NewTopic(topic, 3, (short) 1).configs(Map.of("retention.ms", "1234567"))));
        Check.equal(3, get(answer.numPartitions(topic)));
        Check.equal(1, get(answer.replicationFactor(topic)));
        Check.equal("1234567", get(answer.config(topic)).get("retention.ms").value());
        Check.equal("delete", get(answer.config(topic)).get("cleanup.policy").value());
        var described = describe(broker, topic);
        Check.equal(get(answer.topicId(topic)), described.topicId());
        Check.equal(3, described.partitions().size());
        described.partitions().forEach(partition -> {
            Check.that(partition.leader() != null, "a leader");
            Check.equal(List.of(partition.leader()), partition.replicas());
            Check.equal(List.of(partition.leader()), partition.isr());
        });
    }

    @Case
    static void creationRefusesWhatCannotBe(Broker broker) throws Exception {
        String name = fresh("topic");
        refused(broker, InvalidPartitionsException.class, new NewTopic(name, 0, (short) 1));
        refused(broker, InvalidReplicationFactorException.class, new NewTopic(name, 1, (short) 3));
        var settings = List.of(
            Map.of("no.such.key", "1"), Map.of("retention.ms", "soon"), Map.of("cleanup.policy", "burn"), Map.of("segment.ms", "0"));
        for (var setting : settings) {
            refused(broker, InvalidConfigurationException.class, new NewTopic(name, 1, (short) 1).configs(setting));
        }
        Check.that(!broker.exists(name), "it was not created");
        refused(broker, TopicExistsException.class, new NewTopic(broker.topic(), 1, (short) 1));
    }

    private static void refused(Broker broker, Class<? extends Throwable> kind, NewTopic topic) {
        for (boolean validateOnly : List.of(false, true)) {
            var options = new CreateTopicsOptions().validateOnly(validateOnly);
            Check.fails(kind, () -> get(broker.admin.createTopics(List.of(topic), options).all()));
        }
    }

    @Case
    static void validateOnlyCreatesNothing(Broker broker) throws Exception {
        String name = fresh("topic");
        var options = new CreateTopicsOptions().validateOnly(true);
        get(broker.admin.createTopics(List.of(new NewTopic(name, 1, (short) 1)), options).all());
        Check.that(!broker.exists(name), "it was not created");
    }

    @Case
    static void defaultsAndManualAssignmentsAreAccepted(Broker broker) throws Exception {
        String byDefault = fresh("topic");
        broker.create(new NewTopic(byDefault, java.util.Optional.empty(), java.util.Optional.empty()));
        Check.that(!describe(broker, byDefault).partitions().isEmpty(), "partitions");
        int node = get(broker.admin.describeCluster().nodes()).iterator().next().id();
        String manual = fresh("topic");
        broker.create(new NewTopic(manual, Map.of(0, List.of(node), 1, List.of(node))));
        Check.equal(2, describe(broker, manual).partitions().size());
    }

    @Case
    static void topicsAreDescribedAndDeletedByTheirId(Broker broker) throws Exception {
        String topic = broker.topic(2);
        Uuid id = describe(broker, topic).topicId();
        var found = get(broker.admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).topicIdValues().get(id));
        Check.equal(topic, found.name());
        get(broker.admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
        Check.until("it is gone", () -> !broker.exists(topic));
        Check.fails(UnknownTopicIdException.class,
            () -> get(broker.admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds()));
        Check.fails(UnknownTopicIdException.class,
            () -> get(broker.admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all()));
    }

    @Case
    static void deletionAndRecreationStartAnew(Broker broker) throws Exception {
        String topic = broker.topic(2);
        Uuid before = describe(broker, topic).topicId();
        broker.produceValues(topic, 10, "old");
        get(broker.admin.deleteTopics(List.of(topic)).all());
        Check.until("it is gone", () -> !broker.exists(topic));
        Check.fails(UnknownTopicOrPartitionException.class, () -> describe(broker, topic));
        broker.create(new NewTopic(topic, 3, (short) 1));
        Check.that(!before.equals(describe(broker, topic).topicId()), "a new id");
        Check.equal(0L, broker.end(topic));
        Check.equal(0L, broker.produceValues(topic, 1, "new").get(0).offset());
        Check.equal("new-0", text(broker.readFrom(topic, 0, 1).get(0).value()));
    }

    @Case
    static void clientsThatKeptTheirConnectionFindTheRecreatedTopic(Broker broker) throws Exception {
        String topic = broker.topic();
        var spot = new TopicPartition(topic, 0);
        try (var producer = broker.producer("linger.ms", 0); var consumer = broker.consumer(fresh("group"))) {
            get(producer.send(new ProducerRecord<>(topic, 0, null, Broker.bytes("old"))));
            consumer.assign(List.of(spot));
            read(consumer, 1);
            get(broker.admin.deleteTopics(List.of(topic)).all());
            Check.until("it is gone", () -> !broker.exists(topic));
            broker.create(new NewTopic(topic, 1, (short) 1));
            get(producer.send(new ProducerRecord<>(topic, 0, null, Broker.bytes("new"))));
            consumer.seekToBeginning(List.of(spot));
            Check.equal("new", text(read(consumer, 1).get(0).value()));
        }
    }

    @Case
    static void partitionsGrowAndNeverShrink(Broker broker) throws Exception {
        String topic = broker.topic(2);
        broker.produceValues(topic, 5, "v");
        grow(broker, topic, 5);
        Check.until("five partitions", () -> describe(broker, topic).partitions().size() == 5);
        broker.produce(Broker.values(topic, 4, 1, "v"));
        Check.equal(5L, broker.end(topic));
        for (int count : List.of(5, 3)) {
            Check.fails(InvalidPartitionsException.class, () -> grow(broker, topic, count));
        }
        Check.fails(UnknownTopicOrPartitionException.class, () -> grow(broker, fresh("absent"), 3));
    }

    private static boolean grow(Broker broker, String topic, int count) throws Exception {
        get(broker.admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(count))).all());
        return true;
    }

    @Case
    static void aPatternFindsNewTopics(Broker broker) throws Exception {
        String word = fresh("pattern");
        broker.produceValues(word + "-a", 3, "v");
        broker.produceValues("other-" + word, 3, "v");
        try (var consumer = broker.consumer(fresh("group"))) {
            consumer.subscribe(Pattern.compile(word + "-.*"));
            read(consumer, 3).forEach(record -> Check.equal(word + "-a", record.topic()));
            consumer.commitSync();
            broker.produceValues(word + "-b", 3, "v");
            read(consumer, 3).forEach(record -> Check.equal(word + "-b", record.topic()));
        }
    }

    @Case
    static void listingsAndPartitionsForAgree(Broker broker) throws Exception {
        String topic = broker.topic(4);
        try (KafkaConsumer<byte[], byte[]> consumer = broker.consumer(null)) {
            Check.equal(4, consumer.partitionsFor(topic).size());
            Check.equal(4, consumer.listTopics().get(topic).size());
            consumer.listTopics().keySet().forEach(name -> Check.that(!name.isEmpty(), "a name"));
        }
        var listing = get(broker.admin.listTopics().namesToListings()).get(topic);
        Check.equal(describe(broker, topic).topicId(), listing.topicId());
        Check.that(!listing.isInternal(), "not internal");
    }

    @Case
    static void aDeletedTopicsPositionsAreGoneWithIt(Broker broker) throws Exception {
        String topic = broker.topic();
        var spot = new TopicPartition(topic, 0);
        try (var consumer = broker.consumer(fresh("group"))) {
            consumer.commitSync(Map.of(spot, new OffsetAndMetadata(7)));
            get(broker.admin.deleteTopics(List.of(topic)).all());
            Check.until("it is gone", () -> !broker.exists(topic));
            broker.create(new NewTopic(topic, 1, (short) 1));
            Check.until("the position is gone", () -> consumer.committed(Set.of(spot)).get(spot) == null);
        }
    }
}
