//! Bytes that may never change, pinned by their hashes; and what is not such bytes is refused.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int64Array, ListArray, StringArray, StructArray};
use arrow::datatypes::{DataType, Fields, Int16Type};

use super::FormatError;
use super::array::{BLOCK_ALIGN, LITERAL_ALIGN, encode};
use super::chunk::{Block, Identity, StoredBlock, chunk_id, decode_header, encode_header};
use super::codec::Codec;
use super::head::{Catalog, Head, PackEntry};
use super::pack::{Frame, Index, IndexEntry, Kind, object_id, parse_trailer, trailer};
use super::types::child;
use crate::base::{ObjectId, OperationId, PackId};

fn pinned(what: &str, bytes: &[u8], hash: &str) {
    let found = blake3::hash(bytes).to_hex();
    assert_eq!(&found[..16], hash, "the bytes of {what} have changed: {bytes:02x?}");
}

fn pack(n: u8) -> PackEntry {
    PackEntry { id: PackId([n; 32]), length: 1000 + u64::from(n), index_length: 300, objects: u64::from(n) }
}

fn head() -> Head {
    Head {
        operation: OperationId([1; 32]),
        generation: 7,
        packs: vec![pack(2), pack(3)],
        older: Some(ObjectId([4; 32])),
        condemned: vec![(PackId([5; 32]), 1_700_000_000_000)],
    }
}

#[test]
fn heads() {
    let bytes = head().encode();
    pinned("a head", &bytes, "ec2e0896580d3839");
    assert_eq!(Head::decode(&bytes).unwrap(), head());
    for cut in 0..bytes.len() {
        assert!(Head::decode(&bytes[..cut]).is_err(), "{cut}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(Head::decode(&damaged).is_err(), "{at}");
    }
    // Another version says so, whatever follows.
    let mut newer = bytes.clone();
    newer[7] = 2;
    assert_eq!(Head::decode(&newer), Err(FormatError::Version { found: 2, known: 1 }));
    let (bytes, id) = Catalog { packs: vec![pack(9)], older: None }.encode([6; 16]);
    pinned("a catalogue", &bytes, "d754b494dfbfc36f");
    assert_eq!(Catalog::decode(id, &bytes).unwrap(), Catalog { packs: vec![pack(9)], older: None });
    assert!(Catalog::decode(ObjectId([0; 32]), &bytes).is_err());
}

#[test]
fn packs() {
    let frames = vec![Frame { offset: 564, stored: 30, length: 77, check: 1 << 40 }];
    let entries = vec![
        IndexEntry { id: ObjectId([9; 32]), kind: Kind::Chunk, frame: None, offset: 64, length: 500, header: 90 },
        IndexEntry { id: ObjectId([2; 32]), kind: Kind::Node, frame: Some(0), offset: 20, length: 57, header: 0 },
        IndexEntry { id: ObjectId([3; 32]), kind: Kind::Operation, frame: None, offset: 8, length: 20, header: 0 },
    ];
    let mut written = Index { frames, entries };
    let (index, id) = written.encode([8; 16]);
    pinned("an index", &index, "ce8feadcedbbf806");
    assert_eq!(Index::decode(id, &index, 594).unwrap(), written);
    assert!(Index::decode(id, &index, 593).is_err(), "a frame that ends after the objects");
    let end = trailer(&index, id);
    pinned("a trailer", &end, "719f6ecb7b1f8b26");
    assert_eq!(parse_trailer(&end).unwrap(), (index.len() as u64, id));
    assert!(parse_trailer(&end[..47]).is_err() && parse_trailer(&[0; 48]).is_err());
    pinned("an id", object_id(Kind::Commit, b"content").as_bytes(), "bd4fd3e5cd379bf0");
    for (number, kind) in (1..=7).zip([Kind::Chunk, Kind::Node, Kind::Table, Kind::Snapshot, Kind::Commit, Kind::Operation, Kind::PackIndex]) {
        assert_eq!((Kind::from_number(number), kind as u64), (Some(kind), number));
    }
    assert_eq!((Kind::from_number(0), Kind::from_number(8)), (None, None));
    assert_eq!(object_id(Kind::PackIndex, &index).as_bytes(), id.as_bytes());
}

#[test]
fn chunks() {
    let block = |rows, hash| Block { rows, validity: vec![0, 2], size: 200, hash: [hash; 32] };
    let storage = DataType::List(child("item", DataType::Utf8));
    let identity = Identity { storage, rows: 12, blocks: vec![block(7, 1), block(5, 2)] };
    let content = identity.encode();
    pinned("an identity header", &content, "60563aff374b0637");
    pinned("a chunk's id", chunk_id(&content).as_bytes(), "a5a9d43ae0d49753");
    assert_eq!(Identity::decode(&content).unwrap(), identity);
    let stored = [StoredBlock { codec: Codec::Raw, size: 200, check: 0 }, StoredBlock { codec: Codec::Shuffle(4), size: 20, check: 99 }];
    let header = encode_header(&content, &stored).unwrap();
    pinned("a chunk's headers", &header, "c8f2901bd9ea8cf6");
    let first = (header.len() as u64).next_multiple_of(64);
    let (found, range, placed) = decode_header(&header, first + 256 + 20).unwrap();
    assert_eq!((&found, &header[range]), (&identity, &content[..]));
    let offsets: Vec<u64> = placed.iter().map(|block| block.offset).collect();
    assert_eq!((offsets, placed[1].stored), (vec![first, first + 256], stored[1]));
    assert!(decode_header(&header, first + 256 + 19).is_err(), "the last body is cut off");
    for cut in 0..header.len() {
        assert!(decode_header(&header[..cut], 1000).is_err(), "{cut}");
    }
}

#[test]
fn canonical_bytes() {
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int16Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]));
    let fields = Fields::from(vec![child("a", DataType::Float32), child("b", DataType::Utf8)]);
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Float32Array::from(vec![Some(-0.0), None, Some(f32::from_bits(0x7fc0_0001))])), Arc::new(StringArray::from(vec!["", "é", "x"]))];
    let structs: ArrayRef = Arc::new(StructArray::new(fields, columns, Some(vec![true, true, false].into())));
    let pins = [
        (Arc::new(Int64Array::from(vec![1, -2, i64::MAX])) as ArrayRef, "cf1aeac8f973740f", "cf1aeac8f973740f"),
        (lists, "0a44a512fb27979d", "2ec0da4ddf60bf28"),
        (structs, "34b08d95b45132ec", "d2936132b3f25b3f"),
    ];
    for (array, block, literal) in pins {
        pinned("a block", &encode(array.as_ref(), BLOCK_ALIGN).unwrap().0, block);
        pinned("a literal", &encode(array.as_ref(), LITERAL_ALIGN).unwrap().0, literal);
    }
}
