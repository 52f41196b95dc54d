package millpond.compat;

import static millpond.compat.Broker.bytes;
import static millpond.compat.Broker.get;
import static millpond.compat.Broker.values;
import static millpond.compat.NameCases.DOTTED;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import millpond.compat.NameCases.Place;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.PolicyViolationException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** Snapshots, read by groups under every name: all as it was, nothing written, positions of their own; and listings. */
final class SnapshotCases {
    private static final String ALIAS = "trading.-close.taq.trades";
    private static final String PATH = "/trading/.snapshot/close/taq:trades";

    private SnapshotCases() {
    }

    @Case
    static void aSnapshotIsReadByAGroupUnderEveryName(Millpond millpond) throws Exception {
        millpond.volume("trading", 1);
        List<ProducerRecord<byte[], byte[]>> sent = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            List<Header> headers = List.of(new RecordHeader("h", bytes("h" + i)), new RecordHeader("h", (byte[]) null));
            sent.add(new ProducerRecord<>(DOTTED, 0, 1_000_000L + i, bytes("k" + i), bytes("v" + i), headers));
        }
        try (var broker = new Broker(millpond.kafka)) {
            broker.produce(sent);
            millpond.snapshot("trading", "close");
            broker.produceValues(DOTTED, 20, "later");
        }
        String listener = millpond.listen("trading@close");
        var places = List.of(new Place(millpond.kafka, ALIAS), new Place(millpond.kafka, PATH), new Place(listener, "taq.trades"),
            new Place(listener, NameCases.PATH), new Place(listener, ALIAS));
        for (Place place : places) {
            var read = place.group("readers of " + places.indexOf(place), 20);
            for (int i = 0; i < 20; i++) {
                isAsSent(sent.get(i), i, read.get(i));
            }
            try (var broker = new Broker(place.address())) {
                Check.equal(20L, broker.end(place.name()));
            }
        }
    }

    private static void isAsSent(ProducerRecord<byte[], byte[]> sent, long offset, ConsumerRecord<byte[], byte[]> read) {
        Check.equal(offset, read.offset());
        Check.equal(sent.timestamp(), read.timestamp());
        Check.equal(sent.headers(), read.headers());
        Check.that(Arrays.equals(sent.key(), read.key()) && Arrays.equals(sent.value(), read.value()), read);
    }

    @Case
    static void aWriteToASnapshotIsRefusedAndTheProducerGoesOn(Millpond millpond) throws Exception {
        millpond.volume("trading", 1);
        millpond.snapshot("trading", "close");
        try (var broker = new Broker(millpond.kafka); var producer = broker.producer()) {
            for (String name : List.of(ALIAS, PATH)) {
                var refused = Check.fails(PolicyViolationException.class, () -> get(producer.send(values(name, 0, 1, "no").get(0))));
                Check.that(refused.getMessage().contains("snapshot"), refused.getMessage());
                get(producer.send(values(DOTTED, 0, 1, "yes").get(0)));
            }
        }
    }

    @Case
    static void positionsOnASnapshotGoWithIt(Millpond millpond) throws Exception {
        millpond.volume("trading", 1);
        new Place(millpond.kafka, DOTTED).produce("v", 20);
        new Place(millpond.kafka, DOTTED).group("readers", 20);
        millpond.snapshot("trading", "close");
        Check.equal(20L, committed(millpond, "readers"));
        new Place(millpond.kafka, ALIAS).group("others", 20);
        Check.equal(20L, committed(millpond, "others"));
        millpond.restart();
        Check.equal(20L, committed(millpond, "others"));
        millpond.deleteSnapshot("trading", "close");
        millpond.snapshot("trading", "close");
        Check.equal(null, committed(millpond, "others"));
    }

    private static Long committed(Millpond millpond, String group) {
        try (var broker = new Broker(millpond.kafka); var consumer = broker.consumer(group)) {
            var spot = new TopicPartition(ALIAS, 0);
            var found = consumer.committed(Set.of(spot)).get(spot);
            return found == null ? null : found.offset();
        }
    }

    /** What MirrorMaker and a consumer of a pattern see: volumes, however many snapshots and clones there are. */
    @Case
    static void patternsAndListsDoNotSeeSnapshotsAndClones(Millpond millpond) throws Exception {
        millpond.volume("trading", 1);
        try (var broker = new Broker(millpond.kafka); var member = broker.consumer("readers")) {
            broker.create(new NewTopic("plain", 1, (short) 1));
            var names = Set.of("plain", DOTTED);
            member.subscribe(Pattern.compile(".*"));
            broker.produceValues(DOTTED, 10, "early");
            Broker.read(member, 10);
            member.commitSync();
            millpond.snapshots("trading", "s", 1000);
            for (int i = 0; i < 20; i++) {
                millpond.clone("trading@s" + i, "clone" + i);
            }
            new Place(millpond.kafka, "clone7.taq.trades").produce("clone", 10);
            new Place(millpond.kafka, "trading.-s999.taq.trades").group("others", 10);
            Check.equal(names, get(broker.admin.listTopics().names()));
            var seen = new HashSet<>(member.listTopics().keySet());
            seen.remove("__consumer_offsets");
            Check.equal(names, seen);
            // A later topic is seen, so that the pattern was looked at again with all of them there.
            broker.create(new NewTopic("later", 1, (short) 1));
            broker.produceValues("later", 10, "later");
            broker.produceValues(DOTTED, 10, "late");
            Set<String> read = new HashSet<>();
            Check.until("both are read", () -> {
                member.poll(Duration.ofMillis(100)).forEach(record -> read.add(record.topic()));
                return read.containsAll(Set.of("later", DOTTED));
            });
            Check.equal(Set.of("later", DOTTED), read);
            var assigned = member.assignment().stream().map(TopicPartition::topic).collect(Collectors.toSet());
            Check.equal(Stream.of("plain", "later", DOTTED).collect(Collectors.toSet()), assigned);
        }
    }
}
