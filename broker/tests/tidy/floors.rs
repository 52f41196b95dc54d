//! An import runs only along an arrow of `docs/architecture.md`, "Floors".

use std::collections::BTreeSet;

use crate::none;
use crate::source::{Source, sources};

/// Every module at the top of the broker, and those that it may import. What only describes or counts is open to all.
const BROKER: [(&str, &[&str]); 19] = [
    (
        "api",
        &[
            "broker",
            "completion",
            "config",
            "groups",
            "limits",
            "metrics",
            "quotas",
            "scope",
            "seldom",
            "topics",
            "volumes",
        ],
    ),
    ("broker", &["config", "groups", "limits", "metrics", "numbers", "scope", "topics", "volumes"]),
    ("cli", &["client", "config", "http"]),
    ("client", &["config"]),
    ("completion", &[]),
    ("config", &["limits"]),
    ("documents", &[]),
    ("groups", &["completion", "config", "documents", "metrics", "scope"]),
    (
        "http",
        &[
            "broker",
            "completion",
            "config",
            "documents",
            "groups",
            "limits",
            "metrics",
            "scope",
            "server",
            "topics",
            "volumes",
        ],
    ),
    ("limits", &[]),
    ("logging", &["config"]),
    ("metrics", &[]),
    ("numbers", &[]),
    ("quotas", &["seldom"]),
    ("scope", &[]),
    ("seldom", &[]),
    ("server", &["api", "broker", "config", "documents", "limits", "metrics", "quotas", "scope", "seldom", "topics"]),
    ("topics", &["completion", "config", "documents", "metrics", "numbers", "quotas", "scope"]),
    ("volumes", &["completion", "config", "documents", "groups", "metrics", "scope", "topics"]),
];

/// `serve` is where the broker is put together: it may import anything.
const ASSEMBLY: &str = "broker/src/cli/serve.rs";

/// Imports against the arrows, file and module; none may be added.
const AGAINST: [(&str, &str); 1] = [
    // What Fetch keeps from request to request lives as long as the broker does.
    ("broker/src/broker.rs", "api"),
];

/// What only some places touch: a text in the code, and where it may stand (a folder or a file).
const KEPT_TO: [(&str, &[&str]); 12] = [
    ("kafka_protocol::messages", &["broker/src/api/", "broker/src/server/", "broker/src/client/", "compat-tests/"]),
    ("kafka_protocol", &["broker/", "compat-tests/"]),
    ("tokio", &["broker/", "compat-tests/"]),
    ("axum::", &["broker/src/http/"]),
    ("utoipa::", &["broker/src/http/"]),
    ("clap::", &["broker/src/cli/", "broker/tests/", "compat-tests/"]),
    ("reqwest::", &["broker/src/cli/", "compat-tests/"]),
    ("prometheus_client::", &["broker/src/metrics/"]),
    ("sled::", &["storage/src/state/", "storage/tests/"]),
    ("std::fs", &["storage/", "broker/src/metrics/process.rs", "broker/src/cli/", "broker/tests/", "compat-tests/"]),
    ("File::", &["storage/", "broker/src/config/mod.rs", "broker/src/cli/", "broker/tests/", "compat-tests/"]),
    ("rustix::fs", &["storage/", "compat-tests/"]),
];

#[test]
fn imports_run_only_along_the_arrows() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.path.starts_with("broker/src/")) {
        let module = top_module(source);
        if module == "lib" || source.path == ASSEMBLY {
            continue;
        }
        let Some((_, allowed)) = BROKER.iter().find(|(name, _)| *name == module) else {
            found.push(format!("{}: module {module} has no row in BROKER", source.path));
            continue;
        };
        for import in imports(source) {
            let is_top = BROKER.iter().any(|(name, _)| *name == import);
            let is_allowed = import == module || allowed.contains(&import.as_str());
            if is_top && !is_allowed && !AGAINST.contains(&(&source.path, &import)) {
                found.push(format!("{}: {module} may not import {import}", source.path));
            }
        }
    }
    none("imports against the floors", &found);
}

#[test]
fn what_is_kept_to_one_place_is_only_there() {
    let mut found = Vec::new();
    for source in &sources() {
        for (text, places) in &KEPT_TO {
            let is_allowed = places.iter().any(|place| source.path.starts_with(place));
            if !is_allowed && source.production().contains(text) {
                found.push(format!("{}: {text} is kept to {}", source.path, places.join(", ")));
            }
        }
    }
    none("used where it does not belong", &found);
}

/// `api` for `broker/src/api/fetch.rs`.
fn top_module(source: &Source) -> &str {
    let below = source.path.strip_prefix("broker/src/").expect("only those are asked for");
    below.split('/').next().expect("a split has a first part").trim_end_matches(".rs")
}

/// The modules at the top of the crate that a file names, by `crate::` or by going up.
fn imports(source: &Source) -> BTreeSet<String> {
    let depth = depth(source);
    let mut names = BTreeSet::new();
    for (at, path) in source.code.match_indices("crate::") {
        names.extend(first_names(&source.code[at + path.len()..]));
    }
    let up = "super::".repeat(depth);
    for (at, _) in source.code.match_indices(&up) {
        let is_whole = !source.code[..at].ends_with("super::") && !source.code[..at].ends_with(char::is_alphanumeric);
        if is_whole {
            names.extend(first_names(&source.code[at + up.len()..]));
        }
    }
    names
}

/// How many `super::` lead from a file to the top of the crate.
fn depth(source: &Source) -> usize {
    let parts = source.path.strip_prefix("broker/src/").expect("only those are asked for").split('/').count();
    if source.path.ends_with("/mod.rs") { parts - 1 } else { parts }
}

/// The first names of a path, or of each path in braces.
fn first_names(text: &str) -> Vec<String> {
    let name = |text: &str| {
        text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()
    };
    let Some(group) = text.strip_prefix('{') else { return vec![name(text)] };
    let mut names = vec![name(group)];
    let mut level = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => level += 1,
            '}' if level == 0 => break,
            '}' => level -= 1,
            ',' if level == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names
}

#[test]
fn imports_are_found_in_every_form() {
    let file = |path: &str, code: &str| Source { path: path.into(), text: String::new(), code: code.into() };
    let names = |source: &Source| imports(source).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(
        names(&file("broker/src/topics/x.rs", "use crate::api::Y;\nuse crate::{config, http::{A, B}, x};")),
        "api config http x"
    );
    assert_eq!(names(&file("broker/src/topics/x.rs", "use super::super::server::Y; use super::settings;")), "server");
    assert_eq!(names(&file("broker/src/topics/mod.rs", "use super::server::Y;")), "server");
}
