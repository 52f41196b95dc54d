//! The engine's counters, as they are scraped.

use std::time::Duration;

use millpond_storage::{DURATION_BOUNDS_US, Stats};

use super::scraped::Sample;

/// What the engine has counted until now.
pub fn engine_samples(stats: &Stats) -> Vec<Sample> {
    vec![
        Sample::counter("log_bytes", "Bytes appended to logs, headers included", stats.log_bytes.get()),
        Sample::counter("log_groups", "Groups appended to logs", stats.log_groups.get()),
        syncs(stats),
        Sample::counter("tail_cache_hits", "Reads answered from the tail cache", stats.cache_hits.get()),
        Sample::counter("tail_cache_misses", "Reads that went to files", stats.cache_misses.get()),
        Sample::counter("read_checked_bytes", "Bytes of batches read and checked", stats.checked_bytes.get()),
        Sample::counter(
            "read_known_bytes",
            "Bytes of batches sent unread, found sound before",
            stats.known_bytes.get(),
        ),
        Sample::counter("log_files_sealed", "Log files sealed", stats.sealed.get()),
        Sample::counter("lost_batches", "Batches that a start found damaged in a log", stats.lost_batches.get()),
        Sample::counter("damaged_reads", "Reads refused because of a damaged batch", stats.damaged_reads.get()),
        Sample::counter("rewritten_bytes", "Bytes written when sorting and collecting", stats.rewritten_bytes.get()),
        Sample::counter("compactions", "Partitions compacted", stats.compactions.get()),
        Sample::counter("compacted_records", "Records that compaction left out", stats.compacted_records.get()),
        Sample::counter("compaction_read_bytes", "Bytes that compaction read", stats.compaction_read_bytes.get()),
        Sample::counter(
            "compaction_written_bytes",
            "Bytes of files that compaction wrote",
            stats.compaction_written_bytes.get(),
        ),
        Sample::counter(
            "uncompactable_partitions",
            "Partitions not compacted any more, because of a bad place in them",
            stats.uncompactable_partitions.get(),
        ),
        Sample::counter("removed_bytes", "Bytes of files removed", stats.removed_bytes.get()),
        Sample::counter("checkpoints", "Checkpoints of the state", stats.checkpoints.get()),
        Sample::counter(
            "upkeep_failures",
            "Upkeep of volumes that failed and is tried again",
            stats.upkeep_failures.get(),
        ),
        Sample::gauge("space_live_bytes", "Bytes that live data takes", stats.live_bytes.get()),
        Sample::gauge("space_history_bytes", "Bytes that only the past needs", stats.history_bytes.get()),
        Sample::gauge("space_dead_bytes", "Bytes that nothing needs any more", stats.dead_bytes.get()),
        Sample::gauge("space_free_bytes", "Free bytes on the file system", stats.free_bytes.get()),
    ]
}

fn syncs(stats: &Stats) -> Sample {
    let bounds = DURATION_BOUNDS_US.iter().map(|bound| Duration::from_micros(*bound).as_secs_f64());
    let buckets = bounds.chain([f64::MAX]).zip(stats.syncs.buckets()).collect();
    let sum = Duration::from_micros(stats.syncs.sum_us()).as_secs_f64();
    Sample::histogram("log_sync_seconds", "Time that syncs of logs took", sum, buckets)
}
