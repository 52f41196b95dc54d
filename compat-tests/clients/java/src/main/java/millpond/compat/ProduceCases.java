package millpond.compat;

import static millpond.compat.Broker.bytes;
import static millpond.compat.Broker.get;
import static millpond.compat.Broker.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTimestampException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;

/** Producing: acknowledgements, idempotence, codecs, headers, sizes, timestamps. */
final class ProduceCases {
    static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");

    private ProduceCases() {
    }

    @Case
    static void everyKindOfAcknowledgementArrivesInOrder(Broker broker) throws Exception {
        for (String acks : List.of("0", "1", "all")) {
            String topic = broker.topic();
            var places = broker.produceValues(topic, 200, "v", "acks", acks, "enable.idempotence", false);
            var read = broker.readFrom(topic, 0, 200);
            for (int i = 0; i < 200; i++) {
                Check.equal("v-" + i, text(read.get(i).value()));
                Check.equal((long) i, read.get(i).offset());
                if (!acks.equals("0")) {
                    Check.equal((long) i, places.get(i).offset());
                }
            }
        }
    }

    @Case
    static void idempotentByDefaultKeepsOrderWithFiveInFlight(Broker broker) throws Exception {
        String topic = broker.topic();
        var places = broker.produceValues(topic, 5000, "v", "batch.size", 100, "linger.ms", 0);
        Check.equal(LongStream.range(0, 5000).boxed().toList(), places.stream().map(RecordMetadata::offset).toList());
        var read = broker.readFrom(topic, 0, 5000);
        for (int i = 0; i < 5000; i++) {
            Check.equal("v-" + i, text(read.get(i).value()));
        }
    }

    @Case
    static void everyCodecComesBackAsSent(Broker broker) throws Exception {
        String words = "the same words over and over ".repeat(40);
        for (String codec : CODECS) {
            for (boolean idempotent : List.of(false, true)) {
                String topic = broker.topic();
                broker.produceValues(topic, 200, words, "compression.type", codec, "enable.idempotence", idempotent, "linger.ms", 20);
                var read = broker.readFrom(topic, 0, 200);
                for (int i = 0; i < 200; i++) {
                    Check.equal(words + "-" + i, text(read.get(i).value()));
                }
            }
        }
    }

    @Case
    static void aRecordIsVisibleOnceAcks1HasAnswered(Broker broker) throws Exception {
        String topic = broker.topic();
        var spot = new TopicPartition(topic, 0);
        try (var producer = broker.producer("acks", "1", "enable.idempotence", false, "linger.ms", 0);
             var consumer = broker.consumer(null)) {
            for (long i = 0; i < 100; i++) {
                Check.equal(i, get(producer.send(new ProducerRecord<>(topic, bytes("x")))).offset());
                Check.equal(i + 1, consumer.endOffsets(List.of(spot)).get(spot));
            }
        }
    }

    @Case
    static void headersKeepOrderDuplicatesNullsAndBytes(Broker broker) throws Exception {
        String topic = broker.topic();
        List<Header> headers = List.of(
            new RecordHeader("a", bytes("1")), new RecordHeader("b", new byte[] {-1, 0, -2}), new RecordHeader("a", bytes("2")),
            new RecordHeader("empty", new byte[0]), new RecordHeader("null", (byte[]) null), new RecordHeader("", bytes("no key")));
        for (String codec : CODECS) {
            var record = new ProducerRecord<>(topic, 0, null, bytes("k"), bytes("v"), headers);
            broker.produce(List.of(record), "compression.type", codec);
        }
        for (var record : broker.readFrom(topic, 0, CODECS.size())) {
            Check.equal(headers, Arrays.asList(record.headers().toArray()));
        }
    }

    @Case
    static void nullAndEmptyAreToldApart(Broker broker) throws Exception {
        String topic = broker.topic();
        String[][] pairs = {{null, null}, {"", null}, {null, ""}, {"", ""}, {"k", null}, {null, "v"}};
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (String[] pair : pairs) {
            records.add(new ProducerRecord<>(topic, 0, bytes(pair[0]), bytes(pair[1])));
        }
        broker.produce(records);
        var read = broker.readFrom(topic, 0, pairs.length);
        for (int i = 0; i < pairs.length; i++) {
            Check.equal(Arrays.asList(pairs[i]), Arrays.asList(text(read.get(i).key()), text(read.get(i).value())));
        }
    }

    @Case
    static void aRecordOverTheLimitIsRefusedAndTheNextIsNot(Broker broker) throws Exception {
        String topic = broker.topic();
        try (var producer = broker.producer("max.request.size", 4_000_000)) {
            var big = new ProducerRecord<byte[], byte[]>(topic, 0, null, new byte[1_100_000]);
            Check.fails(RecordTooLargeException.class, () -> get(producer.send(big)));
            var small = new ProducerRecord<byte[], byte[]>(topic, 0, null, new byte[900_000]);
            Check.equal(0L, get(producer.send(small)).offset());
        }
    }

    @Case
    static void aBatchOverTheLimitIsSplitByTheClient(Broker broker) throws Exception {
        String topic = broker.topic(1, Map.of("max.message.bytes", "3000"));
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            records.add(new ProducerRecord<>(topic, 0, null, bytes("x".repeat(1000) + i)));
        }
        broker.produce(records, "linger.ms", 200, "batch.size", 100_000);
        var read = broker.readFrom(topic, 0, 20);
        for (int i = 0; i < 20; i++) {
            Check.equal("x".repeat(1000) + i, text(read.get(i).value()));
        }
    }

    @Case
    static void aTopicsOwnLimitMayBeLarger(Broker broker) throws Exception {
        String topic = broker.topic(1, Map.of("max.message.bytes", "6000000"));
        byte[] body = new byte[5_000_000];
        Arrays.fill(body, (byte) 7);
        broker.produce(List.of(new ProducerRecord<>(topic, 0, null, body)), "max.request.size", 8_000_000);
        var read = broker.readFrom(topic, 0, 1, "max.partition.fetch.bytes", 1000, "fetch.max.bytes", 1000);
        Check.that(Arrays.equals(body, read.get(0).value()), "another body");
    }

    @Case
    static void createTimeIsTheClients(Broker broker) throws Exception {
        String topic = broker.topic();
        List<Long> times = List.of(1_700_000_000_123L, 1_600_000_000_000L, 0L, 1_700_000_000_000L);
        var places = broker.produce(times.stream().map(time -> Broker.at(topic, time)).toList(), "linger.ms", 50);
        Check.equal(times, places.stream().map(RecordMetadata::timestamp).toList());
        for (var record : broker.readFrom(topic, 0, times.size())) {
            Check.equal(TimestampType.CREATE_TIME, record.timestampType());
            Check.equal(times.get((int) record.offset()), record.timestamp());
        }
    }

    @Case
    static void logAppendTimeIsTheBrokersAndIsTold(Broker broker) throws Exception {
        String topic = broker.topic(1, Map.of("message.timestamp.type", "LogAppendTime"));
        for (String codec : CODECS) {
            long before = System.currentTimeMillis();
            var place = broker.produce(List.of(Broker.at(topic, 1000)), "compression.type", codec).get(0);
            long after = System.currentTimeMillis();
            Check.that(before <= place.timestamp() && place.timestamp() <= after, place.timestamp());
            var record = broker.readFrom(topic, place.offset(), 1).get(0);
            Check.equal(TimestampType.LOG_APPEND_TIME, record.timestampType());
            Check.equal(place.timestamp(), record.timestamp());
        }
    }

    @Case
    static void timesFarFromTheBrokersClockAreRefusedWhereTheTopicSaysSo(Broker broker) throws Exception {
        String topic = broker.topic(1, Map.of("message.timestamp.before.max.ms", "60000", "message.timestamp.after.max.ms", "60000"));
        long now = System.currentTimeMillis();
        for (long time : List.of(now - 600_000, now + 600_000)) {
            Check.fails(InvalidTimestampException.class, () -> broker.produce(List.of(Broker.at(topic, time))));
        }
        broker.produce(List.of(Broker.at(topic, now)));
        Check.equal(1L, broker.end(topic));
    }

    @Case
    static void timesFarAheadAreRefusedByDefaultAndOldOnesAreNot(Broker broker) throws Exception {
        String topic = broker.topic();
        long ahead = System.currentTimeMillis() + 2 * 3_600_000;
        Check.fails(InvalidTimestampException.class, () -> broker.produce(List.of(Broker.at(topic, ahead))));
        broker.produce(List.of(Broker.at(topic, 1)));
        Check.equal(1L, broker.end(topic));
    }

    @Case
    static void anIllegalTopicNameIsAFinalError(Broker broker) {
        var record = new ProducerRecord<byte[], byte[]>("with space", bytes("x"));
        Check.fails(InvalidTopicException.class, () -> broker.produce(List.of(record)));
    }

    @Case
    static void manyPartitionsInOneRequestAllArrive(Broker broker) throws Exception {
        String topic = broker.topic(50);
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < 5000; i++) {
            records.add(new ProducerRecord<>(topic, i % 50, null, bytes(Integer.toString(i))));
        }
        broker.produce(records, "linger.ms", 50);
        try (var consumer = broker.consumer(null)) {
            var spots = consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
            consumer.assign(spots);
            var next = new int[50];
            for (var record : Broker.read(consumer, 5000)) {
                Check.equal(Integer.toString(record.partition() + 50 * next[record.partition()]++), text(record.value()));
            }
        }
    }
}
