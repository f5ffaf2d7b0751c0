//! Carrying objects from one repository to another: packs as they are where nearly all of one is wanted, else objects one by one. What arrives is verified before any head lists it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::ChunkError;
use super::catalogue::{Catalogued, PackFile};
use super::objects::Objects;
use super::place::Place;
use crate::base::{ObjectId, PackId, Progress};
use crate::format::pack::{IndexEntry, Kind};
use crate::store::StoreError;

/// A pack goes whole where at least this share of its bytes is wanted.
const WHOLE_SHARE: f64 = 0.75;
/// Packs of less than such a part of a full one go object by object: with others' they make fewer files.
const WHOLE_PART_MIN: u64 = 64;
/// Packs that are carried at the same time.
const AT_A_TIME: usize = 4;

/// What is to be carried.
#[derive(Debug, Default)]
pub struct Cargo {
    whole: Vec<Arc<PackFile>>,
    single: Vec<(Arc<PackFile>, Vec<IndexEntry>)>,
    /// Objects that are wanted.
    pub objects: u64,
    /// Bytes that will go, as they are stored.
    pub bytes: u64,
}

impl Cargo {
    /// Packs that go as they are.
    pub fn packs(&self) -> usize {
        self.whole.len()
    }
}

/// Which end of the way the other repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From here to the other: what is damaged here is not sent.
    Push,
    /// From the other to here: what arrives is believed when it was verified.
    Fetch,
}

impl Objects {
    /// How to carry these objects, all of which must be here. A pack goes whole only where all else in it satisfies `may_go_along`, and where the other side has not
    /// condemned one of that name.
    pub fn plan_cargo(&self, wanted: &HashSet<ObjectId>, condemned: &HashSet<PackId>, may_go_along: &dyn Fn(ObjectId) -> bool) -> Result<Cargo, ChunkError> {
        let mut packs: HashMap<PackId, (Arc<PackFile>, Vec<IndexEntry>)> = HashMap::new();
        for id in wanted {
            let place = self.anew_where_vanished(|| self.catalogue.find(self.store.as_ref(), *id, usize::MAX))?;
            let Catalogued { pack, entry } = place.ok_or(ChunkError::Missing { object: *id })?;
            packs.entry(pack.entry.id).or_insert_with(|| (pack, Vec::new())).1.push(entry);
        }
        let mut cargo = Cargo { objects: wanted.len() as u64, ..Cargo::default() };
        for (pack, mut entries) in packs.into_values() {
            let index = pack.index(self.store.as_ref())?;
            let bytes: u64 = entries.iter().map(|entry| index.stored_bytes(entry)).sum();
            let is_whole = !condemned.contains(&pack.entry.id)
                && pack.entry.length >= self.limits.pack_bytes / WHOLE_PART_MIN
                && bytes as f64 >= WHOLE_SHARE * pack.entry.length as f64
                && index.entries.iter().all(|entry| wanted.contains(&entry.id) || may_go_along(entry.id));
            if is_whole {
                cargo.bytes += pack.entry.length;
                cargo.whole.push(pack);
            } else {
                cargo.bytes += bytes;
                entries.sort_by_key(|entry| index.position(entry));
                cargo.single.push((pack, entries));
            }
        }
        // The same at each try.
        cargo.whole.sort_by_key(|pack| pack.entry.id);
        cargo.single.sort_by_key(|(pack, _)| pack.entry.id);
        Ok(cargo)
    }

    /// Carries it to `to`, where it is written and in no head yet; [`Objects::flush`] there returns its packs. `again`: an earlier try may have brought some of the packs. Stops with what it has
    /// where `progress` is interrupted, which the caller must ask.
    pub fn carry(&self, cargo: &Cargo, to: &Objects, direction: Direction, again: bool, progress: &dyn Progress) -> Result<(), ChunkError> {
        let whole = cargo.whole.iter().map(Task::Whole);
        let tasks: Vec<Task<'_>> = whole.chain(cargo.single.iter().map(|(pack, entries)| Task::Single(pack, entries))).collect();
        let (next, failed, stop) = (Mutex::new(tasks.into_iter()), Mutex::new(None), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(|| {
                    loop {
                        if stop.load(Ordering::Relaxed) || progress.interrupted() {
                            return;
                        }
                        let Some(task) = next.lock().unwrap_or_else(PoisonError::into_inner).next() else { return };
                        let done = match task {
                            Task::Whole(pack) => self.carry_pack(pack, to, direction, again, progress),
                            Task::Single(pack, entries) => self.carry_objects(pack, entries, to, progress),
                        };
                        if let Err(error) = done {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// Writes an object anew in `to`, though it may be there already, damaged; it is verified on its way.
    pub fn bring_anew(&self, id: ObjectId, to: &Objects) -> Result<(), ChunkError> {
        self.at_place(id, |place| {
            let entry = place.entry();
            if entry.kind == Kind::Chunk {
                to.append_data(entry.clone(), &[&self.read_checked(place)?])?;
                // It may be known from where it was damaged.
                to.chunks.remove(&id.into());
                Ok(())
            } else {
                to.put_new(entry.kind, id, &self.read_content(entry.kind, place)?)
            }
        })
    }

    fn carry_pack(&self, pack: &Arc<PackFile>, to: &Objects, direction: Direction, again: bool, progress: &dyn Progress) -> Result<(), ChunkError> {
        let (entry, path) = (pack.entry, pack.entry.path());
        let sound = |objects: &Objects| -> Result<(), ChunkError> {
            let found = objects.verify_pack(&entry, &crate::base::NoProgress)?;
            match found.problems.into_iter().next() {
                Some(problem) => Err(ChunkError::DamagedPack { pack: entry.id, why: problem.why }),
                None => Ok(()),
            }
        };
        if direction == Direction::Push {
            sound(self)?;
        }
        let there = again && matches!(to.store.length(&path), Ok(length) if length == entry.length);
        if there {
            progress.advance(entry.length);
        } else {
            to.store.send(&path, entry.length, &|range| {
                if progress.interrupted() {
                    return Err(StoreError::io(&path, std::io::ErrorKind::Interrupted.into()));
                }
                let length = range.end - range.start;
                let bytes = self.store.read(&path, range)?;
                progress.advance(length);
                Ok(bytes)
            })?;
        }
        if direction == Direction::Fetch
            && let Err(error) = sound(to)
        {
            // What is not what it should be is not kept, in memory neither.
            to.store.delete(&path)?;
            to.forget_frames(pack)?;
            return Err(error);
        }
        let index = pack.index(self.store.as_ref())?.clone();
        let range = pack.index_range();
        let raw = self.store.read_near(&path, range.clone(), range, entry.length)?;
        to.add_carried(Arc::new(PackFile::with_index(entry, index, raw)));
        Ok(())
    }

    fn carry_objects(&self, pack: &Arc<PackFile>, entries: &[IndexEntry], to: &Objects, progress: &dyn Progress) -> Result<(), ChunkError> {
        for entry in entries {
            if progress.interrupted() {
                return Ok(());
            }
            let place = Place::Pack(Catalogued { pack: pack.clone(), entry: entry.clone() });
            if entry.kind == Kind::Chunk {
                to.append_chunk(entry.clone(), &self.read_checked(&place)?)?;
            } else {
                let content = self.read_content(entry.kind, &place)?;
                to.put(entry.kind, &content)?;
            }
            progress.advance(pack.index(self.store.as_ref())?.stored_bytes(entry));
        }
        Ok(())
    }
}

enum Task<'a> {
    Whole(&'a Arc<PackFile>),
    Single(&'a Arc<PackFile>, &'a [IndexEntry]),
}
