//! Kafka's APIs: what is served, and the way from a frame to its handler.
//!
//! # To add an API
//!
//! 1. Write `api/<name>.rs` after the API's name in Kafka: a unit struct that implements [`Api`]. The file opens with the
//!    versions it answers, what it does and leaves out, and what each version added. It imports no other API's file; what
//!    two of them need belongs to the domain below (`topics`, `groups`, …).
//! 2. Add one row to [`SERVED`]. `ApiVersions`, metrics, logs and the table in the docs derive from it.
//! 3. Add one test file, `compat-tests/tests/api/<name>.rs`.
//!
//! The request needs a schema in `schema/requests`; most have one already. Versions follow from it and from the codec:
//! what both the request's and the response's own `VERSIONS` hold, within Kafka 4.1's range.
//!
//! # The way of a request
//!
//! [`dispatch`] finds the row, checks the body along its schema, has the codec decode it (strings and record batches stay
//! slices of the frame) and calls the handler. A handler is two-stage: whatever changes state happens before it returns;
//! what is left only waits, and is dropped with the connection. Replies leave in the order of requests.

mod alter_configs;
mod alter_partition_reassignments;
mod api_versions;
mod body;
mod configs;
mod context;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_quorum;
mod describe_topic_partitions;
mod elect_leaders;
pub mod error;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod operations;
mod produce;
mod reply;
pub mod schema;
mod sync_group;
#[cfg(test)]
mod tests;
mod text;
mod unsupported;

use std::fmt::{Display, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Message, Request, StrBytes, VersionRange};

pub use api_versions::ApiVersions;
pub use context::{Connection, Context, Software};
pub use fetch::session::FetchSessions;
use reply::Heading;
pub use reply::{Answer, Frame, Outcome, Outgoing, Piece, Reply, Waiting};
use schema::{Malformed, Schema};

use crate::metrics::{ApiMetrics, Metrics, Stage};

/// Every API that is served.
pub static SERVED: Table = Table::new(&[
    Row::of::<produce::Produce>(),
    Row::of::<fetch::Fetch>(),
    Row::of::<list_offsets::ListOffsets>(),
    Row::of::<metadata::Metadata>(),
    Row::of::<offset_commit::OffsetCommit>(),
    Row::of::<offset_fetch::OffsetFetch>(),
    Row::of::<find_coordinator::FindCoordinator>(),
    Row::of::<join_group::JoinGroup>(),
    Row::of::<heartbeat::Heartbeat>(),
    Row::of::<leave_group::LeaveGroup>(),
    Row::of::<sync_group::SyncGroup>(),
    Row::of::<describe_groups::DescribeGroups>(),
    Row::of::<list_groups::ListGroups>(),
    Row::of::<api_versions::ApiVersions>(),
    Row::of::<create_topics::CreateTopics>(),
    Row::of::<delete_topics::DeleteTopics>(),
    Row::of::<delete_records::DeleteRecords>(),
    Row::of::<init_producer_id::InitProducerId>(),
    Row::of::<offset_for_leader_epoch::OffsetForLeaderEpoch>(),
    Row::of::<describe_acls::DescribeAcls>(),
    Row::of::<describe_configs::DescribeConfigs>(),
    Row::of::<alter_configs::AlterConfigs>(),
    Row::of::<describe_log_dirs::DescribeLogDirs>(),
    Row::of::<create_partitions::CreatePartitions>(),
    Row::of::<delete_groups::DeleteGroups>(),
    Row::of::<elect_leaders::ElectLeaders>(),
    Row::of::<incremental_alter_configs::IncrementalAlterConfigs>(),
    Row::of::<alter_partition_reassignments::AlterPartitionReassignments>(),
    Row::of::<list_partition_reassignments::ListPartitionReassignments>(),
    Row::of::<offset_delete::OffsetDelete>(),
    Row::of::<describe_quorum::DescribeQuorum>(),
    Row::of::<describe_cluster::DescribeCluster>(),
    Row::of::<list_config_resources::ListConfigResources>(),
    Row::of::<describe_topic_partitions::DescribeTopicPartitions>(),
]);

/// One Kafka API.
pub trait Api: 'static {
    /// The codec's request; its response follows.
    type Request: Request<Response: Send>;

    /// Answers a request. Everything that changes state happens before this returns; it neither blocks nor waits.
    fn handle(ctx: &Context, request: Self::Request) -> Answer<<Self::Request as Request>::Response>;
}

/// Decodes a request's body and calls its handler: the reply, and when the handler returned.
type Call = fn(&Context, Bytes, &ApiMetrics) -> Result<(Reply, Instant), Refused>;

/// One API as the table has it.
pub struct Row {
    /// Which.
    pub key: ApiKey,
    /// Its name in Kafka.
    pub name: &'static str,
    /// The versions that are advertised and answered.
    pub versions: VersionRange,
    /// The versions that the codec decodes; the others get a fixed answer.
    decoded: VersionRange,
    schema: &'static Schema,
    call: Call,
}

impl Row {
    /// The row of an API, all of it from its types and its schema.
    pub const fn of<A: Api>() -> Self {
        let schema = Schema::of(A::Request::KEY);
        let request = <A::Request as Message>::VERSIONS;
        let response = <<A::Request as Request>::Response as Message>::VERSIONS;
        let min = greater(greater(request.min, response.min), schema.min);
        let max = lesser(lesser(request.max, response.max), schema.max);
        assert!(min <= max, "no version is common to the request, the response and Kafka");
        // librdkafka before 2.11.1 sends uncompressed unless Produce is advertised from 0 (KAFKA-18659).
        let advertised_min = if matches!(schema.key, ApiKey::Produce) { schema.min } else { min };
        Self {
            key: schema.key,
            name: schema.name,
            versions: VersionRange { min: advertised_min, max },
            decoded: VersionRange { min, max },
            schema,
            call: call::<A>,
        }
    }
}

const fn greater(a: i16, b: i16) -> i16 {
    if a > b { a } else { b }
}

const fn lesser(a: i16, b: i16) -> i16 {
    if a < b { a } else { b }
}

const fn holds(range: VersionRange, version: i16) -> bool {
    range.min <= version && version <= range.max
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.versions)
    }
}

/// API keys are below this.
pub const KEYS_MAX: usize = 128;

/// The APIs that a listener serves.
#[derive(Debug)]
pub struct Table {
    rows: &'static [Row],
    /// By key: the place of its row, plus one.
    places: [usize; KEYS_MAX],
}

impl Table {
    /// A table of these rows.
    ///
    /// # Panics
    /// While compiling, if a key occurs twice.
    pub const fn new(rows: &'static [Row]) -> Self {
        let mut places = [0; KEYS_MAX];
        let mut at = 0;
        while at < rows.len() {
            let key = rows[at].key as usize;
            assert!(places[key] == 0, "two rows for one API");
            at += 1;
            places[key] = at;
        }
        Self { rows, places }
    }

    /// The rows, in the order in which they were written.
    pub fn rows(&self) -> &'static [Row] {
        self.rows
    }

    /// The place and the row of an API, if it is served.
    pub fn row(&self, key: i16) -> Option<(usize, &'static Row)> {
        let place = self.places.get(usize::try_from(key).ok()?)?.checked_sub(1)?;
        self.rows.get(place).map(|row| (place, row))
    }

    /// The counters of every API, by place.
    pub fn metrics(&self, metrics: &Metrics) -> Arc<[Arc<ApiMetrics>]> {
        self.rows.iter().map(|row| metrics.api(row.name)).collect()
    }

    /// The table of the docs, in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::from("| API | key | versions |\n|---|---|---|\n");
        for row in self.rows {
            let VersionRange { min, max } = row.versions;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {} | {} | {min}–{max} |", row.name, row.key as i16);
        }
        text
    }
}

/// A request that is not answered: its connection ends, as Kafka's does. A client's mistake, logged at DEBUG.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The frame has no whole header.
    #[error("a frame of {0} bytes has no request header")]
    NoHeader(usize),
    /// The API is not served.
    #[error("API key {key} is not served")]
    UnknownApi {
        /// Its key.
        key: i16,
    },
    /// The API is served in other versions.
    #[error("{name} is not served in version {version}")]
    UnsupportedVersion {
        /// The API.
        name: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// The frame does not follow the schema of its request.
    #[error("malformed {name} v{version}: {malformed}")]
    Malformed {
        /// The API.
        name: &'static str,
        /// The version.
        version: i16,
        /// What is wrong.
        malformed: Malformed,
    },
    /// The codec does not take it, though its lengths are sound: a null or a text that the version does not allow.
    #[error("the codec refused {name} v{version}: {why}")]
    Codec {
        /// The API.
        name: &'static str,
        /// The version.
        version: i16,
        /// What the codec said.
        why: String,
    },
}

/// A request handed to its handler.
pub struct Dispatched {
    /// The place of its API in the table.
    pub place: usize,
    /// What to write, now or later.
    pub reply: Reply,
    /// When its handler returned.
    pub handled: Instant,
}

/// Takes a request frame (without its size) to its handler.
pub fn dispatch(connection: &Arc<Connection>, mut frame: Bytes, arrived: Instant) -> Result<Dispatched, Refused> {
    let len = frame.len();
    if len < 8 {
        return Err(Refused::NoHeader(len));
    }
    let (key, version, correlation_id) = (frame.get_i16(), frame.get_i16(), frame.get_i32());
    let (place, row) = connection.table.row(key).ok_or(Refused::UnknownApi { key })?;
    connection.metrics[place].request(len as u64);
    let heading = Heading { key: row.key, version, correlation_id };
    if !holds(row.versions, version) {
        let reply = unsupported::version(row, heading)?;
        return Ok(Dispatched { place, reply, handled: arrived });
    }
    let malformed = |malformed| Refused::Malformed { name: row.name, version, malformed };
    let client_id = take_header(&mut frame, row.schema.is_flexible(version)).map_err(malformed)?;
    let limit = connection.broker.limits.decoded_bytes_max;
    row.schema.check(&frame, version, limit).map_err(malformed)?;
    if !holds(row.decoded, version) {
        let reply = unsupported::undecoded(row, heading, frame)?;
        return Ok(Dispatched { place, reply, handled: arrived });
    }
    let metrics = &connection.metrics[place];
    let connection = Arc::clone(connection);
    let ctx = Context { connection, client_id, api_version: version, correlation_id, arrived, place };
    let (reply, handled) = (row.call)(&ctx, frame, metrics)?;
    Ok(Dispatched { place, reply, handled })
}

/// Cuts the rest of the header off a frame and gives the client id. Bytes that are no text are replaced, as in Java.
fn take_header(frame: &mut Bytes, flexible: bool) -> Result<StrBytes, Malformed> {
    let (client_id, len) = schema::header(frame, flexible)?;
    let client_id = frame.slice_ref(client_id);
    frame.advance(len);
    Ok(StrBytes::from_utf8(client_id.clone())
        .unwrap_or_else(|_| StrBytes::from_string(String::from_utf8_lossy(&client_id).into_owned())))
}

/// The one adapter between bytes and typed handlers. Gives the reply, and when the handler returned.
fn call<A: Api>(ctx: &Context, mut body: Bytes, metrics: &ApiMetrics) -> Result<(Reply, Instant), Refused> {
    let version = ctx.api_version;
    let Schema { key, name, .. } = *const { Schema::of(A::Request::KEY) };
    let request = caught(|| <A::Request as Decodable>::decode(&mut body, version)).map_err(|why| Refused::Codec {
        name,
        version,
        why,
    })?;
    let decoded = Instant::now();
    let answer = A::handle(ctx, request);
    metrics.stage(Stage::Decode, decoded - ctx.arrived);
    let handled = Instant::now();
    metrics.stage(Stage::Handle, handled - decoded);
    let reply = Heading { key, version, correlation_id: ctx.correlation_id }.reply(answer);
    Ok((reply, handled))
}

/// Runs a decoder of the codec. A panic of it says no more than an error would.
fn caught<T, E: Display>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(decoded) => decoded.map_err(|why| why.to_string()),
        Err(_) => Err(String::from("it panicked")),
    }
}

#[cfg(test)]
mod table_tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_key_and_no_other() {
        let rows = SERVED.rows();
        for key in i16::MIN..=i16::MAX {
            let expected = rows.iter().position(|row| row.key as i16 == key);
            assert_eq!(SERVED.row(key).map(|(place, _)| place), expected, "key {key}");
        }
    }

    #[test]
    fn the_docs_have_a_line_for_every_api() {
        let text = SERVED.markdown();
        assert_eq!(text.lines().count(), 2 + SERVED.rows().len());
        assert!(text.contains("\n| ApiVersions | 18 | 0–4 |\n"), "{text}");
        let docs = include_str!("../../../docs/compatibility.md");
        assert!(docs.contains(&text), "docs/compatibility.md should have this table:\n{text}");
    }

    #[test]
    fn a_panic_of_the_codec_is_an_error() {
        assert_eq!(caught(|| -> Result<(), &str> { panic!("a decoder did") }), Err("it panicked".to_owned()));
        assert_eq!(caught(|| Err::<(), _>("why")), Err("why".to_owned()));
        assert_eq!(caught(|| Ok::<_, &str>(7)), Ok(7));
    }
}
