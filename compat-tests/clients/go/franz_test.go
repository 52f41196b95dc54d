package compat

// franz-go: records, groups, time and administration, as against any Kafka broker.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topic makes one on the broker under test.
func topic(t *testing.T, partitions int32) string {
	t.Helper()
	name := fresh("topic")
	must(kadm.NewClient(client(t, bootstrap(t))).CreateTopic(bounded(t), partitions, 1, nil, name))(t)
	return name
}

func TestEveryCodecAndEveryPartOfARecordComesBack(t *testing.T) {
	t.Parallel()
	codecs := []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	}
	for number, codec := range codecs {
		name := topic(t, 1)
		sent := &kgo.Record{
			Topic: name, Key: []byte("key"), Value: slices.Repeat([]byte("value"), 100), Timestamp: time.UnixMilli(1_234_567_890_123),
			Headers: []kgo.RecordHeader{{Key: "a", Value: []byte{1}}, {Key: "b", Value: []byte{2}}, {Key: "a", Value: []byte{3}}},
		}
		produce(t, bootstrap(t), []*kgo.Record{sent}, kgo.ProducerBatchCompression(codec))
		got := consume(t, client(t, bootstrap(t), kgo.ConsumeTopics(name)), 1)[0]
		same(t, fmt.Sprint("codec ", number), facts(sent), facts(got))
	}
}

// facts are what a record is, but for where it came from.
func facts(r *kgo.Record) string {
	return fmt.Sprintf("%d %d %s=%s %v", r.Offset, r.Timestamp.UnixMilli(), r.Key, r.Value, r.Headers)
}

func TestAnIdempotentProducerWithManyInFlightKeepsOrder(t *testing.T) {
	t.Parallel()
	name := topic(t, 1)
	produce(t, bootstrap(t), values(name, "v", 2000), kgo.ProducerBatchMaxBytes(1024))
	same(t, "values", texts(values(name, "v", 2000)), texts(consume(t, client(t, bootstrap(t), kgo.ConsumeTopics(name)), 2000)))
}

func TestTwoMembersOfAGroupShareAndOneTakesOver(t *testing.T) {
	t.Parallel()
	name, readers := topic(t, 4), fresh("group")
	var members [2]*kgo.Client
	for i := range members {
		members[i] = member(t, bootstrap(t), readers, name)
	}
	admin := kadm.NewClient(client(t, bootstrap(t)))
	share := func() (counts []int) {
		for _, member := range must(admin.DescribeGroups(bounded(t), readers))(t)[readers].Members {
			if assigned, is := member.Assigned.AsConsumer(); is {
				for _, of := range assigned.Topics {
					counts = append(counts, len(of.Partitions))
				}
			}
		}
		return counts
	}
	until(t, "each has two partitions", func() bool {
		for _, member := range members {
			poll(member)
		}
		return slices.Equal([]int{2, 2}, share())
	})
	members[0].Close()
	until(t, "the other has all four", func() bool { poll(members[1]); return slices.Equal([]int{4}, share()) })
}

// poll lets a member take part in its group.
func poll(member *kgo.Client) kgo.Fetches {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	return member.PollFetches(ctx)
}

func TestOffsetsByTime(t *testing.T) {
	t.Parallel()
	name := topic(t, 1)
	records := values(name, "v", 10)
	for i, record := range records {
		record.Timestamp = time.UnixMilli(int64(1000 * i))
	}
	produce(t, bootstrap(t), records)
	at := kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(6500))
	found := consume(t, client(t, bootstrap(t), kgo.ConsumeTopics(name), at), 3)
	same(t, "values", "v-7 v-8 v-9 ", texts(found))
	listed := must(kadm.NewClient(client(t, bootstrap(t))).ListOffsetsAfterMilli(bounded(t), 3000, name))(t)
	same(t, "offset", 3, listed[name][0].Offset)
}

func TestTopicsGroupsAndSettingsAreAdministered(t *testing.T) {
	t.Parallel()
	name, readers := topic(t, 1), fresh("group")
	admin := kadm.NewClient(client(t, bootstrap(t)))
	produce(t, bootstrap(t), values(name, "v", 10))
	group(t, bootstrap(t), readers, name, 10)
	same(t, "committed", 10, must(admin.FetchOffsets(bounded(t), readers))(t)[name][0].At)
	same(t, "lag", 0, must(admin.Lag(bounded(t), readers))(t)[readers].Lag.Total())

	ok(t, must(admin.CreatePartitions(bounded(t), 2, name))(t)[name].Err)
	same(t, "partitions", 3, len(must(admin.ListTopics(bounded(t), name))(t)[name].Partitions))
	change := kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("1234567")}
	ok(t, must(admin.AlterTopicConfigs(bounded(t), []kadm.AlterConfig{change}, name))(t)[0].Err)
	settings := must(must(admin.DescribeTopicConfigs(bounded(t), name))(t).On(name, nil))(t)
	kept := slices.ContainsFunc(settings.Configs, func(c kadm.Config) bool { return c.Key == "retention.ms" && c.MaybeValue() == "1234567" })
	same(t, "the setting is kept", true, kept)

	before := kadm.Offsets{}
	before.AddOffset(name, 0, 4, -1)
	must(admin.DeleteRecords(bounded(t), before))(t)
	same(t, "log start", 4, must(admin.ListStartOffsets(bounded(t), name))(t)[name][0].Offset)
	ok(t, must(admin.DeleteGroup(bounded(t), readers))(t).Err)
	ok(t, must(admin.DeleteTopic(bounded(t), name))(t).Err)
	_, err := admin.DeleteTopic(bounded(t), name)
	same(t, "gone", true, errors.Is(err, kerr.UnknownTopicOrPartition))
}
