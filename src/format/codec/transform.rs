//! Byte shuffle and differences: bijections on bytes that make numbers easier to compress.

/// Byte 0 of each group of `width` bytes, then byte 1 of each, and so on; a rest that fills no group follows unchanged.
pub fn shuffle(bytes: &[u8], width: usize) -> Vec<u8> {
    let groups = bytes.len() / width;
    let mut out = vec![0; bytes.len()];
    let (whole, rest) = bytes.split_at(groups * width);
    let (planes, tail) = out.split_at_mut(groups * width);
    if groups > 0 {
        for (byte, plane) in planes.chunks_exact_mut(groups).enumerate() {
            for (to, group) in plane.iter_mut().zip(whole.chunks_exact(width)) {
                *to = group[byte];
            }
        }
    }
    tail.copy_from_slice(rest);
    out
}

/// Undoes [`shuffle`].
pub fn unshuffle(bytes: &[u8], width: usize) -> Vec<u8> {
    let groups = bytes.len() / width;
    let mut out = vec![0; bytes.len()];
    let (planes, rest) = bytes.split_at(groups * width);
    let (whole, tail) = out.split_at_mut(groups * width);
    tail.copy_from_slice(rest);
    match (width, significant(planes, groups, width)) {
        (_, 0) => {}
        (2, _) => {
            let (a, b) = planes.split_at(groups);
            whole.as_chunks_mut::<2>().0.iter_mut().zip(a.iter().zip(b)).for_each(|(group, (a, b))| *group = [*a, *b]);
        }
        (4, _) => low_words::<4>(planes, whole, groups),
        (8, 1..=4) => low_words::<8>(planes, whole, groups),
        (8, _) => gather::<1, 8>(planes, whole, groups),
        (16, 1..=4) => low_words::<16>(planes, whole, groups),
        (16, _) => gather::<2, 16>(planes, whole, groups),
        _ => {
            for (byte, plane) in planes.chunks_exact(groups.max(1)).enumerate() {
                for (group, from) in whole.chunks_exact_mut(width).zip(plane) {
                    group[byte] = *from;
                }
            }
        }
    }
    out
}

/// The number of planes before the last ones that are all zero, as the high bytes of small numbers are.
fn significant(planes: &[u8], groups: usize, width: usize) -> usize {
    let zero = |plane: &[u8]| plane.iter().fold(0, |all, byte| all | byte) == 0;
    if groups == 0 { 0 } else { width - planes.chunks_exact(groups).rev().take_while(|plane| zero(plane)).count() }
}

/// The first four planes into the low four bytes of each group.
fn low_words<const WIDTH: usize>(planes: &[u8], out: &mut [u8], groups: usize) {
    let ((a, b), (c, d)) = (planes[..2 * groups].split_at(groups), planes[2 * groups..4 * groups].split_at(groups));
    let bytes = a.iter().zip(b).zip(c.iter().zip(d));
    for (group, ((a, b), (c, d))) in out.as_chunks_mut::<WIDTH>().0.iter_mut().zip(bytes) {
        let word = u32::from(*a) | u32::from(*b) << 8 | u32::from(*c) << 16 | u32::from(*d) << 24;
        group[..4].copy_from_slice(&word.to_le_bytes());
    }
}

/// Planes into groups of so many bytes, `WORDS` times eight, in squares of eight by eight bytes that are turned over at once.
fn gather<const WORDS: usize, const WIDTH: usize>(planes: &[u8], out: &mut [u8], groups: usize) {
    let plane: [&[u8]; WIDTH] = std::array::from_fn(|byte| &planes[byte * groups..(byte + 1) * groups]);
    let (eights, rest) = out.as_chunks_mut::<WIDTH>().0.as_chunks_mut::<8>();
    for (at, eight) in eights.iter_mut().enumerate() {
        for word in 0..WORDS {
            let rows =
                std::array::from_fn(|byte| plane[word * 8 + byte].get(at * 8..).and_then(|row| row.first_chunk()).map_or(0, |row| u64::from_le_bytes(*row)));
            for (group, column) in eight.iter_mut().zip(transposed(rows)) {
                group[word * 8..word * 8 + 8].copy_from_slice(&column.to_le_bytes());
            }
        }
    }
    let first = eights.len() * 8;
    for (at, group) in rest.iter_mut().enumerate() {
        group.iter_mut().zip(plane).for_each(|(byte, plane)| *byte = plane[first + at]);
    }
}

/// Byte i of number j becomes byte j of number i: halves are swapped, then quarters, then single bytes.
fn transposed(mut rows: [u64; 8]) -> [u64; 8] {
    for (distance, mask) in [(4, 0x0000_0000_ffff_ffff), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)] {
        for i in (0..8).filter(|i| i & distance == 0) {
            let swapped = (rows[i] >> (8 * distance) ^ rows[i + distance]) & mask;
            rows[i + distance] ^= swapped;
            rows[i] ^= swapped << (8 * distance);
        }
    }
    rows
}

/// Each integer of `width` bytes but the first is replaced by its difference from the one before; a rest follows unchanged.
pub fn delta(bytes: &[u8], width: usize) -> Vec<u8> {
    let mut out = bytes.to_vec();
    match width {
        4 => differences(&mut out, u32::from_le_bytes, u32::to_le_bytes, |x, last| x.wrapping_sub(last)),
        _ => differences(&mut out, u64::from_le_bytes, u64::to_le_bytes, |x, last| x.wrapping_sub(last)),
    }
    out
}

fn differences<const W: usize, T: Copy + Default>(out: &mut [u8], from: fn([u8; W]) -> T, to: fn(T) -> [u8; W], minus: fn(T, T) -> T) {
    let mut last = T::default();
    for group in out.as_chunks_mut::<W>().0 {
        let x = from(*group);
        *group = to(minus(x, last));
        last = x;
    }
}

/// Undoes [`delta`], in place.
pub fn undelta(bytes: &mut [u8], width: usize) {
    match width {
        4 => {
            let mut last = 0u32;
            for group in bytes.as_chunks_mut::<4>().0 {
                last = last.wrapping_add(u32::from_le_bytes(*group));
                *group = last.to_le_bytes();
            }
        }
        _ => {
            let mut last = 0u64;
            for group in bytes.as_chunks_mut::<8>().0 {
                last = last.wrapping_add(u64::from_le_bytes(*group));
                *group = last.to_le_bytes();
            }
        }
    }
}
