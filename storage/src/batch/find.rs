//! Records by time, inside one batch.
//!
//! Both searches read every record up to the one they find, since timestamps need not rise; with `LogAppendTime` all
//! records have the batch's. They take no notice of the head's maximum, which is only as true as the client.

use super::header::BatchHeader;
use super::records::{RecordError, RecordHeads};

/// A record, by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampedOffset {
    /// Its timestamp.
    pub timestamp: i64,
    /// Its offset.
    pub offset: i64,
}

/// The first record at or after offset `from` whose timestamp is `time` or later. `plain`: as in
/// [`Records::new`](super::Records::new). An error only where no such record stands before the damage.
pub fn first_at_or_after(
    header: &BatchHeader,
    plain: &[u8],
    time: i64,
    from: i64,
) -> Result<Option<TimestampedOffset>, RecordError> {
    for head in RecordHeads::new(header, plain) {
        let head = head?;
        if head.timestamp >= time && head.offset >= from {
            return Ok(Some(TimestampedOffset { timestamp: head.timestamp, offset: head.offset }));
        }
    }
    Ok(None)
}

/// The greatest timestamp and the first record that has it; none in a batch without records.
pub fn max_timestamp(header: &BatchHeader, plain: &[u8]) -> Result<Option<TimestampedOffset>, RecordError> {
    let mut max: Option<TimestampedOffset> = None;
    for head in RecordHeads::new(header, plain) {
        let head = head?;
        if max.is_none_or(|max| head.timestamp > max.timestamp) {
            max = Some(TimestampedOffset { timestamp: head.timestamp, offset: head.offset });
        }
    }
    Ok(max)
}
