//! A group while it is put together: what will be written, and what to undo if it cannot be.
//!
//! Invariant: log ends and producers are moved while the group is decided, so that later items of the same group are judged by them; `Undo` takes
//! all of it back when the write fails. Nobody else looks at either before the group is written.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::partition::Partition;
use super::producers::{Producer, Producers};
use crate::frame::{self, FrameHeader, FrameKind, GroupHeader};
use crate::state::Fact;
use crate::units::{Lsn, TopicPartition};

/// The part of a batch that the frame's own CRC covers: up to and with Kafka's CRC.
const PREFIX: usize = frame::PREFIX_BYTES;
/// Zeros to pad with.
static ZEROS: [u8; 64] = [0; 64];

/// A frame to be.
#[derive(Debug)]
pub(super) struct Draft {
    pub kind: FrameKind,
    pub id: TopicPartition,
    /// Absent for facts and markers.
    pub partition: Option<Arc<Partition>>,
    pub base_offset: i64,
    pub offsets: u32,
    pub max_timestamp: i64,
    pub first_timestamp: i64,
    /// The patched beginning of the batch; the first `head.len()` bytes of `payload` are not written.
    pub head: Head,
    pub payload: Bytes,
}

/// The patched beginning of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Head {
    /// Base offset, length, leader epoch.
    Short([u8; 16]),
    /// The whole header, when the broker sets the time.
    Long([u8; 61]),
    /// Written as it is.
    AsIs,
}

impl Head {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Head::Short(bytes) => bytes,
            Head::Long(bytes) => bytes,
            Head::AsIs => &[],
        }
    }
}

impl Draft {
    /// Bytes of the frame in the file, padding included.
    fn frame_bytes(&self) -> u64 {
        frame::padded_frame((frame::HEADER_BYTES + self.payload.len()) as u64)
    }

    fn rest(&self) -> &[u8] {
        &self.payload[self.head.bytes().len()..]
    }

    fn prefix(&self) -> [u8; PREFIX] {
        let mut prefix = [0; PREFIX];
        let head = self.head.bytes();
        let taken = head.len().min(PREFIX);
        prefix[..taken].copy_from_slice(&head[..taken]);
        let rest = &self.payload[taken..];
        let more = rest.len().min(PREFIX - taken);
        prefix[taken..taken + more].copy_from_slice(&rest[..more]);
        prefix
    }
}

/// What to take back when the group cannot be written.
#[derive(Default)]
pub(super) struct Undo {
    pub ends: Vec<(Arc<Partition>, i64)>,
    pub producers: Vec<(TopicPartition, i64, Option<Producer>)>,
}

impl Undo {
    pub(super) fn take_back(self, producers: &mut Producers) {
        for (partition, end) in self.ends.into_iter().rev() {
            partition.take_back_log_end(end);
        }
        for (partition, id, before) in self.producers.into_iter().rev() {
            producers.restore(partition, id, before);
        }
    }
}

/// A group that is decided.
pub(super) struct Group {
    pub lsn: Lsn,
    pub time: i64,
    pub drafts: Vec<Draft>,
    pub facts: Vec<Fact>,
    pub undo: Undo,
    /// To call when it is written, or at once when it came to nothing.
    pub on_written: Vec<super::writer::Answer>,
    /// To call when it is visible.
    pub on_visible: Vec<super::writer::Answer>,
    /// A frame without payload that is to be written.
    pub marker: Option<FrameKind>,
}

impl Group {
    pub(super) fn new(lsn: Lsn, time: i64) -> Self {
        Self {
            lsn,
            time,
            drafts: Vec::new(),
            facts: Vec::new(),
            undo: Undo::default(),
            on_written: Vec::new(),
            on_visible: Vec::new(),
            marker: None,
        }
    }

    /// Bytes that it takes in the file, header included.
    pub(super) fn bytes(&self) -> u64 {
        let frames: u64 = self.drafts.iter().map(Draft::frame_bytes).sum();
        frame::padded_group(frame::HEADER_BYTES as u64 + frames)
    }
}

/// What all frames of a group share.
pub(super) struct Place {
    pub position: u64,
    pub durable_lsn: Lsn,
    pub opening: u32,
    pub leader_epoch: i32,
    pub salt: u64,
    pub chain: u32,
}

/// A group as bytes: one buffer of headers and patched heads, between which the payloads go.
pub(super) struct Encoded {
    /// The durable LSN that the group says.
    pub vouched: Lsn,
    /// CRC field of the group header, which the next group names.
    pub crc: u32,
    /// Bytes in the file.
    pub bytes: u64,
    /// Position of each frame header.
    pub positions: Vec<u64>,
    /// The patched head of each frame, cut out of the shared buffer.
    pub heads: Vec<Bytes>,
    heads_buffer: Bytes,
    cuts: Vec<(usize, usize)>,
}

/// Lays a group out: positions, chain, CRCs. Nothing of the payloads is copied.
pub(super) fn encode(group: &Group, place: &Place) -> Encoded {
    let frames_bytes = group.bytes() - frame::HEADER_BYTES as u64;
    let header = GroupHeader {
        position: place.position,
        lsn: group.lsn,
        time_ms: group.time,
        durable: place.durable_lsn,
        bytes: u32::try_from(frames_bytes).unwrap_or(u32::MAX),
        frames: u32::try_from(group.drafts.len()).unwrap_or(u32::MAX),
        opening: place.opening,
        chain: place.chain,
    };
    let encoded = header.encode(place.salt);
    let crc = frame::crc_field(&encoded);
    let mut buffer = BytesMut::with_capacity(64 + group.drafts.len() * (64 + 16));
    buffer.extend_from_slice(&encoded);
    let mut layout =
        Layout { buffer, cuts: Vec::new(), positions: Vec::new(), position: place.position + 64, chain: crc };
    for (index, draft) in group.drafts.iter().enumerate() {
        layout.push(group.lsn, u32::try_from(index).unwrap_or(u32::MAX), draft, place);
    }
    let heads_buffer = layout.buffer.freeze();
    let heads = group.drafts.iter().zip(&layout.cuts).map(|(draft, cut)| {
        let from = cut.0 + frame::HEADER_BYTES;
        heads_buffer.slice(from..from + draft.head.bytes().len())
    });
    let heads = heads.collect();
    let bytes = frame::HEADER_BYTES as u64 + frames_bytes;
    Encoded {
        vouched: place.durable_lsn,
        crc,
        bytes,
        positions: layout.positions,
        heads,
        heads_buffer,
        cuts: layout.cuts,
    }
}

struct Layout {
    buffer: BytesMut,
    cuts: Vec<(usize, usize)>,
    positions: Vec<u64>,
    position: u64,
    chain: u32,
}

impl Layout {
    fn push(&mut self, lsn: Lsn, index: u32, draft: &Draft, place: &Place) {
        let header = FrameHeader {
            kind: draft.kind,
            lsn,
            index,
            payload_bytes: u32::try_from(draft.payload.len()).unwrap_or(u32::MAX),
            partition: draft.id,
            base_offset: draft.base_offset,
            offsets: draft.offsets,
            chain: self.chain,
            opening: place.opening,
            leader_epoch: place.leader_epoch,
            max_timestamp_ms: draft.max_timestamp,
        };
        let prefix = draft.prefix();
        let encoded = header.encode(place.salt, &prefix[..draft.payload.len().min(PREFIX)]);
        self.chain = frame::crc_field(&encoded);
        let from = self.buffer.len();
        self.buffer.extend_from_slice(&encoded);
        self.buffer.extend_from_slice(draft.head.bytes());
        self.cuts.push((from, self.buffer.len()));
        self.positions.push(self.position);
        self.position += draft.frame_bytes();
    }
}

impl Encoded {
    /// What to write, in order.
    pub(super) fn slices<'a>(&'a self, group: &'a Group) -> Vec<IoSlice<'a>> {
        let mut slices = Vec::with_capacity(1 + group.drafts.len() * 3);
        slices.push(IoSlice::new(&self.heads_buffer[..frame::HEADER_BYTES]));
        let mut written = frame::HEADER_BYTES as u64;
        for (draft, cut) in group.drafts.iter().zip(&self.cuts) {
            slices.push(IoSlice::new(&self.heads_buffer[cut.0..cut.1]));
            slices.push(IoSlice::new(draft.rest()));
            let frame_bytes = frame::HEADER_BYTES + draft.payload.len();
            let padded = draft.frame_bytes();
            push_zeros(&mut slices, padded - frame_bytes as u64);
            written += padded;
        }
        push_zeros(&mut slices, self.bytes - written);
        slices
    }
}

fn push_zeros(slices: &mut Vec<IoSlice<'_>>, count: u64) {
    let count = usize::try_from(count).unwrap_or(0).min(ZEROS.len());
    if count > 0 {
        slices.push(IoSlice::new(&ZEROS[..count]));
    }
}
