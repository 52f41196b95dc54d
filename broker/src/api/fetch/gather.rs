//! Gathers batches for a list of partitions, and waits for more.

use std::sync::Arc;

use millpond_storage::{Bounds, Error as StorageError, Fetched, Partition, Read, Waiter, Wake};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::error::{self, ErrorCode};
use super::super::{Context, Piece};
use super::Marks;
use super::session::Target;
use crate::completion;
use crate::topics::Resolved;

/// What a request asks for as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) min_bytes: usize,
    pub(super) max_bytes: usize,
    pub(super) deadline: Instant,
}

/// What one partition gives.
#[derive(Clone, Debug)]
pub(super) struct Gathered {
    pub(super) marks: Marks,
    /// `(epoch, end offset)`: the consumer's history is another from there on.
    pub(super) diverging: Option<(i32, i64)>,
    pub(super) batches: Vec<Piece>,
    pub(super) bytes: usize,
}

/// Reads until there is enough, an error, or no more time; a broker that ends waits for nothing more.
pub(super) async fn gather(ctx: &Context, targets: &[Target], limits: &Limits) -> Vec<Gathered> {
    let mut found = pass(ctx, targets, limits).await;
    if is_enough(&found, limits) {
        return found;
    }
    if await_appended(targets, &found).await {
        found = pass(ctx, targets, limits).await;
    }
    let notify = Arc::new(Notify::new());
    while !is_enough(&found, limits) && Instant::now() < limits.deadline {
        let _waiters = wait_for_more(targets, &found, &notify);
        let more = tokio::time::timeout_at(limits.deadline, notify.notified());
        match ctx.broker().stopping.run_until_cancelled(more).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => break,
        }
        found = pass(ctx, targets, limits).await;
    }
    found
}

/// Enough bytes, or something that the client should know now.
fn is_enough(found: &[Gathered], limits: &Limits) -> bool {
    let bytes: usize = found.iter().map(|gathered| gathered.bytes).sum();
    bytes >= limits.min_bytes.min(limits.max_bytes)
        || found.iter().any(|gathered| gathered.marks.is_error() || gathered.diverging.is_some())
}

/// Waits until what was appended when `found` was read is visible; whether there was more than was found. (It may have become visible meanwhile.)
async fn await_appended(targets: &[Target], found: &[Gathered]) -> bool {
    let mut is_more = false;
    for (target, gathered) in targets.iter().zip(found) {
        let Some((topic, partition)) = target.live() else { continue };
        // Where nothing was read, the watermark may have moved between the read and the marks: the offset asked for tells.
        let known = if gathered.bytes == 0 { target.fetch_offset } else { gathered.marks.high_watermark };
        if partition.log_end() <= known {
            continue;
        }
        is_more = true;
        if partition.high_watermark() < partition.log_end() {
            let (done, visible) = completion::pair();
            topic.timeline.barrier(move || done(()));
            visible.await;
        }
    }
    is_more
}

/// Has `notify` told when a partition has more than was found.
fn wait_for_more(targets: &[Target], found: &[Gathered], notify: &Arc<Notify>) -> Vec<Waiter> {
    let notify = Arc::clone(notify);
    let wake: Wake = Arc::new(move || notify.notify_one());
    // With nothing read at all, no limit can be why: what lies at the offset asked for is news, even if it came before the marks were taken.
    let is_empty = found.iter().all(|gathered| gathered.bytes == 0);
    let with_marks = targets.iter().zip(found).filter_map(|(target, gathered)| {
        let (_, partition) = target.live()?;
        let asked = is_empty && target.max_bytes > 0;
        let known = if asked { target.fetch_offset } else { gathered.marks.high_watermark };
        Some(partition.wait(known, &wake))
    });
    with_marks.collect()
}

/// Reads every partition once, within the limits.
async fn pass(ctx: &Context, targets: &[Target], limits: &Limits) -> Vec<Gathered> {
    let mut gathered = Vec::with_capacity(targets.len());
    let mut left = limits.max_bytes;
    let mut is_first = true;
    for target in targets {
        let read = Read {
            from: target.fetch_offset,
            max_bytes: left.min(target.max_bytes),
            // The first batch of the first partition that has any is sent even if it is larger than every limit.
            at_least_one: is_first && limits.max_bytes > 0,
        };
        let one = match &target.found {
            Some((topic, partition)) => read_one(target, topic, partition, read).await,
            None => Err(target.missing),
        };
        let one = one.unwrap_or_else(Gathered::failed);
        is_first &= one.bytes == 0;
        left = left.saturating_sub(one.bytes);
        gathered.push(one);
    }
    tracing::trace!(peer = %ctx.peer(), partitions = targets.len(), bytes = limits.max_bytes - left, "fetched");
    gathered
}

async fn read_one(
    target: &Target,
    topic: &Resolved,
    partition: &Arc<Partition>,
    read: Read,
) -> Result<Gathered, ErrorCode> {
    if topic.is_gone(partition) {
        return Err(target.missing);
    }
    if topic.is_fenced(partition) {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    error::check_leader_epoch(target.leader_epoch, topic.timeline.leader_epoch())?;
    let view = topic.view();
    if target.last_fetched_epoch >= 0 {
        let bounds = topic.bounds(partition).await.map_err(|why| fetch_code(&why))?;
        let end = view.end_for_epoch(partition, &bounds, target.last_fetched_epoch).unwrap_or((-1, -1));
        if end.0 < target.last_fetched_epoch || end.1 < target.fetch_offset {
            return Ok(Gathered { diverging: Some(end), ..Gathered::of(bounds, Fetched::default()) });
        }
    }
    let fetched = if let Some(fetched) = view.read_now(partition, &read) {
        fetched
    } else {
        let (done, fetched) = completion::pair();
        view.read(partition, read, done);
        fetched.await.ok_or(ErrorCode::UnknownServerError)?
    };
    let fetched = fetched.map_err(|why| fetch_code(&why))?;
    // Taken after the read: what was read lies within.
    let bounds = topic.bounds(partition).await.map_err(|why| fetch_code(&why))?;
    Ok(Gathered::of(bounds, fetched))
}

/// Only errors that Kafka itself gives in a fetch: Java's consumer throws on others.
fn fetch_code(why: &StorageError) -> ErrorCode {
    match error::of_storage(why) {
        code @ (ErrorCode::OffsetOutOfRange
        | ErrorCode::FencedLeaderEpoch
        | ErrorCode::UnknownTopicOrPartition
        | ErrorCode::KafkaStorageError
        | ErrorCode::CorruptMessage) => code,
        _ => ErrorCode::UnknownServerError,
    }
}

impl Gathered {
    fn of(Bounds { log_start, last_stable, high_watermark }: Bounds, Fetched { pieces, bytes }: Fetched) -> Self {
        let marks = Marks { error: error::NONE, high_watermark, last_stable, log_start };
        Self { marks, diverging: None, batches: pieces, bytes }
    }

    fn failed(code: ErrorCode) -> Self {
        Self { marks: Marks::failed(code), diverging: None, batches: Vec::new(), bytes: 0 }
    }
}
