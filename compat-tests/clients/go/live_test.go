package compat

// A live producer and a live group, over whatever happens to the volume below them, and what must be true of both then.

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const partitions = 3

// How many records a partition gets between two events.
const stretch = 40

// live is one idempotent producer that writes a counter into every partition, and one member of a group that reads them. Where histories
// meet, the counter jumps.
type live struct {
	t              *testing.T
	address, topic string
	producer       *kgo.Client
	// Held for a round of records; settle holds it for longer.
	turn    sync.Mutex
	counter [partitions]int

	mu    sync.Mutex
	acked [partitions]int
	read  [partitions][]entry
	lost  error
}

// entry is a record as far as it matters here.
type entry struct {
	offset int64
	value  string
}

// goLive starts one whose counter begins with a number.
func goLive(t *testing.T, address, topic string, first int) *live {
	t.Helper()
	l := &live{t: t, address: address, topic: topic, counter: [partitions]int{first, first, first}}
	l.producer = client(t, address, kgo.MaxBufferedRecords(60), kgo.ProducerOnDataLossDetected(func(topic string, partition int32) {
		l.fail(fmt.Errorf("the producer lost its sequence in %s/%d", topic, partition))
	}))
	reader := member(t, address, "readers", topic)
	ctx, stop := context.WithCancel(context.Background())
	var both sync.WaitGroup
	both.Go(func() { l.write(ctx) })
	both.Go(func() { l.follow(ctx, reader) })
	t.Cleanup(func() { stop(); both.Wait() })
	return l
}

func (l *live) write(ctx context.Context) {
	for pace := time.NewTicker(3 * time.Millisecond); ctx.Err() == nil; <-pace.C {
		l.turn.Lock()
		for partition := range partitions {
			record := &kgo.Record{Topic: l.topic, Partition: int32(partition), Value: strconv.AppendInt(nil, int64(l.counter[partition]), 10)}
			l.counter[partition]++
			l.producer.Produce(ctx, record, func(record *kgo.Record, err error) {
				if err != nil {
					l.fail(fmt.Errorf("record %s of partition %d: %w", record.Value, partition, err))
				}
				l.mu.Lock()
				l.acked[partition]++
				l.mu.Unlock()
			})
		}
		l.turn.Unlock()
	}
}

// follow reads and commits. Errors are not the member's end: it is for the client to go on.
func (l *live) follow(ctx context.Context, member *kgo.Client) {
	for ctx.Err() == nil {
		fetches := member.PollFetches(ctx)
		l.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			l.read[r.Partition] = append(l.read[r.Partition], entry{r.Offset, string(r.Value)})
		})
		l.mu.Unlock()
		_ = member.CommitUncommittedOffsets(ctx)
	}
}

// fail notes the first error of a producer that is still wanted.
func (l *live) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil {
		l.lost = err
	}
}

// look gives a copy of what happened so far; the test ends if the producer failed.
func (l *live) look() (acked [partitions]int, read [partitions][]entry) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	ok(l.t, l.lost)
	for partition := range partitions {
		read[partition] = slices.Clone(l.read[partition])
	}
	return l.acked, read
}

// advance waits until a stretch more was acknowledged in every partition, and the group has read something, too.
func (l *live) advance() {
	l.t.Helper()
	before, readBefore := l.look()
	until(l.t, "records are acknowledged and read in every partition", func() bool {
		acked, read := l.look()
		for partition := range partitions {
			if acked[partition] < before[partition]+stretch || len(read[partition]) == len(readBefore[partition]) {
				return false
			}
		}
		return true
	})
}

// mark is how much the group has read until now.
func (l *live) mark() (lengths [partitions]int) {
	_, read := l.look()
	for partition := range partitions {
		lengths[partition] = len(read[partition])
	}
	return lengths
}

// settle holds the producer for a moment, reads the log anew, and checks it, in which histories meet at so many places, and what the group
// read since the mark.
func (l *live) settle(mark [partitions]int, places int) {
	l.t.Helper()
	l.turn.Lock()
	defer l.turn.Unlock()
	ok(l.t, l.producer.Flush(bounded(l.t)))
	logs := l.log()
	until(l.t, "the group has read to the end", func() bool {
		_, read := l.look()
		for partition := range partitions {
			if len(read[partition]) == mark[partition] || last(read[partition]) != last(logs[partition]) {
				return false
			}
		}
		return true
	})
	_, read := l.look()
	for partition := range partitions {
		branch := l.checkLog(partition, logs[partition], places)
		l.checkRead(logs[partition], branch, read[partition][mark[partition]:])
	}
}

func last(entries []entry) entry { return entries[len(entries)-1] }

// log reads all partitions from their beginning, with a new client.
func (l *live) log() (logs [partitions][]entry) {
	reader := client(l.t, l.address, kgo.ConsumeTopics(l.topic))
	defer reader.Close()
	for _, record := range consume(l.t, reader, ends(l.t, reader, l.topic)) {
		logs[record.Partition] = append(logs[record.Partition], entry{record.Offset, string(record.Value)})
	}
	return logs
}

// checkLog: one history after the other, the last from the offset on that is returned, without a gap or a duplicate within any.
func (l *live) checkLog(partition int, log []entry, places int) (branch int) {
	l.t.Helper()
	gaps := []int{}
	for i, found := range log {
		same(l.t, "offset", int64(i), found.offset)
		expected := 0
		if i > 0 {
			expected = must(strconv.Atoi(log[i-1].value))(l.t) + 1
		}
		switch counter := must(strconv.Atoi(found.value))(l.t); {
		case counter > expected:
			gaps = append(gaps, i)
		case counter < expected:
			l.t.Fatalf("partition %d has %d behind %d", partition, counter, expected-1)
		}
	}
	same(l.t, fmt.Sprintf("places in partition %d where histories meet: %v", partition, gaps), places, len(gaps))
	same(l.t, "the last record", strconv.Itoa(l.counter[partition]-1), last(log).value)
	if places == 0 {
		return 0
	}
	return gaps[places-1]
}

// checkRead: from the first record of the new history on, the group sees that history only, and all of it.
func (l *live) checkRead(log []entry, branch int, read []entry) {
	l.t.Helper()
	seen, switched := map[int64]bool{}, false
	for _, found := range read {
		is := found.offset < int64(len(log)) && log[found.offset] == found
		switched = switched || is && found.offset >= int64(branch)
		if switched && !is {
			l.t.Fatalf("%v was read behind records of the history that has it not", found)
		}
		seen[found.offset] = is
	}
	for _, found := range log[branch:] {
		if !seen[found.offset] {
			l.t.Fatalf("%v was never read", found)
		}
	}
}
