//! What merged code does not say.

use crate::none;
use crate::source::sources;

/// A known gap is a line in its file's opening, not a mark in the code; the rest never belongs in the project.
const UNSAID: [&str; 9] = ["TODO", "FIXME", "XXX", "HACK", "todo!(", "unimplemented!(", "dbg!(", "#[ignore", "/work/"];

/// The rules themselves have to say them.
const RULES: &str = "broker/tests/tidy/";

#[test]
fn nothing_is_left_to_do_by_a_mark_in_the_code() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !source.path.starts_with(RULES)) {
        for (number, line) in source.text.lines().enumerate() {
            let words = UNSAID.iter().filter(|word| line.contains(*word));
            found.extend(words.map(|word| format!("{}:{}: {word}", source.path, number + 1)));
        }
    }
    none("words that merged code does not say", &found);
}
