//! Which verbs run which hooks, and what docs/hooks.md says of them.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::hooking::{edit, pyarrow, script, shell, stopped, subject};
use crate::support::Sandbox;

#[test]
fn messages_are_worded_and_looked_at() {
    let s = Sandbox::birds();
    shell(&s, "prepare-commit-msg", "shift_file=\"$1\"; shift; echo \"$*\" >> sources; echo 'Signed-off-by: Ada' >> \"$shift_file\"");
    shell(&s, "commit-msg", "test $# = 1 || exit 9\ngrep -q '^[a-z]*: ' \"$1\" || { echo 'say which area'; exit 1; }\nsed -i 's/wieght/weight/' \"$1\"");
    edit(&s, 25);
    let ran = stopped(&s, &["commit", "-m", "no area"]);
    assert!(ran.stderr.starts_with("say which area\nerror: hook 'commit-msg' ended with exit status 1"), "{}", ran.stderr);
    s.ok(["commit", "-m", "birds: the wieght of one"]);
    let message = || s.ok(["log", "-n", "1", "--json"]).split("\"message\":").nth(1).unwrap().to_owned();
    assert!(message().starts_with("\"birds: the weight of one\\nSigned-off-by: Ada\""), "{}", message());
    s.ok(["commit", "--amend"]);
    edit(&s, 26);
    s.ok(["commit", "-n", "-m", "no area"]);
    assert!(message().starts_with("\"no area\\nSigned-off-by: Ada\""));
    let sources = s.read("sources");
    let lines: Vec<&str> = sources.lines().collect();
    assert!(lines[0] == "message" && lines[1] == "message" && lines[2].starts_with("commit ") && lines[2].len() == 71 && lines[3] == "message", "{sources}");
    // What is no message any more is refused, and no file of it stays.
    edit(&s, 27);
    for (body, expected) in [
        (": > \"$1\"", "is empty after its hooks"),
        ("rm \"$1\"", "cannot be read after its hooks"),
        ("printf '\\377\\376' > \"$1\"", "it is no longer text"),
        ("head -c 2000000 /dev/zero | tr '\\0' x > \"$1\"", "is longer than 1 MB"),
    ] {
        shell(&s, "commit-msg", body);
        let ran = stopped(&s, &["commit", "-m", "birds: x"]);
        assert!(ran.stderr.contains(expected), "{body}: {}", ran.stderr);
    }
    assert!(s.files().keys().all(|path| !path.to_str().unwrap().contains("EDITMSG")));
}

#[test]
fn merges_run_their_own() {
    let s = Sandbox::birds();
    let note = |name: &str| format!("echo \"{name} $*\" >> ran; cat > {name}.json; echo \"$DSV_MERGE_HEAD\" > {name}.heads");
    for name in ["pre-commit", "pre-merge-commit", "post-commit", "post-merge"] {
        shell(&s, name, &note(name));
    }
    shell(&s, "prepare-commit-msg", "echo \"prepare-commit-msg $2\" >> ran");
    shell(&s, "commit-msg", "echo commit-msg >> ran; sed -i 's/^Merge/Merged by a hook:/' \"$1\"");
    let ran = || {
        let text = s.read("ran");
        fs::write(s.path("ran"), "").unwrap();
        text.lines().map(str::trim).collect::<Vec<_>>().join(", ")
    };
    s.ok(["switch", "-c", "side"]);
    s.ok(["query", "UPDATE birds SET label = 'tiny' WHERE id = 2"]);
    s.ok(["commit", "-m", "a label"]);
    assert_eq!(ran(), "pre-commit, prepare-commit-msg message, commit-msg, post-commit");
    // A fast-forward makes no commit.
    s.ok(["switch", "main"]);
    s.ok(["merge", "side"]);
    assert_eq!(ran(), "post-merge 0");
    assert_eq!(s.read("post-merge.json"), s.ok(["diff", "--json", "HEAD~1", "HEAD"]));
    s.ok(["undo"]);
    edit(&s, 25);
    s.ok(["commit", "-n", "-m", "a weight"]);
    assert_eq!(ran(), "prepare-commit-msg message, post-commit");
    // One that says no leaves all as it was.
    shell(&s, "pre-merge-commit", "exit 2");
    let told = stopped(&s, &["merge", "side"]).stderr;
    assert_eq!(told, "error: hook 'pre-merge-commit' ended with exit status 2: nothing was changed\nhint: --no-verify goes on without it\n");
    s.ok(["merge", "side", "--dry-run"]);
    s.ok(["merge", "side", "--no-verify"]);
    assert_eq!(ran(), "prepare-commit-msg merge, post-merge 0");
    s.ok(["undo"]);
    shell(&s, "pre-merge-commit", &note("pre-merge-commit"));
    s.ok(["merge", "side"]);
    assert_eq!(ran(), "pre-merge-commit, prepare-commit-msg merge, commit-msg, post-merge 0");
    assert_eq!(s.read("pre-merge-commit.json"), s.ok(["diff", "--json", "HEAD~1", "HEAD"]));
    assert_eq!(s.read("pre-merge-commit.heads").trim().len(), 64);
    assert_eq!(subject(&s), "Merged by a hook: 'side'");
    s.ok(["undo"]);
    s.ok(["merge", "--squash", "side"]);
    assert_eq!(ran(), "post-merge 1");
    s.ok(["reset", "--hard"]);
    // Conflicts are settled by people: what ends the merge is a commit of theirs.
    s.ok(["query", "UPDATE birds SET label = 'huge' WHERE id = 2"]);
    s.ok(["commit", "-q", "-m", "another label"]);
    ran();
    assert_eq!(s.run(["merge", "side"]).code, 1);
    assert_eq!(s.read("ran"), "");
    assert_eq!(s.run(["merge", "--continue"]).code, 1);
    assert_eq!(s.read("ran"), "");
    s.ok(["resolve", "--ours"]);
    s.ok(["query", "UPDATE birds SET weight = 1 WHERE id = 4"]);
    s.ok(["merge", "--continue"]);
    assert_eq!(ran(), "pre-commit, prepare-commit-msg merge, commit-msg, post-commit");
}

#[test]
fn replays_run_what_git_runs() {
    let s = Sandbox::birds();
    for name in ["pre-commit", "commit-msg", "post-commit"] {
        shell(&s, name, &format!("echo {name} >> ran"));
    }
    shell(&s, "prepare-commit-msg", "echo \"prepare-commit-msg $2\" >> ran; echo 'picked' >> \"$1\"");
    let ran = || {
        let text = s.read("ran");
        fs::write(s.path("ran"), "").unwrap();
        text.lines().collect::<Vec<_>>().join(", ")
    };
    s.ok(["switch", "-c", "side"]);
    s.ok(["query", "UPDATE birds SET label = 'tiny' WHERE id = 2"]);
    s.ok(["commit", "-n", "-m", "a label"]);
    s.ok(["query", "UPDATE birds SET label = 'tiny' WHERE id = 3"]);
    s.ok(["commit", "-n", "-m", "another"]);
    s.ok(["switch", "main"]);
    edit(&s, 25);
    s.ok(["commit", "-n", "-m", "a weight"]);
    ran();
    s.ok(["cherry-pick", "side"]);
    assert_eq!(ran(), "prepare-commit-msg message, post-commit");
    assert!(s.ok(["show", "HEAD"]).contains("another\n") && s.ok(["show", "HEAD"]).contains("picked"));
    s.ok(["revert", "HEAD"]);
    assert_eq!(ran(), "prepare-commit-msg message, post-commit");
    shell(&s, "prepare-commit-msg", "exit 1");
    let told = stopped(&s, &["cherry-pick", "side~1"]).stderr;
    assert_eq!(told, "error: hook 'prepare-commit-msg' ended with exit status 1: nothing was changed\n");
    fs::remove_file(s.path(".dsv/hooks/prepare-commit-msg")).unwrap();
    // What a person settled is a commit of theirs.
    s.ok(["query", "UPDATE birds SET label = 'huge' WHERE id = 2"]);
    s.ok(["commit", "-q", "-m", "mine"]);
    ran();
    assert_eq!(s.run(["cherry-pick", "side~1"]).code, 1);
    s.ok(["resolve", "--theirs"]);
    s.ok(["cherry-pick", "--continue"]);
    assert_eq!(ran(), "pre-commit, commit-msg, post-commit");
    s.ok(["switch", "-c", "moved", "side"]);
    s.ok(["rebase", "main~2"]);
    assert_eq!(ran(), "post-commit, post-commit");
}

#[test]
fn switching_tells_and_pushing_asks() {
    let s = Sandbox::birds();
    shell(&s, "post-checkout", "echo \"$*\" > moved; echo $DSV_BRANCH >> moved; exit 1");
    let id = |rev: &str| s.ok(["log", "-n", "1", "--json", rev]).split("\"commit\":\"").nth(1).unwrap()[..64].to_owned();
    edit(&s, 25);
    s.ok(["commit", "-m", "more"]);
    let (first, second) = (id("main~1"), id("main"));
    let ran = s.run(["switch", "-c", "old", "main~1"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, "Switched to new branch old\nwarning: hook 'post-checkout' ended with exit status 1\n"));
    assert_eq!(s.read("moved"), format!("{second} {first} 1\nold\n"));
    s.ok(["switch", "-q", "main"]);
    assert_eq!(s.read("moved"), format!("{first} {second} 1\nmain\n"));

    let hub = s.path("hub");
    s.ok(["remote", "add", "origin", hub.to_str().unwrap()]);
    shell(&s, "pre-push", "echo \"$*\" > pushed; cat >> pushed; exit 1");
    let told = stopped(&s, &["push"]).stderr;
    assert_eq!(told, "error: hook 'pre-push' ended with exit status 1: nothing was changed\nhint: --no-verify goes on without it\n");
    let (none, to) = ("0".repeat(64), hub.to_str().unwrap());
    assert_eq!(s.read("pushed"), format!("origin {to}\nrefs/heads/main {second} refs/heads/main {none}\n"));
    assert!(!hub.exists());
    s.ok(["push", "--dry-run"]);
    s.ok(["push", "--no-verify", "-q"]);
    shell(&s, "pre-push", "echo \"$*\" > pushed; cat >> pushed");
    s.ok(["tag", "v1", "main~1"]);
    s.ok(["push", "origin", "old:review/ada", "main", "--tags"]);
    assert_eq!(s.read("pushed"), format!("origin {to}\nrefs/heads/old {first} refs/heads/review/ada {none}\nrefs/tags/v1 {first} refs/tags/v1 {none}\n"));
    s.ok(["push", "origin", "--delete", "review/ada"]);
    assert_eq!(s.read("pushed"), format!("origin {to}\n(delete) {none} refs/heads/review/ada {first}\n"));
    fs::write(s.path("pushed"), "").unwrap();
    s.ok(["push"]);
    assert_eq!(s.read("pushed"), "", "nothing moves, and nobody is asked");
    s.ok(["hooks", "run", "pre-push"]);
    assert_eq!(s.read("pushed"), format!("origin {to}\nrefs/heads/main {second} refs/heads/main {second}\n"));
    // What is pulled is merged, and the merge's hooks are run.
    let clone = Sandbox::empty();
    clone.ok(["clone", to, "here"]);
    assert!(!clone.path("here/.dsv/hooks").exists() && !clone.path("here/dsv.toml").exists());
    edit(&s, 26);
    s.ok(["commit", "-q", "-m", "newer"]);
    s.ok(["push", "-q"]);
    let hook = clone.file("here/.dsv/hooks/post-merge", "#!/bin/sh\necho \"$1 $DSV_TABLES\" > merged\n");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let before = fs::read(&hook).unwrap();
    clone.ok(["-C", "here", "pull", "-q"]);
    assert_eq!(clone.read("here/merged"), "0 birds\n");
    assert_eq!((fs::read(&hook).unwrap(), fs::read_dir(hook.parent().unwrap()).unwrap().count()), (before, 1), "what is fetched never writes hooks");
}

#[test]
fn the_hooks_may_stand_elsewhere() {
    let s = Sandbox::birds();
    s.ok(["config", "core.hooksPath", "tools/hooks"]);
    s.ok(["hooks", "new", "commit-msg"]);
    assert!(s.path("tools/hooks/commit-msg").exists() && !s.path(".dsv/hooks").exists());
    shell(&s, "pre-commit", "exit 1");
    edit(&s, 25);
    fs::create_dir(s.path("below")).unwrap();
    s.ok(["-C", "below", "commit", "-m", "the usual folder does not count"]);
    s.ok(["hooks", "run", "commit-msg"]);
    // Every example is a script that passes.
    s.ok(["config", "--unset", "core.hooksPath"]);
    fs::remove_dir_all(s.path(".dsv/hooks")).unwrap();
    s.ok(["remote", "add", "origin", "hub"]);
    for hook in ["pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "pre-merge-commit", "post-merge", "post-checkout", "pre-push"] {
        s.ok(["hooks", "new", hook]);
        let ran = s.run(["hooks", "run", hook]);
        assert_eq!((ran.code, ran.stderr), (0, format!("Hook {hook} passes\n")), "{hook}");
    }
}

#[test]
fn the_page_shows_what_works() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/hooks.md")).unwrap();
    let blocks: Vec<&str> = page.split("\n```").skip(1).step_by(2).collect();
    let block = |start: &str| {
        blocks.iter().find(|block| block.contains(start)).unwrap_or_else(|| panic!("no {start} in docs/hooks.md")).split_once('\n').unwrap().1.to_owned() + "\n"
    };
    let s = Sandbox::birds();
    script(&s, "commit-msg", &block("# .dsv/hooks/commit-msg"));
    edit(&s, 25);
    assert!(stopped(&s, &["commit", "-m", "a weight"]).stderr.starts_with("say which issue"));
    s.ok(["commit", "-m", "a weight, for #12"]);
    fs::remove_file(s.path(".dsv/hooks/commit-msg")).unwrap();

    script(&s, "pre-commit", &block("# .dsv/hooks/pre-commit"));
    s.file("many.csv", format!("n\n{}", (0..1200).map(|n| format!("{n}\n")).collect::<String>()));
    s.ok(["import", "many", "many.csv"]);
    s.ok(["commit", "-m", "many"]);
    s.ok(["query", "DELETE FROM many WHERE n > 50"]);
    assert!(stopped(&s, &["commit", "-m", "few"]).stderr.starts_with("1149 rows would go"));
    s.ok(["commit", "-m", "few", "--no-verify"]);

    script(&s, "pre-push", &block("# .dsv/hooks/pre-push"));
    s.ok(["remote", "add", "origin", "hub"]);
    assert!(stopped(&s, &["push"]).stderr.starts_with("main is merged by its keeper"));
    s.ok(["push", "origin", "main:ada"]);

    // The hook of the table that did not change is not run: its command is not there.
    s.file("dsv.toml", block("[hooks.pre-commit.boxes]"));
    s.ok(["hooks", "trust"]);
    edit(&s, 26);
    s.ok(["commit", "-m", "told"]);
    assert_eq!(s.read("versions.txt").trim().len(), 64);

    let Some(python) = pyarrow() else { return };
    let text = block("# .dsv/hooks/post-commit");
    script(&s, "post-commit", &text.replace("/usr/bin/env python3", python.to_str().unwrap()));
    edit(&s, 27);
    s.ok(["query", "DELETE FROM many WHERE n < 10"]);
    let ran = s.run(["commit", "-q", "-m", "two tables"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let log = s.read("changes.log");
    assert_eq!(log.lines().map(|line| &line[8..]).collect::<Vec<_>>(), [" birds 1", " many 10"]);
}
