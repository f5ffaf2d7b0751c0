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
    let cases: [(&[&str], &[&str]); 12] = [
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
