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
    match width {
        2 => gather::<2>(planes, whole, groups),
        4 => gather::<4>(planes, whole, groups),
        8 => gather::<8>(planes, whole, groups),
        _ => {
            for (byte, plane) in planes.chunks_exact(groups.max(1)).enumerate() {
                for (group, from) in whole.chunks_exact_mut(width).zip(plane) {
                    group[byte] = *from;
                }
            }
        }
    }
    tail.copy_from_slice(rest);
    out
}

/// One pass over the output, reading `W` planes at once.
fn gather<const W: usize>(planes: &[u8], out: &mut [u8], groups: usize) {
    let plane: [&[u8]; W] = std::array::from_fn(|byte| &planes[byte * groups..(byte + 1) * groups]);
    for (at, group) in out.chunks_exact_mut(W).enumerate() {
        for byte in 0..W {
            group[byte] = plane[byte][at];
        }
    }
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
