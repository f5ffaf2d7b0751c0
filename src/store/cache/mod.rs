//! A far store whose files are read page by page, and kept near.
//!
//! A request costs as much as some hundred kilobytes on their way: what stands around the bytes that are asked for comes along where the caller says that it is likely to be wanted. A page that is on its way is not asked for again by another thread.

mod pages;

use std::collections::HashSet;
use std::ops::Range;
use std::process::id;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use super::{Listed, NewFile, Store, StoreError};
use crate::base::cache::Cache;

pub use pages::{FileKey, PageCache, Usage};
use pages::{PAGE_BYTES, page_bytes};

/// One request brings at most so many bytes; more are asked for at once.
const REQUEST_BYTES_MAX: u64 = 4 << 20;
/// So many requests for one read.
const REQUESTS: usize = 8;
/// Pages between two runs that are asked for in one request although they are there.
const GAP_PAGES: u64 = 2;
/// Bytes kept in memory where there is no folder for them.
const MEMORY_BYTES: usize = 64 << 20;

/// A far store with a cache of pages. The head pointer is never kept.
#[derive(Debug)]
pub struct CachedStore {
    inner: Arc<dyn Store>,
    address: String,
    disk: Option<Arc<PageCache>>,
    memory: Cache<(FileKey, u64), Bytes>,
    flight: Flight,
}

/// The pages that are on their way.
#[derive(Debug, Default)]
struct Flight {
    flying: Mutex<Flying>,
    landed: Condvar,
}

#[derive(Debug, Default)]
struct Flying {
    /// The process whose threads bring them: one that was forked off has none of those.
    process: u32,
    pages: HashSet<(FileKey, u64)>,
}

impl Flight {
    fn flying(&self) -> MutexGuard<'_, Flying> {
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        if flying.process != id() {
            *flying = Flying { process: id(), pages: HashSet::new() };
        }
        flying
    }

    /// Those of these pages that nobody brings yet; they are now the caller's to bring.
    fn claim(&self, file: FileKey, pages: impl Iterator<Item = u64>) -> Claim<'_> {
        let flying = &mut self.flying().pages;
        let mine = pages.filter(|page| flying.insert((file, *page))).collect();
        Claim { flight: self, file, pages: mine }
    }

    /// Waits until none of these pages is on its way.
    fn wait(&self, file: FileKey, pages: &Range<u64>) {
        let is_flying = |flying: &mut Flying| pages.clone().any(|page| flying.pages.contains(&(file, page)));
        drop(self.landed.wait_while(self.flying(), is_flying).unwrap_or_else(PoisonError::into_inner));
    }
}

/// Pages that one thread brings. Others may ask for them again once this is dropped.
struct Claim<'a> {
    flight: &'a Flight,
    file: FileKey,
    pages: Vec<u64>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.pages.is_empty() {
            let mut flying = self.flight.flying();
            for page in &self.pages {
                flying.pages.remove(&(self.file, *page));
            }
            self.flight.landed.notify_all();
        }
    }
}

fn pages_of(bytes: &Range<u64>) -> Range<u64> {
    bytes.start / PAGE_BYTES..bytes.end.div_ceil(PAGE_BYTES)
}

impl CachedStore {
    /// The store at `address`, of which pages are kept in `disk`, or without one in memory.
    pub fn new(inner: Arc<dyn Store>, address: String, disk: Option<Arc<PageCache>>) -> CachedStore {
        CachedStore { inner, address, disk, memory: Cache::new(MEMORY_BYTES), flight: Flight::default() }
    }

    fn keep(&self, file: FileKey, page: u64, bytes: &Bytes) {
        if !self.disk.as_ref().is_some_and(|disk| disk.write(&file, page, bytes)) {
            // A page of a longer answer would keep all of it.
            self.memory.insert((file, page), Bytes::copy_from_slice(bytes), bytes.len());
        }
    }

    /// Puts the pages that are kept where `got`, whose first is `pages.start`, lacks them.
    fn look(&self, file: FileKey, pages: &Range<u64>, length: u64, got: &mut [Option<Bytes>]) {
        for (page, slot) in pages.clone().zip(got.iter_mut()) {
            if slot.is_none() {
                *slot = self.memory.get(&(file, page));
            }
        }
        let lacking = || pages.clone().zip(got.iter()).filter(|(_, slot)| slot.is_none()).map(|(page, _)| page);
        let (Some(disk), Some(first), Some(last)) = (&self.disk, lacking().min(), lacking().max()) else { return };
        disk.read(&file, first..last + 1, length, &mut |page, bytes| {
            if let Some(slot) = got.get_mut((page - pages.start) as usize) {
                slot.get_or_insert(bytes);
            }
        });
    }

    /// Which of these pages are kept, as far as can be seen without reading them.
    fn present(&self, file: FileKey, pages: &Range<u64>) -> HashSet<u64> {
        let mut present: HashSet<u64> = self.disk.as_ref().map_or_else(Vec::new, |disk| disk.present(&file, pages.clone())).into_iter().collect();
        present.extend(pages.clone().filter(|page| self.memory.get(&(file, *page)).is_some()));
        present
    }

    /// Asks for a run of pages in one request, keeps them, and gives them with their numbers.
    fn fetch_run(&self, path: &str, file: FileKey, run: Range<u64>, length: u64) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let bytes = self.inner.read(path, run.start * PAGE_BYTES..(run.end * PAGE_BYTES).min(length))?;
        let mut brought = Vec::new();
        for page in run.clone() {
            let from = ((page - run.start) * PAGE_BYTES) as usize;
            let one = bytes.slice(from..from + page_bytes(page, length) as usize);
            self.keep(file, page, &one);
            brought.push((page, one));
        }
        Ok(brought)
    }

    /// The same for several runs, at once.
    fn fetch_runs(&self, path: &str, file: FileKey, runs: Vec<Range<u64>>, length: u64) -> Result<Vec<(u64, Bytes)>, StoreError> {
        if let [one] = runs.as_slice() {
            return self.fetch_run(path, file, one.clone(), length);
        }
        let (count, next) = (runs.len().min(REQUESTS), Mutex::new(runs.into_iter()));
        let done = Mutex::new(Ok(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..count {
                scope.spawn(|| {
                    loop {
                        let Some(run) = next.lock().unwrap_or_else(PoisonError::into_inner).next() else { return };
                        let brought = self.fetch_run(path, file, run, length);
                        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                        match (&mut *done, brought) {
                            (Ok(all), Ok(more)) => all.extend(more),
                            (all @ Ok(_), Err(error)) => *all = Err(error),
                            (Err(_), _) => return,
                        }
                    }
                });
            }
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pages as runs to ask for, each of a size that one request brings.
fn runs_of(pages: &[u64]) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for page in pages {
        match runs.last_mut() {
            Some(run) if *page <= run.end + GAP_PAGES && (page + 1 - run.start) * PAGE_BYTES <= REQUEST_BYTES_MAX => run.end = page + 1,
            _ => runs.push(*page..page + 1),
        }
    }
    runs
}

impl Store for CachedStore {
    fn read_head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.read_head()
    }

    fn swap_head(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        self.inner.swap_head(expected, new)
    }

    fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.inner.read(path, range)
    }

    fn read_whole(&self, path: &str, bytes_max: u64) -> Result<Bytes, StoreError> {
        self.inner.read_whole(path, bytes_max)
    }

    fn read_near(&self, path: &str, range: Range<u64>, near: Range<u64>, length: u64) -> Result<Bytes, StoreError> {
        if range.start >= range.end || range.end > length {
            return self.inner.read(path, range);
        }
        let file = FileKey::new(&self.address, path);
        let wanted = pages_of(&range);
        let ahead = pages_of(&(near.start.min(range.start)..near.end.max(range.end).min(length)));
        let mut got: Vec<Option<Bytes>> = vec![None; (wanted.end - wanted.start) as usize];
        loop {
            self.look(file, &wanted, length, &mut got);
            let lacks = |page: &u64| page.checked_sub(wanted.start).and_then(|at| got.get(at as usize)).is_some_and(Option::is_none);
            if got.iter().all(Option::is_some) {
                return Ok(join(&got, &wanted, &range));
            }
            let present = self.present(file, &ahead);
            // What is kept and does not read is brought again.
            let claim = self.flight.claim(file, ahead.clone().filter(|page| lacks(page) || (!wanted.contains(page) && !present.contains(page))));
            if !claim.pages.is_empty() {
                for (page, bytes) in self.fetch_runs(path, file, runs_of(&claim.pages), length)? {
                    if let Some(slot) = page.checked_sub(wanted.start).and_then(|at| got.get_mut(at as usize)) {
                        *slot = Some(bytes);
                    }
                }
            }
            drop(claim);
            self.flight.wait(file, &wanted);
        }
    }

    fn bring(&self, path: &str, range: Range<u64>, length: u64) -> Result<(), StoreError> {
        let (file, pages) = (FileKey::new(&self.address, path), pages_of(&(range.start..range.end.min(length))));
        let present = self.present(file, &pages);
        let claim = self.flight.claim(file, pages.filter(|page| !present.contains(page)));
        if claim.pages.is_empty() { Ok(()) } else { self.fetch_runs(path, file, runs_of(&claim.pages), length).map(drop) }
    }

    fn is_far(&self) -> bool {
        true
    }

    fn forget(&self, path: &str, length: u64) -> bool {
        let file = FileKey::new(&self.address, path);
        let pages = 0..length.div_ceil(PAGE_BYTES);
        let in_memory = pages.clone().any(|page| self.memory.get(&(file, page)).is_some());
        pages.for_each(|page| self.memory.remove(&(file, page)));
        self.disk.as_ref().is_some_and(|disk| disk.forget(&file, length)) || in_memory
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

    fn send(&self, path: &str, length: u64, read: &(dyn Fn(Range<u64>) -> Result<Bytes, StoreError> + Sync)) -> Result<(), StoreError> {
        self.inner.send(path, length, read)
    }

    fn clear_unfinished(&self, age_ms: u64) -> Result<u64, StoreError> {
        self.inner.clear_unfinished(age_ms)
    }
}

/// The bytes `range` of pages of which the first is `pages.start`.
fn join(got: &[Option<Bytes>], pages: &Range<u64>, range: &Range<u64>) -> Bytes {
    let cut = |page: u64, bytes: &Bytes| {
        let start = page * PAGE_BYTES;
        let from = (range.start.saturating_sub(start) as usize).min(bytes.len());
        let to = (range.end.saturating_sub(start) as usize).min(bytes.len());
        bytes.slice(from..to)
    };
    let parts = pages.clone().zip(got).filter_map(|(page, bytes)| Some(cut(page, bytes.as_ref()?)));
    // Always a copy: a part would keep all that came with it in memory.
    let mut out = BytesMut::with_capacity((range.end - range.start) as usize);
    parts.for_each(|part| out.extend_from_slice(&part));
    out.freeze()
}

#[cfg(test)]
mod tests;
