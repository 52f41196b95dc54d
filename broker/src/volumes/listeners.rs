//! What listeners show is not deleted: their clients would find nothing any more, and not be told why. Whoever wants it gone
//! removes the listener first.

use millpond_storage::state::{Pin, PinId, Txn, Volume};

use super::{Result, VolumeError};
use crate::documents::{self, AddedListener, Collection};
use crate::scope::Scope;

/// In the writer of `system`: refuses where a listener shows a volume, or a snapshot of it.
pub(super) fn check_volume(txn: &Txn<'_>, volume: &Volume) -> Result<()> {
    let is_of_it = |scope: Scope| match scope {
        Scope::Everything => false,
        Scope::Volume(id) => id == volume.id,
        Scope::Snapshot(id) => txn.get::<Pin>(&id).is_some_and(|pin| pin.volume == volume.id),
    };
    check(txn, is_of_it, &format!("volume {}, or a snapshot of it", volume.name), ", and --force with the volume")
}

/// In the writer of `system`: refuses where a listener shows a snapshot.
pub(super) fn check_snapshot(txn: &Txn<'_>, id: PinId) -> Result<()> {
    check(txn, |scope| scope == Scope::Snapshot(id), "the snapshot", "")
}

fn check(txn: &Txn<'_>, is_it: impl Fn(Scope) -> bool, what: &str, or_else: &str) -> Result<()> {
    let listeners = documents::get_all::<AddedListener>(txn, Collection::Listeners)?;
    match listeners.iter().find(|(_, listener)| is_it(Scope::of_number(listener.scope))) {
        None => Ok(()),
        Some((address, _)) => Err(VolumeError::InTheWay(format!(
            "The listener at {address} shows {what}: `millpond listener remove {address}` ends it{or_else}."
        ))),
    }
}
