//! The generator's source of chance: xoshiro256** seeded through `SplitMix64`.
//!
//! Both are public-domain algorithms by David Blackman and Sebastiano Vigna, a dozen lines each. They live here, and not in
//! a crate, because the same seed must make the same records for ever: no dependency's next version may change them. The
//! tests hold them to the authors' published outputs.
//!
//! All draws are integers; weighted choices use Vose's alias method in exact integer arithmetic, so no result depends on
//! how a machine rounds.

/// xoshiro256**: 256 bits of state, period 2^256 − 1.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: [u64; 4],
}

impl Random {
    /// Expands `seed` into a full state. Any seed is good, zero too: `SplitMix64` never yields four zeros in a row.
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut expand = seed;
        Self { state: std::array::from_fn(|_| split_mix_64(&mut expand)) }
    }

    /// The next 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        let state = &mut self.state;
        let result = state[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = state[3].rotate_left(45);
        result
    }

    /// A number from 0 to `bound` − 1; 0 when `bound` is 0.
    ///
    /// The high half of a widening product. For the bounds used here (far below 2^32) its bias is below 2^-32.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(product >> 64).expect("the high half of a 128-bit product has 64 bits")
    }

    /// An index into something of `len` entries.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("a number below a usize is one")
    }

    /// True `part` times in `whole`.
    pub(crate) fn chance(&mut self, part: u64, whole: u64) -> bool {
        self.below(whole) < part
    }
}

/// `SplitMix64`, as Vigna recommends for seeding: advances `state` and returns the next output.
fn split_mix_64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A weighted choice in constant time.
///
/// Each of the `n` columns has the height `total`, the sum of all weights; a column is split in two at `threshold`:
/// below it lies the column's own index, above it the `alias`. With weights scaled by `n` everything stays integral.
#[derive(Debug, Clone)]
pub(crate) struct Weighted {
    columns: Vec<Column>,
    total: u64,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    threshold: u64,
    alias: usize,
}

impl Weighted {
    /// Chooses index `i` with probability `weights[i]` / sum. The weights must not be empty or all zero.
    pub(crate) fn new(weights: &[u64]) -> Self {
        let total: u64 = weights.iter().sum();
        assert!(total > 0, "a weighted choice needs a weight");
        let count = weights.len() as u64;
        let mut heights: Vec<u64> = weights.iter().map(|weight| weight * count).collect();
        let mut columns: Vec<Column> = (0..weights.len()).map(|alias| Column { threshold: total, alias }).collect();
        let (mut short, mut tall): (Vec<usize>, Vec<usize>) = (0..weights.len()).partition(|&i| heights[i] < total);
        while let (Some(low), Some(&high)) = (short.pop(), tall.last()) {
            columns[low] = Column { threshold: heights[low], alias: high };
            heights[high] -= total - heights[low];
            if heights[high] < total {
                tall.pop();
                short.push(high);
            }
        }
        Self { columns, total }
    }

    /// Zipf's law with exponent 1 over `count` ranks: rank `k` (from 1) weighs 1/k.
    pub(crate) fn zipf(count: usize) -> Self {
        /// Large enough that the rounding of 1/k is invisible, small enough that weight × count fits 64 bits.
        const SCALE: u64 = 1 << 40;
        let weights: Vec<u64> = (1..=count as u64).map(|rank| SCALE / rank).collect();
        Self::new(&weights)
    }

    /// Draws an index.
    pub(crate) fn pick(&self, random: &mut Random) -> usize {
        let index = random.index(self.columns.len());
        let column = self.columns[index];
        if random.below(self.total) < column.threshold { index } else { column.alias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_mix_matches_its_published_outputs() {
        let mut state = 1_234_567;
        let outputs: Vec<u64> = (0..5).map(|_| split_mix_64(&mut state)).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(outputs, published);
    }

    #[test]
    fn xoshiro_matches_its_published_outputs() {
        let mut random = Random { state: [1, 2, 3, 4] };
        let outputs: Vec<u64> = (0..6).map(|_| random.bits()).collect();
        let published =
            [11_520, 0, 1_509_978_240, 1_215_971_899_390_074_240, 1_216_172_134_540_287_360, 607_988_272_756_665_600];
        assert_eq!(outputs, published);
    }

    #[test]
    fn draws_stay_below_their_bound() {
        let mut random = Random::from_seed(0);
        for bound in [1, 2, 3, 10, 1_000_003] {
            assert!((0..10_000).all(|_| random.below(bound) < bound));
        }
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn alias_columns_hold_exactly_the_weights() {
        let weights = [5, 0, 1, 94, 17, 3];
        let weighted = Weighted::new(&weights);
        let mut areas = [0; 6];
        for (index, column) in weighted.columns.iter().enumerate() {
            areas[index] += column.threshold;
            areas[column.alias] += weighted.total - column.threshold;
        }
        assert_eq!(areas, weights.map(|weight| weight * 6));
    }

    #[test]
    fn zipf_draws_follow_one_over_rank() {
        let weighted = Weighted::zipf(1_000);
        let mut random = Random::from_seed(7);
        let mut counts = vec![0_u32; 1_000];
        for _ in 0..1_000_000 {
            counts[weighted.pick(&mut random)] += 1;
        }
        // 1 / H(1000) = 13.36 %; ranks 2 and 10 have a half and a tenth of it.
        assert!((132_000..135_200).contains(&counts[0]), "{}", counts[0]);
        assert!((65_800..67_800).contains(&counts[1]), "{}", counts[1]);
        assert!((12_900..13_800).contains(&counts[9]), "{}", counts[9]);
    }
}
