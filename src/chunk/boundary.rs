//! Where chunks and blocks end: a function of the rows alone, so that equal runs of rows become equal chunks, whatever stood before them
//! and however they were handed over (docs/format.md, section 10).

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;

use crate::format::FormatError;
use crate::format::array::{BLOCK_ALIGN, decode, encode, fixed_bytes, fixed_width};
use crate::format::mix::{mix, mix_bytes};

/// A row of one part in so many of a block's bytes ends its block.
pub const LONG_ROW: u64 = 4;

/// Sizes of chunks and blocks. The default is the format's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Rows are added to a block until it has so many bytes, or until a long one was added: of a [`LONG_ROW`]th of them.
    pub block_bytes: u64,
    /// A block has at most so many rows.
    pub block_rows_max: u64,
    /// No chunk of fewer bytes ends, unless it has enough rows.
    pub bytes_min: u64,
    /// Beyond the minimum, a chunk ends after so many bytes on average.
    pub bytes_mean: u64,
    /// A chunk ends once it has so many bytes.
    pub bytes_max: u64,
    /// No chunk of fewer rows ends, unless it has enough bytes.
    pub rows_min: u64,
    /// Beyond the minimum, a chunk ends after so many rows on average, if not by its bytes.
    pub rows_mean: u64,
    /// A chunk ends once it has so many rows.
    pub rows_max: u64,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        ChunkLimits {
            block_bytes: 65_536,
            block_rows_max: 65_536,
            bytes_min: 262_144,
            bytes_mean: 786_432,
            bytes_max: 4_194_304,
            rows_min: 16_384,
            rows_mean: 49_152,
            rows_max: 262_144,
        }
    }
}

/// Rows are taken in stretches of so many, which bounds the memory for their hashes.
const STRETCH_ROWS: usize = 16_384;
/// Of long lists so many items are hashed at each end.
const HASHED_ITEMS: usize = 8;

/// Sizes of rows: one for all, or one each.
enum Sizes {
    All(u64),
    Each(Vec<u64>),
}

fn sizes(array: &dyn Array) -> Result<Sizes, FormatError> {
    let data_type = array.data_type();
    if let Some(width) = fixed_width(data_type) {
        return Ok(Sizes::All(width as u64));
    }
    let lengths = |offsets: &[i32]| Sizes::Each(offsets.windows(2).map(|pair| 4 + (pair[1] - pair[0]) as u64).collect());
    let bad = || FormatError::malformed("values", format!("{data_type} in another layout than its own"));
    Ok(match data_type {
        DataType::Boolean => Sizes::All(1),
        DataType::Utf8 => lengths(array.as_string_opt::<i32>().ok_or_else(bad)?.value_offsets()),
        DataType::Binary => lengths(array.as_binary_opt::<i32>().ok_or_else(bad)?.value_offsets()),
        DataType::List(_) => {
            let list = array.as_list_opt::<i32>().ok_or_else(bad)?;
            let items = sizes(list.values().as_ref())?;
            let bounds = list.value_offsets().windows(2);
            Sizes::Each(bounds.map(|pair| 4 + sum(&items, pair[0] as usize, pair[1] as usize)).collect())
        }
        DataType::FixedSizeList(_, n) => {
            let list = array.as_fixed_size_list_opt().ok_or_else(bad)?;
            let n = usize::try_from(*n).map_err(|_| bad())?;
            let items = sizes(list.values().as_ref())?;
            Sizes::Each((0..list.len()).map(|row| sum(&items, row * n, row * n + n)).collect())
        }
        DataType::Struct(_) => {
            let mut total = Sizes::All(0);
            for column in array.as_struct_opt().ok_or_else(bad)?.columns() {
                total = match (total, sizes(column.as_ref())?) {
                    (Sizes::All(a), Sizes::All(b)) => Sizes::All(a + b),
                    (Sizes::All(a), Sizes::Each(each)) | (Sizes::Each(each), Sizes::All(a)) => Sizes::Each(each.into_iter().map(|x| x + a).collect()),
                    (Sizes::Each(a), Sizes::Each(b)) => Sizes::Each(a.into_iter().zip(b).map(|(a, b)| a + b).collect()),
                };
            }
            total
        }
        _ => return Err(bad()),
    })
}

fn sum(sizes: &Sizes, from: usize, to: usize) -> u64 {
    match sizes {
        Sizes::All(size) => size * (to - from) as u64,
        Sizes::Each(sizes) => sizes.get(from..to).unwrap_or_default().iter().sum(),
    }
}

/// The hash of each row of an array that has no nulls anywhere.
fn hashes(array: &dyn Array) -> Result<Vec<u64>, FormatError> {
    let data_type = array.data_type();
    let bad = || FormatError::malformed("values", format!("{data_type} in another layout than its own"));
    if let Some(width) = fixed_width(data_type) {
        return Ok(fixed_hashes(&fixed_bytes(array)?, width));
    }
    let of_bytes = |offsets: &[i32], data: &[u8]| -> Vec<u64> {
        offsets.windows(2).map(|pair| mix_bytes(data.get(pair[0] as usize..pair[1] as usize).unwrap_or_default())).collect()
    };
    Ok(match data_type {
        DataType::Boolean => {
            let (no, yes) = (mix(0), mix(1));
            array.as_boolean_opt().ok_or_else(bad)?.values().iter().map(|x| if x { yes } else { no }).collect()
        }
        DataType::Utf8 => {
            let values = array.as_string_opt::<i32>().ok_or_else(bad)?;
            of_bytes(values.value_offsets(), values.value_data())
        }
        DataType::Binary => {
            let values = array.as_binary_opt::<i32>().ok_or_else(bad)?;
            of_bytes(values.value_offsets(), values.value_data())
        }
        DataType::List(_) => {
            let list = array.as_list_opt::<i32>().ok_or_else(bad)?;
            let (start, end) = (list.value_offsets().first().map_or(0, |o| *o as usize), list.value_offsets().last().map_or(0, |o| *o as usize));
            let items = hashes(list.values().slice(start, end - start).as_ref())?;
            let bounds = list.value_offsets().windows(2);
            bounds.map(|pair| mix_items(items.get(pair[0] as usize - start..pair[1] as usize - start).unwrap_or_default())).collect()
        }
        DataType::FixedSizeList(_, n) => {
            let n = usize::try_from(*n).map_err(|_| bad())?;
            let items = hashes(array.as_fixed_size_list_opt().ok_or_else(bad)?.values().as_ref())?;
            items.chunks_exact(n).map(mix_items).collect()
        }
        DataType::Struct(_) => {
            let mut rows = vec![0; array.len()];
            for column in array.as_struct_opt().ok_or_else(bad)?.columns() {
                rows.iter_mut().zip(hashes(column.as_ref())?).for_each(|(h, m)| *h = mix(*h ^ m));
            }
            rows
        }
        _ => return Err(bad()),
    })
}

fn mix_items(items: &[u64]) -> u64 {
    let all = |h: u64, items: &[u64]| items.iter().fold(h, |h, m| mix(h ^ m));
    let start = mix(items.len() as u64);
    if items.len() <= 2 * HASHED_ITEMS {
        return all(start, items);
    }
    all(all(start, &items[..HASHED_ITEMS]), &items[items.len() - HASHED_ITEMS..])
}

fn fixed_hashes(bytes: &[u8], width: usize) -> Vec<u64> {
    fn words<const W: usize>(bytes: &[u8], hash: impl Fn([u8; W]) -> u64) -> Vec<u64> {
        bytes.as_chunks::<W>().0.iter().map(|value| hash(*value)).collect()
    }
    match width {
        1 => bytes.iter().map(|x| mix((*x).into())).collect(),
        2 => words::<2>(bytes, |x| mix(u16::from_le_bytes(x).into())),
        4 => words::<4>(bytes, |x| mix(u32::from_le_bytes(x).into())),
        8 => words::<8>(bytes, |x| mix(u64::from_le_bytes(x))),
        0 => Vec::new(),
        3..=16 => bytes.chunks_exact(width).map(mix_short).collect(),
        _ => bytes.chunks_exact(width).map(mix_bytes).collect(),
    }
}

/// A value of up to 16 bytes, as two numbers.
fn mix_short(value: &[u8]) -> u64 {
    let mut whole = [0; 16];
    whole[..value.len()].copy_from_slice(value);
    let number = u128::from_le_bytes(whole);
    let (low, high) = (number as u64, (number >> 64) as u64);
    if value.len() <= 8 { mix(low) } else { mix(high ^ mix(low)) }
}

/// What ends after a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A block, and the chunk goes on.
    Block,
    /// A block and the chunk with it, whose rows have so many bytes.
    Chunk(u64),
}

/// Finds the ends of blocks and chunks in rows of one type that are handed over bit by bit.
#[derive(Debug)]
pub struct Boundaries {
    limits: ChunkLimits,
    /// Rows of a block, for types of fixed width.
    block_rows: Option<u64>,
    hash: u64,
    rows: u64,
    bytes: u64,
    rows_of_block: u64,
    bytes_of_block: u64,
}

impl Boundaries {
    /// At the start of a chunk of values of a storage type.
    pub fn new(storage: &DataType, limits: ChunkLimits) -> Self {
        let align = BLOCK_ALIGN as u64;
        let block_rows = match storage {
            DataType::Boolean => Some(limits.block_rows_max),
            other => fixed_width(other).map(|width| {
                let width = (width as u64).max(1);
                let step = align / gcd(width, align);
                limits.block_bytes.div_ceil(width).next_multiple_of(step).min(limits.block_rows_max)
            }),
        };
        Boundaries { limits, block_rows, hash: 0, rows: 0, bytes: 0, rows_of_block: 0, bytes_of_block: 0 }
    }

    /// Takes in the rows of `array`, and returns where among them blocks and chunks end: each end is the number of rows before it.
    /// The same ends are found however a run of rows is split into arrays.
    pub fn ends(&mut self, array: &ArrayRef) -> Result<Vec<(usize, End)>, FormatError> {
        let mut ends = Vec::new();
        for at in (0..array.len()).step_by(STRETCH_ROWS) {
            let rows = STRETCH_ROWS.min(array.len() - at);
            let stretch = without_nulls(array.slice(at, rows))?;
            let (sizes, hashes) = (sizes(stretch.as_ref())?, hashes(stretch.as_ref())?);
            let mut from = 0;
            while let Some((rows, end)) = match &sizes {
                Sizes::All(size) => self.next_of_one_size(*size, &hashes[from..]),
                Sizes::Each(sizes) => self.next_of_many_sizes(&sizes[from..], &hashes[from..]),
            } {
                from += rows;
                ends.push((at + from, end));
            }
        }
        Ok(ends)
    }

    /// H after a row, as a function of H before: the longer the rows, the fewer of them it depends on, down to one.
    fn step(hash: u64, shift: u32, m: u64) -> u64 {
        hash.checked_shl(shift).unwrap_or(0).wrapping_add(m)
    }

    fn shift(size: u64) -> u32 {
        (size / 1024).clamp(1, 64) as u32
    }

    /// A row of that size ends a chunk if the upper half of H is less than this.
    fn threshold(&self, size: u64) -> u64 {
        (size.saturating_mul(1 << 32) / self.limits.bytes_mean).max((1 << 32) / self.limits.rows_mean)
    }

    fn end_block(&mut self) -> End {
        (self.rows_of_block, self.bytes_of_block) = (0, 0);
        End::Block
    }

    fn end_chunk(&mut self) -> End {
        let bytes = self.bytes;
        self.end_block();
        (self.hash, self.rows, self.bytes) = (0, 0, 0);
        End::Chunk(bytes)
    }

    /// Bytes of the rows since the last chunk ended.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The rows up to the next end, if there is one: rows of one size, in a loop with one test a row, or none before the minimum.
    fn next_of_one_size(&mut self, size: u64, hashes: &[u64]) -> Option<(usize, End)> {
        let limits = self.limits;
        let rows_of = |bytes: u64| if size == 0 { u64::MAX } else { bytes.div_ceil(size).max(1) };
        let min = rows_of(limits.bytes_min).min(limits.rows_min);
        let max = rows_of(limits.bytes_max).min(limits.rows_max);
        let rows = if size >= limits.block_bytes / LONG_ROW { 1 } else { rows_of(limits.block_bytes) };
        let block = self.block_rows.unwrap_or(rows.min(limits.block_rows_max));
        let (shift, threshold) = (Self::shift(size), self.threshold(size));
        let mut at = 0;
        while at < hashes.len() {
            let left = (hashes.len() - at) as u64;
            let untested = (min - 1).saturating_sub(self.rows);
            let stop = if untested > 0 { untested } else { max - self.rows };
            let run = stop.min(block - self.rows_of_block).min(left) as usize;
            let rows = &hashes[at..at + run];
            let mut hash = self.hash;
            let mut cut = None;
            if untested > 0 {
                rows.iter().for_each(|m| hash = Self::step(hash, shift, *m));
            } else {
                cut = rows.iter().position(|m| {
                    hash = Self::step(hash, shift, *m);
                    hash >> 32 < threshold
                });
            }
            let taken = cut.map_or(run, |row| row + 1);
            self.hash = hash;
            self.rows += taken as u64;
            self.rows_of_block += taken as u64;
            self.bytes = self.bytes.saturating_add(size.saturating_mul(taken as u64));
            at += taken;
            if cut.is_some() || self.rows >= max {
                return Some((at, self.end_chunk()));
            }
            if self.rows_of_block >= block {
                return Some((at, self.end_block()));
            }
        }
        None
    }

    fn next_of_many_sizes(&mut self, sizes: &[u64], hashes: &[u64]) -> Option<(usize, End)> {
        let limits = self.limits;
        for (at, (size, m)) in sizes.iter().zip(hashes).enumerate() {
            self.hash = Self::step(self.hash, Self::shift(*size), *m);
            self.rows += 1;
            self.bytes += size;
            self.rows_of_block += 1;
            self.bytes_of_block += size;
            let enough = self.bytes >= limits.bytes_min || self.rows >= limits.rows_min;
            let found = enough && self.hash >> 32 < self.threshold(*size);
            if found || self.bytes >= limits.bytes_max || self.rows >= limits.rows_max {
                return Some((at + 1, self.end_chunk()));
            }
            // A long row, such as a picture, is read alone far more often than with its neighbours.
            let long = *size >= limits.block_bytes / LONG_ROW;
            if long || self.bytes_of_block >= limits.block_bytes || self.rows_of_block >= limits.block_rows_max {
                return Some((at + 1, self.end_block()));
            }
        }
        None
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The same values with zero or nothing under every null.
fn without_nulls(array: ArrayRef) -> Result<ArrayRef, FormatError> {
    if !has_nulls(array.as_ref()) {
        return Ok(array);
    }
    let (bytes, validity) = encode(array.as_ref(), BLOCK_ALIGN)?;
    decode(array.data_type(), array.len(), &validity, bytes.into(), BLOCK_ALIGN)
}

fn has_nulls(array: &dyn Array) -> bool {
    array.null_count() > 0
        || match array.data_type() {
            DataType::List(_) => array.as_list_opt::<i32>().is_some_and(|list| has_nulls(list.values().as_ref())),
            DataType::FixedSizeList(..) => array.as_fixed_size_list_opt().is_some_and(|list| has_nulls(list.values().as_ref())),
            DataType::Struct(_) => array.as_struct_opt().is_some_and(|fields| fields.columns().iter().any(|column| has_nulls(column.as_ref()))),
            _ => false,
        }
}

#[cfg(test)]
mod tests;
