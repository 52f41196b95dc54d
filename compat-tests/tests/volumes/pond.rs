//! A broker with volumes, snapshots and a clone; what is done with them; and what all their views show, as a plain model that copies everything.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::CreatableTopicConfig;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::{DeleteRecordsRequest, ListOffsetsResponse, OffsetFetchResponse};
use millpond_compat_tests::batch::{Batch, Record};
use millpond_compat_tests::random::Random;
use millpond_compat_tests::server::{Builder, Server};
use millpond_compat_tests::wire::Wire;
use millpond_compat_tests::{directory, http, requests};
use serde_json::{Value, json};

use crate::history::{index, now};
use crate::view::once;

pub(crate) const PARTITIONS: usize = 3;
const TOPIC: &str = "default.trades";
const GROUP: &str = "readers";
const LIST_OFFSETS: i16 = 5;
const EARLIEST: i64 = -2;
const LIMIT: Duration = Duration::from_mins(1);

/// What a view shows: of each partition where it begins and its records; the group's position in the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) partitions: Vec<(i64, Vec<Kept>)>,
    pub(crate) position: Option<i64>,
}

/// A record at its offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) offset: i64,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
}

/// All views, by name: `trading` as it is now, `trading@a` as it was.
pub(crate) type Views = BTreeMap<String, Shown>;

/// Something done with volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// A snapshot of now.
    Snapshot {
        name: String,
    },
    /// A snapshot of what another one shows.
    Past {
        name: String,
        like: String,
    },
    Clone {
        from: String,
        name: String,
    },
    Restore {
        to: String,
    },
    DeleteSnapshot {
        name: String,
    },
    DeleteVolume {
        name: String,
    },
}

impl Deed {
    /// Has a broker do it, which may die of it.
    pub(crate) fn run(&self, http: &str) -> io::Result<(u16, Value)> {
        let snapshots = "/volumes/trading/snapshots";
        match self {
            Self::Snapshot { name } => http::try_call(http, "POST", snapshots, &json!({"name": name})),
            Self::Past { name, like } => {
                let lsn = http::try_call(http, "GET", &format!("{snapshots}/{like}"), &Value::Null)?.1["lsn"].clone();
                http::try_call(http, "POST", snapshots, &json!({"name": name, "at": format!("lsn:{lsn}")}))
            }
            Self::Clone { from, name } => {
                let asked = json!({"from": format!("trading@{from}"), "name": name});
                http::try_call(http, "POST", "/clones", &asked)
            }
            Self::Restore { to } => http::try_call(http, "POST", "/volumes/trading/restore", &json!({"snapshot": to})),
            Self::DeleteSnapshot { name } => {
                http::try_call(http, "DELETE", &format!("{snapshots}/{name}"), &Value::Null)
            }
            Self::DeleteVolume { name } => {
                http::try_call(http, "DELETE", &format!("/volumes/{name}?force=true"), &Value::Null)
            }
        }
    }

    /// What views there are when it is done.
    pub(crate) fn done(&self, before: &Views) -> Views {
        let mut views = before.clone();
        let like = |name: &str| before[name].clone();
        match self {
            Self::Snapshot { name } => drop(views.insert(format!("trading@{name}"), like("trading"))),
            Self::Past { name, like: other } => {
                views.insert(format!("trading@{name}"), like(&format!("trading@{other}")));
            }
            Self::Clone { from, name } => drop(views.insert(name.clone(), like(&format!("trading@{from}")))),
            Self::Restore { to } => {
                let safeties = before.keys().filter(|name| name.starts_with("trading@before-restore")).count();
                views.insert(format!("trading@before-restore-{safeties:02}"), like("trading"));
                views.insert("trading".to_owned(), like(&format!("trading@{to}")));
            }
            Self::DeleteSnapshot { name } => drop(views.remove(&format!("trading@{name}"))),
            Self::DeleteVolume { name } => views.retain(|view, _| view.split('@').next() != Some(name)),
        }
        views
    }
}

/// A broker, and a seed of values.
pub(crate) struct Pond {
    pub(crate) server: Server,
    random: Random,
    /// Whether topics are compacted as soon as they can be, and records have keys.
    is_keyed: bool,
}

/// Records in a batch of those that have keys.
pub(crate) const BATCH: usize = 6;
/// How many keys there are.
const KEYS: u64 = 12;
const COMPACTED: [(&str, &str); 3] =
    [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0"), ("segment.ms", "1")];

/// Small files, and no collection or compaction but where a test wants one.
pub(crate) fn setup() -> Builder {
    Server::builder()
        .set("log.file_bytes", "1MiB")
        .set("log.checkpoint_bytes", "1MiB")
        .set("log.compaction_check_interval_ms", "1h")
        .set("topics.retention_check_interval_ms", "1h")
}

/// As a collection wants it: it begins at once, and keeps no more of the past than snapshots hold.
pub(crate) fn collecting(setup: Builder) -> Builder {
    let soon = setup.set("topics.retention_check_interval_ms", "50ms").set("log.roll_ms", "1s");
    soon.set("history.retention_ms", "0ms")
}

impl Pond {
    /// Volume `trading` with snapshots `a` and `b`, clone `copy` of `a`, which has something of its own, and volume `other`.
    pub(crate) fn make(setup: Builder, seed: u64, batches: usize) -> Self {
        Self::filled(Self { server: setup.start(), random: Random::new(seed), is_keyed: false }, batches)
    }

    /// The same, with topics that are compacted.
    pub(crate) fn make_compacted(setup: Builder, seed: u64, batches: usize) -> Self {
        Self::filled(Self { server: setup.start(), random: Random::new(seed), is_keyed: true }, batches)
    }

    fn filled(mut pond: Self, batches: usize) -> Self {
        pond.create_volume("trading");
        for snapshot in ["a", "b"] {
            pond.fill("trading", batches);
            pond.run(&Deed::Snapshot { name: snapshot.to_owned() });
        }
        pond.fill("trading", batches);
        pond.run(&Deed::Clone { from: "a".to_owned(), name: "copy".to_owned() });
        pond.fill("copy", batches);
        pond.create_volume("other");
        pond.fill("other", batches);
        pond
    }

    /// A broker on a copy of data.
    pub(crate) fn on_copy(setup: Builder, data: &Path) -> Self {
        Self { server: setup.copy_of(data).start(), random: Random::new(1), is_keyed: false }
    }

    fn create_volume(&self, name: &str) {
        http::call(self.server.http(), "POST", "/volumes", &json!({"name": name}));
        let mut request = requests::create_topic(&format!("{name}.{TOPIC}"), index(PARTITIONS));
        if self.is_keyed {
            request.topics[0].configs = COMPACTED
                .map(|(key, value)| {
                    CreatableTopicConfig::default()
                        .with_name(requests::text(key))
                        .with_value(Some(requests::text(value)))
                })
                .into();
        }
        let answer = self.server.wire().call(7, &request);
        assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
    }

    /// Appends batches of 30 KiB to each partition, and commits how many records there are then in the first.
    pub(crate) fn fill(&mut self, volume: &str, batches: usize) {
        for _ in 0..batches {
            for partition in 0..PARTITIONS {
                let batch = if self.is_keyed { self.keyed() } else { Batch::of([Record::of(self.value()).at(now())]) };
                let end = self.append_batch(volume, partition, &batch).expect("the broker lives");
                if partition == 0 {
                    self.commit(volume, end).expect("the broker lives");
                }
            }
        }
    }

    /// A value that cannot be guessed.
    pub(crate) fn value(&mut self) -> Bytes {
        self.bytes(30_000)
    }

    fn bytes(&mut self, count: usize) -> Bytes {
        (0..count / 8).flat_map(|_| self.random.number().to_be_bytes()).collect::<Vec<u8>>().into()
    }

    /// A batch of records with keys, some of which are deleted.
    fn keyed(&mut self) -> Batch {
        let records: Vec<Record> = (0..BATCH)
            .map(|_| {
                let key = self.random.between(0, KEYS - 1).to_string();
                let value = (self.random.between(0, 9) > 0).then(|| self.bytes(5_000));
                Record { value, ..Record::default() }.key(key).at(now())
            })
            .collect();
        Batch::of(records)
    }

    /// Appends a record: the offset behind it.
    pub(crate) fn append(&self, volume: &str, partition: usize, value: Bytes) -> io::Result<i64> {
        self.append_batch(volume, partition, &Batch::of([Record::of(value).at(now())]))
    }

    fn append_batch(&self, volume: &str, partition: usize, batch: &Batch) -> io::Result<i64> {
        let request = requests::produce(-1, [(format!("{volume}.{TOPIC}"), index(partition), batch.encode())]);
        let answer = Wire::try_connect(self.server.kafka())?.try_call(requests::PRODUCE, &request)?;
        let part = &answer.responses[0].partition_responses[0];
        assert_eq!(part.error_code, 0, "{answer:?}");
        Ok(part.base_offset + batch.next_offset())
    }

    pub(crate) fn commit(&self, volume: &str, offset: i64) -> io::Result<()> {
        let request = requests::commit(GROUP, &format!("{volume}.{TOPIC}"), 0, offset, "");
        let answer = Wire::try_connect(self.server.kafka())?.try_call(8, &request)?;
        assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{answer:?}");
        Ok(())
    }

    /// Does something that must succeed.
    pub(crate) fn run(&self, deed: &Deed) {
        let (status, answer) = deed.run(self.server.http()).expect("the broker lives");
        assert!((200..300).contains(&status), "{deed:?}: {status}, {answer}");
    }

    /// Hides all but the last `kept` records of each partition.
    pub(crate) fn delete_records(&self, volume: &str, kept: i64) {
        let topic = format!("{volume}.{TOPIC}");
        let mut wire = self.server.wire();
        for partition in (0..PARTITIONS).map(index) {
            let end = ends(&mut wire, &topic, partition, -1);
            let part = DeleteRecordsPartition::default().with_partition_index(partition).with_offset(end - kept);
            let topic = DeleteRecordsTopic::default().with_name(requests::name(&topic)).with_partitions(vec![part]);
            let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
            let answer = wire.call(2, &request);
            assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{answer:?}");
        }
    }

    /// Reads all views in full, but for the snapshots of volumes that are gone, which no name leads to. Safety snapshots are numbered, since their names have the time.
    pub(crate) fn views(&self) -> Views {
        let mut wire = self.server.wire();
        let http = self.server.http();
        let mut views = Views::new();
        for volume in list(http, "/volumes", "volumes").iter().filter(|volume| volume["name"] != "default") {
            let name = text(&volume["name"]);
            views.insert(name.to_owned(), shown(&mut wire, &format!("{name}.{TOPIC}")));
        }
        let mut safeties = 0;
        let mut snapshots = list(http, "/snapshots", "snapshots");
        snapshots.sort_by_key(|snapshot| snapshot["id"].as_u64());
        snapshots.retain(|snapshot| views.contains_key(text(&snapshot["volume"])));
        for snapshot in snapshots {
            let (volume, name) = (text(&snapshot["volume"]), text(&snapshot["name"]));
            let shown = shown(&mut wire, &format!("{volume}.-{name}.{TOPIC}"));
            let mut name = name.to_owned();
            if snapshot["safety"] == true {
                name = format!("before-restore-{safeties:02}");
                safeties += 1;
            }
            views.insert(format!("{volume}@{name}"), shown);
        }
        views
    }

    /// Bytes of log files and segments of all volumes but `system`.
    pub(crate) fn bytes_on_disk(&self) -> u64 {
        let timelines = self.server.data().join("timelines");
        let is_data = |path: &Path| {
            let is_system = path.starts_with(timelines.join("0"));
            !is_system && path.extension().is_some_and(|extension| extension == "log" || extension == "seg")
        };
        directory::files(&timelines).iter().filter(|(path, _)| is_data(path)).map(|(_, bytes)| bytes).sum()
    }

    /// Bytes that the broker knows of, all volumes together.
    pub(crate) fn bytes_known(&self) -> u64 {
        let known = |name| http::metric(self.server.http(), &format!("millpond_space_{name}_bytes"));
        let sum = known("live") + known("history") + known("dead");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and whole")]
        let sum = sum as u64;
        sum
    }
}

/// Waits until something is so.
pub(crate) fn await_so(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: it does not come to that");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The entries of a list.
pub(crate) fn list(http: &str, path: &str, what: &str) -> Vec<Value> {
    http::call(http, "GET", path, &Value::Null)[what].as_array().expect("a list").clone()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn shown(wire: &mut Wire, topic: &str) -> Shown {
    let partitions = (0..PARTITIONS).map(index).map(|partition| {
        let start = ends(wire, topic, partition, EARLIEST);
        let (batches, _) = requests::read_compacted(wire, topic, partition, start);
        let records = batches.iter().flat_map(Batch::offsets).filter(|(offset, _)| *offset >= start);
        let kept =
            |(offset, record): (i64, &Record)| Kept { offset, key: record.key.clone(), value: record.value.clone() };
        (start, records.map(kept).collect())
    });
    let partitions = partitions.collect();
    let request = requests::position(GROUP, topic, 0);
    let is_there = |answer: &OffsetFetchResponse| {
        answer.groups[0].error_code == 0 && answer.groups[0].topics[0].partitions[0].error_code == 0
    };
    let answer = once(|| wire.call(8, &request), is_there);
    let position = Some(answer.groups[0].topics[0].partitions[0].committed_offset).filter(|offset| *offset >= 0);
    Shown { partitions, position }
}

/// The begin or the end of a partition.
fn ends(wire: &mut Wire, topic: &str, partition: i32, timestamp: i64) -> i64 {
    let request = requests::list_offsets(topic, partition, timestamp);
    let is_there = |answer: &ListOffsetsResponse| answer.topics[0].partitions[0].error_code == 0;
    once(|| wire.call(LIST_OFFSETS, &request), is_there).topics[0].partitions[0].offset
}
