package compat

// Dotted names, path names and short names: each of them in every place, one topic behind all of them.

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	dotted = "trading.taq.trades"
	path   = "/trading/taq:trades"
	short  = "taq.trades"
)

func TestEveryNameIsTheSameTopicToAProducerAndAGroup(t *testing.T) {
	t.Parallel()
	m := start(t, 1)
	// Positions are the topic's, whatever it is called: each member goes on where the one before it stopped.
	for i, place := range m.everyPlace() {
		produce(t, place.address, values(place.name, fmt.Sprint(i), 10))
		records := group(t, place.address, "readers", place.name, 10)
		same(t, "values", texts(values("", fmt.Sprint(i), 10)), texts(records))
		same(t, "the name that a record comes under", place.name, records[0].Topic)
		same(t, "offset", int64(10*i), records[0].Offset)
	}
}

func TestTheNamesOfAVolumeAreThoseOfItsCloneOnItsListener(t *testing.T) {
	t.Parallel()
	m := start(t, 1)
	produce(t, m.kafka, values(path, "both", 5))
	m.snapshot("trading", "close")
	m.clone("trading@close", "version2")
	listener := m.listen("127.0.0.1:0", "version2")
	produce(t, listener, values(path, "clone", 5))
	produce(t, m.kafka, values(path, "live", 5))
	same(t, "the clone", texts(values("", "both", 5))+texts(values("", "clone", 5)), texts(group(t, listener, "readers", path, 10)))
	same(t, "the volume", texts(values("", "both", 5))+texts(values("", "live", 5)), texts(group(t, m.kafka, "readers", path, 10)))
}

func TestListsHaveEachTopicOnce(t *testing.T) {
	t.Parallel()
	m := start(t, 3)
	listener := m.listen("127.0.0.1:0", "trading")
	for address, name := range map[string]string{m.kafka: dotted, listener: short} {
		topics := must(kadm.NewClient(client(t, address)).ListTopics(bounded(t)))(t)
		same(t, "topics at "+address, fmt.Sprint([]string{name}), fmt.Sprint(topics.Names()))
	}
	admin := kadm.NewClient(client(t, m.kafka))
	must(admin.CreateTopics(bounded(t), 2, 1, nil, "/trading/taq:quotes"))(t)
	named := must(admin.ListTopics(bounded(t), path, "/trading/taq:quotes"))(t)
	same(t, "partitions", 3, len(named[path].Partitions))
	same(t, "partitions of what was made by path", 2, len(named["/trading/taq:quotes"].Partitions))
	names := must(admin.ListTopics(bounded(t)))(t).Names()
	same(t, "names", true, slices.Equal([]string{"trading.taq.quotes", dotted}, names))
}

func TestAGroupWithTwoNamesOfATopicIsRefused(t *testing.T) {
	t.Parallel()
	m := start(t, 2)
	produce(t, m.kafka, values(dotted, "once", 10))
	first := member(t, m.kafka, "readers", dotted)
	consume(t, first, 10)
	second := member(t, m.kafka, "readers", path)
	until(t, "the second member is refused", func() bool {
		fetches := second.PollFetches(bounded(t))
		same(t, "records read by the second member", 0, fetches.NumRecords())
		return slices.ContainsFunc(fetches.Errors(), func(failed kgo.FetchError) bool {
			return errors.Is(failed.Err, kerr.InconsistentGroupProtocol)
		})
	})
}
