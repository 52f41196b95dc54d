package millpond.compat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;

/** Offsets by time and by every other question; deleted records. */
final class OffsetCases {
    private OffsetCases() {
    }

    /** The offset that {@code offsetsForTimes} gives for each time; −1 where it gives none. */
    private static List<Long> byTime(Broker broker, String topic, long... times) {
        var spot = new TopicPartition(topic, 0);
        List<Long> found = new ArrayList<>();
        try (var consumer = broker.consumer(null)) {
            for (long time : times) {
                var answer = consumer.offsetsForTimes(Map.of(spot, time)).get(spot);
                found.add(answer == null ? -1 : answer.offset());
            }
        }
        return found;
    }

    private static void produceAt(Broker broker, String topic, List<Long> times, Object... settings) throws Exception {
        broker.produce(times.stream().map(time -> Broker.at(topic, time)).toList(), settings);
    }

    private static ListOffsetsResultInfo ask(Broker broker, String topic, OffsetSpec spec) throws Exception {
        return ask(broker, topic, spec, IsolationLevel.READ_UNCOMMITTED);
    }

    private static ListOffsetsResultInfo ask(Broker broker, String topic, OffsetSpec spec, IsolationLevel level) throws Exception {
        var spot = new TopicPartition(topic, 0);
        return Broker.get(broker.admin.listOffsets(Map.of(spot, spec), new ListOffsetsOptions(level)).partitionResult(spot));
    }

    private static void equal(long offset, long timestamp, ListOffsetsResultInfo found) {
        Check.equal(List.of(offset, timestamp), List.of(found.offset(), found.timestamp()));
    }

    @Case
    static void offsetsForTimesIsExactInsideABatch(Broker broker) throws Exception {
        for (String codec : ProduceCases.CODECS) {
            String topic = broker.topic();
            var times = LongStream.range(0, 100).map(i -> 1000 + 10 * i).boxed().toList();
            produceAt(broker, topic, times, "compression.type", codec, "linger.ms", 100);
            Check.equal(
                List.of(0L, 0L, 1L, 1L, 56L, 56L, 99L, -1L, -1L),
                byTime(broker, topic, 0, 1000, 1001, 1010, 1555, 1560, 1990, 1991, 5000));
        }
    }

    @Case
    static void offsetsForTimesGivesTheTimeItFound(Broker broker) throws Exception {
        String topic = broker.topic();
        produceAt(broker, topic, List.of(100L, 200L, 300L));
        var spot = new TopicPartition(topic, 0);
        try (var consumer = broker.consumer(null)) {
            var found = consumer.offsetsForTimes(Map.of(spot, 150L)).get(spot);
            Check.equal(1L, found.offset());
            Check.equal(200L, found.timestamp());
            Check.that(found.leaderEpoch().isPresent(), "a leader epoch");
        }
    }

    @Case
    static void offsetsForTimesFindsTheFirstThoughTimesGoBack(Broker broker) throws Exception {
        String topic = broker.topic();
        for (var times : List.of(List.of(100L, 50L, 300L, 200L), List.of(150L, 400L, 10L), List.of(300L))) {
            produceAt(broker, topic, times, "linger.ms", 100);
        }
        Check.equal(
            List.of(0L, 0L, 2L, 2L, 5L, 5L, -1L), byTime(broker, topic, 1, 100, 101, 250, 301, 400, 401));
    }

    @Case
    static void offsetsForTimesOverManyBatchesAndPartitions(Broker broker) throws Exception {
        String topic = broker.topic();
        try (var producer = broker.producer("linger.ms", 0)) {
            for (long time = 0; time < 500; time++) {
                producer.send(Broker.at(topic, 1_000_000 + 7 * time));
            }
        }
        for (long wanted = 0; wanted < 500; wanted += 49) {
            Check.equal(List.of(wanted, wanted), byTime(broker, topic, 1_000_000 + 7 * wanted, 1_000_000 + 7 * wanted - 6));
        }
    }

    @Case
    static void listOffsetsKnowsEverySpec(Broker broker) throws Exception {
        String topic = broker.topic();
        equal(0, -1, ask(broker, topic, OffsetSpec.earliest()));
        equal(0, -1, ask(broker, topic, OffsetSpec.latest()));
        equal(-1, -1, ask(broker, topic, OffsetSpec.maxTimestamp()));
        equal(-1, -1, ask(broker, topic, OffsetSpec.forTimestamp(0)));
        produceAt(broker, topic, List.of(100L, 900L, 300L), "linger.ms", 100);
        produceAt(broker, topic, List.of(200L, 900L, 800L), "linger.ms", 100);
        equal(0, -1, ask(broker, topic, OffsetSpec.earliest()));
        equal(6, -1, ask(broker, topic, OffsetSpec.latest()));
        equal(6, -1, ask(broker, topic, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED));
        equal(1, 900, ask(broker, topic, OffsetSpec.maxTimestamp()));
        equal(1, 900, ask(broker, topic, OffsetSpec.forTimestamp(250)));
        equal(-1, -1, ask(broker, topic, OffsetSpec.forTimestamp(901)));
        equal(0, -1, ask(broker, topic, OffsetSpec.earliestLocal()));
        equal(-1, -1, ask(broker, topic, OffsetSpec.latestTiered()));
    }

    @Case
    static void maxTimestampIsExactUnderCompression(Broker broker) throws Exception {
        for (String codec : ProduceCases.CODECS) {
            String topic = broker.topic();
            produceAt(broker, topic, List.of(5L, 9L, 7L, 9L, 1L), "compression.type", codec, "linger.ms", 100);
            produceAt(broker, topic, List.of(8L, 2L), "compression.type", codec, "linger.ms", 100);
            equal(1, 9, ask(broker, topic, OffsetSpec.maxTimestamp()));
        }
    }

    @Case
    static void deletedRecordsAreGone(Broker broker) throws Exception {
        String topic = broker.topic();
        produceAt(broker, topic, LongStream.range(0, 50).map(i -> 1000 + i).boxed().toList());
        Check.equal(20L, delete(broker, topic, 20));
        equal(20, -1, ask(broker, topic, OffsetSpec.earliest()));
        equal(20, -1, ask(broker, topic, OffsetSpec.earliestLocal()));
        Check.equal(List.of(20L, 49L, -1L), byTime(broker, topic, 1, 1049, 1050));
        Check.equal(20L, broker.readFrom(topic, 20, 30).get(0).offset());
        Check.equal(20L, delete(broker, topic, 5));
        Check.fails(OffsetOutOfRangeException.class, () -> delete(broker, topic, 51));
        Check.equal(50L, delete(broker, topic, -1));
        equal(50, -1, ask(broker, topic, OffsetSpec.earliest()));
        Check.equal(50L, broker.produceValues(topic, 1, "v").get(0).offset());
    }

    private static long delete(Broker broker, String topic, long before) throws Exception {
        var spot = new TopicPartition(topic, 0);
        var answer = broker.admin.deleteRecords(Map.of(spot, RecordsToDelete.beforeOffset(before)));
        return Broker.get(answer.lowWatermarks().get(spot)).lowWatermark();
    }

    @Case
    static void manyPartitionsAreAskedAtOnce(Broker broker) throws Exception {
        String topic = broker.topic(20);
        broker.produce(Broker.values(topic, 7, 5, "v"));
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        for (int partition = 0; partition < 20; partition++) {
            asked.put(new TopicPartition(topic, partition), OffsetSpec.latest());
        }
        var found = Broker.get(broker.admin.listOffsets(asked).all());
        found.forEach((spot, info) -> Check.equal(spot.partition() == 7 ? 5L : 0L, info.offset()));
        Check.equal(20, found.size());
    }
}
