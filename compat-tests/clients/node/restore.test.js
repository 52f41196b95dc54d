'use strict'
// Restores and clones under a live producer and a live group, with kill -9 of the broker between.

const { Live, PARTITIONS } = require('./live')
const { Millpond } = require('./millpond')
const { volumeSuite } = require('./support')

volumeSuite('restores and clones', {
  async 'a restore and its undoing under a live producer and group'(t) {
    const millpond = await Millpond.start(t, PARTITIONS)
    const live = await Live.start(t, millpond.kafka, 'trading.taq.trades')
    await live.advance()
    await millpond.snapshot('trading', 'close')
    await live.advance()

    let mark = live.mark()
    const before = await millpond.restore('trading', 'close')
    await live.advance()
    await millpond.restart()
    await live.advance()
    await live.settle(mark)

    mark = live.mark()
    await millpond.restore('trading', before)
    await millpond.restart()
    await live.advance()
    await live.settle(mark)
  },

  async 'a port that moves to a clone under a live producer and group'(t) {
    const millpond = await Millpond.start(t, PARTITIONS)
    const port = await millpond.listen('trading')
    const live = await Live.start(t, port, 'taq.trades')
    await live.advance()
    await millpond.snapshot('trading', 'close')
    await live.advance()

    const mark = live.mark()
    await millpond.clone('trading@close', 'version2')
    await millpond.listen('version2', port)
    await live.advance()
    await millpond.restart()
    await live.advance()
    await live.settle(mark)
  },
})
