//! The one parser of topic names: their grammar. Which volumes, snapshots and streams there are, and so what a name means,
//! is the [directory](super::directory)'s to say.
//!
//! | form | means |
//! |---|---|
//! | `trades` | volume `default`; the name may hold dots |
//! | `trading.taq.trades` | where the first label is, or was, another volume's name: `<volume>.<stream>.<topic>`, never a plain name |
//! | `trading.-close.taq.trades` | the same in the snapshot `close` |
//! | `/trading/taq:trades` | what the volume is mounted at, the stream, the topic |
//! | `/trading/.snapshot/close/taq:trades` | the same in the snapshot `close` |
//! | `trades`, `taq.trades` | on a listener of one volume or snapshot: in its stream `default`, or in another |
//!
//! Volume `default` has plain names only and reserves no prefix; `system` has no name. Parsing allocates nothing.

/// The longest topic name that Kafka knows, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 249;
/// The longest path, in bytes.
const PATH_BYTES_MAX: usize = 512;
/// The longest name of a stream, in bytes.
const LABEL_BYTES_MAX: usize = 64;
/// The folder of a volume that its snapshots are in.
pub(super) const SNAPSHOTS: &str = "/.snapshot";
/// What the name of a snapshot begins with in an alias: no stream's does.
pub(super) const SNAPSHOT_MARK: char = '-';

/// A topic's name, taken apart. Whether there is such a topic is another matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// Labels with dots between them, or one alone.
    Labels(&'a str),
    /// A path.
    Path(Path<'a>),
}

/// A path, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// Where the volume is mounted, or the folder of one of its snapshots.
    pub place: &'a str,
    /// The stream in the volume.
    pub stream: &'a str,
    /// The topic in the stream.
    pub topic: &'a str,
}

/// Labels, if the first of them is a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dotted<'a> {
    /// The volume's name.
    pub volume: &'a str,
    /// The snapshot of it.
    pub snapshot: Option<&'a str>,
    /// The stream in the volume.
    pub stream: &'a str,
    /// The topic in the stream. Empty where there are too few labels: nothing is called so.
    pub topic: &'a str,
}

/// A name that no topic can have. Displays as the message that the client gets with `INVALID_TOPIC_EXCEPTION`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Topic name is invalid: {0}")]
pub struct InvalidName(pub String);

impl<'a> Name<'a> {
    /// Takes a name apart.
    pub fn parse(text: &'a str) -> Result<Self, InvalidName> {
        if text.starts_with('/') {
            return Path::parse(text).map(Self::Path);
        }
        check_name(text)?;
        Ok(Self::Labels(text))
    }
}

impl<'a> Dotted<'a> {
    /// Takes labels apart; none if there is but one.
    pub fn of(labels: &'a str) -> Option<Self> {
        let (volume, rest) = labels.split_once('.')?;
        let (snapshot, rest) = match rest.strip_prefix(SNAPSHOT_MARK) {
            Some(rest) => {
                let (snapshot, rest) = rest.split_once('.').unwrap_or((rest, ""));
                (Some(snapshot), rest)
            }
            None => (None, rest),
        };
        let (stream, topic) = rest.split_once('.').unwrap_or((rest, ""));
        Some(Self { volume, snapshot, stream, topic })
    }
}

impl<'a> Path<'a> {
    fn parse(text: &'a str) -> Result<Self, InvalidName> {
        if text.len() > PATH_BYTES_MAX {
            return Err(InvalidName(format!("a path has at most {PATH_BYTES_MAX} bytes, this one has {}", text.len())));
        }
        let malformed = || InvalidName(format!("'{text}' is no path like /volume/stream:topic"));
        let (place, topic) = text.rsplit_once(':').ok_or_else(malformed)?;
        let (place, stream) = place.rsplit_once('/').ok_or_else(malformed)?;
        if !is_mount(place) || !is_label(stream) {
            return Err(malformed());
        }
        check_name(topic)?;
        Ok(Self { place, stream, topic })
    }

    /// Where the volume is mounted, and the snapshot, if the path leads into one.
    pub fn snapshot(&self) -> Option<(&'a str, &'a str)> {
        let (folder, snapshot) = self.place.rsplit_once('/')?;
        Some((folder.strip_suffix(SNAPSHOTS)?, snapshot))
    }
}

/// Whether a volume can be mounted at a path, as far as the path alone can say.
pub fn is_mount(path: &str) -> bool {
    let is_step = |step: &str| !step.is_empty() && step.bytes().all(is_legal);
    path.strip_prefix('/').is_some_and(|steps| steps.split('/').all(is_step))
}

/// Whether a stream (or a volume, or a snapshot) can be called so.
pub fn is_label(text: &str) -> bool {
    text.len() <= LABEL_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| is_legal(byte) && byte != b'.')
}

fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Kafka's rules, in Kafka's words.
fn check_name(name: &str) -> Result<(), InvalidName> {
    let why = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.len() > NAME_BYTES_MAX {
        format!("the length of '{name}' is longer than the max allowed length {NAME_BYTES_MAX}")
    } else if !name.bytes().all(is_legal) {
        format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
    } else {
        return Ok(());
    };
    Err(InvalidName(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path<'_> {
        match Name::parse(text).unwrap() {
            Name::Path(path) => path,
            Name::Labels(_) => panic!("{text} is no path"),
        }
    }

    #[test]
    fn labels_are_what_kafka_allows() {
        for name in ["trades", "a.b.c", "default.default.trades", "system.x.y", ".a", "a..b", "-", "_._"] {
            assert_eq!(Name::parse(name), Ok(Name::Labels(name)));
        }
        let longest = "x".repeat(249);
        assert_eq!(Name::parse(&longest), Ok(Name::Labels(&longest)));
    }

    #[test]
    fn dotted_names_are_volume_snapshot_stream_and_topic() {
        let dotted = |snapshot, stream, topic| Some(Dotted { volume: "trading", snapshot, stream, topic });
        assert_eq!(Dotted::of("trading.taq.trades"), dotted(None, "taq", "trades"));
        assert_eq!(Dotted::of("trading.taq.a.b"), dotted(None, "taq", "a.b"));
        assert_eq!(Dotted::of("trading.-close.taq.a.b"), dotted(Some("close"), "taq", "a.b"));
        assert_eq!(Dotted::of("trading.taq"), dotted(None, "taq", ""));
        assert_eq!(Dotted::of("trading.-close"), dotted(Some("close"), "", ""));
        assert_eq!(Dotted::of("trading."), dotted(None, "", ""));
        assert_eq!(Dotted::of("trading"), None);
    }

    #[test]
    fn paths_are_place_stream_and_topic() {
        let deep = path("/user/mapr/taq:trades.x");
        assert_eq!(deep, Path { place: "/user/mapr", stream: "taq", topic: "trades.x" });
        assert_eq!(deep.snapshot(), None);
        assert_eq!(path("/trading/.snapshot/eod/taq:trades").snapshot(), Some(("/trading", "eod")));
        assert_eq!(path("/a/b/.snapshot/eod/taq:trades").snapshot(), Some(("/a/b", "eod")));
    }

    #[test]
    fn what_is_no_name_is_told_why() {
        let message = |name: &str| Name::parse(name).unwrap_err().to_string();
        assert_eq!(message(""), "Topic name is invalid: the empty string is not allowed");
        assert_eq!(message(".."), "Topic name is invalid: '..' is not allowed");
        assert!(message(&"x".repeat(250)).contains("longer than the max allowed length 249"));
        for name in ["a b", "a/b", "a:b", "ä", "a\0", "trading.taq.a b"] {
            assert!(message(name).contains("characters other than"), "{name:?}");
        }
    }

    #[test]
    fn malformed_paths_are_refused() {
        for path in
            ["/", "/:", "/a", "/a/b", "/a:b", "//b:c", "/a//b:c", "/a/:c", "/a/b:", "/a/b.c:d", "/a/b:c d", "/ä/b:c"]
        {
            assert!(Name::parse(path).is_err(), "{path:?}");
        }
        assert!(Name::parse(&format!("/a/{}:c", "b".repeat(65))).is_err());
        assert!(Name::parse(&format!("/{}/b:c", "a".repeat(513))).is_err());
    }
}
