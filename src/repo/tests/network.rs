//! Remotes over a client that breaks at one request after the other, and how much is asked of one that does not.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::remotes::{init, table};
use super::upkeep::{cells, put, read_table, small};
use super::{commit, options};
use crate::chunk::Limits;
use crate::format::Type;
use crate::repo::remotes::*;
use crate::repo::{MergeRequest, OpenOptions, Repo, RepoError};
use crate::store::remote::tests::faults::{Break, Breaking};
use crate::store::remote::{Connect, RemoteStore};
use crate::table::write::RowWriter;

const BREAKS: [Break; 8] = [Break::Fail, Break::LoseReply, Break::Hang, Break::Late, Break::Stall, Break::Cut, Break::Flip, Break::Gone];
/// What is waited for an answer that never comes; one that comes takes some microseconds.
const TIMEOUT_MS: u64 = 250;

/// A folder in memory, where the system has one: what breaks here is the network, and flushes to a disk would take most of the time of these many repositories.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn remote(client: Arc<dyn ObjectStore>) -> Remote {
    reached(client, &Connect::new(|_| None))
}

/// A remote whose client breaks so: where no answer comes, none is long waited for.
fn broken(client: Arc<Breaking>, what: Break) -> Remote {
    match what {
        Break::Hang | Break::Late | Break::Stall => reached(client, &Connect { timeout_ms: TIMEOUT_MS, bytes_per_ms_min: 1 << 20, ..Connect::new(|_| None) }),
        _ => remote(client),
    }
}

fn reached(client: Arc<dyn ObjectStore>, connect: &Connect) -> Remote {
    Remote::on(RemoteStore::on(client, "hub".into(), "mem://hub".into(), false, connect), &small())
}

fn request() -> PushRequest {
    PushRequest { branches: vec![("main".into(), "main".into())], ..PushRequest::default() }
}

/// A repository with one commit, and a remote of that name.
fn start(dir: &Path) -> Repo {
    let repo = init(dir);
    put(&repo, "frames", Some(1)).unwrap();
    commit(&repo, "first").unwrap();
    repo.add_remote("origin", "mem://hub").ok();
    repo.config().set(crate::repo::Scope::Repository, "remote.origin.url", "s3://hub").unwrap();
    repo
}

fn fetched(dir: &Path, client: Arc<dyn ObjectStore>) -> Repo {
    let repo = init(dir);
    repo.add_remote("origin", "s3://hub").unwrap();
    fetch(&repo, client).unwrap();
    repo
}

fn fetch(repo: &Repo, client: Arc<dyn ObjectStore>) -> Result<(), RepoError> {
    fetch_from(repo, remote(client))
}

fn fetch_from(repo: &Repo, remote: Remote) -> Result<(), RepoError> {
    let theirs = remote.existing()?;
    repo.fetch_from("origin", &remote, &theirs, &FetchOptions::default()).map(drop)
}

#[test]
fn a_push_that_breaks_at_any_request_loses_nothing() {
    let dir = scratch();
    let mut requests = 0;
    for what in BREAKS {
        for at in 0..u64::MAX {
            let place = dir.path().join(format!("{what:?}{at}"));
            let (ada, hub) = (start(&place.join("ada")), Arc::new(InMemory::new()));
            ada.push_to("origin", remote(hub.clone()), &request(), &|_| Ok(())).unwrap();
            put(&ada, "frames", Some(2)).unwrap();
            let second = commit(&ada, "second").unwrap();
            let breaking = Arc::new(Breaking::new(hub.clone(), at, what));
            let pushed = ada.push_to("origin", broken(breaking.clone(), what), &request(), &|_| Ok(()));
            assert!(breaking.lists() == 0 || what == Break::Gone, "a push lists nothing, but for the first one");
            // Whatever was told: the branch there is the old one or the new one, whole.
            let grace = fetched(&place.join("grace"), hub.clone());
            let found = grace.resolve("origin/main").unwrap();
            let is_new = found == second;
            assert!(is_new || found == ada.resolve("main~1").unwrap(), "{what:?} {at}");
            // A head that seems not to be there is one that another made meanwhile.
            let is_told = pushed.as_ref().map_or(true, |pushed| what == Break::Gone && pushed.is_refused());
            assert!(is_new || is_told, "{what:?} {at}: told to be pushed, and is not");
            assert_eq!(table(&grace, "origin/main", "frames"), cells(if is_new { 2 } else { 1 }), "{what:?} {at}");
            // The same again succeeds.
            assert!(!ada.push_to("origin", remote(hub.clone()), &request(), &|_| Ok(())).unwrap().is_refused(), "{what:?} {at}");
            fetch(&grace, hub.clone()).unwrap();
            assert_eq!(table(&grace, "origin/main", "frames"), cells(2));
            assert!(remote(hub).repo().verify().unwrap().faults.is_empty(), "{what:?} {at}");
            requests = breaking.requests();
            if at >= requests {
                break;
            }
        }
    }
    assert!(requests >= 5, "{requests}");
}

#[test]
fn a_commit_made_anew_takes_nothing_away_where_its_push_breaks() {
    let dir = scratch();
    for what in [Break::Fail, Break::LoseReply, Break::Hang, Break::Late] {
        for at in 0..u64::MAX {
            let place = dir.path().join(format!("{what:?}{at}"));
            let (ada, hub) = (start(&place.join("ada")), Arc::new(InMemory::new()));
            ada.push_to("origin", remote(hub.clone()), &request(), &|_| Ok(())).unwrap();
            // The same packs are wanted again, under the names that the head there lists.
            ada.commit(&crate::repo::CommitOptions { message: Some("anew".into()), amend: true, ..Default::default() }).unwrap();
            let forced = PushRequest { force: Force::Lease, ..request() };
            let breaking = Arc::new(Breaking::new(hub.clone(), at, what));
            let _ = ada.push_to("origin", broken(breaking.clone(), what), &forced, &|_| Ok(()));
            assert!(remote(hub.clone()).repo().verify().unwrap().faults.is_empty(), "{what:?} {at}");
            let grace = fetched(&place.join("grace"), hub.clone());
            assert_eq!(table(&grace, "origin/main", "frames"), cells(1), "{what:?} {at}");
            ada.fetch_from("origin", &remote(hub.clone()), &remote(hub.clone()).existing().unwrap(), &FetchOptions::default()).unwrap();
            assert!(!ada.push_to("origin", remote(hub), &forced, &|_| Ok(())).unwrap().is_refused());
            if at >= breaking.requests() {
                break;
            }
        }
    }
}

#[test]
fn a_fetch_that_breaks_at_any_request_keeps_nothing_false() {
    let dir = scratch();
    let (ada, hub) = (start(&dir.path().join("ada")), Arc::new(InMemory::new()));
    put(&ada, "more", Some(40)).unwrap();
    commit(&ada, "second").unwrap();
    ada.push_to("origin", remote(hub.clone()), &request(), &|_| Ok(())).unwrap();
    for what in BREAKS {
        for at in 0..u64::MAX {
            let grace = init(&dir.path().join(format!("{what:?}{at}")));
            grace.add_remote("origin", "s3://hub").unwrap();
            let breaking = Arc::new(Breaking::new(hub.clone(), at, what));
            let done = fetch_from(&grace, broken(breaking.clone(), what));
            assert_eq!(breaking.lists(), 0, "a fetch lists nothing");
            assert!(grace.verify().unwrap().faults.is_empty(), "{what:?} {at}");
            if done.is_err() {
                assert!(grace.resolve("origin/main").is_err());
                fetch(&grace, hub.clone()).unwrap_or_else(|error| panic!("{what:?} {at}: {error}"));
            }
            assert_eq!((table(&grace, "origin/main", "frames"), table(&grace, "origin/main", "more")), (cells(1), cells(40)), "{what:?} {at}");
            if at >= breaking.requests() {
                assert!(done.is_ok());
                break;
            }
        }
    }
}

#[test]
fn a_push_to_a_store_that_is_behind_loses_nothing() {
    let dir = scratch();
    for goes_on in [false, true] {
        for at in 0..u64::MAX {
            let place = dir.path().join(format!("{goes_on}{at}"));
            let (ada, hub) = (start(&place.join("ada")), Arc::new(InMemory::new()));
            ada.push_to("origin", remote(hub.clone()), &request(), &|_| Ok(())).unwrap();
            let old = Arc::new(hub.fork());
            put(&ada, "frames", Some(2)).unwrap();
            let second = commit(&ada, "second").unwrap();
            ada.push_to("origin", remote(hub.clone()), &request(), &|_| Ok(())).unwrap();
            put(&ada, "frames", Some(3)).unwrap();
            let third = commit(&ada, "third").unwrap();
            let breaking = Arc::new(Breaking::stale(hub.clone(), old, at, goes_on));
            let pushed = ada.push_to("origin", remote(breaking.clone()), &request(), &|_| Ok(()));
            let grace = fetched(&place.join("grace"), hub.clone());
            let found = grace.resolve("origin/main").unwrap();
            assert!(found == third || found == second, "{at} {goes_on}: a commit that was pushed is gone");
            let is_told = pushed.as_ref().map_or(true, Pushed::is_refused);
            assert!(found == third || is_told, "{at} {goes_on}: told to be pushed, and is not");
            assert!(!ada.push_to("origin", remote(hub.clone()), &request(), &|_| Ok(())).unwrap().is_refused(), "{at} {goes_on}");
            fetch(&grace, hub.clone()).unwrap();
            assert_eq!((grace.resolve("origin/main").unwrap(), table(&grace, "origin/main", "frames")), (third, cells(3)), "{at} {goes_on}");
            assert!(remote(hub).repo().verify().unwrap().faults.is_empty(), "{at} {goes_on}");
            if at >= breaking.requests() {
                assert!(pushed.is_ok_and(|pushed| !pushed.is_refused()) && at >= 4, "{at}");
                break;
            }
        }
    }
}

#[test]
fn a_fetch_from_a_store_that_is_behind_keeps_nothing_false() {
    let dir = scratch();
    let (ada, hub) = (start(&dir.path().join("ada")), Arc::new(InMemory::new()));
    let first = ada.resolve("main").unwrap();
    ada.push_to("origin", remote(hub.clone()), &request(), &|_| Ok(())).unwrap();
    let old = Arc::new(hub.fork());
    put(&ada, "more", Some(40)).unwrap();
    let second = commit(&ada, "second").unwrap();
    ada.push_to("origin", remote(hub.clone()), &request(), &|_| Ok(())).unwrap();
    for goes_on in [false, true] {
        for at in 0..u64::MAX {
            let grace = init(&dir.path().join(format!("{goes_on}{at}")));
            grace.add_remote("origin", "s3://hub").unwrap();
            let breaking = Arc::new(Breaking::stale(hub.clone(), old.clone(), at, goes_on));
            let done = fetch(&grace, breaking.clone());
            assert!(grace.verify().unwrap().faults.is_empty(), "{at} {goes_on}");
            match grace.resolve("origin/main") {
                Ok(found) => assert!(done.is_ok() && (found == first || found == second), "{at} {goes_on}"),
                Err(_) => assert!(done.is_err(), "{at} {goes_on}"),
            }
            fetch(&grace, hub.clone()).unwrap_or_else(|error| panic!("{at} {goes_on}: {error}"));
            assert_eq!((table(&grace, "origin/main", "frames"), table(&grace, "origin/main", "more")), (cells(1), cells(40)), "{at} {goes_on}");
            if at >= breaking.requests() {
                assert!(done.is_ok() && at >= 4, "{at}");
                break;
            }
        }
    }
}

#[test]
fn a_changed_cell_is_two_small_files() {
    let dir = scratch();
    let ada = Repo::init_with(&dir.path().join("ada"), "main", &options()).unwrap();
    put(&ada, "frames", Some(1)).unwrap();
    commit(&ada, "first").unwrap();
    ada.add_remote("origin", "s3://hub").unwrap();
    let hub: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    ada.push_to("origin", remote(hub.clone()), &request(), &|_| Ok(())).unwrap();
    let mut small = 0;
    for round in 0..20u8 {
        ada.edit_table("frames", "a cell", |table| -> Result<_, RepoError> {
            let value: arrow::array::ArrayRef = Arc::new(arrow::array::StringArray::from(vec![format!("mended {round}")]));
            Ok(table.set_cells(ada.objects(), 0, &[u64::from(round) * 7], &value)?)
        })
        .unwrap();
        commit(&ada, "a cell").unwrap();
        let counting = Arc::new(Breaking::new(hub.clone(), u64::MAX, Break::Fail));
        ada.push_to("origin", remote(counting.clone()), &request(), &|_| Ok(())).unwrap();
        let (files, bytes) = counting.written();
        // Now and then small packs are folded into one, which takes some more.
        assert!(files <= 5 && bytes <= 32 << 10, "round {round}: {files} files, {bytes} bytes");
        small += u32::from(files == 2);
    }
    assert!(small >= 15, "{small}");
}

#[test]
fn many_push_to_one_remote() {
    let dir = scratch();
    let (ada, hub) = (start(&dir.path().join("ada")), Arc::new(InMemory::new()));
    ada.push_to("origin", remote(hub.clone()), &request(), &|_| Ok(())).unwrap();
    let pushers: Vec<Repo> = (0..4).map(|n| fetched(&dir.path().join(n.to_string()), hub.clone())).collect();
    std::thread::scope(|scope| {
        for (n, repo) in (0u8..).zip(&pushers) {
            let hub = hub.clone();
            scope.spawn(move || {
                repo.create_branch("work", Some("origin/main"), false).unwrap();
                repo.switch("work", &crate::repo::SwitchOptions::default()).unwrap();
                // Two on one branch, two on one of their own.
                let there = if n < 2 { "main".to_owned() } else { format!("own-{n}") };
                for round in 0..6u8 {
                    put(repo, &format!("t{n}"), Some(n * 20 + round)).unwrap();
                    commit(repo, &format!("{n}.{round}")).unwrap();
                    loop {
                        let request = PushRequest { branches: vec![("work".into(), there.clone())], ..PushRequest::default() };
                        match repo.push_to("origin", remote(hub.clone()), &request, &|_| Ok(())) {
                            Ok(pushed) if !pushed.is_refused() => break,
                            // Another was faster.
                            Ok(_) | Err(RepoError::Refused { .. }) => {
                                fetch(repo, hub.clone()).unwrap();
                                repo.merge(&["origin/main".to_owned()], &MergeRequest::default()).unwrap();
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
    });
    let all = fetched(&dir.path().join("all"), hub.clone());
    let messages = |revision: &str| -> Vec<String> {
        let options = crate::repo::LogOptions { ranges: vec![revision.to_owned()], ..Default::default() };
        all.log(&options).unwrap().iter().map(|entry| entry.commit.message.clone()).collect()
    };
    for n in 0..4 {
        let found = messages(if n < 2 {
            "origin/main"
        } else if n == 2 {
            "origin/own-2"
        } else {
            "origin/own-3"
        });
        let own: Vec<&String> = found.iter().filter(|message| message.starts_with(&format!("{n}."))).collect();
        assert_eq!(own, ["5", "4", "3", "2", "1", "0"].map(|round| format!("{n}.{round}")).iter().collect::<Vec<_>>(), "{found:?}");
    }
    assert_eq!((table(&all, "origin/main", "t0"), table(&all, "origin/main", "t1")), (cells(5), cells(25)));
    assert!(remote(hub).repo().verify().unwrap().faults.is_empty());
}

#[test]
fn a_cold_reader_asks_for_little() {
    let dir = scratch();
    // Packs that hold a chunk or two each: sizes as they are, for what is read at once depends on them.
    let limits = Limits { pack_bytes: 1 << 20, memory_bytes: 64 << 10, open_packs: 2, ..Limits::default() };
    let large = OpenOptions { limits, ..options() };
    let ada = Repo::init_with(dir.path(), "main", &large).unwrap();
    let columns = [("id".to_owned(), Type::Plain(DataType::Int64)), ("file".to_owned(), Type::Plain(DataType::Binary))];
    ada.create_table("files", &columns, &[], "create").unwrap();
    let file = |n: u64| (0..3200u64).flat_map(|at| *blake3::hash(&(n << 32 | at).to_le_bytes()).as_bytes()).collect::<Vec<u8>>();
    let filled = ada.edit_table("files", "fill", |table| -> Result<_, RepoError> {
        let mut writer = RowWriter::new(ada.objects(), &table, &columns)?;
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..120));
        let files: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..120).map(file)));
        writer.push(&RecordBatch::try_from_iter([("id", ids), ("file", files)]).unwrap(), &[])?;
        Ok(table.append(ada.objects(), writer.finish()?)?)
    });
    filled.unwrap();
    commit(&ada, "much").unwrap();
    let hub = Arc::new(InMemory::new());
    ada.push_to("origin", remote(hub.clone()), &request(), &|_| Ok(())).unwrap();
    let counting = Arc::new(Breaking::new(hub, u64::MAX, Break::Fail));
    let far = remote(counting.clone());
    far.existing().unwrap();
    // The head, and the pack that has the operation.
    let opened = counting.requests();
    let files = far.repo().table("files", Some("main")).unwrap();
    let row = || files.take(far.repo().objects(), &[70], &[0, 1]).unwrap();
    assert_eq!(row().column(1).as_binary::<i32>().value(0), file(70));
    // Of a chunk of each column, and of the one pack that holds nodes and copies of all other indexes.
    let read = counting.requests() - opened;
    let packs = far.repo().objects().packs().unwrap().len();
    assert!(packs >= 6 && opened <= 3 && read <= 4, "{packs} packs: {opened} requests, {read} more");
    // All of it is here now.
    let before = counting.requests();
    row();
    assert_eq!(counting.requests(), before);
}

#[test]
fn a_remote_that_was_emptied_is_told() {
    let dir = scratch();
    let ada = start(&dir.path().join("ada"));
    let push = || {
        let pushed = ada.push_to("origin", remote(Arc::new(InMemory::new())), &request(), &|_| Ok(())).unwrap();
        (pushed.made, pushed.was_emptied)
    };
    assert_eq!(push(), (true, false));
    assert_eq!(push(), (true, true));
    // Of another place nothing is known.
    ada.set_remote_url("origin", "s3://bucket/elsewhere").unwrap();
    assert_eq!(push(), (true, false));
}

#[test]
fn a_read_that_comes_damaged_once_is_asked_for_anew() {
    let dir = scratch();
    let (ada, hub) = (start(&dir.path().join("ada")), Arc::new(InMemory::new()));
    ada.push_to("origin", remote(hub.clone()), &request(), &|_| Ok(())).unwrap();
    let mut requests = 0;
    for at in 0..u64::MAX {
        let breaking = Arc::new(Breaking::new(hub.clone(), at, Break::Flip));
        let far = remote(breaking.clone());
        match far.existing() {
            Ok(view) => {
                let repo = far.into_reader(&view);
                assert_eq!(read_table(repo.objects(), repo.snapshot_at("main").unwrap().tables["frames"]), cells(1), "{at}");
            }
            // The head is read once, and never kept.
            Err(error) => assert!(at == 0, "{at}: {error}"),
        }
        requests = breaking.requests();
        if requests <= at {
            break;
        }
    }
    assert!(requests > 3, "{requests}");
}
