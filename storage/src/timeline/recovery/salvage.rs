//! What is less than damage: a batch that rots in a group that was durable and whose headers are all sound. Its place and its offsets are known, so that it is
//! lost alone.

use std::sync::Arc;

use super::{Found, Recovery};
use crate::disk::File;
use crate::error::Result;
use crate::frame::{FrameKind, GroupRead, Scanner, find_voucher};
use crate::units::{Lsn, TopicPartition};

/// A batch that does not check, in a group whose headers are sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Of which partition.
    pub partition: TopicPartition,
    /// Its first offset.
    pub base_offset: i64,
    /// How many offsets it has.
    pub offsets: u32,
    /// Its group.
    pub lsn: Lsn,
}

impl Recovery<'_> {
    /// A durable group of which only batches of records do not check. (The state cannot do without a fact; and a group that nothing vouches for may be
    /// torn anywhere.)
    pub(super) fn salvage(
        &self,
        found: &mut Found,
        file: &Arc<dyn File>,
        scanner: &mut Scanner,
    ) -> Result<Option<GroupRead>> {
        let Some(group) = scanner.salvage()? else { return Ok(None) };
        if group.frames.iter().any(|frame| frame.is_lost && frame.header.kind != FrameKind::Records) {
            return Ok(None);
        }
        if group.header.lsn > found.durable
            && let Some(voucher) = find_voucher(file, self.identity.salt, group.end(), scanner.opening())?
        {
            found.vouch(voucher.durable, || format!("the group at {} of {}", voucher.position, file.path().display()));
        }
        if group.header.lsn > found.durable {
            return Ok(None);
        }
        scanner.pass(&group);
        found.lost.extend(group.frames.iter().filter(|frame| frame.is_lost).map(|frame| Lost {
            partition: frame.header.partition,
            base_offset: frame.header.base_offset,
            offsets: frame.header.offsets,
            lsn: group.header.lsn,
        }));
        Ok(Some(group))
    }
}
