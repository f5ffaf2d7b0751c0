//! Where chunks end: independent of how rows are pushed, found again after an edit, and as section 10 has it.

use std::sync::Arc;

use arrow::array::{BinaryArray, Float32Array, Int64Array, StringArray};
use proptest::prelude::*;

use super::*;
use crate::format::array::tests::{Value, any_column, build};

fn tiny() -> ChunkLimits {
    ChunkLimits { block_bytes: 64, block_rows_max: 64, bytes_min: 256, bytes_mean: 512, bytes_max: 2048, rows_min: 16, rows_mean: 64, rows_max: 256 }
}

fn chunk_ends(array: &ArrayRef, limits: ChunkLimits) -> Vec<usize> {
    let ends = Boundaries::new(array.data_type(), limits).ends(array).unwrap();
    ends.into_iter().filter(|(_, end)| matches!(end, End::Chunk(_))).map(|(at, _)| at).collect()
}

/// Section 10, value by value: the size of a row and m(row).
fn naive_row(ty: &DataType, value: &Value) -> (u64, u64) {
    let naive_mix = |x: u64| {
        let product = u128::from(x ^ 0x9e3779b97f4a7c15) * u128::from(0xd6e8feb86659fd93u64);
        (product % (1 << 64)) as u64 ^ (product / (1 << 64)) as u64
    };
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    let of_bytes = |bytes: &[u8]| {
        let hashed = if bytes.len() > 128 { [&bytes[..64], &bytes[bytes.len() - 64..]].concat() } else { bytes.to_vec() };
        hashed.chunks(8).fold(naive_mix(bytes.len() as u64), |h, bytes| naive_mix(h ^ word(bytes)))
    };
    let of_items = |items: Vec<u64>| {
        let n = items.len();
        let hashed: Vec<u64> = items.into_iter().enumerate().filter(|(i, _)| n <= 16 || *i < 8 || *i >= n - 8).map(|(_, m)| m).collect();
        hashed.into_iter().fold(naive_mix(n as u64), |h, m| naive_mix(h ^ m))
    };
    if let Some(width) = fixed_width(ty) {
        fn flat(value: &Value, width: usize, out: &mut Vec<u8>) {
            match value {
                Value::Null => out.resize(out.len() + width, 0),
                Value::Bytes(bytes) => out.extend(bytes),
                Value::Many(items) => items.iter().for_each(|item| flat(item, width / items.len(), out)),
                Value::Bool(_) => panic!("not of fixed width"),
            }
        }
        let mut bytes = Vec::new();
        flat(value, width, &mut bytes);
        let m = match width {
            0..=8 => naive_mix(word(&bytes)),
            9..=16 => naive_mix(word(&bytes[8..]) ^ naive_mix(word(&bytes[..8]))),
            _ => of_bytes(&bytes),
        };
        return (width as u64, m);
    }
    match (ty, value) {
        (DataType::Boolean, value) => (1, naive_mix((*value == Value::Bool(true)).into())),
        (DataType::Utf8 | DataType::Binary, Value::Bytes(bytes)) => (4 + bytes.len() as u64, of_bytes(bytes)),
        (DataType::Utf8 | DataType::Binary, _) => (4, of_bytes(&[])),
        (DataType::List(item), Value::Many(items)) => {
            let (sizes, ms): (Vec<u64>, Vec<u64>) = items.iter().map(|value| naive_row(item.data_type(), value)).unzip();
            (4 + sizes.iter().sum::<u64>(), of_items(ms))
        }
        (DataType::List(_), _) => (4, of_items(vec![])),
        (DataType::FixedSizeList(item, n), value) => {
            let items = if let Value::Many(items) = value { items.clone() } else { vec![Value::Null; *n as usize] };
            let (sizes, ms): (Vec<u64>, Vec<u64>) = items.iter().map(|value| naive_row(item.data_type(), value)).unzip();
            (sizes.iter().sum(), of_items(ms))
        }
        (DataType::Struct(fields), value) => {
            let items = if let Value::Many(items) = value { items.clone() } else { vec![Value::Null; fields.len()] };
            let rows = fields.iter().zip(&items).map(|(field, value)| naive_row(field.data_type(), value));
            rows.fold((0, 0), |(size, h), (s, m)| (size + s, naive_mix(h ^ m)))
        }
        other => panic!("{other:?}"),
    }
}

fn naive_ends(ty: &DataType, values: &[Value], limits: ChunkLimits) -> Vec<(usize, End)> {
    let fixed = if *ty == DataType::Boolean { Some(1) } else { fixed_width(ty).map(|w| w as u64) };
    let block_rows = fixed.map(|w| {
        let step = (1..=64).find(|rows| rows * w % 64 == 0).unwrap();
        let rows = limits.block_bytes.div_ceil(w).next_multiple_of(step).min(limits.block_rows_max);
        if *ty == DataType::Boolean { limits.block_rows_max } else { rows }
    });
    let (mut h, mut b, mut r, mut block_b, mut block_r) = (0u128, 0, 0, 0, 0);
    let mut ends = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let (size, m) = naive_row(ty, value);
        h = ((h << (size / 1024).clamp(1, 64)) + u128::from(m)) % (1 << 64);
        (b, r, block_b, block_r) = (b + size, r + 1, block_b + size, block_r + 1);
        let limit = (size * (1 << 32) / limits.bytes_mean).max((1 << 32) / limits.rows_mean);
        let may = b >= limits.bytes_min || r >= limits.rows_min;
        if may && (h >> 32) < u128::from(limit) || b >= limits.bytes_max || r >= limits.rows_max {
            ends.push((at + 1, End::Chunk(b)));
            (h, b, r, block_b, block_r) = (0, 0, 0, 0, 0);
        } else if block_rows.map_or(block_b >= limits.block_bytes || size >= limits.block_bytes / 4 || block_r >= limits.block_rows_max, |rows| block_r >= rows)
        {
            ends.push((at + 1, End::Block));
            (block_b, block_r) = (0, 0);
        }
    }
    ends
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn ends_are_the_pages((ty, values) in any_column(0..900), seed: u64, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5)) {
        let expected = naive_ends(&ty, &values, tiny());
        let array = build(&ty, &values, Some(seed));
        // All at once, and in pieces.
        prop_assert_eq!(&Boundaries::new(&ty, tiny()).ends(&array).unwrap(), &expected);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(values.len() + 1)).chain([0, values.len()]).collect();
        cuts.sort();
        let mut boundaries = Boundaries::new(&ty, tiny());
        let mut found = Vec::new();
        for pair in cuts.windows(2) {
            let piece = build(&ty, &values[pair[0]..pair[1]], Some(seed ^ 1));
            found.extend(boundaries.ends(&piece).unwrap().into_iter().map(|(at, end)| (at + pair[0], end)));
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn long_rows_follow_the_page_too() {
    let mut next = noise(3);
    let values: Vec<Value> = (0..3000)
        .map(|_| {
            let length = match next() % 10 {
                0 => next() % 100_000,
                1..=3 => next() % 8000,
                _ => next() % 300,
            };
            Value::Bytes((0..length).map(|_| next() as u8).collect())
        })
        .collect();
    let array = build(&DataType::Binary, &values, None);
    let found = Boundaries::new(&DataType::Binary, ChunkLimits::default()).ends(&array).unwrap();
    assert_eq!(found, naive_ends(&DataType::Binary, &values, ChunkLimits::default()));
    assert!(found.iter().filter(|(_, end)| matches!(end, End::Chunk(_))).count() > 10);
}

fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut x = seed;
    move || {
        x = x.wrapping_add(0x9e3779b97f4a7c15);
        let z = (x ^ x >> 30).wrapping_mul(0xbf58476d1ce4e5b9);
        z ^ z >> 31
    }
}

/// Of the ends of `rows` and of `rows` with some put in near the front, the share that is the same, counted from the back.
fn shared(make: impl Fn(&[u64]) -> ArrayRef, rows: usize, limits: ChunkLimits) -> (usize, usize) {
    let mut next = noise(rows as u64);
    let before: Vec<u64> = (0..rows).map(|_| next()).collect();
    let mut after = before.clone();
    after.splice(rows / 50..rows / 50, [1, 2, 3]);
    let (before, after) = (chunk_ends(&make(&before), limits), chunk_ends(&make(&after), limits));
    let moved: Vec<usize> = before.iter().map(|end| end + 3).collect();
    (after.iter().filter(|end| moved.contains(end)).count(), after.len())
}

#[test]
fn equal_runs_find_back_to_equal_chunks() {
    let limits = ChunkLimits::default();
    let ints = |rows: &[u64]| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(|x| *x as i64))) };
    let labels = |rows: &[u64]| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(|x| ["cat", "dog", "bird"][*x as usize % 3]))) };
    let captions = |rows: &[u64]| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(|x| format!("a picture of {x}")))) };
    // Rows of 20 KiB and of 300 KiB on average.
    let files = |mean: u64| {
        move |rows: &[u64]| -> ArrayRef {
            Arc::new(BinaryArray::from_iter_values(rows.iter().map(|x| x.to_le_bytes().repeat(((x >> 32) % (mean / 4)) as usize + 1))))
        }
    };
    let cases: [(&str, (usize, usize)); 5] = [
        ("int64", shared(ints, 2_000_000, limits)),
        ("labels", shared(labels, 2_000_000, limits)),
        ("captions", shared(captions, 800_000, limits)),
        ("small files", shared(files(20 << 10), 2_000, limits)),
        ("large files", shared(files(300 << 10), 300, limits)),
    ];
    for (name, (same, all)) in cases {
        assert!(all >= 15, "{name}: only {all} chunks");
        assert!(same * 10 >= all * 8, "{name}: {same} of {all} chunks end at the same rows");
    }
}

#[test]
fn chunks_have_the_sizes_aimed_at() {
    let limits = ChunkLimits::default();
    let mut next = noise(7);
    let vectors: Vec<f32> = (0..384 * 20_000).map(|_| next() as f32).collect();
    let child = Arc::new(Float32Array::from(vectors));
    let field = crate::format::types::child("item", DataType::Float32);
    let vectors: ArrayRef = Arc::new(arrow::array::FixedSizeListArray::new(field, 384, child, None));
    let bytes = 384 * 4 * 20_000;
    let chunks = chunk_ends(&vectors, limits).len();
    assert!((bytes / (2 << 20)..bytes / (700 << 10)).contains(&chunks), "{chunks} chunks of {bytes} bytes");
    // A million small numbers: by rows.
    let flags: ArrayRef = Arc::new(arrow::array::UInt8Array::from_iter_values((0..1_000_000).map(|_| next() as u8)));
    let chunks = chunk_ends(&flags, limits).len();
    assert!((8..30).contains(&chunks), "{chunks} chunks of a million bytes");
    // Values that are all the same end where the limits say, or at the least: always alike.
    let same: ArrayRef = Arc::new(Int64Array::from_value(5, 1_000_000));
    let ends = chunk_ends(&same, limits);
    assert!(ends.windows(2).all(|pair| pair[1] - pair[0] == ends[0]));
}
