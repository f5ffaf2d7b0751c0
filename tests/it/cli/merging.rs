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

const ROWS: [&str; 4] = ["query", "SELECT id, label, note FROM pets ORDER BY id", "--format", "csv"];

#[test]
fn conflicts_wait_until_they_are_settled() {
    let s = Sandbox::repo();
    two_branches(&s, "1,cat,\n2,puppy,big\n3,bird,sings\n5,newt,wet\n", "1,cat,\n2,wolf,big\n5,newt,dry\n6,frog,\n");
    let clean = s.state();
    assert_eq!(s.run(["merge", "relabel", "--dry-run"]).code, 1);
    assert_eq!(s.state(), clean);
    let mut told = String::new();
    let mut step = |args: &[&str]| {
        let ran = s.run(args);
        told.push_str(&format!("$ dsv {}\n{}", args.join(" "), ran.redacted()));
    };
    step(&["merge", "relabel"]);
    step(&["status"]);
    step(&["status", "--json"]);
    step(&["merge", "relabel"]);
    step(&["merge", "--continue"]);
    step(&["commit", "-m", "too early"]);
    // Walking away loses nothing.
    step(&["switch", "relabel"]);
    step(&["conflicts"]);
    step(&["switch", "main"]);
    step(&["conflicts"]);
    step(&["conflicts", "--json"]);
    step(&["conflicts", "pets", "label"]);
    step(&["resolve", "--theirs", "pets", "2", "label"]);
    step(&["resolve", "--theirs", "pets", "2", "label"]);
    step(&["resolve", "--theirs", "pest"]);
    step(&["resolve", "--value", "damp", "pets", "5"]);
    step(&["undo"]);
    step(&["resolve", "--as", "ours || ' and ' || theirs", "pets", "5", "note"]);
    step(&["resolve", "--ours"]);
    step(&["conflicts"]);
    step(&["resolve", "--ours"]);
    step(&["merge", "--continue"]);
    step(&["log", "--graph", "--oneline"]);
    step(&["status"]);
    insta::assert_snapshot!(told);
    assert_eq!(s.ok(ROWS), "id,label,note\n1,cat,\n2,wolf,big\n3,bird,sings\n5,newt,wet and dry\n6,frog,\n");
    s.ok(["verify"]);
}

#[test]
fn settling_one_way_is_what_a_strategy_gives() {
    let s = Sandbox::repo();
    two_branches(&s, "1,cat,\n2,puppy,big\n3,bird,sings\n5,newt,wet\n", "1,cat,\n2,wolf,big\n5,newt,dry\n");
    for side in ["theirs", "ours"] {
        s.ok(["merge", "relabel", "--strategy", side]);
        let expected = s.ok(ROWS);
        assert_eq!(expected.contains("puppy"), side == "ours");
        s.ok(["undo"]);
        assert_eq!(s.run(["merge", "relabel"]).code, 1);
        s.ok(["resolve", &format!("--{side}")]);
        s.ok(["commit"]);
        assert_eq!(s.ok(ROWS), expected);
        s.ok(["reset", "--hard", "HEAD^"]);
    }
    // Given up, or forgotten: as before.
    let before = s.ok(ROWS);
    assert_eq!(s.run(["merge", "relabel"]).code, 1);
    s.refused(2, ["rebase", "--abort"]);
    s.ok(["merge", "--abort"]);
    assert_eq!(s.ok(ROWS), before);
    assert_eq!(s.run(["merge", "relabel"]).code, 1);
    s.ok(["reset", "--hard"]);
    assert!(s.refused(2, ["merge", "--continue"]).contains("no merge is in progress"));
    assert!(s.refused(2, ["resolve", "--ours"]).contains("no merge is in progress"));
    assert!(s.refused(2, ["merge", "--abort"]).contains("no merge is in progress"));
}

#[test]
fn conflicts_are_settled_by_a_file_by_hand_and_by_policy() {
    let s = Sandbox::repo();
    two_branches(&s, "1,cat,\n2,puppy,big\n3,bird,sings\n5,newt,wet\n", "1,cat,\n2,wolf,big\n5,newt,dry\n");
    assert_eq!(s.run(["merge", "relabel"]).code, 1);
    let lines = s.ok(["conflicts", "--json"]);
    let decided: Vec<String> = lines
        .lines()
        .map(|line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            match line["key"]["id"].as_i64() {
                Some(2) => line["resolved"] = "dingo".into(),
                Some(3) => line["take"] = "theirs".into(),
                _ => {}
            }
            line.to_string()
        })
        .collect();
    s.file("decided.jsonl", decided.join("\n"));
    assert_eq!(s.ok(["resolve", "--file", "decided.jsonl", "--json"]), "{\"settled\":2,\"left\":1}\n");
    // What is mended by hand stays.
    s.file("mended.csv", "id,note\n5,moist\n");
    s.ok(["import", "pets", "mended.csv", "--key", "id"]);
    assert_eq!(s.run(["merge", "--continue"]).code, 1);
    let before = s.state();
    for (args, said) in [
        (&["resolve", "--policy", "sum-of-changes", "pets"][..], "means nothing"),
        (&["resolve", "--policy", "best"], "no merge policy"),
        (&["resolve", "--ours", "pets", "99"], "no conflict that this could settle is in table 'pets' in row '99'"),
        (&["resolve", "--as", "ours +", "pets"], "column 'note'"),
        (&["resolve", "--as", "nobody", "pets"], "nobody"),
        (&["resolve", "--file", "nothing.jsonl"], "nothing.jsonl"),
    ] {
        let text = s.refused(2, args.iter().copied());
        assert!(text.contains(said), "{args:?}: {text}");
    }
    s.file("bad.jsonl", "{\"table\": \"pets\", \"take\": \"mine\"}\n");
    assert!(s.refused(2, ["resolve", "--file", "bad.jsonl"]).contains("line 1"));
    assert_eq!(s.state(), before);
    s.ok(["resolve", "--keep", "pets", "5"]);
    s.ok(["merge", "--continue", "-m", "by hand"]);
    assert_eq!(s.ok(ROWS), "id,label,note\n1,cat,\n2,dingo,big\n5,newt,moist\n");
    assert_eq!(s.ok(["log", "-n", "1", "--oneline"]).trim().split_once(' ').map(|x| x.1.ends_with("by hand")), Some(true));
}

#[test]
fn a_value_of_the_wrong_type_settles_nothing() {
    let s = Sandbox::repo();
    s.file("base.csv", "id,n\n1,10\n");
    s.ok(["import", "t", "base.csv", "--key", "id"]);
    s.ok(["commit", "-m", "base"]);
    s.ok(["switch", "-c", "dev"]);
    for (branch, n) in [("dev", 20), ("main", 30)] {
        s.ok(["switch", branch]);
        s.file("side.csv", format!("id,n\n1,{n}\n"));
        s.ok(["import", "t", "side.csv", "--key", "id"]);
        s.ok(["commit", "-m", branch]);
    }
    assert_eq!(s.run(["merge", "dev"]).code, 1);
    let before = s.state();
    assert!(s.refused(2, ["resolve", "--value", "many", "t", "1", "n"]).contains("'many' is no int64"));
    assert!(s.refused(2, ["resolve", "--as", "'x' || ours", "t"]).contains("column 'n'"));
    assert_eq!(s.state(), before);
    s.ok(["resolve", "--policy", "max", "t"]);
    s.ok(["merge", "--continue"]);
    assert_eq!(s.ok(["query", "SELECT n FROM t", "--format", "csv"]), "n\n30\n");
}

#[test]
fn changes_are_picked_taken_back_and_moved() {
    let s = Sandbox::repo();
    two_branches(&s, "1,cat,\n2,dog,big\n3,bird,sings\n", "1,cat,\n2,wolf,big\n3,bird,\n");
    let mut told = String::new();
    let mut step = |args: &[&str]| {
        let ran = s.run(args);
        told.push_str(&format!("$ dsv {}\n{}", args.join(" "), ran.redacted()));
    };
    step(&["cherry-pick", "relabel"]);
    step(&["query", "SELECT id, label, note FROM pets ORDER BY id", "--format", "csv"]);
    step(&["cherry-pick", "relabel"]);
    step(&["revert", "HEAD"]);
    step(&["query", "SELECT id, label, note FROM pets ORDER BY id", "--format", "csv"]);
    step(&["switch", "relabel"]);
    step(&["rebase", "main~2"]);
    step(&["log", "--oneline", "--graph"]);
    step(&["rebase", "main~2"]);
    // A commit that meets another change.
    s.file("side.csv", "id,note\n3,hums\n");
    step(&["import", "pets", "side.csv", "--key", "id"]);
    step(&["commit", "-m", "hums"]);
    s.ok(["switch", "-c", "other", "main~2"]);
    s.file("side.csv", "id,note\n3,whistles\n");
    s.ok(["import", "pets", "side.csv", "--key", "id"]);
    s.ok(["commit", "-m", "whistles"]);
    step(&["switch", "relabel"]);
    step(&["rebase", "other"]);
    step(&["status"]);
    step(&["commit", "-m", "no"]);
    step(&["resolve", "--theirs"]);
    step(&["rebase", "--continue"]);
    step(&["log", "--oneline", "--graph"]);
    step(&["revert", "other"]);
    step(&["revert", "--abort"]);
    step(&["revert", "main~99"]);
    step(&["undo"]);
    insta::assert_snapshot!(told);
    assert_eq!(s.ok(ROWS), "id,label,note\n1,cat,\n2,wolf,big\n3,bird,hums\n");
}

#[test]
fn several_branches_merge_at_once_unless_they_disagree() {
    let s = Sandbox::repo();
    s.file("base.csv", "id,a,b,c\n1,0,0,0\n2,0,0,0\n");
    s.ok(["import", "t", "base.csv", "--key", "id"]);
    s.ok(["commit", "-m", "base"]);
    for column in ["a", "b", "c"] {
        s.ok(["switch", "-c", column, "main"]);
        s.file("side.csv", format!("id,{column}\n1,1\n"));
        s.ok(["import", "t", "side.csv", "--key", "id"]);
        s.ok(["commit", "-m", column]);
    }
    s.ok(["switch", "-c", "again", "main"]);
    s.file("side.csv", "id,b\n1,7\n");
    s.ok(["import", "t", "side.csv", "--key", "id"]);
    s.ok(["commit", "-m", "again"]);
    s.ok(["switch", "main"]);
    let before = s.state();
    assert!(s.refused(2, ["merge", "a", "b", "again"]).contains("'again'"));
    assert_eq!(s.state(), before);
    s.ok(["merge", "a", "b", "c"]);
    assert_eq!(s.ok(["query", "SELECT * FROM t ORDER BY id", "--format", "csv"]), "id,a,b,c\n1,1,1,1\n2,0,0,0\n");
    let shown: serde_json::Value = serde_json::from_str(s.ok(["log", "-n", "1", "--json"]).trim()).unwrap();
    assert_eq!(shown["parents"].as_array().map(Vec::len), Some(4));
    // Without a trace of where it came from.
    s.ok(["undo"]);
    s.ok(["merge", "--squash", "a"]);
    s.ok(["commit", "-m", "a, squashed"]);
    let shown: serde_json::Value = serde_json::from_str(s.ok(["log", "-n", "1", "--json"]).trim()).unwrap();
    assert_eq!(shown["parents"].as_array().map(Vec::len), Some(1));
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

#[test]
fn who_set_a_cell_what_became_of_a_row_and_where_it_went_wrong() {
    let s = Sandbox::repo();
    s.file("pets.csv", "id,label,note\n1,cat,\n2,dog,big\n3,bird,\n");
    s.ok(["import", "pets", "pets.csv", "--key", "id"]);
    s.ok(["commit", "-m", "pets"]);
    for (n, rows) in ["2,wolf,big", "1,cat,sleepy", "2,,big", "3,bird,sings"].iter().enumerate() {
        s.file("side.csv", format!("id,label,note\n{rows}\n"));
        s.ok(["import", "pets", "side.csv", "--key", "id"]);
        s.ok(["commit", "-m", &format!("change {}", n + 1)]);
    }
    s.file("bad", s.ok(["log", "-n", "2", "--json"]));
    let mut told = String::new();
    let mut step = |args: &[&str]| {
        let ran = s.run(args);
        told.push_str(&format!("$ dsv {}\n{}", args.join(" "), ran.redacted()));
    };
    step(&["blame", "pets", "label"]);
    step(&["blame", "pets", "--row", "1"]);
    step(&["blame", "pets", "note", "--where", "id > 1", "--at", "HEAD~2", "--json"]);
    step(&["log", "--row", "2", "--", "pets"]);
    step(&["log", "--row", "2", "--json", "-n", "1", "--", "pets"]);
    step(&["bisect", "HEAD~4", "HEAD", "--query", "SELECT count(*) = 0 FROM pets WHERE label IS NULL"]);
    step(&["bisect", "HEAD~4", "HEAD", "--json", "--", "sh", "-c", "test {} = $DSV_REV && ! grep -q $DSV_REV bad"]);
    step(&["bisect", "HEAD", "HEAD~4", "--query", "SELECT true"]);
    step(&["bisect", "HEAD~1", "HEAD", "--query", "SELECT false"]);
    step(&["bisect", "HEAD~1", "HEAD", "--query", "SELECT 1"]);
    step(&["bisect", "HEAD~1", "HEAD", "--", "no-such-command"]);
    step(&["bisect", "HEAD~1", "HEAD"]);
    step(&["restore", "pets", "--row", "2", "--source", "HEAD~4"]);
    step(&["diff"]);
    step(&["restore", "pets", "--column", "note", "--source", "HEAD~4"]);
    step(&["diff", "--stat"]);
    step(&["restore", "pets", "--where", "label = 'wolf'", "--column", "label", "--source", "HEAD~3"]);
    step(&["restore", "pets", "--row", "9"]);
    step(&["restore", "pets", "--column", "lable"]);
    step(&["blame", "pets", "label"]);
    step(&["blame", "pets", "--row", "9"]);
    step(&["blame", "pets", "colour"]);
    step(&["blame", "pest", "label"]);
    insta::assert_snapshot!(told);
}

#[test]
fn history_is_data_in_sql() {
    let s = Sandbox::repo();
    two_branches(&s, "1,tiger,\n2,puppy,big\n", "1,cat,sleepy\n2,wolf,big\n3,bird,\n4,fish,new\n");
    s.ok(["column", "add", "pets", "score", "float64"]);
    s.ok(["commit", "-m", "score"]);
    let mut told = String::new();
    let mut step = |sql: &str| {
        let ran = s.run(["query", sql, "--format", "csv"]);
        told.push_str(&format!("$ {sql}\n{}", ran.redacted()));
    };
    step("SELECT change, columns, before.label AS before, after.label AS after FROM diff('main~2', 'main', 'pets')");
    step("SELECT change, count(*) AS n FROM diff('main', 'relabel', 'pets') GROUP BY change ORDER BY change");
    step("SELECT after.id, p.score FROM diff('main~2', '', 'pets') d JOIN pets p ON p.id = d.after.id WHERE d.change = 'changed' ORDER BY 1");
    step("SELECT * FROM diff('main~2', 'main')");
    step("SELECT key, value, message FROM blame('pets', 'label')");
    step("SELECT \"column\", message FROM blame('pets') WHERE key = '2'");
    step("SELECT key, message FROM blame('pets', 'label', 'main~2')");
    step("SELECT message FROM commits ORDER BY committed, message");
    step("SELECT name, current FROM branches ORDER BY name");
    step("SELECT * FROM conflicts");
    step("SELECT * FROM diff('main', 'relable', 'pets')");
    step("SELECT * FROM diff('main', 'relabel', 'pest')");
    step("SELECT * FROM diff('main')");
    step("SELECT * FROM diff('main', 'relabel', name) FROM branches");
    step("SELECT * FROM diff('main', 1, 'pets')");
    step("SELECT * FROM blame('pets', 'colour')");
    step("SELECT * FROM blame()");
    step("SELECT * FROM blame('pest')");
    step("SELECT * FROM conflict");
    assert_eq!(s.run(["merge", "relabel"]).code, 1);
    let mut step = |sql: &str| {
        let ran = s.run(["query", sql, "--format", "csv"]);
        told.push_str(&format!("$ {sql}\n{}", ran.redacted()));
    };
    step("SELECT \"table\", kind, key, \"column\", base, ours, theirs FROM conflicts");
    insta::assert_snapshot!(told);
    // A table of such a name is a table.
    s.ok(["merge", "--abort"]);
    s.file("commits.csv", "x\n1\n");
    s.ok(["import", "commits", "commits.csv"]);
    s.ok(["import", "diff", "commits.csv"]);
    assert_eq!(s.ok(["query", "SELECT * FROM commits, diff", "--format", "csv"]), "x,x\n1,1\n");
    assert!(s.ok(["query", "SELECT count(*) FROM dsv.commits", "--format", "csv"]).contains('4'));
    assert!(s.ok(["query", "SELECT count(*) FROM diff('main', '')", "--format", "csv"]).contains('2'));
}
