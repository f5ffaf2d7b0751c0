//! Statements that write, against a naive twin: plain rows in a list.

use std::sync::Arc;

use proptest::prelude::*;

use super::support::*;
use crate::format::Type;
use crate::query::*;
use crate::repo::{OpenOptions, Repo};

type Row = (i64, Option<i64>, Option<String>);

#[derive(Debug, Clone)]
enum Write {
    /// New rows, and whether one of a known key is refused, left out, or adds its number to that of the row that is there.
    Insert(Vec<Row>, u8),
    /// Rows whose number leaves a remainder: their numbers grow, their texts too.
    Update(i64, i64),
    /// Rows get the text of the row whose id is theirs halved, where there is one.
    UpdateFrom,
    /// Ids move up by so much: keys may meet.
    Shift(i64, i64),
    Delete(i64),
    DeleteUsing,
}

fn row() -> impl Strategy<Value = Row> {
    (0..30i64, prop::option::weighted(0.8, -5..20i64), prop::option::weighted(0.8, "[a-c']{0,3}"))
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => (prop::collection::vec(row(), 1..8), 0..3u8).prop_map(|(rows, on)| Write::Insert(rows, on)),
        2 => (0..4i64, -3..4i64).prop_map(|(r, by)| Write::Update(r, by)),
        1 => Just(Write::UpdateFrom),
        1 => (0..30i64, 0..3i64).prop_map(|(from, by)| Write::Shift(from, by)),
        1 => (0..4i64).prop_map(Write::Delete),
        1 => Just(Write::DeleteUsing),
    ]
}

fn literal(value: Option<impl ToString>, quote: bool) -> String {
    match value.map(|value| value.to_string()) {
        None => "NULL".to_owned(),
        Some(text) if quote => format!("'{}'", text.replace('\'', "''")),
        Some(text) => text,
    }
}

impl Write {
    fn sql(&self) -> String {
        match self {
            Write::Insert(rows, on) => {
                let rows: Vec<String> = rows.iter().map(|(id, n, s)| format!("({id}, {}, {})", literal(*n, false), literal(s.clone(), true))).collect();
                let on = match on {
                    0 => "",
                    1 => " ON CONFLICT (id) DO NOTHING",
                    _ => " ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n, s = excluded.s WHERE excluded.n IS NOT NULL",
                };
                format!("INSERT INTO t (id, n, s) SELECT id, n, s FROM (VALUES {}) AS v (id, n, s){on}", rows.join(", "))
            }
            Write::Update(r, by) => format!("UPDATE t SET n = n + {by}, s = s || 'x' WHERE id % 4 = {r}"),
            Write::UpdateFrom => "UPDATE t SET s = h.s FROM (SELECT id * 2 AS id, s FROM t) AS h WHERE h.id = t.id".to_owned(),
            Write::Shift(from, by) => format!("UPDATE t SET id = id + {by} WHERE id >= {from}"),
            Write::Delete(r) => format!("DELETE FROM t WHERE id % 4 = {r} OR n IS NULL"),
            Write::DeleteUsing => "DELETE FROM t USING (SELECT n AS id FROM t WHERE n % 3 = 0) AS d WHERE d.id = t.id".to_owned(),
        }
    }

    /// What the statement makes of the rows, and how many it is said to touch; `None` where it must fail.
    fn apply(&self, rows: &[Row]) -> Option<(Vec<Row>, u64)> {
        let mut now = rows.to_vec();
        let touched = match self {
            Write::Insert(new, on) => {
                let (mut touched, mut seen) = (0, std::collections::BTreeSet::new());
                for row in new {
                    let again = !seen.insert(row.0);
                    match (now.iter().position(|known| known.0 == row.0), on) {
                        (Some(_), 0) => return None,
                        (Some(_), 1) => continue,
                        (Some(_), _) if again => return None,
                        (Some(at), _) => {
                            let Some(n) = row.1 else { continue };
                            now[at].1 = now[at].1.map(|old| old + n);
                            now[at].2 = row.2.clone();
                        }
                        (None, _) => now.push(row.clone()),
                    }
                    touched += 1;
                }
                touched
            }
            Write::Update(r, by) => {
                let mut set = now.iter_mut().filter(|row| row.0 % 4 == *r).collect::<Vec<_>>();
                for row in &mut set {
                    row.1 = row.1.map(|n| n + by);
                    row.2 = row.2.as_ref().map(|s| format!("{s}x"));
                }
                set.len() as u64
            }
            Write::UpdateFrom => {
                let mut touched = 0;
                for row in &mut now {
                    if let Some(half) = rows.iter().find(|half| half.0 * 2 == row.0) {
                        row.2 = half.2.clone();
                        touched += 1;
                    }
                }
                touched
            }
            Write::Shift(from, by) => {
                let mut touched = 0;
                for row in now.iter_mut().filter(|row| row.0 >= *from) {
                    row.0 += by;
                    touched += 1;
                }
                let keys: std::collections::BTreeSet<i64> = now.iter().map(|row| row.0).collect();
                if keys.len() < now.len() {
                    return None;
                }
                touched
            }
            Write::Delete(r) => {
                now.retain(|row| !(row.0 % 4 == *r || row.1.is_none()));
                (rows.len() - now.len()) as u64
            }
            Write::DeleteUsing => {
                let ids: Vec<i64> = rows.iter().filter_map(|row| row.1).filter(|n| n % 3 == 0).collect();
                now.retain(|row| !ids.contains(&row.0));
                (rows.len() - now.len()) as u64
            }
        };
        Some((now, touched))
    }
}

fn shown(rows: &[Row]) -> String {
    let line = |(id, n, s): &Row| format!("\n{id}|{}|{}", n.map_or(String::new(), |n| n.to_string()), s.as_deref().unwrap_or_default());
    format!("id|n|s{}", rows.iter().map(line).collect::<String>())
}

/// A repository with the table `t (id, n, s)`, whose key is `id`, and a session on it.
fn repository(dir: &std::path::Path) -> (Arc<Repo>, Session) {
    let repo = Arc::new(Repo::init_with(dir, "main", &OpenOptions { expressions: Some(expressions()), ..OpenOptions::default() }).unwrap());
    let columns = [("id", Type::INT64), ("n", Type::INT64), ("s", Type::TEXT)].map(|(name, ty)| (name.to_owned(), ty));
    repo.create_table("t", &columns, &["id".to_owned()], "create").unwrap();
    let session = Session::new(repo.clone(), Options { threads: 2, ..Options::default() }).unwrap();
    (repo, session)
}

fn run(session: &Session, repo: &Repo, sql: &str) -> Result<Written, QueryError> {
    match session.run(repo, sql, &Params::new(), None, "query")? {
        Outcome::Written(written) => Ok(written),
        Outcome::Answer(_) => panic!("{sql} asked"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::table::tests::histories(24).min(1000)))]

    #[test]
    fn statements_do_what_they_say(writes in prop::collection::vec(write(), 1..10)) {
        let dir = tempfile::tempdir().unwrap();
        let (repo, session) = repository(dir.path());
        let mut rows: Vec<Row> = Vec::new();
        for write in &writes {
            let before = repo.working_snapshot().unwrap();
            match (write.apply(&rows), run(&session, &repo, &write.sql())) {
                (Some((now, touched)), Ok(written)) => {
                    prop_assert_eq!(written.rows, Some(touched), "{}", write.sql());
                    rows = now;
                }
                (None, Err(error)) => {
                    prop_assert!(error.to_string().contains("stands twice"), "{}: {error}", write.sql());
                    prop_assert_eq!(repo.working_snapshot().unwrap(), before);
                }
                (wanted, got) => prop_assert!(false, "{}: wanted {wanted:?}, got {got:?}", write.sql()),
            }
            prop_assert_eq!(drawn(&ask(&session, "SELECT * FROM t")), shown(&rows), "{}", write.sql());
        }
    }
}

#[test]
fn values_are_brought_to_the_columns_types_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (repo, session) = repository(dir.path());
    run(&session, &repo, "CREATE TABLE v (id int8 PRIMARY KEY, e vector(2), h halfvec(2), j jsonb, d numeric(6, 2), t timestamp, l enum('a', 'b'), u uint8)")
        .unwrap();
    let types: Vec<String> = repo.table("v", None).unwrap().schema.columns.iter().map(|c| c.ty.to_string()).collect();
    assert_eq!(types, ["int64", "embedding(2)", "embedding(2,float16)", "json", "decimal(6,2)", "timestamp(us)", "enum(\"a\",\"b\")", "uint8"]);
    run(&session, &repo, "INSERT INTO v VALUES ('7', '[1, 2]', ARRAY[1, 0.5], '{\"a\": 1}', 2.5, '2026-01-02 03:04:05', 'a', 255)").unwrap();
    assert_eq!(drawn(&ask(&session, "SELECT * FROM v")), "id|e|h|j|d|t|l|u\n7|[1.0, 2.0]|[1, 0.5]|{\"a\": 1}|2.50|2026-01-02T03:04:05|a|255");
    for (set, why) in [
        ("id = 2.5", "row 1, column 'id': '2.5' is not int64"),
        ("e = '[1, 2, 3]'", "row 1, column 'e': '[1, 2, 3]' has 3 items, not the 2 of embedding(2)"),
        ("j = '{\"a'", "row 1, column 'j': "),
        ("l = 'c'", "row 1, column 'l': 'c' "),
        ("u = 256", "row 1, column 'u': '256' "),
        ("t = 'soon'", "row 1, column 't': 'soon' "),
        ("id = NULL", "row 1: the key column 'id' is null"),
    ] {
        let error = run(&session, &repo, &format!("UPDATE v SET {set}")).unwrap_err().to_string();
        assert!(error.starts_with(why), "{set}: {error}");
    }
}

#[test]
fn what_is_not_supported_is_told_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (repo, session) = repository(dir.path());
    run(&session, &repo, "INSERT INTO t VALUES (1, 2, 'a'), (2, 3, 'b')").unwrap();
    run(&session, &repo, "CREATE VIEW w AS SELECT * FROM t WHERE n > 2").unwrap();
    let before = repo.working_snapshot().unwrap();
    for (sql, why) in [
        ("INSERT INTO t VALUES (1, 2, 'a', 4)", "4 values for 3 columns that the table has"),
        ("INSERT INTO t (id, n) VALUES (3)", "1 values for 2 columns that are named"),
        ("INSERT INTO t (id, id) VALUES (3, 3)", "column 'id' is named twice"),
        ("INSERT INTO t (id, m) VALUES (3, 3)", "table has no column 'm'"),
        ("INSERT INTO t (n) VALUES (3)", "column 'id' belongs to the table's key, and is not given"),
        ("INSERT INTO t VALUES (3, 3, 'c') RETURNING id", "RETURNING is not supported"),
        ("INSERT INTO t VALUES (1, 1, 'c') ON CONFLICT (n) DO NOTHING", "ON CONFLICT (n): the table's key is (id)"),
        ("INSERT INTO t VALUES (1, 1, 'c') ON CONFLICT DO UPDATE SET n = 1", "ON CONFLICT DO UPDATE names the key's columns: the table's key is (id)"),
        ("INSERT INTO w VALUES (1, 1, 'c')", "'w' is a view, not a table"),
        ("UPDATE t SET n = 1, n = 2", "column 'n' is set twice"),
        ("UPDATE t SET n = sum(n)", "SQL: "),
        ("UPDATE t SET n = o.n FROM t o", "a row of 't' is matched by several rows, each of which would set it"),
        ("UPDATE main.t SET n = 1", "SQL writes into the working state alone: write t, not main.t; 'dsv switch' changes the branch"),
        ("DELETE FROM t LIMIT 1", "DELETE ... LIMIT is not supported"),
        ("CREATE TABLE t (a int)", "table 't' exists already"),
        ("CREATE TABLE w (a int)", "view 'w' exists already"),
        ("CREATE TABLE x (a int NOT NULL)", "NOT NULL is a check in dsv: dsv check add NAME --table T --not-null a"),
        ("CREATE TABLE x (a box)", ""),
        ("CREATE VIEW w2 AS SELECT x FROM t", "no column 'x'"),
        ("CREATE OR REPLACE VIEW w AS SELECT * FROM w", "the view 'w' would read itself"),
        ("DROP TABLE w", ""),
        ("DROP INDEX t", "DROP INDEX is not supported"),
        ("ALTER TABLE t ADD COLUMN id int", ""),
        ("ALTER TABLE t DROP COLUMN id", "column 'id' belongs to the table's key"),
        ("ALTER TABLE t ADD PRIMARY KEY (m)", "table has no column 'm'"),
        ("EXPLAIN DELETE FROM t", "EXPLAIN is for queries: a statement that writes has no plan of its own"),
        ("TRUNCATE t", "TRUNCATE is refused: a query only reads"),
    ] {
        let error = session.run(&repo, sql, &Params::new(), None, "query").err().unwrap_or_else(|| panic!("{sql} is done")).to_string();
        assert!(error.starts_with(why) || why == "SQL: " && !error.is_empty(), "{sql}: {error}");
        assert!(!error.contains('\n'), "{sql}: {error}");
        assert_eq!(repo.working_snapshot().unwrap(), before, "{sql}");
    }
    let at = session.run(&repo, "DELETE FROM t", &Params::new(), Some("main"), "query").err().map(|e| e.to_string());
    assert_eq!(at.as_deref(), Some("a revision does not change: SQL writes into the working state alone"));
}

#[test]
fn tables_are_shaped() {
    let dir = tempfile::tempdir().unwrap();
    let (repo, session) = repository(dir.path());
    for sql in [
        "INSERT INTO t VALUES (1, 2, 'a'), (2, 3, 'b')",
        "CREATE TABLE big AS SELECT id, n * 10 AS n, NULL AS nothing FROM t WHERE n > 2",
        "ALTER TABLE t ADD COLUMN score float8 DEFAULT 0.5, ADD COLUMN twice bigint DEFAULT n * 2, DROP COLUMN s",
        "ALTER TABLE t RENAME COLUMN n TO \"N\"",
        "ALTER TABLE t ALTER COLUMN score TYPE text USING 's' || score",
        "ALTER TABLE t DROP PRIMARY KEY",
        "ALTER TABLE t ADD PRIMARY KEY (id, twice)",
        "ALTER TABLE t RENAME TO u",
        "CREATE TABLE IF NOT EXISTS u (a int)",
        "CREATE OR REPLACE TABLE big AS SELECT * FROM big, (VALUES (1), (2)) AS v (k)",
        "DROP TABLE IF EXISTS t",
    ] {
        run(&session, &repo, sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    assert_eq!(drawn(&ask(&session, "SELECT * FROM u")), "id|N|score|twice\n1|2|s0.5|4\n2|3|s0.5|6");
    assert_eq!(drawn(&ask(&session, "SELECT * FROM big")), "id|n|nothing|k\n2|30||1\n2|30||2");
    assert_eq!(drawn(&ask(&session, "SELECT name, key FROM dsv.tables ORDER BY name")), "name|key\nbig|[]\nu|[id, twice]");
}

#[test]
fn views_read_the_tables_of_their_revision() {
    let dir = tempfile::tempdir().unwrap();
    let (repo, session) = repository(dir.path());
    let identity = crate::repo::CommitOptions { message: Some("x".into()), ..Default::default() };
    run(&session, &repo, "INSERT INTO t VALUES (1, 2, 'a'), (2, 3, 'b')").unwrap();
    run(&session, &repo, "CREATE VIEW big AS SELECT * FROM t WHERE n > 2").unwrap();
    run(&session, &repo, "CREATE VIEW biggest AS SELECT max(n) AS n FROM big").unwrap();
    repo.commit(&identity).unwrap();
    run(&session, &repo, "UPDATE t SET n = n + 10").unwrap();
    assert_eq!(drawn(&ask(&session, "SELECT b.id, m.n, old.n AS was FROM big b, biggest m, main.biggest old ORDER BY b.id")), "id|n|was\n1|13|3\n2|13|3");
    let plan = drawn(&ask(&session, "EXPLAIN SELECT id FROM big WHERE s = 'a'"));
    assert!(plan.contains("TableExec: t, columns=[id], filter="), "{plan}");
    run(&session, &repo, "ALTER TABLE t RENAME COLUMN n TO m").unwrap();
    let error = refusal(&session, "SELECT * FROM biggest").to_string();
    assert!(error.starts_with("the view 'biggest': the view 'big': no column 'n'"), "{error}");
}
