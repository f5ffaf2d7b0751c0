//! Every codec, on every type that it takes, and on damage.

use arrow::array::Array;
use proptest::prelude::*;

use super::super::array::tests::{any_column, any_value, build};
use super::super::array::{BLOCK_ALIGN, encode};
use super::*;

fn block(canonical: &[u8], rows: usize, validity: Vec<u32>) -> Block {
    Block { rows: rows as u64, validity, size: canonical.len() as u64, hash: *blake3::hash(canonical).as_bytes() }
}

/// All codecs that can describe a block of the type, liked or not.
fn all(storage: &DataType) -> Vec<Codec> {
    let widths = [2, 4, 8, 16].map(Codec::Shuffle).into_iter().chain([4, 8].map(Codec::Delta)).chain([Codec::Raw, Codec::Zstd]);
    let strings = matches!(storage, DataType::Utf8 | DataType::Binary).then_some([Codec::Dictionary, Codec::Lengths]);
    widths.chain(strings.into_iter().flatten()).collect()
}

fn round_trips(storage: &DataType, canonical: &[u8], block: &Block) {
    let mut zstd = Compressor::new(1).unwrap();
    for codec in all(storage) {
        let (number, parameter) = codec.number();
        assert_eq!(Codec::from_number(number, parameter), Some(codec));
        if let Some(body) = compress(codec, canonical, block, &mut zstd).unwrap() {
            assert_eq!(decompress(codec, &body, block, storage).unwrap(), canonical, "{codec:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_codec_gives_the_bytes_back((ty, values) in any_column(0..60)) {
        let (canonical, validity) = encode(build(&ty, &values, None).as_ref(), BLOCK_ALIGN).unwrap();
        round_trips(&ty, &canonical, &block(&canonical, values.len(), validity));
    }

    #[test]
    fn damage_is_an_error_or_other_bytes_but_no_panic(
        values in prop::collection::vec(any_value(&DataType::Utf8, 2), 1..200),
        codec in prop::sample::select(all(&DataType::Utf8)), at: prop::sample::Index, bit in 0..8u8, rows in 0..1000u64, size: u64,
    ) {
        let (canonical, validity) = encode(build(&DataType::Utf8, &values, None).as_ref(), BLOCK_ALIGN).unwrap();
        let block = block(&canonical, values.len(), validity);
        let Some(mut body) = compress(codec, &canonical, &block, &mut Compressor::new(1).unwrap()).unwrap() else { return Ok(()) };
        // Headers that lie about rows and sizes.
        for lie in [Block { rows, ..block.clone() }, Block { size, ..block.clone() }, Block { rows: u64::MAX, ..block.clone() }, Block { validity: vec![], ..block.clone() }] {
            let _ = decompress(codec, &body, &lie, &DataType::Utf8);
        }
        if !body.is_empty() {
            let _ = decompress(codec, &body[..at.index(body.len())], &block, &DataType::Utf8);
            let at = at.index(body.len());
            body[at] ^= 1 << bit;
            let _ = decompress(codec, &body, &block, &DataType::Utf8);
        }
    }
}

#[test]
fn dictionaries_of_both_widths() {
    for distinct in [1usize, 256, 257, 5000] {
        let values: Vec<String> = (0..20_000).map(|i| format!("label {}", i * 7919 % distinct)).collect();
        let array = arrow::array::StringArray::from(values);
        let (canonical, validity) = encode(&array, BLOCK_ALIGN).unwrap();
        let block = block(&canonical, array.len(), validity);
        let body = compress(Codec::Dictionary, &canonical, &block, &mut Compressor::new(1).unwrap()).unwrap().expect("a dictionary");
        assert!(body.len() * 4 < canonical.len());
        assert_eq!(decompress(Codec::Dictionary, &body, &block, &DataType::Utf8).unwrap(), canonical);
        // Codecs of text are refused for anything else, whatever a header says.
        assert!(decompress(Codec::Dictionary, &body, &block, &DataType::Int8).is_err());
    }
    let distinct = arrow::array::StringArray::from_iter_values((0..70_000).map(|i| i.to_string()));
    let (canonical, validity) = encode(&distinct, BLOCK_ALIGN).unwrap();
    let block = block(&canonical, distinct.len(), validity);
    assert_eq!(compress(Codec::Dictionary, &canonical, &block, &mut Compressor::new(1).unwrap()).unwrap(), None);
}

#[test]
fn transforms_are_the_pages() {
    assert_eq!(transform::shuffle(&[1, 2, 3, 4, 5, 6, 7], 2), [1, 3, 5, 2, 4, 6, 7]);
    let numbers: Vec<u8> = [5u32, 7, 6].iter().flat_map(|x| x.to_le_bytes()).chain([9]).collect();
    let deltas: Vec<u8> = [5u32, 2, u32::MAX].iter().flat_map(|x| x.to_le_bytes()).chain([9]).collect();
    assert_eq!(transform::delta(&numbers, 4), deltas);
    for width in [2, 4, 8, 16] {
        for length in 0..200u8 {
            let bytes: Vec<u8> = (0..length).map(|i| i.wrapping_mul(37)).collect();
            assert_eq!(transform::unshuffle(&transform::shuffle(&bytes, width), width), bytes);
            // Numbers of which only the low bytes are taken.
            for low in 0..=width {
                let small: Vec<u8> = bytes.iter().enumerate().map(|(at, byte)| if at % width < low { *byte } else { 0 }).collect();
                assert_eq!(transform::unshuffle(&transform::shuffle(&small, width), width), small);
            }
        }
    }
}

#[test]
fn bombs_do_not_explode() {
    // A frame that holds 1 GiB, in a block that claims a little.
    let frame = zstd::bulk::compress(&vec![0; 1 << 24], 1).unwrap();
    let small = Block { rows: 1, validity: vec![], size: 100, hash: [0; 32] };
    for codec in all(&DataType::Binary) {
        if codec != Codec::Raw {
            assert!(decompress(codec, &frame, &small, &DataType::Binary).is_err(), "{codec:?}");
        }
    }
    // A block that claims more than memory, of a frame that holds little.
    let frame = zstd::bulk::compress(b"little", 1).unwrap();
    let huge = Block { rows: u64::MAX / 64, validity: vec![0], size: u64::MAX / 2, hash: [0; 32] };
    for codec in all(&DataType::Binary) {
        if codec != Codec::Raw {
            assert!(!decompress(codec, &frame, &huge, &DataType::Binary).is_ok_and(|bytes| bytes.len() > 100), "{codec:?}");
        }
    }
}
