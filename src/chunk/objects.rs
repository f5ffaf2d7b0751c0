//! All objects of a repository: those in the packs of one head, and those written since.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::array::ArrayRef;
use bytes::Bytes;

use super::ahead::Ahead;
use super::beyond::Beyond;
use super::catalogue::{Catalogue, IdMap, PackFile, read_metadata};
use super::open_pack::OpenPack;
use super::place::Place;
use super::read::ChunkInfo;
use super::{ChunkError, Limits};
use crate::base::cache::Cache;
use crate::base::{ChunkId, NodeId, ObjectId, PackId};
use crate::format::FormatError;
use crate::format::codec::{Compressor, unframe};
use crate::format::head::{Head, PackEntry};
use crate::format::pack::{IndexEntry, Kind, object_id};
use crate::store::{Store, StoreError};
use crate::tree::{NodeStore, TreeError};

/// To know that a small object is there already is not worth reading more indexes than these; two copies do no harm.
const NEAR_INDEXES: usize = 8;
/// So often what vanished is looked for anew: it vanishes again only if other writers fold it again meanwhile. Eight times in a row befell one that a busy machine let wait.
const VANISHED_MAX: usize = 100;
/// The indexes of packs of less than such a part of a full one are not copied: they come with what they hold.
const INDEXED_PART_MIN: u64 = 64;
/// A pack of metadata is finished once it has so many bytes.
const METADATA_PACK_BYTES: u64 = 16 << 20;

/// What was written since the last publication or discard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Objects that were not there before.
    pub objects: u64,
    /// Bytes of chunks, as stored.
    pub data_bytes: u64,
    /// Bytes of all else, before they are compressed.
    pub metadata_bytes: u64,
}

#[derive(Default)]
struct Pending {
    /// Where objects that stand in no finished pack are.
    places: IdMap<(Arc<OpenPack>, IndexEntry)>,
    /// Packs of chunks, and the one of metadata.
    data: Vec<Arc<OpenPack>>,
    metadata: Option<Arc<OpenPack>>,
    /// Objects that were to be written and were there: should they leave the catalogue before publication, they must be written after all.
    reused: HashSet<ObjectId>,
    written: Written,
}

/// All objects of one repository as of one head, and those written and not yet published. Shared as `Arc<Objects>` by any number of threads.
///
/// To publish: write; [`Objects::flush`]; put the packs that it returns into a new head; swap. A writer that loses the swap calls
/// [`Objects::refresh`] with the new head and flushes again: what a garbage collection has condemned meanwhile is then written anew, and the
/// packs returned are again all that no head lists. After a swap that won, `refresh` with that head.
pub struct Objects {
    pub(super) store: Arc<dyn Store>,
    pub(super) limits: Limits,
    pub(super) catalogue: Catalogue,
    pub(super) beyond: OnceLock<Arc<dyn Beyond>>,
    pub(super) ahead: Ahead,
    pub(super) contents: Cache<ObjectId, Bytes>,
    pub(super) chunks: Cache<ChunkId, Arc<ChunkInfo>>,
    pub(super) blocks: Cache<(ChunkId, u32), ArrayRef>,
    frames: Cache<(PackId, u32), Bytes>,
    pending: Mutex<Pending>,
    /// Packs that came whole from another repository: their names are not this writer's alone, so that their files are never deleted as such.
    carried: Mutex<HashSet<PackId>>,
    compressors: Mutex<Vec<Compressor>>,
    waiting: AtomicU64,
    pub(super) blocks_read: AtomicU64,
    pub(super) block_bytes_read: AtomicU64,
    nodes_read: AtomicU64,
    node_bytes_read: AtomicU64,
}

/// What was read and not found in memory, since the objects were opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// Blocks of chunks.
    pub blocks: u64,
    /// Nodes of trees.
    pub nodes: u64,
    /// Bytes of these blocks and nodes, in their canonical form.
    pub bytes: u64,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Objects {
    /// The objects of a store of which no head was read yet: [`Objects::refresh`] brings the first.
    pub fn new(store: Arc<dyn Store>, limits: Limits) -> Objects {
        Objects {
            catalogue: Catalogue::default(),
            beyond: OnceLock::new(),
            ahead: Ahead::default(),
            contents: Cache::new(limits.metadata_cache_bytes),
            chunks: Cache::new(limits.metadata_cache_bytes / 2),
            blocks: Cache::new(limits.block_cache_bytes),
            frames: Cache::new(limits.metadata_cache_bytes / 4),
            pending: Mutex::default(),
            carried: Mutex::default(),
            compressors: Mutex::default(),
            waiting: AtomicU64::new(0),
            blocks_read: AtomicU64::new(0),
            block_bytes_read: AtomicU64::new(0),
            nodes_read: AtomicU64::new(0),
            node_bytes_read: AtomicU64::new(0),
            store,
            limits,
        }
    }

    /// What was read so far, caches aside.
    pub fn reads(&self) -> Reads {
        Reads {
            blocks: self.blocks_read.load(Ordering::Relaxed),
            nodes: self.nodes_read.load(Ordering::Relaxed),
            bytes: self.block_bytes_read.load(Ordering::Relaxed) + self.node_bytes_read.load(Ordering::Relaxed),
        }
    }

    /// The store beneath.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The sizes in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Each change below leaves it consistent: a place is entered after its object is in the pack.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the catalogue of `head`. Objects of packs that leave it stay readable here while their files last. If it is the first head
    /// that lists all packs flushed, what was written counts as published.
    pub fn refresh(&self, head: &Head) {
        let waited = !self.catalogue.unpublished().is_empty();
        self.catalogue.refresh(head);
        if waited && self.catalogue.unpublished().is_empty() {
            self.count_anew();
        }
    }

    /// Reads the head pointer anew and takes over its catalogue; false without one.
    pub fn reload(&self) -> Result<bool, ChunkError> {
        match self.store.read_head()? {
            Some(bytes) => {
                self.refresh(&Head::decode(&bytes)?);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Takes so many bytes of those that may wait to be encoded; false, and takes none, if there are not as many.
    pub(super) fn reserve(&self, bytes: u64) -> bool {
        let room = |waiting: u64| waiting.checked_add(bytes).filter(|sum| *sum <= self.limits.waiting_bytes);
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_ok()
    }

    /// Gives back what [`Objects::reserve`] took.
    pub(super) fn release(&self, bytes: u64) {
        self.waiting.fetch_sub(bytes, Ordering::AcqRel);
    }

    pub(super) fn compressor<T>(&self, work: impl FnOnce(&mut Compressor) -> Result<T, ChunkError>) -> Result<T, ChunkError> {
        let pool = || self.compressors.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = pool().pop();
        let mut compressor = match kept {
            Some(compressor) => compressor,
            None => Compressor::new(self.limits.zstd_level)?,
        };
        let result = work(&mut compressor);
        pool().push(compressor);
        result
    }

    pub(super) fn locate(&self, id: ObjectId, indexes: usize) -> Result<Option<Place>, ChunkError> {
        if let Some((pack, entry)) = self.pending().places.get(&id) {
            return Ok(Some(Place::Open(pack.clone(), entry.clone())));
        }
        let found = self.anew_where_vanished(|| self.catalogue.find(self.store.as_ref(), id, indexes))?;
        Ok(found.map(Place::Pack))
    }

    /// Runs `look`; anew with the newest catalogue where a pack has vanished, because it was folded into another since the catalogue was read.
    pub(super) fn anew_where_vanished<T>(&self, look: impl Fn() -> Result<T, ChunkError>) -> Result<T, ChunkError> {
        let mut result = look();
        for _ in 0..VANISHED_MAX {
            match result {
                Err(ChunkError::Store(StoreError::NotFound { .. })) if self.reload()? => result = look(),
                other => return other,
            }
        }
        result
    }

    /// Where an object stands, or why it cannot be had.
    pub(super) fn place(&self, id: ObjectId) -> Result<Place, ChunkError> {
        match self.locate(id, usize::MAX)? {
            Some(place) => Ok(place),
            None => match self.catalogue.find_retired(self.store.as_ref(), id) {
                Some(found) => Ok(Place::Pack(found)),
                None => self.place_beyond(id),
            },
        }
    }

    /// Runs `read` on the place of an object. Where the pack's file has vanished, because it was folded into another or collected after this
    /// catalogue was read, the head is read anew and `read` run again.
    pub(super) fn at_place<T>(&self, id: ObjectId, read: impl Fn(&Place) -> Result<T, ChunkError>) -> Result<T, ChunkError> {
        let vanished = |e: &ChunkError| matches!(e, ChunkError::Store(StoreError::NotFound { .. }) | ChunkError::Missing { .. });
        let attempt = || self.place(id).and_then(|place| read(&place));
        let mut result = attempt();
        // What is kept near of a far pack may be damaged though the pack is sound.
        if let Err(error) = &result
            && self.forget_near(error)
        {
            result = attempt();
        }
        for _ in 0..VANISHED_MAX {
            match result {
                Err(e) if vanished(&e) && self.reload_all() => result = attempt(),
                other => return other,
            }
            // What no pack of the newest catalogue holds is missing indeed.
            if matches!(result, Err(ChunkError::Missing { .. })) {
                return result;
            }
        }
        match result {
            Err(ChunkError::Store(StoreError::NotFound { .. })) => Err(ChunkError::Missing { object: id }),
            other => other,
        }
    }

    /// The content of an object that is no chunk, verified against its id.
    pub fn get(&self, kind: Kind, id: impl Into<ObjectId>) -> Result<Bytes, ChunkError> {
        let id = id.into();
        if let Some(content) = self.contents.get(&id) {
            return Ok(content);
        }
        let content = self.at_place(id, |place| self.read_content(kind, place))?;
        self.contents.insert(id, content.clone(), content.len() + 96);
        Ok(content)
    }

    pub(super) fn read_content(&self, kind: Kind, place: &Place) -> Result<Bytes, ChunkError> {
        let entry = place.entry();
        if entry.kind != kind {
            return Err(place.damaged(format!("a {:?} where a {kind:?} is expected", entry.kind)));
        }
        if kind == Kind::Node {
            self.nodes_read.fetch_add(1, Ordering::Relaxed);
            self.node_bytes_read.fetch_add(entry.length, Ordering::Relaxed);
        }
        let content = match place {
            Place::Open(pack, entry) => pack.content(self, entry.id)?,
            Place::Pack(found) => self.packed_content(&found.pack, &found.entry)?,
            Place::Beyond(far, found) => far.packed_content(&found.pack, &found.entry)?,
        };
        if object_id(kind, &content) != entry.id { Err(place.damaged("its hash is not its id")) } else { Ok(content) }
    }

    /// The content of an object that is no chunk from a finished pack, not verified.
    pub(super) fn packed_content(&self, pack: &Arc<PackFile>, entry: &IndexEntry) -> Result<Bytes, ChunkError> {
        let damaged = |why: &dyn std::fmt::Display| ChunkError::Damaged { object: entry.id, pack: pack.entry.id, why: why.to_string() };
        let Some(number) = entry.frame else {
            return match read_metadata(self.store.as_ref(), pack, entry.offset..entry.offset + entry.length) {
                Err(e @ StoreError::Short { .. }) => Err(damaged(&e)),
                other => Ok(other?),
            };
        };
        let content = self.frame(pack, number).map_err(|e| match e {
            ChunkError::Format(e) => damaged(&e),
            ChunkError::Store(e @ StoreError::Short { .. }) => damaged(&e),
            other => other,
        })?;
        let (from, to) = (entry.offset as usize, (entry.offset + entry.length) as usize);
        content.get(from..to).map(Bytes::copy_from_slice).ok_or_else(|| damaged(&"it is shorter than its index says"))
    }

    /// Forgets what frames of a pack hold.
    pub(super) fn forget_frames(&self, pack: &Arc<PackFile>) -> Result<(), ChunkError> {
        let frames = pack.index(self.store.as_ref())?.frames.len();
        (0..u32::try_from(frames).unwrap_or(u32::MAX)).for_each(|number| self.frames.remove(&(pack.entry.id, number)));
        Ok(())
    }

    /// What a frame of a finished pack holds; a few that were read last are kept.
    pub(super) fn frame(&self, pack: &Arc<PackFile>, number: u32) -> Result<Bytes, ChunkError> {
        let key = (pack.entry.id, number);
        if let Some(content) = self.frames.get(&key) {
            return Ok(content);
        }
        let index = pack.index(self.store.as_ref())?;
        let frame = index.frames.get(number as usize).ok_or_else(|| FormatError::malformed("pack index", "a frame is not there"))?;
        let stored = read_metadata(self.store.as_ref(), pack, frame.offset..frame.offset + frame.stored)?;
        let length = usize::try_from(frame.length).map_err(|e| FormatError::malformed("pack index", e))?;
        let content = Bytes::from(unframe(&stored, length)?);
        self.frames.insert(key, content.clone(), length + 96);
        Ok(content)
    }

    /// Writes an object that is no chunk, unless it is there; it can be read at once.
    pub fn put(&self, kind: Kind, content: &[u8]) -> Result<ObjectId, ChunkError> {
        let id = object_id(kind, content);
        if !self.reuse(id, NEAR_INDEXES)? {
            self.put_new(kind, id, content)?;
            self.contents.insert(id, Bytes::copy_from_slice(content), content.len() + 96);
        }
        Ok(id)
    }

    pub(super) fn put_new(&self, kind: Kind, id: ObjectId, content: &[u8]) -> Result<(), ChunkError> {
        let length = content.len() as u64;
        let entry = IndexEntry { id, kind, frame: None, offset: 0, length, header: 0 };
        loop {
            let pack = self.pending().metadata.get_or_insert_with(OpenPack::new).clone();
            // It stays in memory, to go into one file with small data: it is finished before it grows large.
            if let Some(bytes) = pack.add_content(self, u64::MAX, kind, id, content)? {
                self.enter(&pack, entry, |written| written.metadata_bytes += length);
                if bytes >= METADATA_PACK_BYTES {
                    self.pending().metadata.take_if(|current| Arc::ptr_eq(current, &pack));
                    self.finish(&pack)?;
                }
                return Ok(());
            }
            self.pending().metadata.take_if(|current| Arc::ptr_eq(current, &pack));
        }
    }

    /// True for an object that was written here and is in no head yet.
    pub fn is_new(&self, id: ObjectId) -> bool {
        self.pending().places.contains_key(&id) || self.catalogue.is_unpublished(id)
    }

    /// Notes that an object is relied upon as if it had been written: if it has left the catalogue when all is flushed, it is written anew. Where another repository has what this one lacks, nothing is.
    pub fn keep(&self, id: ObjectId) -> Result<(), ChunkError> {
        if self.beyond.get().is_none() && self.locate(id, usize::MAX)?.is_none() {
            self.pending().reused.insert(id);
        }
        Ok(())
    }

    /// The ids of objects of a kind, from `first` to `last`, that stand in no finished pack yet.
    pub(super) fn written_between(&self, kind: Kind, first: ObjectId, last: ObjectId) -> Vec<ObjectId> {
        let pending = self.pending();
        let within = |(id, (_, entry)): (&ObjectId, &(Arc<OpenPack>, IndexEntry))| (entry.kind == kind && (first..=last).contains(id)).then_some(*id);
        pending.places.iter().filter_map(within).collect()
    }

    /// True if the object is there; it is then relied upon as if it had been written: should a collection take it away before what is written is published, it is written anew.
    pub fn rely_on(&self, id: ObjectId) -> Result<bool, ChunkError> {
        self.reuse(id, usize::MAX)
    }

    /// True if the object is there.
    pub fn contains(&self, id: impl Into<ObjectId>) -> Result<bool, ChunkError> {
        Ok(self.locate(id.into(), usize::MAX)?.is_some())
    }

    /// The pack in which an object is found; all zeros while it is in none yet.
    pub fn pack_of(&self, id: ObjectId) -> Result<Option<PackId>, ChunkError> {
        Ok(self.locate(id, usize::MAX)?.map(|place| place.pack_id()))
    }

    /// True if an object that is about to be written is there already, which is then noted.
    pub(super) fn reuse(&self, id: ObjectId, indexes: usize) -> Result<bool, ChunkError> {
        match self.locate(id, indexes)? {
            None => Ok(false),
            Some(Place::Open(..) | Place::Beyond(..)) => Ok(true),
            Some(Place::Pack(_)) => {
                self.pending().reused.insert(id);
                Ok(true)
            }
        }
    }

    fn enter(&self, pack: &Arc<OpenPack>, entry: IndexEntry, count: impl FnOnce(&mut Written)) {
        let pending = &mut *self.pending();
        if pending.places.insert(entry.id, (pack.clone(), entry)).is_none() {
            pending.written.objects += 1;
            count(&mut pending.written);
        }
    }

    /// Writes a chunk as stored, in these parts, the first of them its headers. The caller knows that it is not there.
    pub(super) fn put_chunk(&self, id: ChunkId, header_length: usize, parts: &[&[u8]]) -> Result<(), ChunkError> {
        let entry = IndexEntry { id: id.into(), kind: Kind::Chunk, frame: None, offset: 0, length: 0, header: header_length as u64 };
        self.append_data(entry, parts)
    }

    /// Writes a chunk as another repository stores it, unless it is there. The caller has verified it.
    pub(super) fn append_chunk(&self, entry: IndexEntry, stored: &[u8]) -> Result<(), ChunkError> {
        if self.reuse(entry.id, NEAR_INDEXES)? { Ok(()) } else { self.append_data(entry, &[stored]) }
    }

    pub(super) fn append_data(&self, entry: IndexEntry, parts: &[&[u8]]) -> Result<(), ChunkError> {
        loop {
            let pack = self.data_pack();
            if let Some((entry, length)) = pack.append(self.store.as_ref(), self.limits.memory_bytes, entry.clone(), parts)? {
                let stored = entry.length;
                self.enter(&pack, entry, |written| written.data_bytes += stored);
                if length >= self.limits.pack_bytes {
                    self.pending().data.retain(|open| !Arc::ptr_eq(open, &pack));
                    self.finish(&pack)?;
                }
                return Ok(());
            }
            self.pending().data.retain(|open| !Arc::ptr_eq(open, &pack));
        }
    }

    /// A pack for data that no other thread is writing to, as far as there may be more.
    fn data_pack(&self) -> Arc<OpenPack> {
        let pending = &mut *self.pending();
        if let Some(free) = pending.data.iter().find(|pack| !pack.is_busy()) {
            return free.clone();
        }
        match pending.data.first() {
            Some(first) if pending.data.len() >= self.limits.open_packs => first.clone(),
            _ => {
                let pack = OpenPack::new();
                pending.data.push(pack.clone());
                pack
            }
        }
    }

    pub(super) fn add_unpublished(&self, file: Arc<PackFile>) {
        self.catalogue.add_unpublished(file);
    }

    fn finish(&self, pack: &Arc<OpenPack>) -> Result<(), ChunkError> {
        if let Some(file) = pack.finish(self)? {
            self.add_unpublished(file);
            self.pending().places.retain(|_, (open, _)| !Arc::ptr_eq(open, pack));
        }
        Ok(())
    }

    /// What was written since the last publication or discard.
    pub fn written(&self) -> Written {
        self.pending().written
    }

    /// Finishes all that was written, durably, and returns every pack that no head lists yet, for the next head. Objects that were reused
    /// and have left the catalogue since are written first. After an error nothing can be published: [`Objects::discard`].
    pub fn flush(&self) -> Result<Vec<PackEntry>, ChunkError> {
        self.rescue()?;
        let (data, metadata) = {
            let pending = &mut *self.pending();
            (std::mem::take(&mut pending.data), pending.metadata.take())
        };
        // Small data and its metadata make one pack.
        let mut packs = data;
        if let Some(metadata) = metadata {
            let mut last = metadata.clone();
            if let [small] = packs.as_slice()
                && metadata.move_into(self, small)?
            {
                last = small.clone();
            }
            packs.retain(|pack| !Arc::ptr_eq(pack, &last));
            for pack in &packs {
                self.finish(pack)?;
            }
            // Copies of the others' indexes: who reads from afar need not ask for each.
            for index in self.catalogue.take_raw(self.limits.pack_bytes / INDEXED_PART_MIN) {
                last.add_content(self, u64::MAX, Kind::PackIndex, object_id(Kind::PackIndex, &index), &index)?;
            }
            packs.extend([metadata, last]);
        }
        for pack in &packs {
            self.finish(pack)?;
        }
        let pending = &mut *self.pending();
        pending.places.retain(|_, (open, _)| !packs.iter().any(|pack| Arc::ptr_eq(open, pack)));
        Ok(self.catalogue.unpublished())
    }

    fn rescue(&self) -> Result<(), ChunkError> {
        let reused: Vec<ObjectId> = self.pending().reused.iter().copied().collect();
        for id in reused {
            if self.locate(id, usize::MAX)?.is_none() {
                let place = self.place(id)?;
                self.copy(&place)?;
            }
        }
        Ok(())
    }

    /// Copies an object into the packs that are being written.
    pub(super) fn copy(&self, place: &Place) -> Result<(), ChunkError> {
        let entry = place.entry();
        if entry.kind != Kind::Chunk {
            let content = self.read_content(entry.kind, place)?;
            return self.put_new(entry.kind, entry.id, &content);
        }
        let stored = place.read(self.store.as_ref(), 0, entry.length)?;
        self.append_data(entry.clone(), &[&stored])
    }

    /// Drops all that was written and is in no head, but for the files of packs that are finished: another try may take them up, and if none does, `gc`.
    pub fn abandon(&self) {
        self.drop_pending();
        self.catalogue.take_unpublished();
    }

    fn drop_pending(&self) {
        let pending = &mut *self.pending();
        let open = pending.data.drain(..).chain(pending.metadata.take());
        open.for_each(|pack| pack.discard());
        pending.places.clear();
        pending.reused.clear();
        pending.written = Written::default();
    }

    /// Drops all that was written and is in no head.
    pub fn discard(&self) -> Result<(), ChunkError> {
        self.drop_pending();
        for pack in self.catalogue.take_unpublished() {
            // Its name is this writer's own, so nobody else's pack is taken away.
            if !self.carried().contains(&pack.id) {
                self.store.delete(&pack.path())?;
            }
        }
        Ok(())
    }

    fn carried(&self) -> MutexGuard<'_, HashSet<PackId>> {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a pack that another repository has under the same name.
    pub(super) fn add_carried(&self, file: Arc<PackFile>) {
        self.carried().insert(file.entry.id);
        self.add_unpublished(file);
    }

    /// Counts these packs as published: a head lists them, if not itself then in an older part of its catalogue.
    pub fn settle(&self, packs: &[PackEntry]) {
        self.catalogue.settle(packs);
        if self.catalogue.unpublished().is_empty() {
            self.count_anew();
        }
    }

    fn count_anew(&self) {
        let pending = &mut *self.pending();
        if pending.places.is_empty() {
            pending.reused.clear();
            pending.written = Written::default();
        }
    }
}

impl NodeStore for Objects {
    fn node(&self, id: NodeId) -> Result<Bytes, TreeError> {
        self.get(Kind::Node, id).map_err(|e| TreeError::Store(Box::new(e)))
    }

    fn put_node(&self, content: &[u8]) -> Result<NodeId, TreeError> {
        self.put(Kind::Node, content).map(NodeId::from).map_err(|e| TreeError::Store(Box::new(e)))
    }
}
