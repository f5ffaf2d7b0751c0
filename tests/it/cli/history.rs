//! Commits, branches, tags, and ways back.

use crate::support::Sandbox;

#[test]
fn a_day_with_branches() {
    let s = Sandbox::repo();
    let mut told = String::new();
    let mut step = |args: &[&str]| {
        let ran = s.run(args);
        told.push_str(&format!("$ dsv {}\n{}", args.join(" "), ran.redacted()));
    };
    s.file("birds.csv", crate::support::BIRDS);
    s.file("fixes.csv", "id,label\n2,tiny\n5,fast\n6,new\n");
    step(&["status"]);
    step(&["commit", "-m", "nothing yet"]);
    step(&["import", "birds", "birds.csv", "--key", "id"]);
    step(&["status"]);
    step(&["commit", "-m", "import birds"]);
    step(&["tag", "v1.0", "-m", "first"]);
    step(&["switch", "-c", "labels"]);
    step(&["import", "birds", "fixes.csv", "--key", "id"]);
    step(&["column", "add", "birds", "seen", "bool", "--default", "false"]);
    step(&["status"]);
    step(&["status", "--json"]);
    step(&["status", "--short"]);
    step(&["switch", "main"]);
    step(&["status"]);
    step(&["branch"]);
    step(&["switch", "-"]);
    step(&["commit", "-m", "better labels"]);
    step(&["show"]);
    step(&["log", "--oneline", "--graph", "--all"]);
    step(&["log", "v1.0..labels"]);
    step(&["log", "--oneline", "--", "birds", "label"]);
    step(&["log", "--oneline", "--", "birds", "name"]);
    step(&["log", "-n", "1", "--json"]);
    step(&["branch", "--json"]);
    step(&["tag"]);
    step(&["tag", "--json"]);
    step(&["show", "v1.0"]);
    step(&["show", "v1.0:birds"]);
    insta::assert_snapshot!(told);
}

#[test]
fn switching_loses_nothing() {
    let s = Sandbox::birds();
    s.ok(["branch", "other"]);
    s.ok(["column", "add", "birds", "here", "int32", "--default", "1"]);
    s.ok(["switch", "other"]);
    assert!(!s.ok(["table", "describe", "birds"]).contains("here"));
    s.ok(["column", "add", "birds", "there", "int32", "--default", "2"]);
    s.ok(["switch", "main"]);
    let main = s.ok(["table", "describe", "birds"]);
    assert!(main.contains("here") && !main.contains("there"), "{main}");
    s.ok(["switch", "other"]);
    assert!(s.ok(["table", "describe", "birds"]).contains("there"));
}

#[test]
fn everything_can_be_undone_and_done_again() {
    let s = Sandbox::birds();
    s.file("more.csv", "id,name,weight,label,code\n9,stork,3500,large,\n");
    let rows = |s: &Sandbox| s.ok(["query", "select count(*) from birds", "--format", "csv"]);
    let steps: &[&[&str]] = &[
        &["import", "birds", "more.csv", "--append"],
        &["commit", "-m", "more"],
        &["column", "drop", "birds", "code"],
        &["table", "rename", "birds", "animals"],
        &["branch", "side"],
        &["tag", "t"],
        &["switch", "side"],
        &["reset", "--hard", "HEAD~1"],
    ];
    let mut states = Vec::new();
    let state = |s: &Sandbox| -> String { ["status", "branch", "tag"].iter().map(|v| s.ok([v, "--json"])).chain([s.ok(["table", "list"])]).collect() };
    for step in steps {
        states.push(state(&s));
        s.ok(*step);
    }
    let end = state(&s);
    for before in states.iter().rev() {
        s.ok(["undo"]);
        assert_eq!(state(&s), *before);
    }
    assert_eq!(rows(&s), "count(*)\n5\n");
    for _ in steps {
        s.ok(["redo"]);
    }
    assert_eq!(state(&s), end);
    assert_eq!(s.run(["redo"]).code, 1);
}

#[test]
fn restore_and_reset() {
    let s = Sandbox::birds();
    s.ok(["column", "drop", "birds", "code"]);
    s.ok(["commit", "-m", "no code"]);
    s.ok(["restore", "birds", "--source", "HEAD~1"]);
    assert!(s.ok(["table", "describe", "birds"]).contains("code"));
    s.ok(["restore", "--all"]);
    assert!(s.ok(["status", "--json"]).contains("\"clean\":true"));
    s.ok(["reset", "HEAD~1"]);
    assert!(s.ok(["status"]).contains("column code dropped"));
    s.ok(["reset", "--hard"]);
    assert!(s.ok(["status", "--json"]).contains("\"clean\":true"));
    assert!(s.ok(["table", "describe", "birds"]).contains("code"));
}

#[test]
fn a_log_of_what_never_was() {
    let s = Sandbox::birds();
    for (path, near) in [(&["brids"][..], "'birds'"), (&["birds", "lable"], "'label'")] {
        let told = s.refused(2, ["log", "--"].iter().chain(path));
        assert!(told.contains(near), "{told}");
    }
    // What is gone, or not committed yet, is no slip.
    s.ok(["column", "drop", "birds", "code"]);
    s.ok(["column", "add", "birds", "fresh", "text"]);
    assert_eq!(s.run(["log", "--", "birds", "fresh"]).code, 0);
    s.ok(["commit", "-m", "no code"]);
    s.ok(["commit", "--allow-empty", "-m", "nothing"]);
    assert_eq!(s.ok(["log", "--oneline", "--", "birds", "code"]).lines().count(), 2);
    assert_eq!(s.ok(["log", "--oneline", "HEAD~1..HEAD", "--", "birds", "code"]), "");
}

#[test]
fn operations_are_listed_as_they_were_typed() {
    let s = Sandbox::birds();
    s.ok(["column", "rename", "birds", "code", "the code"]);
    s.ok(["import", "my birds", "birds.csv", "--key", "id"]);
    let told = s.ok(["operations"]);
    assert!(told.contains("column rename birds code 'the code' (") && told.contains("import 'my birds' birds.csv --key id ("), "{told}");
}

#[test]
fn amend_and_author() {
    let s = Sandbox::birds();
    s.ok(["commit", "--amend", "-m", "a better message", "-m", "With a body.", "--author", "Grace Hopper <grace@example.org>"]);
    let log = s.ok(["log"]);
    assert!(log.contains("a better message\n\n    With a body.") && log.contains("Grace Hopper <grace@example.org>"), "{log}");
    assert_eq!(s.ok(["log", "--oneline"]).lines().count(), 1);
    assert_eq!(s.run(["commit", "-m", "again"]).code, 1);
    s.ok(["commit", "--allow-empty", "-m", "again"]);
    assert_eq!(s.ok(["log", "--oneline"]).lines().count(), 2);
}

#[test]
fn settings() {
    let s = Sandbox::birds();
    s.ok(["config", "--global", "user.name", "Everywhere"]);
    s.ok(["config", "user.name", "Here"]);
    assert_eq!(s.ok(["config", "user.name"]), "Here\n");
    assert_eq!(s.ok(["config", "--json"]), "{\"key\":\"user.name\",\"value\":\"Here\",\"from\":\"repository\"}\n");
    s.ok(["config", "--unset", "user.name"]);
    assert_eq!(s.ok(["config"]), "user.name=Everywhere\n");
    assert_eq!(s.refused(1, ["config", "no.such"]), "error: 'no.such' is not set\n");
    s.refused(2, ["config", "nodot", "x"]);
}

#[test]
fn a_commit_without_a_branch_is_not_left_without_a_word() {
    let s = Sandbox::birds();
    s.ok(["switch", "--detach", "HEAD"]);
    assert!(!s.run(["switch", "main"]).stderr.contains("behind"));
    s.ok(["switch", "--detach", "HEAD"]);
    s.ok(["column", "add", "birds", "seen", "bool"]);
    s.ok(["commit", "-m", "seen"]);
    let ran = s.run(["switch", "main"]);
    assert!(ran.code == 0 && ran.stderr.contains("which is on no branch") && ran.stderr.contains("hint: 'dsv branch NAME "), "{}", ran.stderr);
    let id = ran.stderr.split("Left commit ").nth(1).unwrap().split(' ').next().unwrap();
    s.ok(["branch", "kept", id]);
    s.ok(["switch", "--detach", id]);
    assert!(!s.run(["switch", "main"]).stderr.contains("behind"));
}
