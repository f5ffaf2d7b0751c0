//! Sessions: schemas that are revisions, parameters, errors, limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};

use super::support::*;
use crate::format::Type;
use crate::query::*;

fn twin(rows: i64) -> Twin {
    twin_in(&small(), rows)
}

fn twin_in(objects: &Arc<crate::chunk::Objects>, rows: i64) -> Twin {
    let row = |i: i64| Row {
        n: Some(i as i32 / 10),
        s: Some(format!("row {i}")),
        label: Some(if i % 3 == 0 { "cat" } else { "dog" }.into()),
        blob: Some(vec![i as u8; 100]),
        f: Some(i as f64 / 2.0),
        ..Row::default()
    };
    Making { writes: vec![(0..rows).map(row).collect()], deleted: vec![], edited: vec![] }.make(objects)
}

fn explained(session: &Session, sql: &str) -> String {
    let batch = ask(session, sql);
    batch.column(1).as_string::<i32>().iter().flatten().collect::<Vec<_>>().join("\n")
}

#[test]
fn a_schema_is_a_revision() {
    let new = twin(30);
    let old = twin_in(&new.objects, 20);
    let session = Memory::of(&new).with("v1.0", "t", &old).with("main~3", "frames", &old).with("HEAD", "t", &old).session();
    assert_eq!(drawn(&ask(&session, "SELECT count(*) AS c FROM t")), "c\n30");
    assert_eq!(drawn(&ask(&session, "SELECT count(*) AS c FROM \"v1.0\".t")), "c\n20");
    assert_eq!(drawn(&ask(&session, "SELECT count(*) AS c FROM HEAD.t")), "c\n20");
    assert_eq!(drawn(&ask(&session, "SELECT count(*) AS c FROM dsv.\"v1.0\".t")), "c\n20");
    let joined = "SELECT count(*) AS c, max(b.s) AS s FROM \"main~3\".frames a JOIN t b USING (id)";
    assert_eq!(drawn(&ask(&session, joined)), "c|s\n20|row 9");
    let at = whole(session.query("SELECT count(*) AS c FROM t", &Params::new(), Some("v1.0")).unwrap());
    assert_eq!(drawn(&at), "c\n20");
    assert_eq!(drawn(&ask(&session, "WITH t AS (SELECT 1 AS x) SELECT * FROM t")), "x\n1");
    // A call of DataFusion's own functions of tables is no table.
    assert_eq!(drawn(&ask(&session, "SELECT sum(t.id + g.k) AS x FROM generate_series(1, 4) g(k) JOIN t ON t.id = g.k")), "x\n20");
    assert_eq!(drawn(&ask(&session, "SELECT id FROM t WHERE id IN (SELECT id + 1 FROM \"v1.0\".t WHERE id > 17) ORDER BY id")), "id\n19\n20");
}

#[test]
fn any_and_all_compare_with_the_rows_of_their_subquery() {
    let session = Memory::of(&twin(30)).session();
    let ids = |sql: &str| drawn(&ask(&session, &format!("SELECT id FROM t WHERE {sql} ORDER BY id"))).replace('\n', " ");
    assert_eq!(ids("id >= ALL (SELECT id FROM t)"), "id 29");
    assert_eq!(ids("id < ANY (SELECT id FROM t WHERE id < 3)"), "id 0 1");
    assert_eq!(ids("id < ALL (SELECT n FROM t WHERE t.id > 19 ORDER BY n LIMIT 1)"), "id 0 1");
    assert_eq!(ids("id <> ALL (SELECT id FROM t WHERE id > 2)"), "id 0 1 2");
    assert_eq!(ids("id >= ALL (SELECT * FROM (SELECT id FROM t) t)"), "id 29");
    assert_eq!(ids("id >= ALL (SELECT id FROM t UNION SELECT 28)"), "id 29");
}

#[test]
fn names_that_do_not_exist_have_their_nearest() {
    let twin = twin(3);
    let session = Memory::of(&twin).with("v1.0", "t", &twin).session();
    let error = refusal(&session, "SELECT * FROM \"v1.1\".t");
    assert_eq!((error.to_string().as_str(), error.near()), ("no revision 'v1.1'", &["v1.0".to_owned()][..]));
    let error = refusal(&session, "SELECT * FROM \"v1.0\".tt");
    assert_eq!((error.to_string().as_str(), error.near()), ("no table 'tt' in 'v1.0'", &["t".to_owned()][..]));
    let error = refusal(&session, "SELECT * FROM tt");
    assert_eq!((error.to_string().as_str(), error.near()), ("no table 'tt' in the working state", &["t".to_owned()][..]));
    let error = refusal(&session, "SELECT id,\n lable FROM t");
    assert_eq!((error.to_string().as_str(), error.near()), ("no column 'lable' at line 2, column 2", &["label".to_owned()][..]));
    assert_eq!(error.hints(), ["did you mean 'label'?"]);
    let error = refusal(&session, "SELECT t.ids FROM t");
    assert_eq!((error.to_string().as_str(), error.near()), ("no column 't.ids' at line 1, column 8", &["id".to_owned(), "s".to_owned()][..]));
    let error = refusal(&session, "SELECT lenght(s) FROM t");
    assert_eq!((error.to_string().as_str(), error.near()), ("no function 'lenght'", &["length".to_owned()][..]));
    let error = refusal(&session, "SELECT * FROM dsv.commit");
    assert_eq!((error.to_string().as_str(), error.near()), ("no table 'commit' in 'dsv'", &["dsv.commits".to_owned()][..]));
    let error = refusal(&session, "SELECT * FROM v1.zero.t");
    assert!(error.to_string().contains("REVISION.NAME"), "{error}");
    assert_eq!(error.at(), None);
}

#[test]
fn a_column_that_differs_in_case_is_named_as_sql_needs_it() {
    let twin = twin(3);
    let table = twin.table.rename_column("s", "Caption").unwrap();
    let twin = Twin { table: Arc::new(table), ..twin };
    let session = Memory::of(&twin).session();
    let error = refusal(&session, "SELECT Caption FROM t");
    assert_eq!((error.to_string().as_str(), error.near()), ("no column 'caption' at line 1, column 8", &["\"Caption\"".to_owned()][..]));
    assert_eq!(drawn(&ask(&session, "SELECT \"Caption\" FROM t WHERE \"Caption\" LIKE '%2'")), "Caption\nrow 2");
}

#[test]
fn faults_are_one_line_with_their_place() {
    let session = Memory::of(&twin(3)).session();
    for (sql, message) in [
        ("SELEC 1", "syntax error at line 1, column 1: expected an SQL statement, found SELEC"),
        ("SELECT id FROM t\nWHERE )", "syntax error at line 2, column 7: expected an expression, found )"),
        ("SELECT id FROM t WHERE", "syntax error: expected an expression, found EOF"),
        ("", "syntax error: there is no query"),
        ("SELECT 1; SELECT 2", "one query at a time: 1 more stand after the first"),
        ("DELETE FROM t", "DELETE is refused: a query only reads"),
        ("CREATE TABLE x AS SELECT 1", "CREATE is refused: a query only reads"),
        ("EXPLAIN ANALYZE INSERT INTO t VALUES (1)", "INSERT is refused: a query only reads"),
        ("COPY t TO 'x.csv'", "a query only reads"),
        ("SELECT vector <=> '[1, 2, 3]' FROM t", "vectors of 2 and of 3 numbers cannot be compared"),
        ("SELECT vector <-> '[1, x]' FROM t", "'[1, x]' is no vector: write '[1, 2.5, 3]'"),
        ("SELECT l2_norm(s) FROM t", "'row 0' is no vector: write '[1, 2.5, 3]'"),
        ("SELECT l2_norm(n) FROM t", "l2_norm takes vectors, not int32"),
        ("SELECT cosine_distance(vector) FROM t", "cosine_distance takes two vectors, not 1 arguments"),
        ("SELECT width(s) FROM t", "width takes bytes, not text"),
        ("SELECT sum(s) FROM t", "no function takes sum(Utf8); there is sum(Decimal) sum(UInt64) sum(Int64) sum(Float64) sum(Duration) sum(Interval)"),
        ("SELECT * FROM t a JOIN t b ON a.id = b.id WHERE id = 1", "column 'id' may be that of several tables: write TABLE.id at line 1, column 49"),
    ] {
        assert_eq!(refusal(&session, sql).to_string(), message, "{sql}");
    }
    for sql in ["SELECT CAST(s AS BIGINT) FROM t", "SELECT 1 / (id - 1) FROM t", "SELECT s + 1 FROM t", "SELECT id FROM t WHERE s", "SELECT blob || id FROM t"]
    {
        let error = refusal(&session, sql);
        let text = error.to_string();
        assert!(!text.contains('\n') && !text.contains("Error") && !text.is_empty(), "{sql}: {text}");
        assert_eq!(error.kind(), crate::repo::ErrorKind::Usage, "{sql}");
    }
}

#[test]
fn parameters_stand_for_literals() {
    let session = Memory::of(&twin(30)).session();
    let mut params = Params::new();
    for text in ["least=27", "like=row 2%", "1=28", "none=null", "neg=-1.5", "k=2"] {
        params.set_text(text).unwrap();
    }
    let answer = |sql: &str| drawn(&whole(session.query(sql, &params, None).unwrap_or_else(|e| panic!("{sql}: {e}"))));
    assert_eq!(answer("SELECT id FROM t WHERE id >= :least AND s LIKE :like AND id <> $1 AND :none IS NULL"), "id\n27\n29");
    assert_eq!(answer("SELECT :neg * 2 AS x, $k + 1 AS y, 1 - :neg AS z"), "x|y|z\n-3.0|3|2.5");
    assert_eq!(answer("SELECT id FROM t ORDER BY id DESC LIMIT :k"), "id\n29\n28");
    let error = session.query("SELECT *\nFROM t WHERE id > :lest", &params, None).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "parameter 'lest' at line 2, column 19: it has no value");
    assert_eq!(error.near(), ["least"]);
    // A value is a value, whatever it holds.
    params.set("like", Param::Text("'; DROP TABLE t --".into()));
    assert_eq!(drawn(&whole(session.query("SELECT :like AS x", &params, None).unwrap())), "x\n'; DROP TABLE t --");
}

#[test]
fn types_come_through() {
    let session = Memory::of(&twin(5)).session();
    let answer = session.query("SELECT blob, label AS kind, vector, s, length(s) AS n, 'x' AS c, NULL AS u FROM t WHERE id > 1", &Params::new(), None).unwrap();
    let columns = answer.columns().unwrap();
    let types: Vec<&Type> = columns.iter().map(|(_, ty)| ty).collect();
    assert_eq!(types[..4], [&Type::Image, &Type::Enum(vec!["cat".into(), "dog".into()]), &Type::Embedding { dim: 2, half: false }, &Type::TEXT]);
    assert_eq!(types[5..], [&Type::TEXT, &Type::TEXT]);
    let schema = answer.schema();
    assert_eq!(schema.field(0).metadata().get("ARROW:extension:name").map(String::as_str), Some("dsv.image"));
    let batch = whole(answer);
    assert_eq!((batch.num_rows(), batch.column(6).data_type(), batch.column(6).null_count()), (3, &DataType::Utf8, 3));
    // Views and dictionaries, which functions may give, come as what they hold.
    let batch = ask(&session, "SELECT arrow_cast(s, 'Utf8View') AS v, arrow_cast(s, 'Dictionary(Int32, Utf8)') AS d, substr(s, 2) AS u FROM t LIMIT 1");
    assert!(batch.columns().iter().all(|c| c.data_type() == &DataType::Utf8));
    let interval = session.query("SELECT INTERVAL '1 day' AS i", &Params::new(), None).unwrap();
    assert!(interval.columns().is_err());
    assert_eq!(drawn(&whole(interval)), "i\n1 days");
}

#[test]
fn system_tables() {
    let twin = twin(5);
    let session = Memory::of(&twin).with("v1.0", "t", &twin_in(&twin.objects, 2)).session();
    assert_eq!(drawn(&ask(&session, "SELECT id, parents, author FROM dsv.commits")), "id|parents|author\nc2|[c1]|Ada\nc1|[]|Ada");
    assert_eq!(drawn(&ask(&session, "SELECT committed FROM dsv.commits LIMIT 1")), "committed\n2026-01-01T00:00:01Z");
    assert_eq!(drawn(&ask(&session, "SELECT name FROM dsv.branches WHERE current")), "name\nmain");
    assert_eq!(drawn(&ask(&session, "SELECT name, commit FROM dsv.tags")), "name|commit\nv1.0|c2");
    assert_eq!(drawn(&ask(&session, "SELECT name, rows, columns FROM dsv.tables")), "name|rows|columns\nt|5|9");
    let at = session.query("SELECT rows FROM dsv.tables", &Params::new(), Some("v1.0")).unwrap();
    assert_eq!(drawn(&whole(at)), "rows\n2");
    let columns = ask(&session, "SELECT position, name, type FROM dsv.columns WHERE \"table\" = 't' AND position > 6 ORDER BY position");
    assert_eq!(drawn(&columns), "position|name|type\n7|label|enum(\"cat\",\"dog\")\n8|blob|image\n9|vector|embedding(2)");
}

#[test]
fn a_count_is_read_from_the_tree() {
    let twin = twin(300);
    let table = Arc::new(twin.table.delete(&twin.objects, &[3, 77, 200]).unwrap());
    let session = Memory::of(&Twin { table, ..twin }).session();
    assert_eq!(drawn(&ask(&session, "SELECT count(*) AS c FROM t")), "c\n297");
    let plan = explained(&session, "EXPLAIN SELECT count(*) FROM t");
    assert!(!plan.contains("TableExec"), "{plan}");
    let plan = explained(&session, "EXPLAIN SELECT count(*) FROM t WHERE n > 3");
    assert!(plan.contains("TableExec") && !plan.contains("FilterExec"), "{plan}");
}

/// The number that EXPLAIN ANALYZE gives for a metric of the scan.
fn metric(plan: &str, name: &str) -> u64 {
    let rest = plan.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("{name} in {plan}")).1;
    let text: String = rest.chars().take_while(|c| !matches!(c, ',' | ']')).collect();
    let (number, unit) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let factor = match unit {
        "" => 1.0,
        "K" => 1e3,
        "M" => 1e6,
        other => panic!("{other} in {plan}"),
    };
    (number.parse::<f64>().unwrap() * factor) as u64
}

#[test]
fn filters_prune_and_wide_columns_are_read_for_rows_that_pass() {
    let session = Memory::of(&twin(2000)).session();
    let plan = explained(&session, "EXPLAIN ANALYZE SELECT blob FROM t WHERE n = 50 AND id % 2 = 0");
    assert!(metric(&plan, "slots_pruned") > 1500, "{plan}");
    let (chunks, pruned) = (metric(&plan, "chunks"), metric(&plan, "chunks_pruned"));
    assert!(0 < pruned && pruned < chunks, "{plan}");
    assert!(metric(&plan, "rows_scanned") < 500, "{plan}");
    assert_eq!(metric(&plan, "output_rows"), 5, "{plan}");
    // Five images of 100 bytes with their offsets, of 2,000.
    assert!((500..800).contains(&metric(&plan, "bytes_read[blob]")), "{plan}");
    // A condition on a wide column is tried on what the cheap ones leave.
    let plan = explained(&session, "EXPLAIN ANALYZE SELECT id FROM t WHERE encode(blob, 'hex') > '0' AND id % 100 = 7");
    assert_eq!(metric(&plan, "output_rows"), 20, "{plan}");
    assert!(metric(&plan, "bytes_read[blob]") < 3000, "{plan}");
    let plan = explained(&session, "EXPLAIN ANALYZE SELECT blob FROM t LIMIT 7");
    assert!(metric(&plan, "rows_scanned") <= 256, "{plan}");
    assert!(metric(&plan, "bytes_read[blob]") < 1000, "{plan}");
    // The running tenth best keeps images of rows beyond it unread.
    let plan = explained(&session, "EXPLAIN ANALYZE SELECT blob, id FROM t ORDER BY id LIMIT 10");
    assert!(plan.contains("DynamicFilter"), "{plan}");
}

#[test]
fn rows_come_in_the_table_s_order() {
    let twin = twin(30_000);
    let session = Memory::of(&twin).session_with(Options { threads: 4, ..Options::default() });
    let plan = explained(&session, "EXPLAIN SELECT id, upper(s) FROM t WHERE f >= 1000");
    assert!(plan.contains("partitions=4"), "{plan}");
    let batch = ask(&session, "SELECT id, upper(s) AS u FROM t WHERE f >= 1000");
    let ids = batch.column(0).as_primitive::<Int64Type>();
    assert_eq!(ids.values().to_vec(), (2000..30_000).collect::<Vec<i64>>());
    let batch = ask(&session, "SELECT id FROM t WHERE f >= 1000 LIMIT 3 OFFSET 2");
    assert_eq!(drawn(&batch), "id\n2002\n2003\n2004");
}

#[test]
fn a_query_beyond_its_memory_spills_or_says_so() {
    let session = Memory::of(&twin(20_000)).session_with(Options { memory_bytes: 600_000, threads: 2, ..Options::default() });
    let error = refusal(&session, "SELECT a.s, array_agg(b.blob) FROM t a JOIN t b ON a.n = b.n GROUP BY a.s");
    assert!(matches!(error, QueryError::Memory { limit_mb: 0, .. }), "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
    // A sort goes on from disk.
    let dir = tempfile::tempdir().unwrap();
    let options = Options { memory_bytes: 8_000_000, threads: 1, spill_dir: Some(dir.path().to_owned()), ..Options::default() };
    let session = Memory::of(&twin_in(&full(), 60_000)).session_with(options);
    let plan = explained(&session, "EXPLAIN ANALYZE SELECT blob, s FROM t ORDER BY s || s || s, id DESC");
    assert!(metric(&plan, "spill_count") > 0, "{plan}");
    let batch = ask(&session, "SELECT blob, id, s FROM t ORDER BY s || s || s, id DESC");
    let texts: Vec<&str> = batch.column(2).as_string::<i32>().iter().flatten().collect();
    let mut sorted: Vec<String> = (0..60_000).map(|i| format!("row {i}")).collect();
    sorted.sort_by_key(|s| s.repeat(3));
    assert_eq!(texts, sorted);
}

#[test]
fn a_query_can_be_interrupted_and_dropped() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let interrupted = Arc::new(move || counter.fetch_add(1, Ordering::SeqCst) >= 3);
    let session = Memory::of(&twin(1000)).session_with(Options { interrupted: Some(interrupted), ..Options::default() });
    let threads = session.threads().unwrap();
    let error = refusal(&session, "SELECT count(*) FROM t a CROSS JOIN t b CROSS JOIN t c WHERE a.id + b.id + c.id = 0");
    assert!(matches!(error, QueryError::Interrupted), "{error}");
    assert!(asked.load(Ordering::SeqCst) >= 3);
    // Its threads are at the product for seconds yet: the next query has others.
    assert!(!Arc::ptr_eq(&threads, &session.threads().unwrap()));
    assert!(Arc::ptr_eq(&session.threads().unwrap(), &session.threads().unwrap()));
    // A stream that is dropped half-way ends its reads, and another query runs.
    let session = Memory::of(&twin(20_000)).session();
    let mut answer = session.query("SELECT * FROM t", &Params::new(), None).unwrap();
    answer.next().unwrap().unwrap();
    drop(answer);
    assert_eq!(drawn(&ask(&session, "SELECT max(id) AS m FROM t")), "m\n19999");
}

#[test]
fn async_callers_bring_their_own_runtime() {
    let session = Memory::of(&twin(500)).session();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let rows = runtime.block_on(async {
        let mut stream = session.query_async("SELECT * FROM t WHERE n > 10", &Params::new(), None).await.unwrap();
        let mut rows = 0;
        while let Some(batch) = stream.next().await {
            rows += batch.unwrap().num_rows();
        }
        rows
    });
    assert_eq!(rows, 390);
}

#[test]
fn a_damaged_object_fails_the_query() {
    let twin = twin(400);
    let session = Memory { objects: small(), ..Memory::of(&twin) }.session();
    let error = refusal(&session, "SELECT * FROM t");
    assert_eq!(error.kind(), crate::repo::ErrorKind::Fault, "{error}");
}

#[test]
fn few_rows_of_many_are_found_before_their_wide_columns_are_read() {
    let session = Memory::of(&twin(400)).session();
    let blobs = |sql: &str| {
        let plan = explained(&session, &format!("EXPLAIN ANALYZE {sql}"));
        assert!(plan.contains("LateExec"), "{plan}");
        metric(&plan, "bytes_read[blob]")
    };
    // A hundred bytes a blob, of as many rows as each partition keeps.
    for sql in [
        "SELECT id, blob FROM t ORDER BY f DESC LIMIT 3",
        "SELECT *, f * 2 AS g FROM t WHERE n < 30 ORDER BY g DESC, id LIMIT 3",
        "SELECT id, byte_length(blob) AS size FROM t ORDER BY s LIMIT 3",
    ] {
        assert!(blobs(sql) < 6 * 200, "{sql}");
    }
    let ids = "SELECT id FROM t WHERE n < 30 ORDER BY f DESC LIMIT 3";
    assert_eq!(drawn(&ask(&session, "SELECT id, s FROM t WHERE n < 30 ORDER BY f * 2 DESC LIMIT 3")), "id|s\n299|row 299\n298|row 298\n297|row 297");
    assert_eq!(drawn(&ask(&session, ids)), "id\n299\n298\n297");
    // Nothing wide is wanted, or too many rows are.
    for sql in [ids, "SELECT id, blob FROM t ORDER BY f LIMIT 300", "SELECT id, s FROM t ORDER BY s LIMIT 3"] {
        let plan = explained(&session, &format!("EXPLAIN {sql}"));
        assert!(!plan.contains("LateExec"), "{plan}");
    }
}

/// What a query chooses: the columns, and for each row its slot and what was computed, as text.
fn chosen(session: &Session, sql: &str) -> Option<(Vec<(String, Source)>, bool, Vec<Vec<String>>)> {
    match session.choose(sql, &Params::new(), None).unwrap() {
        Choice::Made(_) => None,
        Choice::Rows(chosen) => {
            let Chosen { columns, is_ordered, values, .. } = *chosen;
            let mut rows = Vec::new();
            for batch in values {
                let batch = batch.unwrap();
                let text = |column: &arrow::array::ArrayRef, row| arrow::util::display::array_value_to_string(column, row).unwrap();
                rows.extend((0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| text(column, row)).collect()));
            }
            Some((columns, is_ordered, rows))
        }
    }
}

#[test]
fn rows_are_chosen_without_their_columns() {
    let row = |i: i32| Row { n: Some(i % 5), s: Some(format!("row {i}")), blob: Some(vec![7; 40]), ..Row::default() };
    let twin = Making { writes: vec![(0..20).map(row).collect()], deleted: vec![], edited: vec![] }.make(&small());
    let session = Memory::of(&twin).session();
    let stored = |name: &str, column| (name.to_owned(), Source::Stored(column));
    let computed = |name: &str, column| (name.to_owned(), Source::Computed(column));
    let rows = |slots: &[i32]| slots.iter().map(|slot| vec![slot.to_string()]).collect::<Vec<_>>();

    let all = chosen(&session, "SELECT blob AS picture, n FROM t WHERE n = 3").unwrap();
    assert_eq!(all, (vec![stored("picture", 7), stored("n", 1)], false, rows(&[3, 8, 13, 18])));
    let ordered = chosen(&session, "SELECT blob FROM t WHERE n < 2 ORDER BY n, id DESC LIMIT 3").unwrap();
    assert_eq!(ordered, (vec![stored("blob", 7)], true, rows(&[15, 10, 5])));
    let with = chosen(&session, "SELECT n * 2 AS twice, blob, n = 3 AS is_three FROM (SELECT * FROM t WHERE id > 16) x").unwrap();
    assert_eq!(with.0, [computed("twice", 0), stored("blob", 7), computed("is_three", 1)]);
    assert_eq!(with.2, [["17", "4", "false"], ["18", "6", "true"], ["19", "8", "false"]]);
    let mut looked_up =
        chosen(&session, "SELECT t.blob, label.word FROM t JOIN (VALUES (1, 'one'), (4, 'four')) AS label (n, word) ON t.n = label.n WHERE t.id < 7").unwrap();
    looked_up.2.sort();
    assert_eq!(
        looked_up,
        (
            vec![stored("blob", 7), computed("word", 0)],
            false,
            vec![vec!["1".into(), "one".into()], vec!["4".into(), "four".into()], vec!["6".into(), "one".into()]]
        )
    );
    let mut among = chosen(&session, "SELECT * EXCLUDE (id) FROM t WHERE n IN (SELECT n FROM t WHERE id = 2)").unwrap();
    among.2.sort();
    assert_eq!((among.0.len(), among.2), (8, rows(&[12, 17, 2, 7])));
    let numbered = chosen(&session, "SELECT s, row_number() OVER (ORDER BY id DESC) AS place FROM t WHERE id >= 18 ORDER BY id").unwrap();
    assert_eq!((numbered.0, numbered.2), (vec![stored("s", 5), computed("place", 0)], vec![vec!["18".into(), "2".into()], vec!["19".into(), "1".into()]]));
    assert_eq!(chosen(&session, "SELECT blob FROM t WHERE n > 100").unwrap().2, rows(&[]));

    for made in ["SELECT n, count(*) FROM t GROUP BY n", "SELECT DISTINCT s FROM t", "SELECT 1 AS one", "SELECT blob FROM t UNION ALL SELECT blob FROM t"] {
        assert!(chosen(&session, made).is_none(), "{made}");
    }
}
