//! Lanes: the brokers that take turns in one case, each with its own process, data and topic.
//!
//! Millpond and the floor are started afresh for every case, so that no case pays for another's data. Kafka goes on,
//! since its code is only fast once it is warm; its topics are deleted behind the case.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::create_topics_request::CreatableTopicConfig;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{DeleteTopicsRequest, ListOffsetsRequest};
use millpond_compat_tests::requests::{self, text};
use millpond_compat_tests::server;
use millpond_compat_tests::wire::Wire;
use tempfile::TempDir;

use crate::arguments::{Arguments, Broker, Durability, Variant};
use crate::kafka;
use crate::process::{Process, free_address};
use crate::produce::{self, Load};

/// How long topics may take to come into being.
const TOPICS_LIMIT: Duration = Duration::from_mins(5);
const CREATE_TOPICS: i16 = 6;
const DELETE_TOPICS: i16 = 5;
const LIST_OFFSETS: i16 = 5;
/// The special time that stands for the end.
const LATEST: i64 = -1;

/// What makes lanes, and keeps Kafka.
pub(crate) struct Lanes<'a> {
    arguments: &'a Arguments,
    directory: &'a Path,
    kafka: Option<Lane>,
}

/// One broker in a case.
#[derive(Clone)]
pub(crate) struct Lane {
    pub(crate) variant: Variant,
    process: Rc<Process>,
    directory: Rc<TempDir>,
}

/// How a broker is started on a directory, once or again.
pub(crate) struct Site {
    variant: Variant,
    pub(crate) directory: TempDir,
    address: String,
    /// Where Millpond answers HTTP.
    http: String,
    program: PathBuf,
}

impl<'a> Lanes<'a> {
    pub(crate) fn new(arguments: &'a Arguments, directory: &'a Path) -> Self {
        Self { arguments, directory, kafka: None }
    }

    /// The lanes of those of `variants` that are asked for.
    pub(crate) fn open(&mut self, variants: &[Variant]) -> Vec<Lane> {
        let chosen = self.arguments.chosen(variants);
        chosen.into_iter().map(|variant| self.lane(variant)).collect()
    }

    /// Ends Kafka.
    pub(crate) fn end(&mut self) {
        self.kafka = None;
    }

    fn lane(&mut self, variant: Variant) -> Lane {
        if variant.broker != Broker::Kafka {
            return Lane::start(Site::new(self.arguments, variant, self.directory));
        }
        let kafka = self.kafka.get_or_insert_with(|| {
            let lane = Lane::start(Site::new(self.arguments, Variant::REFERENCE, self.directory));
            warm(&lane, self.arguments);
            lane
        });
        Lane { variant, ..kafka.clone() }
    }
}

/// Produces into topics that are deleted again, so that Kafka's code is compiled.
fn warm(lane: &Lane, arguments: &Arguments) {
    const ROUNDS: u64 = 4;
    eprintln!("warming Kafka with {} MiB", arguments.warm_bytes() >> 20);
    for round in 0..ROUNDS {
        let topic = format!("warm-{round}");
        let partitions = if round % 2 == 0 { 1 } else { 100 };
        lane.create_topic(&topic, partitions);
        let load = Load::new(&topic, partitions, arguments.connections, arguments.warm_bytes() / ROUNDS);
        produce::send(lane.process().address(), &load);
        lane.delete_topic(&topic);
    }
}

impl Site {
    pub(crate) fn new(arguments: &Arguments, variant: Variant, base: &Path) -> Self {
        let directory = tempfile::tempdir_in(base).expect("a directory for the data can be made");
        let address = free_address();
        let program = match variant.broker {
            Broker::Millpond => arguments.millpond.clone().unwrap_or_else(|| server::binary().to_owned()),
            Broker::Kafka => arguments.kafka_libs.clone().expect("without it Kafka is left out"),
            Broker::Floor => env::current_exe().expect("a process knows its file"),
        };
        if variant.broker == Broker::Kafka {
            kafka::prepare(&program, directory.path(), &address);
        }
        Self { variant, directory, address, http: free_address(), program }
    }

    pub(crate) fn http(&self) -> &str {
        &self.http
    }

    /// Starts it and waits for its first answer.
    pub(crate) fn start(&self) -> Process {
        let (directory, address) = (self.directory.path(), self.address.as_str());
        let durability = match self.variant.durability {
            Durability::Fsync => "fsync",
            Durability::PageCache => "page-cache",
        };
        let mut command = match self.variant.broker {
            Broker::Millpond => {
                let mut command = Command::new(&self.program);
                command.args(["serve", "--http", &self.http, "--kafka", address, "--durability", durability]);
                command.arg("--data").arg(directory.join("data"));
                command
            }
            Broker::Kafka => kafka::command(&self.program, directory),
            Broker::Floor => {
                let mut command = Command::new(&self.program);
                command.args(["--floor", address, "--durability", durability, "--dir"]).arg(directory);
                command
            }
        };
        Process::start(&mut command, address, &directory.join("log.txt"))
    }
}

impl Lane {
    fn start(site: Site) -> Self {
        let process = Rc::new(site.start());
        eprintln!("{} at {}, pid {}", site.variant, process.address(), process.pid());
        Self { variant: site.variant, process, directory: Rc::new(site.directory) }
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A name that no other lane on the same process uses.
    pub(crate) fn topic(&self, case: &str) -> String {
        format!("{case}-{}", if self.variant.durability == Durability::Fsync { "fsync" } else { "cache" })
    }

    /// Creates a topic and waits until all of it is there. The floor has none.
    pub(crate) fn create_topic(&self, topic: &str, partitions: u32) {
        if self.variant.broker != Broker::Floor {
            let is_kafka = self.variant.broker == Broker::Kafka;
            let settings = if is_kafka { kafka_settings(self.variant.durability) } else { Vec::new() };
            create_topic(self.process.address(), topic, partitions, &settings);
        }
    }

    /// Deletes a topic of Kafka's, whose process goes on; the others go with all that they have.
    fn delete_topic(&self, topic: &str) {
        if self.variant.broker == Broker::Kafka {
            let request = DeleteTopicsRequest::default().with_timeout_ms(30_000);
            let request = request.with_topic_names(vec![requests::name(topic)]);
            let answer = Wire::connect(self.process.address()).call(DELETE_TOPICS, &request);
            assert_eq!(answer.responses[0].error_code, 0, "deleting {topic}");
        }
    }
}

/// Deletes the topics of a case.
pub(crate) fn delete_topics(lanes: &[Lane], case: &str) {
    for lane in lanes {
        lane.delete_topic(&lane.topic(case));
    }
}

fn kafka_settings(durability: Durability) -> Vec<(&'static str, &'static str)> {
    let mut settings = vec![("file.delete.delay.ms", "1000")];
    if durability == Durability::Fsync {
        settings.push(("flush.messages", "1"));
    }
    settings
}

/// Creates a topic and waits until each of its partitions is served: Kafka's Metadata names leaders that do not know of it
/// yet.
pub(crate) fn create_topic(address: &str, topic: &str, partitions: u32, settings: &[(&str, &str)]) {
    let mut wire = Wire::connect(address);
    wire.read_limit(TOPICS_LIMIT);
    let setting = |(key, value): &(&str, &str)| {
        CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
    };
    let partitions = i32::try_from(partitions).expect("few partitions");
    let mut request = requests::create_topic(topic, partitions).with_timeout_ms(120_000);
    request.topics[0].configs = settings.iter().map(setting).collect();
    let answer = wire.call(CREATE_TOPICS, &request);
    assert_eq!(answer.topics[0].error_code, 0, "creating {topic}: {:?}", answer.topics[0].error_message);
    let part = |partition| ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(LATEST);
    let ends = ListOffsetsTopic::default()
        .with_name(requests::name(topic))
        .with_partitions((0..partitions).map(part).collect());
    let ends = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![ends]);
    let begin = Instant::now();
    while wire.call(LIST_OFFSETS, &ends).topics[0].partitions.iter().any(|partition| partition.error_code != 0) {
        assert!(begin.elapsed() < TOPICS_LIMIT, "{topic} is not served after {TOPICS_LIMIT:?}");
        thread::sleep(Duration::from_millis(20));
    }
}
