//! Every named step at which the process may end is one at which some test has it end, and every step that a test names is there.
//!
//! That a test reaches what it names it says itself: it fails when the process does not end there.

use std::collections::{BTreeMap, BTreeSet};

use crate::none;
use crate::source::sources;

const CALL: &str = "fail_point(\"";

#[test]
fn every_fail_point_is_one_at_which_a_test_ends() {
    let (mut points, mut tested) = (BTreeMap::new(), BTreeSet::new());
    for source in &sources() {
        if source.path.starts_with("storage/src/") && !source.production().is_empty() {
            points.extend(between(source.production(), CALL).map(|name| (name, source.path.clone())));
        } else if source.production().is_empty() {
            tested.extend(between(&source.code, "\""));
        }
    }
    assert!(points.len() > 30, "fail points are not found any more");
    let untested = points.iter().filter(|(name, _)| !tested.contains(*name));
    none(
        "fail points at which no test ends",
        &untested.map(|(name, path)| format!("{path}: {name}")).collect::<Vec<_>>(),
    );
    let groups: BTreeSet<&str> = points.keys().filter_map(|name| name.split('.').next()).collect();
    let is_one = |name: &&String| {
        let (group, step) = name.split_once('.').unwrap_or_default();
        groups.contains(group) && step.contains('_') && step.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let unknown = tested.iter().filter(is_one).filter(|name| !points.contains_key(*name));
    none("tests name fail points that are not there", &unknown.cloned().collect::<Vec<_>>());
}

/// What stands behind each `before` up to the next quotation mark.
fn between<'a>(code: &'a str, before: &'a str) -> impl Iterator<Item = String> + 'a {
    code.match_indices(before).filter_map(move |(at, _)| {
        let rest = &code[at + before.len()..];
        Some(rest[..rest.find('"')?].to_owned())
    })
}
