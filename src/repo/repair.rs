//! Repair: what is damaged here is brought anew from a remote that has it.

use std::collections::HashSet;

use super::remotes::Remote;
use super::{Repo, RepoError, Verification};
use crate::base::progress::Unit;
use crate::base::{ObjectId, PackId};
use crate::chunk::{ChunkError, Objects, read_chain};
use crate::format::head::Head;
use crate::format::pack::Kind;
use crate::history::reach::{Place, Reach, Visitor, is_forgotten};
use crate::history::{HistoryError, StoreLedger};

/// How often it starts anew because another writer was faster.
const ATTEMPTS_MAX: u32 = 20;

/// What became of what was damaged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Objects that came from the remote.
    pub objects: u64,
    /// Objects that were sound, in packs that were not, and were written anew.
    pub copied: u64,
    /// Packs that left the catalogue; `gc` deletes their files.
    pub packs: u64,
    /// Objects that are nowhere: what they harm stays harmed, and the packs stay.
    pub lost: Vec<ObjectId>,
}

impl Repo {
    /// Replaces what a check has found to be damaged or missing by what a remote has. Every object is verified against its id on its way.
    pub fn repair(&self, found: &Verification, remote: &Remote) -> Result<Repaired, RepoError> {
        remote.existing()?;
        let bad: HashSet<PackId> = found.faults.iter().filter_map(|fault| fault.pack).collect();
        let view = self.view()?;
        let head = Head::decode(&view.mark.token).map_err(HistoryError::Head)?;
        // A pack whose index does not read would end every search.
        let (packs, _) = read_chain(self.objects.store().as_ref(), &head)?;
        let unreadable = packs.iter().filter(|pack| bad.contains(&pack.id) && self.objects.ids_in(pack).is_err());
        self.objects.pass_over(unreadable.map(|pack| pack.id).collect())?;

        self.progress.start("repairing", None, Unit::Objects);
        let mut healer = Healer { repo: self, far: remote.repo().objects(), bad: &bad, done: Repaired::default(), at_end: false };
        let walked = Reach::new(&self.objects, &mut healer).operations(&view, i64::MIN);
        self.progress.finish();
        let mut done = healer.done;
        let published = walked.map_err(RepoError::from).and_then(|()| self.replace(&bad, &mut done));
        if published.is_err() {
            self.objects.abandon();
        }
        published.map(|()| done)
    }

    /// Publishes what was written, in the place of the packs that were damaged unless something of them is lost.
    fn replace(&self, bad: &HashSet<PackId>, done: &mut Repaired) -> Result<(), RepoError> {
        let ledger = StoreLedger::new(self.objects.clone());
        let now_ms = u64::try_from(self.environment.now_millis()).unwrap_or_default();
        for _ in 0..ATTEMPTS_MAX {
            let token = self.view()?.mark.token;
            let mut head = Head::decode(&token).map_err(HistoryError::Head)?;
            let (packs, _) = read_chain(self.objects.store().as_ref(), &head)?;
            let gone: HashSet<PackId> = packs.iter().map(|pack| pack.id).filter(|id| done.lost.is_empty() && bad.contains(id)).collect();
            if gone.is_empty() && done.objects + done.copied == 0 {
                return Ok(());
            }
            head.condemned.extend(gone.iter().map(|id| (*id, now_ms)));
            head.generation += u64::from(!gone.is_empty());
            if ledger.swap_packs(Some(&token), &mut head, &gone)? {
                done.packs = gone.len() as u64;
                return Ok(());
            }
        }
        Err(HistoryError::Contended(ATTEMPTS_MAX).into())
    }
}

/// Walks over all that is reached, and writes anew what does not stand in a sound pack.
struct Healer<'a> {
    repo: &'a Repo,
    far: &'a Objects,
    bad: &'a HashSet<PackId>,
    done: Repaired,
    /// True once the operation log has ended where garbage collection cut it.
    at_end: bool,
}

impl Visitor for Healer<'_> {
    fn object(&mut self, _: Kind, id: ObjectId, place: &Place) -> Result<bool, HistoryError> {
        self.repo.progress.advance(1);
        if self.repo.progress.interrupted() {
            return Err(HistoryError::Interrupted);
        }
        let here = &self.repo.objects;
        match here.pack_of(id)? {
            Some(pack) if !self.bad.contains(&pack) => return Ok(!self.at_end),
            None if here.is_partial() && self.far.contains(id)? => return Ok(false),
            // Where the log was cut, what older operations reached is not missed.
            None if place.operation.is_some() && !self.far.contains(id)? => {
                self.at_end = true;
                return Ok(false);
            }
            Some(_) if here.verify(id).is_ok() => {
                here.bring_anew(id, here)?;
                self.done.copied += 1;
            }
            _ if self.far.contains(id)? => {
                self.far.bring_anew(id, here)?;
                self.done.objects += 1;
            }
            _ => {
                self.done.lost.push(id);
                return Ok(false);
            }
        }
        Ok(!self.at_end)
    }

    fn is_at_end(&mut self) -> bool {
        self.at_end
    }

    fn fault(&mut self, error: HistoryError, place: &Place) -> Result<(), HistoryError> {
        if is_forgotten(&error, place) {
            self.at_end = true;
            return Ok(());
        }
        match &error {
            // It was told to be lost when it was met.
            HistoryError::Objects(ChunkError::Damaged { .. } | ChunkError::Missing { .. }) => Ok(()),
            _ => Err(error),
        }
    }
}
