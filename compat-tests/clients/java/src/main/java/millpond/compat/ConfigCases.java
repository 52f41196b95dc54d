package millpond.compat;

import static millpond.compat.Broker.fresh;
import static millpond.compat.Broker.get;

import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Configurations of topics and brokers: described, set, deleted, appended to, refused. */
final class ConfigCases {
    private ConfigCases() {
    }

    private static ConfigResource topicOf(String name) {
        return new ConfigResource(ConfigResource.Type.TOPIC, name);
    }

    private static Config describe(Broker broker, ConfigResource resource) throws Exception {
        var options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        return get(broker.admin.describeConfigs(List.of(resource), options).values().get(resource));
    }

    private static Map<String, String> values(Broker broker, String topic) throws Exception {
        Map<String, String> found = new HashMap<>();
        describe(broker, topicOf(topic)).entries().forEach(entry -> found.put(entry.name(), entry.value()));
        return found;
    }

    private static boolean alter(Broker broker, String topic, boolean validateOnly, AlterConfigOp... operations) throws Exception {
        Map<ConfigResource, Collection<AlterConfigOp>> wanted = Map.of(topicOf(topic), List.of(operations));
        get(broker.admin.incrementalAlterConfigs(wanted, new AlterConfigsOptions().validateOnly(validateOnly)).all());
        return true;
    }

    private static AlterConfigOp operation(OpType type, String key, String value) {
        return new AlterConfigOp(new ConfigEntry(key, value), type);
    }

    @Case
    static void everyKeyHasValueSourceTypeSynonymsAndWords(Broker broker) throws Exception {
        String topic = broker.topic(1, Map.of("retention.ms", "1234567"));
        var found = describe(broker, topicOf(topic));
        for (ConfigEntry entry : found.entries()) {
            Check.that(entry.type() != ConfigEntry.ConfigType.UNKNOWN, entry.name() + " has a type");
            Check.that(entry.source() != ConfigSource.UNKNOWN, entry.name() + " has a source");
            Check.that(entry.documentation() != null && !entry.documentation().isEmpty(), entry.name() + " has words");
            Check.that(!entry.isReadOnly(), entry.name() + " can be changed");
        }
        var retention = found.get("retention.ms");
        Check.equal("1234567", retention.value());
        Check.equal(ConfigSource.DYNAMIC_TOPIC_CONFIG, retention.source());
        Check.equal(ConfigEntry.ConfigType.LONG, retention.type());
        Check.equal("retention.ms", retention.synonyms().get(0).name());
        var segment = found.get("segment.bytes");
        Check.equal("1073741824", segment.value());
        Check.equal(ConfigSource.DEFAULT_CONFIG, segment.source());
        Check.that(segment.isDefault(), "it is a default");
    }

    @Case
    static void theKeysThatToolsReadAreThere(Broker broker) throws Exception {
        var found = values(broker, broker.topic()).keySet();
        var missing = new HashSet<>(List.of(
            "cleanup.policy", "compression.type", "max.message.bytes", "message.timestamp.after.max.ms",
            "message.timestamp.before.max.ms", "message.timestamp.type", "min.insync.replicas", "retention.bytes",
            "retention.ms", "segment.bytes", "segment.ms"));
        missing.removeAll(found);
        Check.that(missing.isEmpty(), "missing: " + missing);
    }

    @Case
    static void setThenDeleteGoesBackToTheDefault(Broker broker) throws Exception {
        String topic = broker.topic();
        var before = values(broker, topic);
        alter(broker, topic, false,
            operation(OpType.SET, "retention.ms", "7200000"), operation(OpType.SET, "max.message.bytes", "12345"));
        Check.until("the set values", () -> {
            var found = values(broker, topic);
            return found.get("retention.ms").equals("7200000") && found.get("max.message.bytes").equals("12345");
        });
        alter(broker, topic, false,
            operation(OpType.DELETE, "retention.ms", ""), operation(OpType.DELETE, "max.message.bytes", ""));
        Check.until("the defaults", () -> values(broker, topic).equals(before));
    }

    @Case
    static void listsAreAppendedToAndSubtractedFrom(Broker broker) throws Exception {
        String topic = broker.topic();
        alter(broker, topic, false, operation(OpType.APPEND, "cleanup.policy", "delete"));
        Check.equal("delete", values(broker, topic).get("cleanup.policy"));
        for (OpType type : List.of(OpType.APPEND, OpType.SUBTRACT)) {
            Check.fails(InvalidConfigurationException.class,
                () -> alter(broker, topic, false, operation(type, "retention.ms", "5")));
        }
    }

    @Case
    static void badSettingsAreRefusedAsAWhole(Broker broker) throws Exception {
        String topic = broker.topic();
        var before = values(broker, topic);
        String[][] bad = {
            {"no.such.key", "1"}, {"retention.ms", "soon"}, {"segment.bytes", "1"}, {"min.insync.replicas", "0"},
            {"compression.type", "rar"}, {"message.timestamp.type", "Never"}, {"max.message.bytes", "-1"},
        };
        for (String[] pair : bad) {
            Check.fails(InvalidConfigurationException.class, () -> alter(broker, topic, false,
                operation(OpType.SET, "retention.bytes", "777"), operation(OpType.SET, pair[0], pair[1])));
        }
        alter(broker, topic, true, operation(OpType.SET, "retention.ms", "1000"));
        Check.equal(before, values(broker, topic));
    }

    @Case
    static void anAbsentTopicHasNoSettings(Broker broker) {
        String absent = fresh("absent");
        Check.fails(UnknownTopicOrPartitionException.class, () -> describe(broker, topicOf(absent)));
        Check.fails(UnknownTopicOrPartitionException.class,
            () -> alter(broker, absent, false, operation(OpType.SET, "retention.ms", "1")));
    }

    @Case
    static void theBrokersSettingsAreDescribed(Broker broker) throws Exception {
        int node = get(broker.admin.describeCluster().nodes()).iterator().next().id();
        var found = describe(broker, new ConfigResource(ConfigResource.Type.BROKER, Integer.toString(node)));
        for (String key : List.of("message.max.bytes", "num.partitions", "auto.create.topics.enable", "log.retention.ms")) {
            Check.that(found.get(key) != null, key);
        }
    }
}
