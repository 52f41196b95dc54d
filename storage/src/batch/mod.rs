//! Kafka's record batch, format 2: the bytes that clients send, that the log keeps, that a fetch hands back.
//!
//! A batch is a head of 61 bytes and its records, packed one after another, compressed as a whole or not. Big endian,
//! as on the wire. All that is read here came from a socket or a disk: lengths and deltas are checked, nothing panics,
//! and what is wrong has a type and, for records, the index of the record.
//!
//! * [`header`]: the 61 bytes, and what a broker may change in them.
//! * [`iter`]: batches back to back in a buffer, up to the first damage.
//! * [`records`]: the records of a batch, borrowed from its (decompressed) bytes.
//! * [`codec`]: compression, with a limit on what comes out.
//! * [`check`]: what a broker asks of a batch that a client produces.
//! * [`find`]: records by time.
//! * [`filter`]: a batch without some of its records.
//! * [`build`]: batches of our own.
//!
//! Nothing here reads a clock, a file or a setting.

pub mod build;
pub mod check;
pub mod codec;
mod crc;
pub mod filter;
pub mod find;
pub mod header;
pub mod iter;
pub mod records;
#[cfg(test)]
mod tests;
mod varint;

pub use build::{BatchBuilder, BuildError, NewRecord};
pub use check::{BatchError, Checked, MaxTimestamp, Refusal, RefusedReason, RefusedRecord, Rules, check};
pub use codec::{Codec, CodecError, Decompressor};
pub use filter::{FilterError, Filtered};
pub use find::TimestampedOffset;
pub use header::{Attributes, BatchHeader, HeaderError, Producer, TimestampType};
pub use iter::{Batch, BatchIter, Damage};
pub use records::{
    Header, HeaderIter, Headers, ReadError, Record, RecordError, RecordFault, RecordHead, RecordHeads, Records,
};

/// The bytes before the first record.
pub const HEADER_BYTES: usize = 61;

/// The timestamp of a record that has none.
pub const NO_TIMESTAMP: i64 = -1;
