'use strict'
// What every test is made of: where the broker is, fresh names, short ways to produce and consume, each with a limit.
//
// A test makes its own topics and groups and may run beside any other. Those of volumes start a broker of their own.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { setTimeout: pause } = require('node:timers/promises')
const { describe, test } = require('node:test')
const { Kafka, logLevel } = require('kafkajs')

// How long anything may take.
const LIMIT_MS = 60_000
const BOOTSTRAP = process.env.MILLPOND_BOOTSTRAP

// Tests that run beside each other.
function suite(name, tests) {
  describe(name, { concurrency: 4 }, () => {
    for (const [title, body] of Object.entries(tests)) test(title, { timeout: 2 * LIMIT_MS }, body)
  })
}

// The same for tests of volumes, which need a broker that can be started.
function volumeSuite(name, tests) {
  if (process.env.MILLPOND_BIN) suite(name, tests)
  else test(name, { skip: 'MILLPOND_BIN names no broker: volumes are not tested' })
}

// A name that no other test and no other run uses.
const fresh = (kind) => `node-${kind}-${randomUUID().slice(0, 13)}`

function kafka(address) {
  const retry = { initialRetryTime: 50, maxRetryTime: 500, retries: 60 }
  return new Kafka({ brokers: [address], clientId: 'compat', logLevel: logLevel.NOTHING, requestTimeout: 5000, retry })
}

async function within(what, promise) {
  const late = new AbortController()
  const timer = pause(LIMIT_MS, null, { signal: late.signal, ref: false }).then(
    () => assert.fail(`not within ${LIMIT_MS} ms: ${what}`),
    () => {},
  )
  try {
    return await Promise.race([promise, timer])
  } finally {
    late.abort()
  }
}

// Asks again and again, with a pause where what is asked does not wait itself.
async function until(what, asked) {
  for (const deadline = Date.now() + LIMIT_MS; !(await asked()); await pause(5)) {
    assert.ok(Date.now() < deadline, `not within ${LIMIT_MS} ms: ${what}`)
  }
}

// A connected producer, admin client or consumer for as long as `use` takes.
async function using(client, use) {
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.disconnect()
  }
}

const withAdmin = (address, use) => using(kafka(address).admin(), use)

// A new topic. Kafka answers before everybody knows of it, and then KafkaJS's own wait for it fails.
async function topic(partitions = 1) {
  const name = fresh('topic')
  await withAdmin(BOOTSTRAP, async (admin) => {
    await admin.createTopics({ waitForLeaders: false, topics: [{ topic: name, numPartitions: partitions }] })
    await until('the topic is there', async () => (await admin.listTopics()).includes(name))
  })
  return name
}

// prefix-0 to prefix-(count-1), to partition 0.
const values = (prefix, count) => Array.from({ length: count }, (_, i) => ({ partition: 0, value: `${prefix}-${i}` }))

const produce = (address, name, messages, settings = {}) =>
  using(kafka(address).producer({ idempotent: true }), (producer) => producer.send({ topic: name, messages, ...settings }))

const member = (address, groupId) =>
  kafka(address).consumer({ groupId, maxWaitTimeInMs: 100, heartbeatInterval: 300, sessionTimeout: 10_000, metadataMaxAge: 1000 })

// Reads from the beginning until the consumer is disconnected; fails with what ends the consumer, if something does.
async function follow(consumer, name, eachMessage, settings = {}) {
  const crashed = new Promise((_, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => payload.restart || reject(payload.error))
  })
  await consumer.subscribe({ topics: [name], fromBeginning: true })
  await Promise.all([consumer.run({ eachMessage, ...settings }), crashed])
}

// Reads exactly `count` messages as the only member of a group, and commits them.
function group(address, groupId, name, count) {
  return using(member(address, groupId), async (consumer) => {
    const read = []
    await within(`${count} messages of ${name}`, new Promise((done, fail) => {
      follow(consumer, name, async ({ topic, partition, message }) => {
        read.push({ topic, partition, ...message })
        if (read.length === count) done()
      }, { autoCommit: false }).catch(fail)
    }))
    const next = new Map(read.map((message) => [message.partition, String(BigInt(message.offset) + 1n)]))
    await consumer.commitOffsets([...next].map(([partition, offset]) => ({ topic: name, partition, offset })))
    assert.equal(read.length, count)
    return read
  })
}

// The values of messages, one after the other.
const texts = (messages) => messages.map((message) => String(message.value)).join(' ')

module.exports = { BOOTSTRAP, follow, fresh, group, kafka, member, produce, suite, texts, topic, until, using, values, volumeSuite, withAdmin, within }
