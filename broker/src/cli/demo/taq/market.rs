//! The invented stock market: who is listed, who trades, and how prices walk.
//!
//! The *universe* (symbols, their popularity, listing and opening prices, the traders' ids and activity) is the same for
//! every seed, so that watch lists and saved queries keep their meaning; a seed only changes what happens in it.
//!
//! Skew: the trades of the k-th most popular of 4,000 symbols, and the orders of the k-th most active of 2,000 traders,
//! are proportional to 1/k. The first symbol has 11 % of the flow, the first hundred 58 %.
//!
//! Prices walk on the tick grid (a cent; a hundredth of a cent below one dollar), a few ticks at a time, and are pulled
//! back towards the opening price in proportion to how far they are from it. Between two trades of one symbol on
//! one side of its spread the price moves by `STEP_TICKS_MAX` steps at most; it never leaves half to twice the opening.

use std::collections::HashSet;

use super::layout::{Parties, Price, RECEIVERS_MAX, Side, Symbol, TraderId};
use super::random::{Random, Weighted};

/// Listed symbols.
pub(crate) const SYMBOLS: usize = 4_000;
/// Traders, who send and receive orders.
pub(crate) const TRADERS: usize = 2_000;
/// The most steps that a price moves at once; what a step is depends on the price.
pub(crate) const STEPS_MAX: u32 = 3;

/// The universe's own seed: changing it changes every symbol and price, and so every golden hash.
const UNIVERSE_SEED: u64 = 1_817;
/// Trader ids are four digits and start here.
const FIRST_TRADER_ID: u16 = 1_000;

/// One listed symbol and its state.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    /// Its name.
    pub(crate) symbol: Symbol,
    /// The tape that reports it: `C` or `N`.
    pub(crate) source: u8,
    /// Ten-thousandths of a dollar in a tick.
    tick: u32,
    /// Ticks in a step of the walk.
    step: u32,
    /// Ticks between bid and ask.
    spread: u32,
    /// The bid at the opening, in ticks.
    opening: u32,
    /// The bid now, in ticks.
    bid: u32,
}

impl Listing {
    /// What the best bid or ask costs now.
    pub(crate) fn price(&self, side: Side) -> Price {
        let ticks = match side {
            Side::Bid => self.bid,
            Side::Ask => self.bid + self.spread,
        };
        let value = u64::from(ticks) * u64::from(self.tick);
        Price::from_ten_thousandths(value)
            .expect("32-bit ticks of 100 at most stay far below eleven digits: see opening_ticks")
    }

    /// Moves the price, every other time, by one to three steps.
    fn walk(&mut self, random: &mut Random) {
        let chance = random.bits();
        if chance & 1 == 0 {
            return;
        }
        let steps = (1 + (chance >> 1).trailing_zeros()).min(STEPS_MAX);
        let distance = self.bid.abs_diff(self.opening);
        let pulled = random.chance(u64::from(distance), u64::from(self.opening));
        let up = if pulled { self.bid < self.opening } else { chance >> 63 == 1 };
        let moved = if up { self.bid + steps * self.step } else { self.bid.saturating_sub(steps * self.step) };
        self.bid = moved.clamp(self.opening / 2, self.opening * 2);
    }

    /// The furthest that `price` can be from one trade to the next, in ten-thousandths of a dollar.
    #[cfg(test)]
    pub(crate) fn move_max(&self) -> u64 {
        u64::from(self.tick) * u64::from(STEPS_MAX * self.step + self.spread)
    }

    #[cfg(test)]
    pub(crate) fn tick(&self) -> u64 {
        u64::from(self.tick)
    }

    #[cfg(test)]
    pub(crate) fn opening_price(&self) -> u64 {
        u64::from(self.tick) * u64::from(self.opening)
    }
}

/// All listings, the most popular first.
#[derive(Debug, Clone)]
pub(crate) struct Market {
    listings: Vec<Listing>,
    popularity: Weighted,
}

impl Market {
    /// The market at the opening.
    pub(crate) fn open() -> Self {
        let mut random = Random::from_seed(UNIVERSE_SEED);
        let mut taken = HashSet::new();
        let listings = (0..SYMBOLS).map(|rank| listing(rank, &mut random, &mut taken)).collect();
        Self { listings, popularity: Weighted::zipf(SYMBOLS) }
    }

    /// Picks a symbol by popularity and lets its price walk.
    pub(crate) fn next(&mut self, random: &mut Random) -> &Listing {
        let listing = &mut self.listings[self.popularity.pick(random)];
        listing.walk(random);
        listing
    }

    #[cfg(test)]
    pub(crate) fn listings(&self) -> &[Listing] {
        &self.listings
    }
}

fn listing(rank: usize, random: &mut Random, taken: &mut HashSet<Symbol>) -> Listing {
    let symbol = loop {
        let symbol = invented_symbol(random);
        if taken.insert(symbol) {
            break symbol;
        }
    };
    let penny = random.chance(2, 100);
    let opening = opening_ticks(penny, random);
    Listing {
        symbol,
        source: if random.chance(55, 100) { b'C' } else { b'N' },
        tick: if penny { 1 } else { 100 },
        step: (opening / 5_000).max(1),
        spread: spread_ticks(rank, opening, random),
        opening,
        bid: opening,
    }
}

/// One to four letters, mostly three or four; one in twenty is a class or a preferred share with a suffix.
fn invented_symbol(random: &mut Random) -> Symbol {
    let length = [1, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4][random.index(16)];
    let root: String = (0..length).map(|_| char::from(b'A'.wrapping_add(random.below(26).to_le_bytes()[0]))).collect();
    let suffix = if random.chance(1, 20) { ["A", "B", "PRA", "PRC", "WS", "U"][random.index(6)] } else { "" };
    Symbol::new(&root, suffix).expect("at most four letters and a suffix of at most three")
}

/// Penny shares open at 10 to 45 cents, others at 2 to 512 dollars, cheap ones more often: even in the power of two, then
/// even within it. At most 51,199 cents, so that twice that and a spread stay below eleven digits by far.
fn opening_ticks(penny: bool, random: &mut Random) -> u32 {
    let ticks = if penny {
        1_000 + random.below(3_500)
    } else {
        let floor = 200 << random.below(8);
        floor + random.below(floor)
    };
    u32::try_from(ticks).expect("at most 51,199")
}

/// Popular shares trade at one tick of spread; thin and dear ones at more.
fn spread_ticks(rank: usize, opening: u32, random: &mut Random) -> u32 {
    let thin = u32::try_from(random.below(1 + rank as u64 / 400)).expect("at most ten");
    1 + thin + opening / 10_000
}

/// Everyone who sends and receives orders, the most active first.
#[derive(Debug, Clone)]
pub(crate) struct Traders {
    ids: Vec<TraderId>,
    activity: Weighted,
}

impl Traders {
    /// The traders in the universe's order of activity, which has nothing to do with the order of their ids.
    pub(crate) fn new() -> Self {
        let mut random = Random::from_seed(UNIVERSE_SEED ^ u64::MAX);
        let mut ids: Vec<TraderId> = (FIRST_TRADER_ID..).map_while(TraderId::new).take(TRADERS).collect();
        for last in (1..ids.len()).rev() {
            ids.swap(last, random.index(last + 1));
        }
        Self { ids, activity: Weighted::zipf(TRADERS) }
    }

    /// A sender by activity, and one to ten others, each as likely as the next, none twice.
    pub(crate) fn parties(&self, random: &mut Random) -> Parties {
        let sender = self.ids[self.activity.pick(random)];
        let mut receivers = Vec::with_capacity(RECEIVERS_MAX);
        let wanted = 1 + random.index(RECEIVERS_MAX);
        while receivers.len() < wanted {
            let receiver = self.ids[random.index(self.ids.len())];
            if receiver != sender && !receivers.contains(&receiver) {
                receivers.push(receiver);
            }
        }
        Parties::new(sender, &receivers).expect("one to ten receivers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_universe_is_fixed_and_its_symbols_differ() {
        let market = Market::open();
        let symbols: HashSet<Symbol> = market.listings().iter().map(|listing| listing.symbol).collect();
        assert_eq!(symbols.len(), SYMBOLS);
        let again = Market::open();
        assert!(market.listings().iter().zip(again.listings()).all(|(a, b)| a.symbol == b.symbol && a.bid == b.bid));
        let ids: HashSet<TraderId> = Traders::new().ids.into_iter().collect();
        assert_eq!(ids.len(), TRADERS);
    }

    #[test]
    fn prices_walk_in_small_steps_and_stay_near_the_opening() {
        let mut random = Random::from_seed(3);
        for mut listing in Market::open().listings().iter().step_by(97).cloned() {
            let mut moved = 0;
            for _ in 0..5_000 {
                let before = listing.bid;
                listing.walk(&mut random);
                let ticks = listing.bid.abs_diff(before);
                assert!(ticks <= STEPS_MAX * listing.step);
                assert!((listing.opening / 2..=listing.opening * 2).contains(&listing.bid));
                moved += u32::from(ticks > 0);
            }
            assert!((2_300..2_700).contains(&moved), "moved {moved} of 5,000 times");
        }
    }

    #[test]
    fn receivers_are_distinct_and_never_the_sender() {
        let traders = Traders::new();
        let mut random = Random::from_seed(11);
        let mut seen = [0_u32; RECEIVERS_MAX + 1];
        for _ in 0..10_000 {
            let parties = traders.parties(&mut random);
            let mut all: HashSet<TraderId> = parties.receivers().iter().copied().collect();
            assert!(all.insert(parties.sender()));
            assert_eq!(all.len(), parties.receivers().len() + 1);
            seen[parties.receivers().len()] += 1;
        }
        assert!(seen[1..].iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
    }
}
