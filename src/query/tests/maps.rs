//! Maps: what functions say of stored ones and of those that a query makes, and how they are written.

use std::sync::Arc;

use super::support::*;
use crate::query::*;
use crate::repo::{OpenOptions, Repo};

fn run(session: &Session, repo: &Repo, sql: &str) -> Result<Written, QueryError> {
    match session.run(repo, sql, &Params::new(), None, "query")? {
        Outcome::Written(written) => Ok(written),
        Outcome::Answer(_) => panic!("{sql} asked"),
    }
}

/// A table `t` with maps of several types: one that is null, one that is empty, one with a null value.
fn repository(dir: &std::path::Path) -> (Repo, Session) {
    let open = || Repo::init_with(dir, "main", &OpenOptions::default()).or_else(|_| Repo::open(dir)).unwrap();
    let (repo, own) = (open(), open());
    let session = Session::new(Arc::new(own), Options { threads: 2, ..Options::default() }).unwrap();
    let columns = [
        ("id", "int64"),
        ("m", "map<text, float32>"),
        ("n", "map<int64, text>"),
        ("deep", "map<text, map<int64, text>>"),
        ("pairs", "list<struct<key: text, value: int64>>"),
    ];
    let columns: Vec<_> = columns.iter().map(|(name, ty)| (name.to_string(), ty.parse().unwrap())).collect();
    repo.create_table("t", &columns, &[], "create").unwrap();
    for sql in [
        "INSERT INTO t VALUES (1, MAP {'a': 1, 'b': 2.5}, MAP {1: 'x', 2: 'y'}, MAP {'p': MAP {7: 'q'}}, [named_struct('key', 'k', 'value', 1)])",
        "INSERT INTO t VALUES (2, NULL, NULL, NULL, NULL), (3, MAP {}, map([3], ['z']), MAP {'p': NULL}, [])",
        "INSERT INTO t (id, m) SELECT 4, map(['b', 'c'], [id, NULL]) FROM t WHERE id = 1",
    ] {
        run(&session, &repo, sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    (repo, session)
}

fn line(session: &Session, sql: &str) -> String {
    drawn(&ask(session, sql)).replace('\n', ";")
}

/// Adds to what is wrong, so that all of it is told at once.
fn told(session: &Session, sql: &str, answer: &str, wrong: &mut Vec<String>) {
    let got = match session.query(sql, &Params::new(), None).and_then(|answer| answer.collect::<Result<Vec<_>, _>>()) {
        Ok(_) => line(session, sql),
        Err(error) => error.to_string(),
    };
    if got != answer {
        wrong.push(format!("{sql}\n  is     {got}\n  not    {answer}"));
    }
}

/// The types of the columns that a query answers.
fn types(session: &Session, sql: &str) -> Vec<String> {
    let answer = session.query(sql, &Params::new(), None).unwrap_or_else(|e| panic!("{sql}: {e}"));
    answer.columns().unwrap().into_iter().map(|(_, ty)| ty.to_string()).collect()
}

#[test]
fn functions_take_stored_maps() {
    let dir = tempfile::tempdir().unwrap();
    let (_, session) = repository(dir.path());
    let mut wrong = Vec::new();
    for (sql, answer) in [
        ("m", "1|[{key: a, value: 1.0}, {key: b, value: 2.5}];2|;3|[];4|[{key: b, value: 1.0}, {key: c, value: }]"),
        ("map_keys(m)", "1|[a, b];2|;3|[];4|[b, c]"),
        ("map_values(m)", "1|[1.0, 2.5];2|;3|[];4|[1.0, ]"),
        ("map_entries(m)", "1|[{key: a, value: 1.0}, {key: b, value: 2.5}];2|;3|[];4|[{key: b, value: 1.0}, {key: c, value: }]"),
        ("cardinality(m)", "1|2;2|;3|0;4|2"),
        ("m['b']", "1|2.5;2|;3|;4|1.0"),
        ("m['missing']", "1|;2|;3|;4|"),
        ("m[NULL]", "1|;2|;3|;4|"),
        ("m['b'] + 1", "1|3.5;2|;3|;4|2.0"),
        ("m[CASE WHEN id = 1 THEN 'a' ELSE 'b' END]", "1|1.0;2|;3|;4|1.0"),
        ("map_extract(m, 'b')", "1|[2.5];2|;3|[];4|[1.0]"),
        ("element_at(m, 'b')[1]", "1|2.5;2|;3|;4|1.0"),
        ("n[1]", "1|x;2|;3|;4|"),
        ("n[id + 1]", "1|y;2|;3|;4|"),
        ("n['2']", "1|y;2|;3|;4|"),
        ("map_keys(n)[2]", "1|2;2|;3|;4|"),
        ("deep['p'][7]", "1|q;2|;3|;4|"),
        ("map_keys(deep['p'])", "1|[7];2|;3|;4|"),
        ("pairs[1]", "1|{key: k, value: 1};2|;3|;4|"),
        ("coalesce(m, MAP {'z': 9})['z']", "1|;2|9.0;3|;4|"),
        ("(CASE WHEN id = 1 THEN m ELSE MAP {'b': 7} END)['b']", "1|2.5;2|7.0;3|7.0;4|7.0"),
        ("m = MAP {'a': 1, 'b': 2.5}", "1|true;2|;3|false;4|false"),
        ("m IS NULL", "1|false;2|true;3|false;4|false"),
        ("array_length(map_keys(m))", "1|2;2|;3|0;4|2"),
    ] {
        let whole = format!("SELECT id, {sql} AS v FROM t ORDER BY id");
        told(&session, &whole, &format!("id|v;{answer}"), &mut wrong);
    }
    for (sql, answer) in [
        ("SELECT id FROM t WHERE m['b'] > 2", "id;1"),
        ("SELECT id FROM t WHERE m['b'] IS NULL ORDER BY id", "id;2;3"),
        ("SELECT id FROM t WHERE 'c' = ANY(map_keys(m))", "id;4"),
        ("SELECT id, m FROM t ORDER BY m['b'] DESC NULLS LAST LIMIT 1", "id|m;1|[{key: a, value: 1.0}, {key: b, value: 2.5}]"),
        ("SELECT m['b'] AS b, count(*) AS c FROM t GROUP BY m['b'] ORDER BY b", "b|c;1.0|1;2.5|1;|2"),
        ("SELECT count(*) AS c FROM (SELECT DISTINCT m FROM (SELECT m FROM t UNION ALL SELECT m FROM t) d) e", "c;4"),
        ("SELECT m, count(*) AS c FROM (SELECT m FROM t UNION ALL SELECT m FROM t) d WHERE cardinality(m) = 0 GROUP BY m", "m|c;[]|2"),
        ("SELECT unnest(map_keys(m)) AS k FROM t ORDER BY k", "k;a;b;b;c"),
        ("SELECT avg(m['b']) AS a, max(cardinality(n)) AS c FROM t", "a|c;1.75|2"),
        ("SELECT m['b'] FROM t WHERE id = 1", "t.m[b];2.5"),
    ] {
        told(&session, sql, answer, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let plan = drawn(&ask(&session, "EXPLAIN SELECT id FROM t WHERE m['b'] > 2"));
    assert!(plan.contains("TableExec: t, columns=[id], filter="), "{plan}");
}

#[test]
fn maps_that_a_query_makes_are_maps() {
    let dir = tempfile::tempdir().unwrap();
    let (repo, session) = repository(dir.path());
    let mut wrong = Vec::new();
    for (sql, ty) in [
        ("SELECT MAP {'a': 1}", "map<text, int64>"),
        ("SELECT MAP {}", "map<text, text>"),
        ("SELECT map(['a'], [1.5])", "map<text, float64>"),
        ("SELECT make_map('a', id, 'b', NULL) FROM t", "map<text, int64>"),
        ("SELECT MAP {'a': MAP {1: 'x'}}", "map<text, map<int64, text>>"),
        ("SELECT MAP {'a': '{}'::jsonb, 'b': '[]' -> 0}", "map<text, text>"),
        ("SELECT MAP {'a': '{\"b\": 1}' -> 'b'}", "map<text, json>"),
        ("VALUES (NULL), (MAP {'a': 1}), (MAP {'b': 2}), (NULL)", "map<text, int64>"),
        ("VALUES (MAP {'a': 1}), (MAP {'b': 2.5})", "list<struct<key: text, value: float64>>"),
        ("SELECT MAP {'a': 1} UNION ALL SELECT MAP {'a': 2}", "map<text, int64>"),
        ("SELECT CASE WHEN id > 1 THEN MAP {'a': 1} END FROM t", "map<text, int64>"),
        ("SELECT m FROM t GROUP BY m", "map<text, float32>"),
        ("SELECT array_agg(MAP {'a': id}) FROM t", "list<map<text, int64>>"),
        ("SELECT map_entries(m) FROM t", "list<struct<key: text, value: float32>>"),
        ("SELECT map_values(deep) FROM t", "list<map<int64, text>>"),
        ("SELECT pairs FROM t", "list<struct<key: text, value: int64>>"),
    ] {
        let found = types(&session, sql);
        if found != [ty] {
            wrong.push(format!("{sql}: {found:?}"));
        }
        ask(&session, sql);
    }
    for (sql, answer) in [
        ("SELECT MAP {'a': id, 'b': id * 2}['b'] AS v FROM t ORDER BY id", "v;2;4;6;8"),
        ("SELECT map([id, id + 1], ['x', 'y'])[3] AS v FROM t ORDER BY id", "v;;y;x;"),
        ("SELECT map_keys(MAP {[1, 2]: 'a'}) AS k, MAP {[1, 2]: 'a'}[[1, 2]] AS v", "k|v;[[1, 2]]|a"),
        ("SELECT cardinality(MAP {}) AS c, MAP {'a': NULL}['a'] AS v, map_extract(NULL, 'a') AS n", "c|v|n;0||"),
    ] {
        told(&session, sql, answer, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    run(&session, &repo, "CREATE TABLE made AS SELECT id, MAP {'a': id, 'b': NULL} AS m, coalesce(m, MAP {}) AS o FROM t WHERE id < 3").unwrap();
    assert_eq!(types(&session, "SELECT m FROM made"), ["map<text, int64>"]);
    assert_eq!(line(&session, "SELECT id, m['a'] AS a, cardinality(o) AS o FROM made ORDER BY id"), "id|a|o;1|1|2;2|2|0");
    for (sql, why) in [
        ("SELECT MAP {'a': 1, 'a': 2}", "map key must be unique"),
        ("SELECT make_map('a', id, 'a', id) FROM t", "map key must be unique"),
        ("SELECT MAP {NULL: 1}", "map key cannot be null"),
        ("SELECT make_map('a')", "a map is made of keys and values in turn"),
        ("SELECT map(['a', 'b'], [1])", ""),
        ("SELECT map_keys(id) FROM t", "map_keys takes a map, not int64"),
        ("SELECT map_keys(m, 'a') FROM t", "map_keys takes a map"),
        ("SELECT map_extract(m) FROM t", "map_extract takes 2 arguments, not 1"),
    ] {
        let error = refusal(&session, sql).to_string();
        assert!(error.contains(why), "{sql}: {error}");
    }
}

#[test]
fn maps_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let (repo, session) = repository(dir.path());
    let run = |sql: &str| run(&session, &repo, sql).map_err(|e| e.to_string());
    run("UPDATE t SET m = MAP {'u': id} WHERE id = 2").unwrap();
    run("UPDATE t SET m = coalesce(m, MAP {}), n = CASE WHEN id = 1 THEN n ELSE MAP {5: 'five'} END").unwrap();
    run("UPDATE t SET deep = MAP {'p': MAP {id: 'x'}} WHERE id = 3").unwrap();
    assert_eq!(
        line(&session, "SELECT id, m['u'] AS u, n[5] AS n, n[1] AS o, deep['p'][3] AS d FROM t ORDER BY id"),
        "id|u|n|o|d;1|||x|;2|2.0|five||;3||five||x;4||five||"
    );
    run("ALTER TABLE t ADD COLUMN extra map<text, int64> DEFAULT MAP {'one': 1}")
        .or_else(|_| run("ALTER TABLE t ADD COLUMN extra map(text, int64) DEFAULT MAP {'one': 1}"))
        .unwrap();
    assert_eq!(types(&session, "SELECT extra FROM t"), ["map<text, int64>"]);
    assert_eq!(line(&session, "SELECT id FROM t WHERE extra['one'] = 1 ORDER BY id"), "id;1;2;3;4");
    run("CREATE TABLE keyed (id bigint PRIMARY KEY, m map(text, bigint))").unwrap();
    run("INSERT INTO keyed VALUES (1, MAP {'a': 1})").unwrap();
    run("INSERT INTO keyed VALUES (1, MAP {'b': 2}), (2, NULL) ON CONFLICT (id) DO UPDATE SET m = excluded.m WHERE keyed.m['a'] = 1").unwrap();
    assert_eq!(line(&session, "SELECT * FROM keyed ORDER BY id"), "id|m;1|[{key: b, value: 2}];2|");
    // Pairs of that layout are a map where one is wanted.
    run("INSERT INTO keyed SELECT 3, map_entries(MAP {'c': 3})").unwrap();
    assert_eq!(line(&session, "SELECT m['c'] AS c FROM keyed WHERE id = 3"), "c;3");
    let table = repo.table("t", None).unwrap();
    let slots = filter_slots(repo.objects(), &table, "m['b'] >= 1 AND cardinality(n) = 1", &Params::new()).unwrap();
    assert_eq!(slots.len(), 1);
    let error = run("UPDATE t SET m = MAP {'a': 'word'}").unwrap_err();
    assert!(error.contains("column 'm'"), "{error}");
}
