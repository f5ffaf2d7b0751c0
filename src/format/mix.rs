//! A quick 64-bit hash of values, for boundaries and dictionaries (docs/format.md, section 10). It identifies nothing and resists nobody.

/// Of long values so many bytes are hashed at each end.
const HASHED_BYTES: usize = 64;

/// A 64-bit number in which every bit of `x` has a say: both halves of a 128-bit product.
#[inline]
pub fn mix(x: u64) -> u64 {
    let product = u128::from(x ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    (product as u64) ^ (product >> 64) as u64
}

/// As [`mix`], over the length, the first 64 and the last 64 bytes of a value.
#[inline]
pub fn mix_bytes(value: &[u8]) -> u64 {
    let start = mix(value.len() as u64);
    if value.len() <= 2 * HASHED_BYTES {
        return mix_words(start, value);
    }
    let (head, tail) = (&value[..HASHED_BYTES], &value[value.len() - HASHED_BYTES..]);
    mix_words(mix_words(start, head), tail)
}

#[inline]
fn mix_words(mut h: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        h = mix(h ^ u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        h = mix(h ^ u64::from_le_bytes(last));
    }
    h
}
