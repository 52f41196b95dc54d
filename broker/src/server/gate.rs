//! Who may connect: a count of open connections, in all and by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::Limits;

/// The open connections of all listeners.
#[derive(Debug, Default)]
pub(super) struct Gate {
    open: Mutex<Open>,
}

/// Invariant: `all` is the sum of `by_address`, which has no zeros.
#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Gate {
    /// Lets a connection in, or says which limit forbids it.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, limits: &Limits) -> Result<Admission, &'static str> {
        // An IPv4 client of an IPv6 socket is the same client.
        let address = address.to_canonical();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= limits.connections_max {
            return Err("connections_max");
        }
        if open.by_address.get(&address).is_some_and(|count| *count >= limits.connections_per_address_max) {
            return Err("connections_per_address_max");
        }
        open.all += 1;
        *open.by_address.entry(address).or_default() += 1;
        Ok(Admission { gate: Arc::clone(self), address })
    }
}

/// The right to be connected. Dropped, it makes room for another.
#[derive(Debug)]
pub(super) struct Admission {
    gate: Arc<Gate>,
    address: IpAddr,
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
        let first = gate.enter(a, &limits).unwrap();
        assert_eq!(gate.enter("::ffff:10.0.0.1".parse().unwrap(), &limits).unwrap_err(), "connections_per_address_max");
        let _second = gate.enter(b, &limits).unwrap();
        assert_eq!(gate.enter(c, &limits).unwrap_err(), "connections_max");
        drop(first);
        let _third = gate.enter(a, &limits).unwrap();
        assert_eq!(gate.open.lock().unwrap().by_address.len(), 2);
    }
}
