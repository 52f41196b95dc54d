'use strict'
// A live producer and a live group, over whatever happens to the volume below them, and what must be true of both then.

const assert = require('node:assert/strict')
const { setTimeout: pause } = require('node:timers/promises')
const { atEnd } = require('./millpond')
const { follow, fresh, group, kafka, member, until, withAdmin } = require('./support')

const PARTITIONS = 3
// How many records a partition gets between two events, and in one call.
const STRETCH = 40
const AT_ONCE = 4

class Live {
  counter = Array(PARTITIONS).fill(0)
  read = Array.from({ length: PARTITIONS }, () => [])
  acked = 0
  failed = null
  // What a round waits for: settle() holds it up.
  gate = Promise.resolve()

  // One idempotent producer that writes a counter into every partition, and one member of a group that reads them.
  static async start(t, address, topic) {
    const live = new Live()
    Object.assign(live, { address, topic })
    const producer = kafka(address).producer({ idempotent: true, maxInFlightRequests: 1 })
    const consumer = member(address, 'readers')
    await Promise.all([producer.connect(), consumer.connect()])
    const fail = (error) => (live.failed ??= error)
    const written = live.write(producer).catch(fail)
    follow(consumer, topic, async ({ partition, message }) => {
      live.read[partition].push({ offset: Number(message.offset), value: String(message.value) })
    }).catch(fail)
    atEnd(t, async () => {
      live.stopped = true
      await written
      await Promise.all([producer.disconnect(), consumer.disconnect()])
    })
    return live
  }

  async write(producer) {
    while (!this.stopped) {
      await this.gate
      const messages = []
      for (let i = 0; i < PARTITIONS * AT_ONCE; i++) {
        const partition = i % PARTITIONS
        messages.push({ partition, value: String(this.counter[partition]++) })
      }
      this.round = producer.send({ topic: this.topic, messages, acks: -1 })
      await this.round
      this.acked += AT_ONCE
      // A pace, not a wait.
      await pause(5)
    }
  }

  check() {
    if (this.failed) throw this.failed
  }

  // Waits until a stretch more was acknowledged in every partition, and the group has read something, too.
  async advance() {
    const [acked, read] = [this.acked, this.mark()]
    await until('records are acknowledged and read in every partition', () => {
      this.check()
      return this.acked >= acked + STRETCH && this.mark().every((length, partition) => length > read[partition])
    })
  }

  // How much the group has read until now.
  mark() {
    return this.read.map((entries) => entries.length)
  }

  // Holds the producer for a moment, reads the log anew, and checks it and what the group read since the mark.
  async settle(mark) {
    let open
    this.gate = new Promise((resolve) => (open = resolve))
    await this.round
    const logs = await this.logs()
    await until('the group has read to the end', () => {
      this.check()
      const isAtEnd = (entries, partition) => sameEntry(entries.at(-1), logs[partition].at(-1)) && entries.length > mark[partition]
      return this.read.every(isAtEnd)
    })
    for (const [partition, log] of logs.entries()) {
      const branch = checkLog(log, this.counter[partition] - 1)
      checkRead(log, branch, this.read[partition].slice(mark[partition]))
    }
    open()
  }

  // All partitions from their beginning, read with a new client.
  async logs() {
    const ends = await withAdmin(this.address, (admin) => admin.fetchTopicOffsets(this.topic))
    const count = ends.reduce((sum, { high }) => sum + Number(high), 0)
    const logs = Array.from({ length: PARTITIONS }, () => [])
    for (const { partition, offset, value } of await group(this.address, fresh('group'), this.topic, count)) {
      logs[partition].push({ offset: Number(offset), value: String(value) })
    }
    return logs
  }
}

const sameEntry = (one, other) => one?.offset === other?.offset && one?.value === other?.value

// One history, then, at the offset that is returned, the other one, without a gap or a duplicate within either.
function checkLog(log, lastCounter) {
  const branches = []
  for (const [i, { offset, value }] of log.entries()) {
    assert.equal(offset, i)
    const expected = i > 0 ? Number(log[i - 1].value) + 1 : 0
    assert.ok(Number(value) >= expected, `${value} behind ${expected - 1}`)
    if (Number(value) > expected) branches.push(i)
  }
  assert.equal(branches.length, 1, `places where histories meet: ${branches}`)
  assert.equal(log.at(-1).value, String(lastCounter))
  return branches[0]
}

// From the first record of the new history on, the group sees that history only, and all of it.
function checkRead(log, branch, read) {
  const seen = new Set()
  let switched = false
  for (const found of read) {
    const is = sameEntry(log[found.offset], found)
    switched ||= is && found.offset >= branch
    assert.ok(is || !switched, `${JSON.stringify(found)} was read behind records of the history that has it not`)
    if (is) seen.add(found.offset)
  }
  const missed = log.slice(branch).filter(({ offset }) => !seen.has(offset))
  assert.deepEqual(missed, [], 'never read')
}

module.exports = { Live, PARTITIONS }
