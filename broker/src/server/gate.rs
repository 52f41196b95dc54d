//! Who may connect: a count of open connections, in all, by address, and by volume where a listener shows one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use millpond_storage::state::VolumeId;

use crate::limits::Limits;

/// The open connections of all listeners.
#[derive(Debug, Default)]
pub(super) struct Gate {
    open: Mutex<Open>,
}

/// Invariant: `all` is the sum of `by_address`; no count is zero.
#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
    /// To listeners that show a volume, or a snapshot of it, and nothing else.
    by_volume: HashMap<VolumeId, u32>,
}

impl Gate {
    /// Lets a connection in, or says which limit forbids it. `of_volume`: the volume that it sees, where
    /// that is one, and how many such connections that may have.
    pub(super) fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        limits: &Limits,
        of_volume: Option<(VolumeId, u32)>,
    ) -> Result<Admission, &'static str> {
        // An IPv4 client of an IPv6 socket is the same client.
        let address = address.to_canonical();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= limits.connections_max {
            return Err("connections_max");
        }
        if open.by_address.get(&address).is_some_and(|count| *count >= limits.connections_per_address_max) {
            return Err("connections_per_address_max");
        }
        if of_volume.is_some_and(|(volume, most)| open.by_volume.get(&volume).copied().unwrap_or(0) >= most) {
            return Err("volume_connections_max");
        }
        open.all += 1;
        *open.by_address.entry(address).or_default() += 1;
        let volume = of_volume.map(|(volume, _)| volume);
        if let Some(volume) = volume {
            *open.by_volume.entry(volume).or_default() += 1;
        }
        Ok(Admission { gate: Arc::clone(self), address, volume })
    }
}

/// The right to be connected. Dropped, it makes room for another.
#[derive(Debug)]
pub(super) struct Admission {
    gate: Arc<Gate>,
    address: IpAddr,
    volume: Option<VolumeId>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
        let Some(volume) = self.volume else { return };
        if let Some(count) = open.by_volume.get_mut(&volume) {
            *count -= 1;
            if *count == 0 {
                open.by_volume.remove(&volume);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_left_is_free_again() {
        let gate = Arc::new(Gate::default());
        let limits = Limits { connections_max: 2, connections_per_address_max: 1, ..Limits::default() };
        let [a, b, c] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|text| text.parse().unwrap());
        let first = gate.enter(a, &limits, None).unwrap();
        assert_eq!(
            gate.enter("::ffff:10.0.0.1".parse().unwrap(), &limits, None).unwrap_err(),
            "connections_per_address_max"
        );
        let _second = gate.enter(b, &limits, None).unwrap();
        assert_eq!(gate.enter(c, &limits, None).unwrap_err(), "connections_max");
        drop(first);
        let _third = gate.enter(a, &limits, None).unwrap();
        assert_eq!(gate.open.lock().unwrap().by_address.len(), 2);
    }

    #[test]
    fn a_volume_has_as_many_connections_as_it_may() {
        let (gate, limits, address) = (Arc::new(Gate::default()), Limits::default(), "10.0.0.1".parse().unwrap());
        let enter = |volume, most| gate.enter(address, &limits, Some((VolumeId(volume), most)));
        let first = enter(1, 1).unwrap();
        assert_eq!(enter(1, 1).unwrap_err(), "volume_connections_max");
        let _other = enter(2, 1).unwrap();
        let _raised = enter(1, 2).unwrap();
        drop(first);
        assert!(enter(1, 1).is_err() && enter(1, 2).is_ok());
    }
}
