package millpond.compat;

import static millpond.compat.Broker.bytes;
import static millpond.compat.Broker.text;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;

/**
 * One idempotent producer that writes a counter into every partition, and one member of a group that reads them, over
 * whatever happens to the volume below them; and what must be true of both then.
 */
final class Live implements AutoCloseable {
    static final int PARTITIONS = 3;
    /** How many records a partition gets between two events. */
    private static final int STRETCH = 40;

    /** A record as far as it matters here. */
    private record Entry(long offset, String value) {
    }

    private final Broker broker;
    private final String topic;
    private final KafkaProducer<byte[], byte[]> producer;
    private final KafkaConsumer<byte[], byte[]> member;
    /** Held for a round of records; {@link #settle} holds it for longer. */
    private final ReentrantLock turn = new ReentrantLock(true);
    private final int[] counter = new int[PARTITIONS];
    private final int[] acked = new int[PARTITIONS];
    private final List<List<Entry>> read = IntStream.range(0, PARTITIONS).<List<Entry>>mapToObj(i -> new ArrayList<>()).toList();
    private final List<Thread> threads;
    private volatile boolean stopped;
    private Throwable trouble;

    Live(String address, String topic) {
        this.broker = new Broker(address);
        this.topic = topic;
        // Small enough that the broker's pauses hold the writer up.
        producer = broker.producer("linger.ms", 0, "batch.size", 200, "buffer.memory", 20_000, "reconnect.backoff.max.ms", 200);
        member = broker.consumer("readers", "heartbeat.interval.ms", 300, "reconnect.backoff.max.ms", 200);
        threads = List.of(new Thread(() -> guarded(this::write)), new Thread(() -> guarded(this::follow)));
        threads.forEach(Thread::start);
    }

    private void guarded(Step step) {
        try {
            while (!stopped) {
                step.run();
            }
        } catch (Exception exception) {
            fail(exception);
        }
    }

    private interface Step {
        void run() throws Exception;
    }

    private void write() throws InterruptedException {
        turn.lock();
        try {
            for (int partition = 0; partition < PARTITIONS; partition++) {
                int at = partition;
                var record = new ProducerRecord<byte[], byte[]>(topic, at, null, bytes(Integer.toString(counter[at]++)));
                producer.send(record, (place, error) -> acknowledged(at, error));
            }
        } finally {
            turn.unlock();
        }
        // A pace, not a wait.
        Thread.sleep(3);
    }

    private synchronized void acknowledged(int partition, Exception error) {
        if (error != null) {
            fail(error);
        }
        acked[partition]++;
    }

    private synchronized void fail(Throwable error) {
        if (trouble == null && !stopped) {
            trouble = error;
        }
    }

    private void follow() {
        if (member.subscription().isEmpty()) {
            member.subscribe(List.of(topic));
        }
        var records = member.poll(Duration.ofMillis(100));
        synchronized (this) {
            records.forEach(record -> read.get(record.partition()).add(new Entry(record.offset(), text(record.value()))));
        }
        try {
            member.commitSync();
        } catch (CommitFailedException | RetriableException exception) {
            // The member was sent away: the next poll lets it join again.
            return;
        }
    }

    private synchronized <T> T look(Supplier<T> at) {
        if (trouble != null) {
            throw new AssertionError("a client gave up", trouble);
        }
        return at.get();
    }

    /** How much the group has read until now, by partition. */
    List<Integer> mark() {
        return look(() -> read.stream().map(List::size).toList());
    }

    /** Waits until a stretch more was acknowledged in every partition, and the group has read something, too. */
    void advance() throws Exception {
        int[] before = look(acked::clone);
        var readBefore = mark();
        Check.until("records are acknowledged and read in every partition", () -> {
            int[] now = look(acked::clone);
            var readNow = mark();
            return IntStream.range(0, PARTITIONS).allMatch(p -> now[p] >= before[p] + STRETCH && readNow.get(p) > readBefore.get(p));
        });
    }

    /** Holds the producer for a moment, reads the log anew, and checks it and what the group read since the mark. */
    void settle(List<Integer> mark) throws Exception {
        turn.lock();
        try {
            producer.flush();
            var logs = logs();
            Check.until("the group has read to the end", () -> look(() -> IntStream.range(0, PARTITIONS).allMatch(p ->
                read.get(p).size() > mark.get(p) && last(read.get(p)).equals(last(logs.get(p))))));
            for (int p = 0; p < PARTITIONS; p++) {
                int at = p;
                var since = look(() -> List.copyOf(read.get(at).subList(mark.get(at), read.get(at).size())));
                checkRead(logs.get(p), checkLog(logs.get(p), counter[p] - 1), since);
            }
        } finally {
            turn.unlock();
        }
    }

    private static Entry last(List<Entry> entries) {
        return entries.get(entries.size() - 1);
    }

    /** All partitions from their beginning, read with a new client. */
    private List<List<Entry>> logs() {
        try (var reader = broker.consumer(null)) {
            var spots = IntStream.range(0, PARTITIONS).mapToObj(p -> new TopicPartition(topic, p)).toList();
            reader.assign(spots);
            long count = reader.endOffsets(spots).values().stream().mapToLong(Long::longValue).sum();
            var records = Broker.read(reader, (int) count);
            return spots.stream().map(spot -> records.stream().filter(record -> record.partition() == spot.partition())
                .map(record -> new Entry(record.offset(), text(record.value()))).toList()).toList();
        }
    }

    /** One history, then, at the offset that is returned, the other one, without a gap or a duplicate within either. */
    private static int checkLog(List<Entry> log, int lastCounter) {
        List<Integer> branches = new ArrayList<>();
        for (int i = 0; i < log.size(); i++) {
            Check.equal((long) i, log.get(i).offset);
            int expected = i > 0 ? Integer.parseInt(log.get(i - 1).value) + 1 : 0;
            int found = Integer.parseInt(log.get(i).value);
            Check.that(found >= expected, found + " behind " + (expected - 1));
            if (found > expected) {
                branches.add(i);
            }
        }
        Check.that(branches.size() == 1, "places where histories meet: " + branches);
        Check.equal(Integer.toString(lastCounter), last(log).value);
        return branches.get(0);
    }

    /** From the first record of the new history on, the group sees that history only, and all of it. */
    private static void checkRead(List<Entry> log, int branch, List<Entry> read) {
        boolean switched = false;
        for (Entry found : read) {
            boolean is = found.offset < log.size() && log.get((int) found.offset).equals(found);
            switched = switched || is && found.offset >= branch;
            Check.that(is || !switched, found + " was read behind records of the history that has it not");
        }
        var missed = new ArrayList<>(log.subList(branch, log.size()));
        missed.removeAll(new HashSet<>(read));
        Check.equal(List.of(), missed);
    }

    @Override
    public void close() throws InterruptedException {
        stopped = true;
        for (Thread thread : threads) {
            thread.join();
        }
        producer.close(Duration.ofSeconds(1));
        member.close();
        broker.close();
    }
}
