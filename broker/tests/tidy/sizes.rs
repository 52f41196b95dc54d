//! Short files and short functions.

use crate::none;
use crate::source::sources;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Longer files, and how long they may be: never longer than they are.
const LONG_FILES: [(&str, usize); 0] = [];

/// Longer functions (`path: name`), and how long they may be.
const LONG_FUNCTIONS: [(&str, usize); 0] = [];

#[test]
fn files_are_short() {
    let measured = sources().iter().map(|source| (source.path.clone(), source.text.lines().count())).collect();
    none("files that are too long", &over(FILE_LINES_MAX, measured, &LONG_FILES));
}

#[test]
fn functions_are_short() {
    let mut measured = Vec::new();
    for source in &sources() {
        for (name, lines) in functions(&source.text) {
            measured.push((format!("{}: {name}", source.path), lines));
        }
    }
    assert!(measured.len() > 100, "functions are not found any more");
    none("functions that are too long", &over(FUNCTION_LINES_MAX, measured, &LONG_FUNCTIONS));
}

/// What is over its limit, and the exceptions that are not needed.
fn over(limit: usize, measured: Vec<(String, usize)>, exceptions: &[(&str, usize)]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, allowed) in exceptions {
        let is_needed = measured.iter().any(|(measured, lines)| measured == name && *lines > limit);
        if !is_needed {
            found.push(format!("{name} ({allowed}) is no exception any more: remove its row"));
        }
    }
    for (name, lines) in measured {
        let exception = exceptions.iter().find(|(excepted, _)| *excepted == name);
        let allowed = exception.map_or(limit, |(_, allowed)| *allowed);
        if lines > allowed {
            found.push(format!("{name} has {lines} lines, {allowed} are allowed"));
        }
    }
    found
}

/// The functions of formatted code with their lengths: from `fn` to the first later line that closes at its indent.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut functions = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let ends_here = line.ends_with(['}', ';']);
        let closes =
            |line: &&str| line.len() > indent && !line[indent..].starts_with(' ') && line[..indent].trim().is_empty();
        let end = lines[start + 1..].iter().position(|line| closes(line) && line.ends_with(['}', ';']));
        let length = if ends_here { 1 } else { end.map_or(1, |end| end + 2) };
        functions.push((name, length));
    }
    functions
}

/// The name of the function whose definition begins on this line.
fn function_name(line: &str) -> Option<String> {
    let mut rest = line.trim_start();
    for word in ["pub", "(crate)", "(super)", "const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(word).unwrap_or(rest).trim_start();
    }
    let rest = rest.strip_prefix("fn ")?;
    Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
}

#[test]
fn functions_are_measured() {
    let text = "impl A {\n    pub(super) fn one(&self) -> u8 { 1 }\n\n    async fn two(\n        &self,\n    ) {\n        if x {\n        }\n    }\n    fn three();\n}\n";
    let expected = [("one".to_owned(), 1), ("two".to_owned(), 6), ("three".to_owned(), 1)];
    assert_eq!(functions(text), expected);
}

#[test]
fn exceptions_must_be_needed() {
    let measured = vec![("a".to_owned(), 10), ("b".to_owned(), 3)];
    assert!(over(5, measured.clone(), &[("a", 10)]).is_empty());
    assert_eq!(over(5, measured.clone(), &[]).len(), 1);
    assert_eq!(over(5, measured.clone(), &[("a", 9)]).len(), 1);
    assert_eq!(over(5, measured, &[("a", 10), ("b", 7)]).len(), 1);
}
