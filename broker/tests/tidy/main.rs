//! What the project's rules about its own text say, as tests: floors, sizes, names, words, and what an API brings along.
//!
//! A rule that only stands on a page rots. Where code has to break one, its row in that rule's list of exceptions says
//! how far; a row that is not needed any more fails too, so that the lists shrink.

mod apis;
mod fail_points;
mod floors;
mod names;
mod sizes;
mod source;
mod words;

/// Fails with all that was found, one a line.
#[track_caller]
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}\n", found.join("\n  "));
}
