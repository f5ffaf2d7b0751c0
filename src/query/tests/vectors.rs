//! Vectors against plain arithmetic, and what is said of queries about them.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use proptest::prelude::*;

use super::support::*;
use crate::query::*;

fn plain(name: &str, a: [f32; 2], b: [f32; 2]) -> f64 {
    let [a, b] = [a, b].map(|v| v.map(f64::from));
    let dot = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
    let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    match name {
        "cosine_similarity" => cosine,
        "cosine_distance" => 1.0 - cosine,
        "l2_distance" => dot([a[0] - b[0], a[1] - b[1]], [a[0] - b[0], a[1] - b[1]]).sqrt(),
        "inner_product" => dot(a, b),
        _ => dot(a, a).sqrt(),
    }
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-5 || (a.is_nan() && b.is_nan()),
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn numbers(batch: &RecordBatch, column: usize) -> Vec<Option<f64>> {
    batch.column(column).as_primitive::<Float64Type>().iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn functions_are_what_plain_arithmetic_says(making in making(), q in [-2f32..2.0, -2f32..2.0]) {
        let twin = making.make(&small());
        let session = Memory::of(&twin).session();
        let text = format!("'[{}, {}]'", q[0], q[1]);
        for name in ["cosine_similarity", "cosine_distance", "l2_distance", "inner_product"] {
            let sql = format!("SELECT {name}(vector, {text}) AS a, {name}({text}::vector, vector) AS b, {name}(vector, vector) AS c FROM t ORDER BY id");
            let batch = ask(&session, &sql);
            let expected: Vec<Option<f64>> = twin.rows.iter().map(|row| row.vector.map(|v| plain(name, v, q))).collect();
            for (column, expected) in [(0, &expected), (1, &expected)] {
                prop_assert!(numbers(&batch, column).iter().zip(expected).all(|(a, b)| near(*a, *b)), "{} {:?} {:?}", name, numbers(&batch, column), expected);
            }
            let own: Vec<Option<f64>> = twin.rows.iter().map(|row| row.vector.map(|v| plain(name, v, v))).collect();
            prop_assert!(numbers(&batch, 2).iter().zip(&own).all(|(a, b)| near(*a, *b)));
        }
        let batch = ask(&session, "SELECT l2_norm(vector) FROM t ORDER BY id");
        prop_assert!(numbers(&batch, 0).iter().zip(&twin.rows).all(|(a, row)| near(*a, row.vector.map(|v| plain("l2_norm", v, v)))));

        // The nearest first, rows that are as near by their ids, nulls last.
        let nearest = ask(&session, &format!("SELECT id, vector <-> {text} AS d FROM t ORDER BY d, id LIMIT 7"));
        let mut all: Vec<(i64, Option<f64>)> = ask(&session, &format!("SELECT id, vector <-> {text} AS d FROM t ORDER BY id"))
            .column(0).as_primitive::<Int64Type>().values().iter().copied()
            .zip(numbers(&ask(&session, &format!("SELECT id, vector <-> {text} AS d FROM t ORDER BY id")), 1)).collect();
        all.sort_by(|a, b| a.1.is_none().cmp(&b.1.is_none()).then(a.1.partial_cmp(&b.1).unwrap()).then(a.0.cmp(&b.0)));
        let ids: Vec<i64> = nearest.column(0).as_primitive::<Int64Type>().values().to_vec();
        prop_assert_eq!(ids, all.iter().take(7).map(|a| a.0).collect::<Vec<_>>());
    }
}

fn four() -> (Twin, Session) {
    let vectors = [Some([3.0, 4.0]), Some([0.0, 0.0]), None, Some([f32::NAN, 1.0]), Some([-3.0, -4.0])];
    let rows = vectors.into_iter().map(|vector| Row { vector, ..Row::default() }).collect();
    let twin = Making { writes: vec![rows], deleted: vec![], edited: vec![] }.make(&small());
    let session = Memory::of(&twin).session();
    (twin, session)
}

#[test]
fn operators_are_those_of_pgvector() {
    let (_, session) = four();
    let sql = "SELECT vector <=> '[3, 4]', vector <-> '[0,0]'::vector(2), vector <#> '[1, 1]', l2_norm(vector), l2_norm('[3,4]'), \
               inner_product('[1,2]', '[3,4]'), vector <-> [3, 4.5] FROM t WHERE id = 0";
    assert_eq!(drawn(&ask(&session, sql)).lines().nth(1).unwrap(), "0.0|5.0|-7.0|5.0|5.0|11.0|0.5");
    // They bind as PostgreSQL's do: tighter than a comparison.
    assert_eq!(drawn(&ask(&session, "SELECT id FROM t WHERE vector <-> '[3, 4]' < 1")), "id\n0");
}

#[test]
fn zeros_and_what_is_no_number_come_last_and_nulls_behind_them() {
    let (_, session) = four();
    assert_eq!(drawn(&ask(&session, "SELECT id, vector <=> '[3, 4]' AS d FROM t ORDER BY d, id")), "id|d\n0|0.0\n4|2.0\n1|NaN\n3|NaN\n2|");
    assert_eq!(drawn(&ask(&session, "SELECT id FROM t ORDER BY vector <-> '[0, 0]', id")), "id\n1\n0\n4\n3\n2");
    assert_eq!(drawn(&ask(&session, "SELECT vector <=> NULL AS d FROM t WHERE id = 0")), "d\n");
}

#[test]
fn what_begins_with_the_least_alike_is_told() {
    let (_, session) = four();
    let hints = |sql: &str| session.query(sql, &Params::new(), None).unwrap().hints().len();
    for (sql, expected) in [
        ("SELECT id FROM t ORDER BY cosine_similarity(vector, '[1,2]') LIMIT 2", 1),
        ("SELECT id, inner_product(vector, '[1,2]') AS s FROM t ORDER BY s LIMIT 2", 1),
        ("SELECT id, cosine_similarity(vector, '[1,2]') AS s FROM t ORDER BY s", 0),
        ("SELECT id, cosine_similarity(vector, '[1,2]') AS s FROM t ORDER BY s DESC LIMIT 2", 0),
        ("SELECT id FROM t ORDER BY vector <=> '[1,2]' LIMIT 2", 0),
        ("SELECT id FROM t ORDER BY vector <#> '[1,2]' LIMIT 2", 0),
    ] {
        assert_eq!(hints(sql), expected, "{sql}");
    }
}

#[test]
fn one_table_need_not_be_named() {
    let (twin, session) = four();
    assert_eq!(drawn(&ask(&session, "SELECT id WHERE id > 2")), "id\n3\n4");
    assert_eq!(ask(&session, "SELECT *").num_rows(), 5);
    assert_eq!(drawn(&ask(&session, "SELECT id + 1 AS next ORDER BY id LIMIT 1")), "next\n1");
    assert_eq!(drawn(&ask(&session, "SELECT 1 AS x")), "x\n1");
    // Without a column there is one row, or none, whatever tables there are.
    assert_eq!(drawn(&ask(&session, "SELECT 1 AS x WHERE 2 > 1")), "x\n1");
    assert_eq!(ask(&session, "SELECT 1 AS x WHERE NULL").num_rows(), 0);
    assert_eq!(drawn(&ask(&session, "SELECT 1 AS x WHERE EXISTS (SELECT id FROM t)")), "x\n1");
    assert_eq!(drawn(&ask(&session, "SELECT substr('wren', start_pos => 2) AS x")), "x\nren");
    assert_eq!(drawn(&ask(&session, "SELECT substr('wren', start_pos => id) AS x WHERE id = 2")), "x\nren");
    assert_eq!(drawn(&ask(&session, "SELECT (SELECT max(id) FROM t) AS x")), "x\n4");
    assert_eq!(refusal(&session, "SELECT idd").to_string(), "no column 'idd' at line 1, column 8");
    let two = Memory::of(&twin).with("v1.0", "only", &twin).with("v2.0", "a", &twin).with("v2.0", "b", &twin).session();
    let at = |revision: &str| two.query("SELECT id WHERE id = 1", &Params::new(), Some(revision)).map(|answer| drawn(&whole(answer)));
    assert_eq!(at("v1.0").unwrap(), "id\n1");
    assert_eq!(at("v2.0").unwrap_err().to_string(), "a query without FROM reads the only table, but the tables are a, b");
}

#[test]
fn media_tell_of_themselves() {
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 6, y as u8 * 8, 0])).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    let blobs = [Some(png.clone()), Some(b"no picture".to_vec()), None];
    let rows = blobs.into_iter().map(|blob| Row { blob, ..Row::default() }).collect();
    let twin = Making { writes: vec![rows], deleted: vec![], edited: vec![] }.make(&small());
    let session = Memory::of(&twin).session();
    let told =
        drawn(&ask(&session, "SELECT width(blob) AS w, height(blob) AS h, byte_length(blob) AS n, media_type(blob) AS m, phash(blob) IS NULL AS p FROM t"));
    assert_eq!(told, format!("w|h|n|m|p\n40|30|{}|image/png|false\n||10||true\n||||true", png.len()));
    let hash = blake3::hash(b"no picture").to_hex();
    assert_eq!(drawn(&ask(&session, "SELECT encode(blake3(blob), 'hex') AS b FROM t WHERE id = 1")), format!("b\n{hash}"));
    assert_eq!(drawn(&ask(&session, "SELECT hamming(7, 1) AS a, hamming(-1, 0) AS b, hamming(NULL, 1) AS c")), "a|b|c\n2|64|");
    assert_eq!(drawn(&ask(&session, "SELECT hamming(phash(a.blob), phash(b.blob)) AS d FROM t a, t b WHERE a.id = 0 AND b.id = 0")), "d\n0");
    let empty: Arc<dyn Array> = ask(&session, "SELECT byte_length('') AS n").column(0).clone();
    assert_eq!(empty.as_primitive::<Int64Type>().value(0), 0);
}

#[test]
fn a_search_of_many_rows_keeps_the_nearest_as_they_come() {
    let row = |i: i32| Row { vector: (i % 7 != 0).then_some([(i % 13) as f32, 1.0]), ..Row::default() };
    let twin = Making { writes: vec![(0..200).map(row).collect()], deleted: vec![], edited: vec![] }.make(&small());
    let session = Memory::of(&twin).session();
    let sql = "SELECT id, vector <-> '[0, 1]' AS d FROM t WHERE id > 5 ORDER BY d LIMIT 6";
    let plan = ask(&session, &format!("EXPLAIN {sql}"));
    let plan = arrow::util::pretty::pretty_format_batches(&[plan]).unwrap().to_string();
    assert!(plan.contains("NearestExec: k=6, key=[l2_distance(vector, 2 numbers) ASC]"), "{plan}");
    let mut expected: Vec<(i64, f64)> =
        (0..).zip(&twin.rows).filter(|(id, _)| *id > 5).filter_map(|(id, row)| Some((id, plain("l2_distance", row.vector?, [0.0, 1.0])))).collect();
    expected.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    expected.truncate(6);
    let found = ask(&session, sql);
    let ids: Vec<i64> = found.column(0).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(ids, expected.iter().map(|(id, _)| *id).collect::<Vec<_>>(), "ties by row");
    assert!(numbers(&found, 1).iter().zip(&expected).all(|(found, (_, distance))| near(*found, Some(*distance))));
}
