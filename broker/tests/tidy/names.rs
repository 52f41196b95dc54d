//! A file is named after the one type or verb in it.

use crate::none;
use crate::source::sources;

const NAMELESS: [&str; 10] =
    ["util", "utils", "helper", "helpers", "common", "manager", "misc", "shared", "types", "stuff"];

#[test]
fn no_file_is_called_after_nothing() {
    let mut found = Vec::new();
    for source in &sources() {
        let parts = source.path.trim_end_matches(".rs").split('/');
        let words = parts.flat_map(|part| part.split('_'));
        found.extend(words.filter(|word| NAMELESS.contains(word)).map(|word| format!("{}: {word}", source.path)));
    }
    none("names that say nothing", &found);
}

#[test]
fn every_file_says_what_it_is() {
    let silent = |text: &str| !text.starts_with("//! ");
    let found: Vec<String> =
        sources().into_iter().filter(|source| silent(&source.text)).map(|source| source.path).collect();
    none("files that do not open with //!", &found);
}
