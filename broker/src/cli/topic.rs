//! `millpond topic`: lists, creates, describes, changes and deletes topics over HTTP.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::{Table, print};
use super::remote::{Deleted, Remote, RemoteArgs, json};
use crate::config::show_bytes_roughly;
use crate::http::topics::{NewTopic, Topic, TopicChange, TopicList};

/// What to do with topics.
#[derive(Args, Debug)]
pub struct TopicArgs {
    #[command(subcommand)]
    command: TopicCommand,
}

#[derive(Subcommand, Debug)]
enum TopicCommand {
    /// List the topics with their partitions, records and bytes
    List {
        /// Those of this volume or snapshot, such as trading-v2 or trading@close [default: those of volumes that are listed]
        #[arg(value_name = "VOLUME[@SNAPSHOT]")]
        of: Option<String>,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Create a topic
    Create {
        /// Its name
        name: String,
        /// How many partitions it gets [default: the broker's own, 1 unless configured]
        #[arg(long, value_name = "N")]
        partitions: Option<i32>,
        /// A key of its configuration, such as retention.ms=3600000; may be repeated
        #[arg(long, value_name = "KEY=VALUE")]
        config: Vec<String>,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Show a topic's partitions and configuration
    Describe {
        /// Its name
        name: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Change a topic's configuration, or give it more partitions
    Alter {
        /// Its name
        name: String,
        /// How many partitions it is to have: more than it has
        #[arg(long, value_name = "N")]
        partitions: Option<i32>,
        /// A key of its configuration, such as retention.ms=3600000; may be repeated
        #[arg(long, value_name = "KEY=VALUE")]
        config: Vec<String>,
        /// A key that it gets from its stream or the broker again; may be repeated
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Delete a topic and all that is in it
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

impl TopicArgs {
    /// Does it, and prints the answer.
    pub async fn run(self) -> Result<(), Failure> {
        let text = match self.command {
            TopicCommand::List { of, remote } => list(&remote, of.as_deref()).await?,
            TopicCommand::Create { name, partitions, config, remote } => {
                create(&remote, NewTopic { name, partitions, config: settings(&config)? }).await?
            }
            TopicCommand::Describe { name, remote } => describe(&remote, &name).await?,
            TopicCommand::Alter { name, partitions, config, unset, remote } => {
                let set = settings(&config)?.into_iter().map(|(key, value)| (key, Some(value)));
                let config = set.chain(unset.into_iter().map(|key| (key, None))).collect();
                alter(&remote, &name, &TopicChange { partitions, config }).await?
            }
            TopicCommand::Delete { name, remote } => delete(&remote, &name).await?,
        };
        Ok(print(&text)?)
    }
}

async fn list(args: &RemoteArgs, of: Option<&str>) -> Result<String, Failure> {
    let query: Vec<_> = of.into_iter().map(|of| ("of", of)).collect();
    let list: TopicList = Remote::new(args)?.get_with(&["topics"], &query).await?;
    if args.json { json(&list) } else { Ok(show_list(&list)) }
}

async fn create(args: &RemoteArgs, new: NewTopic) -> Result<String, Failure> {
    let topic: Topic = Remote::new(args)?.post(&["topics"], &new).await?;
    if args.json {
        return json(&topic);
    }
    Ok(format!("Created topic {} with {}.\n", topic.name, partitions(topic.partitions.len())))
}

async fn describe(args: &RemoteArgs, name: &str) -> Result<String, Failure> {
    let topic: Topic = Remote::new(args)?.get(&["topics", name]).await?;
    if args.json { json(&topic) } else { Ok(show(&topic)) }
}

async fn alter(args: &RemoteArgs, name: &str, change: &TopicChange) -> Result<String, Failure> {
    if *change == TopicChange::default() {
        return Err(Failure::new("nothing is to be changed: `millpond topic alter --help` shows what can be"));
    }
    let topic: Topic = Remote::new(args)?.patch(&["topics", name], change).await?;
    if args.json { json(&topic) } else { Ok(show(&topic)) }
}

async fn delete(args: &RemoteArgs, name: &str) -> Result<String, Failure> {
    Remote::new(args)?.delete(&["topics", name]).await?;
    if args.json { json(&Deleted { deleted: name.to_owned() }) } else { Ok(format!("Deleted topic {name}.\n")) }
}

/// The keys and values of `--config`.
pub(super) fn settings(given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let split = |text: &String| match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
        None => Err(Failure::new(format!("--config {text:?} is not KEY=VALUE, such as retention.ms=3600000"))),
    };
    let mut settings = BTreeMap::new();
    for text in given {
        let (key, value) = split(text)?;
        if settings.contains_key(&key) {
            return Err(Failure::new(format!("--config {key} is there twice")));
        }
        settings.insert(key, value);
    }
    Ok(settings)
}

fn partitions(count: usize) -> String {
    if count == 1 { "1 partition".to_owned() } else { format!("{count} partitions") }
}

fn show_list(list: &TopicList) -> String {
    if list.topics.is_empty() {
        return "There are no topics yet. `millpond topic create NAME` makes one, `millpond demo taq` one with data.\n"
            .to_owned();
    }
    let mut table = Table::new(&["TOPIC", ">PARTITIONS", ">RECORDS", ">SIZE"]);
    for topic in &list.topics {
        let size = show_bytes_roughly(topic.bytes);
        table.row([topic.name.clone(), topic.partitions.to_string(), topic.records.to_string(), size]);
    }
    table.show()
}

fn show(topic: &Topic) -> String {
    let internal = if topic.internal { ", internal" } else { "" };
    let count = partitions(topic.partitions.len());
    let mut text = format!("Topic {} (id {}, {count}{internal})\n\n", topic.name, topic.id);
    let mut table = Table::new(&[">PARTITION", ">START", ">STABLE END", ">END", ">EPOCH", ">SIZE"]);
    for partition in &topic.partitions {
        table.row([
            partition.partition.to_string(),
            partition.log_start_offset.to_string(),
            partition.last_stable_offset.to_string(),
            partition.high_watermark.to_string(),
            partition.leader_epoch.to_string(),
            show_bytes_roughly(partition.bytes),
        ]);
    }
    text.push_str(&table.show());
    let own: Vec<_> = topic.config.iter().filter(|setting| setting.own).collect();
    if own.is_empty() {
        text.push_str("\nIt has no configuration of its own, but its stream's and the broker's (--json shows it).\n");
    } else {
        text.push_str("\nConfiguration of its own (--json shows its stream's and the broker's as well):\n");
    }
    for setting in own {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {} = {}", setting.name, setting.value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::topics::{TopicPartition, TopicSetting, TopicSummary};

    #[test]
    fn a_list_is_a_table_and_an_empty_one_says_how_to_go_on() {
        let topic = TopicSummary {
            name: "trades".to_owned(),
            id: String::new(),
            internal: false,
            partitions: 4,
            records: 1_000,
            bytes: 3 << 20,
        };
        let text = show_list(&TopicList { topics: vec![topic] });
        assert_eq!(text, "TOPIC   PARTITIONS  RECORDS     SIZE\ntrades           4     1000  3.0 MiB\n");
        assert!(show_list(&TopicList { topics: vec![] }).contains("millpond topic create"));
    }

    #[test]
    fn a_topic_shows_its_partitions_and_what_it_has_of_its_own() {
        let partition = TopicPartition {
            partition: 0,
            leader_epoch: 2,
            log_start_offset: 5,
            last_stable_offset: 9,
            high_watermark: 10,
            bytes: 700,
        };
        let setting = |name: &str, own| TopicSetting { name: name.to_owned(), value: "1".to_owned(), own };
        let text = show(&Topic {
            name: "trades".to_owned(),
            id: "x".to_owned(),
            internal: false,
            partitions: vec![partition],
            config: vec![setting("retention.ms", true), setting("segment.ms", false)],
        });
        assert!(text.contains("PARTITION  START  STABLE END  END  EPOCH   SIZE\n"), "{text}");
        assert!(text.contains("        0      5           9   10      2  700 B\n"), "{text}");
        assert!(text.contains("  retention.ms = 1\n") && !text.contains("segment.ms"), "{text}");
    }

    #[test]
    fn a_setting_without_a_value_is_refused() {
        assert!(settings(&["retention.ms".to_owned()]).unwrap_err().to_string().contains("is not KEY=VALUE"));
        assert_eq!(settings(&["a = b=c".to_owned()]).unwrap()["a"], "b=c");
        let twice = ["a=1".to_owned(), "a=1".to_owned()];
        assert!(settings(&twice).unwrap_err().to_string().contains("--config a is there twice"));
    }
}
