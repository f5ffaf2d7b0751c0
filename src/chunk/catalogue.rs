//! Where objects stand: the packs of the head pointer, the newest first, their indexes read as they are needed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::{ChunkError, nonce};
use crate::base::{ObjectId, PackId};
use crate::format::FormatError;
use crate::format::codec::unframe;
use crate::format::head::{Catalog, Head, PackEntry, catalog_path};
use crate::format::pack::{Index, IndexEntry, Kind, TRAILER_BYTES};
use crate::store::{Store, StoreError};

/// Packs listed in the head pointer itself, at most; older ones go to a file of the catalogue.
const INLINE_PACKS_MAX: usize = 128;
/// Packs in one file of the catalogue.
const CATALOG_PACKS_MAX: usize = 1024;
/// A part with so many packs takes a twentieth of these bytes.
const CATALOG_BYTES_MAX: u64 = 2 << 20;
/// Packs of so many bytes, and stretches of metadata, are brought whole from a far store.
pub const NEAR_BYTES: u64 = 256 << 10;
/// Packs whose objects are smaller than this on average hold metadata.
const METADATA_OBJECT_BYTES: u64 = 16 << 10;
/// Indexes that are asked for at once from a far store, at first and at most.
const INDEXES_AT_ONCE: std::ops::RangeInclusive<usize> = 8..=64;
/// Threads that do so.
const INDEX_THREADS: usize = 16;
/// The longest chain of catalogue files that is followed.
const CATALOGS_MAX: usize = 1 << 16;

/// A pack of the catalogue, with its index once it was read.
#[derive(Debug)]
pub struct PackFile {
    pub entry: PackEntry,
    index: OnceLock<Index>,
    /// The index as it stands in the file, until a copy of it was written.
    raw: Mutex<Option<Bytes>>,
}

impl PackFile {
    /// A pack whose index is still to be read.
    pub fn new(entry: PackEntry) -> Self {
        PackFile { entry, index: OnceLock::new(), raw: Mutex::default() }
    }

    /// A pack whose index is known already.
    pub fn with_index(entry: PackEntry, index: Index, raw: Bytes) -> Self {
        PackFile { entry, index: index.into(), raw: Mutex::new(Some(raw)) }
    }

    /// Where its index stands in the file.
    pub fn index_range(&self) -> Range<u64> {
        let end = self.entry.length.saturating_sub(TRAILER_BYTES);
        end.saturating_sub(self.entry.index_length)..end
    }

    /// True for one of small objects: nodes, tables, commits, copies of indexes; and for one that is so small itself that it has all of them.
    fn is_metadata(&self) -> bool {
        self.entry.length <= NEAR_BYTES || self.entry.length / self.entry.objects.max(1) < METADATA_OBJECT_BYTES
    }

    /// The index, from a copy in another pack if that reads.
    fn index_by(&self, store: &dyn Store, copy: Option<&Catalogued>) -> Result<&Index, ChunkError> {
        if let Some(copy) = copy.filter(|_| self.index.get().is_none())
            && let Ok(bytes) = copy.content(store)
            && let Ok(index) = Index::decode(self.entry.id, &bytes, self.index_range().start)
            && index.entries.len() as u64 == self.entry.objects
        {
            return Ok(self.index.get_or_init(|| index));
        }
        self.index(store)
    }

    /// The index, sorted by id, verified against the pack's id.
    pub fn index(&self, store: &dyn Store) -> Result<&Index, ChunkError> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let index = self.read_index(store)?;
        Ok(self.index.get_or_init(|| index))
    }

    fn read_index(&self, store: &dyn Store) -> Result<Index, ChunkError> {
        let PackEntry { id, length, index_length, objects } = self.entry;
        let damaged = |why: String| ChunkError::DamagedPack { pack: id, why };
        let start = length.checked_sub(TRAILER_BYTES).and_then(|end| end.checked_sub(index_length));
        let start = start.ok_or_else(|| damaged("its index is longer than the file".to_owned()))?;
        // What stands last was written last, and is read next: nodes and tables, in a small pack all of it.
        let near = if self.is_metadata() || index_length <= NEAR_BYTES / 16 { start.min(length.saturating_sub(NEAR_BYTES)) } else { start };
        let bytes = match store.read_near(&self.entry.path(), start..start + index_length, near..length, length) {
            Err(e @ StoreError::Short { .. }) => return Err(damaged(e.to_string())),
            other => other?,
        };
        let index = Index::decode(id, &bytes, start).map_err(|e| damaged(e.to_string()))?;
        if index.entries.len() as u64 != objects {
            return Err(damaged(format!("it holds {} objects where the catalogue has {objects}", index.entries.len())));
        }
        Ok(index)
    }
}

/// Where an object stands.
#[derive(Debug, Clone)]
pub struct Catalogued {
    pub pack: Arc<PackFile>,
    pub entry: IndexEntry,
}

impl Catalogued {
    /// The pack that holds it.
    pub fn pack_id(&self) -> PackId {
        self.pack.entry.id
    }

    /// The content of an object that is no chunk, not verified.
    fn content(&self, store: &dyn Store) -> Result<Bytes, ChunkError> {
        let index = self.pack.index(store)?;
        let Some(frame) = index.frame_of(&self.entry) else {
            return Ok(read_metadata(store, &self.pack, self.entry.offset..self.entry.offset + self.entry.length)?);
        };
        let stored = read_metadata(store, &self.pack, frame.offset..frame.offset + frame.stored)?;
        let length = usize::try_from(frame.length).map_err(|e| FormatError::malformed("pack index", e))?;
        let (from, to) = (self.entry.offset as usize, (self.entry.offset + self.entry.length) as usize);
        Ok(Bytes::from(unframe(&stored, length)?).slice(from..to))
    }
}

/// Bytes of a pack's metadata: what is read next stands beside them.
pub fn read_metadata(store: &dyn Store, pack: &PackFile, range: Range<u64>) -> Result<Bytes, StoreError> {
    let length = pack.entry.length;
    let near = range.start..range.end.max(range.start.saturating_add(NEAR_BYTES)).min(length);
    store.read_near(&pack.entry.path(), range, near, length)
}

/// Ids are hashes already: their first bytes serve.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}
    fn write_u32(&mut self, n: u32) {
        self.0 = self.0.rotate_left(5) ^ u64::from(n);
    }
}

/// A map by id.
pub type IdMap<V> = HashMap<ObjectId, V, BuildHasherDefault<IdHasher>>;

/// All packs that are known, and where the objects of those whose index was read stand.
#[derive(Debug, Default)]
pub struct Catalogue(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Packs in the head's catalogue, or finished and to be published.
    known: HashMap<PackId, Arc<PackFile>>,
    /// The packs that left the catalogue since this was opened: what they hold may still be read, or be asked for by a writer.
    retired: HashMap<PackId, Arc<PackFile>>,
    /// Finished packs that no head lists yet.
    unpublished: Vec<Arc<PackFile>>,
    /// Indexed packs, and each object's pack among them and place in its index.
    indexed: Vec<Arc<PackFile>>,
    objects: IdMap<(u32, u32)>,
    /// Packs whose index is still to be read, the newest first.
    waiting: VecDeque<Arc<PackFile>>,
    /// Packs that are passed over, whatever a head lists.
    ignored: HashSet<PackId>,
    /// The part of the catalogue that is still to be read.
    older: Option<ObjectId>,
    /// Counts changes, so that what was read meanwhile is not merged into another catalogue.
    epoch: u64,
}

/// What to read next.
enum Next {
    Indexes(Vec<(Arc<PackFile>, Option<Catalogued>)>),
    Older(ObjectId),
}

impl Catalogue {
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the catalogue of a head. Indexes that were read are kept.
    pub fn refresh(&self, head: &Head) {
        let inner = &mut *self.write();
        let listed: HashSet<PackId> = head.packs.iter().map(|pack| pack.id).collect();
        inner.unpublished.retain(|pack| !listed.contains(&pack.entry.id));
        inner.epoch += 1;
        let mut before = std::mem::take(&mut inner.known);
        before.extend(inner.retired.drain());
        inner.indexed.clear();
        inner.objects.clear();
        inner.waiting.clear();
        for pack in inner.unpublished.clone() {
            before.remove(&pack.entry.id);
            inner.known.insert(pack.entry.id, pack.clone());
            inner.merge(pack);
        }
        for entry in head.packs.iter().rev() {
            inner.list(*entry, &mut before);
        }
        inner.older = head.older;
        // Those of older parts of the catalogue come back from here when that is read.
        inner.retired = before;
    }

    /// Adds a finished pack that no head lists yet.
    pub fn add_unpublished(&self, pack: Arc<PackFile>) {
        let inner = &mut *self.write();
        inner.known.insert(pack.entry.id, pack.clone());
        inner.unpublished.push(pack.clone());
        inner.merge(pack);
    }

    /// Passes over these packs from the next head on.
    pub fn ignore(&self, packs: Vec<PackId>) {
        self.write().ignored.extend(packs);
    }

    /// A pack by its id.
    pub fn known(&self, id: PackId) -> Option<Arc<PackFile>> {
        self.read().known.get(&id).cloned()
    }

    /// Counts packs as listed by a head.
    pub fn settle(&self, packs: &[PackEntry]) {
        self.write().unpublished.retain(|pack| packs.iter().all(|settled| settled.id != pack.entry.id));
    }

    /// The finished packs that no head lists yet.
    pub fn unpublished(&self) -> Vec<PackEntry> {
        self.read().unpublished.iter().map(|pack| pack.entry).collect()
    }

    /// The indexes of finished packs of at least so many bytes that no head lists yet, once each.
    pub fn take_raw(&self, bytes_min: u64) -> Vec<Bytes> {
        let raw = |pack: &Arc<PackFile>| pack.raw.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.read().unpublished.iter().filter(|pack| pack.entry.length >= bytes_min).filter_map(raw).collect()
    }

    /// True for an object that stands in a finished pack that no head lists yet.
    pub fn is_unpublished(&self, id: ObjectId) -> bool {
        let holds = |pack: &Arc<PackFile>| pack.index.get().is_some_and(|index| index.find(id).is_some());
        self.read().unpublished.iter().any(holds)
    }

    /// Forgets the finished packs that no head lists yet, and returns them.
    pub fn take_unpublished(&self) -> Vec<PackEntry> {
        let inner = &mut *self.write();
        let packs = std::mem::take(&mut inner.unpublished);
        for pack in &packs {
            inner.known.remove(&pack.entry.id);
        }
        inner.epoch += 1;
        let indexed = std::mem::take(&mut inner.indexed);
        inner.objects.clear();
        for pack in indexed {
            if inner.known.contains_key(&pack.entry.id) {
                inner.merge(pack);
            }
        }
        packs.iter().map(|pack| pack.entry).collect()
    }

    /// Where an object stands, in a pack of the catalogue. Reads at most `indexes` more indexes to find it.
    pub fn find(&self, store: &dyn Store, id: ObjectId, mut indexes: usize) -> Result<Option<Catalogued>, ChunkError> {
        // The newest are the likeliest: each round that finds nothing asks for more at once.
        let mut at_once = if store.is_far() { *INDEXES_AT_ONCE.start() } else { 1 };
        loop {
            let (next, epoch) = {
                let inner = self.read();
                if let Some(found) = inner.get(id) {
                    return Ok(Some(found));
                }
                let next = inner.next(at_once.min(indexes), store.is_far());
                let next = if next.is_empty() { inner.older.map(Next::Older) } else { Some(Next::Indexes(next)) };
                match next {
                    Some(next) if indexes > 0 => (next, inner.epoch),
                    _ => return Ok(None),
                }
            };
            match next {
                Next::Indexes(packs) => {
                    indexes -= packs.len();
                    at_once = if store.is_far() { (at_once * 4).min(*INDEXES_AT_ONCE.end()) } else { 1 };
                    let read = read_indexes_by(store, &packs);
                    let inner = &mut *self.write();
                    if inner.epoch == epoch {
                        // Those that were read are findable though another failed.
                        for (pack, _) in packs.into_iter().filter(|(pack, _)| pack.index.get().is_some()) {
                            if let Some(at) = inner.waiting.iter().position(|waiting| Arc::ptr_eq(waiting, &pack)) {
                                inner.waiting.remove(at);
                                inner.merge(pack);
                            }
                        }
                    }
                    read?;
                }
                Next::Older(part) => {
                    indexes -= 1;
                    let catalog = read_catalog(store, part)?;
                    let inner = &mut *self.write();
                    if inner.epoch == epoch && inner.older == Some(part) {
                        let mut before = std::mem::take(&mut inner.retired);
                        for entry in catalog.packs.iter().rev() {
                            inner.list(*entry, &mut before);
                        }
                        inner.retired = before;
                        inner.older = catalog.older;
                    }
                }
            }
        }
    }

    /// Where an object stands in a pack that left the catalogue since this was opened.
    pub fn find_retired(&self, store: &dyn Store, id: ObjectId) -> Option<Catalogued> {
        let retired: Vec<Arc<PackFile>> = self.read().retired.values().cloned().collect();
        retired.into_iter().find_map(|pack| {
            let index = pack.index(store).ok()?;
            let entry = index.find(id)?.clone();
            Some(Catalogued { pack, entry })
        })
    }

    /// Every pack of the catalogue, the newest first, older parts read.
    pub fn packs(&self, store: &dyn Store) -> Result<Vec<Arc<PackFile>>, ChunkError> {
        // No object has the id of the hash of nothing with this kind: all is read in vain.
        while self.read().older.is_some() || !self.read().waiting.is_empty() {
            let before = self.progress();
            self.find(store, ObjectId([0; 32]), 64)?;
            if self.progress() == before {
                break;
            }
        }
        let inner = self.read();
        Ok(inner.indexed.clone())
    }

    fn progress(&self) -> (u64, usize, Option<ObjectId>) {
        let inner = self.read();
        (inner.epoch, inner.indexed.len(), inner.older)
    }
}

impl Inner {
    fn get(&self, id: ObjectId) -> Option<Catalogued> {
        let (pack, at) = self.objects.get(&id)?;
        let pack = self.indexed.get(*pack as usize)?;
        let entry = pack.index.get()?.entries.get(*at as usize)?.clone();
        Some(Catalogued { pack: pack.clone(), entry })
    }

    /// The packs whose indexes to read next, the newest first, and where copies of those are known to stand. From afar the newest of all and those of metadata first: they may hold copies of the others'.
    fn next(&self, count: usize, is_far: bool) -> Vec<(Arc<PackFile>, Option<Catalogued>)> {
        let mut next: Vec<&Arc<PackFile>> = self.waiting.iter().take(count).collect();
        if is_far {
            let mut is_first = true;
            next.retain(|pack| std::mem::take(&mut is_first) || pack.is_metadata());
        }
        let copy = |pack: &PackFile| self.get(ObjectId(pack.entry.id.0)).filter(|found| found.entry.kind == Kind::PackIndex);
        next.into_iter().map(|pack| (pack.clone(), is_far.then(|| copy(pack)).flatten())).collect()
    }

    /// Puts a pack of a head's catalogue behind those that are known.
    fn list(&mut self, entry: PackEntry, before: &mut HashMap<PackId, Arc<PackFile>>) {
        if self.known.contains_key(&entry.id) || self.ignored.contains(&entry.id) {
            return;
        }
        let pack = before.remove(&entry.id).filter(|pack| pack.entry == entry).unwrap_or_else(|| Arc::new(PackFile::new(entry)));
        self.known.insert(entry.id, pack.clone());
        // Among packs whose index is there already the order is of no account: any copy of an object serves.
        if pack.index.get().is_some() { self.merge(pack) } else { self.waiting.push_back(pack) }
    }

    /// Makes the objects of a pack whose index is there findable.
    fn merge(&mut self, pack: Arc<PackFile>) {
        let (Some(index), Ok(number)) = (pack.index.get(), u32::try_from(self.indexed.len())) else { return };
        self.objects.reserve(index.entries.len());
        for (at, entry) in (0u32..).zip(&index.entries) {
            self.objects.entry(entry.id).or_insert((number, at));
        }
        self.indexed.push(pack);
    }
}

/// Reads the indexes of these packs, at once where there are several.
pub fn read_indexes(store: &dyn Store, packs: &[Arc<PackFile>]) -> Result<(), ChunkError> {
    read_indexes_by(store, &packs.iter().map(|pack| (pack.clone(), None)).collect::<Vec<_>>())
}

fn read_indexes_by(store: &dyn Store, packs: &[(Arc<PackFile>, Option<Catalogued>)]) -> Result<(), ChunkError> {
    if let [(pack, copy)] = packs {
        return pack.index_by(store, copy.as_ref()).map(drop);
    }
    let (next, failed) = (AtomicUsize::new(0), OnceLock::new());
    std::thread::scope(|scope| {
        for _ in 0..packs.len().min(INDEX_THREADS) {
            scope.spawn(|| {
                while let Some((pack, copy)) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = pack.index_by(store, copy.as_ref()) {
                        let _ = failed.set(error);
                    }
                }
            });
        }
    });
    failed.into_inner().map_or(Ok(()), Err)
}

fn read_catalog(store: &dyn Store, id: ObjectId) -> Result<Catalog, ChunkError> {
    Ok(Catalog::decode(id, &store.read_whole(&catalog_path(id), CATALOG_BYTES_MAX)?)?)
}

/// All packs of a head's catalogue, the newest last within each of its parts, and the paths of the files of its older parts.
pub fn read_chain(store: &dyn Store, head: &Head) -> Result<(Vec<PackEntry>, Vec<String>), ChunkError> {
    let (mut packs, mut paths, mut older) = (head.packs.clone(), Vec::new(), head.older);
    while let Some(part) = older {
        if paths.len() == CATALOGS_MAX {
            return Err(FormatError::malformed("catalogue", "its parts never end").into());
        }
        let catalog = read_catalog(store, part)?;
        packs.extend(catalog.packs);
        paths.push(catalog_path(part));
        older = catalog.older;
    }
    Ok((packs, paths))
}

/// The catalogue after `add` came to it and `remove` left it: the packs for the next head, and the older part. Files of the catalogue are
/// written where they must be, before any head names them; those that are no longer named may be deleted once the head is swapped.
pub fn publish(store: &dyn Store, head: &Head, add: &[PackEntry], remove: &HashSet<PackId>) -> Result<(Vec<PackEntry>, Option<ObjectId>), ChunkError> {
    let mut packs = head.packs.clone();
    let mut older = head.older;
    // Older parts are opened only if something leaves them.
    let inline: HashSet<PackId> = packs.iter().map(|pack| pack.id).collect();
    if !remove.is_subset(&inline) {
        let mut missing: HashSet<PackId> = remove.difference(&inline).copied().collect();
        let mut seen = 0;
        while let (Some(part), false) = (older, missing.is_empty()) {
            let catalog = read_catalog(store, part)?;
            catalog.packs.iter().for_each(|pack| {
                missing.remove(&pack.id);
            });
            packs.splice(0..0, catalog.packs);
            older = catalog.older;
            seen += 1;
            if seen > CATALOGS_MAX {
                return Err(FormatError::malformed("catalogue", "its parts never end").into());
            }
        }
    }
    packs.retain(|pack| !remove.contains(&pack.id));
    for pack in add {
        if !packs.iter().any(|known| known.id == pack.id) {
            packs.push(*pack);
        }
    }
    if packs.len() > INLINE_PACKS_MAX {
        // Half of them leave at once, so that this is rare.
        let rest = packs.split_off(packs.len() - INLINE_PACKS_MAX / 2);
        let leaving = std::mem::replace(&mut packs, rest);
        for part in leaving.chunks(CATALOG_PACKS_MAX) {
            older = Some(append_catalog(store, part, older)?);
        }
    }
    Ok((packs, older))
}

/// Puts packs into the newest file of the catalogue, as long as that is not full, else into a new one; returns it.
fn append_catalog(store: &dyn Store, packs: &[PackEntry], older: Option<ObjectId>) -> Result<ObjectId, ChunkError> {
    let mut catalog = Catalog { packs: packs.to_vec(), older };
    if let Some(part) = older {
        let newest = read_catalog(store, part)?;
        if newest.packs.len() + packs.len() <= CATALOG_PACKS_MAX {
            catalog = Catalog { packs: [newest.packs, packs.to_vec()].concat(), older: newest.older };
        }
    }
    let (bytes, id) = catalog.encode(nonce());
    let mut file = store.create()?;
    file.write(&bytes)?;
    file.finish(&catalog_path(id))?;
    Ok(id)
}
