//! The project's Rust files, read once for each test.

use std::fs;
use std::path::{Path, PathBuf};

/// The directories that hold our code.
const ROOTS: [&str; 8] = [
    "src",
    "storage/src",
    "storage/tests",
    "storage/benches",
    "broker/src",
    "broker/tests",
    "compat-tests/src",
    "compat-tests/tests",
];

/// One file.
pub(crate) struct Source {
    /// From the workspace's root, with slashes.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
    /// Without comments.
    pub(crate) code: String,
}

impl Source {
    /// The code without its `mod tests` at the end; nothing where the whole file is tests.
    pub(crate) fn production(&self) -> &str {
        let is_test = |part: &str| matches!(part, "tests" | "tests.rs" | "benches");
        if self.path.split('/').any(is_test) || self.path.starts_with("compat-tests/") {
            return "";
        }
        let mut tests = self.code.match_indices(TESTS);
        let begin = tests.find(|(at, _)| !is_declared_only(&self.code[at + TESTS.len()..]));
        begin.map_or(&self.code, |(at, _)| &self.code[..at])
    }
}

/// What stands before tests.
const TESTS: &str = "#[cfg(test)]\n";

/// Whether an item ends on its first line, such as `mod tests;`.
fn is_declared_only(item: &str) -> bool {
    item.lines().next().is_some_and(|line| line.ends_with(';'))
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file of ours, by path.
pub(crate) fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    for directory in ROOTS {
        walk(&root().join(directory), directory, &mut paths);
    }
    paths.sort();
    paths.into_iter().map(|path| read(&root(), path)).collect()
}

fn walk(directory: &Path, name: &str, paths: &mut Vec<String>) {
    // Not every crate has every directory.
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.map(|entry| entry.expect("a directory of ours can be read")) {
        let path = format!("{name}/{}", entry.file_name().to_str().expect("our names are ASCII"));
        if entry.path().is_dir() {
            walk(&entry.path(), &path, paths);
        } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn read(root: &Path, path: String) -> Source {
    let text = fs::read_to_string(root.join(&path)).expect("a file of ours can be read");
    let code = without_comments(&text);
    Source { path, text, code }
}

/// Blanks what follows `//`, but inside a string on the same line. (Block comments are not used.)
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.lines() {
        let is_code = |at: &usize| line[..*at].matches('"').count() - line[..*at].matches("\\\"").count();
        let comment = line.match_indices("//").map(|(at, _)| at).find(|at| is_code(at).is_multiple_of(2));
        code.push_str(&line[..comment.unwrap_or(line.len())]);
        code.push('\n');
    }
    code
}
