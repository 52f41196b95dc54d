//! Starting and ending.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use millpond_compat_tests::server::Server;

use crate::{millpond, millpond_with, text};

/// What a start prints that is refused; it must end by itself and say so by its exit code.
fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let data = directory.path().to_str().expect("it is UTF-8");
    let free = [("MILLPOND__SERVER__KAFKA", "127.0.0.1:0"), ("MILLPOND__SERVER__HTTP", "127.0.0.1:0")];
    let output = millpond_with(&[&["--data", data], arguments].concat(), &[&free, variables].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(text(&output.stdout), "", "a refused start greets nobody");
    text(&output.stderr)
}

#[test]
fn unknown_keys_and_bad_values_stop_the_start_with_what_is_allowed() {
    let words = refused(&["--set", "log.file_bites=1", "--set", "log.file_bytes=1"], &[]);
    assert!(words.contains("unknown key log.file_bites (from the command line)"), "{words}");
    assert!(words.contains("a size from 1MiB to 1GiB"), "{words}");
    let words = refused(&[], &[("MILLPOND__TOPICS__NUM_PARTITIONS", "none")]);
    assert!(words.contains("topics.num_partitions = \"none\" (from the environment)"), "{words}");
    let words = refused(&["--config", "/does/not/exist.toml"], &[]);
    assert!(words.contains("/does/not/exist.toml"), "{words}");
}

#[test]
fn a_port_in_use_stops_the_start_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    for flag in ["--kafka", "--http"] {
        let words = refused(&[&format!("{flag}={address}")], &[]);
        assert!(words.contains(&address) && words.contains(flag), "{words}");
    }
}

#[test]
fn a_second_process_is_kept_out_of_the_data() {
    let server = Server::start();
    let refused = Server::builder().on_data_of(&server).try_start().expect_err("two brokers share their data");
    assert!(refused.contains("is in use by another process"), "{refused}");
    assert!(refused.contains("--data"), "{refused}");
}

#[test]
fn it_greets_in_three_lines_and_ends_cleanly_on_a_signal() {
    let mut server = Server::start();
    let greeting = server.printed("Ctrl-C");
    assert_eq!(greeting.lines().count(), 3, "{greeting}");
    let data = server.data().to_str().expect("it is UTF-8").to_owned();
    for words in [server.kafka(), server.http(), &data, " demo taq --brokers "] {
        assert!(greeting.contains(words), "no {words:?} in {greeting}");
    }
    assert!(server.stop().success());
    server.restart();
    assert!(server.stop().success());
}

#[test]
fn it_ends_although_clients_are_connected_and_say_nothing() {
    let mut server = Server::start();
    let _kafka = TcpStream::connect(server.kafka()).expect("it listens");
    let mut http = TcpStream::connect(server.http()).expect("it listens");
    http.write_all(b"GET /livez HT").expect("it is connected");
    assert!(server.stop().success());
}

#[test]
fn log_lines_are_json_when_asked() {
    let mut server = Server::builder().set("logging.format", "json").start();
    assert!(server.stop().success());
    let output = server.printed("\"stopped\"");
    let lines: Vec<&str> = output.lines().filter(|line| line.trim_start().starts_with('{')).collect();
    assert!(!lines.is_empty(), "{output}");
    for line in lines {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        assert!(line["message"].is_string() && line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn health_and_metrics_are_there_once_it_has_started() {
    let server = Server::start();
    for (path, words) in [("/livez", "ok"), ("/readyz", "ok"), ("/metrics", "millpond_log_sync_seconds_count")] {
        let mut http = TcpStream::connect(server.http()).expect("it listens");
        write!(http, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it is connected");
        let mut answer = String::new();
        http.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(words), "{answer}");
    }
}

#[test]
fn help_and_version_are_printed() {
    for (arguments, words) in [
        (&["--help"][..], "Usage: millpond [OPTIONS]"),
        (&["serve", "--help"], "--durability"),
        (&["topic", "create", "--help"], "--partitions"),
        (&["--version"], "millpond "),
        (&["completion", "bash"], "complete"),
    ] {
        let output = millpond(arguments);
        assert!(output.status.success() && text(&output.stdout).contains(words), "{arguments:?}: {output:?}");
    }
    assert_eq!(millpond(&["--no-such-flag"]).status.code(), Some(2));
}
