//! A store that breaks on purpose, for tests of what stands above it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::{Listed, NewFile, Store, StoreError};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The step fails and does nothing.
    Fail,
    /// As a full disk: a write takes in half of its bytes and fails.
    Full,
    /// The process dies: the step fails and does nothing, and so does every step after it. What was finished before stays.
    Kill,
    /// A swap of the head pointer takes place, but its caller is told that it failed; other steps pass.
    LoseReply,
}

/// Wraps a store; the `n`-th step that changes something (creating, writing, finishing, swapping, deleting) meets a [`Fault`].
#[derive(Debug, Clone)]
pub struct FaultStore {
    inner: Arc<dyn Store>,
    steps: Arc<AtomicU64>,
    at: u64,
    fault: Fault,
}

impl FaultStore {
    /// Breaks `inner` by `fault` at step `at`, counted from 0; never, if there are fewer steps.
    pub fn new(inner: Arc<dyn Store>, at: u64, fault: Fault) -> FaultStore {
        FaultStore { inner, steps: Arc::default(), at, fault }
    }

    /// How many steps there were so far.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::SeqCst)
    }

    /// Counts a step; the fault that it meets, if any.
    fn step(&self) -> Option<Fault> {
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        let hit = step == self.at || (self.fault == Fault::Kill && step > self.at);
        hit.then_some(self.fault)
    }

    fn error(&self, what: &str) -> StoreError {
        match self.fault {
            Fault::Full => StoreError::Full { path: what.to_owned() },
            fault => StoreError::Io { path: what.to_owned(), source: Arc::new(std::io::Error::other(format!("made to fail: {fault:?}"))) },
        }
    }

    fn pass(&self, what: &str) -> Result<(), StoreError> {
        match self.step() {
            None | Some(Fault::LoseReply) => Ok(()),
            Some(_) => Err(self.error(what)),
        }
    }
}

impl Store for FaultStore {
    fn read_head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.read_head()
    }

    fn swap_head(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        match self.step() {
            None => self.inner.swap_head(expected, new),
            Some(Fault::LoseReply) => {
                self.inner.swap_head(expected, new)?;
                Err(self.error("head"))
            }
            Some(_) => Err(self.error("head")),
        }
    }

    fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.inner.read(path, range)
    }

    fn map(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.inner.map(path, range)
    }

    fn length(&self, path: &str) -> Result<u64, StoreError> {
        self.inner.length(path)
    }

    fn create(&self) -> Result<Box<dyn NewFile>, StoreError> {
        self.pass("a new file")?;
        Ok(Box::new(FaultFile { store: self.clone(), inner: self.inner.create()? }))
    }

    fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.pass(path)?;
        self.inner.delete(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<Listed>, StoreError> {
        self.inner.list(dir)
    }

    fn clear_unfinished(&self, age_ms: u64) -> Result<u64, StoreError> {
        self.inner.clear_unfinished(age_ms)
    }
}

struct FaultFile {
    store: FaultStore,
    inner: Box<dyn NewFile>,
}

impl NewFile for FaultFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        match self.store.step() {
            None | Some(Fault::LoseReply) => self.inner.write(bytes),
            Some(fault) => {
                if fault == Fault::Full {
                    self.inner.write(bytes.get(..bytes.len() / 2).unwrap_or_default())?;
                }
                Err(self.store.error("an unfinished file"))
            }
        }
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.inner.read(range)
    }

    fn finish(self: Box<Self>, path: &str) -> Result<(), StoreError> {
        self.store.pass(path)?;
        self.inner.finish(path)
    }
}
