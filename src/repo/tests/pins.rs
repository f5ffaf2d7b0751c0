//! Pins: going to what one names, and one of two.

use super::memory;
use crate::base::CommitId;
use crate::format::operation::HeadRef;
use crate::repo::pin::{Followed, Pin, PinMerge};
use crate::repo::{Repo, ResetMode, SwitchOptions};

/// Sets a table to the empty one with that number.
fn edit(repo: &Repo, table: &str, n: u8) {
    super::edit(repo, table, Some(n)).unwrap();
}

/// The same, and commits it.
fn commit(repo: &Repo, table: &str, n: u8) -> CommitId {
    edit(repo, table, n);
    super::commit(repo, &format!("{table} is {n}")).unwrap()
}

/// The number of a table in the working state.
fn number(repo: &Repo, table: &str) -> Option<u8> {
    repo.working().unwrap().snapshot.tables.get(table).map(|id| super::number(*id))
}

fn switch(repo: &Repo, target: &str, create: bool) {
    repo.switch(target, &SwitchOptions { create, ..Default::default() }).unwrap();
}

fn detach(repo: &Repo, target: CommitId) {
    repo.switch(&target.to_string(), &SwitchOptions { detach: true, ..Default::default() }).unwrap();
}

fn at(repo: &Repo) -> (HeadRef, Option<CommitId>) {
    let working = repo.working().unwrap();
    (working.head, working.tip)
}

fn branch(name: &str) -> HeadRef {
    HeadRef::Branch(name.into())
}

#[test]
fn what_is_checked_out_follows_a_pin() {
    let (_, repo) = memory();
    assert!(repo.pin().is_err(), "there is no commit yet");
    let one = commit(&repo, "t", 1);
    let pinned = repo.pin().unwrap();
    assert_eq!((pinned.commit, pinned.branch.as_deref(), pinned.remote.as_deref()), (one, Some("main"), None));
    assert_eq!(pinned.tables.keys().collect::<Vec<_>>(), ["t"]);
    assert_eq!(repo.follow(&pinned).unwrap(), Followed::Already);
    let two = commit(&repo, "t", 2);
    let newer = repo.pin().unwrap();
    // Back: the branch stays where it is. Forth: it is checked out again.
    assert_eq!(repo.follow(&pinned).unwrap(), Followed::Detached { branch: Some(("main".into(), two)) });
    assert_eq!(at(&repo), (HeadRef::Commit(one), Some(one)));
    assert_eq!(repo.follow(&newer).unwrap(), Followed::Branch { name: "main".into(), created: false, forward: false });
    // A branch that is behind moves forward, and one that is not there is made.
    switch(&repo, "side", true);
    let three = commit(&repo, "t", 3);
    let ahead = Pin { branch: Some("main".into()), ..repo.pin().unwrap() };
    assert_eq!(repo.follow(&ahead).unwrap(), Followed::Branch { name: "main".into(), created: false, forward: true });
    assert_eq!(at(&repo), (branch("main"), Some(three)));
    let new = Pin { branch: Some("new".into()), ..pinned.clone() };
    assert_eq!(repo.follow(&new).unwrap(), Followed::Branch { name: "new".into(), created: true, forward: false });
    assert_eq!(at(&repo), (branch("new"), Some(one)));
    // What no branch can be called, and no branch at all, is the commit alone.
    for name in [None, Some("a..b".to_owned())] {
        switch(&repo, "main", false);
        assert_eq!(repo.follow(&Pin { branch: name, ..newer.clone() }).unwrap(), Followed::Detached { branch: None });
        assert_eq!(at(&repo).1, Some(two));
    }
    assert_eq!(repo.follow(&Pin { branch: None, ..newer.clone() }).unwrap(), Followed::Already);
}

#[test]
fn nothing_moves_over_what_is_not_committed_or_not_here() {
    let (_, repo) = memory();
    commit(&repo, "t", 1);
    let pinned = repo.pin().unwrap();
    commit(&repo, "t", 2);
    let missing = Pin { commit: CommitId([7; 32]), ..pinned.clone() };
    let before = repo.view().unwrap().mark;
    assert_eq!(repo.follow(&missing).unwrap(), Followed::Missing);
    // An object that is no commit is none either.
    let table = *pinned.tables.values().next().unwrap();
    assert_eq!(repo.follow(&Pin { commit: CommitId(table.0), ..pinned.clone() }).unwrap(), Followed::Missing);
    assert_eq!(repo.view().unwrap().mark, before);
    edit(&repo, "t", 3);
    let before = repo.view().unwrap().mark;
    assert_eq!(repo.follow(&pinned).unwrap(), Followed::Uncommitted);
    assert_eq!(repo.view().unwrap().mark, before);
    repo.reset("HEAD", ResetMode::Hard).unwrap();
    // Uncommitted changes of another branch hold that one: the commit alone is checked out.
    switch(&repo, "other", true);
    let forward = commit(&repo, "t", 4);
    switch(&repo, "main", false);
    edit(&repo, "t", 5);
    switch(&repo, "other", false);
    let pin = Pin { branch: Some("main".into()), commit: forward, ..pinned };
    assert!(matches!(repo.follow(&pin).unwrap(), Followed::Detached { branch: Some(_) }));
    switch(&repo, "main", false);
    assert_eq!(number(&repo, "t"), Some(5));
}

#[test]
fn a_commit_on_no_branch_is_not_pinned() {
    let (_, repo) = memory();
    let one = commit(&repo, "t", 1);
    detach(&repo, one);
    assert_eq!(repo.pin().unwrap().branch, None);
    commit(&repo, "t", 2);
    assert!(repo.pin().unwrap_err().to_string().contains("on no branch"));
}

#[test]
fn two_pins_become_one() {
    let (_, repo) = memory();
    commit(&repo, "t", 1);
    let base = repo.pin().unwrap();
    switch(&repo, "left", true);
    commit(&repo, "l", 2);
    let left = repo.pin().unwrap();
    switch(&repo, "main", false);
    let merged = |ours: &Pin, theirs: &Pin, rebased| match repo.merge_pins(ours, theirs, rebased).unwrap() {
        PinMerge::Merged(pin) => pin,
        other => panic!("{other:?}"),
    };
    // One has the other: nothing changes here.
    let before = repo.view().unwrap().mark;
    assert_eq!(merged(&left, &base, false), left);
    assert_eq!(merged(&base, &left, false), Pin { branch: Some("main".into()), ..left.clone() });
    assert_eq!(repo.view().unwrap().mark, before);
    commit(&repo, "r", 3);
    let right = repo.pin().unwrap();
    let both = merged(&right, &left, false);
    assert_eq!((at(&repo), both.branch.as_deref()), ((branch("main"), Some(both.commit)), Some("main")));
    assert_eq!((number(&repo, "l"), number(&repo, "r")), (Some(2), Some(3)));
    assert!(repo.contains_both(both.commit, &left, &right).unwrap() && !repo.contains_both(left.commit, &left, &right).unwrap());
    let missing = Pin { commit: CommitId([7; 32]), ..left.clone() };
    assert!(repo.merge_pins(&right, &missing, false).unwrap_err().to_string().contains("is not here"));
}

#[test]
fn a_rebase_moves_no_branch_before_its_end() {
    let (_, repo) = memory();
    commit(&repo, "t", 1);
    switch(&repo, "top", true);
    commit(&repo, "a", 2);
    let first = repo.pin().unwrap();
    commit(&repo, "b", 3);
    let second = repo.pin().unwrap();
    switch(&repo, "main", false);
    commit(&repo, "c", 4);
    let upstream = repo.pin().unwrap();
    switch(&repo, "top", false);
    let step = |ours: &Pin, theirs: &Pin| match repo.merge_pins(ours, theirs, true).unwrap() {
        PinMerge::Merged(pin) => pin,
        other => panic!("{other:?}"),
    };
    let picked = step(&upstream, &first);
    let last = step(&picked, &second);
    let tips = || repo.view().unwrap().state.branches().unwrap();
    assert_eq!((tips()["main"], tips()["top"]), (upstream.commit, second.commit));
    assert_eq!((last.branch.as_deref(), at(&repo).0, tips().len()), (Some("top"), branch("top"), 4));
    assert_eq!(repo.follow(&last).unwrap(), Followed::Branch { name: "top".into(), created: false, forward: true });
    assert_eq!(tips().keys().collect::<Vec<_>>(), ["main", "top"]);
    assert_eq!(["a", "b", "c"].map(|table| number(&repo, table)), [Some(2), Some(3), Some(4)]);
}
