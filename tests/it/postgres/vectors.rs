//! Vectors against pgvector: operators, functions, order, nulls, zeros and refusals, on drawn vectors and on real ones.
//!
//! Both keep sums in float32, in other orders, so a distance of numbers with fractions may differ in its last digits: by `TOLERANCE` of the larger of the distance and 1. Vectors of small whole
//! numbers have exact sums, so there distances and order are the same to the bit.

use super::{Answer, Postgres, Row, dsv, same, session};
use crate::support::{Sandbox, data};
use dsv::repo::files::npy_numbers;

/// What distances of numbers with fractions may differ by, relative to the larger of themselves and 1.
const TOLERANCE: f64 = 3e-6;

const OPERATORS: [&str; 3] = ["<->", "<=>", "<#>"];

/// Numbers that look random, the same in each run (splitmix64).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Whole numbers from -3 to 3.
    fn whole(&mut self, width: usize) -> Vec<f32> {
        (0..width).map(|_| (self.next() % 7) as f32 - 3.0).collect()
    }

    /// Fractions from -1 to 1.
    fn fractions(&mut self, width: usize) -> Vec<f32> {
        (0..width).map(|_| (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0).collect()
    }
}

fn text(vector: &[f32]) -> String {
    format!("[{}]", vector.iter().map(f32::to_string).collect::<Vec<_>>().join(","))
}

/// The same rows in both: `id` from 0 on and `v`, a vector or null.
fn make(postgres: &mut Postgres, s: &Sandbox, name: &str, width: usize, rows: &[Option<Vec<f32>>]) {
    postgres.run(&format!("DROP TABLE IF EXISTS {name}"));
    postgres.run(&format!("CREATE TABLE {name} (id bigint, v vector({width}))"));
    let shown = |row: &Option<Vec<f32>>| row.as_ref().map_or("null".to_owned(), |v| text(v));
    for (number, part) in rows.chunks(200).enumerate() {
        let quoted = |(at, row): (usize, &Option<Vec<f32>>)| match row {
            Some(v) => format!("({}, '{}')", number * 200 + at, text(v)),
            None => format!("({}, null)", number * 200 + at),
        };
        postgres.run(&format!("INSERT INTO {name} VALUES {}", part.iter().enumerate().map(quoted).collect::<Vec<_>>().join(", ")));
    }
    let lines: String = rows.iter().enumerate().map(|(id, row)| format!("{{\"id\": {id}, \"v\": {}}}\n", shown(row))).collect();
    let file = format!("{name}.jsonl");
    s.file(&file, lines);
    s.ok(["import", name, &file, "--schema", &format!("id=int64,v=embedding({width})")]);
}

#[track_caller]
fn both(postgres: &mut Postgres, session: &dsv::query::Session, sql: &str) -> (Answer, Vec<Row>) {
    let theirs = postgres.ask(sql).unwrap_or_else(|e| panic!("PostgreSQL: {e}\n{sql}"));
    let ours = dsv(session, sql).unwrap_or_else(|e| panic!("dsv: {e}\n{sql}"));
    (theirs, ours)
}

#[track_caller]
fn assert_same(postgres: &mut Postgres, session: &dsv::query::Session, sql: &str, tolerance: f64) {
    let (theirs, ours) = both(postgres, session, sql);
    assert!(same(&theirs, &ours, tolerance), "{sql}\nPostgreSQL: {:?}\ndsv:        {ours:?}", theirs.rows);
}

#[test]
fn whole_numbers_have_the_same_distances_and_order_to_the_bit() {
    let Some(mut guard) = Postgres::start() else { return };
    let postgres = &mut *guard;
    let (s, mut draw) = (Sandbox::repo(), Draw(1));
    let widths = [1, 2, 3, 16, 17, 100];
    let tables: Vec<(String, Vec<f32>)> = widths.iter().map(|width| (format!("t{width}"), draw.whole(*width))).collect();
    for (width, (name, _)) in widths.iter().zip(&tables) {
        // Many are equal, so that ties count; one of zeros, and nulls among them.
        let mut rows: Vec<Option<Vec<f32>>> = (0..300).map(|at| (at % 11 != 5).then(|| draw.whole(*width))).collect();
        rows[17] = Some(vec![0.0; *width]);
        make(postgres, &s, name, *width, &rows);
    }
    let session = session(&s);
    for (name, query) in &tables {
        let q = format!("'{}'", text(query));
        // Cosines are quotients of float32 sums, which both divide as float64.
        for (operator, tolerance) in [("<->", 0.0), ("<=>", 1e-15), ("<#>", 0.0)] {
            for q in [q.clone(), format!("{q}::vector"), format!("{q}::vector({})", query.len())] {
                assert_same(postgres, &session, &format!("SELECT id, v {operator} {q} AS d FROM {name} ORDER BY id"), tolerance);
            }
            // The cosine's rounding may part what is tied, so its order is compared on the first table alone, where it has two values.
            if operator != "<=>" || query.len() == 1 {
                assert_same(postgres, &session, &format!("SELECT id, {q} {operator} v AS d FROM {name} ORDER BY d, id"), tolerance);
                assert_same(postgres, &session, &format!("SELECT id FROM {name} ORDER BY v {operator} {q}, id LIMIT 20"), 0.0);
                assert_same(postgres, &session, &format!("SELECT id FROM {name} ORDER BY v {operator} {q} DESC, id LIMIT 40"), 0.0);
                assert_same(postgres, &session, &format!("SELECT id FROM {name} WHERE id % 3 = 0 ORDER BY v {operator} {q}, id LIMIT 20 OFFSET 3"), 0.0);
            }
        }
        for function in ["l2_distance", "inner_product", "cosine_distance"] {
            assert_same(postgres, &session, &format!("SELECT id, {function}(v, {q}) FROM {name} ORDER BY id"), 1e-15);
        }
        assert_same(postgres, &session, &format!("SELECT count(*), count(v <-> {q}) FROM {name} WHERE v <-> {q} < 5"), 0.0);
        assert_same(postgres, &session, &format!("SELECT a.id, b.id, a.v <-> b.v FROM {name} a JOIN {name} b ON b.id = a.id + 1 ORDER BY 1"), 0.0);
        assert_same(postgres, &session, &format!("SELECT id % 4, min(v <-> {q}), max(v <#> {q}) FROM {name} GROUP BY 1 ORDER BY 1"), 0.0);
        // pgvector calls the length of a vector vector_norm, and l2_norm that of its other types.
        let (theirs, ours) =
            (postgres.ask(&format!("SELECT vector_norm(v) FROM {name} ORDER BY id")), dsv(&session, &format!("SELECT l2_norm(v) FROM {name} ORDER BY id")));
        assert!(same(&theirs.unwrap(), &ours.unwrap(), 1e-15), "the lengths of {name}");
    }
}

/// The rows of an answer as id and distance.
fn pairs(rows: &[Row]) -> Vec<(i64, f64)> {
    let number = |cell: &Option<String>| cell.as_ref().unwrap().parse::<f64>().unwrap();
    rows.iter().map(|row| (number(&row[0]) as i64, number(&row[1]))).collect()
}

/// Nearest vectors in both: distances that differ by no more than the tolerance, and the same rows at the same places but where distances are so close that float32 cannot tell. How many
/// places have another row.
fn compare_nearest(postgres: &mut Postgres, session: &dsv::query::Session, table: &str, operator: &str, query: &[f32]) -> usize {
    let sql = format!("SELECT id, v {operator} '{}' AS d FROM {table} ORDER BY d, id LIMIT 100", text(query));
    let (theirs, ours) = both(postgres, session, &sql);
    let (theirs, ours) = (pairs(&theirs.rows), pairs(&ours));
    assert_eq!((theirs.len(), ours.len()), (100, 100), "{table} {operator}");
    let mut moved = 0;
    for (at, ((their_id, their_d), (our_id, our_d))) in theirs.iter().zip(&ours).enumerate() {
        let slack = TOLERANCE * their_d.abs().max(1.0);
        assert!((their_d - our_d).abs() <= slack, "{table} {operator} at {at}: {their_d} and {our_d}");
        if their_id != our_id {
            let place = theirs.iter().find(|(id, _)| id == our_id);
            assert!(place.is_none_or(|(_, d)| (d - their_d).abs() <= slack), "{table} {operator}: row {our_id} at {at}");
            moved += 1;
        }
    }
    moved
}

#[test]
fn fractions_and_real_embeddings_have_the_same_nearest() {
    let Some(mut guard) = Postgres::start() else { return };
    let postgres = &mut *guard;
    let (s, mut draw) = (Sandbox::repo(), Draw(2));
    let rows: Vec<Option<Vec<f32>>> = (0..500).map(|_| Some(draw.fractions(100))).collect();
    make(postgres, &s, "drawn", 100, &rows);
    let queries: Vec<Vec<f32>> = (0..4).map(|_| draw.fractions(100)).collect();
    let session = session(&s);
    for operator in OPERATORS {
        let moved: usize = queries.iter().map(|query| compare_nearest(postgres, &session, "drawn", operator, query)).sum();
        println!("drawn {operator}: {moved} of 400 places have another row, within the precision of float32");
        assert!(moved <= 4);
    }
    let Some(folder) = data("embeddings") else { return };
    let numbers = |name: &str| npy_numbers(&std::fs::read(folder.join(name)).unwrap()).unwrap();
    let narrow = |numbers: &[f64]| numbers.iter().map(|x| *x as f32).collect::<Vec<f32>>();
    let base: Vec<Option<Vec<f32>>> = numbers("gsm8k-minilm-base-1219x384.f32.npy").chunks(384).map(|row| Some(narrow(row))).collect();
    make(postgres, &s, "real", 384, &base);
    for operator in OPERATORS {
        let queries = numbers("gsm8k-minilm-query-100x384.f32.npy");
        let moved: usize = queries.chunks(384).step_by(10).map(|q| compare_nearest(postgres, &session, "real", operator, &narrow(q))).sum();
        println!("real {operator}: {moved} of 1,000 places have another row, within the precision of float32");
        assert!(moved <= 10);
    }
}

#[test]
fn zeros_nulls_and_what_is_no_vector() {
    let Some(mut guard) = Postgres::start() else { return };
    let postgres = &mut *guard;
    let s = Sandbox::repo();
    let rows = [Some(vec![1.0, 2.0]), Some(vec![0.0, 0.0]), None, Some(vec![-1.0, -2.0]), Some(vec![3.0e38, 3.0e38]), Some(vec![1.0e-30, 0.0])];
    make(postgres, &s, "z", 2, &rows);
    let session = session(&s);
    for sql in [
        "SELECT id, v <=> '[0,0]' FROM z ORDER BY id",
        "SELECT id FROM z ORDER BY v <=> '[1,0]', id",
        "SELECT id FROM z ORDER BY v <=> '[1,0]' DESC, id",
        "SELECT id FROM z ORDER BY v <=> '[1,0]' DESC NULLS LAST, id LIMIT 3",
        "SELECT id, v <=> NULL, NULL <-> v FROM z ORDER BY id",
        "SELECT id, v <-> v, v <#> v FROM z WHERE id < 4 ORDER BY id",
        "SELECT id FROM z WHERE (v <=> '[1,2]') IS NULL ORDER BY id",
        "SELECT '[1,2,3]'::vector <-> '[1,2,4]', '[1, 2, 3]'::vector <=> ' [4,5,6] ', '[1,2]'::vector <#> '[3,4]'",
        "SELECT '[1e2,-2.5E-1]'::vector <-> '[0,0]'",
        "SELECT cosine_distance('[1,1]'::vector, '[1,-1]'::vector), l2_distance('[1,1]'::vector, '[4,5]'), inner_product('[1,1]'::vector, '[1,-1]')",
    ] {
        assert_same(postgres, &session, sql, TOLERANCE);
    }
    // What neither answers.
    for sql in [
        "SELECT v <-> '[1,2,3]' FROM z",
        "SELECT v <=> '[1]' FROM z",
        "SELECT '[1,2]'::vector <#> '[1,2,3]'::vector",
        "SELECT v <-> '[1,2' FROM z",
        "SELECT v <-> '1,2' FROM z",
        "SELECT v <-> '[]' FROM z",
        "SELECT v <-> '[1,,2]' FROM z",
        "SELECT v <-> '[a,b]' FROM z",
        "SELECT v <-> 'wren' FROM z",
        "SELECT v <-> 3 FROM z",
        "SELECT cosine_distance(v) FROM z",
        "SELECT v <-> '[1,2,null]' FROM z",
    ] {
        assert!(postgres.ask(sql).is_err(), "PostgreSQL answers {sql}");
        assert!(dsv(&session, sql).is_err(), "dsv answers {sql}");
    }
}
