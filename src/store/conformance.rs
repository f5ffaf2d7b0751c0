//! What [`Store`] promises, held against every implementation.

mod contract;

use std::sync::Arc;

use super::*;

pub(super) use contract::{conforms, put};

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
