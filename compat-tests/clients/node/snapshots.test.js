'use strict'
// Snapshots, read by groups under every name: all as it was, nothing written, positions of their own.

const assert = require('node:assert/strict')
const { Millpond, atEnd } = require('./millpond')
const { follow, group, kafka, member, produce, using, values, volumeSuite, withAdmin, within } = require('./support')

const LIVE = 'trading.taq.trades'
const ALIAS = 'trading.-close.taq.trades'
const PATH = '/trading/.snapshot/close/taq:trades'

volumeSuite('snapshots', {
  async 'a snapshot is read by a group under every name'(t) {
    const millpond = await Millpond.start(t, 1)
    const sent = values('v', 20).map((message, i) => {
      return { ...message, key: `k${i}`, timestamp: String(1_000_000 + i), headers: { h: [Buffer.from([i]), Buffer.from([0])] } }
    })
    await produce(millpond.kafka, LIVE, sent)
    await millpond.snapshot('trading', 'close')
    await produce(millpond.kafka, LIVE, values('later', 20))
    const listener = await millpond.listen('trading@close')
    const main = millpond.kafka
    const places = [[main, ALIAS], [main, PATH], [listener, 'taq.trades'], [listener, '/trading/taq:trades'], [listener, ALIAS]]
    for (const [i, [address, name]] of places.entries()) {
      const read = await group(address, `readers${i}`, name, 20)
      const found = read.map(({ partition, offset, timestamp, key, value, headers }) => {
        return { partition, offset, timestamp, key: String(key), value: String(value), headers }
      })
      assert.deepEqual(found, sent.map((message, i) => ({ offset: String(i), ...message })))
      const ends = await withAdmin(address, (admin) => admin.fetchTopicOffsets(name))
      assert.equal(ends[0].high, '20')
    }
  },

  async 'a write to a snapshot is refused and the producer goes on'(t) {
    const millpond = await Millpond.start(t, 1)
    await millpond.snapshot('trading', 'close')
    await using(kafka(millpond.kafka).producer({ idempotent: true }), async (producer) => {
      for (const topic of [ALIAS, PATH]) {
        await assert.rejects(producer.send({ topic, messages: values('no', 1) }), { type: 'POLICY_VIOLATION' })
        const [written] = await producer.send({ topic: LIVE, messages: values('yes', 1) })
        assert.equal(written.errorCode, 0)
      }
    })
  },

  async 'positions on a snapshot go with it'(t) {
    const millpond = await Millpond.start(t, 1)
    await produce(millpond.kafka, LIVE, values('v', 20))
    await group(millpond.kafka, 'readers', LIVE, 20)
    await millpond.snapshot('trading', 'close')
    const committed = (groupId) => withAdmin(millpond.kafka, async (admin) => {
      const [found] = await admin.fetchOffsets({ groupId, topics: [ALIAS] })
      return found.partitions[0].offset
    })
    assert.equal(await committed('readers'), '20', 'the position at the cut')
    await group(millpond.kafka, 'others', ALIAS, 20)
    assert.equal(await committed('others'), '20')
    await millpond.restart()
    assert.equal(await committed('others'), '20')
    await millpond.deleteSnapshot('trading', 'close')
    await millpond.snapshot('trading', 'close')
    assert.equal(await committed('others'), '-1', 'on another snapshot of that name')
  },

  // KafkaJS looks at a pattern once, when it subscribes: all of them are there by then.
  async 'a pattern and lists do not see snapshots and clones'(t) {
    const millpond = await Millpond.start(t, 1)
    await millpond.call('POST', '/v1/topics', { name: 'plain', partitions: 1 })
    await produce(millpond.kafka, LIVE, values('live', 10))
    await millpond.crowd()
    await produce(millpond.kafka, 'clone7.taq.trades', values('clone', 10))
    await group(millpond.kafka, 'others', 'trading.-s999.taq.trades', 10)
    const own = (names) => names.filter((name) => name !== '__consumer_offsets').sort()
    assert.deepEqual(own(await withAdmin(millpond.kafka, (admin) => admin.listTopics())), ['plain', LIVE])
    const consumer = member(millpond.kafka, 'readers')
    await consumer.connect()
    atEnd(t, () => consumer.disconnect())
    const read = []
    const joined = new Promise((done) => consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => done(payload.memberAssignment)))
    await within('the topics of the pattern', new Promise((done, fail) => {
      follow(consumer, /.*/, async ({ topic }) => {
        if (own([topic]).length && read.push(topic) === 10) done()
      }).catch(fail)
    }))
    assert.deepEqual(own(Object.keys(await joined)), ['plain', LIVE])
    assert.deepEqual([...new Set(read)], [LIVE])
  },
})
