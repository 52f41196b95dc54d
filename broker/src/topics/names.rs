//! The one parser of topic names.
//!
//! | form | means |
//! |---|---|
//! | `trades` | volume `default`; the name may hold dots |
//! | `trading.taq.trades` | where the first label is, or was, another volume's name: `<volume>.<stream>.<topic>`, never a plain name |
//! | `/trading/taq:trades` | what the volume is mounted at, the stream, the topic |
//!
//! Volume `default` has plain names only and reserves no prefix; `system` has no name. Parsing allocates nothing.

use millpond_storage::state::DEFAULT_STREAM;

use super::ids::Spelling;

/// The longest topic name that Kafka knows, in bytes.
const NAME_BYTES_MAX: usize = 249;
/// The longest path, in bytes.
const PATH_BYTES_MAX: usize = 512;
/// The longest name of a stream, in bytes.
const LABEL_BYTES_MAX: usize = 64;

/// A topic's name, taken apart. Whether there is such a topic is another matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// Where the volume is.
    pub home: Home<'a>,
    /// The stream in the volume.
    pub stream: &'a str,
    /// The topic in the stream. Empty where a dotted name has too few labels: nothing is called so.
    pub topic: &'a str,
}

/// How a name says in which volume the topic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home<'a> {
    /// Not at all: in volume `default`.
    Default,
    /// By the name of the volume.
    Volume(&'a str),
    /// By the path that the volume is mounted at.
    Mount(&'a str),
}

/// A name that no topic can have. Displays as the message that the client gets with `INVALID_TOPIC_EXCEPTION`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Topic name is invalid: {0}")]
pub struct InvalidName(pub String);

impl<'a> Name<'a> {
    /// Takes a name apart. `is_volume` knows the names that volumes have or had, `default` not among them.
    pub fn parse(text: &'a str, is_volume: impl FnOnce(&str) -> bool) -> Result<Self, InvalidName> {
        if text.starts_with('/') {
            return parse_path(text);
        }
        check_name(text)?;
        let dotted = text.split_once('.').filter(|(label, _)| is_volume(label));
        let Some((volume, rest)) = dotted else {
            return Ok(Self { home: Home::Default, stream: DEFAULT_STREAM, topic: text });
        };
        let (stream, topic) = rest.split_once('.').unwrap_or((rest, ""));
        Ok(Self { home: Home::Volume(volume), stream, topic })
    }

    /// How the topic is spelled.
    pub fn spelling(&self) -> Spelling {
        match self.home {
            Home::Default | Home::Volume(_) => Spelling::Plain,
            Home::Mount(_) => Spelling::Path,
        }
    }
}

fn parse_path(text: &str) -> Result<Name<'_>, InvalidName> {
    if text.len() > PATH_BYTES_MAX {
        return Err(InvalidName(format!("a path has at most {PATH_BYTES_MAX} bytes, this one has {}", text.len())));
    }
    let malformed = || InvalidName(format!("'{text}' is no path like /volume/stream:topic"));
    let (place, topic) = text.rsplit_once(':').ok_or_else(malformed)?;
    let (mount, stream) = place.rsplit_once('/').ok_or_else(malformed)?;
    let is_step = |step: &str| !step.is_empty() && step.bytes().all(is_legal);
    let is_mount = mount.strip_prefix('/').is_some_and(|steps| steps.split('/').all(is_step));
    if !is_mount || !is_label(stream) {
        return Err(malformed());
    }
    check_name(topic)?;
    Ok(Name { home: Home::Mount(mount), stream, topic })
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

    fn parse(text: &str) -> Result<Name<'_>, InvalidName> {
        Name::parse(text, |label| label == "trading")
    }

    fn plain(topic: &str) -> Name<'_> {
        Name { home: Home::Default, stream: "default", topic }
    }

    #[test]
    fn plain_names_are_in_default_dots_or_not() {
        for name in ["trades", "a.b.c", "default.default.trades", "system.x.y", "trading", ".a", "a..b", "-", "_._"] {
            assert_eq!(parse(name), Ok(plain(name)));
        }
        let longest = "x".repeat(249);
        assert_eq!(parse(&longest), Ok(plain(&longest)));
    }

    #[test]
    fn a_volumes_prefix_never_falls_to_default() {
        let home = Home::Volume("trading");
        assert_eq!(parse("trading.taq.trades"), Ok(Name { home, stream: "taq", topic: "trades" }));
        assert_eq!(parse("trading.taq.a.b"), Ok(Name { home, stream: "taq", topic: "a.b" }));
        assert_eq!(parse("trading.taq"), Ok(Name { home, stream: "taq", topic: "" }));
        assert_eq!(parse("trading."), Ok(Name { home, stream: "", topic: "" }));
    }

    #[test]
    fn paths_are_mount_stream_and_topic() {
        let name = parse("/user/mapr/taq:trades.x").unwrap();
        assert_eq!(name, Name { home: Home::Mount("/user/mapr"), stream: "taq", topic: "trades.x" });
        assert_eq!(name.spelling(), Spelling::Path);
        let name = parse("/trading/.snapshot/eod/taq:trades").unwrap();
        assert_eq!(name.home, Home::Mount("/trading/.snapshot/eod"));
    }

    #[test]
    fn what_is_no_name_is_told_why() {
        let message = |name: &str| parse(name).unwrap_err().to_string();
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
            assert!(parse(path).is_err(), "{path:?}");
        }
        assert!(parse(&format!("/a/{}:c", "b".repeat(65))).is_err());
        assert!(parse(&format!("/{}/b:c", "a".repeat(513))).is_err());
    }
}
