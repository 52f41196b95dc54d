//! Tests on file systems of their own: a test runs itself once more in a mount namespace, where it may mount what it likes and which
//! goes with it. Where the machine does not allow that, it says so and is left out.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const INSIDE: &str = "MILLPOND_TEST_MOUNTS";

/// Runs `body` where it can mount. `name` is the test's own: `module::function`.
#[allow(clippy::print_stderr, reason = "a test that is left out says why")]
pub(crate) fn in_own_mounts(name: &str, body: impl FnOnce(&Mounts)) {
    if env::var_os(INSIDE).is_some() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        return body(&Mounts { directory: directory.path().to_owned() });
    }
    let unshare = |program: &str, arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "--propagation", "private", program]).args(arguments);
        command
    };
    let probe = unshare("mount", &["-t", "tmpfs", "tmpfs", "/mnt"]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("{name} is left out: this machine does not let it mount a file system of its own");
        return;
    }
    let this = env::current_exe().expect("a process knows its file");
    let arguments = [name, "--exact", "--nocapture", "--test-threads=1"];
    let status = unshare(this.to_str().expect("UTF-8"), &arguments).env(INSIDE, "1").status().expect("it runs");
    assert!(status.success(), "{name} failed in its own mounts");
}

/// Where a test may mount.
pub(crate) struct Mounts {
    directory: PathBuf,
}

impl Mounts {
    /// Mounts an empty file system of so many MiB.
    pub(crate) fn tmpfs(&self, mebibytes: u32) -> &Path {
        mount(&["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"], &self.directory);
        &self.directory
    }

    /// Makes it read-only, or writable again.
    pub(crate) fn remount(&self, how: &str) {
        mount(&["-o", &format!("remount,{how}")], &self.directory);
    }
}

fn mount(arguments: &[&str], at: &Path) {
    let status = Command::new("mount").args(arguments).arg(at).status().expect("mount runs");
    assert!(status.success(), "mount {arguments:?}");
}
