//! What a listener shows, and where a topic is: everything, one volume, or one snapshot.
//!
//! | number | |
//! |---|---|
//! | 0 | everything |
//! | below 2⁶³ | the volume of this id |
//! | 2⁶³ + n | the snapshot whose pin has the id n |
//!
//! The numbers stand in topic ids and in the keys of groups, so they never change.

use std::fmt;

use millpond_storage::state::{PinId, VolumeId};

/// In a scope's number: it is a snapshot's.
const SNAPSHOT: u64 = 1 << 63;

/// What a listener shows. Of a topic: its home, which is a volume or a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Every volume, under plain, dotted and path names.
    Everything,
    /// One volume, under short names.
    Volume(VolumeId),
    /// One snapshot, under short names.
    Snapshot(PinId),
}

impl Scope {
    /// Its number.
    pub fn number(self) -> u64 {
        match self {
            Self::Everything => 0,
            Self::Volume(id) => id.0,
            Self::Snapshot(id) => id.0 | SNAPSHOT,
        }
    }

    /// The scope of a number.
    pub fn of_number(number: u64) -> Self {
        match number {
            0 => Self::Everything,
            number if number & SNAPSHOT == 0 => Self::Volume(VolumeId(number)),
            number => Self::Snapshot(PinId(number & !SNAPSHOT)),
        }
    }

    /// Whether what is in `home` can be seen here by some name.
    pub fn shows(self, home: Scope) -> bool {
        self == Self::Everything || self == home
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Volume(id) => write!(f, "volume {}", id.0),
            Self::Snapshot(id) => write!(f, "snapshot {}", id.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_scope_and_back() {
        for scope in
            [Scope::Everything, Scope::Volume(VolumeId(1)), Scope::Snapshot(PinId(0)), Scope::Snapshot(PinId(7))]
        {
            assert_eq!(Scope::of_number(scope.number()), scope);
        }
        for number in [0, 1, SNAPSHOT - 1, SNAPSHOT, u64::MAX] {
            assert_eq!(Scope::of_number(number).number(), number);
        }
    }
}
