//! verify and gc, on repositories with real tables: damaged on purpose, collected at random, collected beside writers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use proptest::prelude::*;

use super::{commit, options};
use crate::base::{TableId, TableObjectId};
use crate::chunk::Objects;
use crate::format::Type;
use crate::history::HistoryError;
use crate::repo::{GcOptions, OpenOptions, Repo, RepoError, SwitchOptions, by_harm};
use crate::store::{Fault, FaultStore, LocalStore, MemoryStore, Store};
use crate::table::write::RowWriter;
use crate::table::{Schema, Table};

pub fn small() -> OpenOptions {
    OpenOptions { limits: crate::chunk::tests::small(), ..options() }
}

fn open(store: &MemoryStore) -> Repo {
    Repo::on_store(None, Arc::new(store.clone()), &small())
}

fn new() -> (MemoryStore, Repo) {
    let store = MemoryStore::new();
    let repo = open(&store);
    repo.make("main").unwrap();
    (store, repo)
}

/// The cells of table number `n`; neighbours share most of theirs.
pub fn cells(n: u8) -> Vec<String> {
    (0..160u32).map(|row| format!("row {row} {}", blake3::hash(&(row + u32::from(n) * 16).to_le_bytes()).to_hex())).collect()
}

pub fn store_table(objects: &Arc<Objects>, n: u8) -> Result<TableObjectId, RepoError> {
    let id = TableId([n; 16]);
    let columns = vec![("text".to_owned(), Type::TEXT)];
    let table = Table::create(objects, id, Schema::of(id, &columns))?;
    let mut writer = RowWriter::new(objects, &table, &columns)?;
    let values: ArrayRef = Arc::new(StringArray::from(cells(n)));
    writer.push(&RecordBatch::try_from_iter([("text", values)]).unwrap(), &[])?;
    Ok(table.append(objects, writer.finish()?)?.store(objects)?)
}

pub fn read_table(objects: &Arc<Objects>, id: TableObjectId) -> Vec<String> {
    let table = Arc::new(Table::load(objects, id).unwrap());
    let batches = table.scan(objects).open().unwrap();
    batches.flat_map(|batch| batch.unwrap().column(0).as_string::<i32>().iter().map(|cell| cell.unwrap().to_owned()).collect::<Vec<_>>()).collect()
}

pub fn put(repo: &Repo, name: &str, n: Option<u8>) -> Result<(), RepoError> {
    repo.update_working(&format!("put {name}"), |now| {
        let mut new = now.clone();
        match n {
            Some(n) => new.tables.insert(name.to_owned(), store_table(repo.objects(), n)?),
            None => new.tables.remove(name),
        };
        Ok::<_, RepoError>(new)
    })?;
    Ok(())
}

/// A repository on a disk with two commits and something uncommitted.
fn on_disk(dir: &std::path::Path) -> Repo {
    let repo = Repo::init_with(dir, "main", &small()).unwrap();
    put(&repo, "frames", Some(1)).unwrap();
    commit(&repo, "first").unwrap();
    put(&repo, "labels", Some(9)).unwrap();
    commit(&repo, "second").unwrap();
    put(&repo, "frames", Some(2)).unwrap();
    repo
}

#[test]
fn every_flipped_bit_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let repo = on_disk(dir.path());
    let clean = repo.verify().unwrap();
    assert_eq!(clean.faults, []);
    assert!(clean.reached > 30 && clean.objects >= clean.reached && clean.packs > 0, "{clean:?}");
    drop(repo);
    let mut flips = 0;
    for file in std::fs::read_dir(dir.path().join(".dsv/packs")).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(397) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            std::fs::write(&path, &damaged).unwrap();
            let found = Repo::open_with(dir.path(), &small()).and_then(|repo| repo.verify());
            assert!(found.as_ref().map_or(true, |found| !found.faults.is_empty()), "{} at {at}: {found:?}", path.display());
            flips += 1;
        }
        // A byte less, and no file.
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(Repo::open_with(dir.path(), &small()).and_then(|repo| repo.verify()).map_or(true, |found| !found.faults.is_empty()));
        std::fs::remove_file(&path).unwrap();
        assert!(Repo::open_with(dir.path(), &small()).and_then(|repo| repo.verify()).map_or(true, |found| !found.faults.is_empty()));
        std::fs::write(&path, &bytes).unwrap();
    }
    assert!(flips > 12, "{flips}");
    assert_eq!(Repo::open_with(dir.path(), &small()).unwrap().verify().unwrap().faults, []);
}

#[test]
fn a_fault_names_what_it_harms() {
    let dir = tempfile::tempdir().unwrap();
    let repo = on_disk(dir.path());
    let labels = repo.snapshot_at("HEAD").unwrap().tables["labels"];
    drop(repo);
    // The chunks of the table come first in their pack: the first object of the pack that holds them is one.
    let mut told = BTreeMap::new();
    for file in std::fs::read_dir(dir.path().join(".dsv/packs")).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let mut damaged = bytes.clone();
        damaged[64.min(bytes.len() / 2) + bytes.len() / 8] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let found = Repo::open_with(dir.path(), &small()).unwrap().verify().unwrap();
        for (harm, n) in by_harm(&found.faults) {
            *told.entry(harm.to_owned()).or_insert(0) += n;
        }
        std::fs::write(&path, &bytes).unwrap();
    }
    assert!(told.keys().any(|harm| harm.contains("branch 'main', commit") && harm.ends_with("table 'labels', column 'text'")), "{told:?}");
    assert!(told.keys().any(|harm| harm.contains("table 'frames', column 'text'")), "{told:?}");
    let repo = Repo::open_with(dir.path(), &small()).unwrap();
    assert_eq!(read_table(repo.objects(), labels), cells(9));
}

#[test]
fn gc_frees_what_was_undone_and_keeps_the_rest() {
    let (store, repo) = new();
    put(&repo, "a", Some(1)).unwrap();
    commit(&repo, "first").unwrap();
    repo.switch("b", &SwitchOptions { create: true, ..Default::default() }).unwrap();
    put(&repo, "b", Some(100)).unwrap();
    commit(&repo, "gone").unwrap();
    repo.switch("main", &SwitchOptions::default()).unwrap();
    repo.delete_branch("b", true).unwrap();

    let all = GcOptions { horizon_ms: 0, grace_ms: 0, dead_share: 0.0, dry_run: false };
    let dry = repo.gc(&GcOptions { dry_run: true, ..all.clone() }).unwrap();
    assert!(dry.bytes_dead > 1000 && dry.packs_condemned > 0 && dry.files_deleted == 0, "{dry:?}");
    // Within the horizon an undo is still possible, so nothing goes but copies and what only attempts left.
    let kept = repo.gc(&GcOptions { horizon_ms: u64::MAX, ..all.clone() }).unwrap();
    assert!(kept.bytes_live > dry.bytes_live);
    let before = repo.objects().packs().unwrap().iter().map(|pack| pack.length).sum::<u64>();
    let done = repo.gc(&all).unwrap();
    let after = repo.objects().packs().unwrap().iter().map(|pack| pack.length).sum::<u64>();
    assert!(done.files_deleted > 0 && after + 1000 < before, "{done:?}: {before} to {after}");
    let repo = open(&store);
    assert_eq!(repo.verify().unwrap().faults, []);
    assert_eq!(read_table(repo.objects(), repo.working_snapshot().unwrap().tables["a"]), cells(1));
    assert!(matches!(repo.undo(None), Err(RepoError::History(HistoryError::Forgotten(_)))));
    assert_eq!(repo.operations(None).unwrap().len(), 1);
    // Nothing is left to do, and the log goes on.
    assert_eq!(repo.gc(&all).unwrap().packs_condemned, 0);
    put(&repo, "c", Some(3)).unwrap();
    repo.undo(None).unwrap();
    assert!(repo.redo().unwrap().operation.command.starts_with("put c"));
}

#[test]
fn condemned_files_stay_for_the_time_of_grace() {
    let (store, repo) = new();
    put(&repo, "a", Some(1)).unwrap();
    put(&repo, "a", Some(200)).unwrap();
    let reader = open(&store);
    let old = reader.operations(None).unwrap();
    assert!(old.len() == 3);
    let patient = GcOptions { horizon_ms: 0, grace_ms: 3_600_000, dead_share: 0.0, dry_run: false };
    let done = repo.gc(&patient).unwrap();
    assert!(done.packs_condemned > 0 && done.files_deleted == 0, "{done:?}");
    // One that looked before still reads what is condemned, and takes it back: it is written anew.
    reader.undo(None).unwrap();
    let later = repo.gc(&GcOptions { grace_ms: 1000, horizon_ms: u64::MAX, ..patient }).unwrap();
    assert!(later.files_deleted > 0, "{later:?}");
    let repo = open(&store);
    assert_eq!(repo.verify().unwrap().faults, []);
    assert_eq!(read_table(repo.objects(), repo.working_snapshot().unwrap().tables["a"]), cells(1));
    // One that comes later finds nothing to take back but that.
    repo.undo(None).unwrap_err();
}

/// A writer that found something before it was condemned: it writes it anew.
#[test]
fn what_a_writer_found_before_gc_is_there_after_it() {
    for grace_ms in [3_600_000, 0] {
        let (store, repo) = new();
        put(&repo, "a", Some(1)).unwrap();
        commit(&repo, "first").unwrap();
        put(&repo, "b", Some(50)).unwrap();
        let lost = commit(&repo, "second").unwrap();
        repo.reset("HEAD~", crate::repo::ResetMode::Hard).unwrap();
        // The writer has looked, and is about to make a branch of the lost commit.
        let slow = open(&store);
        let view = slow.view().unwrap();
        slow.commit_of(lost).unwrap();
        slow.snapshot_of(lost).unwrap();
        let mut late = crate::history::Transaction::new(Some(view));
        late.set("heads/rescued", Some(lost.0.to_vec())).unwrap();
        let done = repo.gc(&GcOptions { horizon_ms: 0, grace_ms, dead_share: 0.0, dry_run: false }).unwrap();
        assert!(done.packs_condemned > 0);
        let published = slow.publish(late, "branch rescued");
        if grace_ms > 0 {
            published.unwrap();
            let repo = open(&store);
            let tables = repo.snapshot_at("rescued").unwrap().tables;
            assert_eq!(read_table(repo.objects(), tables["b"]), cells(50));
        } else {
            // Without grace the files are gone: it fails, and the branch is not there.
            assert!(published.is_err());
            assert!(open(&store).resolve("rescued").is_err());
        }
        assert_eq!(open(&store).verify().unwrap().faults, []);
    }
}

#[derive(Debug, Clone)]
enum Verb {
    Put(u8, Option<u8>),
    Commit,
    Switch(u8),
    Reset,
    DeleteBranch(u8),
    Undo,
    Gc { horizon_s: u64, grace_s: u64, share: f64 },
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        4 => (0..3u8, prop::option::weighted(0.8, 0..6u8)).prop_map(|(t, n)| Verb::Put(t, n)),
        3 => Just(Verb::Commit),
        2 => (0..3u8).prop_map(Verb::Switch),
        1 => Just(Verb::Reset),
        1 => (0..3u8).prop_map(Verb::DeleteBranch),
        1 => Just(Verb::Undo),
        2 => (prop::sample::select(vec![0, 20, 1000]), prop::sample::select(vec![0, 20, 1000]), prop::sample::select(vec![0.0, 0.5])).prop_map(|(horizon_s, grace_s, share)| Verb::Gc { horizon_s, grace_s, share }),
    ]
}

/// Everything that the refs and working states of a repository hold.
fn contents(repo: &Repo) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let state = repo.view().unwrap().state;
    let mut add = |place: String, tables: BTreeMap<String, TableObjectId>| {
        for (name, id) in tables {
            found.insert(format!("{place}:{name}"), read_table(repo.objects(), id));
        }
    };
    for (branch, tip) in state.branches().unwrap() {
        for (n, step) in repo.graph().walk([tip], [], crate::history::Order::Topological).unwrap().enumerate() {
            add(format!("{branch}~{n}"), repo.snapshot_of(step.unwrap().0).unwrap().tables);
        }
    }
    for (branch, working) in state.workings().unwrap() {
        add(format!("{branch}*"), crate::history::load_snapshot(repo.objects(), working.snapshot).unwrap().tables);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn gc_at_any_time_changes_nothing_that_is_reached(verbs in prop::collection::vec(verb(), 1..25)) {
        let (store, repo) = new();
        let mut repo = repo;
        for (step, verb) in verbs.into_iter().enumerate() {
            let before = contents(&repo);
            match &verb {
                // Refusals are tested elsewhere.
                Verb::Put(table, n) => put(&repo, &format!("t{table}"), *n).unwrap(),
                Verb::Commit => drop(commit(&repo, &format!("commit {step}"))),
                Verb::Switch(n) => {
                    let name = format!("b{n}");
                    let there = repo.switch(&name, &SwitchOptions::default());
                    if there.is_err() {
                        repo.switch(&name, &SwitchOptions { create: true, ..Default::default() }).unwrap();
                    }
                }
                Verb::Reset => drop(repo.reset("HEAD~1", crate::repo::ResetMode::Soft)),
                Verb::DeleteBranch(n) => drop(repo.delete_branch(&format!("b{n}"), true)),
                Verb::Undo => drop(repo.undo(None)),
                Verb::Gc { horizon_s, grace_s, share } => {
                    repo.gc(&GcOptions { horizon_ms: horizon_s * 1000, grace_ms: grace_s * 1000, dead_share: *share, dry_run: false }).unwrap();
                    prop_assert_eq!(&contents(&repo), &before);
                }
            }
            if step % 3 == 0 {
                repo = open(&store);
            }
            let found = repo.verify().unwrap();
            prop_assert!(found.faults.is_empty(), "{:?}: {:?}", verb, found.faults);
        }
        let fresh = open(&store);
        prop_assert_eq!(contents(&fresh), contents(&repo));
    }
}

/// Writers on branches of their own, beside one that collects all the time.
fn beside(grace_ms: u64) {
    let dir = tempfile::tempdir().unwrap();
    let repo = Repo::init_with(dir.path(), "main", &small()).unwrap();
    put(&repo, "base", Some(0)).unwrap();
    commit(&repo, "base").unwrap();
    let (writers, rounds) = (3u8, 8u8);
    for writer in 0..writers {
        repo.create_branch(&format!("w{writer}"), None, false).unwrap();
    }
    let store: Arc<dyn Store> = Arc::new(LocalStore::open(repo.dir().unwrap()).unwrap());
    let busy = AtomicBool::new(true);
    // Also where one of them panics.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(false, Ordering::Relaxed);
        }
    }
    let kept: Vec<(u8, Vec<u8>)> = std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let repo = Repo::on_store(None, store.clone(), &small());
            let mut runs = 0;
            while busy.load(Ordering::Relaxed) {
                let done = repo.gc(&GcOptions { horizon_ms: 0, grace_ms, dead_share: 0.0, dry_run: false });
                assert!(matches!(done, Ok(_) | Err(RepoError::History(HistoryError::Contended(_)))), "{done:?}");
                runs += 1;
            }
            runs
        });
        let all: Vec<_> = (0..writers)
            .map(|writer| {
                let repo = Repo::on_store(None, store.clone(), &small());
                scope.spawn(move || {
                    let mut kept = Vec::new();
                    for round in 0..rounds {
                        // The same tables over and over: what one deletes another finds and reuses.
                        let n = (round + writer) % 4;
                        let target = crate::format::operation::HeadRef::Branch(format!("w{writer}"));
                        let view = repo.view().unwrap();
                        let mut transaction = crate::history::Transaction::new(Some(view));
                        let written = store_table(repo.objects(), n).inspect_err(|_| repo.drop_written()).and_then(|table| {
                            let snapshot = crate::format::snapshot::Snapshot { tables: [(format!("t{n}"), table)].into(), ..Default::default() };
                            repo.set_working(&mut transaction, &target, None, &snapshot, None)?;
                            repo.publish(transaction, "write")
                        });
                        match written {
                            Ok(_) => kept.push(n),
                            // Without grace what was found may be gone; then nothing was changed.
                            Err(error) => assert!(grace_ms == 0, "{error}"),
                        }
                    }
                    (writer, kept)
                })
            })
            .collect();
        let done = Done(&busy);
        let kept = all.into_iter().map(|writer| writer.join().unwrap()).collect();
        drop(done);
        assert!(collector.join().unwrap() > 0);
        kept
    });
    let repo = Repo::on_store(None, store.clone(), &small());
    assert_eq!(repo.verify().unwrap().faults, []);
    for (writer, kept) in kept {
        let Some(last) = kept.last() else { continue };
        let working = repo.view().unwrap().state.workings().unwrap()[&format!("w{writer}")].clone();
        let tables = crate::history::load_snapshot(repo.objects(), working.snapshot).unwrap().tables;
        assert_eq!(read_table(repo.objects(), tables[&format!("t{last}")]), cells(*last));
    }
}

#[test]
fn gc_beside_writers() {
    // The clock of tests runs fast.
    beside(u64::MAX);
}

#[test]
fn gc_without_grace_beside_writers_loses_nothing_that_was_reported_done() {
    beside(0);
}

#[test]
fn a_crash_of_gc_at_any_step_harms_nothing() {
    let setup = || {
        let (store, repo) = new();
        put(&repo, "a", Some(1)).unwrap();
        commit(&repo, "first").unwrap();
        put(&repo, "a", Some(90)).unwrap();
        put(&repo, "b", Some(2)).unwrap();
        (store, contents(&repo))
    };
    let options = GcOptions { horizon_ms: 0, grace_ms: 0, dead_share: 0.0, dry_run: false };
    let (store, _) = setup();
    let counting = Arc::new(FaultStore::new(Arc::new(store.clone()), u64::MAX, Fault::Kill));
    Repo::on_store(None, counting.clone(), &small()).gc(&options).unwrap();
    let steps = counting.steps();
    assert!(steps > 5, "{steps}");
    for fault in [Fault::Kill, Fault::Fail, Fault::Full, Fault::LoseReply] {
        for at in 0..steps {
            let (store, before) = setup();
            let broken = Repo::on_store(None, Arc::new(FaultStore::new(Arc::new(store.clone()), at, fault)), &small());
            let result = broken.gc(&options);
            let repo = open(&store);
            assert_eq!(repo.verify().unwrap().faults, [], "{fault:?} at {at}");
            assert_eq!(contents(&repo), before, "{fault:?} at {at}");
            if fault != Fault::Kill && result.is_err() {
                // The same handle goes on.
                put(&broken, "c", Some(5)).unwrap();
            }
            let repo = open(&store);
            repo.gc(&options).unwrap();
            put(&repo, "d", Some(6)).unwrap();
            assert_eq!(open(&store).verify().unwrap().faults, [], "{fault:?} at {at}");
        }
    }
}
