//! What PostgreSQL has and DataFusion has not, or has otherwise: JSON, EXCLUDE, TABLESAMPLE; and what the tree answers by itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::support::*;
use crate::query::*;
use crate::repo::{CommitOptions, NewCheck, OpenOptions, Repo, Severity};

fn cell(session: &Session, expression: &str) -> String {
    let answer = drawn(&ask(session, &format!("SELECT {expression} AS x")));
    answer.strip_prefix("x\n").unwrap_or_else(|| panic!("{expression}: {answer}")).to_owned()
}

fn twin(rows: i64) -> Twin {
    let row = |i: i64| Row { id: i, n: Some(i as i32 * 3 - 7), f: Some(i as f64 / 2.0), s: Some(format!("row {i:03}")), ..Row::default() };
    Making { writes: vec![(0..rows).map(row).collect()], deleted: Vec::new(), edited: Vec::new() }.make(&small())
}

/// Answers as PostgreSQL 18 gives them, but for the space that it puts behind colons and commas of jsonb: parts are given as written.
#[test]
fn json_is_that_of_postgresql() {
    let session = Memory::of(&twin(1)).session();
    let j = r#"'{"a": {"b": [1, 2.50, "x"]}, "c": null, "d": "t\"q", "e": true, "a.b": 7}'"#;
    for (expression, wanted) in [
        ("J -> 'a'", r#"{"b": [1, 2.50, "x"]}"#),
        ("J -> 'a' -> 'b' -> 1", "2.50"),
        ("J -> 'a' -> 'b' -> -1", "\"x\""),
        ("J -> 'a' -> 'b' ->> 2", "x"),
        ("J -> 'a' -> 'b' -> 5", ""),
        ("J -> 'a' -> 0", ""),
        ("J ->> 'd'", "t\"q"),
        ("J ->> 'c'", ""),
        ("J -> 'c'", "null"),
        ("J -> 'zz'", ""),
        ("J ->> 'a'", r#"{"b": [1, 2.50, "x"]}"#),
        ("J #> '{a,b,0}'", "1"),
        ("J #>> '{a,b,2}'", "x"),
        ("J #>> ARRAY['a', 'b', '1']", "2.50"),
        ("J #> '{}'", r#"{"a": {"b": [1, 2.50, "x"]}, "c": null, "d": "t\"q", "e": true, "a.b": 7}"#),
        ("J @> '{\"e\": true}'", "true"),
        ("J @> '{\"a\": {\"b\": [2.5]}}'", "true"),
        ("J @> '{\"a\": {\"b\": [3]}}'", "false"),
        ("'[1, 2, [1, 3]]'::jsonb @> '[[1]]'::jsonb", "true"),
        ("'[1, 2]'::jsonb @> '1'::jsonb", "true"),
        ("'1'::jsonb @> '[1]'::jsonb", "false"),
        ("'{\"e\": true}'::jsonb <@ J::jsonb", "true"),
        ("J ? 'c'", "true"),
        ("J ? 'b'", "false"),
        ("'[\"x\"]' ? 'x'", "true"),
        ("J ?| ARRAY['zz', 'd']", "true"),
        ("J ?& ARRAY['zz', 'd']", "false"),
        ("(J -> 'e')::boolean", "true"),
        ("(J #>> '{a,b,1}')::float8 + 1", "3.5"),
        ("jsonb_typeof(J -> 'c')", "null"),
        ("json_typeof(J)", "object"),
        ("jsonb_typeof(J #> '{a,b}')", "array"),
        ("jsonb_array_length(J -> 'a' -> 'b')", "3"),
        ("jsonb_object_keys('{\"b\": 1, \"a\": 2}')", "[b, a]"),
        ("jsonb_extract_path(J, 'a', 'b', '0')", "1"),
        ("json_extract_path_text(J, 'a', 'b', '2')", "x"),
        ("NULL::jsonb -> 'a'", ""),
        ("J -> NULL", ""),
        ("ARRAY[1, 2] @> ARRAY[2]", "true"),
    ] {
        assert_eq!(cell(&session, &expression.replace('J', j)), wanted, "{expression}");
    }
    for (expression, why) in [
        ("'{\"a\"' -> 'a'", "'{\"a\"' is no JSON: EOF while parsing an object at line 1 column 4"),
        ("jsonb_array_length('{}')", "jsonb_array_length takes an array, not object"),
        ("1 -> 'a'", ""),
    ] {
        let error = refusal(&session, &format!("SELECT {expression}")).to_string();
        assert!(error.starts_with(why), "{expression}: {error}");
    }
}

#[test]
fn some_columns_are_left_out() {
    let session = Memory::of(&twin(2)).session();
    assert_eq!(drawn(&ask(&session, "SELECT * EXCLUDE (f, ok, at, s, label, blob, vector) FROM t")), "id|n\n0|-7\n1|-4");
    let answer = ask(&session, "SELECT t.* EXCLUDE (blob), 1 AS one FROM t");
    assert_eq!((answer.num_columns(), answer.schema().field(0).name().as_str()), (9, "id"));
    let error = refusal(&session, "SELECT * EXCLUDE (nn) FROM t");
    assert!(error.to_string().contains("nn"), "{error}");
}

fn ids(session: &Session, sql: &str) -> BTreeSet<i64> {
    ask(session, sql).column(0).as_primitive::<Int64Type>().values().iter().copied().collect()
}

#[test]
fn samples_are_of_rows_not_of_places() {
    let small = twin(3000);
    let session = Memory::of(&small).with("v1.0", "t", &small).session();
    let one = ids(&session, "SELECT id FROM t TABLESAMPLE BERNOULLI (10) REPEATABLE (7)");
    assert!((200..400).contains(&one.len()), "{}", one.len());
    assert_eq!(one, ids(&session, "SELECT x.id FROM \"v1.0\".t AS x TABLESAMPLE (10) REPEATABLE (7)"));
    assert_ne!(one, ids(&session, "SELECT id FROM t TABLESAMPLE BERNOULLI (10) REPEATABLE (8)"));
    assert!(one.is_subset(&ids(&session, "SELECT id FROM t TABLESAMPLE BERNOULLI (20) REPEATABLE (7)")));
    // Deleted rows are none of it, and those that are left are chosen as before.
    let gone: Vec<u64> = (0..3000).step_by(2).collect();
    let halved = Twin { table: Arc::new(small.table.delete(&small.objects, &gone).unwrap()), objects: small.objects.clone(), rows: Vec::new() };
    let half = Memory::of(&halved).session();
    let left: BTreeSet<i64> = one.iter().copied().filter(|id| id % 2 == 1).collect();
    assert_eq!(ids(&half, "SELECT id FROM t TABLESAMPLE BERNOULLI (10) REPEATABLE (7)"), left);
    assert_eq!(ids(&half, "SELECT count(*) FROM t TABLESAMPLE BERNOULLI (10) REPEATABLE (7)"), BTreeSet::from([left.len() as i64]));
    assert_eq!(ids(&session, "SELECT id FROM t TABLESAMPLE BERNOULLI (100)").len(), 3000);
    assert_eq!(ask(&session, "SELECT id FROM t TABLESAMPLE BERNOULLI (0)").num_rows(), 0);
    let system = ids(&session, "SELECT id FROM t TABLESAMPLE SYSTEM (50) REPEATABLE (1)");
    let runs = system.iter().filter(|id| !system.contains(&(*id - 1))).count();
    assert!(runs <= 3 && (system.len().is_multiple_of(512) || system.len() % 512 == 3000 % 512), "{} rows in {runs} runs", system.len());
    for (sql, why) in [
        ("SELECT * FROM t TABLESAMPLE BERNOULLI (101)", "TABLESAMPLE: the share is a number of percent from 0 to 100"),
        ("SELECT * FROM t TABLESAMPLE (5 ROWS)", "TABLESAMPLE: a share of the rows is taken, not a number of them: ORDER BY random() LIMIT does that"),
        ("SELECT * FROM tt TABLESAMPLE (5)", "no table 'tt' in the working state"),
        ("SELECT * FROM nope.t TABLESAMPLE (5)", "no revision 'nope'"),
    ] {
        assert_eq!(refusal(&session, sql).to_string(), why, "{sql}");
    }
}

#[test]
fn the_tree_knows_the_least_and_the_greatest() {
    let twin = twin(500);
    let session = Memory::of(&twin).session();
    let scans = |sql: &str| drawn(&ask(&session, &format!("EXPLAIN {sql}"))).contains("TableExec");
    assert!(scans("SELECT min(n), min(f), min(id), min(s), min(ok) FROM t"), "of many columns nothing is looked up");
    for (sql, wanted) in [
        ("SELECT min(n) AS a, max(n) AS b, count(*) AS c FROM t", "a|b|c\n-7|1490|500"),
        ("SELECT min(f) AS a, max(id) AS b, min(s) AS c, max(s) AS d FROM t", "a|b|c|d\n0.0|499|row 000|row 499"),
        ("SELECT max(at) AS a FROM t", "a\n"),
    ] {
        assert_eq!(drawn(&ask(&session, sql)), wanted);
        assert!(!scans(sql) || sql.contains("(at)"), "{sql}");
    }
    // Bounds of what was there are none of what is.
    let table = twin.table.delete(&twin.objects, &[499]).unwrap();
    let less = Memory::of(&Twin { table: Arc::new(table), objects: twin.objects.clone(), rows: Vec::new() }).session();
    assert_eq!(drawn(&ask(&less, "SELECT max(n) AS b, max(id) AS c FROM t")), "b|c\n1487|498");
    let eleven: arrow::array::ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![Some(11)]));
    let table = twin.table.set_cells(&twin.objects, 1, &[499], &eleven).unwrap();
    let other = Memory::of(&Twin { table: Arc::new(table), objects: twin.objects.clone(), rows: Vec::new() }).session();
    assert_eq!(drawn(&ask(&other, "SELECT max(n) AS b FROM t")), "b\n1487");
}

#[test]
fn a_repository_describes_itself() {
    let dir = tempfile::tempdir().unwrap();
    let repo = Arc::new(Repo::init_with(dir.path(), "main", &OpenOptions { expressions: Some(expressions()), ..OpenOptions::default() }).unwrap());
    let session = Session::new(repo.clone(), Options { threads: 2, ..Options::default() }).unwrap();
    let run = |sql: &str| drop(session.run(&repo, sql, &Params::new(), None, "query").unwrap_or_else(|e| panic!("{sql}: {e}")));
    run("CREATE TABLE t AS SELECT column1 AS id, column2 AS s FROM (VALUES (1, 'a'), (2, 'b'))");
    run("ALTER TABLE t ADD COLUMN one int DEFAULT 1");
    run("CREATE VIEW v AS SELECT id FROM t");
    repo.add_check("some", &NewCheck::Predicate { table: "t".into(), sql: "id > 0".into() }, Severity::Error, false, 10, "check").unwrap();
    repo.add_check("all", &NewCheck::NotNull { table: "t".into(), columns: vec!["id".into(), "s".into()] }, Severity::Error, false, 10, "check").unwrap();
    assert_eq!(drawn(&ask(&session, "SELECT * FROM dsv.views")), "name|sql\nv|SELECT id FROM t");
    assert_eq!(
        drawn(&ask(&session, "SELECT * FROM checks")),
        "name|kind|table|columns|sql|severity\nall|not-null|t|[id, s]||error\nsome|predicate|t|[]|id > 0|error"
    );
    let chunks = "SELECT \"column\", slot, rows, kind, min, max FROM dsv.chunks WHERE \"table\" = 't'";
    assert_eq!(drawn(&ask(&session, chunks)), "column|slot|rows|kind|min|max\nid|0|2|literal|1|2\ns|0|2|literal|a|b\none|0|2|constant|1|1");
    // A revision by a time.
    repo.commit(&CommitOptions { message: Some("x".into()), ..Default::default() }).unwrap();
    run("DELETE FROM t");
    assert_eq!(drawn(&ask(&session, "SELECT count(*) AS c FROM \"main@{now}\".t")), "c\n2");
    let error = refusal(&session, "SELECT count(*) FROM \"main@{2001-01-01}\".t").to_string();
    assert!(error.contains("2001"), "{error}");
}
