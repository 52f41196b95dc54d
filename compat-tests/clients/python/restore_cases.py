"""Restores and clones under a live producer and a live group, with kill -9 of the broker between."""

from live import PARTITIONS, Live
from millpond import volume_case


@volume_case
def a_restore_and_its_undoing_under_a_live_producer_and_group(millpond):
    millpond.volume("trading", PARTITIONS)
    with Live(millpond.kafka, "trading.taq.trades") as live:
        live.advance()
        millpond.snapshot("trading", "close")
        live.advance()

        mark = live.mark()
        before = millpond.restore("trading", "close")
        live.advance()
        millpond.restart()
        live.advance()
        live.settle(mark)

        mark = live.mark()
        millpond.restore("trading", before)
        millpond.restart()
        live.advance()
        live.settle(mark)


@volume_case
def a_port_that_moves_to_a_clone_under_a_live_producer_and_group(millpond):
    millpond.volume("trading", PARTITIONS)
    port = millpond.listen("trading")
    with Live(port, "taq.trades") as live:
        live.advance()
        millpond.snapshot("trading", "close")
        live.advance()

        mark = live.mark()
        millpond.clone("trading@close", "version2")
        millpond.listen("version2", port)
        live.advance()
        millpond.restart()
        live.advance()
        live.settle(mark)
