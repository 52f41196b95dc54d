//! What volumes are mounted at: a path that begins the paths of their topics. No mount lies within another.

use millpond_storage::state::{Txn, Volume, VolumeId};

use super::{Result, VolumeError};

/// The longest mount path, in bytes: room is left for a stream and a topic in a path of 512.
const MOUNT_BYTES_MAX: usize = 192;
/// The step under which a volume's snapshots are.
const SNAPSHOTS: &str = ".snapshot";

/// Checks the form of a mount path.
pub(super) fn check_mount(mount: &str) -> Result<()> {
    let is_step = |step: &str| {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        !step.is_empty() && !matches!(step, "." | ".." | SNAPSHOTS) && step.bytes().all(is_legal)
    };
    let is_path = mount.strip_prefix('/').is_some_and(|steps| steps.split('/').all(is_step));
    if is_path && mount.len() <= MOUNT_BYTES_MAX {
        return Ok(());
    }
    Err(VolumeError::Invalid(format!(
        "{mount:?} is no mount path such as /trading or /user/mapr: steps of letters, digits, '.', '_' and '-', \
         {MOUNT_BYTES_MAX} bytes at most, and none of them {SNAPSHOTS}."
    )))
}

/// In the writer of `system`: refuses a mount that lies within another volume's, or around it.
pub(super) fn check_free(txn: &Txn<'_>, mount: &str, own: Option<VolumeId>) -> Result<()> {
    let volumes = txn.all::<Volume>().into_iter().filter(|volume| Some(volume.id) != own);
    for volume in volumes {
        if is_within(mount, &volume.mount) || is_within(&volume.mount, mount) {
            return Err(VolumeError::InTheWay(format!(
                "Mount path {mount} is in the way of {}, where volume {} is mounted: choose another with --mount.",
                volume.mount, volume.name
            )));
        }
    }
    Ok(())
}

fn is_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_paths_of_legal_steps() {
        for mount in ["/trading", "/user/mapr", "/a.b/c_d-e"] {
            assert!(check_mount(mount).is_ok(), "{mount}");
        }
        for mount in ["", "/", "trading", "/a/", "//a", "/a b", "/a/..", "/a/.snapshot/b", "/ä"] {
            assert!(check_mount(mount).is_err(), "{mount:?}");
        }
        assert!(check_mount(&format!("/{}", "x".repeat(192))).is_err());
    }

    #[test]
    fn within_is_by_steps() {
        assert!(is_within("/a/b", "/a") && is_within("/a", "/a"));
        assert!(!is_within("/ab", "/a") && !is_within("/a", "/a/b"));
    }
}
