//! `verify`: every byte of every pack is read and hashed, and everything reachable is looked for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::{Repo, RepoError};
use crate::base::parallel::on_all_cores;
use crate::base::progress::Unit;
use crate::base::{ObjectId, PackId, Progress};
use crate::chunk::verify::{Problem, Verified};
use crate::chunk::{ChunkError, Objects, read_chain};
use crate::format::head::{Head, PackEntry};
use crate::format::pack::Kind;
use crate::history::HistoryError;
use crate::history::reach::{Place, Reach, Visitor, is_forgotten};
use crate::store::{MemoryStore, StoreError};

/// Packs of a remote up to this size are checked in memory.
const FAR_PACK_BYTES_MAX: u64 = 256 << 20;
/// So many places that a fault harms are told.
const HARMS_MAX: usize = 4;

/// What [`Repo::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Packs that were read.
    pub packs: u64,
    /// Objects in them.
    pub objects: u64,
    /// Bytes that were read and hashed.
    pub bytes: u64,
    /// Objects that a branch, a tag, a working state or an operation reaches.
    pub reached: u64,
    /// Objects that a lazy clone left on its remote, as far as it knows them.
    pub elsewhere: u64,
    /// What is wrong; nothing, if all is well.
    pub faults: Vec<Fault>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong, in one line that names the object or the pack.
    pub why: String,
    /// The object, where it is known.
    pub object: Option<ObjectId>,
    /// The pack, where it is one that is at fault.
    pub pack: Option<PackId>,
    /// What it harms, as far as that was found: a commit, its table and column. Nothing where nothing reaches the object.
    pub harms: Vec<String>,
}

impl Repo {
    /// Checks that every byte of every pack is as it was written, and that everything that the refs, the working states and the operation log reach
    /// is there. What is wrong is in the result; an error is one that kept it from looking.
    pub fn verify(&self) -> Result<Verification, RepoError> {
        let view = self.view()?;
        let head = Head::decode(&view.mark.token).map_err(HistoryError::Head)?;
        let (packs, _) = read_chain(self.objects.store().as_ref(), &head)?;
        let mut found = self.verify_packs(&packs)?;

        self.progress.start("following history", None, Unit::Objects);
        let mut by_object: HashMap<ObjectId, Vec<usize>> = HashMap::new();
        for (at, fault) in found.faults.iter().enumerate() {
            if let Some(object) = fault.object {
                by_object.entry(object).or_default().push(at);
            }
        }
        let mut finder = Finder {
            objects: &self.objects,
            progress: &*self.progress,
            by_object,
            faults: std::mem::take(&mut found.faults),
            at_end: false,
            elsewhere: 0,
            told: HashSet::new(),
        };
        let mut reach = Reach::new(&self.objects, &mut finder);
        let walked = reach.operations(&view, i64::MIN);
        found.reached = reach.into_seen().len() as u64;
        found.reached -= finder.elsewhere;
        found.elsewhere = finder.elsewhere;
        found.faults = finder.faults;
        self.progress.finish();
        if self.progress.interrupted() {
            return Err(RepoError::Interrupted);
        }
        walked?;
        self.drop_vanished(&mut found)?;
        Ok(found)
    }

    fn verify_packs(&self, packs: &[PackEntry]) -> Result<Verification, RepoError> {
        self.progress.start("hashing", Some(packs.iter().map(|pack| pack.length).sum()), Unit::Bytes);
        let results: Vec<_> = on_all_cores(|| packs.par_iter().map(|pack| (pack, self.verify_one(pack))).collect());
        self.progress.finish();
        let mut found = Verification { packs: packs.len() as u64, ..Default::default() };
        for (pack, result) in results {
            let problems = match result {
                Ok(verified) => {
                    found.objects += verified.objects;
                    found.bytes += verified.bytes;
                    verified.problems
                }
                // A file that cannot be read is a fault of the repository; the others are read all the same.
                Err(error) => vec![Problem { pack: pack.id, object: None, why: error.to_string() }],
            };
            found.faults.extend(problems.into_iter().map(|p| Fault { why: p.why, object: p.object, pack: Some(p.pack), harms: Vec::new() }));
        }
        Ok(found)
    }

    fn verify_one(&self, pack: &PackEntry) -> Result<Verified, ChunkError> {
        let (store, length) = (self.objects.store(), pack.length);
        if !store.is_far() || length > FAR_PACK_BYTES_MAX {
            return self.objects.verify_pack(pack, &*self.progress);
        }
        // From afar it comes as a whole, not object by object.
        let near = MemoryStore::new();
        match store.read_whole(&pack.path(), length) {
            Ok(bytes) => near.put(&pack.path(), bytes),
            Err(StoreError::NotFound { .. } | StoreError::Large { .. }) => return self.objects.verify_pack(pack, &*self.progress),
            Err(error) => return Err(error.into()),
        }
        Objects::new(Arc::new(near), self.objects.limits().clone()).verify_pack(pack, &*self.progress)
    }

    /// Takes back faults of packs that have left the catalogue meanwhile, folded or collected by another process.
    fn drop_vanished(&self, found: &mut Verification) -> Result<(), RepoError> {
        if found.faults.is_empty() {
            return Ok(());
        }
        let head = Head::decode(&self.view()?.mark.token).map_err(HistoryError::Head)?;
        let listed: HashSet<PackId> = read_chain(self.objects.store().as_ref(), &head)?.0.into_iter().map(|pack| pack.id).collect();
        found.faults.retain(|fault| fault.pack.is_none_or(|pack| listed.contains(&pack)));
        Ok(())
    }
}

/// Looks for each object that is reached, and tells what the faults harm.
struct Finder<'a> {
    objects: &'a Objects,
    progress: &'a dyn Progress,
    by_object: HashMap<ObjectId, Vec<usize>>,
    faults: Vec<Fault>,
    /// True once the operation log has ended where garbage collection cut it.
    at_end: bool,
    /// Objects that only the remote of a lazy clone has.
    elsewhere: u64,
    /// Faults that were found on the way, so that each is told once.
    told: HashSet<String>,
}

impl Finder<'_> {
    fn tell(&mut self, why: String, object: Option<ObjectId>, pack: Option<PackId>, place: &Place) {
        let harm = place.to_string();
        // One that was found when the packs were read is not told twice.
        let known = self.faults.iter().position(|fault| fault.why == why || (object.is_some() && fault.object == object));
        match known {
            Some(at) => self.harm(at, harm),
            None if self.told.insert(why.clone()) => {
                let harms = if harm.is_empty() { Vec::new() } else { vec![harm] };
                self.faults.push(Fault { why, object, pack, harms });
            }
            None => {}
        }
    }

    fn harm(&mut self, at: usize, harm: String) {
        if let Some(fault) = self.faults.get_mut(at)
            && fault.harms.len() < HARMS_MAX
            && !harm.is_empty()
            && !fault.harms.contains(&harm)
        {
            fault.harms.push(harm);
        }
    }
}

impl Visitor for Finder<'_> {
    fn object(&mut self, _: Kind, id: ObjectId, place: &Place) -> Result<bool, HistoryError> {
        self.progress.advance(1);
        if self.progress.interrupted() {
            return Err(HistoryError::Interrupted);
        }
        for at in self.by_object.get(&id).cloned().unwrap_or_default() {
            self.harm(at, place.to_string());
        }
        match self.objects.contains(id) {
            Ok(true) => {}
            Ok(false) if self.objects.is_partial() => {
                self.elsewhere += 1;
                return Ok(false);
            }
            Ok(false) => self.fault(ChunkError::Missing { object: id }.into(), place)?,
            Err(error) => self.fault(error.into(), place)?,
        }
        Ok(!self.at_end)
    }

    fn is_at_end(&mut self) -> bool {
        self.at_end
    }

    fn fault(&mut self, error: HistoryError, place: &Place) -> Result<(), HistoryError> {
        if self.progress.interrupted() {
            return Err(error);
        }
        if is_forgotten(&error, place) {
            self.at_end = true;
            return Ok(());
        }
        let (object, pack) = match &error {
            HistoryError::Objects(inner) => (object_of(inner), pack_of(inner)),
            HistoryError::Malformed { id, .. } => (Some(*id), None),
            _ => (None, None),
        };
        self.tell(error.to_string(), object, pack, place);
        Ok(())
    }
}

fn object_of(error: &ChunkError) -> Option<ObjectId> {
    match error {
        ChunkError::Damaged { object, .. } | ChunkError::Missing { object } => Some(*object),
        _ => None,
    }
}

fn pack_of(error: &ChunkError) -> Option<PackId> {
    match error {
        ChunkError::DamagedPack { pack, .. } => Some(*pack),
        _ => None,
    }
}

/// Faults by what they harm, for a summary.
pub fn by_harm(faults: &[Fault]) -> BTreeMap<&str, usize> {
    let mut harms = BTreeMap::new();
    for harm in faults.iter().flat_map(|fault| &fault.harms) {
        *harms.entry(harm.as_str()).or_default() += 1;
    }
    harms
}

/// True for an error that says that a file or an object is not there.
pub(super) fn is_vanished(error: &RepoError) -> bool {
    matches!(error.store_error(), Some(StoreError::NotFound { .. }))
        || matches!(error, RepoError::Objects(ChunkError::Missing { .. }) | RepoError::History(HistoryError::Objects(ChunkError::Missing { .. })))
}
