package compat

// What every test is made of: where the broker is, fresh names, short ways to produce and consume, each with a limit.
//
// A test makes its own topics and groups and may run beside any other. Those of volumes start a broker of their own.

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// bootstrap is the broker under test.
func bootstrap(t *testing.T) string {
	t.Helper()
	address := os.Getenv("MILLPOND_BOOTSTRAP")
	if address == "" {
		t.Fatal("MILLPOND_BOOTSTRAP names no broker")
	}
	return address
}

// fresh is a name that no other test and no other run uses.
func fresh(kind string) string {
	return "go-" + kind + "-" + rand.Text()[:12]
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must is a call's value, if there was no error: must(call())(t).
func must[V any](value V, err error) func(*testing.T) V {
	return func(t *testing.T) V {
		t.Helper()
		ok(t, err)
		return value
	}
}

func same[V comparable](t *testing.T, what string, expected, got V) {
	t.Helper()
	if expected != got {
		t.Fatalf("%s: expected %v, got %v", what, expected, got)
	}
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// until asks again and again, with a pause where what is asked does not wait itself.
func until(t *testing.T, what string, asked func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !asked(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// client is a franz-go client that chooses partitions by hand and refreshes what it knows quickly.
func client(t *testing.T, address string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	all := []kgo.Opt{
		kgo.SeedBrokers(address), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.FetchMaxWait(100 * time.Millisecond), kgo.MetadataMinAge(100 * time.Millisecond), kgo.MetadataMaxAge(time.Second),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}
	made := must(kgo.NewClient(append(all, options...)...))(t)
	t.Cleanup(made.Close)
	return made
}

// member is one of a group, which commits when told to.
func member(t *testing.T, address, group, topic string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	all := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(300 * time.Millisecond)}
	return client(t, address, append(all, options...)...)
}

// values are prefix-0 to prefix-(count-1), to partition 0.
func values(topic, prefix string, count int) []*kgo.Record {
	records := make([]*kgo.Record, count)
	for i := range records {
		records[i] = &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%s-%d", prefix, i)}
	}
	return records
}

func produce(t *testing.T, address string, records []*kgo.Record, options ...kgo.Opt) {
	t.Helper()
	producer := client(t, address, options...)
	defer producer.Close()
	ok(t, producer.ProduceSync(bounded(t), records...).FirstErr())
}

// consume is the next count records. A member that was sent away tells so and joins again by itself.
func consume(t *testing.T, consumer *kgo.Client, count int) []*kgo.Record {
	t.Helper()
	var records []*kgo.Record
	for ctx := bounded(t); len(records) < count; {
		fetches := consumer.PollFetches(ctx)
		for _, failed := range fetches.Errors() {
			if sentAway := (*kgo.ErrGroupSession)(nil); !errors.As(failed.Err, &sentAway) {
				t.Fatalf("%d of %d records, then %v of %s", len(records), count, failed.Err, failed.Topic)
			}
		}
		records = append(records, fetches.Records()...)
	}
	same(t, "records", count, len(records))
	return records
}

// group reads exactly count records as the only member of a group, and commits them.
func group(t *testing.T, address, name, topic string, count int) []*kgo.Record {
	t.Helper()
	reader := member(t, address, name, topic)
	defer reader.Close()
	records := consume(t, reader, count)
	ok(t, reader.CommitUncommittedOffsets(bounded(t)))
	return records
}

// texts joins the values of records.
func texts(records []*kgo.Record) string {
	text := ""
	for _, record := range records {
		text += string(record.Value) + " "
	}
	return text
}

// ends is how many records the partitions of a topic have, if none was ever deleted.
func ends(t *testing.T, asks *kgo.Client, topic string) (count int) {
	t.Helper()
	must(kadm.NewClient(asks).ListEndOffsets(bounded(t), topic))(t).Each(func(end kadm.ListedOffset) { count += int(end.Offset) })
	return count
}
