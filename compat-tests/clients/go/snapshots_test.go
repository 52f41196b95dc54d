package compat

// Snapshots, read by groups under every name: all as it was, nothing written, positions of their own.

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	alias        = "trading.-close.taq.trades"
	snapshotPath = "/trading/.snapshot/close/taq:trades"
)

func TestASnapshotIsReadByAGroupUnderEveryName(t *testing.T) {
	t.Parallel()
	m := start(t, 1)
	sent := values(dotted, "v", 20)
	for i, record := range sent {
		record.Key, record.Timestamp = fmt.Append(nil, i), time.UnixMilli(int64(1_000_000+i))
		record.Headers = []kgo.RecordHeader{{Key: "h", Value: []byte{byte(i)}}, {Key: "h", Value: nil}}
	}
	produce(t, m.kafka, sent)
	m.snapshot("trading", "close")
	produce(t, m.kafka, values(dotted, "later", 20))
	listener := m.listen("127.0.0.1:0", "trading@close")
	for i, place := range []place{
		{m.kafka, alias}, {m.kafka, snapshotPath}, {listener, short}, {listener, path}, {listener, alias},
	} {
		readers := fmt.Sprint("readers", i)
		for i, record := range group(t, place.address, readers, place.name, 20) {
			same(t, "record of "+place.name, facts(sent[i]), facts(record))
		}
		ends := must(kadm.NewClient(client(t, place.address)).ListEndOffsets(bounded(t), place.name))(t)
		same(t, "end of "+place.name, 20, ends[place.name][0].Offset)
	}
}

func TestAWriteToASnapshotIsRefusedAndTheProducerGoesOn(t *testing.T) {
	t.Parallel()
	m := start(t, 1)
	m.snapshot("trading", "close")
	producer := client(t, m.kafka)
	for _, name := range []string{alias, snapshotPath} {
		err := producer.ProduceSync(bounded(t), values(name, "no", 1)...).FirstErr()
		same(t, fmt.Sprint("refused: ", err), true, errors.Is(err, kerr.PolicyViolation))
		ok(t, producer.ProduceSync(bounded(t), values(dotted, "yes", 1)...).FirstErr())
	}
}

func TestPositionsOnASnapshotGoWithIt(t *testing.T) {
	t.Parallel()
	m := start(t, 1)
	produce(t, m.kafka, values(dotted, "v", 20))
	group(t, m.kafka, "readers", dotted, 20)
	m.snapshot("trading", "close")
	committed := func(readers string) int64 { return committed(t, m.kafka, readers, alias) }
	same(t, "the position at the cut", 20, committed("readers"))
	group(t, m.kafka, "others", alias, 20)
	same(t, "committed on the snapshot", 20, committed("others"))
	m.restart()
	same(t, "committed on the snapshot, after a restart", 20, committed("others"))
	m.deleteSnapshot("trading", "close")
	m.snapshot("trading", "close")
	same(t, "on another snapshot of that name", -1, committed("others"))
}

// What a consumer of a pattern sees: volumes, however many snapshots and clones there are.
func TestPatternsAndListsDoNotSeeSnapshotsAndClones(t *testing.T) {
	t.Parallel()
	m := start(t, 1)
	create := func(topic string) { m.call("POST", "/v1/topics", fields{"name": topic, "partitions": 1}) }
	create("plain")
	reader := member(t, m.kafka, "readers", ".*", kgo.ConsumeRegex())
	produce(t, m.kafka, values(dotted, "early", 10))
	consume(t, reader, 10)
	m.crowd()
	produce(t, m.kafka, values("clone7.taq.trades", "clone", 10))
	group(t, m.kafka, "others", "trading.-s999.taq.trades", 10)
	listed := must(kadm.NewClient(client(t, m.kafka)).ListTopics(bounded(t)))(t).Names()
	same(t, "topics", fmt.Sprint([]string{"plain", dotted}), fmt.Sprint(listed))
	// A later topic is seen, so that the pattern was looked at again with all of them there.
	create("later")
	produce(t, m.kafka, values("later", "later", 10))
	produce(t, m.kafka, values(dotted, "late", 10))
	for _, record := range consume(t, reader, 20) {
		same(t, "read of "+record.Topic, true, record.Topic == "later" || record.Topic == dotted)
	}
	matched := reader.GetConsumeTopics()
	slices.Sort(matched)
	same(t, "matched", fmt.Sprint([]string{"later", "plain", dotted}), fmt.Sprint(matched))
}

// committed is a position that is asked for by name: kadm asks for all that a group has, and is not told of those on snapshots.
func committed(t *testing.T, address, readers, topic string) int64 {
	t.Helper()
	named := kmsg.NewOffsetFetchRequestGroupTopic()
	named.Topic, named.Partitions = topic, []int32{0}
	asked := kmsg.NewOffsetFetchRequestGroup()
	asked.Group, asked.Topics = readers, []kmsg.OffsetFetchRequestGroupTopic{named}
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Groups = []kmsg.OffsetFetchRequestGroup{asked}
	answer := must(request.RequestWith(bounded(t), client(t, address)))(t)
	return answer.Groups[0].Topics[0].Partitions[0].Offset
}
