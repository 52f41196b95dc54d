//! The program as a process: how it starts, refuses to start and ends, and its commands against a running broker.

mod commands;
mod failed_sync;
mod full_disk;
mod known;
mod listeners;
mod mounts;
mod quota;
mod rot;
mod start;
mod state_index;
mod stop;
mod vanished;
mod versions;
mod volumes;

use std::process::{Command, Output};

use millpond_compat_tests::server::{Server, binary};

/// Runs the program with these arguments until it ends.
fn millpond(arguments: &[&str]) -> Output {
    millpond_with(arguments, &[])
}

/// The same with variables in its environment.
fn millpond_with(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).env_remove("MILLPOND_SERVER").envs(variables.iter().copied());
    command.output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it prints UTF-8")
}

/// Runs a command against `server`; gives what it printed.
fn run(server: &Server, arguments: &[&str]) -> String {
    let output = millpond(&[arguments, &["--server", server.http()]].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    text(&output.stdout)
}

/// Runs a command that fails; gives its words.
fn fail(server: &Server, arguments: &[&str]) -> String {
    let output = millpond(&[arguments, &["--server", server.http()]].concat());
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
    text(&output.stderr)
}
