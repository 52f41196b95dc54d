//! Views by name: `trading`, which is the volume as it is now, and `trading@close`, which is a snapshot of it.

use std::fmt;
use std::str::FromStr;

use super::{VolumeError, check_name};

/// The name of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewName {
    /// The volume.
    pub volume: String,
    /// The snapshot; none: the volume as it is now.
    pub snapshot: Option<String>,
}

impl FromStr for ViewName {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Self, VolumeError> {
        let (volume, snapshot) = match text.split_once('@') {
            Some((volume, snapshot)) => (volume, Some(snapshot)),
            None => (text, None),
        };
        check_name(volume, "volume")?;
        snapshot.map(|name| check_name(name, "snapshot")).transpose()?;
        Ok(Self { volume: volume.to_owned(), snapshot: snapshot.map(str::to_owned) })
    }
}

impl fmt::Display for ViewName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.snapshot {
            Some(snapshot) => write!(f, "{}@{snapshot}", self.volume),
            None => f.write_str(&self.volume),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_a_volume_or_a_snapshot_of_it() {
        for text in ["trading", "trading@close"] {
            assert_eq!(text.parse::<ViewName>().unwrap().to_string(), text);
        }
        for text in ["", "@close", "trading@", "a.b", "trading@a@b", "trading@a.b"] {
            assert!(text.parse::<ViewName>().is_err(), "{text:?}");
        }
    }
}
