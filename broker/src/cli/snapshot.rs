//! `millpond snapshot`: takes, lists, keeps and deletes snapshots over HTTP. `millpond restore`: takes a volume back to one.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};

use super::calendar::show_time;
use super::failure::Failure;
use super::output::{Table, print};
use super::remote::{Deleted, Remote, RemoteArgs, json};
use crate::config::{parse_lifetime, show_bytes_roughly, show_lifetime};
use crate::http::snapshots::{AtRecord, NewSnapshot, Restore, Snapshot, SnapshotChange, SnapshotList};

/// What to do with snapshots.
#[derive(Args, Debug)]
pub struct SnapshotArgs {
    #[command(subcommand)]
    command: SnapshotCommand,
}

#[derive(Subcommand, Debug)]
enum SnapshotCommand {
    /// List the snapshots of a volume, or of all
    List {
        /// The volume
        volume: Option<String>,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Take a snapshot of a volume as it is now, or as it was
    Create {
        /// The volume
        volume: String,
        /// The snapshot's name
        name: String,
        /// The moment that it shows: a time such as 2026-11-24T16:00:00Z, 16:00 (the latest, on the broker's clock), lsn:N, or
        /// TOPIC/PARTITION/OFFSET (before that record) [default: now]
        #[arg(long, value_name = "MOMENT", conflicts_with = "at_record")]
        at: Option<String>,
        /// The moment that it shows: before the first record of TOPIC whose timestamp is later than TIME
        #[arg(long, value_names = ["TOPIC", "TIME"], num_args = 2)]
        at_record: Option<Vec<String>>,
        /// How long it is kept, such as 30mi, 1h, 2d or 4w [default: until it is deleted]
        #[arg(long, value_name = "TIME")]
        keep: Option<String>,
        /// Keep it from being deleted
        #[arg(long)]
        protect: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Keep a snapshot from being deleted, also at the end of its lifetime
    Protect {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Let a snapshot be deleted
    Unprotect {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Say how long a snapshot is kept from now on
    Keep {
        #[command(flatten)]
        which: Which,
        /// How long, such as 30mi, 1h, 2d or 4w; or forever
        time: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Delete a snapshot
    Delete {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

/// A snapshot by its name.
#[derive(Args, Debug)]
struct Which {
    /// The snapshot, such as trading@close
    #[arg(value_name = "VOLUME@SNAPSHOT", value_parser = volume_and_snapshot)]
    snapshot: (String, String),
}

/// What a restore is told.
#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// The snapshot that the volume goes back to, such as trading@close
    #[arg(value_name = "VOLUME@SNAPSHOT", value_parser = volume_and_snapshot)]
    snapshot: (String, String),
    /// How long what the volume is now is kept, as a snapshot, such as 1h or 4w; or forever
    #[arg(long, value_name = "TIME", default_value = "1d")]
    keep: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

impl SnapshotArgs {
    /// Does it, and prints the answer.
    pub async fn run(self) -> Result<(), Failure> {
        let text = match self.command {
            SnapshotCommand::List { volume, remote } => list(&remote, volume.as_deref()).await?,
            SnapshotCommand::Create { volume, name, at, at_record, keep, protect, remote } => {
                let at_record = at_record.and_then(|given| <[String; 2]>::try_from(given).ok());
                let new = NewSnapshot {
                    name,
                    at,
                    at_record: at_record.map(|[topic, time]| AtRecord { topic, time }),
                    lifetime_ms: keep.as_deref().map(parse_lifetime).transpose()?,
                    protected: protect,
                };
                create(&remote, &volume, &new).await?
            }
            SnapshotCommand::Protect { which, remote } => protect(&remote, &which, true).await?,
            SnapshotCommand::Unprotect { which, remote } => protect(&remote, &which, false).await?,
            SnapshotCommand::Keep { which, time, remote } => keep(&remote, &which, lifetime(&time)?).await?,
            SnapshotCommand::Delete { which, remote } => delete(&remote, &which).await?,
        };
        Ok(print(&text)?)
    }
}

impl RestoreArgs {
    /// Does it, and prints the answer.
    pub async fn run(self) -> Result<(), Failure> {
        let (volume, snapshot) = self.snapshot;
        let asked = Restore { snapshot: snapshot.clone(), lifetime_ms: Some(lifetime(&self.keep)?) };
        let safety: Snapshot = Remote::new(&self.remote)?.post(&["volumes", &volume, "restore"], &asked).await?;
        let text = if self.remote.json { json(&safety)? } else { show_restored(&safety, &snapshot) };
        Ok(print(&text)?)
    }
}

/// Reads `trading@close`.
fn volume_and_snapshot(text: &str) -> Result<(String, String), String> {
    match text.split_once('@') {
        Some((volume, snapshot)) if !volume.is_empty() && !snapshot.is_empty() => {
            Ok((volume.to_owned(), snapshot.to_owned()))
        }
        _ => Err("it is not VOLUME@SNAPSHOT, such as trading@close".to_owned()),
    }
}

/// None: until it is deleted.
fn lifetime(text: &str) -> Result<Option<i64>, Failure> {
    if text == "forever" { Ok(None) } else { Ok(Some(parse_lifetime(text)?)) }
}

async fn list(args: &RemoteArgs, volume: Option<&str>) -> Result<String, Failure> {
    let remote = Remote::new(args)?;
    let list: SnapshotList = match volume {
        Some(volume) => remote.get(&["volumes", volume, "snapshots"]).await?,
        None => remote.get(&["snapshots"]).await?,
    };
    if args.json { json(&list) } else { Ok(show_list(&list, now_ms())) }
}

async fn create(args: &RemoteArgs, volume: &str, new: &NewSnapshot) -> Result<String, Failure> {
    let snapshot: Snapshot = Remote::new(args)?.post(&["volumes", volume, "snapshots"], new).await?;
    if args.json {
        return json(&snapshot);
    }
    let name = format!("{volume}@{}", snapshot.name);
    Ok(format!(
        "Took snapshot {name}, which shows the volume as of {} (LSN {}). `millpond clone create {name} NAME` makes a volume \
         of it, `millpond restore {name}` takes {volume} back to it.\n",
        show_time(snapshot.time),
        snapshot.lsn
    ))
}

async fn change(args: &RemoteArgs, which: &Which, change: &SnapshotChange) -> Result<Snapshot, Failure> {
    let (volume, name) = &which.snapshot;
    Remote::new(args)?.patch(&["volumes", volume, "snapshots", name], change).await
}

async fn protect(args: &RemoteArgs, which: &Which, protected: bool) -> Result<String, Failure> {
    let asked = SnapshotChange { protected: Some(protected), lifetime_ms: None };
    let snapshot = change(args, which, &asked).await?;
    if args.json {
        return json(&snapshot);
    }
    let how = if protected { "is protected" } else { "can be deleted" };
    Ok(format!("Snapshot {}@{} {how} now.\n", snapshot.volume, snapshot.name))
}

async fn keep(args: &RemoteArgs, which: &Which, lifetime_ms: Option<i64>) -> Result<String, Failure> {
    let asked = SnapshotChange { protected: None, lifetime_ms: Some(lifetime_ms) };
    let snapshot = change(args, which, &asked).await?;
    if args.json {
        return json(&snapshot);
    }
    let until = snapshot.expires.map_or_else(|| "it is deleted".to_owned(), show_time);
    Ok(format!("Snapshot {}@{} is kept until {until}.\n", snapshot.volume, snapshot.name))
}

async fn delete(args: &RemoteArgs, which: &Which) -> Result<String, Failure> {
    let (volume, name) = &which.snapshot;
    Remote::new(args)?.delete(&["volumes", volume, "snapshots", name]).await?;
    let deleted = format!("{volume}@{name}");
    if args.json { json(&Deleted { deleted }) } else { Ok(format!("Deleted snapshot {deleted}.\n")) }
}

fn show_list(list: &SnapshotList, now: i64) -> String {
    if list.snapshots.is_empty() {
        return "There are no snapshots yet. `millpond snapshot create VOLUME NAME` takes one.\n".to_owned();
    }
    let mut table = Table::new(&["SNAPSHOT", "SHOWS", ">AGE", ">LSN", ">OWN", ">SHARED", "KEPT UNTIL", "MADE BY"]);
    for snapshot in &list.snapshots {
        let until = match (snapshot.protected, snapshot.expires) {
            (true, _) => "protected".to_owned(),
            (false, Some(expires)) => show_time(expires),
            (false, None) => String::new(),
        };
        let by = snapshot.schedule.as_ref().map(|schedule| format!("schedule {schedule}"));
        let by = by.or_else(|| snapshot.safety.then(|| "restore".to_owned())).unwrap_or_default();
        table.row([
            format!("{}@{}", snapshot.volume, snapshot.name),
            show_time(snapshot.time),
            show_age(now - snapshot.time),
            snapshot.lsn.to_string(),
            snapshot.owned_bytes.map(show_bytes_roughly).unwrap_or_default(),
            snapshot.shared_bytes.map(show_bytes_roughly).unwrap_or_default(),
            until,
            by,
        ]);
    }
    table.show()
}

fn show_restored(safety: &Snapshot, to: &str) -> String {
    let until =
        safety.expires.map_or_else(|| "until it is deleted".to_owned(), |at| format!("until {}", show_time(at)));
    format!(
        "Volume {} is as it was at {to}. What it was before is kept {until}: `millpond restore {}@{}` undoes this.\n",
        safety.volume, safety.volume, safety.name
    )
}

/// An age in its largest unit: `3h` for three hours and a half.
fn show_age(millis: i64) -> String {
    let units = [86_400_000, 3_600_000, 60_000];
    match units.into_iter().find(|unit| millis >= *unit) {
        Some(unit) => show_lifetime(millis / unit * unit),
        None => format!("{}s", millis.max(0) / 1_000),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            volume: "trading".to_owned(),
            name: "close".to_owned(),
            id: 1,
            timeline: 2,
            lsn: 30,
            time: 0,
            created: 0,
            safety: false,
            owned_bytes: Some(0),
            shared_bytes: Some(700),
            expires: Some(3_600_000),
            protected: false,
            schedule: Some("hourly".to_owned()),
        }
    }

    #[test]
    fn a_list_says_how_old_a_snapshot_is_and_how_long_it_stays() {
        let text = show_list(&SnapshotList { snapshots: vec![snapshot()] }, 7_300_000);
        let row = "trading@close  1970-01-01T00:00:00.000Z   2h   30  0 B   700 B  1970-01-01T01:00:00.000Z  schedule hourly\n";
        assert!(text.ends_with(row), "{text}");
        assert!(show_list(&SnapshotList { snapshots: vec![] }, 0).contains("millpond snapshot create"));
    }

    #[test]
    fn a_restore_says_how_it_is_undone() {
        let safety = Snapshot { name: "before-restore-1".to_owned(), ..snapshot() };
        assert!(show_restored(&safety, "close").contains("`millpond restore trading@before-restore-1` undoes this"));
    }

    #[test]
    fn a_snapshot_is_named_with_its_volume() {
        assert_eq!(volume_and_snapshot("a@b"), Ok(("a".to_owned(), "b".to_owned())));
        for text in ["", "a", "a@", "@b"] {
            assert!(volume_and_snapshot(text).is_err(), "{text:?}");
        }
        assert_eq!(lifetime("forever").unwrap(), None);
        assert_eq!(show_age(172_800_000 + 5), "2d");
        assert_eq!(show_age(5_000), "5s");
    }
}
