//! Recovery's half of the fold: the groups of the log above a checkpoint, as the writer and publishing would have taken them.
//!
//! Invariant: after the last group, tables, producers and tail index are what they were when the process ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::log_file::{GroupMark, LogFile};
use super::partition::Partition;
use super::pieces::Entry;
use super::producers::{Producers, Sequence};
use super::tables::Tables;
use super::virtual_segments::VirtualSegment;
use crate::batch::BatchHeader;
use crate::error::{Error, Result};
use crate::frame::{self, FrameKind, FrameRead, GroupRead};
use crate::state::payload as facts;
use crate::units::Lsn;

/// What the scan feeds.
pub(super) struct Fold<'a> {
    pub(super) tables: &'a Tables,
    pub(super) producers: Producers,
    /// Unsealed log files by first LSN. What is in a sealed one is in its index.
    pub(super) logs: BTreeMap<Lsn, Arc<LogFile>>,
}

impl Fold<'_> {
    /// Takes one group.
    pub(super) fn group(&mut self, group: &GroupRead) -> Result<()> {
        let log = self.logs.get(&group.log).cloned();
        if let Some(log) = &log {
            let position = u32::try_from(group.header.position).unwrap_or(u32::MAX);
            let mark = GroupMark { lsn: group.header.lsn, time: group.header.time_ms, position };
            log.push_group(mark, group.end());
        }
        for frame in &group.frames {
            self.frame(log.as_ref(), group.header.time_ms, frame)?;
        }
        Ok(())
    }

    /// Takes one frame of a group of that time; a log file, where its batch is found by the tail index.
    pub(super) fn frame(&mut self, log: Option<&Arc<LogFile>>, time: i64, frame: &FrameRead) -> Result<()> {
        match frame.header.kind {
            FrameKind::Facts => {
                self.batch(log, time, frame)?;
                self.facts(frame.header.lsn, frame)
            }
            FrameKind::Records => self.batch(log, time, frame),
            FrameKind::Epoch => {
                self.tables.begin_epoch(frame.header.leader_epoch);
                Ok(())
            }
            FrameKind::Idle => Ok(()),
            FrameKind::Compacted => Err(damaged(frame, "what compaction left is no part of the log")),
        }
    }

    fn facts(&mut self, lsn: Lsn, frame: &FrameRead) -> Result<()> {
        let payload = frame.payload.as_ref().ok_or_else(|| damaged(frame, "a frame of facts without its payload"))?;
        for fact in facts::decode(frame.header.partition.topic, payload)? {
            for partition in self.tables.ended_partitions(&fact) {
                self.producers.forget(partition.id());
            }
            self.tables.apply(&mut self.tables.write_state(), &fact, lsn);
        }
        Ok(())
    }

    /// A batch: ends, producers, and where it lies. One whose topic is gone by then changes nothing, as it changed nothing then.
    fn batch(&mut self, log: Option<&Arc<LogFile>>, time: i64, frame: &FrameRead) -> Result<()> {
        let header = &frame.header;
        let id = header.partition;
        let Some(partition) = self.tables.get(id) else { return Ok(()) };
        // Of a batch that is lost the frame says where it was; what its producer had sent with it nobody knows.
        let batch = if frame.is_lost {
            None
        } else {
            let parsed = BatchHeader::parse(&frame.batch_header);
            Some(parsed.map_err(|error| damaged(frame, &error.to_string()))?)
        };
        let end = header.base_offset.checked_add(i64::from(header.offsets));
        let end = end.filter(|end| *end >= partition.log_end() && header.base_offset >= partition.log_end());
        let end = end.ok_or_else(|| damaged(frame, "its offsets do not follow those before"))?;
        partition.set_log_end(end);
        if let Some(sequence) = batch.as_ref().and_then(Sequence::of) {
            let remembered = sequence.at(header.base_offset, -1);
            self.producers.record(id, &sequence, remembered, time);
        }
        place(log, &partition, frame, batch.as_ref(), end);
        Ok(())
    }
}

/// Notes where a batch lies, if its file is not sealed, and counts it for retention.
fn place(
    log: Option<&Arc<LogFile>>,
    partition: &Arc<Partition>,
    frame: &FrameRead,
    batch: Option<&BatchHeader>,
    end: i64,
) {
    let header = &frame.header;
    let entry = Entry {
        base_offset: header.base_offset,
        position: u32::try_from(frame.position + frame::HEADER_BYTES as u64).unwrap_or(u32::MAX),
        bytes: header.payload_bytes,
        max_timestamp: header.max_timestamp_ms,
        running_max: header.max_timestamp_ms,
    };
    let segment = VirtualSegment {
        base_offset: header.base_offset,
        bytes: u64::from(header.payload_bytes),
        first_timestamp: batch.map_or(header.max_timestamp_ms, BatchHeader::base_timestamp),
        max_timestamp: header.max_timestamp_ms,
    };
    partition.index(log, entry, &segment, end, header.leader_epoch);
}

fn damaged(frame: &FrameRead, why: &str) -> Error {
    Error::Corrupt(format!("the frame at {} of LSN {}: {why}", frame.position, frame.header.lsn))
}
