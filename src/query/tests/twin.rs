//! Random tables and queries, answered twice.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::catalog::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;

use super::support::*;
use crate::query::*;

fn leaf() -> impl Strategy<Value = String> {
    let op = prop::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]);
    let number = (-22i32..22).prop_map(|n| n.to_string());
    let float = prop::sample::select(vec!["0.0", "-0.0", "0.5", "-1.5", "'NaN'::double precision", "'-Infinity'::double precision", "3"]);
    let text = prop::sample::select(vec!["''", "'a'", "'ab'", "'b'", "'c'", "'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk'", "'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkka'"]);
    let compare = |column: &'static str, key: BoxedStrategy<String>| {
        (op.clone(), key, any::<bool>()).prop_map(move |(op, key, turned)| if turned { format!("{key} {op} {column}") } else { format!("{column} {op} {key}") })
    };
    let text = text.prop_map(str::to_owned).boxed();
    let float = float.prop_map(str::to_owned).boxed();
    let number = number.boxed();
    prop_oneof![
        3 => compare("n", number.clone()),
        1 => compare("id", (0i32..400).prop_map(|n| n.to_string()).boxed()),
        2 => compare("f", float.clone()),
        1 => compare("n", float),
        2 => compare("s", text.clone()),
        1 => (number.clone(), number.clone(), prop::sample::select(vec!["", "NOT "])).prop_map(|(a, b, not)| format!("n {not}BETWEEN {a} AND {b}")),
        1 => (number.clone(), number, prop::sample::select(vec!["", "NOT "]), any::<bool>()).prop_map(|(a, b, not, null)| {
            format!("n {not}IN ({a}, {b}{})", if null { ", NULL" } else { "" })
        }),
        1 => (text.clone(), text).prop_map(|(a, b)| format!("s IN ({a}, {b})")),
        1 => prop::sample::select(vec!["ok", "NOT ok", "ok IS NOT TRUE", "label = 'cat'", "label LIKE 'd%'", "s LIKE 'a%'", "s ILIKE 'K%'", "s ~ '^k+a'"]).prop_map(str::to_owned),
        1 => (prop::sample::select(vec!["n", "f", "ok", "s", "blob", "vector", "at"]), prop::sample::select(vec!["", " NOT"])).prop_map(|(c, not)| format!("{c} IS{not} NULL")),
        1 => prop::sample::select(vec!["length(s) > 1", "length(encode(blob, 'hex')) > 100", "n % 2 = 0", "vector[1] > 0", "f = f", "n = id", "true", "NULL", "coalesce(n, 0) > 1"]).prop_map(str::to_owned),
        1 => (0i64..70).prop_map(|s| format!("at > TIMESTAMP '1970-01-01 00:{:02}:{:02}'", s / 60, s % 60)),
    ]
}

fn predicate() -> impl Strategy<Value = String> {
    leaf().prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) AND ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) OR ({b})")),
            inner.prop_map(|a| format!("NOT ({a})")),
        ]
    })
}

fn query() -> impl Strategy<Value = String> {
    let columns = prop::sample::subsequence(vec!["id", "n", "f", "ok", "at", "s", "label", "blob", "vector"], 0..=9).prop_shuffle();
    let limit = prop_oneof![3 => Just(String::new()), 1 => (0usize..30).prop_map(|n| format!(" LIMIT {n}")), 1 => (0usize..30, 0usize..50).prop_map(|(n, o)| format!(" LIMIT {n} OFFSET {o}"))];
    let plain = (columns, prop::option::weighted(0.8, predicate()), limit).prop_map(|(columns, predicate, limit)| {
        let columns = if columns.is_empty() { "1 AS one".to_owned() } else { columns.join(", ") };
        format!("SELECT {columns} FROM t{}{limit}", predicate.map(|p| format!(" WHERE {p}")).unwrap_or_default())
    });
    let shaped = (predicate(), predicate(), 0usize..20).prop_flat_map(|(p, q, k)| {
        prop::sample::select(vec![
            format!("SELECT count(*) AS c, count(n) AS cn, min(f) AS lo, max(s) AS hi, sum(n) AS total FROM t WHERE {p}"),
            format!("SELECT label, count(*) AS c, max(n) AS m FROM t WHERE {p} GROUP BY label ORDER BY label NULLS FIRST"),
            format!("SELECT id, blob FROM t WHERE {p} ORDER BY n DESC NULLS LAST, id LIMIT {k}"),
            format!("SELECT id, s, vector FROM t ORDER BY f, s DESC, id LIMIT {k}"),
            format!("SELECT a.id, b.s FROM t a JOIN t b ON a.n = b.id WHERE a.s IS NOT NULL ORDER BY a.id, b.id LIMIT {k}"),
            format!("SELECT id, blob FROM (SELECT * FROM t WHERE {p} LIMIT {k}) x WHERE {q} ORDER BY id"),
            format!("SELECT id FROM (SELECT * FROM t LIMIT {k}) x ORDER BY n, id LIMIT 3"),
            format!("SELECT id FROM t WHERE n IN (SELECT n FROM t WHERE {p}) ORDER BY id"),
            format!("SELECT id FROM t WHERE n > (SELECT avg(n) FROM t WHERE {p}) ORDER BY id"),
            format!("SELECT id FROM t WHERE {p} UNION ALL SELECT id FROM t WHERE {q} ORDER BY id LIMIT {k}"),
            format!("SELECT DISTINCT ON (label) label, id FROM t WHERE {p} ORDER BY label, id"),
            "SELECT count(*) AS c FROM t".to_owned(),
        ])
    });
    prop_oneof![2 => plain, 1 => shaped]
}

/// The same rows in DataFusion's own memory table.
fn reference(rows: &[Row]) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1);
    let sql = &mut config.options_mut().sql_parser;
    sql.dialect = datafusion::config::Dialect::PostgreSQL;
    sql.map_string_types_to_utf8view = false;
    let context = SessionContext::new_with_config(config);
    let batch = batch(rows);
    context.register_table("t", Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap())).unwrap();
    context
}

fn expected(runtime: &tokio::runtime::Runtime, context: &SessionContext, sql: &str) -> Result<RecordBatch, String> {
    runtime.block_on(async {
        let frame = context.sql(sql).await.map_err(|e| e.to_string())?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let batches = frame.collect().await.map_err(|e| e.to_string())?;
        concat_batches(&batches.first().map_or(schema, |b| b.schema()), &batches).map_err(|e| e.to_string())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_a_table_in_memory(making in making(), queries in prop::collection::vec(query(), 12)) {
        let twin = making.make(&small());
        let session = Memory::of(&twin).session();
        let context = reference(&twin.rows);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for sql in queries {
            let expected = expected(&runtime, &context, &sql);
            let answer = session.query(&sql, &Params::new(), None).and_then(|answer| {
                let schema = answer.schema();
                let batches = answer.collect::<Result<Vec<_>, _>>()?;
                Ok(concat_batches(&schema, &batches)?)
            });
            match (expected, answer) {
                (Ok(expected), Ok(answer)) => {
                    prop_assert_eq!(answer.num_rows(), expected.num_rows(), "{}", &sql);
                    prop_assert_eq!(answer.columns(), expected.columns(), "{}", &sql);
                }
                (Err(_), Err(_)) => {}
                (expected, answer) => prop_assert!(false, "{}: {:?} where {:?} was expected", sql, answer.map(|b| b.num_rows()), expected.map(|b| b.num_rows())),
            }
        }
    }

    #[test]
    fn predicates_pick_the_rows_that_they_are_true_of(making in making(), predicates in prop::collection::vec(predicate(), 12)) {
        let twin = making.make(&small());
        let context = reference(&twin.rows);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for predicate in predicates {
            let expected = expected(&runtime, &context, &format!("SELECT * FROM t WHERE {predicate}")).unwrap();
            // Ids are slots here.
            let slots = filter_slots(&twin.objects, &twin.table, &predicate, &Params::new()).unwrap();
            let ids: &arrow::array::Int64Array = arrow::array::AsArray::as_primitive(expected.column(0));
            prop_assert_eq!(slots.iter().map(|s| *s as i64).collect::<Vec<_>>(), ids.values().to_vec(), "{}", &predicate);
            let selected = select(&twin.objects, &twin.table, Some(&predicate), &Params::new(), vec![7, 0, 5]).unwrap();
            let schema = selected.schema();
            let rows = concat_batches(&schema, &selected.collect::<Result<Vec<_>, _>>().unwrap()).unwrap();
            prop_assert_eq!(rows.columns(), &[expected.column(7).clone(), expected.column(0).clone(), expected.column(5).clone()], "{}", &predicate);
        }
    }
}
