//! Remotes in folders: what one repository pushes, another fetches, and nobody's work is lost.

use std::path::Path;

use super::upkeep::{cells, put, read_table, small};
use super::{commit, options};
use crate::base::NoProgress;
use crate::repo::remotes::{CloneOptions, Cloned, FetchOptions, Force, PushRequest, Pushed, RefChange};
use crate::repo::{GcOptions, MergeRequest, Repo, RepoError};

pub fn init(dir: &Path) -> Repo {
    Repo::init_with(dir, "main", &small()).unwrap()
}

pub fn clone(from: &Path, dir: &Path) -> Cloned {
    Repo::clone_from(from.to_str().unwrap(), dir, &CloneOptions::default(), &small(), std::sync::Arc::new(NoProgress)).unwrap()
}

pub fn push(repo: &Repo, branches: &[&str], force: Force) -> Result<Pushed, RepoError> {
    let branches = branches.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect();
    repo.push("origin", &PushRequest { branches, force, ..PushRequest::default() })
}

pub fn table(repo: &Repo, revision: &str, name: &str) -> Vec<String> {
    read_table(repo.objects(), repo.snapshot_at(revision).unwrap().tables[name])
}

pub fn kinds(pushed: &Pushed) -> Vec<&RefChange> {
    pushed.refs.iter().map(|update| &update.kind).collect()
}

#[test]
fn what_is_pushed_is_cloned_and_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let (ada, hub) = (init(&dir.path().join("ada")), dir.path().join("hub"));
    put(&ada, "frames", Some(1)).unwrap();
    commit(&ada, "first").unwrap();
    ada.create_tag("v1", None, Some("one"), false).unwrap();
    put(&ada, "secret", Some(9)).unwrap();
    ada.add_remote("origin", hub.to_str().unwrap()).unwrap();
    let pushed =
        ada.push("origin", &PushRequest { branches: vec![("main".into(), "main".into())], tags: vec!["v1".into()], ..PushRequest::default() }).unwrap();
    assert!(pushed.made && pushed.commits == 1 && kinds(&pushed) == [&RefChange::New, &RefChange::New], "{pushed:?}");

    let Cloned { repo: grace, branch, fetched } = clone(&hub, &dir.path().join("grace"));
    assert_eq!((branch.as_str(), fetched.commits), ("main", 1));
    assert_eq!(table(&grace, "HEAD", "frames"), cells(1));
    assert_eq!(grace.resolve("v1").unwrap(), ada.resolve("main").unwrap());
    // What was not committed stayed at home, in all its parts.
    assert!(!grace.objects().contains(super::upkeep::store_table(ada.objects(), 9).unwrap()).unwrap());
    assert_eq!(grace.upstream("main").unwrap(), Some(("origin".into(), "main".into())));
    assert!(grace.verify().unwrap().faults.is_empty());

    // Another commit, of which only what is new goes.
    commit(&ada, "second").unwrap();
    let again = push(&ada, &["main"], Force::No).unwrap();
    assert!(again.commits == 1 && kinds(&again) == [&RefChange::Forward] && again.objects < pushed.objects + 40, "{again:?}");
    assert_eq!(kinds(&push(&ada, &["main"], Force::No).unwrap()), [&RefChange::Same]);
    let fetched = grace.fetch("origin", &FetchOptions::default()).unwrap();
    assert_eq!((fetched.commits, fetched.refs.len(), &fetched.refs[0].kind), (1, 1, &RefChange::Forward));
    assert_eq!(grace.resolve("origin/main").unwrap(), ada.resolve("main").unwrap());
    assert_eq!(table(&grace, "origin/main", "secret"), cells(9));
    assert_eq!(grace.fetch("origin", &FetchOptions::default()).unwrap(), Default::default());
}

#[test]
fn of_two_pushers_one_is_told_to_fetch() {
    let dir = tempfile::tempdir().unwrap();
    let (ada, hub) = (init(&dir.path().join("ada")), dir.path().join("hub"));
    put(&ada, "frames", Some(1)).unwrap();
    commit(&ada, "first").unwrap();
    ada.add_remote("origin", hub.to_str().unwrap()).unwrap();
    push(&ada, &["main"], Force::No).unwrap();
    let grace = clone(&hub, &dir.path().join("grace")).repo;
    put(&ada, "frames", Some(2)).unwrap();
    commit(&ada, "ada's").unwrap();
    put(&grace, "labels", Some(3)).unwrap();
    commit(&grace, "grace's").unwrap();
    push(&ada, &["main"], Force::No).unwrap();
    let refused = push(&grace, &["main"], Force::No).unwrap();
    assert!(refused.is_refused() && matches!(kinds(&refused)[..], [RefChange::Refused(why)] if why.contains("fetch first")), "{refused:?}");
    // With a lease too: it has moved since.
    assert!(push(&grace, &["main"], Force::Lease).unwrap().is_refused());
    grace.fetch("origin", &FetchOptions::default()).unwrap();
    let refused = push(&grace, &["main"], Force::No).unwrap();
    assert!(matches!(kinds(&refused)[..], [RefChange::Refused(why)] if why.contains("pull")));
    grace.merge(&["origin/main".to_owned()], &MergeRequest::default()).unwrap();
    assert_eq!(kinds(&push(&grace, &["main"], Force::No).unwrap()), [&RefChange::Forward]);
    ada.fetch("origin", &FetchOptions::default()).unwrap();
    assert_eq!((table(&ada, "origin/main", "frames"), table(&ada, "origin/main", "labels")), (cells(2), cells(3)));

    // Back, on purpose: seen by whoever fetches next.
    let first = ada.resolve("main~1").unwrap();
    ada.create_branch("old", Some("main~1"), false).unwrap();
    let request = PushRequest { branches: vec![("old".into(), "main".into())], force: Force::Lease, ..PushRequest::default() };
    assert_eq!(kinds(&ada.push("origin", &request).unwrap()), [&RefChange::Forced]);
    let fetched = grace.fetch("origin", &FetchOptions::default()).unwrap();
    assert_eq!((&fetched.refs[0].kind, fetched.refs[0].new), (&RefChange::Forced, Some(first)));
    // A branch that goes.
    push(&ada, &["old"], Force::No).unwrap();
    let request = PushRequest { delete: vec!["old".into(), "none".into()], ..PushRequest::default() };
    assert!(matches!(kinds(&ada.push("origin", &request).unwrap())[..], [RefChange::Deleted, RefChange::Refused(_)]));
}

#[test]
fn a_remote_is_made_in_a_folder_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let ada = init(&dir.path().join("ada"));
    put(&ada, "frames", Some(1)).unwrap();
    commit(&ada, "first").unwrap();
    let taken = dir.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("thesis.tex"), "x").unwrap();
    ada.add_remote("origin", taken.to_str().unwrap()).unwrap();
    assert!(ada.push("origin", &PushRequest { branches: vec![("main".into(), "a b".into())], ..PushRequest::default() }).is_err());
    let error = push(&ada, &["main"], Force::No).unwrap_err().to_string();
    assert!(error.contains("holds something else") && std::fs::read_dir(&taken).unwrap().count() == 1, "{error}");
    assert!(ada.fetch("origin", &FetchOptions::default()).unwrap_err().to_string().contains("no dsv repository"));
    // What a first push that was cut has left is no obstacle.
    std::fs::remove_file(taken.join("thesis.tex")).unwrap();
    std::fs::create_dir(taken.join("packs")).unwrap();
    assert!(push(&ada, &["main"], Force::No).unwrap().made);
    let taken = dir.path().join("other");
    std::fs::create_dir(&taken).unwrap();
    ada.set_remote_url("origin", taken.to_str().unwrap()).unwrap();
    assert!(Repo::clone_from(taken.to_str().unwrap(), &dir.path().join("new"), &CloneOptions::default(), &options(), std::sync::Arc::new(NoProgress)).is_err());
    assert!(!dir.path().join("new").exists());
    assert!(matches!(ada.fetch("orgin", &FetchOptions::default()), Err(RepoError::NoRemote { nearest, .. }) if nearest == ["origin"]));
}

#[test]
fn a_clone_that_was_cut_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (ada, hub, there) = (init(&dir.path().join("ada")), dir.path().join("hub"), dir.path().join("new"));
    for n in 0..6 {
        put(&ada, &format!("t{n}"), Some(n * 20)).unwrap();
    }
    commit(&ada, "much").unwrap();
    ada.add_remote("origin", hub.to_str().unwrap()).unwrap();
    push(&ada, &["main"], Force::No).unwrap();
    // Damage in the remote: the clone fails, and nothing false is kept.
    let packs: Vec<_> = std::fs::read_dir(hub.join("packs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let sound: Vec<Vec<u8>> = packs.iter().map(|path| std::fs::read(path).unwrap()).collect();
    for (path, bytes) in packs.iter().zip(&sound) {
        let mut damaged = bytes.clone();
        for byte in damaged.iter_mut().skip(64).step_by(997).take(50) {
            *byte ^= 4;
        }
        std::fs::write(path, damaged).unwrap();
    }
    let attempt = || Repo::clone_from(hub.to_str().unwrap(), &there, &CloneOptions::default(), &small(), std::sync::Arc::new(NoProgress));
    assert!(attempt().is_err());
    for (path, bytes) in packs.iter().zip(&sound) {
        std::fs::write(path, bytes).unwrap();
    }
    let cloned = attempt().unwrap();
    assert_eq!(table(&cloned.repo, "HEAD", "t5"), cells(100));
    assert!(cloned.repo.verify().unwrap().faults.is_empty());
    assert!(attempt().unwrap_err().to_string().contains("not empty"));
}

#[test]
fn remotes_are_named_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (ada, hub) = (init(&dir.path().join("ada")), dir.path().join("hub"));
    put(&ada, "frames", Some(1)).unwrap();
    commit(&ada, "first").unwrap();
    assert!(ada.default_remote().unwrap_err().to_string().contains("no remote"));
    ada.add_remote("origin", hub.to_str().unwrap()).unwrap();
    assert!(matches!(ada.add_remote("origin", "x"), Err(RepoError::Taken { .. })));
    push(&ada, &["main"], Force::No).unwrap();
    ada.set_upstream("main", "origin", "main").unwrap();
    ada.rename_remote("origin", "hub").unwrap();
    assert_eq!(ada.upstream("main").unwrap(), Some(("hub".into(), "main".into())));
    assert_eq!(ada.default_remote().unwrap(), "hub");
    assert_eq!(ada.resolve("hub/main").unwrap(), ada.resolve("main").unwrap());
    assert!(ada.resolve("origin/main").is_err());
    ada.remove_remote("hub").unwrap();
    assert_eq!(ada.upstream("main").unwrap(), None);
    assert!(ada.remotes().unwrap().is_empty() && ada.resolve("hub/main").is_err());
    ada.gc(&GcOptions { horizon_ms: 0, grace_ms: 0, ..GcOptions::default() }).unwrap();
    assert_eq!(table(&ada, "main", "frames"), cells(1));
}

#[test]
fn what_is_damaged_here_comes_anew_from_a_remote() {
    let dir = tempfile::tempdir().unwrap();
    let (ada, hub) = (init(&dir.path().join("ada")), dir.path().join("hub"));
    for n in 0..4 {
        put(&ada, &format!("t{n}"), Some(n * 20)).unwrap();
    }
    commit(&ada, "much").unwrap();
    ada.add_remote("origin", hub.to_str().unwrap()).unwrap();
    push(&ada, &["main"], Force::No).unwrap();
    drop(ada);
    let here = dir.path().join("ada/.dsv/packs");
    let packs: Vec<_> = std::fs::read_dir(&here).unwrap().map(|entry| entry.unwrap().path()).collect();
    let sound: Vec<Vec<u8>> = packs.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let restore = || packs.iter().zip(&sound).for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    let head = dir.path().join("ada/.dsv/head");
    let before = std::fs::read(&head).unwrap();
    let (mut repaired, mut came) = (0, 0);
    for (path, bytes) in packs.iter().zip(&sound) {
        let mut flipped = bytes.clone();
        flipped.iter_mut().skip(40).step_by(bytes.len() / 7 + 1).for_each(|byte| *byte ^= 4);
        let cut = bytes[..bytes.len() - 9].to_vec();
        for damaged in [Some(flipped), Some(cut), None] {
            match &damaged {
                Some(damaged) => std::fs::write(path, damaged).unwrap(),
                None => std::fs::remove_file(path).unwrap(),
            }
            // What no remote has, as the newest operation, cannot come from one.
            let opened = Repo::open_with(&dir.path().join("ada"), &small());
            if let Ok(ada) = opened {
                let found = ada.verify().unwrap();
                assert!(!found.faults.is_empty());
                let done = ada.repair(&found, &ada.open_remote("origin", &Default::default()).unwrap()).unwrap();
                let again = Repo::open_with(&dir.path().join("ada"), &small()).unwrap();
                if done.lost.is_empty() {
                    let left = again.verify().unwrap();
                    assert!(left.faults.is_empty() && done.packs > 0, "{done:?} {left:?}");
                    assert_eq!(table(&again, "main", "t3"), cells(60));
                    repaired += 1;
                    came += done.objects;
                }
            }
            restore();
            std::fs::write(&head, &before).unwrap();
        }
    }
    assert!(repaired >= 2 && came > 10, "{repaired} {came}");
    let ada = Repo::open_with(&dir.path().join("ada"), &small()).unwrap();
    // Damage in the remote is found there, and collected nowhere.
    let there = |name: &str| ada.open_remote(name, &Default::default()).unwrap();
    assert!(there("origin").repo().verify().unwrap().faults.is_empty());
    for entry in std::fs::read_dir(hub.join("packs")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(!there("origin").repo().verify().unwrap().faults.is_empty());
}

#[test]
fn a_remote_is_collected_beside_those_who_use_it() {
    let dir = tempfile::tempdir().unwrap();
    let (ada, hub) = (init(&dir.path().join("ada")), dir.path().join("hub"));
    put(&ada, "frames", Some(1)).unwrap();
    commit(&ada, "first").unwrap();
    ada.add_remote("origin", hub.to_str().unwrap()).unwrap();
    push(&ada, &["main"], Force::No).unwrap();
    // A branch that comes and goes leaves what only it had.
    ada.create_branch("side", None, false).unwrap();
    let side = ada.on_branch("side").unwrap();
    put(&side, "waste", Some(100)).unwrap();
    side.commit(&crate::repo::CommitOptions { message: Some("waste".into()), ..Default::default() }).unwrap();
    push(&ada, &["side"], Force::No).unwrap();
    let reader = ada.open_remote("origin", &Default::default()).unwrap();
    let old = reader.existing().unwrap();
    ada.push("origin", &PushRequest { delete: vec!["side".into()], ..PushRequest::default() }).unwrap();
    let collect = |grace_ms: u64, dry_run: bool| {
        let remote = ada.open_remote("origin", &Default::default()).unwrap();
        remote.existing().unwrap();
        remote.repo().gc(&GcOptions { horizon_ms: 0, grace_ms, dead_share: 0.0, dry_run }).unwrap()
    };
    let files = || std::fs::read_dir(hub.join("packs")).unwrap().count();
    let told = collect(3_600_000, true);
    assert!(told.bytes_dead > 1000 && told.packs_condemned > 0, "{told:?}");
    let before = files();
    let done = collect(3_600_000, false);
    assert_eq!((done.packs_condemned, done.files_deleted), (told.packs_condemned, 0));
    assert!(files() >= before, "within the time of grace nothing goes");
    // Who read the head before still reads all.
    let waste = old.state.branch("side").unwrap().unwrap();
    assert_eq!(read_table(reader.repo().objects(), reader.repo().snapshot_of(waste).unwrap().tables["waste"]), cells(100));
    // A push of what was condemned meanwhile writes it anew.
    push(&ada, &["side"], Force::No).unwrap();
    assert!(collect(0, false).files_deleted > 0);
    let all = clone(&hub, &dir.path().join("all")).repo;
    assert_eq!((table(&all, "main", "frames"), table(&all, "origin/side", "waste")), (cells(1), cells(100)));
    assert!(ada.open_remote("origin", &Default::default()).unwrap().repo().verify().unwrap().faults.is_empty());
    assert!(all.verify().unwrap().faults.is_empty());
}
