//! What [`Store`] promises, held against every implementation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

fn put(store: &dyn Store, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = store.create()?;
    file.write(bytes)?;
    file.finish(path)
}

pub(super) fn conforms(store: Arc<dyn Store>) {
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

#[test]
fn memory() {
    conforms(Arc::new(MemoryStore::new()));
}

#[test]
fn local() {
    let dir = tempfile::tempdir().unwrap();
    conforms(Arc::new(LocalStore::create(dir.path().join("a/b")).unwrap()));
}

#[test]
fn faults_that_never_come() {
    conforms(Arc::new(FaultStore::new(Arc::new(MemoryStore::new()), u64::MAX, Fault::Kill)));
}

#[test]
fn two_handles_on_one_directory_are_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (LocalStore::create(dir.path()).unwrap(), LocalStore::open(dir.path()).unwrap());
    put(&one, "packs/x", b"x").unwrap();
    assert_eq!(&two.read("packs/x", 0..1).unwrap()[..], b"x");
    assert!(one.swap_head(None, b"1").unwrap());
    assert!(!two.swap_head(None, b"2").unwrap());
    // An open file stays readable when another deletes it.
    two.delete("packs/x").unwrap();
    assert!(two.read("packs/x", 0..1).is_err());
}

#[test]
fn local_reads_are_aligned() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::create(dir.path()).unwrap();
    put(&store, "packs/x", &[7; 5000]).unwrap();
    for at in [0, 1, 64, 777] {
        assert_eq!(store.read("packs/x", at..at + 1000).unwrap().as_ptr().align_offset(64), 0);
    }
}

#[test]
fn what_dead_writers_left_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::create(dir.path()).unwrap();
    let mut file = store.create().unwrap();
    file.write(b"half of it").unwrap();
    // As if the process had died.
    std::mem::forget(file);
    assert_eq!(store.clear_unfinished(3_600_000).unwrap(), 0);
    assert_eq!(store.clear_unfinished(0).unwrap(), 1);
    assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn errors_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(LocalStore::open(dir.path().join("none")), Err(StoreError::NotFound { path }) if path.ends_with("none")));
    let store = LocalStore::create(dir.path()).unwrap();
    // A directory where a file should be: an error of its own, which names it.
    std::fs::create_dir(dir.path().join("packs/odd")).unwrap();
    let e = store.read("packs/odd", 0..1).unwrap_err();
    assert!(e.to_string().contains("packs/odd"), "{e}");
    std::fs::remove_dir_all(dir.path().join("tmp")).unwrap();
    put(&store, "packs/x", b"tmp is made anew").unwrap();
}

#[test]
fn a_full_disk_says_so() {
    // A device that takes nothing, where the system has one: the link stands in for an unfinished file of this process.
    if !std::path::Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full");
        return;
    }
    let e = std::fs::OpenOptions::new().write(true).open("/dev/full").and_then(|mut f| std::io::Write::write_all(&mut f, b"x")).unwrap_err();
    assert!(matches!(StoreError::io("/dev/full", e), StoreError::Full { path } if path == "/dev/full"));
}

#[test]
fn each_fault_breaks_its_step() {
    for (fault, written) in [(Fault::Fail, false), (Fault::Kill, false), (Fault::Full, false), (Fault::LoseReply, true)] {
        // Steps: create, write, finish.
        for at in 0..3 {
            let inner = MemoryStore::new();
            let store = FaultStore::new(Arc::new(inner.clone()), at, fault);
            assert_eq!(put(&store, "packs/x", b"xyz").is_ok(), written, "{fault:?} {at}");
            assert_eq!(inner.length("packs/x").is_ok(), written);
            assert_eq!(put(&store, "packs/y", b"y").is_ok(), fault != Fault::Kill, "{fault:?} {at}");
        }
        let inner = MemoryStore::new();
        let store = FaultStore::new(Arc::new(inner.clone()), 0, fault);
        assert!(store.swap_head(None, b"new").is_err());
        assert_eq!(inner.read_head().unwrap().is_some(), fault == Fault::LoseReply);
    }
}
