//! Randomness that can be played again: a generator from a seed, and seeds that are printed.

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::BuildHasher;

/// A `SplitMix64` generator. The same seed gives the same numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From `MILLPOND_SEED`, else from a fresh seed; prints it, so that a failing run can be played again.
    #[allow(clippy::print_stderr, reason = "a failing test shows its seed")]
    pub fn of_test(name: &str) -> Self {
        let given = env::var("MILLPOND_SEED").ok().map(|seed| seed.parse().expect("MILLPOND_SEED is a number"));
        let seed = given.unwrap_or_else(fresh_seed);
        eprintln!("{name}: MILLPOND_SEED={seed}");
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.number() % (high - low + 1)
    }

    /// A generator of its own for one of several threads.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.number())
    }
}

/// A number that no other run has.
pub fn fresh_seed() -> u64 {
    RandomState::new().hash_one(env::args().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_within_their_bounds() {
        let (mut first, mut second) = (Random::new(7), Random::new(7));
        let mut forked = first.fork();
        assert_eq!(forked.number(), second.fork().number());
        assert!((0..1000).all(|_| (3..=9).contains(&first.between(3, 9))));
    }
}
