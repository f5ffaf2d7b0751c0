//! A store that dies or fails at each of its steps in turn, and writers that work at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{commit, edit, memory, options};
use crate::history::HistoryError;
use crate::repo::{Repo, RepoError, SwitchOptions};
use crate::store::{Fault, FaultStore, LocalStore, MemoryStore, Store};

/// What a repository says of itself: its state by key, and how many operations there were.
fn state(store: &Arc<dyn Store>) -> (BTreeMap<String, Vec<u8>>, usize) {
    let repo = Repo::on_store(None, store.clone(), &options());
    let view = repo.view().unwrap();
    // All that the state reaches must be there.
    for branch in repo.branches().unwrap() {
        for entry in repo.log(&crate::repo::LogOptions { ranges: vec![branch.name.clone()], ..Default::default() }).into_iter().flatten() {
            repo.snapshot_of(entry.id).unwrap();
        }
    }
    repo.working_snapshot().unwrap();
    (view.state.with_prefix("").unwrap().into_iter().collect(), repo.operations(None).unwrap().len())
}

/// A script of verbs; returns how many were done.
fn script(repo: &Repo) -> Result<usize, (usize, RepoError)> {
    let steps: [&dyn Fn() -> Result<(), RepoError>; 8] = [
        &|| edit(repo, "x", Some(1)),
        &|| commit(repo, "first").map(drop),
        &|| edit(repo, "y", Some(2)),
        &|| repo.switch("b", &SwitchOptions { create: true, ..Default::default() }).map(drop),
        &|| commit(repo, "second").map(drop),
        &|| repo.create_tag("v1", None, Some("one"), false).map(drop),
        &|| repo.undo(None).map(drop),
        &|| repo.delete_branch("main", false).map(drop),
    ];
    for (done, step) in steps.iter().enumerate() {
        step().map_err(|e| (done, e))?;
    }
    Ok(steps.len())
}

#[test]
fn a_crash_at_any_step_leaves_the_state_before_or_after() {
    // The states that the script passes through.
    let (store, repo) = memory();
    let counting = Arc::new(FaultStore::new(Arc::new(store.clone()), u64::MAX, Fault::Kill));
    let counted = Repo::on_store(None, counting.clone(), &options());
    drop(repo);
    script(&counted).unwrap();
    let steps = counting.steps();
    assert!(steps > 16, "{steps}");

    for fault in [Fault::Kill, Fault::Fail, Fault::Full, Fault::LoseReply] {
        for at in 0..steps {
            let (memory, _) = memory();
            let plain: Arc<dyn Store> = Arc::new(memory.clone());
            let broken = Repo::on_store(None, Arc::new(FaultStore::new(plain.clone(), at, fault)), &options());
            let result = script(&broken);
            let (_, operations) = state(&plain);
            match result {
                // A lost reply is found again.
                Ok(done) => assert!(operations == done + 1, "{fault:?} at {at}: {operations} operations after {done} verbs"),
                Err((done, error)) => {
                    assert!(matches!(error, RepoError::History(HistoryError::Objects(_) | HistoryError::Store(_))), "{fault:?} at {at}: {error:?}");
                    assert_eq!(operations, done + 1, "{fault:?} at {at}: a verb that failed must not have happened");
                    assert_ne!(fault, Fault::LoseReply);
                    // The same handle goes on where the store does.
                    if fault != Fault::Kill {
                        edit(&broken, "z", Some(9)).unwrap();
                    }
                    let again = Repo::on_store(None, plain.clone(), &options());
                    edit(&again, "w", Some(8)).unwrap();
                    state(&plain);
                }
            }
        }
    }
}

fn rivals(store: Arc<dyn Store>) {
    let handle = || Repo::on_store(None, store.clone(), &options());
    let first = handle();
    edit(&first, "x", Some(1)).unwrap();
    commit(&first, "first").unwrap();
    let (writers, rounds) = (4, 6);

    // Other refs: all get through.
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let repo = handle();
            scope.spawn(move || {
                for round in 0..rounds {
                    repo.create_branch(&format!("w{writer}/{round}"), None, false).unwrap();
                    repo.create_tag(&format!("t{writer}/{round}"), None, None, false).unwrap();
                }
            });
        }
    });
    let repo = handle();
    assert_eq!(repo.branches().unwrap().len(), 1 + writers * rounds);
    assert_eq!(repo.tags().unwrap().len(), writers * rounds);

    // The same ref: who is told that it moved has changed nothing, and everything else is there.
    let done: usize = std::thread::scope(|scope| {
        let all: Vec<_> = (0..writers)
            .map(|writer| {
                let repo = handle();
                scope.spawn(move || {
                    let mut done = 0;
                    for round in 0..rounds {
                        match edit(&repo, &format!("w{writer}/{round}"), Some(1)) {
                            Ok(()) => done += 1,
                            Err(RepoError::History(HistoryError::Moved { key })) => assert_eq!(key, "working/main"),
                            Err(other) => panic!("{other}"),
                        }
                    }
                    done
                })
            })
            .collect();
        all.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    let repo = handle();
    assert_eq!(repo.working_snapshot().unwrap().tables.len(), 1 + done);
    assert!(done > 0);
    state(&store);
}

#[test]
fn rivals_in_memory() {
    let (store, _) = memory();
    rivals(Arc::new(store));
}

#[test]
fn rivals_on_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let repo = Repo::init_with(dir.path(), "main", &options()).unwrap();
    rivals(Arc::new(LocalStore::open(repo.dir().unwrap()).unwrap()));
}

#[test]
fn one_of_two_that_init_wins() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let outcomes: Vec<bool> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| Repo::on_store(None, store.clone(), &options()).make("main").is_ok())).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|won| **won).count(), 1, "{outcomes:?}");
    assert_eq!(state(&store).1, 1);
}
