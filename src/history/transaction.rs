//! Transactions: changes of the state, published as one operation that wins or loses whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ensure::{ensure, gone};
use super::log::OperationLog;
use super::{HistoryError, Objects, State, load_operation, store_operation};
use crate::base::OperationId;
use crate::chunk::nonce;
use crate::format::operation::Operation;

/// How often, and for how long, a change is tried against writers of other keys before giving up: both. Against seven that publish as fast as they can, one attempt in twelve or so wins, so
/// that the number alone would fail one change in some thousand.
const ATTEMPTS_MAX: u32 = 100;
const PATIENCE: Duration = Duration::from_secs(120);

/// The one place that says which operation is the newest.
pub trait Ledger: Send + Sync {
    /// The newest operation; none where no repository has been made yet. Objects that it reaches can be read once this returns.
    fn newest(&self) -> Result<Option<Mark>, HistoryError>;

    /// Makes everything that was written durable, then makes `to` the newest operation if `from` still is: true if so, false if another
    /// was, which leaves all as it is. After an error either may have happened, and [`Ledger::newest`] tells which.
    fn swap(&self, from: Option<&Mark>, to: OperationId) -> Result<bool, HistoryError>;
}

/// The newest operation as it was found at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The operation.
    pub operation: OperationId,
    /// How many garbage collections had condemned something by then.
    pub generation: u64,
    /// What the ledger compares with.
    pub token: Vec<u8>,
}

/// The state as of one operation, as a reader or a writer found it.
#[derive(Debug, Clone)]
pub struct View {
    /// Where it was found.
    pub mark: Mark,
    /// The operation.
    pub operation: Operation,
    /// The state after it.
    pub state: State,
}

impl View {
    /// The newest view; none where no repository has been made yet.
    pub fn newest(objects: &Arc<Objects>, ledger: &dyn Ledger) -> Result<Option<View>, HistoryError> {
        let Some(mut mark) = ledger.newest()? else { return Ok(None) };
        loop {
            let operation = load_operation(objects, mark.operation);
            match operation.and_then(|operation| Ok((State::open(objects.clone(), &operation.state)?, operation))) {
                Ok((state, operation)) => return Ok(Some(View { mark, operation, state })),
                Err(error) => match ledger.newest()? {
                    // Overtaken by a writer, and by a garbage collection without grace.
                    Some(newer) if newer != mark => mark = newer,
                    _ => return Err(error),
                },
            }
        }
    }
}

/// Who does something, when, and by what command.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// The login name and machine.
    pub user: String,
    /// Milliseconds since 1970, UTC.
    pub millis: i64,
    /// The verb and its main arguments.
    pub command: String,
}

/// Changes of the state, on top of the view that they were made from. Nothing happens before [`Transaction::publish`].
#[derive(Debug, Clone)]
pub struct Transaction {
    base: Option<View>,
    /// By key: the value that is needed there, and the new one. Both are the same where the key is only relied upon.
    changes: BTreeMap<String, (Option<Vec<u8>>, Option<Vec<u8>>)>,
    reverts: Option<OperationId>,
}

impl Transaction {
    /// Changes on top of `base`; `None` makes the repository's first operation.
    pub fn new(base: Option<View>) -> Self {
        Transaction { base, changes: BTreeMap::new(), reverts: None }
    }

    /// Marks it as taking back that operation.
    pub fn reverting(mut self, operation: OperationId) -> Self {
        self.reverts = Some(operation);
        self
    }

    /// Sets a key, or at `None` removes it.
    pub fn set(&mut self, key: &str, value: Option<Vec<u8>>) -> Result<(), HistoryError> {
        let before = self.current(key)?;
        self.changes.insert(key.to_owned(), (before, value));
        Ok(())
    }

    /// Fails the transaction if another writer changes this key meanwhile, though it is not changed here.
    pub fn rely_on(&mut self, key: &str) -> Result<(), HistoryError> {
        if !self.changes.contains_key(key) {
            let before = self.current(key)?;
            self.changes.insert(key.to_owned(), (before.clone(), before));
        }
        Ok(())
    }

    fn current(&self, key: &str) -> Result<Option<Vec<u8>>, HistoryError> {
        self.base.as_ref().map_or(Ok(None), |base| base.state.get(key))
    }

    /// True where no key gets another value.
    pub fn is_empty(&self) -> bool {
        self.changes.values().all(|(before, after)| before == after)
    }

    /// Publishes the changes as one operation and returns the view after it.
    ///
    /// Where other writers changed other keys meanwhile, the operation is made anew on top of theirs; where one changed the same key to another
    /// value, this fails with [`HistoryError::Moved`]. A reply that got lost is found again by the operation's nonce. Changes nothing and
    /// returns the base where [`Self::is_empty`].
    pub fn publish(self, objects: &Arc<Objects>, ledger: &dyn Ledger, stamp: &Stamp) -> Result<View, HistoryError> {
        let nonce = nonce();
        let mut base = self.base.clone();
        if let Some(base) = base.as_ref().filter(|_| self.is_empty()) {
            return Ok(base.clone());
        }
        // The generation for which everything that is named was found to be there.
        let mut ensured = None;
        let started = Instant::now();
        for attempt in 0.. {
            if attempt >= ATTEMPTS_MAX && started.elapsed() >= PATIENCE {
                return Err(HistoryError::Contended(attempt));
            }
            let state = match &base {
                Some(base) => base.state.clone(),
                None => State::empty(objects.clone())?,
            };
            let mut updates = BTreeMap::new();
            for (key, (before, after)) in &self.changes {
                let current = state.get(key)?;
                if current != *before && (current != *after || before == after) {
                    return Err(HistoryError::Moved { key: key.clone() });
                }
                if before != after {
                    updates.insert(key.clone(), after.clone());
                }
            }
            let generation = base.as_ref().map_or(0, |base| base.mark.generation);
            if ensured != Some(generation) {
                let values = updates.iter().filter_map(|(key, after)| Some((key.as_str(), after.as_deref()?)));
                ensure(objects, base.as_ref().map(|base| &base.state), values)?;
                ensured = Some(generation);
            }
            let state = state.update(&updates)?;
            let operation = Operation {
                parent: base.as_ref().map(|base| base.mark.operation),
                nonce,
                user: stamp.user.clone(),
                millis: stamp.millis,
                command: stamp.command.clone(),
                state: state.reference()?,
                reverts: self.reverts,
            };
            let id = store_operation(objects, &operation)?;
            let swapped = ledger.swap(base.as_ref().map(|base| &base.mark), id).map_err(gone);
            if let Ok(true) = swapped {
                return View::newest(objects, ledger)?.ok_or(HistoryError::UnknownOperation(id.to_string()));
            }
            // Lost, or the reply was: our nonce among the operations since tells.
            let newest = match (View::newest(objects, ledger), swapped) {
                (Ok(newest), swapped) => {
                    if let Some(view) = &newest
                        && published(objects, view, base.as_ref(), nonce)?
                    {
                        return Ok(view.clone());
                    }
                    match swapped {
                        // It is settled by now.
                        Err(HistoryError::Unsettled(error)) => return Err(*error),
                        swapped => drop(swapped?),
                    }
                    newest
                }
                (Err(_), Err(error @ HistoryError::Unsettled(_))) => return Err(error),
                (Err(_), Err(error)) => return Err(HistoryError::Unsettled(Box::new(error))),
                (Err(error), Ok(_)) => return Err(HistoryError::Unsettled(Box::new(error))),
            };
            if newest.is_none() {
                // The repository is gone, or was made and is gone again.
                return Err(HistoryError::Contended(attempt + 1));
            }
            if base.is_none() {
                return Err(HistoryError::Moved { key: super::state::HEAD.to_owned() });
            }
            base = newest;
            pause(attempt);
        }
        Err(HistoryError::Contended(u32::MAX))
    }
}

/// True if one of the operations from `newest` back to `base` has that nonce.
fn published(objects: &Arc<Objects>, newest: &View, base: Option<&View>, nonce: [u8; 16]) -> Result<bool, HistoryError> {
    for entry in OperationLog::from(objects.clone(), newest) {
        let (id, operation) = entry?;
        if base.is_some_and(|base| base.mark.operation == id) {
            return Ok(false);
        }
        if operation.nonce == nonce {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Waits for a random time that grows with the attempts, at most a quarter of a second.
fn pause(attempt: u32) {
    let micros_max = 1000u64 << attempt.min(8);
    let draw = u64::from(nonce().first().copied().unwrap_or_default()) + 1;
    std::thread::sleep(Duration::from_micros(micros_max * draw / 256));
}
