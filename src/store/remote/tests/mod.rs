//! The contract of [`Store`] held by clients that keep their promises, and by ones that do not.

pub mod faults;

use object_store::memory::InMemory;

use super::*;
use crate::store::conformance::conforms;
use faults::{Break, Breaking};

/// The size of a part, for sizes that take several.
const PART_BYTES_AS_SENT: u64 = 8 << 20;

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
fn a_large_file_that_breaks_at_any_request_is_there_whole_or_not_at_all() {
    let length = (PART_BYTES_AS_SENT * 5 / 2) as usize;
    let whole = Bytes::from((0..length).map(|n| (n % 241) as u8).collect::<Vec<_>>());
    let send = |store: &RemoteStore| store.send("packs/large", length as u64, &|range| Ok(whole.slice(range.start as usize..range.end as usize)));
    for what in [Break::Fail, Break::LoseReply, Break::Hang, Break::Late] {
        for at in 0..u64::MAX {
            let client = Arc::new(InMemory::new());
            let breaking = Arc::new(Breaking::new(client.clone(), at, what));
            let sent = send(&on(breaking.clone(), &Connect { timeout_ms: 50, bytes_per_ms_min: 1 << 20, ..Connect::new(|_| None) }));
            let sound = on(client, &Connect::new(|_| None));
            match sound.read("packs/large", 0..length as u64) {
                Ok(bytes) => assert!(bytes == whole && (sent.is_ok() || matches!(what, Break::LoseReply | Break::Late)), "{what:?} {at}"),
                Err(error) => assert!(matches!(error, StoreError::NotFound { .. }) && sent.is_err(), "{what:?} {at}: {error}"),
            }
            // Whatever was left does not stand in the way.
            send(&sound).unwrap();
            assert_eq!(sound.read("packs/large", 0..length as u64).unwrap(), whole);
            if at >= breaking.requests() {
                // It begins, sends three parts, and ends.
                assert!(sent.is_ok() && at == 5, "{what:?} {at}");
                break;
            }
        }
    }
}

#[test]
fn an_answer_that_stops_half_way_is_given_up() {
    let client = Arc::new(InMemory::new());
    // At once, though so many bytes may take long where the line is slow.
    let length = 8 << 20;
    on(client.clone(), &Connect::new(|_| None)).send("packs/x", length, &|_| Ok(vec![7; length as usize].into())).unwrap();
    for what in [Break::Stall, Break::Hang] {
        let store = on(Arc::new(Breaking::new(client.clone(), 0, what)), &Connect { timeout_ms: 50, ..Connect::new(|_| None) });
        let error = store.read("packs/x", 0..length).unwrap_err();
        assert!(matches!(&error, StoreError::Remote { fault: RemoteFault::Unreachable, .. }), "{error}");
        assert_eq!(store.read("packs/x", 0..length).unwrap().len() as u64, length);
    }
}

#[test]
fn conditions_are_checked_and_leave_nothing() {
    let store = in_memory();
    store.check_conditions("1").unwrap();
    assert_eq!(store.list("").unwrap(), []);
}

#[test]
fn what_is_no_part_of_a_repository_is_seen() {
    let client = Arc::new(InMemory::new());
    let store = on(client.clone(), &Connect::new(|_| None));
    assert_eq!(store.foreign().unwrap(), None);
    store.send("packs/x", 1, &|_| Ok(Bytes::from_static(b"x"))).unwrap();
    store.send("probe-1", 1, &|_| Ok(Bytes::from_static(b"x"))).unwrap();
    assert_eq!(store.foreign().unwrap(), None);
    store.send("thesis/chapter.tex", 1, &|_| Ok(Bytes::from_static(b"x"))).unwrap();
    assert_eq!(store.foreign().unwrap().as_deref(), Some("thesis"));
    // Beside its prefix there may be anything.
    let deeper = RemoteStore::on(client, "a/b/c".into(), "mem://bucket/a/b/c".into(), false, &Connect::new(|_| None));
    assert_eq!(deeper.foreign().unwrap(), None);
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
