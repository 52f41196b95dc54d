//! `millpond stream`: lists, creates, describes, changes and deletes the streams of volumes over HTTP.

use std::fmt::Write as _;

use clap::{Args, Subcommand, ValueEnum};

use super::calendar::show_time;
use super::failure::Failure;
use super::output::{Table, print};
use super::remote::{Deleted, Remote, RemoteArgs, json};
use super::topic::settings;
use crate::config::{parse_lifetime, show_bytes_roughly};
use crate::http::streams::{NewStream, Stream, StreamList, StreamPolicy};

/// What to do with streams.
#[derive(Args, Debug)]
pub struct StreamArgs {
    #[command(subcommand)]
    command: StreamCommand,
}

#[derive(Subcommand, Debug)]
enum StreamCommand {
    /// List the streams of a volume
    List {
        /// The volume
        volume: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Create a stream in a volume
    Create {
        /// The volume
        volume: String,
        /// The stream's name
        stream: String,
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Show a stream's policy and contents
    Describe {
        /// The volume
        volume: String,
        /// The stream
        stream: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Change a stream's policy, for all its topics that have nothing of their own
    Alter {
        /// The volume
        volume: String,
        /// The stream
        stream: String,
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Delete a stream
    Delete {
        /// The volume
        volume: String,
        /// The stream
        stream: String,
        /// Delete it with its topics
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

/// What the topics of a stream have where they have nothing of their own.
#[derive(Args, Debug, Default)]
struct PolicyArgs {
    /// How long records are kept, such as 1h, 2d or 4w; 0: for ever; default: as the broker is set (retention.ms)
    #[arg(long, value_name = "TIME")]
    ttl: Option<String>,
    /// How many partitions a topic gets that is created without a number; 0: as the broker is set
    #[arg(long, value_name = "N")]
    partitions: Option<i32>,
    /// Whether topics that are asked for come into being by themselves
    #[arg(long, value_name = "WHETHER")]
    autocreate: Option<AutoCreate>,
    /// Whether only the last record of each key is kept (cleanup.policy)
    #[arg(long, value_name = "WHETHER", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    compact: Option<Compact>,
    /// Whose clock stamps records (message.timestamp.type)
    #[arg(long, value_name = "CLOCK")]
    timestamps: Option<Timestamps>,
    /// A key of its topics' configuration, such as max.message.bytes=4194304; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// A key that its topics get from the broker again; may be repeated
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AutoCreate {
    True,
    False,
    /// As the broker is set
    Default,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compact {
    /// And they are kept for ever
    True,
    /// All are kept, until their time is over
    False,
    /// And they, too, are kept until their time is over
    AndDelete,
    /// As the broker is set
    Default,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Timestamps {
    /// The producer's
    Create,
    /// The broker's
    Append,
    /// As the broker is set
    Default,
}

impl PolicyArgs {
    fn policy(self) -> Result<StreamPolicy, Failure> {
        let mut policy = StreamPolicy {
            partitions_default: self.partitions.map(|count| (count != 0).then_some(count)),
            auto_create: self.autocreate.map(|choice| match choice {
                AutoCreate::True => Some(true),
                AutoCreate::False => Some(false),
                AutoCreate::Default => None,
            }),
            ..StreamPolicy::default()
        };
        if let Some(ttl) = self.ttl {
            policy.config.insert("retention.ms".to_owned(), retention(&ttl)?);
        }
        if let Some(compact) = self.compact {
            let value = match compact {
                Compact::True => Some("compact".to_owned()),
                Compact::False => Some("delete".to_owned()),
                Compact::AndDelete => Some("compact,delete".to_owned()),
                Compact::Default => None,
            };
            policy.config.insert("cleanup.policy".to_owned(), value);
        }
        if let Some(clock) = self.timestamps {
            let value = match clock {
                Timestamps::Create => Some("CreateTime".to_owned()),
                Timestamps::Append => Some("LogAppendTime".to_owned()),
                Timestamps::Default => None,
            };
            policy.config.insert("message.timestamp.type".to_owned(), value);
        }
        policy.config.extend(settings(&self.config)?.into_iter().map(|(key, value)| (key, Some(value))));
        policy.config.extend(self.unset.into_iter().map(|key| (key, None)));
        Ok(policy)
    }
}

impl PolicyArgs {
    /// A new stream with this policy: what is as the broker is set needs no saying.
    fn stream(self, name: String) -> Result<NewStream, Failure> {
        let StreamPolicy { partitions_default, auto_create, config } = self.policy()?;
        let config = config.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let (partitions_default, auto_create) = (partitions_default.flatten(), auto_create.flatten());
        Ok(NewStream { name, partitions_default, auto_create, config })
    }
}

/// `retention.ms` of a time to live; as in `MapR` 0 keeps for ever.
fn retention(ttl: &str) -> Result<Option<String>, Failure> {
    match ttl {
        "0" => Ok(Some("-1".to_owned())),
        "default" => Ok(None),
        ttl => Ok(Some(parse_lifetime(ttl)?.to_string())),
    }
}

impl StreamArgs {
    /// Does it, and prints the answer.
    pub async fn run(self) -> Result<(), Failure> {
        let text = match self.command {
            StreamCommand::List { volume, remote } => list(&remote, &volume).await?,
            StreamCommand::Create { volume, stream, policy, remote } => {
                create(&remote, &volume, &policy.stream(stream)?).await?
            }
            StreamCommand::Describe { volume, stream, remote } => describe(&remote, &volume, &stream).await?,
            StreamCommand::Alter { volume, stream, policy, remote } => {
                alter(&remote, &volume, &stream, &policy.policy()?).await?
            }
            StreamCommand::Delete { volume, stream, force, remote } => delete(&remote, &volume, &stream, force).await?,
        };
        Ok(print(&text)?)
    }
}

async fn list(args: &RemoteArgs, volume: &str) -> Result<String, Failure> {
    let list: StreamList = Remote::new(args)?.get(&["volumes", volume, "streams"]).await?;
    if args.json { json(&list) } else { Ok(show_list(&list)) }
}

async fn create(args: &RemoteArgs, volume: &str, new: &NewStream) -> Result<String, Failure> {
    let stream: Stream = Remote::new(args)?.post(&["volumes", volume, "streams"], new).await?;
    if args.json {
        return json(&stream);
    }
    let name = &stream.name;
    Ok(format!(
        "Created stream {name} in volume {volume}. Its topics are called {volume}.{name}.TOPIC: \
         `millpond topic create {volume}.{name}.TOPIC` makes one.\n"
    ))
}

async fn describe(args: &RemoteArgs, volume: &str, stream: &str) -> Result<String, Failure> {
    let stream: Stream = Remote::new(args)?.get(&["volumes", volume, "streams", stream]).await?;
    if args.json { json(&stream) } else { Ok(show(&stream)) }
}

async fn alter(args: &RemoteArgs, volume: &str, stream: &str, policy: &StreamPolicy) -> Result<String, Failure> {
    if *policy == StreamPolicy::default() {
        return Err(Failure::new("nothing is to be changed: `millpond stream alter --help` shows what can be"));
    }
    let stream: Stream = Remote::new(args)?.patch(&["volumes", volume, "streams", stream], policy).await?;
    if args.json { json(&stream) } else { Ok(show(&stream)) }
}

async fn delete(args: &RemoteArgs, volume: &str, stream: &str, force: bool) -> Result<String, Failure> {
    Remote::new(args)?.delete_by_force(&["volumes", volume, "streams", stream], force).await?;
    if args.json {
        return json(&Deleted { deleted: stream.to_owned() });
    }
    Ok(format!("Deleted stream {stream} of volume {volume}.\n"))
}

fn show_list(list: &StreamList) -> String {
    let mut table = Table::new(&["STREAM", ">TOPICS", ">PARTITIONS", ">SIZE", "POLICY"]);
    for stream in &list.streams {
        table.row([
            stream.name.clone(),
            stream.topics.to_string(),
            stream.partitions.to_string(),
            show_bytes_roughly(stream.bytes),
            policy(stream).join(", "),
        ]);
    }
    table.show()
}

/// What a stream says, key by key.
fn policy(stream: &Stream) -> Vec<String> {
    let partitions = stream.partitions_default.map(|count| format!("partitions = {count}"));
    let auto_create = stream.auto_create.map(|whether| format!("autocreate = {whether}"));
    let config = stream.config.iter().map(|(key, value)| format!("{key} = {value}"));
    partitions.into_iter().chain(auto_create).chain(config).collect()
}

fn show(stream: &Stream) -> String {
    let created = if stream.created == 0 { String::new() } else { format!(", created {}", show_time(stream.created)) };
    let mut text = format!(
        "Stream {} of volume {}{created}: {} topics with {} partitions, {}\n\n",
        stream.name,
        stream.volume,
        stream.topics,
        stream.partitions,
        show_bytes_roughly(stream.bytes)
    );
    let policy = policy(stream);
    if policy.is_empty() {
        text.push_str("Its topics have what the broker is set to, and what is set on them.\n");
        return text;
    }
    text.push_str("Where they have nothing of their own, its topics have:\n");
    for line in policy {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        Stream {
            volume: "trading".to_owned(),
            name: "taq".to_owned(),
            created: 0,
            partitions_default: Some(4),
            auto_create: None,
            config: [("retention.ms".to_owned(), "60000".to_owned())].into(),
            topics: 2,
            partitions: 8,
            bytes: 700,
        }
    }

    #[test]
    fn a_stream_shows_its_policy() {
        let text = show_list(&StreamList { streams: vec![stream()] });
        assert!(text.contains("taq          2           8  700 B  partitions = 4, retention.ms = 60000\n"), "{text}");
        assert!(show(&stream()).contains("  retention.ms = 60000\n"));
    }

    #[test]
    fn flags_become_keys_of_topics() {
        let args = PolicyArgs {
            ttl: Some("2d".to_owned()),
            partitions: Some(0),
            timestamps: Some(Timestamps::Append),
            compact: Some(Compact::AndDelete),
            config: vec!["segment.ms=1".to_owned()],
            unset: vec!["segment.bytes".to_owned()],
            ..PolicyArgs::default()
        };
        let policy = args.policy().unwrap();
        assert_eq!((policy.partitions_default, policy.auto_create), (Some(None), None));
        let config: Vec<_> = policy.config.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        assert_eq!(
            config,
            [
                ("cleanup.policy", Some("compact,delete")),
                ("message.timestamp.type", Some("LogAppendTime")),
                ("retention.ms", Some("172800000")),
                ("segment.bytes", None),
                ("segment.ms", Some("1")),
            ]
        );
        assert_eq!(retention("0").unwrap().as_deref(), Some("-1"));
        assert_eq!(retention("default").unwrap(), None);
        assert!(retention("7").is_err());
    }
}
