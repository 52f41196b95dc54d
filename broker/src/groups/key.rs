//! What names a group: its id, within the scope that its members speak in.

use std::fmt;

/// What a listener shows: a group id means another group in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(pub u64);

impl Scope {
    /// Everything: the scope of a listener that is bound to no volume and no snapshot.
    pub const EVERYTHING: Scope = Scope(0);
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey {
    /// Where its members speak.
    pub scope: Scope,
    /// Its id, as the clients call it.
    pub group_id: String,
}

impl GroupKey {
    /// Names a group.
    pub fn new(scope: Scope, group_id: &str) -> Self {
        Self { scope, group_id: group_id.to_owned() }
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.group_id)
    }
}
