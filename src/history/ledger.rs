//! The ledger of a store: its head pointer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::{HistoryError, Ledger, Mark, Objects};
use crate::base::OperationId;
use crate::chunk;
use crate::format::head::Head;

/// The head pointer of the store in which the objects are kept. Keeps their catalogue as new as the head that was read or written last.
#[derive(Debug)]
pub struct StoreLedger {
    objects: Arc<Objects>,
    /// The head whose catalogue the objects have.
    seen: Mutex<Vec<u8>>,
}

impl StoreLedger {
    /// The ledger of the store of these objects.
    pub fn new(objects: Arc<Objects>) -> Self {
        StoreLedger { objects, seen: Mutex::default() }
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
        let packs = self.objects.flush()?;
        let store = self.objects.store();
        let mut head = match from {
            Some(mark) => Head::decode(&mark.token).map_err(HistoryError::Head)?,
            None => Head { operation: to, generation: 0, packs: Vec::new(), older: None, condemned: Vec::new() },
        };
        (head.packs, head.older) = chunk::publish(store.as_ref(), &head, &packs, &HashSet::new())?;
        head.operation = to;
        let bytes = head.encode();
        let swapped = store.swap_head(from.map(|mark| mark.token.as_slice()), &bytes)?;
        if swapped {
            self.see(&head, &bytes);
        }
        Ok(swapped)
    }
}
