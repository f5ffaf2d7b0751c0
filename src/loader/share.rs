//! Who takes which samples of an epoch: steps, ranks, and what becomes of a last batch that is not full. Every rank has as many batches as every other, or a training in step would wait for ever.

use std::ops::Range;

/// What becomes of the last batch of an epoch where the samples do not fill it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LastBatch {
    /// Its samples are left out of this epoch; the next epoch's order has others there.
    Drop,
    /// It has fewer samples, on some ranks perhaps none.
    #[default]
    Short,
    /// It is filled up to the batch size with zeros and empty values, and says how many of its samples are valid.
    Pad,
}

/// How an epoch's samples are dealt to ranks. A step takes the next samples of the order, `batch` for each rank, one rank's after the other's: so what is
/// trained on in a step is the same for any number of ranks that have as many samples together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Samples in a batch; at least 1.
    pub batch: u64,
    /// This rank, counted from 0.
    pub rank: u64,
    /// How many ranks there are; at least 1.
    pub world: u64,
    /// What becomes of the last batch.
    pub last: LastBatch,
}

impl Share {
    /// Samples of a step, on all ranks.
    pub fn step(&self) -> u64 {
        self.batch.max(1).saturating_mul(self.world.max(1))
    }

    /// Steps from place `from` on of an epoch of so many samples: the same on every rank.
    pub fn steps(&self, samples: u64, from: u64) -> u64 {
        let left = samples.saturating_sub(from);
        match self.last {
            LastBatch::Drop => left / self.step(),
            LastBatch::Short | LastBatch::Pad => left.div_ceil(self.step()),
        }
    }

    /// The places that this rank takes in the step that starts at place `from`. A last step that is not full is divided evenly.
    pub fn places(&self, samples: u64, from: u64) -> Range<u64> {
        let here = samples.saturating_sub(from).min(self.step());
        let world = self.world.max(1);
        // Exact where the step is full: batch * world * rank / world.
        let at = |rank: u64| from + (u128::from(here) * u128::from(rank) / u128::from(world)) as u64;
        at(self.rank)..at(self.rank + 1)
    }

    /// Where the step that starts at place `from` ends.
    pub fn after(&self, samples: u64, from: u64) -> u64 {
        from.saturating_add(self.step()).min(samples)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranks_have_all_samples_once_and_equally_many_batches(samples in 0u64..500, from in 0u64..500, batch in 1u64..20, world in 1u64..6) {
            for last in [LastBatch::Drop, LastBatch::Short, LastBatch::Pad] {
                let share = |rank| Share { batch, rank, world, last };
                let steps = share(0).steps(samples, from);
                let mut taken = Vec::new();
                let mut at = from;
                for step in 0..steps {
                    for rank in 0..world {
                        prop_assert_eq!(share(rank).steps(samples, from), steps);
                        let places = share(rank).places(samples, at);
                        let full = step + 1 < steps || last == LastBatch::Drop;
                        prop_assert!(places.end - places.start <= batch && (!full || places.end - places.start == batch));
                        taken.extend(places);
                    }
                    at = share(0).after(samples, at);
                }
                let all: Vec<u64> = (from..samples).collect();
                let left_out = if last == LastBatch::Drop { all.len() as u64 % (batch * world) } else { 0 };
                prop_assert_eq!(&taken, &all[..all.len() - left_out as usize]);
            }
        }
    }

    #[test]
    fn a_last_step_is_divided_evenly() {
        let share = |rank| Share { batch: 4, rank, world: 3, last: LastBatch::Short };
        let places: Vec<Range<u64>> = (0..3).map(|rank| share(rank).places(14, 12)).collect();
        assert_eq!(places, [12..12, 12..13, 13..14]);
        assert_eq!(share(0).steps(14, 0), 2);
    }
}
