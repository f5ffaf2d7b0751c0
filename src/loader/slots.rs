//! The rows that are loaded, as the slots where a table has them.

use std::ops::Range;

/// Slots in ascending order, by their number: runs, and how many slots stand before each.
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

    /// Adds a run behind the others; false, and nothing is changed, if it does not stand behind them.
    pub fn push(&mut self, run: Range<u64>) -> bool {
        if run.is_empty() {
            return true;
        }
        match self.runs.last_mut() {
            Some(last) if run.start < last.end => return false,
            Some(last) if run.start == last.end => last.end = run.end,
            _ => {
                self.before.push(self.count);
                self.runs.push(run.clone());
            }
        }
        self.count += run.end - run.start;
        true
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
        fn rows_are_numbered_in_order(lengths in prop::collection::vec((0u64..4, 0u64..5), 0..20)) {
            let (mut slots, mut all, mut at) = (Slots::new(), Vec::new(), 0);
            for (gap, length) in lengths {
                at += gap;
                prop_assert!(slots.push(at..at + length));
                all.extend(at..at + length);
                at += length;
            }
            prop_assert_eq!(slots.count(), all.len() as u64);
            for (row, slot) in all.iter().enumerate() {
                prop_assert_eq!(slots.get(row as u64), Some(*slot));
            }
            prop_assert_eq!(slots.get(slots.count()), None);
            prop_assert_eq!(slots.runs().iter().cloned().flatten().collect::<Vec<_>>(), all);
            if let Some(last) = slots.runs().last().cloned() {
                let before = slots.clone();
                prop_assert!(!slots.push(last.end - 1..last.end + 1));
                prop_assert_eq!(slots, before);
            }
        }
    }
}
