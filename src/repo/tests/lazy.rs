//! Lazy clones: history is here, data come when they are read, and all verbs go on as they do elsewhere.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::commit;
use super::upkeep::{cells, put, read_table, small};
use crate::base::{NoProgress, ObjectId};
use crate::repo::remotes::{CloneOptions, FetchOptions, FetchedPart, Force, Part, PushRequest};
use crate::repo::{CommitOptions, GcOptions, LogOptions, MergeRequest, Repo, RepoError, SwitchOptions};

struct Place {
    dir: tempfile::TempDir,
    ada: Repo,
}

impl Place {
    /// Ada's repository of two commits and a tag, and its remote.
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let ada = Repo::init_with(&dir.path().join("ada"), "main", &small()).unwrap();
        put(&ada, "frames", Some(1)).unwrap();
        put(&ada, "labels", Some(40)).unwrap();
        commit(&ada, "first").unwrap();
        ada.create_tag("v1", None, None, false).unwrap();
        put(&ada, "frames", Some(2)).unwrap();
        commit(&ada, "second").unwrap();
        ada.add_remote("origin", dir.path().join("hub").to_str().unwrap()).unwrap();
        ada.push("origin", &PushRequest { branches: vec![("main".into(), "main".into())], tags: vec!["v1".into()], ..PushRequest::default() }).unwrap();
        Place { dir, ada }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn lazy(&self, name: &str) -> Repo {
        let options = CloneOptions { lazy: true, ..CloneOptions::default() };
        Repo::clone_from(self.path("hub").to_str().unwrap(), &self.path(name), &options, &small(), Arc::new(NoProgress)).unwrap().repo
    }
}

fn push(repo: &Repo, remote: &str) -> Result<bool, RepoError> {
    let request = PushRequest { branches: vec![("main".into(), "main".into())], force: Force::No, ..PushRequest::default() };
    Ok(!repo.push(remote, &request)?.is_refused())
}

fn table(repo: &Repo, revision: &str, name: &str) -> Vec<String> {
    read_table(repo.objects(), repo.snapshot_at(revision).unwrap().tables[name])
}

fn open(dir: &Path) -> Repo {
    Repo::open_with(dir, &small()).unwrap()
}

fn messages(repo: &Repo) -> Vec<String> {
    repo.log(&LogOptions::default()).unwrap().into_iter().map(|entry| entry.commit.message.clone()).collect()
}

/// The ids of all objects that are in its own packs.
fn own(repo: &Repo) -> HashSet<ObjectId> {
    let all = HashSet::new();
    let plan = repo.objects().plan_sweep(&all, 0.0).unwrap();
    let mut ids = HashSet::new();
    for pack in plan.packs {
        ids.extend(repo.objects().ids_in(&pack.pack).unwrap());
    }
    ids
}

#[test]
fn data_come_when_they_are_read() {
    let place = Place::new();
    let grace = place.lazy("grace");
    let count = own(&grace).len();
    // Two commits, two snapshots, three states of tables, and the operations of the clone itself.
    assert!((7..=12).contains(&count), "{count}");
    assert_eq!((table(&grace, "HEAD", "frames"), table(&grace, "v1", "frames"), table(&grace, "HEAD", "labels")), (cells(2), cells(1), cells(40)));
    assert_eq!(messages(&grace), ["second", "first"]);
    assert_eq!(own(&grace).len(), count, "reading keeps nothing in the repository");
    let found = grace.verify().unwrap();
    assert!(found.faults.is_empty() && found.elsewhere > 0, "{found:?}");
    // Opened anew it knows where its data are; where they are gone it says so, and history is there.
    let grace = open(&place.path("grace"));
    assert_eq!(grace.lazy_remote().unwrap().as_deref(), Some("origin"));
    assert_eq!(table(&grace, "HEAD", "frames"), cells(2));
    std::fs::rename(place.path("hub"), place.path("away")).unwrap();
    let grace = open(&place.path("grace"));
    assert_eq!(messages(&grace), ["second", "first"]);
    let error = crate::table::Table::load(grace.objects(), grace.snapshot_at("HEAD").unwrap().tables["frames"])
        .and_then(|table| Arc::new(table).scan(grace.objects()).open().map(|_| ()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("there is no dsv repository"), "{error}");
    std::fs::rename(place.path("away"), place.path("hub")).unwrap();
    assert_eq!(table(&grace, "HEAD", "frames"), cells(2));
}

#[test]
fn what_is_made_here_is_pushed_merged_and_collected() {
    let place = Place::new();
    let grace = place.lazy("grace");
    put(&grace, "frames", Some(3)).unwrap();
    put(&grace, "new", Some(90)).unwrap();
    commit(&grace, "grace's").unwrap();
    put(&place.ada, "labels", Some(41)).unwrap();
    commit(&place.ada, "ada's").unwrap();
    assert!(push(&place.ada, "origin").unwrap());
    assert!(!push(&grace, "origin").unwrap());
    assert_eq!(grace.fetch("origin", &FetchOptions::default()).unwrap().commits, 1);
    grace.merge(&["origin/main".to_owned()], &MergeRequest::default()).unwrap();
    assert!(push(&grace, "origin").unwrap());
    place.ada.fetch("origin", &FetchOptions::default()).unwrap();
    let merged = |repo: &Repo, at: &str| ["frames", "labels", "new"].map(|name| table(repo, at, name));
    assert_eq!(merged(&place.ada, "origin/main"), [cells(3), cells(41), cells(90)]);
    assert_eq!(merged(&grace, "main"), [cells(3), cells(41), cells(90)]);
    assert!(place.ada.verify().unwrap().faults.is_empty());
    // Nothing that is here alone goes with what nothing reaches; what is elsewhere is not missed.
    put(&grace, "draft", Some(120)).unwrap();
    put(&grace, "draft", None).unwrap();
    put(&grace, "kept", Some(121)).unwrap();
    let before = own(&grace).len();
    for _ in 0..2 {
        grace.gc(&GcOptions { horizon_ms: 0, grace_ms: 0, dead_share: 0.0, dry_run: false }).unwrap();
    }
    let grace = open(&place.path("grace"));
    assert!(own(&grace).len() < before);
    assert!(grace.verify().unwrap().faults.is_empty());
    assert_eq!(merged(&grace, "main"), [cells(3), cells(41), cells(90)]);
    assert_eq!(read_table(grace.objects(), grace.working_snapshot().unwrap().tables["kept"]), cells(121));
    // A branch elsewhere in history, and back.
    grace.create_branch("old", Some("v1"), false).unwrap();
    grace.commit(&CommitOptions { message: Some("kept".into()), ..Default::default() }).unwrap();
    grace.switch("old", &SwitchOptions::default()).unwrap();
    assert_eq!(read_table(grace.objects(), grace.working_snapshot().unwrap().tables["frames"]), cells(1));
    grace.undo(None).unwrap();
}

#[test]
fn what_is_elsewhere_is_passed_on_to_another_remote() {
    let place = Place::new();
    let grace = place.lazy("grace");
    grace.add_remote("backup", place.path("backup").to_str().unwrap()).unwrap();
    assert!(push(&grace, "backup").unwrap());
    let copy =
        Repo::clone_from(place.path("backup").to_str().unwrap(), &place.path("copy"), &CloneOptions::default(), &small(), Arc::new(NoProgress)).unwrap().repo;
    assert_eq!((table(&copy, "main", "frames"), table(&copy, "main~1", "frames")), (cells(2), cells(1)));
    assert!(copy.verify().unwrap().faults.is_empty());
    // What an older version had comes back: its data are at origin, under no tree that the tip shares.
    put(&grace, "frames", None).unwrap();
    commit(&grace, "gone").unwrap();
    assert!(push(&grace, "origin").unwrap());
    let old = grace.snapshot_at("v1").unwrap().tables["frames"];
    grace
        .update_working("back", |now| {
            let mut new = now.clone();
            new.tables.insert("frames".to_owned(), old);
            Ok::<_, RepoError>(new)
        })
        .unwrap();
    commit(&grace, "back").unwrap();
    assert!(push(&grace, "origin").unwrap());
    place.ada.fetch("origin", &FetchOptions::default()).unwrap();
    assert_eq!(table(&place.ada, "origin/main", "frames"), cells(1));
}

#[test]
fn it_gives_nothing_on_that_it_has_not() {
    let place = Place::new();
    let grace = place.lazy("grace");
    let cloned = Repo::clone_from(place.path("grace").to_str().unwrap(), &place.path("copy"), &CloneOptions::default(), &small(), Arc::new(NoProgress));
    let error = cloned.unwrap_err().to_string();
    assert!(error.contains("lazy clone") && !place.path("copy").exists(), "{error}");
    assert!(grace.remove_remote("origin").unwrap_err().to_string().contains("has the data of this lazy clone"));
    // Its remote may have another name, and stand elsewhere.
    grace.rename_remote("origin", "hub").unwrap();
    std::fs::rename(place.path("hub"), place.path("moved")).unwrap();
    grace.set_remote_url("hub", place.path("moved").to_str().unwrap()).unwrap();
    let grace = open(&place.path("grace"));
    assert_eq!((grace.lazy_remote().unwrap().as_deref(), table(&grace, "HEAD", "frames")), (Some("hub"), cells(2)));
}

#[test]
fn a_part_is_made_local() {
    let place = Place::new();
    let grace = place.lazy("grace");
    let part = Part { table: "frames".into(), ..Part::default() };
    let told = grace.fetch_part(&Part { dry_run: true, ..part.clone() }).unwrap();
    assert!(told.objects > 3 && told.bytes > 1000, "{told:?}");
    assert_eq!(grace.fetch_part(&part).unwrap(), told);
    assert_eq!(grace.fetch_part(&part).unwrap(), FetchedPart::default());
    for collect in [false, true] {
        if collect {
            grace.gc(&GcOptions { horizon_ms: 0, grace_ms: 0, dead_share: 0.0, dry_run: false }).unwrap();
        }
        // Without its remote that part reads, and no other.
        std::fs::rename(place.path("hub"), place.path("away")).unwrap();
        let alone = open(&place.path("grace"));
        assert_eq!(table(&alone, "HEAD", "frames"), cells(2));
        let labels = alone.table("labels", Some("HEAD")).unwrap();
        assert!(labels.scan(alone.objects()).open().and_then(|mut rows| rows.next().unwrap()).is_err());
        std::fs::rename(place.path("away"), place.path("hub")).unwrap();
    }
    assert!(matches!(grace.fetch_part(&Part { columns: vec!["txet".into()], ..part.clone() }), Err(RepoError::Table(_))));
    assert!(place.ada.fetch_part(&part).unwrap_err().to_string().contains("no lazy clone"));
}
