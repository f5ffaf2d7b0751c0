//! Random numbers by counter: the n-th is computed from the key and n alone, so that any part of an order can be made without the parts before it, by any thread, and today as in ten years.
//!
//! Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), written out here because an order is kept for as long as the states that refer to it,
//! and a crate may change its algorithms between versions.

const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: usize = 10;

/// Four numbers of 32 bits from a counter and a key.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let [a, b] = [u64::from(MULTIPLIERS[0]) * u64::from(counter[0]), u64::from(MULTIPLIERS[1]) * u64::from(counter[2])];
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// What numbers are drawn for; each use has numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Use {
    /// The order of blocks.
    Blocks = 0,
    /// The order of rows within a window.
    Rows = 1,
    /// Rows that stand in for bad ones.
    Substitutes = 2,
    /// What images are cropped and flipped by.
    Augment = 3,
}

/// The numbers of one use in one epoch of one seed.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    key: [u32; 2],
    high: [u32; 2],
}

impl Draws {
    /// The numbers for `of`, by seed and epoch. `epoch` counts below 2^28.
    pub fn new(seed: u64, epoch: u64, of: Use) -> Draws {
        Draws { key: [seed as u32, (seed >> 32) as u32], high: [epoch as u32, (of as u32) << 28 | (epoch >> 32) as u32 & 0x0fff_ffff] }
    }

    /// The two numbers of 64 bits at place `at`.
    pub fn pair(&self, at: u64) -> [u64; 2] {
        let [a, b, c, d] = philox([at as u32, (at >> 32) as u32, self.high[0], self.high[1]], self.key);
        [u64::from(a) | u64::from(b) << 32, u64::from(c) | u64::from(d) << 32]
    }

    /// A number below `bound`, which is above 0, at place `at`.
    pub fn below(&self, at: u64, bound: u64) -> u64 {
        // The high half of the product: each number comes up floor or ceil of 2^64 / bound times, which nobody can tell apart.
        ((u128::from(self.pair(at)[0]) * u128::from(bound)) >> 64) as u64
    }

    /// A number from 0 up to and without 1, at place `at`.
    pub fn unit(&self, at: u64) -> f64 {
        (self.pair(at)[0] >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Puts `items` into a random order (Fisher and Yates, from the back), with the numbers from place `from` on.
    pub fn shuffle<T>(&self, from: u64, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(from.wrapping_add(at as u64), at as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_paper() {
        // The known answers that the authors' Random123 library comes with.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox(pi, [0xa409_3822, 0x299f_31d0]), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn seeds_epochs_uses_and_places_have_numbers_of_their_own() {
        let mut seen = std::collections::HashSet::new();
        for seed in [0, 1, 1 << 32] {
            for epoch in [0, 1, 1 << 32] {
                for of in [Use::Blocks, Use::Rows, Use::Substitutes, Use::Augment] {
                    for at in [0, 1, 1 << 32] {
                        assert!(seen.insert(Draws::new(seed, epoch, of).pair(at)), "{seed} {epoch} {of:?} {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_below_a_bound_are_even() {
        let draws = Draws::new(7, 0, Use::Rows);
        let mut counts = [0u32; 10];
        (0..100_000).for_each(|at| counts[draws.below(at, 10) as usize] += 1);
        // Five standard deviations of 10,000 expected.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 475), "{counts:?}");
        assert!((0..1000).all(|at| (0.0..1.0).contains(&draws.unit(at))));
    }

    #[test]
    fn all_orders_of_four_come_up() {
        let mut counts = std::collections::HashMap::new();
        for seed in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            Draws::new(seed, 0, Use::Blocks).shuffle(0, &mut items);
            *counts.entry(items).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|count| count.abs_diff(1000) < 160), "{counts:?}");
    }
}
