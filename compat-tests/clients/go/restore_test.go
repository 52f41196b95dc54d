package compat

// Restores and clones under a live producer and a live group, with kill -9 of the broker between.

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestARestoreAndItsUndoingUnderALiveProducerAndGroup(t *testing.T) {
	t.Parallel()
	m := start(t, partitions)
	l := goLive(t, m.kafka, dotted, 0)
	l.advance()
	m.snapshot("trading", "close")
	l.advance()

	mark := l.mark()
	before := m.restore("trading", "close")
	l.advance()
	m.restart()
	l.advance()
	l.settle(mark, 1)

	mark = l.mark()
	m.restore("trading", before)
	m.restart()
	l.advance()
	l.settle(mark, 1)
}

// A volume, its clone and a clone of that, all written to and read at once: each is a history of its own from where it branched off, the groups
// go on where they were at the cut, and the death of the broker, or of the volume, changes none of it.
func TestAVolumeItsCloneAndTheClonesCloneAllLive(t *testing.T) {
	t.Parallel()
	m := start(t, partitions)
	volume := goLive(t, m.kafka, dotted, 0)
	volume.advance()
	volume.advance() // so that what the group read first is committed
	m.snapshot("trading", "close")
	m.clone("trading@close", "version2")
	clone := goLive(t, m.listen("127.0.0.1:0", "version2"), short, 1_000_000)
	volume.advance()
	clone.advance()
	m.snapshot("version2", "close")
	m.clone("version2@close", "version3")
	second := goLive(t, m.listen("127.0.0.1:0", "version3"), short, 2_000_000)
	all := []*live{volume, clone, second}
	for range 2 {
		for places, l := range all {
			l.advance()
			l.settle([partitions]int{}, places)
		}
		m.restart()
	}
	for _, l := range all[1:] {
		_, read := l.look()
		for partition := range partitions {
			same(t, "the group begins at the cut", true, read[partition][0].offset > 0)
		}
	}
	m.call("DELETE", "/v1/volumes/trading?force=true", nil)
	for places, l := range all[1:] {
		l.advance()
		l.settle([partitions]int{}, places+1)
	}
}

// A clone's topics are other topics, and franz-go never takes another topic for the one that it knows by that name. With the id that it knows
// it goes on, in the clone, until it hears of the new one; then its records fail, none goes astray, until it is told to forget what it knows.
func TestAPortThatMovesToACloneFailsUntilTheTopicIsPurged(t *testing.T) {
	t.Parallel()
	m := start(t, 1)
	port := m.listen("127.0.0.1:0", "trading")
	producer, reader := client(t, port), member(t, port, "readers", short)
	ok(t, producer.ProduceSync(bounded(t), values(short, "both", 10)...).FirstErr())
	consume(t, reader, 10)
	ok(t, reader.CommitUncommittedOffsets(bounded(t)))
	m.snapshot("trading", "close")
	ok(t, producer.ProduceSync(bounded(t), values(short, "live", 10)...).FirstErr())
	m.clone("trading@close", "version2")
	m.listen(port, "version2")

	moved := 0
	for err := error(nil); err == nil; moved++ {
		err = producer.ProduceSync(bounded(t), &kgo.Record{Topic: short, Value: fmt.Appendf(nil, "moved-%d", moved)}).FirstErr()
		same(t, "it fails", err != nil, errors.Is(err, kerr.UnknownTopicID))
	}
	for _, client := range []*kgo.Client{producer, reader} {
		client.PurgeTopicsFromClient(short)
	}
	reader.AddConsumeTopics(short)
	m.restart()
	clone := values(short, "clone", 10)
	ok(t, producer.ProduceSync(bounded(t), clone...).FirstErr())
	// The record that failed may be there: it can have been under way when the client heard of the new id.
	taken := int(clone[0].Offset) - 10
	same(t, "records between", true, taken == moved-1 || taken == moved)
	inClone := texts(values("", "moved", taken)) + texts(clone)
	same(t, "the group goes on at the cut", inClone, texts(consume(t, reader, taken+10)))
	same(t, "the clone", texts(values("", "both", 10))+inClone, texts(group(t, port, "others", short, taken+20)))
}
