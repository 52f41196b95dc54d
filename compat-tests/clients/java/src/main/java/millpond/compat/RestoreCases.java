package millpond.compat;

/** Restores and clones under a live producer and a live group, with kill -9 of the broker between. */
final class RestoreCases {
    private RestoreCases() {
    }

    @Case
    static void aRestoreAndItsUndoingUnderALiveProducerAndGroup(Millpond millpond) throws Exception {
        millpond.volume("trading", Live.PARTITIONS);
        try (var live = new Live(millpond.kafka, NameCases.DOTTED)) {
            live.advance();
            millpond.snapshot("trading", "close");
            live.advance();

            var mark = live.mark();
            String before = millpond.restore("trading", "close");
            live.advance();
            millpond.restart();
            live.advance();
            live.settle(mark);

            mark = live.mark();
            millpond.restore("trading", before);
            millpond.restart();
            live.advance();
            live.settle(mark);
        }
    }

    @Case
    static void aPortThatMovesToACloneUnderALiveProducerAndGroup(Millpond millpond) throws Exception {
        millpond.volume("trading", Live.PARTITIONS);
        String port = millpond.listen("trading");
        try (var live = new Live(port, NameCases.SHORT)) {
            live.advance();
            millpond.snapshot("trading", "close");
            live.advance();

            var mark = live.mark();
            millpond.clone("trading@close", "version2");
            millpond.listen(port, "version2");
            live.advance();
            millpond.restart();
            live.advance();
            live.settle(mark);
        }
    }
}
