//! Volumes: what a snapshot and a clone take, what they cost those who write and read, and the bytes that are shared.
//!
//! - [`freeze`]: snapshots and clones under a light load, by partitions and by bytes: their time, and how long producers wait for an answer meanwhile;
//! - [`crowd`]: CPU per batch with none, many and very many snapshots present, and at the end of a chain of clones;
//! - [`latency`]: producers at a fixed offered load, near snapshots and elsewhere, drawn by [`curve`];
//! - [`space`]: the disk before and after many clones.
//!
//! Millpond alone, with fsync: there is nothing beside it to compare with.

mod bed;
mod crowd;
mod curve;
mod freeze;
mod latency;
mod load;
mod offered;
mod space;

use std::path::Path;

use crate::arguments::Arguments;
use crate::report::Report;
use crate::table::Table;

/// What measures something and tells it.
type Measure = fn(&Arguments, &Path) -> Table;

/// All of it.
pub(crate) fn run(arguments: &Arguments, base: &Path, report: &mut Report) {
    if arguments.chosen(&[bed::VARIANT]).is_empty() {
        return;
    }
    let cases: [(&str, Measure); 4] =
        [("freeze", freeze::run), ("crowd", crowd::run), ("latency", latency::run), ("space", space::run)];
    let is_asked = |name: &str| arguments.volume_cases.is_empty() || arguments.volume_cases.iter().any(|it| it == name);
    report.tables.extend(cases.iter().filter(|(name, _)| is_asked(name)).map(|(_, run)| run(arguments, base)));
}
