package millpond.compat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.common.TopicPartition;

/**
 * A member of a group that notes what it is given and what is taken. Members are polled in turn by one thread, so that a
 * case sees each change in order. Commits what it read whenever partitions are taken from it.
 */
final class Member implements AutoCloseable, ConsumerRebalanceListener {
    final KafkaConsumer<byte[], byte[]> consumer;
    final Set<TopicPartition> owned = new HashSet<>();
    final List<String> read = new ArrayList<>();
    final List<Collection<TopicPartition>> taken = new ArrayList<>();
    int changes;

    Member(Broker broker, String group, String topic, Object... settings) {
        var all = new ArrayList<Object>(List.of(
            "partition.assignment.strategy", RangeAssignor.class.getName(), "session.timeout.ms", 10_000,
            "heartbeat.interval.ms", 500));
        all.addAll(List.of(settings));
        consumer = broker.consumer(group, all.toArray());
        consumer.subscribe(List.of(topic), this);
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        owned.addAll(partitions);
        changes++;
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        taken.add(partitions);
        changes++;
        consumer.commitSync();
        owned.removeAll(partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        owned.removeAll(partitions);
        changes++;
    }

    void poll() {
        consumer.poll(Duration.ofMillis(20)).forEach(record -> read.add(Broker.text(record.value())));
    }

    @Override
    public void close() {
        consumer.close();
    }

    /** Polls all members in turn until {@code done}. */
    static void pollUntil(String what, List<Member> members, Callable<Boolean> done) throws Exception {
        Check.until(what, () -> {
            members.forEach(Member::poll);
            return done.call();
        });
    }

    /** Whether the members own all the partitions, each exactly one owner, in equal parts (to within one). */
    static boolean fair(List<Member> members, int partitions) {
        var all = new HashSet<TopicPartition>();
        members.forEach(member -> all.addAll(member.owned));
        int sum = members.stream().mapToInt(member -> member.owned.size()).sum();
        int least = members.stream().mapToInt(member -> member.owned.size()).min().orElse(0);
        int most = members.stream().mapToInt(member -> member.owned.size()).max().orElse(0);
        return all.size() == partitions && sum == partitions && most - least <= 1;
    }
}
