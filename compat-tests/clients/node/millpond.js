'use strict'
// A broker of a test's own, which can be killed, and the HTTP calls that make volumes in it.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { createInterface } = require('node:readline')

const steps = new WeakMap()

// Has a step carried out when the test ends, before those that were given before.
function atEnd(t, step) {
  if (!steps.has(t)) {
    steps.set(t, [])
    t.after(async () => {
      for (const step of steps.get(t).reverse()) await step()
    })
  }
  steps.get(t).push(step)
}

const ADDRESSES = /Kafka on (\S+:\d+) and HTTP on http:\/\/(\S+:\d+)/

class Millpond {
  kafka = '127.0.0.1:0'
  http = '127.0.0.1:0'

  // Starts the broker that MILLPOND_BIN names, on free ports and with a directory of its own, until the test ends; and makes in it the
  // volume trading with stream taq and the topic trades.
  static async start(t, partitions) {
    const broker = new Millpond()
    broker.data = mkdtempSync(join(tmpdir(), 'millpond-node-'))
    atEnd(t, async () => {
      await broker.kill()
      rmSync(broker.data, { recursive: true })
    })
    await broker.launch()
    await broker.call('POST', '/v1/volumes', { name: 'trading' })
    await broker.call('POST', '/v1/volumes/trading/streams', { name: 'taq' })
    await broker.call('POST', '/v1/topics', { name: 'trading.taq.trades', partitions })
    return broker
  }

  async launch() {
    const options = ['--data', this.data, '--kafka', this.kafka, '--http', this.http]
    const quick = ['--set', 'groups.initial_rebalance_delay_ms=100ms']
    this.process = spawn(process.env.MILLPOND_BIN, ['serve', ...options, ...quick], { stdio: ['ignore', 'pipe', 'ignore'] })
    for await (const line of createInterface({ input: this.process.stdout })) {
      const found = ADDRESSES.exec(line)
      if (found) {
        this.kafka = found[1]
        this.http = found[2]
        this.process.stdout.resume()
        return
      }
    }
    throw new Error('the broker ended without having printed its addresses')
  }

  // kill -9.
  async kill() {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill('SIGKILL')
      await once(this.process, 'exit')
    }
  }

  // Starts it again on the same data and addresses.
  async restart() {
    await this.kill()
    await this.launch()
  }

  // Asks over HTTP, which must succeed; the answer.
  async call(method, path, body) {
    const json = { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    const response = await fetch(`http://${this.http}${path}`, { method, ...(body && json) })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text && JSON.parse(text)
  }

  snapshot(volume, name) {
    return this.call('POST', `/v1/volumes/${volume}/snapshots`, { name })
  }

  // Makes 1,000 snapshots of the volume trading, s0 to s999, and clones of the first 20, clone0 to clone19.
  async crowd() {
    const worker = async (first) => {
      for (let i = first; i < 1000; i += 8) await this.snapshot('trading', `s${i}`)
    }
    await Promise.all(Array.from({ length: 8 }, (_, first) => worker(first)))
    for (let i = 0; i < 20; i++) await this.clone(`trading@s${i}`, `clone${i}`)
  }

  deleteSnapshot(volume, name) {
    return this.call('DELETE', `/v1/volumes/${volume}/snapshots/${name}`)
  }

  // Takes a volume back; the name of the snapshot that undoes it.
  async restore(volume, snapshot) {
    return (await this.call('POST', `/v1/volumes/${volume}/restore`, { snapshot })).name
  }

  clone(from, name) {
    return this.call('POST', '/v1/clones', { from, name })
  }

  // Shows a volume or a snapshot at an address, or at any free one.
  async listen(shows, address = '127.0.0.1:0') {
    return (await this.call('POST', '/v1/listeners', { address, shows })).address
  }
}

module.exports = { Millpond, atEnd }
