//! The ledger of a store: its head pointer.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{HistoryError, Ledger, Mark, Objects};
use crate::base::{OperationId, PackId};
use crate::chunk;
use crate::chunk::sweep::plan_fold;
use crate::format::head::{Head, PackEntry, pack_path};
use crate::store::StoreError;

/// Who only reads takes a head of this age for the newest.
const FRESH: Duration = Duration::from_secs(5);
/// So often a fold is published anew over what others wrote meanwhile.
const FOLD_ATTEMPTS_MAX: usize = 8;

/// The head pointer of the store in which the objects are kept. Keeps their catalogue as new as the head that was read or written last.
#[derive(Debug)]
pub struct StoreLedger {
    objects: Arc<Objects>,
    /// True where others read from afar, who cannot hold a file open: what is folded away stays for a time of grace.
    is_shared: bool,
    /// The head whose catalogue the objects have.
    seen: Mutex<Vec<u8>>,
    /// True once a fold was in vain because another writer was faster.
    has_rivals: AtomicBool,
    /// Of one that only reads: the head that was read last, and when.
    read: Option<Mutex<(Vec<u8>, Instant)>>,
}

impl StoreLedger {
    /// The ledger of the store of these objects.
    pub fn new(objects: Arc<Objects>) -> Self {
        StoreLedger { objects, is_shared: false, seen: Mutex::default(), has_rivals: AtomicBool::new(false), read: None }
    }

    /// The ledger of a remote that is only read: the head, of which `mark` was read just now, is not asked for again for some seconds. Whoever swaps must know the newest.
    pub fn reading(objects: Arc<Objects>, mark: &Mark) -> Self {
        let read = Mutex::new((mark.token.clone(), Instant::now()));
        StoreLedger { seen: Mutex::new(mark.token.clone()), read: Some(read), ..StoreLedger::shared(objects) }
    }

    /// The ledger of a remote: packs that are folded into others are condemned, and deleted by a later garbage collection.
    pub fn shared(objects: Arc<Objects>) -> Self {
        StoreLedger { is_shared: true, ..StoreLedger::new(objects) }
    }

    fn see(&self, head: &Head, bytes: &[u8]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen != bytes {
            self.objects.refresh(head);
            *seen = bytes.to_vec();
        }
    }
}

impl Ledger for StoreLedger {
    fn newest(&self) -> Result<Option<Mark>, HistoryError> {
        let Some(bytes) = self.recent_head()? else { return Ok(None) };
        let head = Head::decode(&bytes).map_err(HistoryError::Head)?;
        self.see(&head, &bytes);
        Ok(Some(Mark { operation: head.operation, generation: head.generation, token: bytes }))
    }

    fn swap(&self, from: Option<&Mark>, to: OperationId) -> Result<bool, HistoryError> {
        let mut head = match from {
            Some(mark) => Head::decode(&mark.token).map_err(HistoryError::Head)?,
            None => Head { operation: to, generation: 0, packs: Vec::new(), older: None, condemned: Vec::new() },
        };
        head.operation = to;
        let removed = self.fold_along(&mut head);
        let swapped = self.swap_packs(from.map(|mark| mark.token.as_slice()), &mut head, &removed)?;
        if swapped {
            self.fold(&head);
        } else if !removed.is_empty() {
            // What was folded goes along with the next try, as a copy; where many write, folds of their own are published over each other's.
            self.has_rivals.store(true, Ordering::Relaxed);
        }
        Ok(swapped)
    }
}

impl StoreLedger {
    /// The head pointer's bytes; those that were read some seconds ago, where that is good enough.
    fn recent_head(&self) -> Result<Option<Vec<u8>>, HistoryError> {
        let Some(read) = &self.read else { return Ok(self.objects.store().read_head()?) };
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.1.elapsed() < FRESH {
            return Ok(Some(read.0.clone()));
        }
        let newest = self.objects.store().read_head()?;
        if let Some(bytes) = &newest {
            *read = (bytes.clone(), Instant::now());
        }
        Ok(newest)
    }

    /// Flushes what was written and publishes it in `head`, from which `remove` leaves; true if the head pointer was `from` until then. After
    /// [`HistoryError::Unsettled`] it may be published or not; after other errors it is not.
    pub fn swap_packs(&self, from: Option<&[u8]>, head: &mut Head, remove: &HashSet<PackId>) -> Result<bool, HistoryError> {
        let packs = self.objects.flush()?;
        // Garbage collection takes a pack that lay about for a long time for one that a dead writer left.
        if packs.iter().any(|pack| head.condemned.iter().any(|(id, _)| *id == pack.id)) {
            return Err(HistoryError::Collected);
        }
        let store = self.objects.store();
        // What was condemned and deleted is in that list no more; its file was gone before its name was.
        for pack in &packs {
            match store.length(&pack.path()) {
                Err(StoreError::NotFound { .. }) => return Err(HistoryError::Collected),
                other => drop(other?),
            }
        }
        (head.packs, head.older) = chunk::publish(store.as_ref(), head, &packs, remove)?;
        let bytes = head.encode();
        let swapped = match store.swap_head(from, &bytes) {
            Ok(swapped) => swapped,
            // The reply may have been lost: the head itself tells.
            Err(error) => match store.read_head() {
                Ok(now) if now.as_deref() == Some(bytes.as_slice()) => true,
                Ok(now) if now.as_deref() == from => return Err(error.into()),
                _ => return Err(HistoryError::Unsettled(Box::new(error.into()))),
            },
        };
        if swapped {
            self.see(head, &bytes);
            // Those that went to an older part of the catalogue at once are not seen in the head.
            self.objects.settle(&packs);
        }
        Ok(swapped)
    }

    /// Drops what was written in vain. In a remote nothing is deleted by one who lost: what was his alone is not certain there.
    fn give_up(&self) {
        if self.is_shared { self.objects.abandon() } else { drop(self.objects.discard()) }
    }

    /// Folds small packs of a remote into one where that is due, to be published with what is published anyway: a swap of its own would be one request more. Returns the packs that leave.
    fn fold_along(&self, head: &mut Head) -> HashSet<PackId> {
        if !self.is_shared || self.has_rivals.load(Ordering::Relaxed) {
            return HashSet::new();
        }
        // The pack that is published counts already, though it is not folded itself.
        let coming = PackEntry { id: PackId([0; 32]), length: 0, index_length: 0, objects: 0 };
        let mut packs = plan_fold(&[head.packs.as_slice(), &[coming]].concat(), self.objects.limits());
        packs.retain(|pack| pack.id != coming.id);
        if packs.is_empty() {
            return HashSet::new();
        }
        // One that fails is left for the next operation; what it wrote is a copy.
        let Ok(folded) = self.objects.fold(&packs) else { return HashSet::new() };
        condemn(head, &folded.removed);
        folded.removed.into_iter().collect()
    }

    /// Folds small packs into one where that is due. What `head` publishes is done: a fold that fails is left for the next operation. One that meets other writers is published over theirs,
    /// as long as all that it folded is still listed: where many write, none would ever be the first.
    fn fold(&self, head: &Head) {
        let packs = plan_fold(&head.packs, self.objects.limits());
        if packs.is_empty() {
            return;
        }
        let Ok(folded) = self.objects.fold(&packs) else {
            self.give_up();
            return;
        };
        let removed: HashSet<PackId> = folded.removed.into_iter().collect();
        let mut newest = head.clone();
        for _ in 0..FOLD_ATTEMPTS_MAX {
            let mut folded_head = newest.clone();
            if self.is_shared {
                condemn(&mut folded_head, removed.iter());
            }
            match self.swap_packs(Some(&newest.encode()), &mut folded_head, &removed) {
                Ok(true) if self.is_shared => return,
                // Who still has the old catalogue reads the new one when he misses a file.
                Ok(true) => return removed.into_iter().for_each(|pack| drop(self.objects.store().delete(&pack_path(pack)))),
                Ok(false) => {}
                // Whether the head was swapped is not known: what was written stays, to be collected if it was not.
                Err(_) => return,
            }
            match self.newest().ok().flatten().and_then(|mark| Head::decode(&mark.token).ok()) {
                // A garbage collection that was published meanwhile may have had its own plans with them.
                Some(now) if now.generation == newest.generation && lists(&now, &removed) => newest = now,
                _ => break,
            }
        }
        self.give_up();
    }
}

/// Notes that packs have left the catalogue now.
fn condemn<'a>(head: &mut Head, packs: impl IntoIterator<Item = &'a PackId>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    head.condemned.extend(packs.into_iter().map(|id| (*id, now)));
}

/// True where a head itself lists all of these packs.
fn lists(head: &Head, packs: &HashSet<PackId>) -> bool {
    head.packs.iter().filter(|pack| packs.contains(&pack.id)).count() == packs.len()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use bytes::Bytes;

    use super::*;
    use crate::chunk::Limits;
    use crate::history::graph::tests::commit;
    use crate::history::state::branch_key;
    use crate::history::{Stamp, State, Transaction, View};
    use crate::store::{Listed, MemoryStore, NewFile, Store};

    /// A store on which, whenever a fold is to be published, another writer is a little faster, so often.
    #[derive(Debug)]
    struct Rivalled {
        inner: MemoryStore,
        rivals: AtomicU64,
    }

    impl Store for Rivalled {
        fn read_head(&self) -> Result<Option<Vec<u8>>, StoreError> {
            self.inner.read_head()
        }

        fn swap_head(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
            let packs = |bytes: &[u8]| Head::decode(bytes).unwrap().packs.len();
            let is_fold = expected.is_some_and(|expected| packs(expected) > packs(new));
            if is_fold && self.rivals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                // It does not fold itself: its catalogue is no larger than it was when the fold was planned.
                Writer::new(Arc::new(self.inner.clone()), Limits { pack_bytes: 0, ..Limits::default() }).set("rival");
            }
            self.inner.swap_head(expected, new)
        }

        fn read(&self, path: &str, range: std::ops::Range<u64>) -> Result<Bytes, StoreError> {
            self.inner.read(path, range)
        }

        fn length(&self, path: &str) -> Result<u64, StoreError> {
            self.inner.length(path)
        }

        fn create(&self) -> Result<Box<dyn NewFile>, StoreError> {
            self.inner.create()
        }

        fn delete(&self, path: &str) -> Result<(), StoreError> {
            self.inner.delete(path)
        }

        fn list(&self, dir: &str) -> Result<Vec<Listed>, StoreError> {
            self.inner.list(dir)
        }

        fn clear_unfinished(&self, age_ms: u64) -> Result<u64, StoreError> {
            self.inner.clear_unfinished(age_ms)
        }
    }

    struct Writer {
        objects: Arc<Objects>,
        ledger: StoreLedger,
        store: Arc<dyn Store>,
    }

    impl Writer {
        fn new(store: Arc<dyn Store>, limits: Limits) -> Writer {
            let objects = Arc::new(Objects::new(store.clone(), limits));
            Writer { ledger: StoreLedger::shared(objects.clone()), objects, store }
        }

        /// Publishes a new commit on a branch.
        fn set(&self, branch: &str) {
            let mut transaction = Transaction::new(View::newest(&self.objects, &self.ledger).unwrap());
            let number = transaction_number();
            let commit = commit(&self.objects, number, vec![], 0);
            transaction.set(&branch_key(&format!("{branch}-{number}")), Some(commit.0.to_vec())).unwrap();
            transaction.publish(&self.objects, &self.ledger, &Stamp { user: "ada".into(), millis: 0, command: branch.into() }).unwrap();
        }

        fn head(&self) -> Head {
            Head::decode(&self.store.read_head().unwrap().unwrap()).unwrap()
        }

        fn state(&self) -> State {
            View::newest(&self.objects, &self.ledger).unwrap().unwrap().state
        }
    }

    fn transaction_number() -> usize {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        NEXT.fetch_add(1, Ordering::SeqCst) as usize
    }

    #[test]
    fn a_fold_that_meets_other_writers_is_published_over_theirs() {
        // As often as it is tried, and once more.
        for (rivals, is_folded) in [(0, true), (1, true), (FOLD_ATTEMPTS_MAX as u64 - 1, true), (FOLD_ATTEMPTS_MAX as u64, false)] {
            let inner = MemoryStore::new();
            let plain = Writer::new(Arc::new(inner.clone()), Limits { pack_bytes: 0, ..Limits::default() });
            for _ in 0..7 {
                plain.set("main");
            }
            assert_eq!(plain.head().packs.len(), 7);
            let before: HashSet<PackId> = plain.head().packs.iter().map(|pack| pack.id).collect();
            let store = Arc::new(Rivalled { inner: inner.clone(), rivals: AtomicU64::new(rivals) });
            let last = Writer::new(store.clone(), Limits::default());
            // As one who has met others before.
            last.ledger.has_rivals.store(true, Ordering::SeqCst);
            last.set("last");
            assert_eq!(store.rivals.load(Ordering::SeqCst), 0);
            let head = plain.head();
            let condemned: HashSet<PackId> = head.condemned.iter().map(|(id, _)| *id).collect();
            if is_folded {
                // One for the eight, and one of each rival; the eight are told once each, and their files stay for those who still read them.
                assert_eq!((head.packs.len() as u64, head.condemned.len(), condemned.len()), (1 + rivals, 8, 8), "{rivals}");
                assert!(before.is_subset(&condemned) && condemned.iter().all(|id| inner.length(&pack_path(*id)).is_ok()));
            } else {
                assert_eq!((head.packs.len() as u64, head.condemned.len()), (8 + rivals, 0));
            }
            // Nobody's work is lost, and all of it is found by one who comes anew.
            let fresh = Writer::new(Arc::new(inner), Limits::default());
            let branches = fresh.state().branches().unwrap();
            assert_eq!(branches.len() as u64, 8 + rivals);
            for commit in branches.values() {
                assert!(fresh.objects.contains(*commit).unwrap());
            }
        }
    }

    #[test]
    fn a_fold_goes_along_with_what_is_published() {
        let inner = MemoryStore::new();
        let plain = Writer::new(Arc::new(inner.clone()), Limits { pack_bytes: 0, ..Limits::default() });
        for _ in 0..7 {
            plain.set("main");
        }
        let before: Vec<PackId> = plain.head().packs.iter().map(|pack| pack.id).collect();
        // Any swap beside the one of the operation itself would meet a rival.
        let store = Arc::new(Rivalled { inner: inner.clone(), rivals: AtomicU64::new(0) });
        Writer::new(store, Limits::default()).set("last");
        let head = plain.head();
        let condemned: Vec<PackId> = head.condemned.iter().map(|(id, _)| *id).collect();
        assert_eq!((head.packs.len(), condemned.len()), (2, 7));
        assert!(before.iter().all(|id| condemned.contains(id)));
        let fresh = Writer::new(Arc::new(inner), Limits::default());
        assert_eq!(fresh.state().branches().unwrap().len(), 8);
        // One that meets another writer is in vain, and nothing is lost by it.
        let contended = Arc::new(Rivalled { inner: fresh_store(7), rivals: AtomicU64::new(1) });
        let writer = Writer::new(contended.clone(), Limits::default());
        writer.set("last");
        let branches = writer.state().branches().unwrap();
        assert_eq!((branches.len(), contended.rivals.load(Ordering::SeqCst)), (9, 0));
        assert!(branches.values().all(|commit| writer.objects.contains(*commit).unwrap()));
    }

    /// A store with so many small packs.
    fn fresh_store(packs: usize) -> MemoryStore {
        let store = MemoryStore::new();
        let plain = Writer::new(Arc::new(store.clone()), Limits { pack_bytes: 0, ..Limits::default() });
        (0..packs).for_each(|_| plain.set("main"));
        store
    }

    #[test]
    fn a_fold_leaves_what_another_has_folded() {
        let inner = MemoryStore::new();
        let plain = Writer::new(Arc::new(inner.clone()), Limits { pack_bytes: 0, ..Limits::default() });
        for _ in 0..8 {
            plain.set("main");
        }
        let stale = Writer::new(Arc::new(inner.clone()), Limits::default());
        let seen = {
            stale.state();
            stale.head()
        };
        // Eight are there; the next operation of another folds them, and then this one comes with its own fold of the same.
        Writer::new(Arc::new(inner.clone()), Limits::default()).set("other");
        let folded = plain.head();
        assert_eq!(folded.packs.len(), 2);
        stale.ledger.fold(&seen);
        assert_eq!(plain.head(), folded);
    }
}
