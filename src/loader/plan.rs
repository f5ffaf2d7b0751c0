//! Deals an epoch's order into batches, and reads windows ahead of them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::make::{Counters, Maker, Task, Window};
use super::pool::Pool;
use super::{LoaderError, Options, Order, Selection, Shape};

/// A cell of so many bytes has a block to itself: reading it alone costs nothing more.
const DIRECT_BYTES: u64 = 16 << 10;
/// A block of the order has so many bytes at least, if its rows are small.
const BLOCK_BYTES: u64 = 64 << 10;
const BLOCK_ROWS: Range<u64> = 16..8192;
const WINDOW_BLOCKS: Range<u64> = 16..256;
/// Two windows are held, and while one of them is read, its blocks and what is picked out of them: with all three at most half of the read-ahead.
const WINDOWS_SHARE: u64 = 6;

/// Which columns are read for each batch, which for each window, and how rows are divided for shuffling.
pub(super) struct Reading {
    pub direct: Vec<usize>,
    pub windowed: Vec<usize>,
    pub shape: Shape,
    /// Batches at the start that do not wait for a window to be read: their rows are read one by one.
    pub early: u64,
}

/// Of a selection, by how large its cells are; neither by chunks nor by other columns, so the same order comes out after those have changed.
pub(super) fn reading(selection: &Selection, options: &Options) -> Result<Reading, LoaderError> {
    let (mut direct, mut windowed, mut row_bytes) = (Vec::new(), Vec::new(), 0);
    for column in 0..selection.columns().len() {
        match selection.cell_bytes(column)? {
            bytes if bytes >= DIRECT_BYTES => direct.push(column),
            bytes => {
                windowed.push(column);
                row_bytes += bytes;
            }
        }
    }
    let shape = options.shape.unwrap_or_else(|| shape(row_bytes.max(1), !direct.is_empty(), options.read_ahead_bytes, options.seed.is_some()));
    let window_bytes = shape.block_rows.saturating_mul(shape.window_blocks).min(selection.rows()).saturating_mul(row_bytes);
    let early = if window_bytes >= EARLY_BYTES_MIN { 2 * options.threads as u64 } else { 0 };
    Ok(Reading { direct, windowed, shape, early })
}

fn shape(row_bytes: u64, with_large: bool, read_ahead_bytes: u64, is_shuffled: bool) -> Shape {
    let down = |n: u64| if n < 2 { 1 } else { 1u64 << n.ilog2() };
    let budget = (read_ahead_bytes / WINDOWS_SHARE).max(1);
    // Rows of a few bytes: so many that a block of them is worth going to. Beside pictures they do not matter.
    let usual = Shape::default().block_rows;
    let wanted = if with_large { usual } else { (BLOCK_BYTES / row_bytes).next_power_of_two().clamp(usual, BLOCK_ROWS.end) };
    let most = down(budget / (WINDOW_BLOCKS.start * row_bytes)).max(BLOCK_ROWS.start);
    let block_rows = wanted.min(most);
    let blocks = down(budget / (block_rows * row_bytes)).clamp(WINDOW_BLOCKS.start, WINDOW_BLOCKS.end);
    // In the rows' own order a window mixes nothing, and a short one is read sooner.
    Shape { block_rows, window_blocks: if is_shuffled { blocks } else { WINDOW_BLOCKS.start } }
}

/// Windows of so many bytes take a while to read: the first batches do not wait for them.
const EARLY_BYTES_MIN: u64 = 4 << 20;

/// A window whose rows are being dealt.
struct Current {
    places: Range<u64>,
    window: Arc<Window>,
    dealt: usize,
}

/// Deals all epochs from a place on into tasks. Ends early where nobody takes batches any more.
pub(super) fn deal(maker: &Maker, pool: &Arc<Pool>, (shape, early): (Shape, u64), start: (u64, u64), sequence: &mut u64) -> Result<(), LoaderError> {
    let (options, total) = (&maker.options, maker.selection.rows());
    let share = options.share();
    for epoch in start.0..options.epochs {
        let order = match options.seed {
            Some(seed) => Order::shuffled(total, shape, seed, epoch),
            None => Order::sequential(total, shape),
        };
        let mut from = if epoch == start.0 { start.1 } else { 0 };
        let steps = share.steps(total, from);
        let mut current: Option<Current> = None;
        for step in 0..steps {
            let places = share.places(total, from);
            let mut pieces = Vec::new();
            let mut at = places.start;
            while at < places.end {
                if current.as_ref().is_none_or(|current| at >= current.places.end) {
                    // Let go of before the next one is waited for.
                    drop(current.take());
                    let is_early = *sequence < early;
                    let steps = if is_early { 1 } else { steps - step };
                    let Some(next) = window(maker, pool, &order, (at, from), (steps, pieces.len()), is_early)? else { return Ok(()) };
                    current = Some(next);
                }
                let Some(current) = &mut current else { break };
                let to = places.end.min(current.places.end);
                let n = (to - at) as usize;
                pieces.push((current.window.clone(), current.dealt..current.dealt + n));
                current.dealt += n;
                at = to;
            }
            let after = share.after(total, from);
            let task = Task { sequence: *sequence, epoch, pieces, place: places.start, delivered: after, is_last: step + 1 == steps };
            if !pool.push(task) {
                return Ok(());
            }
            *sequence += 1;
            from = after;
        }
    }
    Ok(())
}

/// Reads the window that holds place `at`: of its rows those of this rank, in so many steps from place `from` on. `parts` windows hold the batch that it is needed for so far. What is early has its
/// rows alone, and is no more than one step's.
fn window(
    maker: &Maker,
    pool: &Arc<Pool>,
    order: &Order,
    (at, from): (u64, u64),
    (steps, parts): (u64, usize),
    is_early: bool,
) -> Result<Option<Current>, LoaderError> {
    let Some((number, places)) = order.window_at(at) else { return Err(LoaderError::NoRow { row: at, rows: order.rows() }) };
    let held = if is_early { None } else { pool.hold_window(parts) };
    if held.is_none() && !is_early {
        return Ok(None);
    }
    let all = order.window(number);
    let (share, total) = (maker.options.share(), order.rows());
    let mut mine: VecDeque<u64> = VecDeque::new();
    let first = from;
    let mut from = from;
    for _ in 0..steps {
        if from >= places.end {
            break;
        }
        let step = share.places(total, from);
        let here = step.start.max(at)..step.end.min(places.end);
        mine.extend(here.filter_map(|place| all.get((place - places.start) as usize)));
        from = share.after(total, from);
    }
    let rows: Vec<u64> = mine.into();
    if is_early {
        // The next step asks anew.
        let places = places.start..share.places(total, first).end.min(places.end);
        return Ok(Some(Current { places, window: Arc::new(Window { rows, cells: Vec::new(), _held: None }), dealt: 0 }));
    }
    let started = Instant::now();
    let cells = maker.selection.gather(&maker.windowed, &rows)?;
    Counters::add(&maker.counters.read_nanos, started.elapsed().as_nanos() as u64);
    Ok(Some(Current { places, window: Arc::new(Window { rows, cells, _held: held }), dealt: 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_stay_within_their_share() {
        for row_bytes in [1, 8, 100, 3000, 16_000] {
            for read_ahead_bytes in [1 << 20, 64 << 20, 512 << 20, 1 << 40] {
                for with_large in [false, true] {
                    let shape = shape(row_bytes, with_large, read_ahead_bytes, true);
                    let bytes = shape.block_rows * shape.window_blocks * row_bytes;
                    let least = BLOCK_ROWS.start * WINDOW_BLOCKS.start * row_bytes;
                    assert!(bytes <= (read_ahead_bytes / WINDOWS_SHARE).max(least), "{row_bytes} {read_ahead_bytes} {shape:?}");
                    assert!(shape.block_rows.is_power_of_two() && shape.window_blocks.is_power_of_two());
                }
            }
        }
        assert_eq!(shape(8, true, 512 << 20, true), Shape::default(), "numbers beside pictures");
        assert_eq!(shape(3000, false, 512 << 20, true), Shape { block_rows: 512, window_blocks: 32 });
        assert_eq!(shape(8, false, 512 << 20, true), Shape { block_rows: 8192, window_blocks: 256 });
        assert_eq!(shape(8, false, 512 << 20, false).window_blocks, 16);
    }
}
