package compat

// Sarama: its own protocol code, and versions pinned by its configuration rather than asked for.

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

func saramaConfig(version sarama.KafkaVersion) *sarama.Config {
	config := sarama.NewConfig()
	config.Version = version
	config.Producer.Return.Successes = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	config.Metadata.RefreshFrequency = time.Second
	return config
}

func saramaProduce(t *testing.T, address, topic string, config *sarama.Config, texts ...string) []int64 {
	t.Helper()
	producer := must(sarama.NewSyncProducer([]string{address}, config))(t)
	defer producer.Close()
	var offsets []int64
	for _, text := range texts {
		_, offset, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(text)})
		ok(t, err)
		offsets = append(offsets, offset)
	}
	return offsets
}

// saramaMember ends its session when it has read and marked as many as it wants.
type saramaMember struct {
	wants int
	read  []string
	done  context.CancelFunc
}

func (m *saramaMember) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (m *saramaMember) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (m *saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.read = append(m.read, string(message.Value))
		session.MarkMessage(message, "")
		if len(m.read) == m.wants {
			session.Commit()
			m.done()
		}
	}
	return nil
}

// saramaGroup reads exactly as many records as a group's only member, of a topic with one partition.
func saramaGroup(t *testing.T, address, name, topic string, config *sarama.Config, wants int) []string {
	t.Helper()
	group := must(sarama.NewConsumerGroup([]string{address}, name, config))(t)
	defer group.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	member := &saramaMember{wants: wants, done: cancel}
	for ctx.Err() == nil {
		ok(t, group.Consume(ctx, []string{topic}, member))
	}
	same(t, "records of "+topic, wants, len(member.read))
	return member.read
}

func TestSaramaOfSeveralVersionsProducesAndConsumesInAGroup(t *testing.T) {
	t.Parallel()
	for _, version := range []sarama.KafkaVersion{sarama.V1_0_0_0, sarama.V2_1_0_0, sarama.MaxVersion} {
		name, config := topic(t, 1), saramaConfig(version)
		texts := []string{"a", "b", "c"}
		same(t, "offsets", "[0 1 2]", fmt.Sprint(saramaProduce(t, bootstrap(t), name, config, texts...)))
		readers := fresh("group")
		same(t, "values", fmt.Sprint(texts), fmt.Sprint(saramaGroup(t, bootstrap(t), readers, name, config, 3)))
		saramaProduce(t, bootstrap(t), name, config, "d")
		same(t, "values after a commit", "[d]", fmt.Sprint(saramaGroup(t, bootstrap(t), readers, name, config, 1)))
	}
}

func TestSaramaFindsOffsetsByTimeAndAdministers(t *testing.T) {
	t.Parallel()
	name, config := fresh("topic"), saramaConfig(sarama.MaxVersion)
	admin := must(sarama.NewClusterAdmin([]string{bootstrap(t)}, config))(t)
	defer admin.Close()
	ok(t, admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false))
	producer := must(sarama.NewSyncProducer([]string{bootstrap(t)}, config))(t)
	defer producer.Close()
	for second := range int64(10) {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: name, Timestamp: time.Unix(second, 0)})
		ok(t, err)
	}
	asks := must(sarama.NewClient([]string{bootstrap(t)}, config))(t)
	defer asks.Close()
	same(t, "offset", 7, must(asks.GetOffset(name, 0, 6500))(t))
	same(t, "end", 10, must(asks.GetOffset(name, 0, sarama.OffsetNewest))(t))
	ok(t, admin.CreatePartitions(name, 2, nil, false))
	until(t, "it has two partitions", func() bool { return must(admin.ListTopics())(t)[name].NumPartitions == 2 })
	ok(t, admin.DeleteTopic(name))
}

func TestSaramaTakesEveryName(t *testing.T) {
	t.Parallel()
	m := start(t, 1)
	config := saramaConfig(sarama.MaxVersion)
	for i, place := range m.everyPlace() {
		saramaProduce(t, place.address, place.name, config, fmt.Sprint(i))
		same(t, "read by "+place.name, fmt.Sprintf("[%d]", i), fmt.Sprint(saramaGroup(t, place.address, "readers", place.name, config, 1)))
	}
	asks := must(sarama.NewClient([]string{m.kafka}, config))(t)
	defer asks.Close()
	same(t, "listed", true, slices.Equal([]string{dotted}, must(asks.Topics())(t)))
}
