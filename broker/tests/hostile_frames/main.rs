//! No frame makes the codec reserve more memory than a small multiple of its length, whatever lengths and counts it claims.
//!
//! The schemas are ours and the decoders are the codec's, so each is held against the other: for every API and version, a
//! request made from the schema is decoded by the codec to the last byte and encoded to the same bytes again. Then every
//! length in it is replaced by hostile ones. What a frame makes the codec allocate is counted.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod apis;
mod body;
mod sample;

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use allocation_counter::measure;
use arc_swap::ArcSwapOption;
use bytes::{BufMut, Bytes, BytesMut};
use millpond::api::schema::{Field, Kind, REQUESTS, Schema};
use millpond::api::{Connection, dispatch};
use millpond::broker::{Advertised, Broker, Listener, Scope};
use millpond::config::Config;
use millpond::limits::Limits;
use millpond::quotas::Held;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use apis::{CODECS, Codec, TABLE};
use body::decode_within_bounds;
use sample::{Length, Sample, Width, varint};

const MIB: usize = 1 << 20;

#[test]
fn every_schema_has_its_codec_here() {
    for schema in &REQUESTS {
        assert!(CODECS.iter().any(|codec| codec.schema.key == schema.key), "{} is not tested", schema.name);
    }
}

#[test]
fn the_codec_and_the_schema_agree_on_every_byte() {
    for codec in CODECS {
        for version in codec.versions() {
            for count in [0, 1, 3] {
                let what = format!("{} v{version} with {count} items", codec.schema.name);
                let sample = Sample::of(codec.schema, version, count).bytes;
                let walked = codec.schema.check(&sample, version, MIB).unwrap_or_else(|why| panic!("{what}: {why}"));
                assert_eq!(walked.consumed, sample.len(), "{what}");
                let again = (codec.again)(sample.clone().into(), version).unwrap();
                assert_eq!(again.left, 0, "{what}: the codec left bytes");
                assert_eq!(again.encoded, sample, "{what}: the codec encodes it otherwise");
            }
        }
    }
}

#[test]
fn every_advertised_version_is_decoded_and_answered() {
    for (codec, row) in CODECS.iter().zip(TABLE.rows()) {
        assert_eq!(codec.schema.key, row.key);
        // Produce before 3 has a fixed answer.
        let decoded = row.versions.min.max(codec.versions.min)..=row.versions.max;
        assert!(decoded.start() <= decoded.end());
        for version in decoded {
            let what = format!("{} v{version}", row.name);
            let request = Bytes::from((codec.empty)(version));
            assert!((codec.decode)(request, version), "{what} is not decoded");
            (codec.respond)(version).unwrap_or_else(|why| panic!("{what} is not answered: {why}"));
        }
    }
}

/// What the codec claims and does not decode (`OffsetCommit` and `OffsetFetch` 10, `InitProducerId` 6) is not advertised, and
/// nothing that old clients look for is missing.
#[test]
fn advertised_versions_are_those_of_kafka_that_the_codec_has() {
    let advertised: Vec<String> = TABLE.rows().iter().map(|row| format!("{row:?}")).collect();
    let expected = "Produce 0..13, Fetch 4..18, ListOffsets 1..10, Metadata 0..13, OffsetCommit 2..9, OffsetFetch 1..9, \
        FindCoordinator 0..6, JoinGroup 0..9, Heartbeat 0..4, LeaveGroup 0..5, SyncGroup 0..5, DescribeGroups 0..6, \
        ListGroups 0..5, ApiVersions 0..4, CreateTopics 2..7, DeleteTopics 1..6, DeleteRecords 0..2, \
        InitProducerId 0..5, OffsetForLeaderEpoch 2..4, DescribeConfigs 1..4, AlterConfigs 0..2, \
        IncrementalAlterConfigs 0..1, DescribeLogDirs 1..4, CreatePartitions 0..3, DeleteGroups 0..2, \
        OffsetDelete 0..0, DescribeCluster 0..2, DescribeTopicPartitions 0..0, ListConfigResources 0..1, \
        DescribeProducers 0..0, ListPartitionReassignments 0..0, AlterPartitionReassignments 0..1, ElectLeaders 0..2, \
        DescribeQuorum 0..2, DescribeAcls 1..3";
    assert_eq!(advertised.join(", "), expected);
}

#[test]
fn empty_requests_are_accepted_whole() {
    for codec in CODECS {
        for version in codec.versions() {
            let request = (codec.empty)(version);
            let walked = codec.schema.check(&request, version, MIB).unwrap();
            assert_eq!(walked.consumed, request.len(), "{} v{version}", codec.schema.name);
        }
    }
}

#[test]
fn a_hostile_length_is_refused_without_allocating() {
    for codec in CODECS {
        for version in codec.versions() {
            let sample = Sample::of(codec.schema, version, 2);
            for &length in &sample.lengths {
                for number in hostile(&sample, length) {
                    let frame = sample.with_length(length, &number);
                    let mut refused = false;
                    let counted = measure(|| refused = codec.schema.check(&frame, version, MIB).is_err());
                    assert!(refused, "{} v{version}: {} = {number:x?}", codec.schema.name, length.field);
                    assert_eq!(counted.count_total, 0, "{} v{version} allocates", codec.schema.name);
                }
            }
        }
    }
}

/// Numbers that are longer than what follows them, or negative, or no numbers.
fn hostile(sample: &Sample, length: Length) -> Vec<Vec<u8>> {
    let left = sample.bytes.len() - length.at;
    match length.width {
        Width::Short => [i16::MAX, i16::MIN, -2, i16::try_from(left).unwrap()]
            .into_iter()
            .map(|number| number.to_be_bytes().to_vec())
            .collect(),
        Width::Long => [i32::MAX, i32::MIN, -2, i32::try_from(left).unwrap(), 0x0100_0000, 0x1000_0000]
            .into_iter()
            .map(|number| number.to_be_bytes().to_vec())
            .collect(),
        Width::Varint => [u32::MAX, u32::MAX - 1, 1 << 31, (1 << 31) + 1, 1 << 24, u32::try_from(left + 1).unwrap()]
            .into_iter()
            .map(varint)
            .chain([vec![0xff; 5], vec![0xff, 0xff, 0xff, 0xff, 0x1f], vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x00]])
            .collect(),
    }
}

#[test]
fn what_is_decoded_is_within_192_times_the_frame() {
    for codec in CODECS {
        for version in codec.versions() {
            for_each_item(codec.schema.fields, version, &mut |name, memory, least| {
                // A record's own map of unknown tagged fields, at three bytes each, is the worst: 512 / 3.
                let flexible = codec.schema.is_flexible(version);
                let least = least + usize::from(flexible);
                let what = format!("{} v{version} {name}", codec.schema.name);
                assert!(least >= 1, "{what}: an item without bytes");
                assert!(memory <= 192 * least, "{what}: {memory} bytes for {least}");
            });
        }
    }
}

/// Calls `see` with the name, decoded size and least wire size (without tagged fields) of the items of every array.
fn for_each_item(fields: &[Field], version: i16, see: &mut impl FnMut(&str, usize, usize)) {
    for field in fields.iter().filter(|field| field.is_in(version)) {
        match &field.kind {
            Kind::Values { memory, item } => see(field.name, *memory, least(item, version)),
            Kind::Records { memory, fields } => {
                see(field.name, *memory, least_of(fields, version));
                for_each_item(fields, version, see);
            }
            Kind::Record(fields) | Kind::Optional(fields) => for_each_item(fields, version, see),
            Kind::Fixed(_) | Kind::String | Kind::Bytes => {}
        }
    }
}

fn least(kind: &Kind, version: i16) -> usize {
    match kind {
        Kind::Fixed(size) => *size,
        Kind::Record(fields) => least_of(fields, version),
        _ => 1,
    }
}

fn least_of(fields: &[Field], version: i16) -> usize {
    let plain = fields.iter().filter(|field| field.is_in(version) && field.tag.is_none());
    plain.map(|field| least(&field.kind, version)).sum()
}

/// An API and one of its versions.
fn request() -> impl Strategy<Value = (&'static Codec, i16)> {
    let all: Vec<_> = CODECS.iter().flat_map(|codec| codec.versions().map(move |version| (codec, version))).collect();
    select(all)
}

/// Bytes that mean something as lengths, counts and tags, and any others.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), Just(1), Just(2), Just(3), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_changed_request_is_refused_or_decoded_within_bounds(
        (codec, version) in request(),
        count in 0_usize..4,
        changes in prop::collection::vec((any::<Index>(), byte()), 1..6),
        cut in prop::option::of(any::<Index>()),
    ) {
        let mut frame = Sample::of(codec.schema, version, count).bytes;
        if frame.is_empty() {
            return Ok(());
        }
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        if let Some(cut) = cut {
            frame.truncate(cut.index(frame.len()));
        }
        decode_within_bounds(codec, version, frame);
    }

    #[test]
    fn any_bytes_are_refused_or_decoded_within_bounds(
        (codec, version) in request(),
        frame in prop::collection::vec(byte(), 0..300),
    ) {
        decode_within_bounds(codec, version, frame);
    }

    /// The body of the fuzz target.
    #[test]
    fn requests_by_any_bytes_hold(data in prop::collection::vec(byte(), 4..100)) {
        body::requests(&data);
    }

    #[test]
    fn any_frame_is_dispatched_without_harm(
        (codec, version) in request(),
        any_version in prop::option::of(any::<i16>()),
        rest in prop::collection::vec(byte(), 0..200),
    ) {
        let mut frame = BytesMut::new();
        frame.put_i16(codec.schema.key as i16);
        frame.put_i16(any_version.unwrap_or(version));
        frame.put_slice(&rest);
        let frame = frame.freeze();
        // Opened before anything is counted.
        let connection = &*CONNECTION;
        let counted = measure(|| drop(dispatch(connection, frame.clone(), Instant::now())));
        // Some answers are as long as their requests.
        prop_assert!(counted.bytes_max <= 192 * 200 + (16 << 10), "{} bytes", counted.bytes_max);
    }
}

static CONNECTION: LazyLock<Arc<Connection>> = LazyLock::new(|| {
    let address = "127.0.0.1:1".parse().unwrap();
    let broker = Arc::new(Broker::in_memory(Config::default()).unwrap());
    let by_place = TABLE.metrics(&broker.metrics);
    Arc::new(Connection {
        broker,
        listener: Arc::new(Listener { address, advertised: None, scope: Scope::Everything }),
        advertised: Advertised { host: "localhost".to_owned(), port: 1 },
        table: &TABLE,
        metrics: by_place,
        peer: address,
        software: ArcSwapOption::empty(),
        held: Held::default(),
    })
});

#[test]
fn the_seeds_of_the_fuzz_target_hold() {
    let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/requests")).unwrap();
    for seed in seeds {
        body::requests(&std::fs::read(seed.unwrap().path()).unwrap());
    }
}

/// The frame that aborted the process of a broker on this codec: Metadata 0 for 2³¹ − 1 topics.
#[test]
fn eighteen_bytes_do_not_ask_for_154_gigabytes() {
    let frame = Bytes::from_static(&[0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let counted = measure(|| assert!(dispatch(&CONNECTION, frame.clone(), Instant::now()).is_err()));
    assert!(counted.bytes_max < 1_024, "{} bytes", counted.bytes_max);
}

/// A frame of the largest size, full of the smallest items, is refused for the memory it would take.
#[test]
fn memory_is_bounded_for_whole_frames_too() {
    let topics = 10_000_000_u32;
    let mut body = varint(topics + 1);
    // Each topic of Metadata 12: an id, a null name, no tagged fields.
    body.resize(body.len() + topics as usize * 18, 0);
    body.extend([0, 0, 0]);
    let schema = Schema::of(3);
    let limit = Limits::default().decoded_bytes_max;
    let refused = schema.check(&body, 12, limit).unwrap_err();
    assert_eq!(refused.problem, millpond::api::schema::Problem::Memory);
    assert!(schema.check(&body, 12, usize::MAX).is_ok());
}
