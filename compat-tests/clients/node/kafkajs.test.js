'use strict'
// KafkaJS: records, groups, time and administration, as against any Kafka broker.

const assert = require('node:assert/strict')
const { ConfigResourceTypes, CompressionTypes } = require('kafkajs')
const { atEnd } = require('./millpond')
const { BOOTSTRAP, follow, fresh, group, kafka, member, produce, suite, texts, topic, until, using, values, withAdmin, within } = require('./support')

suite('KafkaJS', {
  async 'every part of a record comes back, plain and compressed'() {
    for (const compression of [CompressionTypes.None, CompressionTypes.GZIP]) {
      const name = await topic()
      const sent = { partition: 0, key: 'k', value: 'v', timestamp: '1234567890123', headers: { a: ['1', '2'], b: '3' } }
      await produce(BOOTSTRAP, name, [sent, { partition: 0, key: 'k', value: null }], { compression })
      const [first, second] = await group(BOOTSTRAP, fresh('group'), name, 2)
      assert.deepEqual([first.offset, first.timestamp, `${first.key}`, `${first.value}`], ['0', sent.timestamp, 'k', 'v'])
      assert.deepEqual([first.headers.a.map(String), String(first.headers.b)], [['1', '2'], '3'])
      assert.equal(second.value, null)
    }
  },

  async 'every kind of acknowledgement'() {
    for (const acks of [0, 1, -1]) {
      const name = await topic()
      await using(kafka(BOOTSTRAP).producer(), async (producer) => {
        for (let i = 0; i < 10; i++) await producer.send({ topic: name, acks, messages: values(`${i}`, 10) })
      })
      const expected = Array.from({ length: 10 }, (_, i) => values(`${i}`, 10)).flat()
      assert.equal(texts(await group(BOOTSTRAP, fresh('group'), name, 100)), texts(expected))
    }
  },

  async 'a group goes on where it was'() {
    const [name, readers] = [await topic(), fresh('group')]
    for (const stage of ['a', 'b']) {
      await produce(BOOTSTRAP, name, values(stage, 10))
      assert.equal(texts(await group(BOOTSTRAP, readers, name, 10)), texts(values(stage, 10)))
    }
  },

  async 'two members of a group share and one takes over'(t) {
    const [name, readers] = [await topic(4), fresh('group')]
    const members = [member(BOOTSTRAP, readers), member(BOOTSTRAP, readers)]
    const shares = members.map(() => [])
    for (const [i, consumer] of members.entries()) {
      await consumer.connect()
      atEnd(t, () => consumer.disconnect())
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => (shares[i] = payload.memberAssignment[name] ?? []))
      follow(consumer, name, async () => {}).catch(() => {})
    }
    await until('each has two partitions', () => shares.every((share) => share.length === 2))
    await members[0].disconnect()
    await until('the other has all four', () => shares[1].length === 4)
  },

  async 'offsets by time, and a consumer that is sent there'(t) {
    const name = await topic()
    await produce(BOOTSTRAP, name, values('v', 10).map((message, i) => ({ ...message, timestamp: String(1000 * i) })))
    const [{ offset }] = await withAdmin(BOOTSTRAP, (admin) => admin.fetchTopicOffsetsByTimestamp(name, 6500))
    assert.equal(offset, '7')
    const consumer = member(BOOTSTRAP, fresh('group'))
    await consumer.connect()
    atEnd(t, () => consumer.disconnect())
    await consumer.subscribe({ topics: [name] })
    const read = []
    await within('three messages', new Promise((done) => {
      const eachMessage = async ({ message }) => read.push(message) === 3 && done()
      consumer.run({ eachMessage })
      consumer.seek({ topic: name, partition: 0, offset })
    }))
    assert.equal(texts(read), 'v-7 v-8 v-9')
  },

  async 'topics, groups and settings are administered'() {
    const [name, readers] = [await topic(), fresh('group')]
    await produce(BOOTSTRAP, name, values('v', 10))
    await group(BOOTSTRAP, readers, name, 10)
    await withAdmin(BOOTSTRAP, async (admin) => {
      const [committed] = await admin.fetchOffsets({ groupId: readers, topics: [name] })
      assert.equal(committed.partitions[0].offset, '10')
      const { groups: [described] } = await admin.describeGroups([readers])
      assert.equal(described.state, 'Empty')
      await admin.createPartitions({ topicPartitions: [{ topic: name, count: 3 }] })
      const resource = { type: ConfigResourceTypes.TOPIC, name }
      await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '1234567' }] }] })
      const { resources: [settings] } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ ...resource, configNames: ['retention.ms'] }] })
      assert.equal(settings.configEntries[0].configValue, '1234567')
      await admin.deleteTopicRecords({ topic: name, partitions: [{ partition: 0, offset: '4' }] })
      const offsets = await admin.fetchTopicOffsets(name)
      assert.equal(offsets.find(({ partition }) => partition === 0).low, '4')
      await admin.deleteGroups([readers])
      await admin.deleteTopics({ topics: [name] })
      assert.ok(!(await admin.listTopics()).includes(name))
    })
  },
})
