//! The operating system's limit of open files, which connections and files of the data share.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What files need at least, whatever the limit.
const FILES_MIN: u64 = 64;

/// Raises the process's limit of open files as far as it may be raised, and gives it; none if there is no limit.
pub(super) fn raise_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(why) => {
            tracing::warn!("the limit of open files stays at {current:?}: {why}");
            current
        }
    }
}

/// How many of the `wanted` connections a limit of open files allows: a quarter of it is kept for files and HTTP.
pub(super) fn connections_max(wanted: usize, open_files_max: Option<u64>) -> usize {
    let Some(limit) = open_files_max else { return wanted };
    let room = limit.saturating_sub((limit / 4).max(FILES_MIN)).max(1);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

/// The same of connections to HTTP, which have an eighth at the most.
pub(super) fn http_connections_max(wanted: usize, open_files_max: Option<u64>) -> usize {
    let Some(limit) = open_files_max else { return wanted };
    wanted.min(usize::try_from((limit / 8).max(1)).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_their_share() {
        assert_eq!(connections_max(10_000, None), 10_000);
        assert_eq!(connections_max(10_000, Some(1 << 20)), 10_000);
        assert_eq!(connections_max(10_000, Some(1024)), 768);
        assert_eq!(connections_max(500, Some(1024)), 500);
        assert_eq!(connections_max(10_000, Some(128)), 64);
        assert_eq!(connections_max(10_000, Some(10)), 1);
        assert_eq!(http_connections_max(256, None), 256);
        assert_eq!(http_connections_max(256, Some(1 << 20)), 256);
        assert_eq!(http_connections_max(256, Some(1024)), 128);
        assert_eq!(http_connections_max(256, Some(5)), 1);
    }

    #[test]
    fn the_limit_is_raised_to_what_is_allowed() {
        let raised = raise_limit();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!((current, raised), (maximum, maximum));
    }
}
