//! The order of an epoch: a function of the seed, the epoch and the number of rows, and of nothing else. Threads, ranks, compaction and added columns cannot change it.
//!
//! Rows, by their place in the selection, are divided into blocks of [`Shape::block_rows`]. Blocks are put into a random order and taken [`Shape::window_blocks`] at a time; the rows of
//! such a window are mixed. So reads stay within the blocks of a window, and nothing has to be filled up before the first batch is as well mixed as the last.

use std::ops::Range;

use super::random::{Draws, Use};

/// The version of this file's algorithm, which states of a loader name.
pub const ALGORITHM: u32 = 1;

/// How rows are divided for shuffling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows in a block.
    pub block_rows: u64,
    /// Blocks in a window.
    pub window_blocks: u64,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { block_rows: 512, window_blocks: 256 }
    }
}

/// The order of one epoch.
#[derive(Debug, Clone)]
pub struct Order {
    rows: u64,
    shape: Shape,
    /// The window that has the last block, the only one that can be short.
    short: u64,
    /// With a seed: the blocks in their random order, and the draws for rows.
    shuffled: Option<(Vec<u64>, Draws)>,
}

impl Order {
    /// The rows as they stand.
    pub fn sequential(rows: u64, shape: Shape) -> Order {
        let shape = shape.sane();
        let short = rows.div_ceil(shape.block_rows).div_ceil(shape.window_blocks).saturating_sub(1);
        Order { rows, shape, short, shuffled: None }
    }

    /// The rows in the random order of an epoch.
    pub fn shuffled(rows: u64, shape: Shape, seed: u64, epoch: u64) -> Order {
        let shape = shape.sane();
        let mut blocks: Vec<u64> = (0..rows.div_ceil(shape.block_rows)).collect();
        Draws::new(seed, epoch, Use::Blocks).shuffle(0, &mut blocks);
        let last = (blocks.len() as u64).saturating_sub(1);
        let short = blocks.iter().position(|block| *block == last).map_or(0, |at| at as u64 / shape.window_blocks);
        Order { rows, shape, short, shuffled: Some((blocks, Draws::new(seed, epoch, Use::Rows))) }
    }

    /// How many rows it orders.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many windows there are.
    pub fn windows(&self) -> u64 {
        self.rows.div_ceil(self.shape.block_rows).div_ceil(self.shape.window_blocks)
    }

    /// The window that holds a place of the order, and the places that it holds.
    pub fn window_at(&self, place: u64) -> Option<(u64, Range<u64>)> {
        if place >= self.rows {
            return None;
        }
        let full = self.shape.block_rows.saturating_mul(self.shape.window_blocks);
        // Windows behind the one that has the short block begin so many places earlier.
        let missing = (self.shape.block_rows - self.rows % self.shape.block_rows) % self.shape.block_rows;
        let start = |window: u64| window.saturating_mul(full).saturating_sub(if window > self.short { missing } else { 0 }).min(self.rows);
        let guess = place / full;
        let window = if place >= start(guess + 1) { guess + 1 } else { guess };
        Some((window, start(window)..start(window + 1)))
    }

    /// The rows of a window, in order.
    pub fn window(&self, window: u64) -> Vec<u64> {
        let first = window.saturating_mul(self.shape.window_blocks);
        let last = first.saturating_add(self.shape.window_blocks).min(self.rows.div_ceil(self.shape.block_rows));
        let of = |block: u64| block * self.shape.block_rows..((block + 1).saturating_mul(self.shape.block_rows)).min(self.rows);
        match &self.shuffled {
            None => (first..last).flat_map(of).collect(),
            Some((blocks, draws)) => {
                let blocks = blocks.get(first as usize..last as usize).unwrap_or_default();
                let mut rows: Vec<u64> = blocks.iter().copied().flat_map(of).collect();
                draws.shuffle(window << 32, &mut rows);
                rows
            }
        }
    }
}

impl Shape {
    fn sane(self) -> Shape {
        Shape { block_rows: self.block_rows.max(1), window_blocks: self.window_blocks.clamp(1, 1 << 20) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(order: &Order) -> Vec<u64> {
        (0..order.windows()).flat_map(|window| order.window(window)).collect()
    }

    proptest! {
        #[test]
        fn every_row_comes_once_and_windows_are_where_they_say(rows in 0u64..2000, block_rows in 1u64..40, window_blocks in 1u64..12, seed in any::<u64>(), epoch in 0u64..5) {
            let shape = Shape { block_rows, window_blocks };
            for order in [Order::sequential(rows, shape), Order::shuffled(rows, shape, seed, epoch)] {
                let places = all(&order);
                let mut sorted = places.clone();
                sorted.sort_unstable();
                prop_assert_eq!(sorted, (0..rows).collect::<Vec<_>>());
                let mut place = 0;
                for window in 0..order.windows() {
                    let rows = order.window(window);
                    let range = place..place + rows.len() as u64;
                    prop_assert_eq!(&places[range.start as usize..range.end as usize], rows);
                    for place in [range.start, range.start.midpoint(range.end), range.end - 1] {
                        prop_assert_eq!(order.window_at(place), Some((window, range.clone())));
                    }
                    place = range.end;
                }
                prop_assert_eq!(order.window_at(rows), None);
            }
            prop_assert_eq!(all(&Order::sequential(rows, shape)), (0..rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_order_is_the_one_that_states_refer_to() {
        // Pinned: a change of these numbers needs a new ALGORITHM, or training resumes elsewhere than where it stopped.
        let order = Order::shuffled(23, Shape { block_rows: 4, window_blocks: 2 }, 42, 3);
        assert_eq!(all(&order), PINNED);
        assert_ne!(all(&Order::shuffled(23, Shape { block_rows: 4, window_blocks: 2 }, 42, 4)), PINNED);
        assert_ne!(all(&Order::shuffled(23, Shape { block_rows: 4, window_blocks: 2 }, 43, 3)), PINNED);
    }

    const PINNED: [u64; 23] = [19, 21, 16, 20, 18, 17, 22, 11, 8, 13, 14, 12, 9, 15, 10, 2, 1, 5, 0, 7, 4, 3, 6];

    /// Distinct classes in batches of 256, of a table sorted by its 1,000 classes: full randomness would give 226.
    #[test]
    fn batches_are_mixed() {
        let rows = 1_000_000;
        let classes = |order: &Order| {
            let order = all(order);
            let batches = order.chunks_exact(256);
            let count = batches.len();
            let distinct: usize = batches.map(|batch| batch.iter().map(|row| row / 1000).collect::<std::collections::HashSet<_>>().len()).sum();
            distinct as f64 / count as f64
        };
        let mixed = classes(&Order::shuffled(rows, Shape::default(), 1, 0));
        assert!(mixed > 150.0, "{mixed}");
        let blocks_alone = classes(&Order::shuffled(rows, Shape { window_blocks: 1, ..Shape::default() }, 1, 0));
        assert!(blocks_alone < 5.0, "{blocks_alone}");
    }
}
