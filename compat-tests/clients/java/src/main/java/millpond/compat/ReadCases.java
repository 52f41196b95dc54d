package millpond.compat;

import static millpond.compat.Broker.fresh;
import static millpond.compat.Broker.read;
import static millpond.compat.Broker.text;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.LogTruncationException;
import org.apache.kafka.clients.consumer.NoOffsetForPartitionException;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.common.TopicPartition;

/** Reading: positions, seeks, resets, commits, leader epochs, fetch limits. */
final class ReadCases {
    private ReadCases() {
    }

    @Case
    static void commitAndResumeInANewMember(Broker broker) throws Exception {
        String topic = broker.topic();
        String group = fresh("group");
        broker.produceValues(topic, 30, "v");
        try (var first = broker.consumer(group, "max.poll.records", 10)) {
            first.subscribe(List.of(topic));
            read(first, 10);
            first.commitSync();
        }
        try (var second = broker.consumer(group)) {
            second.subscribe(List.of(topic));
            var rest = read(second, 20);
            Check.equal(10L, rest.get(0).offset());
            Check.equal(29L, rest.get(19).offset());
        }
    }

    @Case
    static void committedMetadataAndEpochComeBack(Broker broker) throws Exception {
        var spot = new TopicPartition(broker.topic(2), 0);
        var other = new TopicPartition(spot.topic(), 1);
        try (var consumer = broker.consumer(fresh("group"))) {
            var noted = new OffsetAndMetadata(7, Optional.of(0), "where we were, ümlaut");
            consumer.commitSync(Map.of(spot, noted));
            var found = consumer.committed(Set.of(spot, other));
            Check.equal(noted, found.get(spot));
            Check.equal(null, found.get(other));
        }
    }

    @Case
    static void asynchronousCommitsEndWithTheLast(Broker broker) throws Exception {
        var spot = new TopicPartition(broker.topic(), 0);
        String group = fresh("group");
        try (var consumer = broker.consumer(group)) {
            consumer.assign(List.of(spot));
            for (long offset = 1; offset <= 200; offset++) {
                consumer.commitAsync(Map.of(spot, new OffsetAndMetadata(offset)), null);
            }
            consumer.commitSync(Map.of(spot, new OffsetAndMetadata(201)));
            Check.equal(201L, consumer.committed(Set.of(spot)).get(spot).offset());
        }
    }

    @Case
    static void seeksGoToBeginningEndAndAnywhere(Broker broker) throws Exception {
        var spot = new TopicPartition(broker.topic(), 0);
        broker.produceValues(spot.topic(), 100, "v");
        try (var consumer = broker.consumer(null, "max.poll.records", 1)) {
            consumer.assign(List.of(spot));
            for (long offset : List.of(99L, 0L, 50L)) {
                consumer.seek(spot, offset);
                Check.equal("v-" + offset, text(read(consumer, 1).get(0).value()));
            }
            consumer.seekToEnd(List.of(spot));
            Check.equal(100L, consumer.position(spot));
            consumer.seekToBeginning(List.of(spot));
            Check.equal(0L, consumer.position(spot));
            Check.equal(Map.of(spot, 0L), consumer.beginningOffsets(List.of(spot)));
            Check.equal(Map.of(spot, 100L), consumer.endOffsets(List.of(spot)));
            Check.equal(0L, read(consumer, 1).get(0).offset());
            Check.equal(OptionalLong.of(99), consumer.currentLag(spot));
        }
    }

    @Case
    static void aPositionInsideACompressedBatchStartsThere(Broker broker) throws Exception {
        String topic = broker.topic();
        broker.produceValues(topic, 100, "v", "compression.type", "snappy", "linger.ms", 100);
        for (int offset : List.of(1, 50, 99)) {
            Check.equal("v-" + offset, text(broker.readFrom(topic, offset, 100 - offset).get(0).value()));
        }
    }

    @Case
    static void withoutAResetNoPositionIsAnError(Broker broker) throws Exception {
        var spot = new TopicPartition(broker.topic(), 0);
        broker.produceValues(spot.topic(), 5, "v");
        try (var consumer = broker.consumer(fresh("group"), "auto.offset.reset", "none")) {
            consumer.assign(List.of(spot));
            Check.fails(NoOffsetForPartitionException.class, () -> read(consumer, 1));
            consumer.seek(spot, 99);
            var error = Check.fails(OffsetOutOfRangeException.class, () -> read(consumer, 1));
            Check.equal(Map.of(spot, 99L), error.offsetOutOfRangePartitions());
        }
    }

    @Case
    static void anOffsetOutOfRangeIsReset(Broker broker) throws Exception {
        String topic = broker.topic();
        broker.produceValues(topic, 5, "v");
        Check.equal(0L, broker.readFrom(topic, 99, 5).get(0).offset());
    }

    @Case
    static void resetByDurationGoesBackInTime(Broker broker) throws Exception {
        var spot = new TopicPartition(broker.topic(), 0);
        long now = System.currentTimeMillis();
        broker.produce(List.of(Broker.at(spot.topic(), now - 7_200_000), Broker.at(spot.topic(), now - 60_000)));
        try (var consumer = broker.consumer(null, "auto.offset.reset", "by_duration:PT1H")) {
            consumer.assign(List.of(spot));
            Check.equal(1L, read(consumer, 1).get(0).offset());
        }
    }

    @Case
    static void aPositionWithItsEpochIsValidatedAndRead(Broker broker) throws Exception {
        var spot = new TopicPartition(broker.topic(), 0);
        broker.produceValues(spot.topic(), 10, "v");
        var epoch = broker.readFrom(spot.topic(), 0, 10).get(0).leaderEpoch();
        Check.that(epoch.isPresent(), "records carry a leader epoch");
        try (var consumer = broker.consumer(null)) {
            consumer.assign(List.of(spot));
            consumer.seek(spot, new OffsetAndMetadata(4, epoch, ""));
            Check.equal(4L, read(consumer, 6).get(0).offset());
        }
    }

    @Case
    static void aPositionBeyondTheEndOfItsEpochIsATruncation(Broker broker) throws Exception {
        var spot = new TopicPartition(broker.topic(), 0);
        broker.produceValues(spot.topic(), 10, "v");
        var epoch = broker.readFrom(spot.topic(), 0, 10).get(0).leaderEpoch();
        try (var consumer = broker.consumer(null, "auto.offset.reset", "none")) {
            consumer.assign(List.of(spot));
            consumer.seek(spot, new OffsetAndMetadata(1000, epoch, ""));
            var error = Check.fails(LogTruncationException.class, () -> read(consumer, 1));
            Check.equal(10L, error.divergentOffsets().get(spot).offset());
        }
    }

    @Case
    static void pausedPartitionsAreSilentAndComeBack(Broker broker) throws Exception {
        var first = new TopicPartition(broker.topic(2), 0);
        var second = new TopicPartition(first.topic(), 1);
        broker.produce(Broker.values(first.topic(), 0, 10, "a"));
        broker.produce(Broker.values(first.topic(), 1, 10, "b"));
        try (var consumer = broker.consumer(null)) {
            consumer.assign(List.of(first, second));
            consumer.pause(List.of(first));
            read(consumer, 10).forEach(record -> Check.equal(1, record.partition()));
            consumer.resume(List.of(first));
            read(consumer, 10).forEach(record -> Check.equal(0, record.partition()));
        }
    }

    @Case
    static void aFetchWaitsForDataAndWakesWithIt(Broker broker) throws Exception {
        var spot = new TopicPartition(broker.topic(), 0);
        try (var consumer = broker.consumer(null, "fetch.max.wait.ms", 30_000, "fetch.min.bytes", 1)) {
            consumer.assign(List.of(spot));
            Check.that(consumer.poll(Duration.ofMillis(300)).isEmpty(), "nothing is there yet");
            long start = System.nanoTime();
            broker.produceValues(spot.topic(), 1, "v");
            read(consumer, 1);
            long waited = Duration.ofNanos(System.nanoTime() - start).toSeconds();
            Check.that(waited < 15, "woken by the record, not by the end of the wait: " + waited + " s");
        }
    }

    @Case
    static void minBytesHoldsAFetchBackUntilTheWaitIsOver(Broker broker) throws Exception {
        var spot = new TopicPartition(broker.topic(), 0);
        broker.produceValues(spot.topic(), 1, "v");
        try (var consumer = broker.consumer(null, "fetch.max.wait.ms", 1500, "fetch.min.bytes", 100_000)) {
            consumer.assign(List.of(spot));
            consumer.seek(spot, 0);
            consumer.position(spot);
            long start = System.nanoTime();
            read(consumer, 1);
            long waited = Duration.ofNanos(System.nanoTime() - start).toMillis();
            Check.that(waited >= 1200, "the answer came after " + waited + " ms");
        }
    }

    @Case
    static void smallLimitsReadEveryPartitionInTurn(Broker broker) throws Exception {
        String topic = broker.topic(5);
        for (int partition = 0; partition < 5; partition++) {
            broker.produce(Broker.values(topic, partition, 200, "x".repeat(200)), "batch.size", 1000);
        }
        Object[] limits = {"max.partition.fetch.bytes", 1000, "fetch.max.bytes", 2000};
        try (var consumer = broker.consumer(null, limits)) {
            consumer.assign(consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList());
            var next = new long[5];
            for (var record : read(consumer, 1000)) {
                Check.equal(next[record.partition()]++, record.offset());
            }
        }
    }

    @Case
    static void aLongSessionFollowsManyPartitions(Broker broker) throws Exception {
        String topic = broker.topic(30);
        try (var consumer = broker.consumer(null); var producer = broker.producer("linger.ms", 0)) {
            consumer.assign(consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList());
            for (int round = 0; round < 60; round++) {
                int partition = round * 7 % 30;
                var sent = Broker.values(topic, partition, 2, "r" + round);
                for (var record : sent) {
                    producer.send(record);
                }
                check(consumer, partition, round);
            }
        }
    }

    private static void check(KafkaConsumer<byte[], byte[]> consumer, int partition, int round) {
        for (var record : read(consumer, 2)) {
            Check.equal(partition, record.partition());
            Check.that(text(record.value()).startsWith("r" + round + "-"), text(record.value()));
        }
    }
}
