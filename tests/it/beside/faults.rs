//! What goes wrong: one clear line, nothing lost, and Git goes on.

use super::Beside;

#[test]
fn what_is_not_committed_or_not_pinned_stays() {
    let Some(b) = Beside::birds() else { return };
    b.ok("git tag first");
    b.rename(1, "finch");
    b.code("second.py");
    let second = b.data();
    b.ok("dsv query -q \"UPDATE birds SET name = 'unsaved' WHERE id = 2\"");
    let told = b.ok("git checkout -q first");
    assert!(told.contains("the data stays on branch main, which has uncommitted changes"), "{told}");
    assert_eq!((b.data(), b.name(2)), (second.clone(), "unsaved".into()));
    assert!(b.fails(1, "dsv git follow").contains("stays behind"));
    b.ok("git checkout -q main && dsv reset --hard");
    // A commit that no code pinned is not left either: Git itself holds fast to the pin that is not committed, and without that dsv does.
    b.rename(3, "unpinned");
    let unpinned = b.data();
    assert!(b.fails(1, "git checkout -q first").contains("dsv.lock"));
    b.ok("git checkout -q dsv.lock");
    let told = b.ok("git checkout -q first");
    assert!(told.contains("which no code pinned"), "{told}");
    assert_eq!(b.data(), unpinned);
    b.ok("dsv git follow");
    assert_eq!(b.name(3), "eagle");
    // What does not follow from the pin is not pinned unasked.
    b.ok("git checkout -q main && dsv switch -q main && dsv git pin && git commit -qm pinned dsv.lock");
    assert_eq!(b.pinned(), unpinned.0);
    b.ok("dsv switch -q --detach HEAD~2");
    let told = b.code("third.py");
    assert!(told.contains("dsv.lock stays at"), "{told}");
    assert_eq!(b.pinned(), unpinned.0);
}

#[test]
fn damaged_and_dangling_pins_are_told() {
    let Some(b) = Beside::birds() else { return };
    let sound = b.read("dsv.lock");
    for (bad, why) in [
        ("nonsense", "is not a pin"),
        ("version = 9\n", "a newer dsv"),
        ("version = 1\ncommit = \"12\"\n", "no commit's id"),
        ("<<<<<<< ours\n", "both sides of a conflict"),
        ("version = 1\n\u{0}", "is not a pin"),
    ] {
        b.file("dsv.lock", bad);
        for line in ["dsv git status", "dsv git follow", "dsv git check", "dsv git pin --check", "git commit -qam bad"] {
            let ran = b.run(line);
            assert!(ran.code != 0 && ran.stderr.contains(why) && !ran.stderr.contains("panicked"), "{line}: {}{}", ran.stdout, ran.stderr);
            assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{}", ran.stderr);
        }
    }
    // A commit that does not exist.
    b.file("dsv.lock", &sound.replace(&b.data().0, &"ab".repeat(32)));
    let told = b.fails(1, "dsv git follow");
    assert!(told.contains("which is not here"), "{told}");
    assert!(b.fails(3, "dsv git check").contains("not here, and no remote"));
    assert!(b.fails(1, "dsv git pin --check").contains("is checked out"));
    b.ok("git commit -qnam dangling && git checkout -q HEAD~1");
    let told = b.ok("git checkout -q main");
    assert!(told.contains("which is not here: the data stays as it is"), "{told}");
    b.ok("dsv git pin && dsv git pin --check && dsv git log");
    b.ok("dsv git check dsv.lock && dsv git check ../w/dsv.lock");
    assert!(b.fails(2, "dsv git check no.lock").contains("there is no no.lock"));
    // On no branch it could be collected.
    b.rename(1, "finch");
    b.ok("dsv switch -q --detach HEAD && dsv query -q \"UPDATE birds SET name = 'lost' WHERE id = 1\" && dsv commit -qm lost");
    assert!(b.fails(2, "dsv git pin").contains("on no branch"));
    b.file("x.py", "");
    assert!(b.fails(1, "git add x.py && git commit -qm x").contains("'dsv switch -c NAME'"));
}

#[test]
fn odd_repositories_of_gits_are_met() {
    let Some(b) = Beside::birds() else { return };
    // In the middle of a rebase that stopped.
    b.ok("git switch -qc top && dsv switch -q -c top");
    b.rename(1, "one");
    b.file("same.py", "top\n");
    b.ok("git add . && git commit -qm top && git switch -q main");
    b.rename(2, "two");
    b.file("same.py", "main\n");
    b.ok("git add . && git commit -qm main && git switch -q top");
    assert_eq!(b.run("git rebase main").code, 1);
    assert!(b.path(".git/rebase-merge").exists());
    let here = b.data();
    assert!(b.ok("dsv git status").contains("rewriting commits"));
    b.ok("dsv git pin --hook && dsv git log && dsv git pushed; true");
    assert_eq!(b.data(), here);
    b.ok("echo both > same.py && git add . && GIT_EDITOR=true git rebase --continue");
    assert_eq!((b.name(1), b.name(2), b.pinned()), ("one".into(), "two".into(), b.data().0));
    // Bare, shallow, none, with a submodule, in a folder below.
    b.ok_in("", "git clone -q --bare w bare.git");
    assert!(b.run_in("bare.git", "dsv git status").stderr.contains("bare"));
    assert_eq!(b.run_in("bare.git", "dsv git status").code, 2);
    b.ok_in("", "git clone -q --depth 1 \"file://$PWD/w\" shallow");
    let told = b.ok_in("shallow", "dsv git log");
    assert!(told.contains("shallow"), "{told}");
    b.ok_in("", "mkdir plain");
    let told = b.run_in("plain", "dsv git init");
    assert!(told.code == 2 && told.stderr.contains("in no Git repository"), "{}", told.stderr);
    b.ok("git submodule --quiet add \"file://$PWD/../bare.git\" sub && git commit -qm sub");
    b.ok("dsv git status && dsv git log");
    b.rename(3, "three");
    b.code("after.py");
    assert_eq!(b.pinned(), b.data().0);
    b.ok_in("w/sub", "dsv git status");
}

#[test]
fn without_git_all_else_works() {
    let Some(b) = Beside::birds() else { return };
    // A folder with nothing but dsv in it.
    let only = b.s.path("only");
    std::fs::create_dir(&only).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_dsv"), only.join("dsv")).unwrap();
    let path = format!("PATH={}", only.display());
    let head = b.ok("git rev-parse HEAD");
    b.ok(&format!("export {path}; dsv query -q \"UPDATE birds SET name = 'x' WHERE id = 1\"; dsv commit -m x; dsv git pin; dsv git status; dsv git log"));
    assert!(b.ok("dsv log -n 1 --code --json").contains(head.trim()));
    b.ok_in("", &format!("export {path}; dsv init apart; cd apart; dsv import birds ../birds.csv; dsv commit -m apart; dsv status"));
    // And Git without dsv goes on, and says so.
    let git = b.s.path("gits");
    std::fs::create_dir(&git).unwrap();
    let found = b.ok("command -v git sh cat");
    for program in found.lines() {
        let name = std::path::Path::new(program).file_name().unwrap();
        std::os::unix::fs::symlink(program, git.join(name)).unwrap();
    }
    b.file("y.py", "");
    let told = b.ok(&format!("export PATH={}; git add y.py && git commit -qm y", git.display()));
    assert!(told.contains("dsv is not on the PATH"), "{told}");
}

#[test]
fn a_driver_that_cannot_merge_loses_neither_side() {
    let Some(b) = Beside::birds() else { return };
    b.ok("git switch -qc left && dsv switch -q -c left");
    b.rename(1, "left");
    b.code("left.py");
    b.ok("git switch -q main");
    b.rename(2, "right");
    b.code("right.py");
    // Uncommitted changes are in the way.
    b.ok("dsv query -q \"UPDATE birds SET name = 'unsaved' WHERE id = 3\"");
    let told = b.fails(1, "git merge left");
    assert!(told.contains("uncommitted changes") && b.read("dsv.lock").matches("commit = ").count() == 2, "{told}");
    assert_eq!(b.name(3), "unsaved");
    b.ok("dsv reset --hard && dsv git merge && git add dsv.lock && git commit -qm both");
    assert_eq!((b.name(1), b.name(2), b.pinned()), ("left".into(), "right".into(), b.data().0));
    // Called with rubbish.
    b.file("a", "x");
    assert!(b.fails(1, "dsv git merge-driver a a a dsv.lock").contains("is not a pin"));
    assert!(b.fails(1, "dsv git merge-driver none none none dsv.lock").contains("none"));
    assert!(b.fails(2, "dsv git hook no-such-hook").contains("no hook that dsv answers"));
}

#[test]
fn hooks_that_came_with_the_code_do_not_run() {
    let Some(b) = Beside::birds() else { return };
    b.file(".dsv/hooks/pre-commit", "#!/bin/sh\ntouch ran\n");
    b.ok("chmod +x .dsv/hooks/pre-commit");
    b.rename(1, "finch");
    assert!(b.path("ran").exists());
    b.ok("rm ran && git add -f .dsv/hooks && git commit -qm 'a hook in the clone'");
    let told = b.ok("dsv query -q \"UPDATE birds SET name = 'siskin' WHERE id = 1\" && dsv commit -m siskin");
    assert!(told.contains("came with the code: they are not run") && !b.path("ran").exists(), "{told}");
    assert!(b.ok("dsv hooks list").contains("came with the code in Git"));
}

#[test]
fn data_is_kept_out_of_git() {
    let Some(b) = Beside::birds() else { return };
    b.file("a.csv", "x\n1\n");
    b.file("big.txt", &"x".repeat(2_000_000));
    b.file("lfs.parquet", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
    assert_eq!(b.ok("dsv git no-data train.py lfs.parquet gone.csv"), "");
    let told = b.fails(1, "dsv git no-data train.py a.csv big.txt lfs.parquet");
    assert!(told.contains("a.csv: 4 B of CSV: dsv import a a.csv") && told.contains("big.txt: 2.0 MB") && !told.contains("train.py"), "{told}");
    b.ok("dsv git no-data --allow '*.csv' --max-size 3MB a.csv big.txt");
    assert!(b.fails(1, "dsv git no-data --json a.csv").contains("\"format\":\"CSV\""));
    assert!(b.fails(2, "dsv git no-data --allow '[' a.csv").contains("no pattern"));
    assert!(b.fails(2, "dsv git no-data --max-size much a.csv").contains("size"));
}
