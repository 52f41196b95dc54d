//! `millpond clone`: makes volumes of views, over HTTP. `millpond diff`: tells what differs between two views.

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::calendar::show_time;
use super::failure::Failure;
use super::output::{Table, print};
use super::remote::{Remote, RemoteArgs, json};
use super::volume::{NewSettings, origin};
use crate::config::show_bytes_roughly;
use crate::http::clones::{Diff, NewClone, SettingDiff, StreamDiff, TopicDiff};
use crate::http::volumes::{Volume, VolumeList};

/// What to do with clones.
#[derive(Args, Debug)]
pub struct CloneArgs {
    #[command(subcommand)]
    command: CloneCommand,
}

#[derive(Subcommand, Debug)]
enum CloneCommand {
    /// List the volumes that are clones
    List {
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Make a volume that begins as a snapshot, or as a volume is now, and is writable at once
    Create {
        /// What it begins as: VOLUME@SNAPSHOT, such as trading@close; VOLUME@MOMENT, such as trading@16:00; or VOLUME
        from: String,
        /// The new volume's name
        name: String,
        #[command(flatten)]
        settings: NewSettings,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

/// Two views to compare.
#[derive(Args, Debug)]
pub struct DiffArgs {
    /// The first view: VOLUME@SNAPSHOT, such as trading@open; VOLUME@MOMENT, such as trading@16:00,
    /// trading@2026-11-24T16:00:00Z or trading@lsn:4711; or VOLUME, as it is now
    from: String,
    /// The second view
    to: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

impl CloneArgs {
    /// Does it, and prints the answer.
    pub async fn run(self) -> Result<(), Failure> {
        let text = match self.command {
            CloneCommand::List { remote } => list(&remote).await?,
            CloneCommand::Create { from, name, settings, remote } => {
                create(&remote, &NewClone::new(from, settings.volume(name)?)).await?
            }
        };
        Ok(print(&text)?)
    }
}

impl DiffArgs {
    /// Does it, and prints the answer.
    pub async fn run(self) -> Result<(), Failure> {
        let views = [("from", self.from.as_str()), ("to", self.to.as_str())];
        let diff: Diff = Remote::new(&self.remote)?.get_with(&["diff"], &views).await?;
        let text = if self.remote.json { json(&diff)? } else { show_diff(&diff) };
        Ok(print(&text)?)
    }
}

async fn list(args: &RemoteArgs) -> Result<String, Failure> {
    let list: VolumeList = Remote::new(args)?.get(&["clones"]).await?;
    if args.json { json(&list) } else { Ok(show_list(&list)) }
}

async fn create(args: &RemoteArgs, new: &NewClone) -> Result<String, Failure> {
    let volume: Volume = Remote::new(args)?.post(&["clones"], new).await?;
    if args.json {
        return json(&volume);
    }
    let name = &volume.name;
    Ok(format!(
        "Made volume {name}, which begins as {} and shares its bytes. `millpond topic list {name}` lists its topics, \
         `millpond listener add 127.0.0.1:9192 --volume {name}` shows them to clients under their short names.\n",
        new.from
    ))
}

fn show_list(list: &VolumeList) -> String {
    if list.volumes.is_empty() {
        return "There are no clones yet. `millpond clone create VOLUME@SNAPSHOT NAME` makes one.\n".to_owned();
    }
    let mut table = Table::new(&["CLONE", "OF", "AS OF", ">TOPICS", ">SIZE", "CREATED"]);
    for volume in &list.volumes {
        let (of, time) = volume.clone_of.as_ref().map_or_else(Default::default, |of| (origin(of), show_time(of.time)));
        table.row([
            volume.name.clone(),
            of,
            time,
            volume.topics.to_string(),
            show_bytes_roughly(volume.bytes),
            show_time(volume.created),
        ]);
    }
    table.show()
}

fn show_diff(diff: &Diff) -> String {
    let topics = if diff.same == 1 { "1 topic is".to_owned() } else { format!("{} topics are", diff.same) };
    let same = format!("{topics} the same in {} and {}.\n", diff.from, diff.to);
    if diff.topics.is_empty() && diff.streams.is_empty() {
        return format!("There is no difference: {same}");
    }
    let mut text = if diff.topics.is_empty() { String::new() } else { show_topics(diff) };
    for stream in &diff.streams {
        show_stream(&mut text, diff, stream);
    }
    for topic in &diff.topics {
        show_topic(&mut text, topic);
    }
    text.push('\n');
    text.push_str(&same);
    text
}

/// Which of the two views has something.
fn place(diff: &Diff, in_from: bool, in_to: bool) -> String {
    match (in_from, in_to) {
        (true, true) => "both".to_owned(),
        (true, false) => format!("{} only", diff.from),
        (false, _) => format!("{} only", diff.to),
    }
}

fn show_topics(diff: &Diff) -> String {
    let columns =
        ["TOPIC", "IN", ">+RECORDS", ">-RECORDS", ">+BYTES", ">-BYTES", ">PARTITIONS", ">SETTINGS", ">POSITIONS"];
    let mut table = Table::new(&columns);
    for topic in &diff.topics {
        table.row([
            topic.topic.clone(),
            place(diff, topic.in_from, topic.in_to),
            topic.added.records.to_string(),
            topic.removed.records.to_string(),
            show_bytes_roughly(topic.added.bytes),
            show_bytes_roughly(topic.removed.bytes),
            topic.partitions.len().to_string(),
            topic.settings.len().to_string(),
            topic.positions.len().to_string(),
        ]);
    }
    table.show()
}

/// The policy of a stream, where it differs.
fn show_stream(text: &mut String, diff: &Diff, stream: &StreamDiff) {
    let is_where = if stream.in_from && stream.in_to {
        String::new()
    } else {
        format!(": {}", place(diff, stream.in_from, stream.in_to))
    };
    let gap = if text.is_empty() { "" } else { "\n" };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{gap}stream {}{is_where}", stream.stream);
    show_settings(text, &stream.settings);
}

fn show_settings(text: &mut String, settings: &[SettingDiff]) {
    for setting in settings {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not set)".to_owned());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}: {} -> {}", setting.name, value(&setting.from), value(&setting.to));
    }
}

/// The settings and positions of a topic, where they differ.
fn show_topic(text: &mut String, topic: &TopicDiff) {
    if topic.settings.is_empty() && topic.positions.is_empty() {
        return;
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n{}", topic.topic);
    show_settings(text, &topic.settings);
    for position in &topic.positions {
        let value = |value: Option<i64>| value.map_or_else(|| "(none)".to_owned(), |offset| offset.to_string());
        let (group, partition) = (&position.group, position.partition);
        let (from, to) = (value(position.from), value(position.to));
        let _ = writeln!(text, "  group {group}, partition {partition}: {from} -> {to}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::clones::{Amount, PositionDiff};

    #[test]
    fn a_diff_shows_topics_and_below_them_streams_settings_and_positions() {
        let setting = SettingDiff { name: "retention.ms".to_owned(), from: None, to: Some("5".to_owned()) };
        let position = PositionDiff { group: "readers".to_owned(), partition: 1, from: Some(3), to: Some(7) };
        let trades = TopicDiff {
            topic: "trades".to_owned(),
            in_from: true,
            in_to: true,
            added: Amount { records: 12, bytes: 700 },
            settings: vec![setting],
            positions: vec![position],
            ..TopicDiff::default()
        };
        let gone = TopicDiff {
            topic: "gone".to_owned(),
            in_from: true,
            removed: Amount { records: 3, bytes: 60 },
            ..TopicDiff::default()
        };
        let (from, to) = ("trading@open".to_owned(), "trading".to_owned());
        let setting = SettingDiff { name: "auto_create".to_owned(), from: Some("true".to_owned()), to: None };
        let taq = StreamDiff { stream: "taq".to_owned(), in_from: true, in_to: true, settings: vec![setting] };
        let new = StreamDiff { stream: "new".to_owned(), in_to: true, ..StreamDiff::default() };
        let text = show_diff(&Diff { from, to, topics: vec![trades, gone], streams: vec![new.clone(), taq], same: 4 });
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(rows.contains(&vec!["trades", "both", "12", "0", "700", "B", "0", "B", "0", "1", "1"]), "{text}");
        assert!(
            rows.contains(&vec!["gone", "trading@open", "only", "0", "3", "0", "B", "60", "B", "0", "0", "0"]),
            "{text}"
        );
        assert!(text.contains("  retention.ms: (not set) -> 5\n  group readers, partition 1: 3 -> 7\n"), "{text}");
        assert!(
            text.contains("\nstream new: trading only\n\nstream taq\n  auto_create: true -> (not set)\n"),
            "{text}"
        );
        assert!(text.ends_with("4 topics are the same in trading@open and trading.\n"), "{text}");
        let (from, to) = ("a".to_owned(), "b".to_owned());
        let text = show_diff(&Diff { from, to, streams: vec![new], same: 1, ..Diff::default() });
        assert_eq!(text, "stream new: b only\n\n1 topic is the same in a and b.\n");
        assert!(show_diff(&Diff::default()).starts_with("There is no difference"));
    }
}
