//! The command line: `millpond serve` (also the default), and commands that speak to a running broker over the wire.
//!
//! A command prints its answer to standard output; what went wrong goes to standard error with what to do next, and the
//! exit code is 1 (2 where the command line itself is wrong).
#![expect(clippy::print_stderr, reason = "this is where failures are told to people")]

pub mod brokers;
pub mod calendar;
pub mod clone;
pub mod demo;
mod descriptors;
pub mod failure;
mod greeting;
pub mod group;
pub mod limits;
pub mod listener;
pub mod output;
pub mod remote;
pub mod schedule;
pub mod serve;
pub mod snapshot;
pub mod stream;
pub mod tail;
pub mod topic;
pub mod volume;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::{Shell, generate};

use clone::{CloneArgs, DiffArgs};
use demo::DemoArgs;
use failure::Failure;
use group::GroupArgs;
use listener::ListenerArgs;
use schedule::ScheduleArgs;
use serve::ServeArgs;
use snapshot::{RestoreArgs, SnapshotArgs};
use stream::StreamArgs;
use tail::TailArgs;
use topic::TopicArgs;
use volume::VolumeArgs;

/// A streaming broker for Kafka clients, whose data lives in volumes
///
/// Without a command, runs the broker: on 127.0.0.1:9092 for Kafka clients and 127.0.0.1:9080 for HTTP, with its data
/// in ./data.
#[derive(Parser, Debug)]
#[command(name = "millpond", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the broker (the default)
    Serve(ServeArgs),
    /// List, create, describe, change and delete volumes
    Volume(VolumeArgs),
    /// List, create, describe, change and delete the streams of volumes
    Stream(StreamArgs),
    /// Take, list, keep and delete snapshots of volumes, as they are now or as they were
    Snapshot(SnapshotArgs),
    /// Have snapshots taken, and let go, by themselves
    Schedule(ScheduleArgs),
    /// Make volumes of snapshots or of other volumes, and list them
    Clone(CloneArgs),
    /// Take a volume back to a snapshot; what it was before becomes a snapshot, too
    Restore(RestoreArgs),
    /// Add, list and remove addresses that show one volume or one snapshot
    Listener(ListenerArgs),
    /// Tell what differs between two views: snapshots, volumes as they are, volumes as they were
    Diff(DiffArgs),
    /// List, create, describe, change and delete topics
    Topic(TopicArgs),
    /// List, describe and delete consumer groups
    Group(GroupArgs),
    /// Make data to try things with, and write it to a broker
    Demo(DemoArgs),
    /// Print the last records of a topic, or all from somewhere, and follow it
    Tail(TailArgs),
    /// Print the completions for a shell, to be sourced or put where it looks for them: source <(millpond completion bash)
    #[command(alias = "completions")]
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// Runs what the command line says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("millpond: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => serve::run(&args),
        Command::Volume(args) => block_on(args.run()),
        Command::Stream(args) => block_on(args.run()),
        Command::Snapshot(args) => block_on(args.run()),
        Command::Schedule(args) => block_on(args.run()),
        Command::Clone(args) => block_on(args.run()),
        Command::Restore(args) => block_on(args.run()),
        Command::Listener(args) => block_on(args.run()),
        Command::Diff(args) => block_on(args.run()),
        Command::Topic(args) => block_on(args.run()),
        Command::Group(args) => block_on(args.run()),
        Command::Demo(args) => demo::run(&args),
        Command::Tail(args) => block_on(tail::run(&args)),
        Command::Completion { shell } => completion(shell),
    }
}

fn completion(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "millpond", &mut script);
    Ok(output::print(&String::from_utf8(script)?)?)
}

/// Runs a command that speaks to a broker: one thread does.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default() {
        for line in [&["millpond", "--kafka", "h:1"][..], &["millpond", "serve", "--kafka", "h:1"]] {
            let cli = Cli::try_parse_from(line).unwrap();
            let args = match cli.command {
                Some(Command::Serve(args)) => args,
                _ => cli.serve,
            };
            assert_eq!(args.kafka.as_deref(), Some("h:1"));
        }
        assert!(Cli::try_parse_from(["millpond", "--kafka", "h:1", "serve"]).is_err());
    }
}
