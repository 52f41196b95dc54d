//! `millpond schedule`: creates, lists and deletes what takes snapshots by itself, over HTTP.

use clap::{Args, Subcommand};

use super::calendar::show_time;
use super::failure::Failure;
use super::output::{Table, print};
use super::remote::{Deleted, Remote, RemoteArgs, json};
use crate::http::schedules::{NewSchedule, Schedule, ScheduleList};

/// What to do with schedules.
#[derive(Args, Debug)]
pub struct ScheduleArgs {
    #[command(subcommand)]
    command: ScheduleCommand,
}

#[derive(Subcommand, Debug)]
enum ScheduleCommand {
    /// List the schedules of a volume, or of all
    List {
        /// The volume
        volume: Option<String>,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Have snapshots of a volume taken, and let go, by themselves
    Create {
        /// The volume
        volume: String,
        /// The schedule's name, with which the names of its snapshots begin
        name: String,
        /// When, and how long they are kept: hourly keep 24, daily at 22:00 keep 7d, weekly on sunday at 03:00 keep 4w,
        /// every 15mi keep 8
        #[arg(required = true, num_args = 1..)]
        timetable: Vec<String>,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Delete a schedule; its snapshots stay
    Delete {
        /// The volume
        volume: String,
        /// The schedule
        name: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

impl ScheduleArgs {
    /// Does it, and prints the answer.
    pub async fn run(self) -> Result<(), Failure> {
        let text = match self.command {
            ScheduleCommand::List { volume, remote } => list(&remote, volume.as_deref()).await?,
            ScheduleCommand::Create { volume, name, timetable, remote } => {
                create(&remote, &volume, &NewSchedule { name, timetable: timetable.join(" ") }).await?
            }
            ScheduleCommand::Delete { volume, name, remote } => delete(&remote, &volume, &name).await?,
        };
        Ok(print(&text)?)
    }
}

async fn list(args: &RemoteArgs, volume: Option<&str>) -> Result<String, Failure> {
    let remote = Remote::new(args)?;
    let list: ScheduleList = match volume {
        Some(volume) => remote.get(&["volumes", volume, "schedules"]).await?,
        None => remote.get(&["schedules"]).await?,
    };
    if args.json { json(&list) } else { Ok(show_list(&list)) }
}

async fn create(args: &RemoteArgs, volume: &str, new: &NewSchedule) -> Result<String, Failure> {
    let schedule: Schedule = Remote::new(args)?.post(&["volumes", volume, "schedules"], new).await?;
    if args.json {
        return json(&schedule);
    }
    let next = schedule.next.map(show_time).unwrap_or_default();
    Ok(format!(
        "Created schedule {} of volume {volume}: its first snapshot is taken at {next}. `millpond snapshot list {volume}` \
         shows those that it has taken.\n",
        schedule.name
    ))
}

async fn delete(args: &RemoteArgs, volume: &str, name: &str) -> Result<String, Failure> {
    Remote::new(args)?.delete(&["volumes", volume, "schedules", name]).await?;
    if args.json {
        return json(&Deleted { deleted: name.to_owned() });
    }
    Ok(format!("Deleted schedule {name} of volume {volume}. Its snapshots stay until they expire or are deleted.\n"))
}

fn show_list(list: &ScheduleList) -> String {
    if list.schedules.is_empty() {
        return "There are no schedules yet. `millpond schedule create VOLUME NAME hourly keep 24` makes one.\n"
            .to_owned();
    }
    let mut table = Table::new(&["VOLUME", "SCHEDULE", "TIMETABLE", "LAST", "NEXT", ">SNAPSHOTS"]);
    for schedule in &list.schedules {
        table.row([
            schedule.volume.clone(),
            schedule.name.clone(),
            schedule.timetable.clone(),
            schedule.last.map(show_time).unwrap_or_default(),
            schedule.next.map(show_time).unwrap_or_default(),
            schedule.snapshots.to_string(),
        ]);
    }
    table.show()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_when_the_next_snapshot_is_taken() {
        let schedule = Schedule {
            volume: "trading".to_owned(),
            name: "hourly".to_owned(),
            timetable: "hourly keep 24".to_owned(),
            created: 0,
            last: None,
            next: Some(3_600_000),
            snapshots: 0,
        };
        let text = show_list(&ScheduleList { schedules: vec![schedule] });
        assert!(
            text.ends_with("trading  hourly    hourly keep 24        1970-01-01T01:00:00.000Z          0\n"),
            "{text}"
        );
        assert!(show_list(&ScheduleList { schedules: vec![] }).contains("hourly keep 24"));
    }
}
