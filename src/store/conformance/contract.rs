//! The contract that stands on [`Store`], as assertions. It needs nothing but the trait, so that servers can be held to it from outside as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Store, StoreError};

/// Writes a file.
pub fn put(store: &dyn Store, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = store.create()?;
    file.write(bytes)?;
    file.finish(path)
}

/// Holds a store, in which nothing is yet, to its contract.
pub fn conforms(store: Arc<dyn Store>) {
    files(store.as_ref());
    head(store.as_ref());
    races(store);
}

fn files(store: &dyn Store) {
    let path = "packs/one.pack";
    assert!(matches!(store.read(path, 0..1), Err(StoreError::NotFound { .. })));
    assert!(matches!(store.length(path), Err(StoreError::NotFound { .. })));
    assert_eq!(store.list("packs").unwrap(), []);
    let mut file = store.create().unwrap();
    file.write(b"hello ").unwrap();
    file.write(b"world").unwrap();
    assert_eq!(&file.read(4..8).unwrap()[..], b"o wo");
    assert!(file.read(4..12).is_err());
    // Nothing is seen of it yet.
    assert!(matches!(store.read(path, 0..1), Err(StoreError::NotFound { .. })));
    assert_eq!(store.list("packs").unwrap(), []);
    file.finish(path).unwrap();
    assert_eq!(&store.read(path, 0..11).unwrap()[..], b"hello world");
    assert_eq!(&store.read(path, 3..3).unwrap()[..], b"");
    assert_eq!(store.length(path).unwrap(), 11);
    for range in [0..12, 11..12, 1 << 40..1 << 41, 0..u64::MAX] {
        assert!(matches!(store.read(path, range.clone()), Err(StoreError::Short { length: 11, .. })), "{range:?}");
    }
    let listed = store.list("packs").unwrap();
    assert_eq!((listed.len(), listed[0].name.as_str(), listed[0].length), (1, "one.pack", 11));
    assert!(listed[0].age_ms < 60_000);
    // The same name again changes nothing.
    put(store, path, b"hello world").unwrap();
    assert_eq!(store.list("packs").unwrap().len(), 1);
    // One that is dropped leaves nothing.
    let mut dropped = store.create().unwrap();
    dropped.write(&vec![1; 100_000]).unwrap();
    drop(dropped);
    assert_eq!(store.clear_unfinished(0).unwrap(), 0);
    put(store, "catalogs/two", b"").unwrap();
    assert_eq!(store.length("catalogs/two").unwrap(), 0);
    store.delete(path).unwrap();
    store.delete(path).unwrap();
    assert!(matches!(store.read(path, 0..1), Err(StoreError::NotFound { .. })));
    assert_eq!(store.list("packs").unwrap(), []);
    assert_eq!(store.list("nowhere").unwrap(), []);
}

fn head(store: &dyn Store) {
    assert_eq!(store.read_head().unwrap(), None);
    assert!(!store.swap_head(Some(b"other"), b"first").unwrap());
    assert_eq!(store.read_head().unwrap(), None);
    assert!(store.swap_head(None, b"first").unwrap());
    assert!(!store.swap_head(None, b"again").unwrap());
    assert!(!store.swap_head(Some(b"firs"), b"again").unwrap());
    assert!(store.swap_head(Some(b"first"), b"second, longer").unwrap());
    assert!(store.swap_head(Some(b"second, longer"), b"3").unwrap());
    assert_eq!(store.read_head().unwrap().unwrap(), b"3");
    assert!(store.swap_head(Some(b"3"), b"0").unwrap());
}

/// Threads count up in the head; not one count may be lost, and no reader may see half a head.
fn races(store: Arc<dyn Store>) {
    let won = Arc::new(AtomicU64::new(0));
    let count = |head: &[u8]| -> u64 { std::str::from_utf8(head).unwrap().split(' ').next().unwrap().parse().unwrap() };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, won) = (&store, &won);
            scope.spawn(move || {
                let mut attempt = 0;
                while won.load(Ordering::SeqCst) < 40 {
                    let before = store.read_head().unwrap().unwrap();
                    attempt += 1;
                    // As heads are, which name an operation that nobody else makes.
                    let after = format!("{} by {thread} in {attempt}", count(&before) + 1);
                    if store.swap_head(Some(&before), after.as_bytes()).unwrap() {
                        won.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(count(&store.read_head().unwrap().unwrap()), won.load(Ordering::SeqCst));
}
