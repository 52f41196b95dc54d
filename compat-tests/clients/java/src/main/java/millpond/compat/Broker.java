package millpond.compat;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The broker under test, and short ways to make topics, clients and records. */
final class Broker implements AutoCloseable {
    final String address;
    final Admin admin;

    Broker(String address) {
        this.address = address;
        this.admin = Admin.create(Map.of("bootstrap.servers", address));
    }

    @Override
    public void close() {
        admin.close();
    }

    /** A name that no other case and no other run uses. */
    static String fresh(String kind) {
        return "java-" + kind + "-" + UUID.randomUUID().toString().substring(0, 13);
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    /** Waits for a future with a limit. */
    static <T> T get(Future<T> future) throws Exception {
        return future.get(Check.LIMIT.toSeconds(), TimeUnit.SECONDS);
    }

    String topic() throws Exception {
        return topic(1, Map.of());
    }

    String topic(int partitions) throws Exception {
        return topic(partitions, Map.of());
    }

    String topic(int partitions, Map<String, String> configs) throws Exception {
        String name = fresh("topic");
        create(new NewTopic(name, partitions, (short) 1).configs(configs));
        return name;
    }

    void create(NewTopic topic) throws Exception {
        get(admin.createTopics(List.of(topic)).all());
    }

    KafkaProducer<byte[], byte[]> producer(Object... settings) {
        Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", address, "linger.ms", 2));
        return new KafkaProducer<>(with(all, settings), new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** A consumer that reads from the beginning and commits only when told to. */
    KafkaConsumer<byte[], byte[]> consumer(String group, Object... settings) {
        Map<String, Object> all = new HashMap<>(Map.of(
            "bootstrap.servers", address,
            "auto.offset.reset", "earliest",
            "enable.auto.commit", false,
            "fetch.max.wait.ms", 100,
            "metadata.max.age.ms", 1000,
            "default.api.timeout.ms", (int) Check.LIMIT.toMillis()));
        if (group != null) {
            all.put("group.id", group);
        }
        return new KafkaConsumer<>(with(all, settings), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static Map<String, Object> with(Map<String, Object> all, Object... settings) {
        for (int i = 0; i < settings.length; i += 2) {
            all.put((String) settings[i], settings[i + 1]);
        }
        return all;
    }

    /** Sends records in order; gives where each went; throws the first error. */
    List<RecordMetadata> produce(List<ProducerRecord<byte[], byte[]>> records, Object... settings) throws Exception {
        try (var producer = producer(settings)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (var record : records) {
                sent.add(producer.send(record));
            }
            producer.flush();
            List<RecordMetadata> places = new ArrayList<>();
            for (var future : sent) {
                places.add(get(future));
            }
            return places;
        }
    }

    /** Sends {@code prefix-0} to {@code prefix-(count-1)} to partition 0. */
    List<RecordMetadata> produceValues(String topic, int count, String prefix, Object... settings) throws Exception {
        return produce(values(topic, 0, count, prefix), settings);
    }

    static List<ProducerRecord<byte[], byte[]>> values(String topic, int partition, int count, String prefix) {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            records.add(new ProducerRecord<>(topic, partition, null, bytes(prefix + "-" + i)));
        }
        return records;
    }

    static ProducerRecord<byte[], byte[]> at(String topic, long time) {
        return new ProducerRecord<>(topic, 0, time, null, bytes(Long.toString(time)));
    }

    /** Exactly {@code count} records of a consumer that is assigned or subscribed. */
    static List<ConsumerRecord<byte[], byte[]>> read(KafkaConsumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
        long deadline = System.nanoTime() + Check.LIMIT.toNanos();
        while (found.size() < count) {
            consumer.poll(Duration.ofMillis(100)).forEach(found::add);
            Check.that(System.nanoTime() < deadline, found.size() + " of " + count + " records in " + Check.LIMIT);
        }
        Check.equal(count, found.size());
        return found;
    }

    /** All that partition 0 has from {@code offset} on, which must be {@code count} records; read without a group. */
    List<ConsumerRecord<byte[], byte[]>> readFrom(String topic, long offset, int count, Object... settings) {
        try (var consumer = consumer(null, settings)) {
            var spot = new TopicPartition(topic, 0);
            consumer.assign(List.of(spot));
            consumer.seek(spot, offset);
            return read(consumer, count);
        }
    }

    /** The log end of partition 0, as a new consumer is told. */
    long end(String topic) {
        try (var consumer = consumer(null)) {
            var spot = new TopicPartition(topic, 0);
            return consumer.endOffsets(List.of(spot)).get(spot);
        }
    }

    /** Whether the broker lists this topic. */
    boolean exists(String topic) throws InterruptedException, ExecutionException {
        return admin.listTopics().names().get().contains(topic);
    }
}
