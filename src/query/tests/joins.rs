//! Joins by USING and NATURAL: against a plain loop over rows, and by answers worked out by hand.

use std::sync::Arc;

use proptest::prelude::*;

use super::support::*;
use crate::query::*;
use crate::repo::{OpenOptions, Repo};

fn run(session: &Session, repo: &Repo, sql: &str) {
    if let Err(error) = session.run(repo, sql, &Params::new(), None, "query") {
        panic!("{sql}: {error}");
    }
}

/// Tables `a (x, id)`, `b (id, y)` and `c (z, id, y)`: the first has a row that the second lacks, and so on.
fn repository(dir: &std::path::Path) -> (Repo, Session) {
    let open = || Repo::init_with(dir, "main", &OpenOptions::default()).or_else(|_| Repo::open(dir)).unwrap();
    let (repo, own) = (open(), open());
    let session = Session::new(Arc::new(own), Options { threads: 2, ..Options::default() }).unwrap();
    for sql in [
        "CREATE TABLE a AS SELECT * FROM (VALUES ('a1', 1), ('a2', 2), ('a0', NULL)) AS v (x, id)",
        "CREATE TABLE b AS SELECT * FROM (VALUES (2, 'b2'), (3, 'b3')) AS v (id, y)",
        "CREATE TABLE c AS SELECT * FROM (VALUES ('c3', 3, 'b3'), ('c4', 4, 'y4')) AS v (z, id, y)",
        "CREATE TABLE e (id bigint, l enum('p', 'q'))",
        "CREATE TABLE f (id bigint, l enum('p', 'q'))",
        "INSERT INTO e VALUES (1, 'p')",
        "INSERT INTO f VALUES (2, 'q')",
    ] {
        run(&session, &repo, sql);
    }
    (repo, session)
}

/// The answer on one line: rows by `;`.
fn line(session: &Session, sql: &str) -> String {
    drawn(&ask(session, sql)).replace('\n', ";")
}

#[test]
fn the_column_of_both_sides_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let (repo, session) = repository(dir.path());
    let mut wrong = Vec::new();
    for (sql, answer) in [
        // What * gives, and in which order.
        ("SELECT * FROM a FULL JOIN b USING (id) ORDER BY id, x", "id|x|y;1|a1|;2|a2|b2;3||b3;|a0|"),
        ("SELECT * FROM a RIGHT JOIN b USING (id) ORDER BY id", "id|x|y;2|a2|b2;3||b3"),
        ("SELECT * FROM b LEFT JOIN a USING (id) ORDER BY id", "id|y|x;2|b2|a2;3|b3|"),
        ("SELECT * FROM a JOIN b USING (id)", "id|x|y;2|a2|b2"),
        ("SELECT * FROM a NATURAL FULL JOIN b ORDER BY id, x", "id|x|y;1|a1|;2|a2|b2;3||b3;|a0|"),
        ("SELECT * FROM b NATURAL RIGHT JOIN c ORDER BY id", "id|y|z;3|b3|c3;4|y4|c4"),
        ("SELECT * FROM c NATURAL FULL JOIN b ORDER BY id", "id|y|z;2|b2|;3|b3|c3;4|y4|c4"),
        ("SELECT * FROM b FULL JOIN c USING (y, id) ORDER BY id", "y|id|z;b2|2|;b3|3|c3;y4|4|c4"),
        ("SELECT * EXCLUDE (x) FROM a FULL JOIN b USING (id) ORDER BY id", "id|y;1|;2|b2;3|b3;|"),
        ("SELECT a.* FROM a FULL JOIN b USING (id) ORDER BY id", "x|id;a1|1;a2|2;|;a0|"),
        // The column alone, and those of the sides beside it.
        ("SELECT id FROM a FULL JOIN b USING (id) ORDER BY id", "id;1;2;3;"),
        ("SELECT id, a.id, b.id FROM a FULL JOIN b USING (id) ORDER BY 1", "id|id|id;1|1|;2|2|2;3||3;||"),
        ("SELECT id FROM a RIGHT JOIN b USING (id) WHERE a.id IS NULL", "id;3"),
        ("SELECT x FROM a FULL JOIN b USING (id) WHERE id > 1 ORDER BY id DESC", "x;;a2"),
        ("SELECT id + 1 AS n FROM a FULL JOIN b USING (id) ORDER BY id + 1 NULLS FIRST", "n;;2;3;4"),
        ("SELECT id AS k, count(*) AS n FROM a FULL JOIN b USING (id) GROUP BY id HAVING id < 3 ORDER BY k", "k|n;1|1;2|1"),
        ("SELECT id, count(*) AS n FROM a FULL JOIN b USING (id) GROUP BY id ORDER BY id", "id|n;1|1;2|1;3|1;|1"),
        ("SELECT a.id FROM a FULL JOIN b USING (id) WHERE id = 3 ORDER BY id", "id;"),
        ("SELECT x AS id FROM a FULL JOIN b USING (id) WHERE id < 3 ORDER BY id DESC", "id;a2;a1"),
        ("SELECT sum(id) AS s, count(id) AS n, count(a.id) AS m FROM a FULL JOIN b USING (id)", "s|n|m;6|3|2"),
        ("SELECT DISTINCT id > 2 AS big FROM a FULL JOIN b USING (id) ORDER BY big", "big;false;true;"),
        ("SELECT DISTINCT ON (id) id, y FROM a FULL JOIN b USING (id) ORDER BY id, y", "id|y;1|;2|b2;3|b3;|"),
        ("SELECT id, row_number() OVER (ORDER BY id DESC NULLS LAST) AS r FROM a FULL JOIN b USING (id) ORDER BY r", "id|r;3|1;2|2;1|3;|4"),
        ("SELECT id, sum(id) OVER w AS s FROM a RIGHT JOIN b USING (id) WINDOW w AS (ORDER BY id) ORDER BY id", "id|s;2|2;3|5"),
        ("SELECT max(n) AS m FROM (SELECT id AS n FROM a FULL JOIN b USING (id)) d", "m;3"),
        // Other names for the tables; words in capitals; parentheses.
        ("SELECT ID, l.x, r.y FROM a AS l FULL OUTER JOIN b AS r USING (Id) ORDER BY id, l.x", "id|x|y;1|a1|;2|a2|b2;3||b3;|a0|"),
        ("SELECT j.id, j.x FROM (a FULL JOIN b USING (id)) AS j ORDER BY j.id", "id|x;1|a1;2|a2;3|;|a0"),
        ("SELECT j.*, 1 AS one FROM (a RIGHT JOIN b USING (id)) AS j ORDER BY id", "id|x|y|one;2|a2|b2|1;3||b3|1"),
        ("SELECT * FROM (a FULL JOIN b USING (id)) ORDER BY id, x", "id|x|y;1|a1|;2|a2|b2;3||b3;|a0|"),
        ("SELECT l.id, l.m FROM a l (m, id) RIGHT JOIN b r (id, w) USING (id) ORDER BY id", "id|m;2|a2;|"),
        // Chains.
        ("SELECT * FROM a FULL JOIN b USING (id) FULL JOIN c USING (id) ORDER BY id, x", "id|x|y|z|y;1|a1|||;2|a2|b2||;3||b3|c3|b3;4|||c4|y4;|a0|||"),
        ("SELECT id, z FROM a JOIN b USING (id) FULL JOIN c USING (id) ORDER BY id", "id|z;2|;3|c3;4|c4"),
        ("SELECT id, x, z FROM a FULL JOIN b USING (id) JOIN c USING (id)", "id|x|z;3||c3"),
        ("SELECT id, x, z FROM a FULL JOIN b USING (id) LEFT JOIN c USING (id) ORDER BY id, x", "id|x|z;1|a1|;2|a2|;3||c3;|a0|"),
        ("SELECT id, x, z FROM a FULL JOIN (b FULL JOIN c USING (id)) USING (id) ORDER BY id, x", "id|x|z;1|a1|;2|a2|;3||c3;4||c4;|a0|"),
        ("SELECT x, c.z FROM a FULL JOIN b USING (id) JOIN (SELECT id AS k, z FROM c) c ON c.k = id + 1 ORDER BY c.k", "x|z;a2|c3;|c4"),
        ("SELECT id, z FROM a FULL JOIN b USING (id) CROSS JOIN (SELECT z FROM c WHERE z = 'c3') d WHERE id > 1 ORDER BY id", "id|z;2|c3;3|c3"),
        ("SELECT id, k FROM a FULL JOIN b USING (id), (VALUES (1), (2)) AS v (k) WHERE k = id ORDER BY k", "id|k;1|1;2|2"),
        (
            "SELECT id, n FROM a FULL JOIN b USING (id) CROSS JOIN LATERAL (SELECT count(*) AS n FROM c WHERE c.id = b.id) AS l WHERE id > 1 ORDER BY id",
            "id|n;2|0;3|1",
        ),
        // Within other queries.
        ("SELECT id FROM a FULL JOIN b USING (id) WHERE EXISTS (SELECT 1 FROM c WHERE c.id = a.id + 1) ORDER BY id", "id;2"),
        ("SELECT id FROM a FULL JOIN b USING (id) WHERE EXISTS (SELECT 1 FROM (SELECT id AS k FROM c) c WHERE k = id) ORDER BY id", "id;3"),
        ("SELECT id FROM a FULL JOIN b USING (id) WHERE EXISTS (SELECT 1 FROM c WHERE id = 4) ORDER BY id", "id;1;2;3;"),
        ("SELECT id FROM a FULL JOIN b USING (id) WHERE id IN (SELECT id FROM c)", "id;3"),
        ("SELECT id, (SELECT max(z) FROM c WHERE c.id = b.id) AS z FROM a FULL JOIN b USING (id) ORDER BY id", "id|z;1|;2|;3|c3;|"),
        ("WITH w AS (SELECT * FROM a FULL JOIN b USING (id)) SELECT id, z FROM w RIGHT JOIN c USING (id) ORDER BY id", "id|z;3|c3;4|c4"),
        ("WITH w AS (SELECT 9 AS id, 'w' AS w) SELECT * FROM w FULL JOIN (SELECT id FROM c) d USING (id) ORDER BY id", "id|w;3|;4|;9|w"),
        ("SELECT id FROM a FULL JOIN b USING (id) UNION SELECT id FROM b FULL JOIN c USING (id) ORDER BY id", "id;1;2;3;4;"),
        ("SELECT id FROM a FULL JOIN b USING (id) WHERE id = (SELECT max(id) FROM b RIGHT JOIN c USING (id)) - 1", "id;3"),
        ("SELECT id, g FROM b RIGHT JOIN generate_series(3, 4) AS s (id) USING (id) CROSS JOIN unnest(ARRAY[7]) AS u (g) ORDER BY id", "id|g;3|7;4|7"),
        ("SELECT id, l FROM e NATURAL FULL JOIN f ORDER BY id", "id|l;1|p;2|q"),
        ("SELECT \"main\" FROM (SELECT id AS \"main\" FROM a FULL JOIN b USING (id)) s WHERE \"main\" > 2", "main;3"),
    ] {
        let got = match session.query(sql, &Params::new(), None).and_then(|answer| answer.collect::<Result<Vec<_>, _>>()) {
            Ok(_) => line(&session, sql),
            Err(error) => error.to_string(),
        };
        if got != answer {
            wrong.push(format!("{sql}\n  is     {got}\n  not    {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let types = session.query("SELECT l FROM e FULL JOIN f USING (l)", &Params::new(), None).unwrap().columns().unwrap();
    assert_eq!(types[0].1.to_string(), "enum(\"p\",\"q\")");
    run(&session, &repo, "CREATE VIEW w AS SELECT id, x, y FROM a FULL JOIN b USING (id)");
    assert_eq!(line(&session, "SELECT * FROM w RIGHT JOIN c USING (id) ORDER BY id"), "id|x|y|z|y;3||b3|c3|b3;4|||c4|y4");
    run(&session, &repo, "CREATE TABLE d AS SELECT * FROM a FULL JOIN b USING (id)");
    run(&session, &repo, "UPDATE d SET y = v.z FROM (SELECT id, z FROM b FULL JOIN c USING (id)) v WHERE v.id = d.id");
    assert_eq!(line(&session, "SELECT id, y FROM d WHERE id > 1 ORDER BY id"), "id|y;2|;3|c3");
    run(&session, &repo, "DELETE FROM d USING b RIGHT JOIN c USING (id) WHERE d.id = c.id");
    assert_eq!(line(&session, "SELECT id FROM d ORDER BY id"), "id;1;2;");
    let plan = drawn(&ask(&session, "EXPLAIN SELECT id FROM a RIGHT JOIN b USING (id) WHERE id = 3"));
    assert!(plan.contains("TableExec: b, columns=[id], filter="), "{plan}");
}

#[test]
fn what_such_a_join_cannot_mean_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (_, session) = repository(dir.path());
    for (sql, why) in [
        ("SELECT id FROM a FULL JOIN b USING (id), c", "column 'id' may be that of several tables: write TABLE.id at line 1, column 8"),
        ("SELECT x FROM a FULL JOIN b USING (id) JOIN c ON c.id = id", "column 'id' may be that of several tables: write TABLE.id at line 1, column 57"),
        ("SELECT * FROM a FULL JOIN b USING (y)", "no column 'y' at line 1, column 36"),
        ("SELECT * FROM a FULL JOIN b USING (ix)", "no column 'ix' at line 1, column 36"),
        ("SELECT * FROM a JOIN b ON a.id = b.id FULL JOIN c USING (id)", "column 'id' is there more than once on the left side of the join: write ON"),
        ("SELECT nix FROM a FULL JOIN b USING (id)", "no column 'nix' at line 1, column 8"),
        ("SELECT c.id FROM a FULL JOIN b USING (id)", "no column 'c.id'"),
        ("SELECT * FROM a FULL JOIN (SELECT nix FROM b) d USING (id)", "no column 'nix'"),
        ("SELECT * FROM nix FULL JOIN b USING (id)", "no table 'nix' in the working state"),
        ("SELECT id, x FROM a FULL JOIN b USING (id) GROUP BY id", ""),
        (
            "SELECT * FROM a FULL JOIN b USING (id) CROSS JOIN LATERAL (SELECT a.id + 1) AS l",
            "beside a join with USING or NATURAL, name the columns of what reads",
        ),
        (
            "WITH w AS (SELECT 1 AS id) SELECT * FROM (WITH w AS (SELECT 2 AS id) SELECT id FROM w FULL JOIN b USING (id)) d",
            "beside a join with USING or NATURAL, each WITH",
        ),
        ("SELECT * EXCLUDE (nix) FROM a FULL JOIN b USING (id)", "no column 'nix' at line 1, column 19"),
    ] {
        let error = refusal(&session, sql).to_string();
        assert!(error.starts_with(why), "{sql}: {error}");
        assert!(!error.contains('\n'), "{sql}: {error}");
    }
}

type Cells = Vec<Option<i64>>;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Inner,
    Left,
    Right,
    Full,
}

/// Rows of the key followed by those of each table so far, joined to further ones: a loop over all pairs.
fn joined(left: &[Cells], right: &[(Option<i64>, i64)], kind: Kind, width: usize) -> Vec<Cells> {
    let (mut rows, mut met) = (Vec::new(), vec![false; right.len()]);
    for row in left {
        let mut alone = true;
        for (i, (key, value)) in right.iter().enumerate() {
            if row[0].is_some() && row[0] == *key {
                (alone, met[i]) = (false, true);
                rows.push(row.iter().copied().chain([*key, Some(*value)]).collect());
            }
        }
        if alone && matches!(kind, Kind::Left | Kind::Full) {
            rows.push(row.iter().copied().chain([None, None]).collect());
        }
    }
    for ((key, value), met) in right.iter().zip(met) {
        if !met && matches!(kind, Kind::Right | Kind::Full) {
            rows.push([*key].into_iter().chain(vec![None; width]).chain([*key, Some(*value)]).collect());
        }
    }
    rows
}

fn table() -> impl Strategy<Value = Vec<(Option<i64>, i64)>> {
    prop::collection::vec((prop::option::weighted(0.85, 0..6i64), 0..9i64), 0..6)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Inner), Just(Kind::Left), Just(Kind::Right), Just(Kind::Full)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::table::tests::histories(40).min(1000)))]

    #[test]
    fn chains_agree_with_a_loop_over_pairs(tables in prop::collection::vec(table(), 2..5), kinds in prop::collection::vec(kind(), 4), natural in any::<bool>()) {
        let session = Memory::of(&Making { writes: vec![], deleted: vec![], edited: vec![] }.make(&small())).session();
        let values = |table: &[(Option<i64>, i64)]| {
            let rows: Vec<String> = table.iter().map(|(key, value)| format!("({}, {value})", key.map_or("NULL".into(), |key| key.to_string()))).collect();
            // One row that is left out again: there is no VALUES of nothing.
            format!("VALUES (NULL::bigint, -1){}{}", if rows.is_empty() { "" } else { ", " }, rows.join(", "))
        };
        let side = |i: usize| format!("(SELECT * FROM ({}) AS v (k, v{i}) WHERE v{i} >= 0) AS t{i}", values(&tables[i]));
        let mut expected: Vec<Cells> = tables[0].iter().map(|(key, value)| vec![*key, *key, Some(*value)]).collect();
        let mut from = side(0);
        for i in 1..tables.len() {
            let kind = kinds[i - 1];
            let word = match kind { Kind::Inner => "JOIN", Kind::Left => "LEFT JOIN", Kind::Right => "RIGHT JOIN", Kind::Full => "FULL JOIN" };
            from = if natural { format!("{from} NATURAL {word} {}", side(i)) } else { format!("{from} {word} {} USING (k)", side(i)) };
            expected = joined(&expected, &tables[i], kind, 2 * i);
        }
        let shown = |row: &Cells| row.iter().map(|cell| cell.map_or(String::new(), |cell| cell.to_string())).collect::<Vec<_>>().join("|");
        let columns: Vec<String> = (0..tables.len()).map(|i| format!("t{i}.k, v{i}")).collect();
        let mut all: Vec<String> = expected.iter().map(shown).collect();
        all.sort();
        let answer = drawn(&ask(&session, &format!("SELECT k, {} FROM {from}", columns.join(", "))));
        let mut rows: Vec<String> = answer.lines().skip(1).map(str::to_owned).collect();
        rows.sort();
        prop_assert_eq!(rows, all, "{}", from);
        // `*` has each table's value once, behind the key.
        let mut short: Vec<String> = expected.iter().map(|row| shown(&row.iter().enumerate().filter(|(i, _)| i % 2 == 0).map(|(_, cell)| *cell).collect())).collect();
        short.sort();
        let answer = drawn(&ask(&session, &format!("SELECT * FROM {from}")));
        let mut rows: Vec<String> = answer.lines().skip(1).map(str::to_owned).collect();
        rows.sort();
        prop_assert_eq!(rows, short, "{}", from);
    }
}
