//! The contract of [`Store`] held by clients that keep their promises, and by ones that do not.

pub mod faults;

use object_store::memory::InMemory;

use super::*;
use crate::store::conformance::conforms;

fn on(client: Arc<dyn ObjectStore>, connect: &Connect) -> RemoteStore {
    RemoteStore::on(client, "a/b".into(), "mem://bucket/a/b".into(), false, connect)
}

fn in_memory() -> RemoteStore {
    on(Arc::new(InMemory::new()), &Connect::new(|_| None))
}

#[test]
fn a_client_in_memory() {
    conforms(Arc::new(in_memory()));
}

#[test]
fn large_files_go_in_parts() {
    let store = in_memory();
    let bytes: Vec<u8> = (0..20_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut file = store.create().unwrap();
    for part in bytes.chunks(1_000_003) {
        file.write(part).unwrap();
    }
    assert_eq!(&file.read(9_999_999..10_000_004).unwrap()[..], &bytes[9_999_999..10_000_004]);
    assert!(matches!(file.read(0..20_000_001), Err(StoreError::Short { length: 20_000_000, .. })));
    file.finish("packs/large").unwrap();
    assert_eq!(store.length("packs/large").unwrap(), 20_000_000);
    assert_eq!(&store.read("packs/large", 0..20_000_000).unwrap()[..], &bytes[..]);
    let whole = Bytes::from(bytes);
    for length in [0, 1, 8 << 20, (8 << 20) + 1, 20_000_000] {
        store.send("packs/sent", length, &|range| Ok(whole.slice(range.start as usize..range.end as usize))).unwrap();
        assert_eq!(store.length("packs/sent").unwrap(), length);
    }
    assert_eq!(store.read("packs/sent", 0..20_000_000).unwrap(), whole);
    // What cannot be read is not written.
    let failed = store.send("packs/none", 20_000_000, &|range| {
        if range.start == 0 { Ok(whole.slice(0..8 << 20)) } else { Err(StoreError::NotFound { path: "source".into() }) }
    });
    assert!(matches!(failed, Err(StoreError::NotFound { path }) if path == "source"));
    assert!(matches!(store.length("packs/none"), Err(StoreError::NotFound { .. })));
}

#[test]
fn conditions_are_checked_and_leave_nothing() {
    let store = in_memory();
    store.check_conditions("1").unwrap();
    assert_eq!(store.list("").unwrap(), []);
}

#[test]
fn a_lock_stands_in_for_conditions() {
    let client = Arc::new(InMemory::new());
    let store = on(client, &Connect { lock: true, ..Connect::new(|_| None) });
    assert!(store.swap_head(None, b"1").unwrap());
    assert!(!store.swap_head(None, b"2").unwrap());
    assert!(store.swap_head(Some(b"1"), b"2").unwrap());
    assert_eq!(store.read_head().unwrap().unwrap(), b"2");
    assert!(store.get_small("lock", 100).unwrap().is_none());
}

#[test]
fn a_head_that_is_none_is_not_read_whole() {
    let store = in_memory();
    store.send("head", 5 << 20, &|range| Ok(vec![0; (range.end - range.start) as usize].into())).unwrap();
    assert!(matches!(store.read_head(), Err(StoreError::Large { .. })));
}

#[test]
fn a_web_server_is_read_only_and_lists_nothing() {
    let store = RemoteStore::on(Arc::new(InMemory::new()), String::new(), "https://host".into(), true, &Connect::new(|_| None));
    assert!(matches!(store.create().err(), Some(StoreError::ReadOnly { .. })));
    assert!(matches!(store.swap_head(None, b"1"), Err(StoreError::ReadOnly { .. })));
    assert!(matches!(store.list("packs"), Err(StoreError::Remote { fault: RemoteFault::NoList, .. })));
    assert!(matches!(store.send("packs/x", 1, &|_| Ok(Bytes::from_static(b"x"))), Err(StoreError::ReadOnly { .. })));
}
