//! Objects under damage, lies, crashes, and packs that come and go beneath a reader.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, StringArray};
use arrow::datatypes::DataType;

use super::sweep::{delete_condemned, delete_orphans, plan_fold};
use super::tests::{objects, publish_all, read, small, write};
use super::*;
use crate::base::{NoProgress, OperationId};
use crate::format::head::{Head, PackEntry, pack_path};
use crate::format::pack::{Frame, Index, IndexEntry, Kind, MAGIC, TRAILER_BYTES, check, object_id, trailer};
use crate::store::{Fault, FaultStore, MemoryStore, Store};

/// Values of which some blocks are raw and some compressed, by each kind of codec.
fn columns() -> Vec<ArrayRef> {
    let noise = |i: u64| (i ^ 0x5555).wrapping_mul(0x9e3779b97f4a7c15) ^ (i.wrapping_mul(0xd6e8feb86659fd93) >> 23);
    vec![
        Arc::new(Int64Array::from_iter_values((0..60).map(|i| noise(i) as i64))),
        Arc::new(Int64Array::from_iter(0..60).with_gaps()),
        Arc::new(StringArray::from_iter_values((0..300).map(|i| ["cat", "dog", "a bird"][i * 7 % 3]))),
        Arc::new(BinaryArray::from_iter_values((0..20u64).map(|i| noise(i).to_le_bytes()))),
    ]
}

trait Gaps {
    fn with_gaps(self) -> Int64Array;
}

impl Gaps for Int64Array {
    fn with_gaps(self) -> Int64Array {
        self.iter().map(|x| x.filter(|x| x % 5 != 2)).collect()
    }
}

struct Written {
    store: MemoryStore,
    head: Head,
    columns: Vec<ArrayRef>,
    chunks: Vec<Vec<ChunkRef>>,
    nodes: Vec<(ObjectId, Vec<u8>)>,
}

fn written() -> Written {
    let store = MemoryStore::new();
    // All of it in one pack, however many threads write.
    let limits = Limits { chunk: ChunkLimits { block_bytes: 256, ..small().chunk }, open_packs: 1, ..Limits::default() };
    let objects = objects(&store, limits);
    let columns = columns();
    let chunks = columns.iter().map(|column| write(&objects, column, 50)).collect();
    let contents = [b"short".to_vec(), b"long enough that it is worth to compress it ".repeat(9), vec![7; 200]];
    let nodes = contents.iter().map(|content| (objects.put(Kind::Node, content).unwrap(), content.clone())).collect();
    let head = publish_all(&objects);
    Written { store, head, columns, chunks, nodes }
}

impl Written {
    fn reader(&self) -> Arc<Objects> {
        let objects = objects(&self.store, Limits::default());
        objects.refresh(&self.head);
        objects
    }

    /// Reads everything; whatever can be read must be right. Returns how much could not.
    fn errors(&self) -> usize {
        let objects = self.reader();
        let mut errors = 0;
        for (column, chunks) in self.columns.iter().zip(&self.chunks) {
            let mut row = 0;
            for chunk in chunks {
                match objects.chunk(chunk.id).and_then(|info| objects.read_rows(&info, 0..chunk.rows)) {
                    Ok(values) => assert_eq!(&values, &column.slice(row, chunk.rows as usize)),
                    Err(_) => errors += 1,
                }
                row += chunk.rows as usize;
            }
        }
        for (id, content) in &self.nodes {
            match objects.get(Kind::Node, *id) {
                Ok(found) => assert_eq!(&found[..], &content[..]),
                Err(_) => errors += 1,
            }
        }
        errors
    }

    fn problems(&self) -> usize {
        self.reader().verify_pack(&self.head.packs[0], &NoProgress).unwrap().problems.len()
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_never_read() {
    let all = written();
    assert_eq!(all.head.packs.len(), 1);
    let entry = all.head.packs[0];
    let path = entry.path();
    let whole = all.store.read(&path, 0..entry.length).unwrap().to_vec();
    assert_eq!((all.errors(), all.problems()), (0, 0));
    let mut unread = 0;
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at * 5 % 8);
        all.store.overwrite(&path, damaged);
        assert!(all.problems() > 0, "byte {at} of {} was flipped and not found", whole.len());
        unread += usize::from(all.errors() > 0);
    }
    assert!(unread * 2 > whole.len(), "most flips hit what is read");
}

#[test]
fn a_cut_pack_is_found_and_never_read() {
    let all = written();
    let entry = all.head.packs[0];
    let whole = all.store.read(&entry.path(), 0..entry.length).unwrap().to_vec();
    for length in (0..whole.len()).step_by(13) {
        all.store.overwrite(&entry.path(), whole[..length].to_vec());
        assert!(all.problems() > 0);
        // Without the trailer alone everything can still be read.
        assert_eq!(all.errors() > 0, (length as u64) < entry.length - TRAILER_BYTES);
    }
    all.store.overwrite(&entry.path(), [&whole[..], b"more"].concat());
    assert!(all.problems() > 0);
    all.store.delete(&entry.path()).unwrap();
    assert_eq!(all.problems(), 1);
    let e = all.reader().get(Kind::Node, all.nodes[0].0).unwrap_err();
    assert!(matches!(e, ChunkError::Missing { .. }), "{e}");
}

/// A repository of one pack of these bytes, whose index says this.
fn forged(objects_bytes: &[u8], frames: Vec<Frame>, entries: Vec<IndexEntry>) -> (Arc<Objects>, PackEntry) {
    let mut index = Index { frames, entries };
    let (encoded, id) = index.encode([1; 16]);
    let bytes = [&MAGIC[..], objects_bytes, &encoded, &trailer(&encoded, id)].concat();
    let entry = PackEntry { id, length: bytes.len() as u64, index_length: encoded.len() as u64, objects: index.entries.len() as u64 };
    let store = MemoryStore::new();
    store.overwrite(&entry.path(), bytes);
    let objects = objects(&store, Limits::default());
    objects.refresh(&Head { operation: OperationId([0; 32]), generation: 0, packs: vec![entry], older: None, condemned: vec![] });
    (objects, entry)
}

#[test]
fn lying_indexes_are_not_believed() {
    let content = b"some content of a node, repeated, repeated, repeated".to_vec();
    let id = object_id(Kind::Node, &content);
    let length = content.len() as u64;
    let honest = IndexEntry { id, kind: Kind::Node, frame: None, offset: 8, length, header: 0 };
    let (objects, _) = forged(&content, vec![], vec![honest.clone()]);
    assert_eq!(&objects.get(Kind::Node, id).unwrap()[..], &content[..]);
    let lies = [
        IndexEntry { id: ObjectId([3; 32]), ..honest.clone() },
        IndexEntry { offset: 9, length: 20, ..honest.clone() },
        IndexEntry { length: 10, ..honest.clone() },
        IndexEntry { offset: 0, ..honest.clone() },
        IndexEntry { offset: u64::MAX - 3, ..honest.clone() },
        IndexEntry { length: u64::MAX, ..honest.clone() },
        IndexEntry { length: 1 << 60, ..honest.clone() },
        IndexEntry { header: 1, ..honest.clone() },
        IndexEntry { frame: Some(0), offset: 0, ..honest.clone() },
        IndexEntry { frame: Some(u32::MAX), ..honest.clone() },
        IndexEntry { kind: Kind::Commit, ..honest.clone() },
        IndexEntry { kind: Kind::Chunk, ..honest.clone() },
        IndexEntry { kind: Kind::Chunk, offset: 64, length: 10, header: 1 << 50, ..honest.clone() },
    ];
    let refused = |bytes: &[u8], frames: &[Frame], lie: &IndexEntry| {
        let (objects, entry) = forged(bytes, frames.to_vec(), vec![lie.clone()]);
        assert!(objects.get(Kind::Node, lie.id).is_err(), "{frames:?} {lie:?}");
        assert!(objects.chunk(lie.id.into()).is_err(), "{frames:?} {lie:?}");
        assert!(!objects.verify_pack(&entry, &NoProgress).unwrap().problems.is_empty(), "{frames:?} {lie:?}");
    };
    for lie in lies {
        refused(&content, &[], &lie);
    }
    // The same in a frame, and frames that lie.
    let zipped = zstd::bulk::compress(&content, 3).unwrap();
    let frame = Frame { offset: 8, stored: zipped.len() as u64, length, check: check(&zipped) };
    let framed = IndexEntry { frame: Some(0), offset: 0, ..honest.clone() };
    let (objects, entry) = forged(&zipped, vec![frame], vec![framed.clone()]);
    assert_eq!(&objects.get(Kind::Node, id).unwrap()[..], &content[..]);
    assert_eq!(objects.verify_pack(&entry, &NoProgress).unwrap().problems, []);
    let lies = [
        Frame { offset: 9, ..frame },
        Frame { offset: 0, ..frame },
        Frame { offset: u64::MAX - 3, ..frame },
        Frame { stored: frame.stored - 1, ..frame },
        Frame { stored: frame.stored + 1, ..frame },
        Frame { stored: u64::MAX, ..frame },
        Frame { length: length - 1, ..frame },
        Frame { length: length + 1, ..frame },
        Frame { length: 200 << 20, ..frame },
        Frame { length: 1 << 62, ..frame },
    ];
    for lie in lies {
        refused(&zipped, &[lie], &framed);
    }
    refused(&zipped, &[frame, frame], &framed);
    for lie in
        [IndexEntry { offset: 1, ..framed.clone() }, IndexEntry { length: length - 1, ..framed.clone() }, IndexEntry { frame: Some(1), ..framed.clone() }]
    {
        refused(&zipped, &[frame], &lie);
    }
    // Its content is there, but a bit of the frame is not as it was written, or something stands unused in it.
    let (objects, entry) = forged(&zipped, vec![Frame { check: 1, ..frame }], vec![framed.clone()]);
    assert_eq!(objects.verify_pack(&entry, &NoProgress).unwrap().problems.len(), 1);
    assert!(objects.verify(id).is_err());
    let more = zstd::bulk::compress(&[&content[..], b"more"].concat(), 3).unwrap();
    let wide = Frame { offset: 8, stored: more.len() as u64, length: length + 4, check: check(&more) };
    let (objects, entry) = forged(&more, vec![wide], vec![framed]);
    assert_eq!(objects.verify_pack(&entry, &NoProgress).unwrap().problems.len(), 1);
    // A catalogue that lies about the pack.
    let (objects, entry) = forged(&content, vec![], vec![honest]);
    for lie in [
        PackEntry { index_length: u64::MAX, ..entry },
        PackEntry { index_length: entry.index_length + 1, ..entry },
        PackEntry { length: u64::MAX, ..entry },
        PackEntry { objects: 2, ..entry },
    ] {
        objects.refresh(&Head { operation: OperationId([0; 32]), generation: 0, packs: vec![lie], older: None, condemned: vec![] });
        objects.contents.remove(&id);
        assert!(objects.get(Kind::Node, id).is_err(), "{lie:?}");
    }
}

#[test]
fn chunk_headers_that_lie_are_refused() {
    use crate::format::chunk::{Block, Identity, StoredBlock, chunk_id, encode_header};
    use crate::format::codec::Codec;
    let bytes = 5i64.to_le_bytes();
    let block = Block { rows: 1, validity: vec![], size: 8, hash: *blake3::hash(&bytes).as_bytes() };
    let honest = Identity { storage: DataType::Int64, rows: 1, blocks: vec![block.clone()] };
    let raw = StoredBlock { codec: Codec::Raw, size: 8, check: 0 };
    let read = |identity: &Identity, stored: &[StoredBlock]| {
        let content = identity.encode();
        let header = encode_header(&content, stored).unwrap();
        let id = chunk_id(&content);
        let mut chunk = vec![0; 56];
        chunk.extend(&header);
        chunk.resize(56 + header.len().next_multiple_of(64), 0);
        chunk.extend(bytes);
        let stored = chunk.len() as u64 - 56;
        let entry = IndexEntry { id: id.into(), kind: Kind::Chunk, frame: None, offset: 64, length: stored, header: header.len() as u64 };
        let (objects, entry) = forged(&chunk, vec![], vec![entry]);
        let found = objects.chunk(id).and_then(|info| objects.read_rows(&info, 0..info.rows));
        assert_eq!(found.is_ok(), objects.verify_pack(&entry, &NoProgress).unwrap().problems.is_empty());
        found
    };
    assert_eq!(read(&honest, &[raw]).unwrap().len(), 1);
    let with = |block: Block| Identity { rows: block.rows, blocks: vec![block], ..honest.clone() };
    let lies = [
        with(Block { rows: 0, ..block.clone() }),
        with(Block { rows: u64::MAX, ..block.clone() }),
        with(Block { rows: 1 << 40, ..block.clone() }),
        with(Block { size: 9, ..block.clone() }),
        with(Block { size: u64::MAX, ..block.clone() }),
        with(Block { validity: vec![0], ..block.clone() }),
        with(Block { hash: [0; 32], ..block.clone() }),
        Identity { rows: 2, ..honest.clone() },
        Identity { storage: DataType::Utf8, ..honest.clone() },
        Identity { blocks: vec![block.clone(), Block { rows: u64::MAX, ..block.clone() }], ..honest.clone() },
    ];
    for lie in lies {
        let stored = vec![raw; lie.blocks.len()];
        assert!(read(&lie, &stored).is_err(), "{lie:?}");
    }
    for stored in [vec![], vec![raw, raw], vec![StoredBlock { size: u64::MAX, ..raw }], vec![StoredBlock { codec: Codec::Zstd, ..raw }]] {
        assert!(read(&honest, &stored).is_err(), "{stored:?}");
    }
}

#[test]
fn a_write_that_fails_anywhere_changes_nothing() {
    for fault in [Fault::Fail, Fault::Full, Fault::Kill] {
        for at in 0.. {
            let inner = MemoryStore::new();
            let first = objects(&inner, small());
            let before = write(&first, &columns()[0], 10);
            let head = publish_all(&first);
            let files = inner.list("packs").unwrap().len();
            let store = FaultStore::new(Arc::new(inner.clone()), at, fault);
            let objects = Arc::new(Objects::new(Arc::new(store.clone()), small()));
            objects.refresh(&head);
            let attempt = |objects: &Arc<Objects>| -> Result<usize, ChunkError> {
                for column in columns() {
                    let mut writer = ChunkWriter::new(objects.clone(), column.data_type().clone());
                    writer.push(column.as_ref())?;
                    writer.finish()?;
                }
                for i in 0..100u32 {
                    objects.put(Kind::Node, &i.to_le_bytes().repeat(20))?;
                }
                Ok(objects.flush()?.len())
            };
            let result = attempt(&objects);
            if store.steps() <= at {
                assert!(result.unwrap() > 1, "several packs were written");
                break;
            }
            assert!(result.is_err(), "{fault:?} at {at}");
            if fault == Fault::Kill {
                // What it leaves is deleted as an orphan by another, later.
                delete_orphans(&inner, &head, 0, false, &NoProgress).unwrap();
            } else {
                objects.discard().unwrap();
            }
            assert_eq!(inner.list("packs").unwrap().len(), files, "{fault:?} at {at}");
            assert_eq!(read(&first, &before).iter().map(|part| part.len()).sum::<usize>(), columns()[0].len());
            if fault != Fault::Kill {
                // The same handle goes on.
                assert!(attempt(&objects).unwrap() > 1, "{fault:?} at {at}");
            }
        }
    }
}

#[test]
fn many_small_packs_fold_and_nobody_notices() {
    let store = MemoryStore::new();
    let writer = objects(&store, Limits::default());
    let watcher = objects(&store, Limits::default());
    let mut ids = Vec::new();
    let mut packs_max = 0;
    for i in 0..600u32 {
        ids.push(writer.put(Kind::Operation, &i.to_le_bytes()).unwrap());
        let mut head = publish_all(&writer);
        if i == 5 {
            // It reads the head once, and finds all that it lists for as long as it likes.
            watcher.refresh(&head);
        }
        let due = plan_fold(&head.packs, writer.limits());
        if !due.is_empty() {
            let folded = writer.fold(&due).unwrap();
            assert_eq!(folded.added.len(), 1);
            let before = head.encode();
            let removed: HashSet<PackId> = folded.removed.iter().copied().collect();
            (head.packs, head.older) = publish(&store, &head, &folded.added, &removed).unwrap();
            assert!(store.swap_head(Some(&before), &head.encode()).unwrap());
            writer.refresh(&head);
            folded.removed.iter().for_each(|id| store.delete(&pack_path(*id)).unwrap());
        }
        packs_max = packs_max.max(head.packs.len());
    }
    assert!(packs_max < 40, "{packs_max} packs at once");
    for (i, id) in (0u32..).zip(&ids) {
        assert_eq!(&writer.get(Kind::Operation, *id).unwrap()[..], i.to_le_bytes());
    }
    assert_eq!(&watcher.get(Kind::Operation, ids[3]).unwrap()[..], 3u32.to_le_bytes());
    let fresh = objects(&store, Limits::default());
    assert!(fresh.reload().unwrap());
    for id in &ids {
        fresh.verify(*id).unwrap();
    }
    assert_eq!(store.list("packs").unwrap().len(), fresh.packs().unwrap().len());
}

#[test]
fn catalogues_outgrow_the_head() {
    let store = MemoryStore::new();
    let writer = objects(&store, Limits::default());
    let mut ids = Vec::new();
    let mut head = None;
    for i in 0..1500u32 {
        ids.push(writer.put(Kind::Node, &i.to_le_bytes()).unwrap());
        head = Some(publish_all(&writer));
    }
    let mut head = head.unwrap();
    assert!(head.packs.len() <= 128 && head.older.is_some());
    assert!(head.encode().len() < 12 << 10);
    let reader = objects(&store, Limits::default());
    reader.refresh(&head);
    assert_eq!(reader.packs().unwrap().len(), 1500);
    for id in ids.iter().step_by(97) {
        reader.get(Kind::Node, *id).unwrap();
    }
    // Packs leave from the oldest part as well, and files that are no longer named go.
    let gone: HashSet<PackId> = reader.packs().unwrap().iter().rev().take(3).map(|pack| pack.id).collect();
    let before = head.encode();
    (head.packs, head.older) = publish(&store, &head, &[], &gone).unwrap();
    assert!(store.swap_head(Some(&before), &head.encode()).unwrap());
    let reader = objects(&store, Limits::default());
    reader.refresh(&head);
    assert_eq!(reader.packs().unwrap().len(), 1497);
    delete_orphans(&store, &head, 0, false, &NoProgress).unwrap();
    let reader = objects(&store, Limits::default());
    reader.refresh(&head);
    assert_eq!(reader.packs().unwrap().len(), 1497);
    assert_eq!(store.list("packs").unwrap().len(), 1497);
}

#[test]
fn sweeping_takes_the_dead_and_leaves_the_living() {
    let store = MemoryStore::new();
    let limits = small();
    let objects = objects(&store, limits.clone());
    let columns = columns();
    let chunks: Vec<Vec<ChunkRef>> = columns.iter().map(|column| write(&objects, column, 33)).collect();
    let nodes: Vec<ObjectId> = (0..50u32).map(|i| objects.put(Kind::Node, &i.to_le_bytes().repeat(9)).unwrap()).collect();
    let mut head = publish_all(&objects);
    // Half of the columns and a tenth of the nodes are reached.
    let mut reached: HashSet<ObjectId> = chunks[..2].iter().flatten().map(|chunk| chunk.id.into()).collect();
    reached.extend(nodes.iter().step_by(10));
    let plan = objects.plan_sweep(&reached, 0.0).unwrap();
    assert!(!plan.rewrite.is_empty() && plan.bytes_freed > 0);
    assert_eq!(plan.packs.iter().map(|pack| pack.live_objects).sum::<u64>(), reached.len() as u64);
    let swept = objects.sweep(&plan, &reached).unwrap();
    let before = head.encode();
    let removed: HashSet<PackId> = swept.removed.iter().copied().collect();
    (head.packs, head.older) = publish(&store, &head, &swept.added, &removed).unwrap();
    head.condemned = removed.iter().map(|id| (*id, 1000)).collect();
    head.generation += 1;
    assert!(store.swap_head(Some(&before), &head.encode()).unwrap());

    // A writer of the old catalogue has found a dead object and used it again; it loses the swap, and writes the object anew.
    let writer = super::tests::objects(&store, limits.clone());
    writer.refresh(&Head::decode(&before).unwrap());
    assert_eq!(writer.put(Kind::Node, &1u32.to_le_bytes().repeat(9)).unwrap(), nodes[1]);
    let again = write(&writer, &columns[3], 20);
    assert_eq!((again, writer.written().objects), (chunks[3].clone(), 0));
    assert_eq!(writer.flush().unwrap(), []);
    writer.refresh(&head);
    let rescued = writer.flush().unwrap();
    assert!(!rescued.is_empty());
    let before = head.encode();
    (head.packs, head.older) = publish(&store, &head, &rescued, &HashSet::new()).unwrap();
    assert!(store.swap_head(Some(&before), &head.encode()).unwrap());

    // The time of grace passes.
    assert_eq!(delete_condemned(&store, &head, 1500, 1000).unwrap(), []);
    assert_eq!(delete_condemned(&store, &head, 2000, 1000).unwrap().len(), removed.len());
    assert_eq!(delete_condemned(&store, &head, 2000, 1000).unwrap().len(), removed.len());
    head.condemned.clear();
    let reader = super::tests::objects(&store, limits);
    reader.refresh(&head);
    for column in [0, 1, 3] {
        let values: Vec<ArrayRef> = read(&reader, &chunks[column]);
        assert_eq!(values.iter().map(|part| part.len()).sum::<usize>(), columns[column].len());
    }
    reader.get(Kind::Node, nodes[1]).unwrap();
    reader.get(Kind::Node, nodes[10]).unwrap();
    assert!(matches!(reader.get(Kind::Node, nodes[2]), Err(ChunkError::Missing { .. })));
    assert!(matches!(reader.chunk(chunks[2][0].id), Err(ChunkError::Missing { .. })));
    for pack in reader.packs().unwrap() {
        assert_eq!(reader.verify_pack(&pack, &NoProgress).unwrap().problems, []);
    }
}
