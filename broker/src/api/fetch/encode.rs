//! The body of a fetch response, encoded around the batches, which are not copied.
//!
//! ```text
//! v4–6    throttle │ topics
//! v7–18   throttle │ error │ session │ topics │ tagged fields (v12+)
//! topic       name (–v12) or id (v13+) │ partitions │ tagged fields (v12+)
//! partition   index │ error │ high watermark │ last stable │ log start (v5+) │ aborted transactions │ preferred replica (v11+) │ records │ tagged (v12+)
//! ```
//!
//! A test holds it against the codec's decoder in every version.

use bytes::BufMut;

use super::super::error::ErrorCode;
use super::super::{Piece, body};
use super::gather::Gathered;
use super::session::{Target, TopicRef};

/// From this version on lengths are varints and there are tagged fields.
const FLEXIBLE: i16 = 12;
const WITH_SESSIONS: i16 = 7;
/// Tag of the diverging epoch.
const DIVERGING: u8 = 0;

/// A body as it grows: finished pieces, and the one that is written to.
pub(super) struct Body {
    version: i16,
    pieces: Vec<Piece>,
    open: body::Body,
}

impl Body {
    /// The body of a response that failed as a whole. Below version 7 there is no field for that, and no way to get here.
    pub(super) fn failed(version: i16, code: ErrorCode) -> Vec<Piece> {
        let mut body = Self::head(version, code.code(), 0);
        body.topics(&[]);
        body.finish()
    }

    pub(super) fn new(version: i16, session: i32) -> Self {
        Self::head(version, 0, session)
    }

    fn head(version: i16, error: i16, session: i32) -> Self {
        let mut open = body::Body::new(version >= FLEXIBLE, 256);
        open.bytes.put_i32(0);
        if version >= WITH_SESSIONS {
            open.bytes.put_i16(error);
            open.bytes.put_i32(session);
        }
        Self { version, pieces: Vec::new(), open }
    }

    /// All topics. Neighbours of one topic share its entry.
    pub(super) fn topics(&mut self, answers: &[(&Target, Gathered)]) {
        let groups: Vec<_> = answers.chunk_by(|(a, _), (b, _)| a.topic == b.topic).collect();
        self.open.count(groups.len());
        for group in groups {
            if let Some((target, _)) = group.first() {
                self.topic(&target.topic);
            }
            self.open.count(group.len());
            for (target, gathered) in group {
                self.partition(target, gathered);
            }
            self.open.no_tags();
        }
    }

    pub(super) fn finish(mut self) -> Vec<Piece> {
        self.open.no_tags();
        self.cut();
        self.pieces
    }

    fn topic(&mut self, topic: &TopicRef) {
        match topic {
            TopicRef::Id(id) => self.open.bytes.put_slice(id.as_bytes()),
            TopicRef::Name(name) => self.open.text(name),
        }
    }

    fn partition(&mut self, target: &Target, gathered: &Gathered) {
        let marks = gathered.marks;
        self.open.bytes.put_i32(target.partition);
        self.open.bytes.put_i16(marks.error);
        self.open.bytes.put_i64(marks.high_watermark);
        self.open.bytes.put_i64(marks.last_stable);
        if self.version >= 5 {
            self.open.bytes.put_i64(marks.log_start);
        }
        self.no_aborted_transactions();
        if self.version >= 11 {
            self.open.bytes.put_i32(-1);
        }
        self.records(gathered);
        self.partition_tags(gathered);
    }

    /// Null: as Kafka answers where it was not asked for them; there are none in any case.
    fn no_aborted_transactions(&mut self) {
        if self.version >= FLEXIBLE { self.open.bytes.put_u8(0) } else { self.open.bytes.put_i32(-1) }
    }

    fn records(&mut self, gathered: &Gathered) {
        if self.version >= FLEXIBLE {
            self.open.varint(gathered.bytes + 1);
        } else {
            // The whole frame is below 2 GiB, or it is not sent.
            self.open.bytes.put_i32(i32::try_from(gathered.bytes).unwrap_or(i32::MAX));
        }
        if gathered.bytes > 0 {
            self.cut();
            self.pieces.extend(gathered.batches.iter().cloned());
        }
    }

    fn partition_tags(&mut self, gathered: &Gathered) {
        let Some((epoch, end)) = gathered.diverging.filter(|_| self.version >= FLEXIBLE) else {
            return self.open.no_tags();
        };
        self.open.bytes.put_slice(&[1, DIVERGING, 13]);
        self.open.bytes.put_i32(epoch);
        self.open.bytes.put_i64(end);
        self.open.no_tags();
    }

    /// What is written so far becomes a piece of its own.
    fn cut(&mut self) {
        if !self.open.bytes.is_empty() {
            self.pieces.push(self.open.bytes.split().freeze().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use kafka_protocol::messages::FetchResponse;
    use kafka_protocol::protocol::Decodable;
    use millpond_storage::Fetched;
    use uuid::Uuid;

    use super::super::Marks;
    use super::*;

    fn gathered(batches: &[&'static [u8]], diverging: Option<(i32, i64)>) -> Gathered {
        let bytes = batches.iter().map(|batch| batch.len()).sum();
        let batches = batches.iter().map(|batch| Bytes::from_static(batch).into()).collect();
        let marks = Marks { error: 3, high_watermark: 9, last_stable: 8, log_start: 7 };
        Gathered { marks, diverging, batches, bytes }
    }

    fn target(version: i16, topic: u8, partition: i32) -> Target {
        let topic = match version {
            13.. => TopicRef::Id(Uuid::from_bytes([topic; 16])),
            _ => TopicRef::Name(Arc::from(format!("topic-{topic}"))),
        };
        Target::missing(topic, partition, ErrorCode::UnknownTopicOrPartition)
    }

    #[test]
    fn the_codec_reads_every_version() {
        static LONG: [u8; 300] = [5; 300];
        for version in 4..=18 {
            let targets = [target(version, 1, 0), target(version, 1, 4), target(version, 2, 0)];
            let answers = [
                (&targets[0], gathered(&[b"abc", &LONG], None)),
                (&targets[1], gathered(&[], Some((5, 77)))),
                (&targets[2], gathered(&[b"z"], None)),
            ];
            let mut body = Body::new(version, 42);
            body.topics(&answers);
            let pieces = body.finish();
            let bytes = pieces.iter().map(Piece::len).sum();
            let mut bytes = Fetched { pieces, bytes }.concat().expect("all in memory");
            let decoded = FetchResponse::decode(&mut bytes, version).expect("the codec reads it");
            assert!(bytes.is_empty(), "version {version} has bytes left");
            assert_eq!(decoded.session_id, if version >= 7 { 42 } else { 0 });
            assert_eq!(decoded.responses.len(), 2);
            let first = &decoded.responses[0].partitions;
            assert_eq!(first[0].records.as_ref().map(Bytes::len), Some(303));
            assert_eq!((first[0].error_code, first[0].high_watermark, first[0].last_stable_offset), (3, 9, 8));
            assert_eq!(first[0].log_start_offset, if version >= 5 { 7 } else { -1 });
            assert_eq!(first[1].partition_index, 4);
            let end = if version >= 12 { (5, 77) } else { (-1, -1) };
            assert_eq!((first[1].diverging_epoch.epoch, first[1].diverging_epoch.end_offset), end);
            assert_eq!(decoded.responses[1].partitions[0].records.as_deref(), Some(&b"z"[..]));
        }
    }
}
