//! `gc`: what nothing reaches is condemned, and after a time of grace deleted.

use std::collections::HashSet;
use std::time::Duration;

use super::verify::is_vanished;
use super::{Repo, RepoError};
use crate::base::progress::Unit;
use crate::base::{ObjectId, PackId};
use crate::chunk::read_chain;
use crate::chunk::sweep::{SweepPlan, delete_condemned, delete_orphans};
use crate::format::head::Head;
use crate::format::pack::Kind;
use crate::history::reach::{Place, Reach, Visitor, is_forgotten};
use crate::history::{HistoryError, StoreLedger, View};

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Unfinished files and parts of the catalogue that no head names are younger than this while their writer lives.
const UNFINISHED_MS: u64 = 3600 * 1000;
/// How often it starts anew because another writer was faster.
const ATTEMPTS_MAX: u32 = 20;

/// What to collect.
#[derive(Debug, Clone, PartialEq)]
pub struct GcOptions {
    /// Operations older than so many milliseconds are forgotten, and cannot be undone any more; the newest always stays.
    pub horizon_ms: u64,
    /// Files are deleted so many milliseconds after they were condemned: longer than any reader or writer that is at work takes.
    pub grace_ms: u64,
    /// A pack is written anew if this share of it, from 0 to 1, is dead.
    pub dead_share: f64,
    /// Only tell what would be done.
    pub dry_run: bool,
}

impl Default for GcOptions {
    fn default() -> Self {
        GcOptions { horizon_ms: 30 * DAY_MS, grace_ms: DAY_MS, dead_share: 0.2, dry_run: false }
    }
}

/// What was collected, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Objects that are reached.
    pub objects_live: u64,
    /// Bytes of them, as they are stored.
    pub bytes_live: u64,
    /// Bytes of objects that nothing reaches, those included that stay for now because most of their pack is alive.
    pub bytes_dead: u64,
    /// Packs that are condemned now, those of writers that died included.
    pub packs_condemned: u64,
    /// Bytes of them.
    pub bytes_condemned: u64,
    /// Bytes of what is alive in them, written anew.
    pub bytes_written: u64,
    /// Files deleted, those condemned earlier included.
    pub files_deleted: u64,
}

/// Collects the ids of all that is reached; any fault of the newest state ends the walk, for what lies below it must not be taken for garbage.
struct Marker<'a> {
    repo: &'a Repo,
    at_end: bool,
}

impl Visitor for Marker<'_> {
    fn object(&mut self, _: Kind, id: ObjectId, _: &Place) -> Result<bool, HistoryError> {
        self.repo.progress.advance(1);
        if self.repo.progress.interrupted() {
            return Err(HistoryError::Interrupted);
        }
        // What a lazy clone has not itself, its remote has with all that lies below.
        let objects = &self.repo.objects;
        Ok(!self.at_end && (!objects.is_partial() || objects.contains(id)?))
    }

    /// An earlier collection with a nearer horizon has cut the log: it ends where something is missing.
    fn fault(&mut self, error: HistoryError, place: &Place) -> Result<(), HistoryError> {
        self.at_end = is_forgotten(&error, place);
        if self.at_end { Ok(()) } else { Err(error) }
    }

    fn is_at_end(&mut self) -> bool {
        self.at_end
    }
}

impl Repo {
    /// Condemns the packs of which much is reached by no ref, working state or operation within the horizon, what is reached in them being
    /// written anew; and deletes those whose time of grace is over. Safe beside readers and writers.
    pub fn gc(&self, options: &GcOptions) -> Result<Collected, RepoError> {
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                // Leaves the others time to end what they are at.
                std::thread::sleep(Duration::from_millis(4 << attempt.min(6)));
            }
            let before = self.view()?.mark;
            match self.collect(options) {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => self.drop_written(),
                // A pack was folded away by another writer while it was read.
                Err(error) if is_vanished(&error) && self.view()?.mark != before => self.drop_written(),
                // It may be published after all.
                Err(error @ RepoError::History(HistoryError::Unsettled(_))) => return Err(error),
                Err(error) => {
                    self.drop_written();
                    return Err(error);
                }
            }
        }
        Err(HistoryError::Contended(ATTEMPTS_MAX).into())
    }

    /// One attempt; `None` where another writer was faster.
    fn collect(&self, options: &GcOptions) -> Result<Option<Collected>, RepoError> {
        let view = self.view()?;
        let store = self.objects.store().as_ref();
        let now = self.environment.now_millis();
        let now_ms = u64::try_from(now).unwrap_or_default();
        let horizon = now.saturating_sub(i64::try_from(options.horizon_ms).unwrap_or(i64::MAX));
        let mut reached = self.mark(&view, horizon, HashSet::new())?;
        let plan = self.objects.plan_sweep(&reached, options.dead_share)?;
        let mut head = Head::decode(&view.mark.token).map_err(HistoryError::Head)?;
        let orphans = delete_orphans(store, &head, options.grace_ms, true, &*self.progress)?;
        let lost: Vec<(PackId, u64)> = orphans.iter().filter_map(|(path, bytes)| Some((pack_id(path)?, *bytes))).collect();
        let mut done = summary(&reached, &plan);
        done.packs_condemned += lost.len() as u64;
        done.bytes_condemned += lost.iter().map(|(_, bytes)| bytes).sum::<u64>();
        if options.dry_run {
            return Ok(Some(done));
        }

        if done.packs_condemned > 0 {
            self.progress.start("writing anew", None, Unit::Objects);
            let swept = self.objects.sweep(&plan, &reached)?;
            self.progress.finish();
            let removed: HashSet<PackId> = swept.removed.into_iter().collect();
            let mut attempt = 0;
            loop {
                let (packs, _) = read_chain(store, &head)?;
                let removed: HashSet<PackId> = packs.iter().map(|pack| pack.id).filter(|id| removed.contains(id)).collect();
                let token = head.encode();
                head.generation += 1;
                let lost = lost.iter().map(|(id, _)| id).filter(|id| packs.iter().all(|pack| pack.id != **id));
                head.condemned.extend(removed.iter().chain(lost).map(|id| (*id, now_ms)));
                if self.swap_packs(&token, &mut head, &removed)? {
                    break;
                }
                // Another writer was faster. What was written anew still serves, unless he took up something that was dead.
                attempt += 1;
                let newer = self.view()?;
                let more = self.mark(&newer, horizon, reached.clone())?;
                let new: HashSet<ObjectId> = more.difference(&reached).copied().collect();
                let revived = self.objects.plan_sweep(&new, 1.0)?.packs.iter().any(|pack| pack.live_objects > 0 && removed.contains(&pack.pack.id));
                if revived || attempt == ATTEMPTS_MAX {
                    return Ok(None);
                }
                reached = more;
                head = Head::decode(&newer.mark.token).map_err(HistoryError::Head)?;
            }
        }
        // What is condemned is in no head since; that its file goes before its name does no harm.
        let deleted: HashSet<PackId> = delete_condemned(store, &head, now_ms, options.grace_ms)?.into_iter().collect();
        done.files_deleted += deleted.len() as u64;
        if !deleted.is_empty() {
            let before = head.encode();
            head.condemned.retain(|(id, _)| !deleted.contains(id));
            // Left to the next time where another writer was faster.
            self.swap_packs(&before, &mut head, &HashSet::new())?;
        }
        for (path, _) in delete_orphans(store, &head, options.grace_ms.max(UNFINISHED_MS), true, &*self.progress)? {
            if pack_id(&path).is_none() {
                store.delete(&path).map_err(HistoryError::from)?;
                done.files_deleted += 1;
            }
        }
        done.files_deleted += store.clear_unfinished(options.grace_ms.max(UNFINISHED_MS)).map_err(HistoryError::from)?;
        Ok(Some(done))
    }

    /// All that the operations of a view since then reach, and what was `seen` to be reached before.
    fn mark(&self, view: &View, since_millis: i64, seen: HashSet<ObjectId>) -> Result<HashSet<ObjectId>, RepoError> {
        self.progress.start("following history", None, Unit::Objects);
        let mut marker = Marker { repo: self, at_end: false };
        let mut reach = Reach::beyond(&self.objects, &mut marker, seen);
        let walked = reach.operations(view, since_millis);
        let reached = reach.into_seen();
        self.progress.finish();
        if self.progress.interrupted() {
            return Err(RepoError::Interrupted);
        }
        walked?;
        Ok(reached)
    }

    fn swap_packs(&self, from: &[u8], head: &mut Head, removed: &HashSet<PackId>) -> Result<bool, RepoError> {
        Ok(StoreLedger::new(self.objects.clone()).swap_packs(Some(from), head, removed)?)
    }
}

fn summary(reached: &HashSet<ObjectId>, plan: &SweepPlan) -> Collected {
    Collected {
        objects_live: reached.len() as u64,
        bytes_live: plan.packs.iter().map(|pack| pack.live_bytes).sum(),
        bytes_dead: plan.packs.iter().map(|pack| pack.dead_bytes).sum(),
        packs_condemned: plan.rewrite.len() as u64,
        bytes_condemned: plan.rewrite.iter().map(|pack| pack.length).sum(),
        bytes_written: plan.bytes_written,
        files_deleted: 0,
    }
}

/// The pack whose file that is.
fn pack_id(path: &str) -> Option<PackId> {
    path.strip_prefix("packs/")?.strip_suffix(".pack")?.parse().ok()
}
