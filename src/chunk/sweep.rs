//! Packs over time: small ones fold into larger ones, and what nothing reaches goes. Each is planned first and performed after, and changes
//! nothing that a reader sees: new packs come, and a new head no longer lists the old ones.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::catalogue::{Catalogued, PackFile, read_chain, read_indexes};
use super::objects::Objects;
use super::open_pack::OpenPack;
use super::place::Place;
use super::{ChunkError, Limits};
use crate::base::{ObjectId, PackId, Progress};
use crate::format::head::{Head, PackEntry, pack_path};
use crate::format::pack::{IndexEntry, Kind};
use crate::store::Store;

/// So many packs of one size class fold into one of the next.
const FOLD_PACKS: usize = 8;
/// The smallest size class, in bytes; each is eight times the one below.
const FOLD_BYTES_MIN: u64 = 8 << 10;

/// What a fold or a sweep did: for the next head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repacked {
    /// Packs that came; [`Objects::flush`] returns them too, until a head lists them.
    pub added: Vec<PackEntry>,
    /// Packs that leave the catalogue.
    pub removed: Vec<PackId>,
}

/// Which packs of a catalogue to fold into one; none, if that is not due. Packs of a quarter of a full one stay as they are. Each object is
/// copied once for each eightfold growth of its pack, so that the work is a logarithm's share of what was written.
pub fn plan_fold(packs: &[PackEntry], limits: &Limits) -> Vec<PackEntry> {
    let class = |pack: &PackEntry| (pack.length / FOLD_BYTES_MIN).checked_ilog(FOLD_PACKS as u64).map_or(0, |class| class + 1);
    let small: Vec<&PackEntry> = packs.iter().filter(|pack| pack.length < limits.pack_bytes / 4).collect();
    let mut members: HashMap<u32, usize> = HashMap::new();
    small.iter().for_each(|pack| *members.entry(class(pack)).or_default() += 1);
    // The largest class that is full takes all smaller ones along.
    let full = members.into_iter().filter(|(_, packs)| *packs >= FOLD_PACKS).map(|(class, _)| class).max();
    match full {
        Some(full) => small.into_iter().filter(|pack| class(pack) <= full).copied().collect(),
        None => Vec::new(),
    }
}

/// How much of a pack is still wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackUse {
    /// The pack.
    pub pack: PackEntry,
    /// Objects that are reached, and stand in no pack listed before.
    pub live_objects: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// All other objects' bytes.
    pub dead_bytes: u64,
}

/// What a sweep would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepPlan {
    /// Every pack of the catalogue.
    pub packs: Vec<PackUse>,
    /// Those that go, what is live in them being written anew.
    pub rewrite: Vec<PackEntry>,
    /// Bytes that will be written.
    pub bytes_written: u64,
    /// Bytes that will be free in the end.
    pub bytes_freed: u64,
}

impl Objects {
    /// Copies all objects of these packs into one new pack: chunks as they are stored, the rest compressed together anew.
    pub fn fold(&self, packs: &[PackEntry]) -> Result<Repacked, ChunkError> {
        // Those that a head lists are known; the indexes of others are of no account.
        let known = packs.iter().filter_map(|pack| self.catalogue.known(pack.id)).collect();
        self.repack(known, |_| true)
    }

    /// What is live and what is dead, given the ids of all objects that anything reaches. Packs of which at least `dead_share` (0 to 1) is
    /// dead are to be rewritten; with 0, all that have anything dead.
    pub fn plan_sweep(&self, reached: &HashSet<ObjectId>, dead_share: f64) -> Result<SweepPlan, ChunkError> {
        let mut plan = SweepPlan::default();
        let mut seen: HashSet<ObjectId> = HashSet::with_capacity(reached.len());
        let packs = self.catalogue.packs(self.store.as_ref())?;
        let listed: HashSet<PackId> = packs.iter().map(|pack| pack.entry.id).collect();
        for pack in packs {
            let mut used = PackUse { pack: pack.entry, live_objects: 0, live_bytes: 0, dead_bytes: 0 };
            let index = pack.index(self.store.as_ref())?;
            for object in &index.entries {
                let is_reached = reached.contains(&object.id);
                if (is_reached || is_copy_of(object, &listed)) && seen.insert(object.id) {
                    used.live_objects += u64::from(is_reached);
                    used.live_bytes += index.stored_bytes(object);
                } else {
                    used.dead_bytes += index.stored_bytes(object);
                }
            }
            let all = used.live_bytes + used.dead_bytes;
            if used.dead_bytes > 0 && used.dead_bytes as f64 >= dead_share * all as f64 {
                plan.bytes_written += used.live_bytes;
                plan.bytes_freed += used.pack.length.saturating_sub(used.live_bytes);
                plan.rewrite.push(used.pack);
            }
            plan.packs.push(used);
        }
        Ok(plan)
    }

    /// Performs a plan: writes what is reached in the packs that go into new ones. The packs removed are to be condemned in a head of the
    /// next generation.
    pub fn sweep(&self, plan: &SweepPlan, reached: &HashSet<ObjectId>) -> Result<Repacked, ChunkError> {
        let wanted: HashSet<PackId> = plan.rewrite.iter().map(|pack| pack.id).collect();
        // What stands in a pack that stays need not be copied.
        let mut stays: HashSet<ObjectId> = HashSet::new();
        let mut listed = HashSet::new();
        for pack in self.catalogue.packs(self.store.as_ref())? {
            if !wanted.contains(&pack.entry.id) {
                listed.insert(pack.entry.id);
                stays.extend(pack.index(self.store.as_ref())?.entries.iter().map(|object| object.id));
            }
        }
        let keep = |object: &IndexEntry| reached.contains(&object.id) || is_copy_of(object, &listed);
        let packs = self.catalogue.packs(self.store.as_ref())?.into_iter().filter(|pack| wanted.contains(&pack.entry.id)).collect();
        self.repack(packs, |object| keep(object) && !stays.contains(&object.id))
    }

    fn repack(&self, packs: Vec<Arc<PackFile>>, keep: impl Fn(&IndexEntry) -> bool) -> Result<Repacked, ChunkError> {
        let store = self.store.as_ref();
        let mut done = Repacked::default();
        let mut into = OpenPack::new();
        let mut copied: HashSet<ObjectId> = HashSet::new();
        if store.is_far() {
            read_indexes(store, &packs)?;
        }
        for pack in packs {
            let index = pack.index(store)?;
            let mut objects: Vec<&IndexEntry> = index.entries.iter().filter(|object| keep(object)).collect();
            // What stood side by side stays so.
            objects.sort_by_key(|object| index.position(object));
            for object in objects {
                if !copied.insert(object.id) {
                    continue;
                }
                let place = Place::Pack(Catalogued { pack: pack.clone(), entry: object.clone() });
                let length = if object.kind == Kind::Chunk {
                    let stored = place.read(store, 0, object.length)?;
                    into.append(store, self.limits.memory_bytes, object.clone(), &[&stored])?.map(|(_, length)| length)
                } else {
                    let content = self.read_content(object.kind, &place)?;
                    into.add_content(self, self.limits.memory_bytes, object.kind, object.id, &content)?
                };
                if length.is_some_and(|length| length >= self.limits.pack_bytes) {
                    self.finish_repacked(&into, &mut done)?;
                    into = OpenPack::new();
                }
            }
            done.removed.push(pack.entry.id);
        }
        self.finish_repacked(&into, &mut done)?;
        Ok(done)
    }

    fn finish_repacked(&self, pack: &OpenPack, done: &mut Repacked) -> Result<(), ChunkError> {
        if let Some(file) = pack.finish(self)? {
            done.added.push(file.entry);
            self.add_unpublished(file);
        }
        Ok(())
    }
}

/// True for a copy of the index of one of these packs.
fn is_copy_of(object: &IndexEntry, packs: &HashSet<PackId>) -> bool {
    object.kind == Kind::PackIndex && packs.contains(&PackId(object.id.0))
}

/// Deletes the files of condemned packs whose time of grace is over at `now_ms`; returns the packs, which may then leave the head's list.
/// That a file is gone already is no error, so this may be repeated.
pub fn delete_condemned(store: &dyn Store, head: &Head, now_ms: u64, grace_ms: u64) -> Result<Vec<PackId>, ChunkError> {
    let due = head.condemned.iter().filter(|(_, when)| now_ms.saturating_sub(*when) >= grace_ms);
    let due: Vec<PackId> = due.map(|(id, _)| *id).collect();
    for id in &due {
        store.delete(&pack_path(*id))?;
    }
    Ok(due)
}

/// Deletes files that no head lists and that are older than `grace_ms`, left by writers that died; returns their paths and bytes. `head` must
/// be the newest. With `dry`, deletes nothing.
pub fn delete_orphans(store: &dyn Store, head: &Head, grace_ms: u64, dry: bool, progress: &dyn Progress) -> Result<Vec<(String, u64)>, ChunkError> {
    let (packs, catalogs) = read_chain(store, head)?;
    let mut known: HashSet<String> = packs.iter().map(PackEntry::path).collect();
    known.extend(head.condemned.iter().map(|(id, _)| pack_path(*id)));
    known.extend(catalogs);
    let mut orphans = Vec::new();
    for dir in ["packs", "catalogs"] {
        for file in store.list(dir)? {
            let path = format!("{dir}/{}", file.name);
            if known.contains(&path) || file.age_ms < grace_ms || progress.interrupted() {
                continue;
            }
            if !dry {
                store.delete(&path)?;
            }
            orphans.push((path, file.length));
        }
    }
    if !dry {
        store.clear_unfinished(grace_ms)?;
    }
    Ok(orphans)
}
