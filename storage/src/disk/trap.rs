//! Where tests have the real process end, as `kill -9` ends it: at a fail point, when it is passed for the nth time.
//!
//! Only in builds with debug assertions, and only where the variable [`VARIABLE`] names a file. As long as that file is there, its one line says the fail
//! point and how often it is to be passed: `rewrite.after_edit 2`. Passing is counted from when a line is first seen, so that a trap can be set
//! for a process that runs already.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::{env, fs, thread};

use rustix::process::{Signal, getpid, kill_process};

const VARIABLE: &str = "MILLPOND_TEST_FAIL_POINT";

/// A file that says where to end.
#[derive(Debug)]
pub(super) struct Trap {
    file: PathBuf,
    /// What it said last, and how often that point was passed since.
    passed: Mutex<(String, u32)>,
}

impl Trap {
    pub(super) fn of_environment() -> Option<Self> {
        env::var_os(VARIABLE).map(|file| Self { file: file.into(), passed: Mutex::default() })
    }

    /// Does not return if this is the place to end.
    pub(super) fn pass(&self, point: &str) {
        let Ok(line) = fs::read_to_string(&self.file) else { return };
        if self.is_last(&line, point) {
            while kill_process(getpid(), Signal::KILL).is_ok() {
                thread::yield_now();
            }
        }
    }

    fn is_last(&self, line: &str, point: &str) -> bool {
        let Some((name, nth)) = line.trim().split_once(' ') else { return false };
        if name != point {
            return false;
        }
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if passed.0 != line {
            *passed = (line.to_owned(), 0);
        }
        passed.1 += 1;
        nth.parse().is_ok_and(|nth: u32| passed.1 >= nth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_counted_from_when_its_line_is_first_seen() {
        let trap = Trap { file: PathBuf::new(), passed: Mutex::default() };
        assert!(!trap.is_last("a.b 2\n", "a.b") && !trap.is_last("a.b 2\n", "a.c") && trap.is_last("a.b 2\n", "a.b"));
        assert!(!trap.is_last("a.b 3\n", "a.b") && trap.is_last("a.c 1", "a.c"));
        assert!(!trap.is_last("", "a.b") && !trap.is_last("a.b", "a.b"));
    }
}
