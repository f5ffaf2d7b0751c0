//! Two people change one table; diff and merge by cell.

use crate::support::Sandbox;

/// A keyed table, changed on `main` and on `relabel`; `main` is checked out.
fn two_branches(s: &Sandbox, ours: &str, theirs: &str) {
    s.file("base.csv", "id,label,note\n1,cat,\n2,dog,big\n3,bird,\n");
    s.ok(["import", "pets", "base.csv", "--key", "id"]);
    s.ok(["commit", "-m", "pets"]);
    s.ok(["branch", "relabel"]);
    for (branch, rows) in [("relabel", theirs), ("main", ours)] {
        s.ok(["switch", branch]);
        s.file("side.csv", format!("id,label,note\n{rows}"));
        s.ok(["import", "pets", "side.csv", "--key", "id", "--replace"]);
        s.ok(["commit", "-m", branch]);
    }
}

#[test]
fn two_branches_merge_by_cell() {
    let s = Sandbox::repo();
    two_branches(&s, "1,tiger,\n2,dog,big\n", "1,cat,sleepy\n2,wolf,big\n3,bird,\n4,fish,new\n");
    let mut told = String::new();
    let mut step = |args: &[&str]| {
        let ran = s.run(args);
        told.push_str(&format!("$ dsv {}\n{}", args.join(" "), ran.redacted()));
    };
    step(&["diff", "main...relabel"]);
    step(&["diff", "main", "relabel", "--stat"]);
    step(&["merge", "relabel", "--dry-run"]);
    step(&["column", "add", "pets", "score", "float64", "--default", "0.5"]);
    step(&["diff", "--json"]);
    step(&["merge", "relabel"]);
    step(&["commit", "-m", "scores"]);
    step(&["merge", "relabel"]);
    step(&["query", "SELECT * FROM pets ORDER BY id"]);
    step(&["diff", "HEAD^", "HEAD", "--json"]);
    step(&["diff", "HEAD^..HEAD", "--", "pets", "label"]);
    step(&["log", "--graph", "--oneline"]);
    step(&["merge", "relabel"]);
    step(&["diff", "--exit-code"]);
    step(&["undo"]);
    step(&["diff", "relabel", "--", "pets", "lable"]);
    step(&["diff", "relabel", "--", "pet"]);
    step(&["merge", "relable"]);
    step(&["switch", "-c", "later", "HEAD~1"]);
    step(&["merge", "main", "--json"]);
    insta::assert_snapshot!(told);
}

#[test]
fn what_both_changed_is_told_and_nothing_happens() {
    let s = Sandbox::repo();
    two_branches(&s, "1,cat,\n2,puppy,big\n3,bird,sings\n5,newt,wet\n", "1,cat,\n2,wolf,big\n5,newt,dry\n");
    let before = s.state();
    let ran = s.run(["merge", "relabel"]);
    assert_eq!(ran.code, 1);
    insta::assert_snapshot!(ran.redacted());
    let lines = s.run(["merge", "relabel", "--json"]).stdout;
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let cell = |id: i64| lines.iter().find(|line| line["key"]["id"] == id).unwrap();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&cell(2)["kind"], &cell(2)["column"], &cell(2)["base"], &cell(2)["ours"], &cell(2)["theirs"]),
        (&"cell".into(), &"label".into(), &"dog".into(), &"puppy".into(), &"wolf".into())
    );
    assert_eq!((&cell(3)["kind"], &cell(3)["column"]), (&"deleted-there".into(), &serde_json::Value::Null));
    assert_eq!((&cell(5)["kind"], &cell(5)["ours"], &cell(5)["theirs"]), (&"key".into(), &"wet".into(), &"dry".into()));
    assert_eq!(s.state(), before);
    // A side wins.
    s.ok(["merge", "relabel", "--strategy", "theirs"]);
    assert_eq!(s.ok(["query", "SELECT id, label, note FROM pets ORDER BY id", "--format", "csv"]), "id,label,note\n1,cat,\n2,wolf,big\n5,newt,dry\n");
    s.ok(["undo"]);
    s.ok(["merge", "relabel", "--strategy", "ours"]);
    assert_eq!(
        s.ok(["query", "SELECT id, label, note FROM pets ORDER BY id", "--format", "csv"]),
        "id,label,note\n1,cat,\n2,puppy,big\n3,bird,sings\n5,newt,wet\n"
    );
}

#[test]
fn a_dirty_target_and_histories_apart_are_refused() {
    let s = Sandbox::repo();
    two_branches(&s, "1,tiger,\n", "2,wolf,big\n");
    s.ok(["column", "add", "pets", "x", "int32"]);
    assert!(s.refused(2, ["merge", "relabel"]).contains("uncommitted"));
    s.refused(2, ["diff", "a", "b", "c"]);
    assert_eq!(s.run(["merge", "relabel", "--strategy", "mine"]).code, 2);
    s.ok(["reset", "--hard"]);
    assert_eq!(s.run(["merge", "relabel"]).code, 1);
}

#[test]
fn a_policy_decides() {
    let s = Sandbox::repo();
    s.file("base.csv", "id,seen,note\n1,10,\n2,20,x\n");
    s.ok(["import", "pets", "base.csv", "--key", "id"]);
    s.ok(["column", "policy", "pets", "seen", "sum-of-changes"]);
    assert_eq!(s.ok(["column", "policy", "pets", "seen"]), "sum-of-changes\n");
    assert_eq!(s.ok(["column", "policy", "pets", "note"]), "none\n");
    s.ok(["commit", "-m", "pets"]);
    for (policy, why) in [("sum-of-changes", "means nothing"), ("best", "no merge policy")] {
        assert!(s.refused(2, ["column", "policy", "pets", "note", policy]).contains(why));
    }
    s.ok(["switch", "-c", "later"]);
    s.file("later.csv", "id,seen\n1,13\n2,20\n");
    s.ok(["import", "pets", "later.csv", "--key", "id"]);
    s.ok(["commit", "-m", "later"]);
    s.ok(["switch", "main"]);
    s.file("here.csv", "id,seen\n1,15\n2,21\n");
    s.ok(["import", "pets", "here.csv", "--key", "id"]);
    s.ok(["commit", "-m", "here"]);
    s.ok(["merge", "later"]);
    assert_eq!(s.ok(["query", "SELECT id, seen, note FROM pets ORDER BY id", "--format", "csv"]), "id,seen,note\n1,18,\n2,21,x\n");
    s.ok(["column", "policy", "pets", "seen", "none"]);
    assert_eq!(s.ok(["column", "policy", "pets", "seen"]), "none\n");
}
