//! What each verb says and refuses.

use std::fs;

use super::{commit, edit, memory, number, options};
use crate::format::operation::HeadRef;
use crate::history::HistoryError;
use crate::repo::{Change, CommitOptions, ErrorKind, Identity, LogOptions, RefKind, Repo, RepoError, ResetMode, SwitchOptions};

fn switch(repo: &Repo, target: &str, create: bool) -> Result<super::super::Switched, RepoError> {
    repo.switch(target, &SwitchOptions { create, ..Default::default() })
}

#[test]
fn init_and_open() {
    let dir = tempfile::tempdir().unwrap();
    let nested = dir.path().join("a/b");
    assert!(matches!(Repo::open_with(dir.path(), &options()), Err(RepoError::NoRepository(_))));
    assert!(Repo::init_with(dir.path(), "not a name", &options()).is_err());
    assert!(!dir.path().join(".dsv").exists());
    Repo::init_with(dir.path(), "trunk", &options()).unwrap();
    let again = Repo::init_with(dir.path(), "main", &options()).unwrap_err();
    assert!(matches!(again, RepoError::Exists(_)) && again.kind() == ErrorKind::Usage);
    fs::create_dir_all(&nested).unwrap();
    let repo = Repo::open_with(&nested, &options()).unwrap();
    assert_eq!(repo.status().unwrap().head, HeadRef::Branch("trunk".into()));
    assert_eq!(repo.dir().unwrap(), fs::canonicalize(dir.path().join(".dsv")).unwrap());
    // A repository within a repository is its own.
    Repo::init_with(&nested, "inner", &options()).unwrap();
    assert_eq!(Repo::open_with(&nested, &options()).unwrap().current_branch().unwrap().as_deref(), Some("inner"));
}

#[test]
fn a_damaged_or_newer_head_is_told() {
    let dir = tempfile::tempdir().unwrap();
    Repo::init_with(dir.path(), "main", &options()).unwrap();
    let head = dir.path().join(".dsv/head");
    let bytes = fs::read(&head).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        fs::write(&head, &damaged).unwrap();
        let error = Repo::open_with(dir.path(), &options()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fault);
        assert!(at == 7 || error.to_string().contains("head pointer"), "{error}");
    }
    let mut newer = bytes.clone();
    newer[7] = 2;
    fs::write(&head, &newer).unwrap();
    let error = Repo::open_with(dir.path(), &options()).unwrap_err();
    assert_eq!(error.to_string(), "the repository has format version 2; this dsv reads version 1");
    assert_eq!(error.hints().len(), 1);
}

#[test]
fn commits_say_what_they_hold() {
    let (_, repo) = memory();
    let nothing = commit(&repo, "x").unwrap_err();
    assert!(matches!(nothing, RepoError::NothingToCommit { commit: None }) && nothing.kind() == ErrorKind::Answer);
    edit(&repo, "a", Some(1)).unwrap();
    assert!(commit(&repo, " \n").unwrap_err().to_string().contains("message is empty"));
    let first = repo.commit(&CommitOptions { message: Some("first\n\nbody\n".into()), ..Default::default() }).unwrap();
    assert_eq!((first.commit.message.as_str(), first.commit.author.name.as_str()), ("first\n\nbody", "Ada"));
    assert!(matches!(first.tables.as_slice(), [one] if one.name == "a" && matches!(one.change, Change::Added(_))));
    assert!(!first.author_guessed);
    assert!(matches!(commit(&repo, "again"), Err(RepoError::NothingToCommit { commit: Some(id) }) if id == first.id));

    edit(&repo, "b", Some(2)).unwrap();
    let author = Some(Identity::parse("Grace <g@example.org>").unwrap());
    let amended = repo.commit(&CommitOptions { amend: true, author, ..Default::default() }).unwrap();
    assert_eq!((amended.commit.parents.len(), amended.commit.message.as_str()), (0, "first\n\nbody"));
    assert_eq!((amended.commit.author.name.as_str(), amended.commit.author.millis), ("Grace", first.commit.author.millis));
    assert_eq!(amended.tables.len(), 2);
    assert!(repo.status().unwrap().is_clean());
}

#[test]
fn without_anybody_the_author_is_guessed() {
    let store = crate::store::MemoryStore::new();
    let environment = crate::repo::Environment::fixed(|| 1, &[("USER", "ada"), ("HOSTNAME", "laptop")]);
    let repo = Repo::on_store(None, std::sync::Arc::new(store), &crate::repo::OpenOptions { environment, ..Default::default() });
    repo.make("main").unwrap();
    assert_eq!(repo.identity().unwrap(), Identity { name: "ada".into(), email: "ada@laptop".into(), guessed: true });
    edit(&repo, "a", Some(1)).unwrap();
    assert!(repo.commit(&CommitOptions { message: Some("m".into()), ..Default::default() }).unwrap().author_guessed);
    assert_eq!(repo.operations(Some(1)).unwrap()[0].operation.user, "ada@laptop");
}

#[test]
fn each_branch_keeps_its_uncommitted_changes() {
    let (_, repo) = memory();
    edit(&repo, "a", Some(1)).unwrap();
    commit(&repo, "first").unwrap();
    repo.create_branch("b", None, false).unwrap();
    edit(&repo, "a", Some(2)).unwrap();
    let switched = switch(&repo, "b", false).unwrap();
    assert!(switched.left_behind && !switched.carried && !switched.uncommitted);
    assert_eq!(number(repo.working_snapshot().unwrap().tables["a"]), 1);
    edit(&repo, "b", Some(3)).unwrap();
    assert!(switch(&repo, "-", false).unwrap().uncommitted);
    assert_eq!(number(repo.working_snapshot().unwrap().tables["a"]), 2);
    let carried = switch(&repo, "c", true).unwrap();
    assert!(carried.carried && !carried.left_behind && carried.uncommitted);
    switch(&repo, "main", false).unwrap();
    assert!(repo.status().unwrap().is_clean());
    let listed: Vec<_> = repo.branches().unwrap().into_iter().map(|b| (b.name, b.current, b.uncommitted)).collect();
    assert_eq!(listed, [("b".into(), false, true), ("c".into(), false, true), ("main".into(), true, false)]);

    let error = switch(&repo, "mian", false).unwrap_err();
    assert!(matches!(&error, RepoError::NoBranch { nearest, other: false, .. } if nearest == &["main"]), "{error}");
    repo.create_tag("v1", None, None, false).unwrap();
    let error = switch(&repo, "v1", false).unwrap_err();
    assert!(matches!(error, RepoError::NoBranch { other: true, .. }), "{error}");
    assert!(error.hints()[0].contains("--detach v1"));
}

#[test]
fn uncommitted_changes_without_a_branch_are_not_left() {
    let (_, repo) = memory();
    edit(&repo, "a", Some(1)).unwrap();
    commit(&repo, "first").unwrap();
    repo.switch("HEAD", &SwitchOptions { detach: true, ..Default::default() }).unwrap();
    assert_eq!(repo.current_branch().unwrap(), None);
    edit(&repo, "a", Some(2)).unwrap();
    assert!(switch(&repo, "main", false).unwrap_err().to_string().contains("on no branch"));
    switch(&repo, "kept", true).unwrap();
    assert_eq!(number(repo.working_snapshot().unwrap().tables["a"]), 2);
    assert!(switch(&repo, "main", false).is_ok());
}

#[test]
fn branches_are_not_lost_by_accident() {
    let (_, repo) = memory();
    assert!(matches!(repo.create_branch("b", None, false), Err(RepoError::History(HistoryError::NoCommit(_)))));
    edit(&repo, "a", Some(1)).unwrap();
    let first = commit(&repo, "first").unwrap();
    switch(&repo, "b", true).unwrap();
    edit(&repo, "a", Some(2)).unwrap();
    commit(&repo, "second").unwrap();
    assert!(repo.delete_branch("b", true).unwrap_err().to_string().contains("checked out"));
    assert_eq!(repo.delete_branch("main", false).unwrap(), Some(first));
    repo.undo(None).unwrap();
    switch(&repo, "main", false).unwrap();
    let error = repo.delete_branch("b", false).unwrap_err();
    assert!(error.to_string().contains("not merged") && error.hints()[0].contains("-D b"), "{error}");
    repo.delete_branch("b", true).unwrap();
    repo.undo(None).unwrap();
    assert!(matches!(repo.create_branch("b", None, false), Err(RepoError::Taken { .. })));
    assert!(matches!(repo.create_branch("a..b", None, false), Err(RepoError::BadName(_))));
    repo.rename_branch(None, "trunk", false).unwrap();
    assert_eq!(repo.current_branch().unwrap().as_deref(), Some("trunk"));
    assert!(matches!(repo.rename_branch(Some("nix"), "x", false), Err(RepoError::NoBranch { .. })));
}

#[test]
fn reset_and_restore() {
    let (_, repo) = memory();
    edit(&repo, "a", Some(1)).unwrap();
    let first = commit(&repo, "first").unwrap();
    edit(&repo, "a", Some(2)).unwrap();
    edit(&repo, "b", Some(2)).unwrap();
    let second = commit(&repo, "second").unwrap();
    assert_eq!(repo.reset("HEAD~1", ResetMode::Soft).unwrap(), (Some(second), first));
    let status = repo.status().unwrap();
    assert_eq!(status.tables.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    repo.reset(&second.to_string(), ResetMode::Soft).unwrap();
    assert!(repo.status().unwrap().is_clean());
    assert_eq!(repo.restore(&["a".into()], Some("HEAD~")).unwrap(), ["a"]);
    assert_eq!(number(repo.working_snapshot().unwrap().tables["a"]), 1);
    assert_eq!(repo.restore(&["b".into()], Some("HEAD~")).unwrap(), ["b"]);
    assert!(!repo.working_snapshot().unwrap().tables.contains_key("b"));
    let error = repo.restore(&["aa".into()], None).unwrap_err();
    assert!(error.to_string() == "there is no table 'aa' in HEAD" && error.hints() == ["did you mean 'a'?"], "{error}");
    assert_eq!(repo.restore(&[], None).unwrap(), ["a", "b"]);
    assert!(repo.status().unwrap().is_clean());
    edit(&repo, "a", Some(9)).unwrap();
    repo.reset("HEAD", ResetMode::Hard).unwrap();
    assert!(repo.status().unwrap().is_clean());
}

#[test]
fn a_branch_that_moved_under_uncommitted_changes_is_not_overwritten() {
    let (_, repo) = memory();
    edit(&repo, "a", Some(1)).unwrap();
    commit(&repo, "first").unwrap();
    let second = {
        edit(&repo, "a", Some(2)).unwrap();
        commit(&repo, "second").unwrap()
    };
    repo.reset("HEAD~", ResetMode::Hard).unwrap();
    edit(&repo, "b", Some(1)).unwrap();
    // As a push would do it: the branch moves, the working state stays.
    let mut pushed = crate::history::Transaction::new(Some(repo.view().unwrap()));
    pushed.set("heads/main", Some(second.0.to_vec())).unwrap();
    repo.publish(pushed, "push").unwrap();
    let error = commit(&repo, "mine").unwrap_err();
    assert!(matches!(&error, RepoError::Outdated { branch, tip } if branch == "main" && *tip == second), "{error}");
    assert!(repo.status().unwrap().outdated.is_some());
}

#[test]
fn logs() {
    let (_, repo) = memory();
    assert!(repo.log(&LogOptions::default()).unwrap().is_empty());
    assert!(repo.log(&LogOptions { all: true, ..Default::default() }).unwrap().is_empty());
    edit(&repo, "a", Some(1)).unwrap();
    let one = commit(&repo, "one").unwrap();
    edit(&repo, "b", Some(1)).unwrap();
    let two = commit(&repo, "two").unwrap();
    edit(&repo, "a", Some(2)).unwrap();
    let three = commit(&repo, "three").unwrap();
    repo.create_tag("v1", Some("HEAD~1"), Some("release\n"), false).unwrap();
    let log = |options: LogOptions| repo.log(&options).unwrap().into_iter().map(|entry| entry.id).collect::<Vec<_>>();
    assert_eq!(log(LogOptions::default()), [three, two, one]);
    assert_eq!(log(LogOptions { limit: Some(2), ..Default::default() }), [three, two]);
    assert_eq!(log(LogOptions { ranges: vec!["v1..".into()], ..Default::default() }), [three]);
    let filtered = repo.log(&LogOptions { tables: vec!["a".into()], ..Default::default() }).unwrap();
    assert_eq!(filtered.iter().map(|entry| (entry.id, entry.shown_parents.clone())).collect::<Vec<_>>(), [(three, vec![one]), (one, vec![])]);
    let shown = repo.show("v1").unwrap();
    assert_eq!((shown.entry.id, shown.tag.unwrap().message.as_str()), (two, "release"));
    assert_eq!(shown.tables.len(), 1);
    assert_eq!(shown.entry.refs.iter().map(|r| (r.kind, r.name.as_str())).collect::<Vec<_>>(), [(RefKind::Tag, "v1")]);
    let entries = repo.log(&LogOptions::default()).unwrap();
    assert!(entries[0].refs[0].current && entries[0].refs[0].kind == RefKind::Branch);
    let error = repo.log(&LogOptions { ranges: vec!["nope".into()], ..Default::default() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(matches!(repo.create_tag("v1", None, None, false), Err(RepoError::Taken { .. })));
    assert_eq!(repo.delete_tag("v1").unwrap(), two);
    assert!(matches!(repo.delete_tag("v1"), Err(RepoError::NoTag { .. })));
}

#[test]
fn undo_names_what_it_undid() {
    let (_, repo) = memory();
    let nothing = repo.undo(None).unwrap_err();
    assert_eq!((nothing.to_string().as_str(), nothing.kind()), ("nothing to undo", ErrorKind::Answer));
    edit(&repo, "a", Some(1)).unwrap();
    commit(&repo, "one").unwrap();
    let undone = repo.undo(None).unwrap();
    assert_eq!(undone.operation.command, "commit: one");
    assert_eq!(undone.changes.unwrap().len(), 2);
    assert!(!repo.status().unwrap().is_clean());
    assert_eq!(repo.redo().unwrap().operation.command, "commit: one");
    assert!(repo.redo().unwrap_err().to_string().contains("nothing to redo"));
    let commands: Vec<String> = repo.operations(None).unwrap().into_iter().map(|o| o.operation.command).collect();
    assert_eq!(commands.len(), 5);
    assert!(commands[0].starts_with("redo ") && commands[1].starts_with("undo ") && commands[4] == "init", "{commands:?}");
    let id = repo.operations(None).unwrap()[4].id;
    assert!(repo.undo(Some(&id.to_string()[..12])).is_err());
    assert!(matches!(repo.undo(Some("ffffffffffff")), Err(RepoError::History(HistoryError::UnknownOperation(_)))));
}

#[test]
fn a_handle_stays_on_its_branch() {
    let (_, repo) = memory();
    let held = |repo: &Repo, table: &str| repo.working_snapshot().unwrap().tables.get(table).copied().map(number);
    edit(&repo, "a", Some(1)).unwrap();
    commit(&repo, "one").unwrap();
    repo.create_branch("side", None, false).unwrap();
    assert!(matches!(repo.on_branch("syde"), Err(RepoError::NoBranch { nearest, .. }) if nearest == ["side"]));
    let side = repo.on_branch("side").unwrap();
    assert_eq!((side.current_branch().unwrap().as_deref(), side.pinned()), (Some("side"), Some("side")));
    // Each sees its own working state and its own HEAD.
    edit(&side, "a", Some(2)).unwrap();
    assert_eq!((held(&side, "a"), held(&repo, "a")), (Some(2), Some(1)));
    assert!(repo.status().unwrap().is_clean() && !side.status().unwrap().is_clean());
    commit(&side, "two").unwrap();
    edit(&repo, "b", Some(7)).unwrap();
    commit(&repo, "three").unwrap();
    assert_ne!(side.resolve("HEAD").unwrap(), repo.resolve("HEAD").unwrap());
    assert_eq!((side.resolve("HEAD").unwrap(), repo.resolve("HEAD").unwrap()), (repo.resolve("side").unwrap(), side.resolve("main").unwrap()));
    assert_eq!(repo.current_branch().unwrap().as_deref(), Some("main"));
    // What is checked out moves under neither.
    side.merge(&["main".into()], &Default::default()).unwrap();
    assert_eq!((held(&side, "b"), held(&side, "a"), held(&repo, "a")), (Some(7), Some(2), Some(1)));
    switch(&repo, "side", false).unwrap();
    assert_eq!((held(&repo, "a"), side.current_branch().unwrap().as_deref()), (Some(2), Some("side")));
    switch(&repo, "main", false).unwrap();
    // It is not taken elsewhere, and its branch not from under it by itself.
    assert!(switch(&side, "main", false).unwrap_err().to_string().contains("stays on branch 'side'"));
    assert!(side.rename_branch(None, "other", false).is_err() && side.delete_branch("side", true).is_err());
    assert!(side.delete_branch("main", true).unwrap_err().to_string().contains("checked out"));
    // By another handle it may be: then there is nothing to stand on, which is told.
    repo.delete_branch("side", true).unwrap();
    assert!(side.resolve("HEAD").unwrap_err().to_string().contains("side"));
}
