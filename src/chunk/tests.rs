//! Objects and chunks, written and read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, Int64Array};
use arrow::compute::concat;
use arrow::datatypes::DataType;
use proptest::prelude::*;

use super::*;
use crate::base::OperationId;
use crate::format::array::tests::{any_column, build, values_of};
use crate::format::head::Head;
use crate::format::pack::Kind;
use crate::store::{MemoryStore, Store};

/// Limits so small that a few hundred rows make several chunks, blocks and packs.
pub fn small() -> Limits {
    let chunk =
        ChunkLimits { block_bytes: 64, block_rows_max: 64, bytes_min: 256, bytes_mean: 512, bytes_max: 2048, rows_min: 16, rows_mean: 64, rows_max: 256 };
    Limits { chunk, pack_bytes: 4096, memory_bytes: 512, open_packs: 2, waiting_bytes: 8192, ..Limits::default() }
}

pub fn objects(store: &MemoryStore, limits: Limits) -> Arc<Objects> {
    Arc::new(Objects::new(Arc::new(store.clone()), limits))
}

pub fn write(objects: &Arc<Objects>, values: &ArrayRef, step: usize) -> Vec<ChunkRef> {
    let mut writer = ChunkWriter::new(objects.clone(), values.data_type().clone());
    for at in (0..values.len()).step_by(step.max(1)) {
        writer.push(values.slice(at, step.max(1).min(values.len() - at)).as_ref()).unwrap();
    }
    writer.finish().unwrap()
}

pub fn read(objects: &Objects, chunks: &[ChunkRef]) -> Vec<ArrayRef> {
    chunks.iter().map(|chunk| objects.chunk(chunk.id).and_then(|info| objects.read_rows(&info, 0..chunk.rows)).unwrap()).collect()
}

/// Flushes and puts the packs into the head, as an operation would.
pub fn publish_all(objects: &Objects) -> Head {
    let packs = objects.flush().unwrap();
    let store = objects.store();
    let before = store.read_head().unwrap();
    let mut head = match &before {
        Some(bytes) => Head::decode(bytes).unwrap(),
        None => Head { operation: OperationId([0; 32]), generation: 0, packs: vec![], older: None, condemned: vec![] },
    };
    (head.packs, head.older) = publish(store.as_ref(), &head, &packs, &Default::default()).unwrap();
    assert!(store.swap_head(before.as_deref(), &head.encode()).unwrap());
    objects.refresh(&head);
    head
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_written_is_read((ty, values) in any_column(1..600), step in 1..700usize, seed: u64) {
        let store = MemoryStore::new();
        let objects = objects(&store, small());
        let array = build(&ty, &values, Some(seed));
        let chunks = write(&objects, &array, step);
        prop_assert_eq!(chunks.iter().map(|chunk| chunk.rows).sum::<u64>(), values.len() as u64);
        // Before it is flushed, after, and by a reader that comes later.
        let read_all = |objects: &Objects| -> Vec<_> { read(objects, &chunks).iter().flat_map(|part| values_of(part)).collect() };
        prop_assert_eq!(&read_all(&objects), &values);
        let head = publish_all(&objects);
        prop_assert_eq!(&read_all(&objects), &values);
        let later = super::tests::objects(&store, small());
        later.refresh(&head);
        prop_assert_eq!(&read_all(&later), &values);
        // Any range of rows.
        let mut start = 0;
        for chunk in &chunks {
            let info = later.chunk(chunk.id).unwrap();
            let (from, to) = (seed % chunk.rows, seed % chunk.rows + (seed >> 32) % (chunk.rows - seed % chunk.rows + 1));
            let part = later.read_rows(&info, from..to).unwrap();
            prop_assert_eq!(values_of(&part), &values[(start + from) as usize..(start + to) as usize]);
            start += chunk.rows;
        }
        // The same values again are the same chunks, however they are pushed, and are not written again.
        let again = write(&later, &build(&ty, &values, None), 1 + step / 2);
        prop_assert_eq!(again, chunks);
        prop_assert_eq!(later.written().objects, 0);
    }
}

#[test]
fn metadata_is_kept_and_shared() {
    let store = MemoryStore::new();
    let one = objects(&store, Limits::default());
    let contents: Vec<Vec<u8>> = (0..500u32).map(|i| i.to_le_bytes().repeat(1 + i as usize % 60)).collect();
    let ids: Vec<ObjectId> = contents.iter().map(|content| one.put(Kind::Node, content).unwrap()).collect();
    let check = |objects: &Objects| {
        for (id, content) in ids.iter().zip(&contents) {
            assert_eq!(&objects.get(Kind::Node, *id).unwrap()[..], &content[..]);
            assert!(objects.get(Kind::Commit, *id).is_err() || objects.contents.get(id).is_some());
        }
    };
    check(&one);
    let head = publish_all(&one);
    assert_eq!(head.packs.len(), 1);
    let two = objects(&store, Limits::default());
    two.refresh(&head);
    assert!(matches!(two.get(Kind::Commit, ids[0]), Err(ChunkError::Damaged { .. })));
    check(&two);
    two.put(Kind::Node, &contents[7]).unwrap();
    assert_eq!(two.written(), Written::default());
    assert!(matches!(two.get(Kind::Node, ObjectId([9; 32])), Err(ChunkError::Missing { .. })));
    assert!(!two.contains(ObjectId([9; 32])).unwrap());
}

#[test]
fn a_small_write_is_one_pack() {
    let store = MemoryStore::new();
    let objects = objects(&store, Limits::default());
    let chunks = write(&objects, &(Arc::new(Int64Array::from_iter_values(0..1000)) as ArrayRef), 1000);
    let node = objects.put(Kind::Node, b"a node").unwrap();
    let info = objects.chunk(chunks[0].id).unwrap();
    assert_eq!(publish_all(&objects).packs.len(), 1);
    assert_eq!(&objects.get(Kind::Node, node).unwrap()[..], b"a node");
    // A header that was read while the pack was open still serves.
    assert_eq!(objects.read_rows(&info, 5..7).unwrap().len(), 2);
    assert_eq!(store.list("packs").unwrap().len(), 1);
}

#[test]
fn raw_chunks_are_one_buffer() {
    let store = MemoryStore::new();
    let objects = objects(&store, Limits::default());
    // Numbers without pattern, which no codec shrinks.
    let mut x = 1u64;
    let noise = (0..60_000).map(|_| {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (x ^ x >> 29).wrapping_mul(0xbf58476d1ce4e5b9) as i64
    });
    let array: ArrayRef = Arc::new(Int64Array::from_iter_values(noise));
    let chunks = write(&objects, &array, 8192);
    for chunk in &chunks {
        let info = objects.chunk(chunk.id).unwrap();
        assert!(info.blocks.iter().all(|block| block.codec() == crate::format::codec::Codec::Raw));
        assert_eq!(objects.read_parts(&info, 0..chunk.rows).unwrap().len(), 1);
    }
    let parts = read(&objects, &chunks);
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    assert_eq!(&concat(&parts).unwrap(), &array);
}

#[test]
fn large_values_are_streamed() {
    let store = MemoryStore::new();
    let objects = objects(&store, Limits::default());
    let mut bytes = vec![0; 9_000_000];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    let (chunks, length) = write_large(&objects, &mut &bytes[..]).unwrap();
    assert_eq!(length, bytes.len() as u64);
    assert!(chunks.len() > 3);
    let back: Vec<u8> = read(&objects, &chunks).iter().flat_map(|part| part.to_data().buffers()[0].to_vec()).collect();
    assert!(back == bytes);
    // A byte put in near the front changes one chunk or two.
    let mut changed = bytes.clone();
    changed.insert(1000, 7);
    let (others, _) = write_large(&objects, &mut &changed[..]).unwrap();
    let same = others.iter().filter(|chunk| chunks.contains(chunk)).count();
    assert!(same + 2 >= others.len(), "{same} of {}", others.len());
    assert_eq!(write_large(&objects, &mut std::io::empty()).unwrap(), (vec![], 0));
}

#[test]
fn discarding_leaves_nothing() {
    let store = MemoryStore::new();
    let objects = objects(&store, small());
    let values: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..2000u32).map(|i| i.to_le_bytes().repeat(4))));
    let chunks = write(&objects, &values, 100);
    objects.flush().unwrap();
    assert!(!store.list("packs").unwrap().is_empty());
    objects.discard().unwrap();
    assert!(store.list("packs").unwrap().is_empty());
    assert!(matches!(objects.chunk(chunks[0].id), Err(ChunkError::Missing { .. })));
    assert_eq!(objects.written(), Written::default());
    // What follows is written as if nothing had been.
    let again = write(&objects, &values, 100);
    assert_eq!(again, chunks);
    publish_all(&objects);
    assert_eq!(objects.chunk(chunks[0].id).unwrap().data_type, DataType::Binary);
}
