//! `millpond volume`: lists, creates, describes, changes and deletes volumes over HTTP.

use std::fmt::Write as _;

use clap::{Args, Subcommand, ValueEnum};

use super::calendar::show_time;
use super::failure::Failure;
use super::limits::{self, LimitArgs};
use super::output::{Table, print};
use super::remote::{Deleted, Remote, RemoteArgs, json};
use crate::config::{parse_lifetime, show_bytes_roughly, show_lifetime};
use crate::http::volumes::{CloneOf, Durability, Moment, NewVolume, Volume, VolumeChange, VolumeList};

/// What to do with volumes.
#[derive(Args, Debug)]
pub struct VolumeArgs {
    #[command(subcommand)]
    command: VolumeCommand,
}

#[derive(Subcommand, Debug)]
enum VolumeCommand {
    /// List the volumes with what is in them
    List {
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Create a volume
    Create {
        /// Its name
        name: String,
        #[command(flatten)]
        settings: NewSettings,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Show a volume's settings, timeline and contents
    Describe {
        /// Its name
        name: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Change a volume's settings
    Alter {
        /// Its name
        name: String,
        /// When writes are acknowledged
        #[arg(long, value_name = "WHEN")]
        durability: Option<DurabilityChoice>,
        /// The path that it is mounted at
        #[arg(long, value_name = "PATH")]
        mount: Option<String>,
        /// Whether its topics are listed where everything is shown
        #[arg(long, value_name = "BOOL")]
        listed: Option<bool>,
        /// How far back its past may be frozen, such as 30mi, 1h or 2d; or default: as the broker is set
        #[arg(long, value_name = "TIME")]
        history: Option<String>,
        #[command(flatten)]
        limits: LimitArgs,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Give up a volume's past: from now on only snapshots are left of what it was
    PurgeHistory {
        /// Its name
        name: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Delete a volume; its snapshots stay
    Delete {
        /// Its name
        name: String,
        /// Delete it although it holds records
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

/// What a new volume can be given.
#[derive(Args, Debug, Default)]
pub struct NewSettings {
    /// The path that it is mounted at [default: / and its name]
    #[arg(long, value_name = "PATH")]
    mount: Option<String>,
    /// When writes are acknowledged [default: as the broker is set]
    #[arg(long, value_name = "WHEN")]
    durability: Option<DurabilityChoice>,
    /// Whether its topics are listed where everything is shown [default: true, for clones false]
    #[arg(long, value_name = "BOOL")]
    listed: Option<bool>,
    /// How far back its past may be frozen, such as 30mi, 1h or 2d [default: as the broker is set]
    #[arg(long, value_name = "TIME")]
    history: Option<String>,
    #[command(flatten)]
    limits: LimitArgs,
}

impl NewSettings {
    /// The volume `name` with these settings.
    pub fn volume(self, name: String) -> Result<NewVolume, Failure> {
        Ok(NewVolume {
            name,
            mount: self.mount,
            durability: self.durability.and_then(DurabilityChoice::own),
            listed: self.listed,
            history_ms: self.history.as_deref().map(history).transpose()?.flatten(),
            limits: self.limits.limits(),
        })
    }
}

/// The choices of `--durability`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DurabilityChoice {
    /// When it is on the disk
    Fsync,
    /// When the operating system has it, as in Kafka
    PageCache,
    /// As the broker is set
    Default,
}

impl DurabilityChoice {
    fn own(self) -> Option<Durability> {
        match self {
            Self::Fsync => Some(Durability::Fsync),
            Self::PageCache => Some(Durability::PageCache),
            Self::Default => None,
        }
    }
}

impl VolumeArgs {
    /// Does it, and prints the answer.
    pub async fn run(self) -> Result<(), Failure> {
        let text = match self.command {
            VolumeCommand::List { remote } => list(&remote).await?,
            VolumeCommand::Create { name, settings, remote } => create(&remote, &settings.volume(name)?).await?,
            VolumeCommand::Describe { name, remote } => describe(&remote, &name).await?,
            VolumeCommand::Alter { name, durability, mount, listed, history: past, limits, remote } => {
                let history_ms = past.as_deref().map(history).transpose()?;
                let (durability, limits) = (durability.map(DurabilityChoice::own), limits.change());
                alter(&remote, &name, &VolumeChange { durability, mount, listed, history_ms, limits }).await?
            }
            VolumeCommand::PurgeHistory { name, remote } => purge_history(&remote, &name).await?,
            VolumeCommand::Delete { name, force, remote } => delete(&remote, &name, force).await?,
        };
        Ok(print(&text)?)
    }
}

async fn list(args: &RemoteArgs) -> Result<String, Failure> {
    let list: VolumeList = Remote::new(args)?.get(&["volumes"]).await?;
    if args.json { json(&list) } else { Ok(show_list(&list)) }
}

async fn create(args: &RemoteArgs, new: &NewVolume) -> Result<String, Failure> {
    let volume: Volume = Remote::new(args)?.post(&["volumes"], new).await?;
    if args.json {
        return json(&volume);
    }
    let name = &volume.name;
    Ok(format!(
        "Created volume {name} at {}. Its topics are called {name}.default.TOPIC or {}/default:TOPIC; \
         `millpond stream create {name} STREAM` makes a stream for more of them.\n",
        volume.mount, volume.mount
    ))
}

async fn describe(args: &RemoteArgs, name: &str) -> Result<String, Failure> {
    let volume: Volume = Remote::new(args)?.get(&["volumes", name]).await?;
    if args.json { json(&volume) } else { Ok(show(&volume)) }
}

async fn alter(args: &RemoteArgs, name: &str, change: &VolumeChange) -> Result<String, Failure> {
    if *change == VolumeChange::default() {
        return Err(Failure::new("nothing is to be changed: `millpond volume alter --help` shows what can be"));
    }
    let volume: Volume = Remote::new(args)?.patch(&["volumes", name], change).await?;
    if args.json { json(&volume) } else { Ok(show(&volume)) }
}

async fn purge_history(args: &RemoteArgs, name: &str) -> Result<String, Failure> {
    let oldest: Moment = Remote::new(args)?.post(&["volumes", name, "purge-history"], &()).await?;
    if args.json {
        return json(&oldest);
    }
    Ok(format!(
        "Volume {name} has no past before {} (LSN {}) any more, but for its snapshots. What nothing else needs is freed by the \
         next collection.\n",
        show_time(oldest.time),
        oldest.lsn
    ))
}

async fn delete(args: &RemoteArgs, name: &str, force: bool) -> Result<String, Failure> {
    Remote::new(args)?.delete_by_force(&["volumes", name], force).await?;
    if args.json {
        return json(&Deleted { deleted: name.to_owned() });
    }
    Ok(format!(
        "Deleted volume {name}. Snapshots of it stay until they expire or are deleted: `millpond snapshot list {name}` shows them.\n"
    ))
}

/// How far back a past is kept; none: as the broker is set.
fn history(text: &str) -> Result<Option<i64>, Failure> {
    match text {
        "default" => Ok(None),
        "0" => Ok(Some(0)),
        text => Ok(Some(parse_lifetime(text)?)),
    }
}

fn durability(volume: &Volume) -> &'static str {
    match volume.durability {
        Durability::Fsync => "fsync",
        Durability::PageCache => "page-cache",
    }
}

fn show_list(list: &VolumeList) -> String {
    let columns =
        ["VOLUME", "MOUNT", "DURABILITY", ">TOPICS", ">PARTITIONS", ">SIZE", ">QUOTA", ">SNAPSHOTS", "CLONE OF"];
    let mut table = Table::new(&columns);
    for volume in &list.volumes {
        table.row([
            volume.name.clone(),
            volume.mount.clone(),
            durability(volume).to_owned(),
            volume.topics.to_string(),
            volume.partitions.to_string(),
            show_bytes_roughly(volume.bytes),
            volume.limits.quota_bytes.map(show_bytes_roughly).unwrap_or_default(),
            volume.snapshots.to_string(),
            volume.clone_of.as_ref().map_or_else(String::new, origin),
        ]);
    }
    table.show()
}

/// `trading@close`, or the volume alone where it was cloned as it was.
pub fn origin(clone_of: &CloneOf) -> String {
    match &clone_of.snapshot {
        Some(snapshot) => format!("{}@{snapshot}", clone_of.volume),
        None => clone_of.volume.clone(),
    }
}

fn show(volume: &Volume) -> String {
    let by = |own: bool| if own { "" } else { " (as the broker is set)" };
    let mut text = format!("Volume {} (id {}, created {})\n\n", volume.name, volume.id, show_time(volume.created));
    let mut row = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<17}{value}");
    };
    row("mount", volume.mount.clone());
    row("durability", format!("{}{}", durability(volume), by(volume.own_durability)));
    row("history", format!("{}{}", show_lifetime(volume.history_ms), by(volume.own_history)));
    if let Some(oldest) = volume.oldest {
        row("oldest", format!("{} (LSN {})", show_time(oldest.time), oldest.lsn));
    }
    row("listed", if volume.listed { "yes" } else { "no" }.to_owned());
    row("timeline", format!("{} at LSN {}, leader epoch {}", volume.timeline, volume.lsn, volume.leader_epoch));
    row("topics", format!("{}, with {} partitions", volume.topics, volume.partitions));
    row("size", show_bytes_roughly(volume.bytes));
    for (name, most) in limits::show(&volume.limits) {
        row(name, most);
    }
    row("snapshots", volume.snapshots.to_string());
    if let Some(clone_of) = &volume.clone_of {
        row("clone of", format!("{} at LSN {}, {}", origin(clone_of), clone_of.lsn, show_time(clone_of.time)));
    }
    if let Some(damage) = &volume.damage {
        row("damaged", format!("{damage}; it takes no writes"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::limits::Limits;

    fn volume() -> Volume {
        Volume {
            name: "trading-v2".to_owned(),
            id: 7,
            mount: "/trading-v2".to_owned(),
            created: 0,
            durability: Durability::Fsync,
            own_durability: false,
            listed: false,
            history_ms: 3_600_000,
            own_history: true,
            oldest: Some(Moment { lsn: 4, time: 0 }),
            limits: Limits { quota_bytes: Some(10 << 30), ..Limits::default() },
            timeline: 9,
            lsn: 12,
            leader_epoch: 3,
            topics: 2,
            partitions: 8,
            bytes: 3 << 20,
            snapshots: 1,
            clone_of: Some(CloneOf {
                volume: "trading".to_owned(),
                snapshot: Some("close".to_owned()),
                lsn: 5,
                time: 0,
            }),
            damage: None,
        }
    }

    #[test]
    fn a_list_says_what_is_a_clone_of_what() {
        let text = show_list(&VolumeList { volumes: vec![volume()] });
        assert!(
            text.contains(
                "trading-v2  /trading-v2  fsync            2           8  3.0 MiB  10.0 GiB          1  trading@close\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_volume_says_what_it_has_of_its_own() {
        let text = show(&volume());
        assert!(text.contains("  durability       fsync (as the broker is set)\n  history          1h\n"), "{text}");
        assert!(text.contains("  quota            10.0 GiB\n"), "{text}");
        assert!(text.contains("  clone of         trading@close at LSN 5, 1970-01-01T00:00:00.000Z\n"), "{text}");
    }

    #[test]
    fn the_past_is_kept_for_a_time_or_as_the_broker_is_set() {
        assert_eq!(history("default").unwrap(), None);
        assert_eq!(history("0").unwrap(), Some(0));
        assert_eq!(history("2d").unwrap(), Some(172_800_000));
        assert!(history("2").is_err());
    }
}
