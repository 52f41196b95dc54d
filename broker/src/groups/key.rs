//! What names a group: its id, within the scope that its members speak in.

use std::fmt;

use crate::scope::Scope;

/// The longest group id that the log takes, in bytes: what Kafka's formats can say.
const GROUP_ID_BYTES_MAX: usize = i16::MAX as usize;

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

    /// Whether the group can be written down. Newer versions of requests can say longer ids.
    pub fn is_storable(&self) -> bool {
        self.group_id.len() <= GROUP_ID_BYTES_MAX
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.group_id)
    }
}
