package millpond.compat;

import static millpond.compat.Broker.get;
import static millpond.compat.Broker.text;
import static millpond.compat.Broker.values;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InconsistentGroupProtocolException;
import org.apache.kafka.common.errors.InvalidRequestException;

/** Dotted names, path names and short names: each of them in every place, one topic behind all of them. */
final class NameCases {
    static final String DOTTED = "trading.taq.trades";
    static final String PATH = "/trading/taq:trades";
    static final String SHORT = "taq.trades";

    private NameCases() {
    }

    /** Where a topic is, and what it is called there. */
    record Place(String address, String name) {
        /** Reads exactly so many records as a group's only member, and commits. */
        List<ConsumerRecord<byte[], byte[]>> group(String group, int count) throws Exception {
            try (var broker = new Broker(address); var consumer = broker.consumer(group)) {
                consumer.subscribe(List.of(name));
                var records = Broker.read(consumer, count);
                consumer.commitSync();
                return records;
            }
        }

        void produce(String prefix, int count) throws Exception {
            try (var broker = new Broker(address)) {
                broker.produceValues(name, count, prefix);
            }
        }
    }

    static List<String> texts(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(record -> text(record.value())).toList();
    }

    private static List<String> sent(String prefix, int count) {
        return values("", 0, count, prefix).stream().map(record -> text(record.value())).toList();
    }

    @Case
    static void everyNameIsTheSameTopicToAProducerAndAGroup(Millpond millpond) throws Exception {
        millpond.volume("trading", 1);
        String main = millpond.kafka;
        String listener = millpond.listen("trading");
        var places = List.of(new Place(main, DOTTED), new Place(main, PATH), new Place(listener, SHORT),
            new Place(listener, PATH), new Place(listener, DOTTED));
        // Positions are the topic's, whatever it is called: each member goes on where the one before it stopped.
        for (int i = 0; i < places.size(); i++) {
            places.get(i).produce("v" + i, 10);
            var records = places.get(i).group("readers", 10);
            Check.equal(sent("v" + i, 10), texts(records));
            Check.equal(places.get(i).name(), records.get(0).topic());
            Check.equal(10L * i, records.get(0).offset());
        }
    }

    @Case
    static void theNamesOfAVolumeAreThoseOfItsCloneOnItsListener(Millpond millpond) throws Exception {
        millpond.volume("trading", 1);
        var live = new Place(millpond.kafka, PATH);
        live.produce("both", 5);
        millpond.snapshot("trading", "close");
        millpond.clone("trading@close", "version2");
        var clone = new Place(millpond.listen("version2"), PATH);
        clone.produce("clone", 5);
        live.produce("live", 5);
        var both = sent("both", 5);
        Check.equal(Stream.concat(both.stream(), sent("clone", 5).stream()).toList(), texts(clone.group("readers", 10)));
        Check.equal(Stream.concat(both.stream(), sent("live", 5).stream()).toList(), texts(live.group("readers", 10)));
    }

    @Case
    static void listsHaveEachTopicOnceAndDescriptionsAnyName(Millpond millpond) throws Exception {
        millpond.volume("trading", 3);
        try (var main = new Broker(millpond.kafka); var listener = new Broker(millpond.listen("trading"))) {
            Check.equal(Set.of(SHORT), get(listener.admin.listTopics().names()));
            Check.equal(Set.of(DOTTED), get(main.admin.listTopics().names()));
            main.create(new NewTopic("/trading/taq:quotes", 2, (short) 1).configs(Map.of("retention.ms", "1234567")));
            for (String quotes : List.of("trading.taq.quotes", "/trading/taq:quotes")) {
                var described = get(main.admin.describeTopics(List.of(quotes, PATH)).allTopicNames());
                Check.equal(2, described.get(quotes).partitions().size());
                Check.equal(3, described.get(PATH).partitions().size());
            }
        }
    }

    @Case
    static void twoNamesOfATopicInOneClient(Millpond millpond) throws Exception {
        millpond.volume("trading", 1);
        try (var broker = new Broker(millpond.kafka); var consumer = broker.consumer(null)) {
            broker.produce(both(), "enable.idempotence", false);
            var spots = List.of(new TopicPartition(DOTTED, 0), new TopicPartition(PATH, 0));
            consumer.assign(spots);
            var records = Broker.read(consumer, 20);
            for (var spot : spots) {
                Check.equal(10L, records.stream().filter(record -> record.topic().equals(spot.topic())).count());
            }
            Check.equal(2, get(broker.admin.describeTopics(List.of(DOTTED, PATH)).allTopicNames()).size());
        }
    }

    private static List<ProducerRecord<byte[], byte[]>> both() {
        return Stream.of(DOTTED, PATH).flatMap(name -> values(name, 0, 5, name).stream()).toList();
    }

    /** It counts a sequence for each name: what looks like a duplicate is none, and must not vanish with success. */
    @Case
    static void anIdempotentProducerUnderTwoNamesIsToldSo(Millpond millpond) throws Exception {
        millpond.volume("trading", 1);
        try (var broker = new Broker(millpond.kafka); var producer = broker.producer("retries", 3)) {
            for (var record : values(DOTTED, 0, 5, "v")) {
                get(producer.send(record));
            }
            var refused = Check.fails(InvalidRequestException.class, () -> get(producer.send(values(PATH, 0, 1, "no").get(0))));
            Check.that(refused.getMessage().contains("another name"), refused.getMessage());
            Check.equal(5L, broker.end(DOTTED));
        }
    }

    @Case
    static void aGroupWithTwoNamesOfATopicIsRefused(Millpond millpond) throws Exception {
        millpond.volume("trading", 2);
        try (var broker = new Broker(millpond.kafka);
             var first = new Member(broker, "readers", DOTTED);
             var second = new Member(broker, "readers", PATH);
             var alone = broker.consumer("others")) {
            Member.pollUntil("the first has its partitions", List.of(first), () -> first.owned.size() == 2);
            broker.produceValues(PATH, 10, "once");
            Check.fails(InconsistentGroupProtocolException.class, () -> {
                Member.pollUntil("the second is refused", List.of(first, second), () -> false);
                return null;
            });
            Member.pollUntil("the first goes on", List.of(first), () -> first.read.size() == 10);
            Check.equal(List.of(), second.read);
            alone.subscribe(List.of(DOTTED, PATH));
            Check.fails(InconsistentGroupProtocolException.class, () -> Broker.read(alone, 1));
        }
    }
}
