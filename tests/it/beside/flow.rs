//! What goes well: pins, checkouts, merges, rebases, worktrees, pushes.

use super::Beside;

#[test]
fn a_commit_of_code_pins_the_data_and_a_checkout_follows() {
    let Some(b) = Beside::birds() else { return };
    assert_eq!(b.pinned(), b.data().0);
    assert!(b.read(".gitignore").contains("/.dsv/") && b.read(".gitattributes").contains("dsv.lock merge=dsv"));
    assert_eq!(b.ok("git status --short"), "");
    let first = b.data();
    b.rename(1, "finch");
    // The pin went along; the next commit of code takes it.
    assert_eq!((b.pinned(), b.ok("git status --short")), (b.data().0, " M dsv.lock\n".into()));
    b.code("second.py");
    assert!(b.ok("git show --stat HEAD").contains("dsv.lock"));
    let second = b.data();
    assert_eq!((b.pinned(), second.1.as_deref()), (second.0.clone(), Some("main")));
    // Back, and forth again: the branch stays where it is.
    b.ok("git checkout -q HEAD~1");
    assert_eq!((b.data(), b.name(1)), ((first.0.clone(), None), "sparrow".into()));
    b.ok("git checkout -q main");
    assert_eq!((b.data(), b.name(1)), (second.clone(), "finch".into()));
    // Where nobody renewed it, the hook does.
    b.ok("git checkout -qb quiet && dsv switch -q -c quiet && dsv config git.pin false");
    b.rename(1, "serin");
    assert_eq!(b.ok("git status --short"), "");
    assert!(b.code("quiet.py").contains("dsv.lock pins"));
    assert!(b.ok("git show --stat HEAD").contains("dsv.lock"));
    b.ok("git checkout -q main && git branch -qD quiet && dsv config --unset git.pin");
    // A commit of code alone changes no pin.
    b.code("third.py");
    assert!(!b.ok("git show --stat HEAD").contains("dsv.lock"));
    // Single files do not move the data.
    b.ok("git checkout -q HEAD~2 -- train.py");
    assert_eq!(b.data(), second);
    b.ok("git reset -q --hard");
    let log: Vec<serde_json::Value> = b.ok("dsv git log --json").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(log.iter().map(|line| line["code"]["subject"].as_str().unwrap()).collect::<Vec<_>>(), ["second.py", "the data is pinned"]);
    assert_eq!(log[0]["data"]["message"], "bird 1 is finch");
    assert_eq!(log[1]["pin"]["commit"].as_str(), Some(first.0.as_str()));
    assert_eq!(b.ok("dsv git log --all --json").lines().count(), 3);
    assert_eq!(b.ok("dsv git log -n 1 HEAD~1 --json").lines().count(), 1);
    insta::assert_snapshot!(crate::support::redact(&b.ok("dsv git status 2>&1; dsv git log | sed 's/^[0-9a-f]\\{7,\\} /CODE /'")));
}

#[test]
fn two_branches_of_both_are_merged() {
    let Some(b) = Beside::birds() else { return };
    b.ok("git switch -qc fix && dsv switch -q -c fix");
    b.rename(2, "kinglet");
    b.code("fix.py");
    b.ok("git switch -q main");
    assert_eq!((b.name(2), b.data().1.as_deref()), ("wren".into(), Some("main")));
    b.rename(3, "harrier");
    b.code("more.py");
    let told = b.ok("git merge fix -m 'both'");
    assert!(told.contains("merged the data of"), "{told}");
    assert_eq!((b.name(2), b.name(3)), ("kinglet".into(), "harrier".into()));
    assert_eq!((b.data().1.as_deref(), b.pinned(), b.ok("git status --short")), (Some("main"), b.data().0, String::new()));
    let merged: serde_json::Value = serde_json::from_str(&b.ok("dsv log -n 1 --json")).unwrap();
    assert_eq!(merged["parents"].as_array().unwrap().len(), 2);
    // Where one side is behind, nothing has to be merged.
    b.ok("git switch -q fix && git merge -q main");
    assert_eq!((b.pinned(), b.data().0 == b.pinned()), (merged["commit"].as_str().unwrap().to_owned(), true));
}

#[test]
fn a_merge_of_data_in_conflict_is_ended_by_hand() {
    let Some(b) = Beside::birds() else { return };
    b.ok("git switch -qc left && dsv switch -q -c left");
    b.rename(1, "left");
    b.code("left.py");
    b.ok("git switch -q main");
    b.rename(1, "right");
    b.code("right.py");
    let told = b.fails(1, "git merge left");
    assert!(told.contains("the data conflict in 1 place") && told.contains("'dsv git merge'"), "{told}");
    let both = b.read("dsv.lock");
    assert!(both.contains("<<<<<<< ours") && both.matches("commit = ").count() == 2, "{both}");
    assert!(b.ok("dsv git status").contains("conflict"));
    assert!(b.ok("dsv conflicts").contains("right"));
    // Too early: nothing is settled yet.
    b.fails(2, "dsv git merge");
    b.ok("dsv resolve --theirs && dsv commit && dsv git merge && git add dsv.lock && git commit -qm both");
    assert_eq!((b.name(1), b.pinned()), ("left".into(), b.data().0));
    assert_eq!(b.ok("git status --short"), "");
    b.fails(2, "dsv git merge");
}

#[test]
fn a_rebase_takes_the_data_along() {
    let Some(b) = Beside::birds() else { return };
    b.ok("git switch -qc top && dsv switch -q -c top");
    b.rename(1, "one");
    b.code("one.py");
    b.rename(2, "two");
    b.code("two.py");
    b.ok("git switch -q main");
    b.rename(3, "three");
    b.code("three.py");
    let main = b.data();
    b.ok("git switch -q top && git rebase main");
    assert_eq!((b.name(1), b.name(2), b.name(3)), ("one".into(), "two".into(), "three".into()));
    assert_eq!((b.data().1.as_deref(), b.pinned()), (Some("top"), b.data().0));
    assert!(!b.path(".git/rebase-merge").exists());
    b.ok("git switch -q main");
    assert_eq!(b.data(), main);
}

#[test]
fn bisecting_moves_the_data() {
    let Some(b) = Beside::birds() else { return };
    b.ok("git tag good");
    for n in 1..=6 {
        b.rename(4, &format!("owl {n}"));
        if n == 4 {
            b.rename(5, "spoiled");
        }
        b.code(&format!("{n}.py"));
    }
    let end = b.data();
    b.file("judge.sh", "test \"$(dsv query 'SELECT name FROM birds WHERE id = 5' --format csv | tail -n 1)\" != spoiled\n");
    b.ok("git bisect start HEAD good");
    let told = b.ok("git bisect run sh judge.sh");
    assert!(told.contains("is the first bad commit") && told.contains("4.py"), "{told}");
    b.ok("git bisect reset");
    assert_eq!(b.data(), end);
}

#[test]
fn hooks_that_were_there_run_first_and_come_back() {
    let Some(b) = Beside::empty() else { return };
    std::fs::create_dir(b.path("")).unwrap();
    b.s.file("birds.csv", crate::support::BIRDS);
    b.ok("git init -q && dsv init -q && dsv import birds ../birds.csv --key id && dsv commit -m birds");
    let old = "#!/bin/sh\necho \"theirs $*\"\ntest ! -e refuse\n";
    b.file(".git/hooks/pre-commit", old);
    b.file(".git/hooks/pre-push", "#!/bin/sh\necho \"pushing $1\"; cat > told\n");
    b.ok("chmod +x .git/hooks/pre-commit .git/hooks/pre-push");
    let told = b.ok("dsv git init");
    assert!(told.contains("run those that were there first: pre-commit, pre-push"), "{told}");
    assert!(b.ok("dsv git init").contains("The hooks are in place"));
    assert!(b.code("a.py").contains("theirs "));
    b.rename(1, "finch");
    b.file("refuse", "");
    b.file("b.py", "");
    b.fails(1, "git add b.py && git commit -m b");
    b.ok("rm refuse && git commit -qm b && git init -q --bare ../bare.git && git remote add origin ../bare.git && git push -q origin main");
    assert!(b.read("told").starts_with("refs/heads/main "));
    b.ok("dsv git init --remove");
    assert_eq!(b.read(".git/hooks/pre-commit"), old);
    assert!(!b.path(".git/hooks/post-merge").exists() && !b.path(".git/hooks/pre-commit.before-dsv").exists());
    assert!(!b.read(".git/config").contains("dsv"));
    b.ok("dsv git init --remove");
    // A folder of hooks that somebody chose.
    b.ok("git config core.hooksPath .hooks");
    let told = b.ok("dsv git init");
    assert!(told.contains("within the code") && b.path(".hooks/post-checkout").is_file(), "{told}");
    b.ok("dsv config git.pin false");
    b.rename(2, "kinglet");
    assert!(b.code("c.py").contains("dsv.lock pins"));
}

#[test]
fn a_worktree_reads_the_data_of_the_main_one() {
    let Some(b) = Beside::birds() else { return };
    let told = b.ok("git worktree add -q ../other -b other");
    assert!(told.contains("the data is not here") && told.contains("'dsv git follow' reads it from"), "{told}");
    b.ok_in("other", "dsv git follow");
    assert!(b.ok_in("other", "dsv git status").contains("which is checked out"));
    b.ok_in("other", "dsv switch -q -c other && dsv query -q \"UPDATE birds SET name = 'ibis' WHERE id = 1\" && dsv commit -qm ibis");
    b.ok_in("other", "echo 1 > other.py && git add . && git commit -qm other && dsv push -q worktree");
    assert_eq!(b.name(1), "sparrow");
    b.ok("git merge -q other");
    assert_eq!((b.name(1), b.pinned()), ("ibis".into(), b.data().0));
    // No pin names a place that only this machine has.
    assert!(!b.read("dsv.lock").contains("remote"));
}

#[test]
fn code_that_is_pushed_names_data_that_others_can_get() {
    let Some(b) = Beside::birds() else { return };
    b.ok("git init -q --bare ../bare.git && git remote add origin ../bare.git && git push -q origin main");
    b.ok("dsv remote add origin ../data && dsv git pin && git commit -qam 'where the data is'");
    let told = b.fails(1, "git push -q origin main");
    assert!(told.contains("is not on") && told.contains("'dsv push' sends it"), "{told}");
    assert_eq!(b.run("dsv git pushed").code, 1);
    b.ok("dsv push -q && git push -q origin main && dsv git pushed");
    // Somebody else.
    b.ok_in("", "git clone -q bare.git grace");
    let told = b.ok_in("grace", "dsv git status");
    assert!(told.contains("the data is not here") && told.contains("'dsv git init' tells it"), "{told}");
    b.ok_in("grace", "dsv git follow --lazy && dsv git init && dsv git check");
    assert_eq!(b.ok_in("grace", "dsv query 'SELECT count(*) FROM birds' --format csv"), "count(*)\n5\n");
    b.ok_in("grace", "dsv query -q \"UPDATE birds SET name = 'ibis' WHERE id = 1\" && dsv commit -qm ibis && git commit -qam ibis --allow-empty");
    b.ok_in("grace", "dsv push -q && git push -q");
    // Her commit is not here yet: the data stays, and is fetched when asked for.
    let told = b.ok("git pull -q --ff-only origin main");
    assert!(told.contains("which is not here") && told.contains("'dsv git follow' fetches it"), "{told}");
    assert_eq!(b.name(1), "sparrow");
    b.ok("dsv git follow");
    assert_eq!((b.name(1), b.pinned(), b.data().1.as_deref()), ("ibis".into(), b.data().0, Some("main")));
    // Without a clone the pin's checks are read where they are.
    b.ok("dsv check add few --table birds 'id < 3' --allow-failing");
    b.ok("dsv check drop few");
    b.ok_in("", "git clone -q bare.git ci");
    assert!(b.ok_in("ci", "dsv git check").contains("held"));
}

#[test]
fn commits_tell_which_code_they_were_made_at() {
    let Some(b) = Beside::birds() else { return };
    let at = |n: usize| -> serde_json::Value { serde_json::from_str(b.ok("dsv log --code --json").lines().nth(n).unwrap()).unwrap() };
    let head = b.ok("git rev-parse HEAD");
    b.rename(1, "finch");
    assert_eq!((at(0)["code"]["commit"].as_str(), at(0)["code"]["dirty"].as_bool()), (Some(head.trim()), Some(false)));
    // The pin does not count, nor does what Git does not track; a tracked file does.
    b.ok("echo x > untracked");
    b.rename(1, "siskin");
    assert_eq!(at(0)["code"]["dirty"], false);
    b.file("train.py", "print('changed')\n");
    b.rename(1, "linnet");
    assert_eq!(at(0)["code"]["dirty"], true);
    let log = b.ok("dsv log --code -n 1");
    assert!(log.contains("Code: ") && log.contains("the data is pinned, with changes"), "{log}");
    b.ok("git add . && git reset -q && dsv config git.record false");
    b.rename(1, "serin");
    assert_eq!(at(0)["code"], serde_json::Value::Null);
    assert!(b.ok("dsv log --code --oneline -n 1").contains("Code: none"));
}
