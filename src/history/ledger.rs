//! The ledger of a store: its head pointer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{HistoryError, Ledger, Mark, Objects};
use crate::base::{OperationId, PackId};
use crate::chunk;
use crate::chunk::sweep::plan_fold;
use crate::format::head::{Head, pack_path};
use crate::store::StoreError;

/// The head pointer of the store in which the objects are kept. Keeps their catalogue as new as the head that was read or written last.
#[derive(Debug)]
pub struct StoreLedger {
    objects: Arc<Objects>,
    /// True where others read from afar, who cannot hold a file open: what is folded away stays for a time of grace.
    is_shared: bool,
    /// The head whose catalogue the objects have.
    seen: Mutex<Vec<u8>>,
}

impl StoreLedger {
    /// The ledger of the store of these objects.
    pub fn new(objects: Arc<Objects>) -> Self {
        StoreLedger { objects, is_shared: false, seen: Mutex::default() }
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
        let Some(bytes) = self.objects.store().read_head()? else { return Ok(None) };
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
        let swapped = self.swap_packs(from.map(|mark| mark.token.as_slice()), &mut head, &HashSet::new())?;
        if swapped {
            self.fold(&head);
        }
        Ok(swapped)
    }
}

impl StoreLedger {
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

    /// Folds small packs into one where that is due. What `head` publishes is done: a fold that fails, or meets another writer, is left for
    /// the next operation.
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
        let mut folded_head = head.clone();
        if self.is_shared {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
            folded_head.condemned.extend(removed.iter().map(|id| (*id, now)));
        }
        match self.swap_packs(Some(&head.encode()), &mut folded_head, &removed) {
            Ok(true) if self.is_shared => {}
            // Who still has the old catalogue reads the new one when he misses a file.
            Ok(true) => removed.into_iter().for_each(|pack| drop(self.objects.store().delete(&pack_path(pack)))),
            Ok(false) => self.give_up(),
            // Whether the head was swapped is not known: what was written stays, to be collected if it was not.
            Err(_) => {}
        }
    }
}
