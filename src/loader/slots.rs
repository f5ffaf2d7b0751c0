//! The rows that are loaded, as the slots where a table has them.

use std::ops::Range;

/// Slots in the order in which rows are loaded, by their number: runs, and how many slots stand before each. Runs may stand in any order, and meet again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slots {
    runs: Vec<Range<u64>>,
    before: Vec<u64>,
    count: u64,
}

impl Slots {
    /// No slots.
    pub fn new() -> Slots {
        Slots::default()
    }

    /// Adds a run behind the others.
    pub fn push(&mut self, run: Range<u64>) {
        if run.is_empty() {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if run.start == last.end => last.end = run.end,
            _ => {
                self.before.push(self.count);
                self.runs.push(run.clone());
            }
        }
        self.count += run.end - run.start;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The runs, in order.
    pub fn runs(&self) -> &[Range<u64>] {
        &self.runs
    }

    /// The slot of row `row` of the selection.
    pub fn get(&self, row: u64) -> Option<u64> {
        let run = self.before.partition_point(|before| *before <= row).checked_sub(1)?;
        let (run, before) = (self.runs.get(run)?, self.before.get(run)?);
        Some(run.start + (row - before)).filter(|slot| run.contains(slot))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_are_numbered_in_order(runs in prop::collection::vec((0u64..30, 0u64..5), 0..20)) {
            let (mut slots, mut all) = (Slots::new(), Vec::new());
            for (start, length) in runs {
                slots.push(start..start + length);
                all.extend(start..start + length);
            }
            prop_assert_eq!(slots.count(), all.len() as u64);
            for (row, slot) in all.iter().enumerate() {
                prop_assert_eq!(slots.get(row as u64), Some(*slot));
            }
            prop_assert_eq!(slots.get(slots.count()), None);
            prop_assert_eq!(slots.runs().iter().cloned().flatten().collect::<Vec<_>>(), all);
            prop_assert!(slots.runs().windows(2).all(|pair| pair[0].end != pair[1].start));
        }
    }
}
