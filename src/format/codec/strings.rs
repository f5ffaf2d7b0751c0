//! Text and binary blocks in other shapes: a dictionary with an index a row, or lengths in place of offsets.

use super::super::FormatError;
use super::super::array::BLOCK_ALIGN;
use super::super::chunk::Block;
use super::super::mix::mix_bytes;
use super::transform::{shuffle, unshuffle};

fn fail(why: &'static str) -> FormatError {
    FormatError::malformed("block", why)
}

/// The validity bitmap, the offsets and the values of canonical bytes.
type Parts<'a> = (&'a [u8], &'a [[u8; 4]], &'a [u8]);

/// Where the parts of the canonical bytes of a text or binary block stand.
struct Layout {
    rows: usize,
    /// Bytes of the validity bitmap, 0 without one.
    bitmap: usize,
    /// Where the offsets start.
    offsets: usize,
    /// Where the values' bytes start.
    values: usize,
}

impl Layout {
    fn of(block: &Block) -> Result<Layout, FormatError> {
        let rows = usize::try_from(block.rows).map_err(|_| fail("too many rows"))?;
        let bitmap = match block.validity.as_slice() {
            [] => 0,
            [0] => rows.div_ceil(8),
            _ => return Err(fail("validity of an array node that text and binary do not have")),
        };
        let offsets = bitmap.next_multiple_of(BLOCK_ALIGN);
        let values = rows.checked_add(1).and_then(|n| n.checked_mul(4)).and_then(|n| n.checked_add(offsets)).ok_or_else(|| fail("too many rows"))?;
        // Canonical bytes end without padding: values of no bytes end right after the padding before them.
        Ok(Layout { rows, bitmap, offsets, values: values.next_multiple_of(BLOCK_ALIGN) })
    }

    /// The validity bitmap, the offsets and the values of `canonical`.
    fn split<'a>(&self, canonical: &'a [u8]) -> Result<Parts<'a>, FormatError> {
        let short = || fail("its canonical bytes are too short");
        let bitmap = canonical.get(..self.bitmap).ok_or_else(short)?;
        let offsets = canonical.get(self.offsets..self.offsets + (self.rows + 1) * 4).ok_or_else(short)?.as_chunks::<4>().0;
        Ok((bitmap, offsets, canonical.get(self.values..).ok_or_else(short)?))
    }

    /// Canonical bytes from these parts. The lengths are there in memory, so what they do not bear out is not allocated.
    fn join(&self, size: u64, bitmap: &[u8], lengths: impl Iterator<Item = u32> + Clone, values: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>, FormatError> {
        let size = usize::try_from(size).map_err(|_| fail("too large"))?;
        let total = lengths.clone().try_fold(0i32, |sum, length| sum.checked_add_unsigned(length)).ok_or_else(|| fail("its lengths are too great"))?;
        if self.values.checked_add(total as usize) != Some(size) {
            return Err(fail("its lengths do not sum up to its size"));
        }
        // Room for the last short value to be copied with what follows it.
        let mut out = Vec::with_capacity(size.saturating_add(SHORT));
        out.extend_from_slice(bitmap);
        out.resize(self.offsets, 0);
        out.resize(self.values, 0);
        let (offsets, mut end) = (out[self.offsets..].as_chunks_mut::<4>().0, 0u32);
        for (offset, length) in offsets.iter_mut().skip(1).zip(lengths) {
            end = end.wrapping_add(length);
            *offset = end.to_le_bytes();
        }
        values(&mut out);
        Ok(out)
    }
}

/// Values no longer than this are copied as so many bytes, which is one instruction.
const SHORT: usize = 16;

fn bounds(offsets: &[[u8; 4]]) -> impl Iterator<Item = (usize, usize)> {
    offsets.windows(2).map(|pair| (u32::from_le_bytes(pair[0]) as usize, u32::from_le_bytes(pair[1]) as usize))
}

/// Codec 4 before zstd; `None` with more than 65,536 distinct values, or where the dictionary would be most of the block.
pub fn to_dictionary(canonical: &[u8], block: &Block) -> Result<Option<Vec<u8>>, FormatError> {
    let layout = Layout::of(block)?;
    let (bitmap, offsets, values) = layout.split(canonical)?;
    // Open addressing: each slot is a value's index plus one, or 0. Never more than half full.
    let mut slots = vec![0u32; 1024];
    let mut distinct: Vec<&[u8]> = Vec::new();
    let mut hashes: Vec<u64> = Vec::new();
    let mut distinct_bytes = 0;
    let mut indices: Vec<u16> = Vec::with_capacity(layout.rows);
    for (start, end) in bounds(offsets) {
        let value = values.get(start..end).ok_or_else(|| fail("its offsets are wrong"))?;
        let hash = mix_bytes(value);
        let mask = slots.len() - 1;
        let mut at = hash as usize & mask;
        let index = loop {
            match slots[at].checked_sub(1) {
                Some(index) if hashes[index as usize] == hash && distinct[index as usize] == value => break index as u16,
                Some(_) => at = (at + 1) & mask,
                None => {
                    let Ok(index) = u16::try_from(distinct.len()) else { return Ok(None) };
                    distinct_bytes += value.len();
                    if distinct.len() > 16 && (distinct.len() > layout.rows / 2 || distinct_bytes > values.len() / 2) {
                        return Ok(None);
                    }
                    distinct.push(value);
                    hashes.push(hash);
                    slots[at] = u32::from(index) + 1;
                    if distinct.len() * 2 > slots.len() {
                        slots = rehashed(&hashes, slots.len() * 4);
                    }
                    break index;
                }
            }
        };
        indices.push(index);
    }
    let mut out = Vec::with_capacity(bitmap.len() + distinct.len() * 4 + distinct_bytes + indices.len() * 2 + 4);
    out.extend_from_slice(bitmap);
    out.extend_from_slice(&(distinct.len() as u32).to_le_bytes());
    out.extend(distinct.iter().flat_map(|value| (value.len() as u32).to_le_bytes()));
    distinct.iter().for_each(|value| out.extend_from_slice(value));
    if distinct.len() <= 256 {
        out.extend(indices.iter().map(|index| *index as u8));
    } else {
        out.extend(indices.iter().flat_map(|index| index.to_le_bytes()));
    }
    Ok(Some(out))
}

fn rehashed(hashes: &[u64], size: usize) -> Vec<u32> {
    let mut slots = vec![0u32; size];
    for (number, hash) in (1u32..).zip(hashes) {
        let mut at = *hash as usize & (size - 1);
        while slots[at] != 0 {
            at = (at + 1) & (size - 1);
        }
        slots[at] = number;
    }
    slots
}

/// Undoes [`to_dictionary`].
pub fn from_dictionary(bytes: &[u8], block: &Block) -> Result<Vec<u8>, FormatError> {
    let short = || fail("its dictionary is cut off");
    let layout = Layout::of(block)?;
    let (bitmap, rest) = bytes.split_at_checked(layout.bitmap).ok_or_else(short)?;
    let (k, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let k = u32::from_le_bytes(*k) as usize;
    let (lengths, mut rest) = rest.split_at_checked(k.checked_mul(4).ok_or_else(short)?).ok_or_else(short)?;
    let mut distinct: Vec<&[u8]> = Vec::with_capacity(k);
    for length in lengths.as_chunks::<4>().0 {
        let (value, after) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
        distinct.push(value);
        rest = after;
    }
    // One byte a row or two; there are no more than 65,536 values.
    let indices: Vec<u16> = if k <= 256 {
        rest.iter().map(|index| (*index).into()).collect()
    } else {
        rest.as_chunks::<2>().0.iter().map(|index| u16::from_le_bytes(*index)).collect()
    };
    if indices.len() != layout.rows || rest.len() != layout.rows * if k <= 256 { 1 } else { 2 } {
        return Err(fail("its indices are not one a row"));
    }
    if indices.iter().max().is_some_and(|most| usize::from(*most) >= k) {
        return Err(fail("an index beyond its dictionary"));
    }
    let lengths = indices.iter().map(|index| distinct[usize::from(*index)].len() as u32);
    if distinct.iter().any(|value| value.len() > SHORT) {
        return layout.join(block.size, bitmap, lengths, |out| indices.iter().for_each(|index| out.extend_from_slice(distinct[usize::from(*index)])));
    }
    let short: Vec<([u8; SHORT], usize)> = distinct.iter().map(|value| (padded(value), value.len())).collect();
    layout.join(block.size, bitmap, lengths, |out| {
        let mut end = out.len();
        out.resize(out.capacity(), 0);
        for index in &indices {
            let (bytes, length) = short[usize::from(*index)];
            out[end..end + SHORT].copy_from_slice(&bytes);
            end += length;
        }
        out.truncate(end);
    })
}

/// A short value, and zeros after it.
fn padded(value: &[u8]) -> [u8; SHORT] {
    let mut bytes = [0; SHORT];
    bytes.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
    bytes
}

/// Codec 5 before zstd.
pub fn to_lengths(canonical: &[u8], block: &Block) -> Result<Vec<u8>, FormatError> {
    let layout = Layout::of(block)?;
    let (bitmap, offsets, values) = layout.split(canonical)?;
    let lengths: Vec<u8> = bounds(offsets).flat_map(|(start, end)| (end.wrapping_sub(start) as u32).to_le_bytes()).collect();
    let mut out = Vec::with_capacity(bitmap.len() + lengths.len() + values.len());
    out.extend_from_slice(bitmap);
    out.extend(shuffle(&lengths, 4));
    out.extend_from_slice(values);
    Ok(out)
}

/// Undoes [`to_lengths`].
pub fn from_lengths(bytes: &[u8], block: &Block) -> Result<Vec<u8>, FormatError> {
    let short = || fail("its lengths are cut off");
    let layout = Layout::of(block)?;
    let (bitmap, rest) = bytes.split_at_checked(layout.bitmap).ok_or_else(short)?;
    let (lengths, values) = rest.split_at_checked(layout.rows * 4).ok_or_else(short)?;
    let lengths = unshuffle(lengths, 4);
    let lengths = lengths.as_chunks::<4>().0.iter().map(|length| u32::from_le_bytes(*length));
    let out = layout.join(block.size, bitmap, lengths, |out| out.extend_from_slice(values))?;
    if out.len() as u64 == block.size { Ok(out) } else { Err(fail("its values do not fill it")) }
}
