//! A histogram that needs no range in advance: bins are a power of two wide, and are joined in pairs whenever a value falls too far out. Counts are exact.

use std::collections::BTreeMap;

/// The most bins there are.
const BINS_MAX: f64 = 24.0;

/// How many values were in `low..high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// The least value that falls in.
    pub low: f64,
    /// The bound that no longer does.
    pub high: f64,
    /// How many did.
    pub count: u64,
}

/// Counts of finite numbers in ranges of equal width.
#[derive(Debug, Default)]
pub struct Histogram {
    /// A bin is 2^exponent wide; there is none before the first value.
    exponent: i32,
    /// The least that the exponent may be.
    finest: Option<i32>,
    range: Option<(f64, f64)>,
    counts: BTreeMap<i64, u64>,
}

impl Histogram {
    /// A histogram of whole numbers: no bin is narrower than 1.
    pub fn whole() -> Histogram {
        Histogram { finest: Some(0), ..Histogram::default() }
    }

    /// Counts `x`, which must be finite; others are left out.
    pub fn add(&mut self, x: f64) {
        if !x.is_finite() {
            return;
        }
        let (low, high) = match self.range {
            Some((low, high)) => (low.min(x), high.max(x)),
            None => {
                self.exponent = self.finest.map_or(finest(x), |least| finest(x).max(least));
                (x, x)
            }
        };
        self.range = Some((low, high));
        while self.place(high) - self.place(low) >= BINS_MAX || self.place(high).abs().max(self.place(low).abs()) > 1e15 {
            self.exponent += 1;
            let fine = std::mem::take(&mut self.counts);
            for (bin, count) in fine {
                *self.counts.entry(bin.div_euclid(2)).or_insert(0) += count;
            }
        }
        *self.counts.entry(self.place(x) as i64).or_insert(0) += 1;
    }

    fn place(&self, x: f64) -> f64 {
        let place = (x / 2f64.powi(self.exponent)).floor();
        // A tiny negative number must not be lost in the division: it is below zero.
        if x < 0.0 && place == 0.0 { -1.0 } else { place }
    }

    /// All bins from the first to the last that has something in it, in order.
    pub fn bins(&self) -> Vec<Bin> {
        let (Some((first, _)), Some((last, _))) = (self.counts.first_key_value(), self.counts.last_key_value()) else { return Vec::new() };
        let width = 2f64.powi(self.exponent);
        (*first..=*last).map(|i| Bin { low: i as f64 * width, high: (i + 1) as f64 * width, count: self.counts.get(&i).copied().unwrap_or(0) }).collect()
    }
}

/// A width at which `x` still has a bin of its own, not so fine that its number is lost.
fn finest(x: f64) -> i32 {
    if x == 0.0 { -40 } else { (x.abs().log2().floor() as i32 - 40).max(-1000) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_counts() {
        let mut h = Histogram::default();
        (0..32).for_each(|i| h.add(f64::from(i)));
        let bins = h.bins();
        assert_eq!(bins.len(), 16);
        assert!(bins.iter().all(|b| b.count == 2 && b.high - b.low == 2.0), "{bins:?}");
        assert!(Histogram::default().bins().is_empty());
        let mut whole = Histogram::whole();
        [1.0, 4.0, 4.0].iter().for_each(|x| whole.add(*x));
        assert_eq!(whole.bins().iter().map(|b| (b.low, b.count)).collect::<Vec<_>>(), [(1.0, 1), (2.0, 0), (3.0, 0), (4.0, 2)]);
    }

    proptest! {
        #[test]
        fn every_value_is_counted_in_its_bin(values in prop::collection::vec(prop_oneof![any::<f64>(), -100.0..100.0f64, Just(0.0)], 0..200)) {
            let mut h = Histogram::default();
            values.iter().for_each(|x| h.add(*x));
            let finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
            let bins = h.bins();
            prop_assert!(bins.len() as f64 <= BINS_MAX);
            prop_assert_eq!(bins.iter().map(|b| b.count).sum::<u64>(), finite.len() as u64);
            for bin in &bins {
                prop_assert_eq!(finite.iter().filter(|x| (bin.low..bin.high).contains(*x)).count() as u64, bin.count, "{:?}", bin);
            }
        }
    }
}
