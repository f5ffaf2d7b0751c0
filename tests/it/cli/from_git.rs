//! `dsv import --from-git`: the history of a file in Git as commits.

use std::collections::BTreeMap;

use dsv::repo::files::{ReadOptions, Target, WriteOptions};
use dsv::repo::{GIT_COMMIT, GitImport, Repo};
use serde_json::Value;

use crate::gitrepo::{AUTHORS, FIRST_SECONDS, GitRepo};
use crate::replay::{records, versions};
use crate::support::{Sandbox, data};

/// A repository of dsv in `here`, and one of Git in `code` with some versions of `data/birds.csv`.
fn birds() -> Option<(Sandbox, GitRepo)> {
    let s = Sandbox::repo();
    let git = GitRepo::init(s.path("code"))?;
    git.version("readme", "birds", "begin");
    git.version("data/birds.csv", "id,name\n1,wren\n2,owl\n", "birds\n\nfound in the garden");
    git.version("readme", "more birds", "not about the data");
    git.version("data/birds.csv", "id,name\n1,wren\n2,barn owl\n3,swift\n", "a swift");
    git.version("data/birds.csv", "id,name,weight\n2,barn owl,300\n3,swift,41.5\n", "weights; the wren flew off");
    Some((s, git))
}

const IMPORT: [&str; 5] = ["import", "birds", "--from-git", "code", "data/birds.csv"];

fn log(s: &Sandbox) -> Vec<Value> {
    let lines = s.ok(["log", "--json"]);
    let mut log: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    log.reverse();
    log
}

/// The messages, oldest first.
fn messages(s: &Sandbox) -> Vec<String> {
    log(s).iter().map(|commit| commit["message"].as_str().unwrap().lines().next().unwrap().to_owned()).collect()
}

fn rows(s: &Sandbox, at: &str) -> String {
    s.ok(["export", "birds", "-", "--format", "csv", "--at", at])
}

#[test]
fn a_history_becomes_commits() {
    let Some((s, git)) = birds() else { return };
    let told = s.run([&IMPORT[..], &["--key", "id"]].concat());
    insta::assert_snapshot!(told.redacted());
    assert_eq!(messages(&s), ["birds", "a swift", "weights; the wren flew off"]);
    assert!(log(&s)[0]["message"].as_str().unwrap().contains("found in the garden"));
    let show = s.ok(["show", "HEAD~2"]);
    assert!(show.contains("Zoë") || show.contains("Ada"), "{show}");
    assert_eq!(rows(&s, "HEAD~2"), "id,name\n1,wren\n2,owl\n");
    assert_eq!(rows(&s, "HEAD~1"), "id,name\n1,wren\n2,barn owl\n3,swift\n");
    assert_eq!(rows(&s, "HEAD"), "id,name,weight\n2,barn owl,300.0\n3,swift,41.5\n");
    let repo = Repo::open(&s.path("")).unwrap();
    // The second commit in Git is the first of the file.
    for (revision, n) in [("HEAD~2", 1), ("HEAD~1", 3), ("HEAD", 4)] {
        let commit = repo.commit_of(repo.resolve(revision).unwrap()).unwrap();
        let (name, email, offset) = AUTHORS[n % AUTHORS.len()];
        let minutes: i32 = offset[1..3].parse::<i32>().unwrap() * 60 + offset[3..].parse::<i32>().unwrap();
        let minutes = if offset.starts_with('-') { -minutes } else { minutes };
        let author = &commit.author;
        assert_eq!((author.name.as_str(), author.email.as_str(), author.offset_minutes), (name, email, minutes));
        assert_eq!(author.millis, (FIRST_SECONDS + 60 * n as i64) * 1000);
        let git_id = git.git(["rev-list", "--reverse", "HEAD"]).lines().nth(n).unwrap().to_owned();
        let expected = BTreeMap::from([
            ("git.commit".to_owned(), git_id),
            ("git.path".to_owned(), "data/birds.csv".to_owned()),
            ("git.repository".to_owned(), "code".to_owned()),
            ("git.table".to_owned(), "birds".to_owned()),
        ]);
        assert_eq!(commit.source, expected);
    }
    // One key, one row, through the history; and one undo takes all of it back.
    assert_eq!(s.ok(["log", "--row", "2", "--json", "--", "birds"]).lines().count(), 2);
    s.ok(["undo"]);
    assert!(log(&s).is_empty() && s.ok(["log"]).is_empty());
}

#[test]
fn a_second_run_goes_on_where_the_first_ended() {
    let Some((s, git)) = birds() else { return };
    s.ok(IMPORT);
    let before = (s.files(), s.state());
    let told = s.run(IMPORT);
    assert!(told.code == 0 && told.stderr.contains("no new version of data/birds.csv; 3 are here"), "{}", told.stderr);
    assert_eq!((s.files(), s.state()), before);
    git.git(["config", "remote.origin.url", "https://ada:secret@example.org/birds.git?token=secret"]);
    git.version("data/birds.csv", "id,name,weight\n3,swift,41.5\n", "no owl");
    let told = s.ok([&IMPORT[..], &["--json"]].concat());
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert_eq!((lines[0]["git_commit"].as_str(), lines[0]["rows_removed"].as_u64()), (Some(git.head().as_str()), Some(1)));
    assert_eq!((lines[1]["commits"].as_u64(), lines[1]["known"].as_u64(), lines[1]["rows"].as_u64()), (Some(1), Some(3), Some(1)));
    assert!(!s.ok(["log", "--json"]).contains("secret"));
    // Another table begins anew, and other commits between do not matter.
    s.ok(["import", "others", "--from-git", "code/data", "birds.csv"]);
    git.version("data/birds.csv", "id,name,weight\n", "none");
    s.ok(IMPORT);
    assert_eq!(messages(&s).len(), 3 + 1 + 4 + 1);
    assert_eq!(rows(&s, "HEAD"), "id,name,weight\n");
}

#[test]
fn what_was_changed_here_is_not_overwritten_unasked() {
    let Some((s, git)) = birds() else { return };
    s.ok(IMPORT);
    s.ok(["query", "UPDATE birds SET name = 'eagle' WHERE id = 3"]);
    let told = s.refused(2, IMPORT);
    assert!(told.contains("uncommitted changes"), "{told}");
    s.ok(["commit", "-m", "an eagle"]);
    let told = s.refused(2, IMPORT);
    assert!(told.contains("was changed since commit") && told.contains("--replace"), "{told}");
    s.ok([&IMPORT[..], &["--replace"]].concat());
    assert_eq!(rows(&s, "HEAD"), "id,name,weight\n2,barn owl,300.0\n3,swift,41.5\n");
    assert_eq!(messages(&s).len(), 5);
    // History in Git was written anew.
    git.git(["reset", "-q", "--hard", "HEAD~1"]);
    git.version("data/birds.csv", "id,name\n9,heron\n", "another line");
    let told = s.refused(2, IMPORT);
    assert!(told.contains("which is not in the history of 'data/birds.csv' at 'HEAD'"), "{told}");
    // A table that was never from Git.
    s.file("b.csv", "a\n1\n");
    s.ok(["import", "b", "b.csv"]);
    s.ok(["commit", "-m", "b"]);
    let told = s.refused(2, ["import", "b", "--from-git", "code", "data/birds.csv"]);
    assert!(told.contains("was not made from Git"), "{told}");
    s.ok(["import", "b", "--from-git", "code", "data/birds.csv", "--replace"]);
}

#[test]
fn versions_that_cannot_be_read_are_left_out() {
    let Some((s, git)) = birds() else { return };
    git.version("data/birds.csv", "id,name\n1,a,b,c\n", "not rectangular");
    git.version("data/birds.csv", "", "empty");
    git.version("data/birds.csv", "id,name\n<<<<<<< HEAD\n1,a\n=======\n1,b\n>>>>>>> other\n", "in conflict");
    git.version("data/birds.csv", [0u8, 159, 146, 150, 0, 255], "rubbish");
    std::fs::remove_file(git.dir.join("data/birds.csv")).unwrap();
    git.version("data/birds.csv/inside", "x", "a folder");
    std::fs::remove_dir_all(git.dir.join("data/birds.csv")).unwrap();
    std::os::unix::fs::symlink("../readme", git.dir.join("data/birds.csv")).unwrap();
    git.commit("a link");
    std::fs::remove_file(git.dir.join("data/birds.csv")).unwrap();
    git.version("data/birds.csv", "id,name\n1,a\n1,b\n", "a key twice");
    git.version("data/birds.csv", "id,name\n7,heron\n", "well again");
    let told = s.run([&IMPORT[..], &["--key", "id"]].concat());
    assert_eq!(told.code, 0, "{}", told.stderr);
    insta::assert_snapshot!(told.redacted());
    assert_eq!(messages(&s), ["birds", "a swift", "weights; the wren flew off", "well again"]);
    assert_eq!(rows(&s, "HEAD"), "id,name\n7,heron\n");
    let json = Sandbox::repo();
    let done = json.ok(["import", "birds", "--from-git", s.path("code").to_str().unwrap(), "data/birds.csv", "--key", "id", "--json"]);
    let skipped: Vec<String> = done.lines().filter_map(|line| Some(serde_json::from_str::<Value>(line).unwrap()["skipped"].as_str()?.to_owned())).collect();
    let why = ["line 2", "", "line 2: there is a conflict marker", "", "is a folder there", "is a symbolic link there", "stands twice"];
    assert_eq!(skipped.len(), why.len(), "{skipped:?}");
    assert!(skipped.iter().zip(why).all(|(skipped, why)| skipped.contains(why)), "{skipped:?}");
    // Strictly: what came before stays, and the error names the version.
    let strict = Sandbox::repo();
    let told = strict.run(["import", "birds", "--from-git", s.path("code").to_str().unwrap(), "data/birds.csv", "--strict"]);
    assert_eq!(told.code, 3);
    assert!(told.stderr.contains(" in Git: data/birds.csv, line 2") && told.stderr.contains("goes on behind it"), "{}", told.stderr);
    assert_eq!(messages(&strict).len(), 3);
    // None at all.
    git.version("other.csv", "a,b\n1\n", "never good");
    let told = strict.refused(3, ["import", "t", "--from-git", s.path("code").to_str().unwrap(), "other.csv"]);
    assert!(told.contains("none of 1 versions can be read"), "{told}");
}

#[test]
fn deleted_and_moved_files() {
    let Some((s, git)) = birds() else { return };
    git.git(["mv", "data/birds.csv", "all.csv"]);
    git.commit("moved");
    git.git(["rm", "-q", "all.csv"]);
    git.commit("gone");
    git.version("all.csv", "id,name,weight\n2,barn owl,300\n3,swift,42.5\n", "back");
    s.ok(["import", "birds", "--from-git", "code", "all.csv", "--follow", "--key", "id"]);
    assert_eq!(messages(&s), ["birds", "a swift", "weights; the wren flew off", "moved", "gone", "back"]);
    assert_eq!(s.run(["table", "describe", "birds", "--at", "HEAD~1"]).code, 2, "dropped where it was deleted");
    // What came again are the same rows.
    let differs = s.ok(["diff", "HEAD~2", "HEAD", "--json"]);
    assert_eq!(differs.lines().count(), 1, "{differs}");
    s.ok(["import", "birds", "--from-git", "code", "all.csv", "--follow"]);
    assert_eq!(log(&s).len(), 6);
    // So they are where the runs ended in between.
    let steps = Sandbox::repo();
    for rev in ["HEAD~1", "HEAD"] {
        steps.ok(["import", "birds", "--from-git", s.path("code").to_str().unwrap(), "all.csv", "--follow", "--key", "id", "--rev", rev]);
    }
    assert_eq!(steps.ok(["diff", "HEAD~2", "HEAD", "--json"]), differs);
    let without = Sandbox::repo();
    without.ok(["import", "birds", "--from-git", s.path("code").to_str().unwrap(), "all.csv"]);
    assert_eq!(messages(&without), ["moved", "gone", "back"]);
}

#[test]
fn merges_are_simplified_as_git_does() {
    let Some((s, git)) = birds() else { return };
    let csv = |rows: &str| format!("id,name,weight\n{rows}");
    git.git(["switch", "-q", "-c", "side"]);
    git.version("data/birds.csv", csv("2,barn owl,300\n3,swift,41.5\n4,crane,5000\n"), "a crane");
    git.git(["switch", "-q", "main"]);
    git.version("data/birds.csv", csv("2,barn owl,301\n3,swift,41.5\n"), "a heavier owl");
    // A merge that is like neither side.
    git.git(["merge", "-q", "--no-commit", "-s", "ours", "side"]);
    git.version("data/birds.csv", csv("2,barn owl,301\n3,swift,41.5\n4,crane,5000\n"), "both");
    // A merge that is like one side: the other's line counts for nothing.
    git.git(["switch", "-q", "-c", "lost", "HEAD~1"]);
    git.version("data/birds.csv", csv("1,wrong,1\n"), "lost");
    git.git(["switch", "-q", "main"]);
    git.git(["merge", "-q", "-s", "ours", "-m", "ours", "lost"]);
    s.ok([&IMPORT[..], &["--key", "id"]].concat());
    let git_log = git.git(["log", "--reverse", "--topo-order", "--format=%s", "--", "data/birds.csv"]);
    let mut expected: Vec<&str> = git_log.lines().collect();
    assert_eq!(expected.len(), 6);
    assert_eq!(messages(&s), ["birds", "a swift", "weights; the wren flew off", "a heavier owl", "a crane", "both"]);
    let mut found = messages(&s);
    found.sort();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let main = Sandbox::repo();
    main.ok(["import", "birds", "--from-git", git.dir.to_str().unwrap(), "data/birds.csv", "--first-parent"]);
    assert_eq!(messages(&main), ["birds", "a swift", "weights; the wren flew off", "a heavier owl", "both"]);
}

#[test]
fn every_kind_of_repository() {
    let Some((s, git)) = birds() else { return };
    let code = git.dir.to_str().unwrap().to_owned();
    let whole = |repository: &str, more: &[&str]| {
        let s2 = Sandbox::repo();
        let from = s.path(repository);
        let ran = s2.run([&["import", "birds", "--from-git", from.to_str().unwrap(), "data/birds.csv"], more].concat());
        assert_eq!(ran.code, 0, "{repository}: {}", ran.stderr);
        (messages(&s2), ran.stderr)
    };
    let all = ["birds", "a swift", "weights; the wren flew off"];
    assert_eq!(whole("code/.git", &[]).0, all);
    git.git(["gc", "-q"]);
    assert_eq!(whole("code", &[]).0, all, "packed");
    git.git(["clone", "-q", "--bare", &code, s.path("bare.git").to_str().unwrap()]);
    assert_eq!(whole("bare.git", &[]).0, all, "bare");
    git.git(["worktree", "add", "-q", s.path("tree").to_str().unwrap(), "-b", "tree", "HEAD~1"]);
    assert_eq!(whole("tree", &[]).0, all[..2], "a worktree has its own HEAD");
    assert_eq!(whole("tree", &["--rev", "main"]).0, all);
    git.git(["tag", "-m", "one", "v1", "HEAD~3"]);
    assert_eq!(whole("code", &["--rev", "v1"]).0, all[..1], "a tag is peeled");
    let (messages, told) = {
        git.git(["clone", "-q", "--depth", "2", &format!("file://{code}"), s.path("shallow").to_str().unwrap()]);
        whole("shallow", &[])
    };
    assert_eq!(messages, all[1..], "the version at the boundary counts as its");
    assert!(told.contains("hint: the clone is shallow"), "{told}");
    // A clone without the files' contents.
    git.git(["config", "uploadpack.allowFilter", "true"]);
    git.git(["clone", "-q", "--filter=blob:none", "--no-checkout", &format!("file://{code}"), s.path("partial").to_str().unwrap()]);
    let told = s.refused(3, ["import", "t", "--from-git", "partial", "data/birds.csv"]);
    assert!(told.contains("none of 3 versions can be read") && told.contains("its content is not in this clone"), "{told}");
    // In the middle of a rebase HEAD is no branch.
    git.git(["switch", "-q", "-c", "other", "HEAD~1"]);
    git.version("data/birds.csv", "id,name\n1,x\n", "clash");
    assert!(!git.command(["rebase", "-q", "main"]).output().unwrap().status.success());
    assert_eq!(whole("code", &[]).0, all);
    git.git(["rebase", "--abort"]);
    // A submodule has a history of its own.
    git.git(["switch", "-q", "main"]);
    git.git(["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &code, "sub"]);
    git.commit("a submodule");
    let told = s.refused(2, ["import", "t", "--from-git", "code", "sub/data/birds.csv"]);
    assert!(told.contains("'sub' is a submodule") && told.contains("--from-git code/sub"), "{told}");
    assert_eq!(whole("code/sub", &[]).0, all);
}

#[test]
fn wrong_use_is_told_with_what_comes_near() {
    let Some((s, git)) = birds() else { return };
    s.file("plain/x.csv", "a\n1\n");
    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().to_str().unwrap().to_owned();
    let empty = GitRepo::init(s.path("empty")).unwrap();
    for (args, told) in [
        (&["--from-git", &outside, "x.csv"][..], "is not in a Git repository"),
        (&["--from-git", "nowhere", "x.csv"], "there is no folder nowhere"),
        (&["--from-git", "https://example.org/a.git", "x.csv"], "hint: clone it first"),
        (&["--from-git", empty.dir.to_str().unwrap(), "x.csv"], "has no commit on its branch yet"),
        (&["--from-git", "code", "data/brids.csv"], "did you mean 'data/birds.csv'?"),
        (&["--from-git", "code", "birds.csv"], "did you mean 'data/birds.csv'?"),
        (&["--from-git", "code", "data"], "hint: name a file: data/birds.csv"),
        (&["--from-git", "code", "../x.csv"], "is not a path in code"),
        (&["--from-git", "code", "data/birds.csv", "--rev", "mian"], "did you mean 'main'?"),
        (&["--from-git", "code", "data/birds.csv", "readme"], "the history of one file"),
        (&["--from-git", "code", "data/birds.csv", "--append"], "cannot be used with"),
        (&["data/birds.csv", "--rev", "main"], "--from-git"),
    ] {
        let said = s.refused(2, [&["import", "t"], args].concat());
        assert!(said.contains(told), "{args:?}: {said}");
    }
    // A name outside of the worktree that is within it by its path.
    let absolute = git.dir.join("data/birds.csv");
    s.ok(["import", "t", "--from-git", "code", absolute.to_str().unwrap()]);
    // Types and other ways of reading hold for each version that has the column.
    s.ok(["import", "u", "--from-git", "code", "data/birds.csv", "--types", "id=text,weight=float32", "--null", "owl"]);
    let described = s.ok(["table", "describe", "u"]);
    assert!(described.contains("float32") && described.contains("text"), "{described}");
}

#[test]
fn ctrl_c_keeps_what_was_committed() {
    let s = Sandbox::repo();
    let Some(git) = GitRepo::init(s.path("code")) else { return };
    let mut stream = Vec::new();
    for n in 0..1000 {
        let csv = format!("id,n\n1,{n}\n2,{}\n", n / 7);
        stream.extend(
            format!(
                "commit refs/heads/main\ncommitter A <a@b> {} +0000\ndata 1\n{}\nM 100644 inline d.csv\ndata {}\n{csv}\n",
                1_600_000_000 + n,
                n % 10,
                csv.len()
            )
            .into_bytes(),
        );
    }
    git.fast_import(&stream);
    let args = ["import", "t", "--from-git", "code", "d.csv", "--key", "id"];
    let child = s.command(args).stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let _ = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    let done = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(told.contains("made; the same command goes on behind them") || told.contains("nothing was changed"), "{told}");
    assert_eq!(done.status.code(), Some(130), "{told}");
    s.ok(["verify"]);
    // What it tells is true.
    let made = log(&s).len();
    assert!(made < 1000 && told.contains("nothing") == (made == 0), "{made}: {told}");
    assert!(made == 0 || told.contains(&format!("interrupted: {made} commit")), "{made}: {told}");
    s.ok(args);
    assert_eq!(log(&s).len(), 1000);
    assert_eq!(s.ok(["export", "t", "-", "--format", "csv"]), "id,n\n1,999\n2,142\n");
}

/// Real history: each of 189 versions of a file, as commits in Git by authors of this test, at the moments of the real ones.
#[test]
fn sp500_comes_whole() {
    let Some(archive) = data("history/sp500.tar.zst") else { return };
    let versions = versions(&archive);
    let s = Sandbox::repo();
    let Some(git) = GitRepo::init(s.path("code")) else { return };
    let moments = moments(&archive);
    let mut stream = Vec::new();
    for (n, (name, bytes)) in versions.iter().enumerate() {
        let (author, email, offset) = AUTHORS[n % AUTHORS.len()];
        let seconds = moments[name];
        stream.extend(
            format!("commit refs/heads/main\nauthor {author} <{email}> {seconds} {offset}\ncommitter C <c@example.org> {seconds} +0000\n").into_bytes(),
        );
        let message = format!("version {name}\n\nof the constituents\n");
        stream.extend(format!("data {}\n{message}\nM 100644 inline data/constituents.csv\ndata {}\n", message.len(), bytes.len()).into_bytes());
        stream.extend(bytes);
        stream.push(b'\n');
    }
    git.fast_import(&stream);
    let started = std::time::Instant::now();
    let mut repo = Repo::open(&s.path("")).unwrap();
    let from = GitImport {
        repository: git.dir.clone(),
        path: "data/constituents.csv".to_owned(),
        revision: "HEAD".to_owned(),
        key: vec![],
        read: ReadOptions::default(),
        replace: false,
        strict: false,
        follow: false,
        first_parent: false,
    };
    let done = repo.import_git("companies", &from, "import --from-git").unwrap();
    eprintln!("sp500: {} versions replayed in {:?}", done.versions.len(), started.elapsed());
    assert!(done.stopped.is_none() && done.shallow.is_none());
    // In Git a version that equals the one before is no change of the file.
    let ids: Vec<String> = git.git(["log", "--reverse", "--format=%H", "--", "data/constituents.csv"]).lines().map(str::to_owned).collect();
    assert_eq!(done.versions.iter().map(|version| version.git_commit.clone()).collect::<Vec<_>>(), ids);
    let subjects = git.git(["log", "--reverse", "--format=%s", "--", "data/constituents.csv"]);
    let names: Vec<&str> = subjects.lines().map(|subject| subject.strip_prefix("version ").unwrap()).collect();
    let mut left_out = Vec::new();
    let places: BTreeMap<&str, usize> = versions.keys().zip(0..).map(|(name, n)| (name.as_str(), n)).collect();
    for (version, name) in done.versions.iter().zip(names) {
        let (id, _) = match &version.outcome {
            Ok(made) => made,
            Err(why) => {
                assert!(why.contains("data/constituents.csv, line "), "{why}");
                left_out.push(name);
                continue;
            }
        };
        let commit = repo.commit_of(*id).unwrap();
        let (author, email, offset) = AUTHORS[places[name] % AUTHORS.len()];
        assert_eq!((commit.author.name.as_str(), commit.author.email.as_str()), (author, email));
        assert_eq!(commit.author.millis, moments[name] * 1000);
        let minutes = [("+0545", 345), ("-0330", -210), ("+0000", 0)].iter().find(|(text, _)| *text == offset).unwrap().1;
        assert_eq!(commit.author.offset_minutes, minutes);
        assert_eq!(commit.message, format!("version {name}\n\nof the constituents"));
        assert_eq!(commit.source[GIT_COMMIT], version.git_commit);
        let table = repo.table("companies", Some(&id.to_string())).unwrap();
        let out = s.path("out.csv");
        repo.export(&table, &[], Target::Path(out.clone()), &WriteOptions::default()).unwrap();
        assert_eq!(records(&std::fs::read(&out).unwrap()), records(&versions[name]), "{name}");
    }
    assert_eq!(left_out, ["0000.csv", "0003.csv", "0004.csv", "0005.csv", "0006.csv", "0007.csv", "0008.csv"]);
    drop(repo);
    let before = (s.files(), s.state());
    s.ok(["import", "companies", "--from-git", "code", "data/constituents.csv"]);
    assert_eq!((s.files(), s.state()), before, "a second run adds nothing");
    s.ok(["verify"]);
}

/// Seconds since 1970 of each version, from the manifest.
fn moments(archive: &std::path::Path) -> BTreeMap<String, i64> {
    let file = std::fs::File::open(archive).unwrap();
    let mut tar = tar::Archive::new(zstd::Decoder::new(file).unwrap());
    let entries = tar.entries().unwrap().map(|entry| entry.unwrap());
    let manifest = entries.filter(|entry| entry.path().unwrap().ends_with("manifest.json")).map(|entry| serde_json::from_reader(entry).unwrap());
    let manifest: Value = { manifest }.next().unwrap();
    let moment = |version: &Value| {
        let seconds = chrono::DateTime::parse_from_rfc3339(version["date"].as_str().unwrap()).unwrap().timestamp();
        (version["file"].as_str().unwrap().to_owned(), seconds)
    };
    manifest.as_array().unwrap().iter().map(moment).collect()
}
