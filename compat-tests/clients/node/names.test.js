'use strict'
// Dotted names, path names and short names: each of them in every place, one topic behind all of them.

const assert = require('node:assert/strict')
const { Millpond, atEnd } = require('./millpond')
const { follow, group, member, produce, texts, values, volumeSuite, withAdmin, within } = require('./support')

const DOTTED = 'trading.taq.trades'
const PATH = '/trading/taq:trades'
const SHORT = 'taq.trades'

volumeSuite('names', {
  async 'every name is the same topic to a producer and a group'(t) {
    const millpond = await Millpond.start(t, 1)
    const listener = await millpond.listen('trading')
    const main = millpond.kafka
    const places = [[main, DOTTED], [main, PATH], [listener, SHORT], [listener, PATH], [listener, DOTTED]]
    // Positions are the topic's, whatever it is called: each member goes on where the one before it stopped.
    for (const [i, [address, name]] of places.entries()) {
      await produce(address, name, values(`${i}`, 10))
      const read = await group(address, 'readers', name, 10)
      assert.equal(texts(read), texts(values(`${i}`, 10)))
      assert.deepEqual([read[0].topic, read[0].offset], [name, String(10 * i)])
    }
  },

  async 'the names of a volume are those of its clone on its listener'(t) {
    const millpond = await Millpond.start(t, 1)
    await produce(millpond.kafka, PATH, values('both', 5))
    await millpond.snapshot('trading', 'close')
    await millpond.clone('trading@close', 'version2')
    const listener = await millpond.listen('version2')
    await produce(listener, PATH, values('clone', 5))
    await produce(millpond.kafka, PATH, values('live', 5))
    const both = values('both', 5)
    assert.equal(texts(await group(listener, 'readers', PATH, 10)), texts([...both, ...values('clone', 5)]))
    assert.equal(texts(await group(millpond.kafka, 'readers', PATH, 10)), texts([...both, ...values('live', 5)]))
  },

  async 'lists have each topic once'(t) {
    const millpond = await Millpond.start(t, 3)
    const listener = await millpond.listen('trading')
    assert.deepEqual(await withAdmin(listener, (admin) => admin.listTopics()), [SHORT])
    await withAdmin(millpond.kafka, async (admin) => {
      assert.deepEqual(await admin.listTopics(), [DOTTED])
      const quotes = '/trading/taq:quotes'
      await admin.createTopics({ topics: [{ topic: quotes, numPartitions: 2 }] })
      const { topics } = await admin.fetchTopicMetadata({ topics: [PATH, quotes] })
      assert.deepEqual(topics.map(({ name, partitions }) => [name, partitions.length]).sort(), [[quotes, 2], [PATH, 3]])
      assert.deepEqual((await admin.listTopics()).sort(), ['trading.taq.quotes', DOTTED])
    })
  },

  async 'a group with two names of a topic is refused'(t) {
    const millpond = await Millpond.start(t, 2)
    await produce(millpond.kafka, DOTTED, values('once', 10))
    const [first, second] = [member(millpond.kafka, 'readers'), member(millpond.kafka, 'readers')]
    await Promise.all([first.connect(), second.connect()])
    atEnd(t, () => Promise.all([first.disconnect(), second.disconnect()]))
    await within('the first has joined', new Promise((joined) => {
      first.on(first.events.GROUP_JOIN, joined)
      follow(first, DOTTED, async () => {}).catch(() => {})
    }))
    const refused = within('the second is refused', follow(second, PATH, () => assert.fail('it reads what the first reads')))
    await assert.rejects(refused, (error) => /INCONSISTENT_GROUP_PROTOCOL/.test(error.type ?? error.cause?.type))
  },
})
