//! Checks kept with the data.

use crate::support::Sandbox;

#[test]
fn checks_are_kept_and_held() {
    let s = Sandbox::repo();
    s.file("pets.csv", "id,label,weight\n1,cat,4.5\n2,dog,20\n3,bird,\n");
    s.ok(["import", "pets", "pets.csv", "--key", "id"]);
    let mut told = String::new();
    let mut step = |args: &[&str]| {
        let ran = s.run(args);
        told.push_str(&format!("$ dsv {}\n{}", args.join(" "), ran.redacted()));
    };
    step(&["check", "list"]);
    step(&["check", "add", "heavy", "--table", "pets", "weight > 0"]);
    step(&["check", "add", "light", "--table", "pets", "weight < 10"]);
    step(&["check", "add", "light", "--table", "pets", "weight < 10", "--allow-failing"]);
    step(&["check", "add", "filled", "--table", "pets", "--not-null", "label"]);
    step(&["check", "add", "once", "--table", "pets", "--unique", "label"]);
    step(&["check", "add", "few", "--query", "SELECT label, count(*) AS n FROM pets GROUP BY label HAVING count(*) > 1"]);
    step(&["check", "list"]);
    step(&["check", "list", "--json"]);
    step(&["status"]);
    step(&["commit", "-m", "pets"]);
    step(&["check", "run", "--json"]);
    step(&["check", "drop", "light"]);
    step(&["commit", "-m", "pets"]);
    step(&["show"]);
    s.file("more.csv", "id,label,weight\n4,cat,-1\n5,,3\n");
    step(&["import", "pets", "more.csv", "--append"]);
    step(&["check", "run"]);
    step(&["check", "run", "once", "--at", "HEAD"]);
    step(&["commit", "-m", "more"]);
    step(&["commit", "-m", "more", "--json"]);
    step(&["restore", "pets"]);
    step(&["column", "rename", "pets", "weight", "mass"]);
    step(&["commit", "-m", "mass"]);
    step(&["undo"]);
    step(&["check", "drop", "few"]);
    step(&["diff"]);
    step(&["table", "drop", "pets"]);
    step(&["check", "list"]);
    insta::assert_snapshot!(told);
}

#[test]
fn checks_that_make_no_sense_are_refused() {
    let s = Sandbox::repo();
    s.file("pets.csv", "id,label,weight\n1,cat,4.5\n2,dog,20\n");
    s.ok(["import", "pets", "pets.csv", "--key", "id"]);
    s.ok(["check", "add", "heavy", "--table", "pets", "weight > 0"]);
    let cases: [(&[&str], &[&str]); 28] = [
        (&["check", "add", "heavy", "--table", "pets", "weight > 1"], &["check 'heavy' exists already"]),
        (&["check", "add", "x", "--table", "pet", "weight > 1"], &["no table 'pet'", "'pets'"]),
        (&["check", "add", "x", "--table", "pets", "wieght > 1"], &["no column 'wieght'", "weight"]),
        (&["check", "add", "x", "--table", "pets", "weight"], &["true or false"]),
        (&["check", "add", "x", "--table", "pets", "weight >"], &["syntax error"]),
        (&["check", "add", "x", "--table", "pets", "count(*) > 1"], &["no subquery"]),
        (&["check", "add", "x", "--table", "pets", "--not-null", "lable"], &["lable", "'label'"]),
        (&["check", "add", "x", "--table", "pets", "--unique", "lable"], &["lable", "'label'"]),
        (&["check", "add", "x", "--query", "SELECT * FROM main.pets"], &["one version alone"]),
        (&["check", "add", "x", "--query", "DROP TABLE pets"], &["only reads"]),
        (&["check", "add", "x", "--table", "pets", "--range", "weight"], &["COL=MIN..MAX"]),
        (&["check", "add", "x", "--table", "pets", "--range", "weight=.."], &["no range", "0..1"]),
        (&["check", "add", "x", "--table", "pets", "--range", "weight=9..1"], &["empty"]),
        (&["check", "add", "x", "--table", "pets", "--range", "weight=some..1"], &["'some'", "'weight'"]),
        (&["check", "add", "x", "--table", "pets", "--matches", "label=(a"], &["'(a'", "unclosed group"]),
        (&["check", "add", "x", "--table", "pets", "--matches", "id=a"], &["only in text"]),
        (&["check", "add", "x", "--table", "pets", "--references", "id=pets"], &["TABLE(COL"]),
        (&["check", "add", "x", "--table", "pets", "--references", "id=pest(id)"], &["no table 'pest'", "'pets'"]),
        (&["check", "add", "x", "--table", "pets", "--references", "id,label=pets(id)"], &["as many"]),
        (&["check", "add", "x", "--table", "pets", "--references", "id=pets(label)"], &["cannot refer"]),
        (&["check", "add", "x", "--table", "pets", "--decodes", "label"], &["holds no media"]),
        (&["check", "add", "x", "--table", "pets", "--no-near-duplicates", "id"], &["image, embedding or text"]),
        (&["check", "add", "x", "--table", "pets", "--no-near-duplicates", "label=7"], &["0.3 to 1"]),
        (&["check", "add", "x", "--table", "pets", "--distribution", "weight", "--like", "v9", "--within", "0.1"], &["'v9'"]),
        (&["check", "add", "x", "--table", "pets", "--distribution", "weight", "--like", "main", "--within", "0.1"], &["main"]),
        (&["check", "run", "--since", "v9"], &["'v9'"]),
        (&["check", "run", "heavi"], &["no check 'heavi'", "'heavy'"]),
        (&["check", "drop", "heavi"], &["no check 'heavi'", "'heavy'"]),
    ];
    for (args, parts) in cases {
        let told = s.refused(2, args.iter().copied());
        for part in parts {
            assert!(told.contains(part), "{args:?}: '{part}' is missing in: {told}");
        }
    }
    assert_eq!(s.run(["check", "add", "x", "weight > 1"]).code, 2);
    assert_eq!(s.run(["check", "add", "x", "--table", "pets"]).code, 2);
    assert_eq!(s.run(["check", "add", "x", "--table", "pets", "weight > 1", "--unique", "id"]).code, 2);
}

#[test]
fn checks_of_two_branches_merge() {
    let s = Sandbox::repo();
    s.file("pets.csv", "id,label\n1,cat\n2,dog\n");
    s.ok(["import", "pets", "pets.csv", "--key", "id"]);
    s.ok(["commit", "-m", "pets"]);
    s.ok(["switch", "-c", "other"]);
    s.ok(["check", "add", "b", "--table", "pets", "id > 0"]);
    s.ok(["commit", "-m", "b"]);
    s.ok(["switch", "main"]);
    s.ok(["check", "add", "a", "--table", "pets", "--unique", "label"]);
    s.ok(["commit", "-m", "a"]);
    s.ok(["merge", "other"]);
    assert_eq!(s.ok(["check", "list", "--json"]).lines().count(), 2);
    s.ok(["undo"]);
    assert_eq!(s.ok(["check", "list", "--json"]).lines().count(), 1);
}

#[test]
fn what_two_fine_branches_make_together_is_held_to_the_checks() {
    let s = Sandbox::repo();
    s.file("pets.csv", "id,label,weight\n1,cat,4\n2,dog,20\n");
    s.ok(["import", "pets", "pets.csv", "--key", "id"]);
    s.ok(["check", "add", "once", "--table", "pets", "--unique", "label"]);
    s.ok(["check", "add", "light", "--table", "pets", "weight < 100"]);
    s.ok(["check", "add", "few", "--query", "SELECT count(*) AS n FROM pets HAVING count(*) > 4"]);
    s.ok(["commit", "-m", "pets"]);
    s.ok(["switch", "-c", "more"]);
    s.file("side.csv", "id,label,weight\n3,bird,1\n4,fish,2\n");
    s.ok(["import", "pets", "side.csv", "--append"]);
    s.ok(["commit", "-m", "more"]);
    s.ok(["switch", "-c", "other", "main"]);
    s.file("side.csv", "id,label,weight\n5,bird,3\n");
    s.ok(["import", "pets", "side.csv", "--append"]);
    s.ok(["commit", "-m", "other"]);
    let mut told = String::new();
    let mut step = |args: &[&str]| {
        let ran = s.run(args);
        told.push_str(&format!("$ dsv {}\n{}", args.join(" "), ran.redacted()));
    };
    step(&["merge", "more", "--dry-run"]);
    step(&["cherry-pick", "more"]);
    step(&["cherry-pick", "--abort"]);
    step(&["merge", "more"]);
    step(&["conflicts"]);
    step(&["resolve", "--keep"]);
    step(&["merge", "--continue"]);
    s.file("side.csv", "id,label\n5,parrot\n");
    step(&["import", "pets", "side.csv", "--key", "id"]);
    step(&["check", "drop", "few"]);
    step(&["merge", "--continue"]);
    insta::assert_snapshot!(told);
}

#[test]
fn kinds_that_need_no_sql_warn_and_refuse() {
    let s = Sandbox::repo();
    s.file("labels.csv", "name\ncat\ndog\nbird\n");
    s.file("pets.csv", "id,label,weight,born,note\n1,cat,4.5,2020-05-01,sleeps on the sofa all day\n2,dog,20,2019-01-31,runs after every ball\n3,bird,,,\n");
    s.ok(["import", "labels", "labels.csv", "--key", "name"]);
    s.ok(["import", "pets", "pets.csv", "--key", "id"]);
    s.ok(["commit", "-m", "pets"]);
    let mut told = String::new();
    let mut step = |args: &[&str]| {
        let ran = s.run(args);
        told.push_str(&format!("$ dsv {}\n{}", args.join(" "), ran.redacted()));
    };
    step(&["check", "add", "sane", "--table", "pets", "--range", "weight=0..30"]);
    step(&["check", "add", "recent", "--table", "pets", "--range", "born=2019-06-01..", "--severity", "warn"]);
    step(&["check", "add", "worded", "--table", "pets", "--matches", "label=^[a-z]+$"]);
    step(&["check", "add", "listed", "--table", "pets", "--references", "label=labels(name)"]);
    step(&["check", "add", "varied", "--table", "pets", "--no-near-duplicates", "note=0.7"]);
    step(&["check", "add", "steady", "--table", "pets", "--distribution", "label", "--like", "HEAD", "--within", "0.3"]);
    step(&["check", "list"]);
    step(&["check", "list", "--json"]);
    step(&["check", "run"]);
    step(&["commit", "-m", "checks"]);
    s.file("more.csv", "id,label,weight,born,note\n4,Cat,-1,2001-01-01,Sleeps on the sofa - all day!\n5,cow,900,,\n");
    step(&["import", "pets", "more.csv", "--append"]);
    step(&["check", "run"]);
    step(&["check", "run", "--since", "HEAD", "--json"]);
    step(&["commit", "-m", "more"]);
    step(&["restore", "pets"]);
    s.file("labels.csv", "name\ncat\ndog\n");
    step(&["import", "labels", "labels.csv", "--key", "name", "--replace"]);
    step(&["commit", "-m", "no birds"]);
    step(&["restore", "labels"]);
    s.file("old.csv", "id,label,weight,born,note\n6,dog,9,1999-01-01,\n");
    step(&["import", "pets", "old.csv", "--append"]);
    step(&["commit", "-m", "an old dog", "--json"]);
    step(&["column", "drop", "pets", "note"]);
    step(&["commit", "-m", "no notes"]);
    step(&["check", "drop", "varied"]);
    step(&["commit", "-m", "no notes"]);
    step(&["query", "SELECT name, kind, columns, severity FROM dsv.checks ORDER BY name", "--format", "csv"]);
    step(&["operations", "-n", "3"]);
    insta::assert_snapshot!(told);
}

#[test]
fn junit_is_written_for_ci() {
    let s = Sandbox::repo();
    s.file("pets.csv", "id,label,weight\n1,cat,4.5\n2,\"a <\u{1b}[31m&\u{1}\"\" dog\",-20\n3,bird,\n");
    s.ok(["import", "pets", "pets.csv"]);
    s.ok(["check", "add", "fine", "--table", "pets", "--range", "weight=-100..100"]);
    s.ok(["check", "add", "heavy", "--table", "pets", "--range", "weight=0..", "--severity", "warn"]);
    s.ok(["check", "add", "worded", "--table", "pets", "--matches", "label=^[a-z]+$", "--allow-failing"]);
    s.ok(["check", "add", "gone", "--table", "pets", "--not-null", "id"]);
    s.ok(["column", "drop", "pets", "id"]);
    let ran = s.run(["check", "run", "--junit", "checks.xml"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    insta::assert_snapshot!(s.read("checks.xml"));
    assert!(s.path("checks.xml").parent().unwrap().read_dir().unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().contains(".part")));
    // Another program reads it, whatever the cells hold.
    let script = "import sys, xml.etree.ElementTree as e; s = e.parse(sys.argv[1]).getroot()[0]; print(s.get('tests'), len(s), sum(len(c) for c in s))";
    let read = std::process::Command::new(crate::support::python()).args(["-c", script]).arg(s.path("checks.xml")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&read.stdout), "4 4 4\n", "{}", String::from_utf8_lossy(&read.stderr));
    // Only a warning is left: the exit code says that all is well.
    s.ok(["check", "drop", "gone"]);
    s.ok(["check", "drop", "fine"]);
    s.ok(["check", "drop", "worded"]);
    let ran = s.run(["check", "run", "--junit", "checks.xml"]);
    assert_eq!((ran.code, ran.stderr.lines().next()), (0, Some("warning: check 'heavy' fails for 1 row of table 'pets'")), "{}", ran.stderr);
    assert!(s.read("checks.xml").contains("failures=\"0\" errors=\"0\" skipped=\"1\""));
    assert_eq!(s.run(["check", "run", "--junit", "nowhere/checks.xml"]).code, 3);
}

#[test]
fn a_merge_tells_of_what_only_warns() {
    let s = Sandbox::repo();
    s.file("pets.csv", "id,label\n1,cat\n");
    s.ok(["import", "pets", "pets.csv", "--key", "id"]);
    s.ok(["check", "add", "once", "--table", "pets", "--unique", "label", "--severity", "warn"]);
    s.ok(["commit", "-m", "pets"]);
    for (branch, id) in [("more", 2), ("other", 3), ("third", 4)] {
        s.ok(["switch", "-c", branch, "main"]);
        s.file("side.csv", format!("id,label\n{id},bird\n"));
        s.ok(["import", "pets", "side.csv", "--append"]);
        let ran = s.run(["commit", "-m", branch]);
        assert!(ran.code == 0 && !ran.stderr.contains("warning"), "{}", ran.stderr);
    }
    let ran = s.run(["merge", "more"]);
    assert_eq!((ran.code, ran.stderr.lines().next()), (0, Some("warning: check 'once' fails for 1 row of table 'pets'")), "{}", ran.stderr);
    let told = s.ok(["merge", "other", "--json"]);
    assert!(told.contains(r#""warnings":[{"check":"once","table":"pets","rows_failing":"#), "{told}");
    let picked = s.run(["cherry-pick", "other", "--json"]);
    assert!(picked.code == 0 && picked.stdout.contains(r#""warnings":["#), "{}{}", picked.stdout, picked.stderr);
}
