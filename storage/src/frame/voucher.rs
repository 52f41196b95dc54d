//! Looks for group headers behind a bad place in a log file: what one of them says was durable must not be missing.
//!
//! A header counts if it stands at a multiple of 64, names its own position, has the timeline's salt and CRC, and was not written
//! by an earlier start than the last sound group: nothing that a client sends can fake that, and nothing stale passes for it.

use std::sync::Arc;

use super::chunk::Chunks;
use super::{GROUP_ALIGN, GroupHeader, HEADER_BYTES};
use crate::disk::File;
use crate::error::Result;
use crate::units::Lsn;

/// A group header that vouches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// Where it stands.
    pub position: u64,
    /// Its own LSN.
    pub lsn: Lsn,
    /// All up to here was durable when it was written.
    pub durable: Lsn,
}

/// The header that vouches for most, of those at or behind a position; `None` if there is no header.
pub fn find_voucher(file: &Arc<dyn File>, salt: u64, from: u64, opening: u32) -> Result<Option<Voucher>> {
    let end = file.len()?;
    let mut chunks = Chunks::new(Arc::clone(file), end);
    let mut best: Option<Voucher> = None;
    let mut position = from.next_multiple_of(GROUP_ALIGN);
    while let Some(bytes) = chunks.get(position, HEADER_BYTES)? {
        if let Ok(header) = GroupHeader::decode(&bytes, salt)
            && header.position == position
            && header.opening >= opening
            && best.is_none_or(|best| best.durable < header.durable)
        {
            best = Some(Voucher { position, lsn: header.lsn, durable: header.durable });
        }
        position += GROUP_ALIGN;
    }
    Ok(best)
}
