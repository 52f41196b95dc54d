//! First figures: Millpond beside Apache Kafka and beside a floor, on this machine.
//!
//! `compat-tests/bench` runs this with Kafka's jars from Maven; `docs/benchmarks.md` says how to read what it prints.
//!
//! - [`produce`] and [`consume`]: records of 1 KiB in batches of 64 KiB, over 1, 100 and 1,000 partitions;
//! - [`small`]: small requests on many connections, one at a time on each;
//! - [`start`]: from a process's begin until its first answer, and the memory it then has;
//! - [`volumes`]: snapshots and clones, what they take and what they cost others.
//!
//! What counts is the broker's CPU time ([`process`]), since it shares the cores with the load. Brokers take turns, leg
//! by leg ([`measure`]), so that whatever else the machine does meets all of them. [`floor`] is a program that receives
//! the same frames, checks, writes and sends the same bytes, and has no broker's logic: what is below it cannot be had.
//!
//! Everything runs on loopback and in one temporary directory; a process is ended by its handle, whatever happens.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

mod arguments;
mod connection;
mod consume;
mod cursor;
mod floor;
mod frames;
mod kafka;
mod lane;
mod measure;
mod process;
mod produce;
mod report;
mod small;
mod start;
mod table;
mod volumes;

use std::fs;
use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Part};
use crate::lane::Lanes;
use crate::report::Report;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(address) = &arguments.floor {
        floor::run(address, &arguments.directory(), arguments.durabilities()[0]);
    }
    let arguments = arguments.with_what_is_here();
    let base = arguments.directory();
    fs::create_dir_all(&base).expect("the directory for the data can be made");
    let directory = tempfile::Builder::new().prefix("millpond-bench-").tempdir_in(&base);
    let directory = directory.expect("a directory for the data can be made");
    let mut report = Report::new(&arguments);
    let mut lanes = Lanes::new(&arguments, directory.path());
    for part in arguments.parts() {
        match part {
            Part::Produce => produce::run(&arguments, &mut lanes, &mut report),
            Part::Consume => consume::run(&arguments, &mut lanes, &mut report),
            Part::Small => small::run(&arguments, &mut lanes, &mut report),
            Part::Start => {
                lanes.end();
                start::run(&arguments, directory.path(), &mut report);
            }
            Part::Volumes => volumes::run(&arguments, directory.path(), &mut report),
        }
    }
    lanes.end();
    report.print();
    if let Some(path) = &arguments.json {
        fs::write(path, report.json()).expect("the file for --json can be written");
    }
    ExitCode::SUCCESS
}
