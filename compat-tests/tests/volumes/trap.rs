//! Has the real binary end at a named step, as `kill -9` ends it: a file says where (`storage/src/disk/trap.rs`).

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use millpond_compat_tests::server::{Builder, Server};
use tempfile::TempDir;

/// A file that says where to end.
pub(crate) struct Trap(TempDir);

impl Trap {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory can be made"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("point")
    }

    pub(crate) fn in_setup(&self, setup: Builder) -> Builder {
        setup.variable("MILLPOND_TEST_FAIL_POINT", self.file())
    }

    pub(crate) fn set(&self, point: &str, nth: u32) {
        fs::write(self.file(), format!("{point} {nth}")).expect("it can be written");
    }

    pub(crate) fn spring(&self) {
        fs::remove_file(self.file()).expect("it is there");
    }
}

/// Waits until a broker has walked into the trap.
pub(crate) fn assert_killed(server: &mut Server, what: &str) {
    let status = server.ended();
    assert_eq!(status.signal(), Some(9), "{what}: {status}");
}

/// Starts a broker, and waits until it has walked into the trap, which may be before it has printed where it listens.
pub(crate) fn restart_into(server: &mut Server, what: &str) {
    match server.try_restart() {
        Ok(()) => assert_killed(server, what),
        Err(output) => assert!(output.contains("signal: 9"), "{what}: {output}"),
    }
}
