//! Reads through the cache are those of the file, and ask for no more than they must.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::super::MemoryStore;
use super::*;

/// A store that counts what is asked of it.
#[derive(Debug)]
struct Counting {
    inner: MemoryStore,
    reads: AtomicUsize,
    bytes: AtomicUsize,
    slow: bool,
}

impl Store for Counting {
    fn read_head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.read_head()
    }
    fn swap_head(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        self.inner.swap_head(expected, new)
    }
    fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add((range.end - range.start) as usize, Ordering::Relaxed);
        if self.slow {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
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

const LENGTH: u64 = 5 * PAGE_BYTES + 777;

fn content(length: u64) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// A far store with the file `f` of so many bytes.
fn far(length: u64, slow: bool) -> Arc<Counting> {
    let inner = MemoryStore::new();
    inner.overwrite("f", content(length));
    Arc::new(Counting { inner, reads: AtomicUsize::new(0), bytes: AtomicUsize::new(0), slow })
}

fn asked(store: &Counting) -> (usize, usize) {
    (store.reads.swap(0, Ordering::Relaxed), store.bytes.swap(0, Ordering::Relaxed))
}

#[test]
fn what_is_near_comes_along_and_is_not_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    for disk in [None, Some(Arc::new(PageCache::new(dir.path(), 1 << 30)))] {
        let inner = far(LENGTH, false);
        let store = CachedStore::new(inner.clone(), "s3://a".into(), disk.clone());
        let read = |store: &CachedStore, range: Range<u64>, near: Range<u64>| {
            let got = store.read_near("f", range.clone(), near, LENGTH).unwrap();
            assert_eq!(&got[..], &content(LENGTH)[range.start as usize..range.end as usize]);
        };
        read(&store, 10..20, 10..2 * PAGE_BYTES);
        assert_eq!(asked(&inner), (1, 2 * PAGE_BYTES as usize));
        read(&store, PAGE_BYTES - 5..PAGE_BYTES + 5, 0..0);
        assert_eq!(asked(&inner), (0, 0));
        // The last page ends with the file; those that are there are not brought again.
        read(&store, LENGTH - 1..LENGTH, 0..LENGTH);
        assert_eq!(asked(&inner), (1, (LENGTH - 2 * PAGE_BYTES) as usize));
        read(&store, 0..LENGTH, 0..LENGTH);
        assert_eq!(asked(&inner), (0, 0));
        // Another process has what is on the disk.
        let other = CachedStore::new(inner.clone(), "s3://a".into(), disk.clone());
        read(&other, 0..LENGTH, 0..LENGTH);
        assert_eq!(asked(&inner).0, usize::from(disk.is_none()));
        // What was dropped is asked for anew; past the end there is nothing.
        assert!(store.forget("f", LENGTH) && !store.forget("f", LENGTH));
        read(&store, 0..1, 0..0);
        assert_eq!(asked(&inner), (1, PAGE_BYTES as usize));
        assert!(matches!(store.read_near("f", 0..LENGTH + 1, 0..0, LENGTH), Err(StoreError::Short { .. })));
        assert!(matches!(store.read_near("g", 0..1, 0..0, LENGTH), Err(StoreError::NotFound { .. })));
    }
}

#[test]
fn threads_that_want_one_page_ask_once_and_long_reads_are_split() {
    let inner = far(LENGTH, true);
    let store = CachedStore::new(inner.clone(), "s3://a".into(), None);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(store.read_near("f", 3..9, 0..LENGTH, LENGTH).unwrap()[..], content(9)[3..]));
        }
    });
    assert_eq!(asked(&inner), (1, LENGTH as usize));
    let long = 3 * REQUEST_BYTES_MAX + 5;
    let inner = far(long, true);
    let store = CachedStore::new(inner.clone(), "s3://a".into(), None);
    assert_eq!(store.read_near("f", 0..long, 0..0, long).unwrap()[..], content(long)[..]);
    assert_eq!(asked(&inner), (4, long as usize));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn reads_are_those_of_the_file(reads in prop::collection::vec((0..LENGTH, 0..LENGTH, 0..LENGTH, 0..LENGTH), 1..20), small in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        // A cache that holds three pages drops others all the while.
        let disk = PageCache::new(dir.path(), if small { 3 * PAGE_BYTES } else { 1 << 30 });
        let store = CachedStore::new(far(LENGTH, false), "s3://a".into(), Some(Arc::new(disk)));
        for (a, b, c, d) in reads {
            let (range, near) = (a.min(b)..a.max(b), c.min(d)..c.max(d));
            let got = store.read_near("f", range.clone(), near, LENGTH).unwrap();
            prop_assert_eq!(&got[..], &content(LENGTH)[range.start as usize..range.end as usize]);
        }
    }
}
