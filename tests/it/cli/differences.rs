//! `dsv diff` in all its forms.

use crate::support::Sandbox;

/// A table of two versions: rows came, went and changed, a column came, one went, one has another name, and another table came.
fn two_versions() -> Sandbox {
    let s = Sandbox::repo();
    s.file("a.csv", "id,label,note,size\n1,cat,the quick brown fox jumps over the lazy dog,3\n2,dog,short,4\n3,bird,,5\n4,fish,,6\n");
    s.ok(["import", "pets", "a.csv", "--key", "id"]);
    s.ok(["commit", "-m", "pets"]);
    s.ok(["tag", "v1"]);
    s.file("b.csv", "id,label,note,size\n1,cat,the quick red fox jumps over the lazy dog,3\n2,wolf,short,4\n4,fish,,6\n5,newt,wet,7\n6,bird,,8\n");
    s.ok(["import", "pets", "b.csv", "--key", "id", "--replace"]);
    s.ok(["column", "add", "pets", "score", "float32", "--default", "0.5"]);
    s.ok(["column", "drop", "pets", "size"]);
    s.ok(["column", "rename", "pets", "note", "remark"]);
    s.file("c.csv", "x\n1\n");
    s.ok(["import", "other", "c.csv", "--key", "x"]);
    s.ok(["commit", "-m", "more"]);
    s
}

#[test]
fn what_differs_is_told_in_many_ways() {
    let s = two_versions();
    let mut told = String::new();
    let mut step = |args: &[&str]| {
        let ran = s.run(args);
        told.push_str(&format!("$ dsv {}\n{}", args.join(" "), ran.redacted()));
    };
    step(&["diff", "v1", "HEAD"]);
    step(&["diff", "v1", "HEAD", "-n", "1"]);
    step(&["diff", "v1", "HEAD", "--stat"]);
    step(&["diff", "v1", "HEAD", "--stat", "--json"]);
    step(&["diff", "v1", "HEAD", "--summary"]);
    step(&["diff", "v1", "HEAD", "--summary", "--json"]);
    step(&["diff", "v1", "HEAD", "--json"]);
    step(&["diff", "v1", "HEAD", "--json", "-n", "1", "--", "pets"]);
    // Both states are asked: of 'dog' that became 'wolf', each.
    step(&["diff", "v1", "HEAD", "--where", "label = 'dog'", "--", "pets"]);
    step(&["diff", "v1", "HEAD", "--where", "label IN ('wolf', 'bird')", "--stat", "--", "pets"]);
    // A column that one state alone has.
    step(&["diff", "v1", "HEAD", "--where", "size > 4", "--", "pets", "label"]);
    step(&["diff", "v1", "HEAD", "--where", "score > 0", "--json", "--", "pets", "label"]);
    step(&["diff", "v1", "HEAD", "--", "pets", "remark"]);
    step(&["diff", "v1", "HEAD", "--", "pets", "score", "size"]);
    step(&["diff", "v1", "HEAD", "--format", "csv", "--", "pets", "label"]);
    step(&["diff", "v1", "HEAD", "--format", "jsonl", "--where", "label = 'wolf'", "--", "pets"]);
    step(&["diff", "HEAD", "v1", "--format", "table", "--", "pets", "label"]);
    step(&["diff", "HEAD", "--format", "csv", "--", "pets", "label"]);
    step(&["diff", "HEAD", "--exit-code", "--", "pets", "label"]);
    step(&["diff", "v1", "HEAD", "--exit-code", "--stat", "--where", "label = 'ox'", "--", "pets"]);
    insta::assert_snapshot!(told);
    let bad: [&[&str]; 9] = [
        &["--where", "label", "--", "pets"],
        &["--where", "lable = 'cat'", "--", "pets"],
        &["--format", "csv"],
        &["--format", "xls", "--", "pets"],
        &["-o", "changes.unknown", "--", "pets"],
        &["--force"],
        &["--summary", "--stat"],
        &["--summary", "--where", "true"],
        &["--json", "--format", "csv", "--", "pets"],
    ];
    for args in bad {
        let args: Vec<&str> = ["diff", "v1", "HEAD"].iter().chain(args).copied().collect();
        s.refused(2, &args);
    }
    assert!(s.refused(2, ["diff", "v1", "HEAD", "--where", "lable = 'cat'", "--", "pets"]).contains("label"));
}

#[test]
fn a_file_of_differences_is_the_relation_of_sql() {
    let s = two_versions();
    let sql = "SELECT change, columns, before.label AS was, after.label AS is, after.score AS score FROM";
    let expected = s.ok(["query", &format!("{sql} diff('v1', 'HEAD', 'pets')"), "--format", "csv"]);
    assert_eq!(expected.lines().count(), 6, "{expected}");
    for name in ["d.parquet", "d.arrow", "d.jsonl"] {
        s.ok(["diff", "v1", "HEAD", "-o", name, "--", "pets"]);
        assert!(s.refused(2, ["diff", "v1", "HEAD", "-o", name, "--", "pets"]).contains("--force"));
        s.ok(["diff", "v1", "HEAD", "-o", name, "--force", "--", "pets"]);
        let table = name.replace('.', "_");
        s.ok(["import", &table, name]);
        assert_eq!(s.ok(["query", &format!("{sql} {table}"), "--format", "csv"]), expected, "{name}");
    }
    // A row that a state lacks has no cells there, though its struct is read with zeros under the null.
    let flat = s.ok(["diff", "v1", "HEAD", "--format", "csv", "--", "pets", "label"]);
    assert!(flat.lines().any(|line| line.starts_with("removed,") && line.ends_with(",3,bird,,")), "{flat}");
}

#[test]
fn a_table_is_found_by_the_name_it_had_and_a_predicate_counts_rows_alone() {
    let s = two_versions();
    s.ok(["table", "rename", "other", "another"]);
    for name in ["other", "another"] {
        assert!(s.ok(["diff", "--", name]).contains("renamed:  other -> another"), "{name}");
    }
    assert_eq!(s.ok(["diff", "v1", "HEAD", "--where", "x > 0", "--stat", "--", "other"]), "  new:      other  1 column, 1 row added\n");
    assert_eq!(s.ok(["diff", "v1", "HEAD", "--where", "x > 1", "--exit-code", "--", "other"]), "");
}

#[test]
fn words_are_coloured_where_colours_are() {
    let s = two_versions();
    let told = s.ok(["diff", "v1", "HEAD", "--color", "always", "--", "pets", "remark", "label"]);
    assert!(told.contains("the quick \u{1b}[31mbrown\u{1b}[0m fox jumps over"), "{told}");
    assert!(told.contains("the quick \u{1b}[32mred\u{1b}[0m fox jumps over"), "{told}");
    assert!(told.contains("\u{1b}[31mdog\u{1b}[0m") && told.contains("\u{1b}[32mwolf\u{1b}[0m") && !told.contains("[-"), "{told}");
}
