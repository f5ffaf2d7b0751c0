//! Nearest vectors on real data, against exact answers that were made with float64, and against a plain loop.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use dsv::format::Type;
use dsv::query::{Options, Param, Params, Session};
use dsv::repo::files::npy_numbers;
use dsv::repo::{Repo, RepoError};
use dsv::table::Table;
use dsv::table::write::RowWriter;

use crate::support::{Sandbox, data};

/// The rows of a square of numbers in an `.npy` file.
fn rows(file: &std::path::Path, width: usize) -> Vec<Vec<f64>> {
    npy_numbers(&std::fs::read(file).unwrap()).unwrap().chunks(width).map(<[f64]>::to_vec).collect()
}

#[test]
fn nearest_vectors_are_the_true_ones() {
    let Some(folder) = data("embeddings") else { return };
    let s = Sandbox::repo();
    let file = |name: &str| folder.join(format!("gsm8k-minilm-{name}.npy"));
    s.ok(["import".into(), "base".into(), file("base-1219x384.f32")]);
    // Rows by number: their place in the file.
    let session = Session::new(std::sync::Arc::new(Repo::open(&s.path(".")).unwrap()), Options::default()).unwrap();
    let queries = rows(&file("query-100x384.f32"), 384);
    let ask = |sql: &str, query: &[f64]| {
        let numbers: Vec<String> = query.iter().map(f64::to_string).collect();
        let mut params = Params::new();
        params.set("v", Param::Text(format!("[{}]", numbers.join(","))));
        session.query(sql, &params, None).unwrap().map(|batch| batch.unwrap()).collect::<Vec<_>>()
    };
    for (operator, name) in [("<->", "l2"), ("<=>", "cosine"), ("<#>", "negip")] {
        let (truth, distances) = (rows(&file(&format!("gt-{name}-100x100.i32")), 100), rows(&file(&format!("gtdist-{name}-100x100.f64")), 100));
        let sql = format!(
            "WITH numbered AS (SELECT row_number() OVER () - 1 AS n, embedding FROM base) \
             SELECT n::bigint AS n, embedding {operator} :v AS d FROM numbered ORDER BY d, n LIMIT 100"
        );
        let (mut equal, mut swapped) = (0, 0);
        for ((query, truth), distances) in queries.iter().zip(&truth).zip(&distances) {
            let batches = ask(&sql, query);
            let ids: Vec<i64> = batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
            let found: Vec<f64> = batches.iter().flat_map(|b| b.column(1).as_primitive::<Float64Type>().values().to_vec()).collect();
            assert_eq!((ids.len(), found.len()), (100, 100));
            for (at, ((id, d), (true_id, true_d))) in ids.iter().zip(&found).zip(truth.iter().zip(distances)).enumerate() {
                assert!((d - true_d).abs() < 2e-6, "{name}: {d} and {true_d}");
                if *id == *true_id as i64 {
                    equal += 1;
                    continue;
                }
                // Another order is right only where float32 cannot tell the two apart.
                let place = truth.iter().position(|t| *t as i64 == *id);
                assert!(place.is_none_or(|place| (distances[place] - distances[at]).abs() < 2e-7), "{name}: row {id} at {at}");
                swapped += 1;
            }
        }
        println!("{name}: {equal} of 10,000 at their place, {swapped} in another order within the precision of float32");
        assert!(swapped <= 20, "{name}: {swapped}");
    }
}

#[test]
fn pictures_that_look_alike_and_vectors_of_half_precision() {
    let Some(folder) = data("embeddings") else { return };
    let s = Sandbox::repo();
    let file = folder.join("images-efflite0-404x1280.f16.npy");
    s.ok(["import".into(), "features".into(), file.clone()]);
    let features = rows(&file, 1280);
    let cosine = |a: &[f64], b: &[f64]| {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let expected: Vec<f64> = features.iter().map(|row| cosine(row, &features[7])).collect();
    let numbers: Vec<String> = features[7].iter().map(f64::to_string).collect();
    let told = s.ok(["query", "SELECT embedding <=> :v AS d FROM features", "-p", &format!("v=[{}]", numbers.join(",")), "--format", "csv"]);
    let found: Vec<f64> = told.lines().skip(1).map(|line| line.parse().unwrap()).collect();
    assert_eq!(found.len(), 404);
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5));
}

/// Nearest neighbours as SQL finds them: rows by distance, those as near by their number.
fn found(session: &Session, operator: &str, query: &[f32], limit: usize) -> Vec<(i64, f64)> {
    let mut params = Params::new();
    params.set("q", Param::Text(format!("[{}]", query.iter().map(f32::to_string).collect::<Vec<_>>().join(","))));
    let sql = format!("SELECT id, v {operator} :q AS d FROM pictures ORDER BY d, id LIMIT {limit}");
    let batches: Vec<_> = session.query(&sql, &params, None).unwrap().map(|batch| batch.unwrap()).collect();
    let pairs = |b: &RecordBatch| {
        let (ids, distances) = (b.column(0).as_primitive::<Int64Type>().values().to_vec(), b.column(1).as_primitive::<Float64Type>().values().to_vec());
        ids.into_iter().zip(distances).collect::<Vec<_>>()
    };
    batches.iter().flat_map(pairs).collect()
}

/// The same by a plain loop over whole numbers.
fn brute(pixels: &[Vec<u8>], operator: &str, query: &[u8], limit: usize) -> Vec<(i64, f64)> {
    let dot = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| u64::from(*a) * u64::from(*b)).sum::<u64>();
    let of_query = dot(query, query);
    let distance = |row: &Vec<u8>| {
        let (own, both) = (dot(row, row), dot(row, query));
        if operator == "<->" { ((own + of_query - 2 * both) as f64).sqrt() } else { 1.0 - both as f64 / (own as f64 * of_query as f64).sqrt() }
    };
    let mut all: Vec<(i64, f64)> = pixels.iter().enumerate().map(|(at, row)| (at as i64, distance(row))).collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    all.truncate(limit);
    all
}

/// 10,000 real pictures as vectors of 784 numbers. With 16 shades all sums are whole numbers that float32 holds, so distances and ties are exact, and there are many ties by L2.
#[test]
fn nearest_pictures_are_those_that_a_plain_loop_finds() {
    let Some(file) = data("mnist-t10k/t10k-images-idx3-ubyte.gz") else { return };
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_end(&mut bytes).unwrap();
    let (width, rows) = (784, 10_000);
    assert_eq!(bytes.len(), 16 + rows * width);
    let full: Vec<Vec<u8>> = bytes[16..].chunks(width).map(<[u8]>::to_vec).collect();
    let coarse: Vec<Vec<u8>> = full.iter().map(|row| row.iter().map(|pixel| pixel / 16).collect()).collect();
    let floats = |row: &[u8]| row.iter().map(|pixel| f32::from(*pixel)).collect::<Vec<f32>>();
    for (pixels, exact) in [(&coarse, true), (&full, false)] {
        let s = Sandbox::repo();
        let repo = Repo::open(&s.path(".")).unwrap();
        let columns = [("id".to_owned(), Type::INT64), ("v".to_owned(), Type::Embedding { dim: width as u32, half: false })];
        repo.create_table("pictures", &columns, &[], "test").unwrap();
        let write = |table: Arc<Table>| -> Result<Table, RepoError> {
            let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
            let numbers = Float32Array::from_iter_values(pixels.iter().flat_map(|row| floats(row)));
            let vectors = FixedSizeListArray::new(Arc::new(Field::new("item", DataType::Float32, true)), width as i32, Arc::new(numbers), None);
            let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
            writer.push(&RecordBatch::try_new(table.schema.arrow(&[0, 1]), vec![ids, Arc::new(vectors)]).unwrap(), &[])?;
            Ok(table.append(repo.objects(), writer.finish()?)?)
        };
        repo.edit_table("pictures", "test", write).unwrap();
        let session = Session::new(Arc::new(repo), Options::default()).unwrap();
        let (mut ties, mut queries) = (0, 0);
        for query in (0..rows).step_by(if exact { 1250 } else { 5000 }) {
            for operator in ["<->", "<=>"] {
                let (expected, found) = (brute(pixels, operator, &pixels[query], 200), found(&session, operator, &floats(&pixels[query]), 200));
                assert_eq!((expected.len(), found.len()), (200, 200));
                if exact && operator == "<->" {
                    assert_eq!(found, expected, "the nearest of picture {query}");
                }
                // Cosines divide whole numbers, and may differ in the last digit; larger numbers than float32 holds differ in its last digits.
                let slack = |d: f64| if exact { 1e-14 } else { 2e-6 * d.max(1.0) };
                for (at, (e, f)) in expected.iter().zip(&found).enumerate() {
                    assert!((e.1 - f.1).abs() <= slack(e.1), "picture {query} {operator} at {at}: {e:?} and {f:?}");
                    let place = expected.iter().find(|(id, _)| *id == f.0);
                    assert!(e.0 == f.0 || place.is_none_or(|p| (p.1 - e.1).abs() <= slack(e.1)), "picture {query} {operator} at {at}: {e:?} and {f:?}");
                }
                ties += expected.windows(2).filter(|pair| pair[0].1 == pair[1].1).count();
                queries += 1;
            }
        }
        println!("{queries} queries, {ties} ties among the nearest 200");
        assert!(ties > 0 || !exact);
    }
}

/// A `.npy` file of float32.
fn npy(numbers: &[f32]) -> Vec<u8> {
    let mut head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}", numbers.len()).into_bytes();
    head.resize(118 - 1, b' ');
    head.push(b'\n');
    let mut out = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    out.extend(head);
    out.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
    out
}

#[test]
fn queries_take_vectors_from_files() {
    let s = Sandbox::repo();
    s.file("v.jsonl", "{\"id\": 1, \"v\": [1, 0]}\n{\"id\": 2, \"v\": [0, 1]}\n{\"id\": 3, \"v\": [3, 3]}\n");
    for ty in ["embedding(2)", "embedding(2,float16)"] {
        s.ok(["import", "t", "v.jsonl", "--replace", "--types", &format!("v={ty}")]);
        s.file("q.npy", npy(&[0.0, 2.0]));
        s.file("q.sql", "SELECT id, v <=> :q AS d FROM t ORDER BY d LIMIT 2");
        assert_eq!(
            s.ok(["query", "-f", "q.sql", "-p", "q=@q.npy", "--format", "csv"]).lines().map(|l| l.split('.').next().unwrap()).collect::<Vec<_>>(),
            ["id,d", "2,0", "3,0"]
        );
    }
    assert_eq!(s.ok(["query", "SELECT id WHERE v <-> :q < 0.5", "-p", "q=[1,0]", "--format", "csv", "--memory", "100"]), "id\n1\n");
    let ran = s.run(["query", "SELECT id FROM t ORDER BY inner_product(v, '[1,1]') LIMIT 1", "--timing"]);
    assert!(ran.stderr.contains("hint: a similarity in ascending order") && ran.stderr.contains("Took "), "{}", ran.stderr);
    s.refused(2, ["query", "SELECT v <-> :q FROM t", "-p", "q=@missing.npy"]);
    s.file("bad.npy", "no array");
    assert!(s.refused(2, ["query", "SELECT v <-> :q FROM t", "-p", "q=@bad.npy"]).contains("bad.npy"));
    assert!(s.refused(2, ["query", "SELECT v <-> '[1,2,3]' FROM t"]).contains("vectors of 2 and of 3 numbers"));
    s.refused(2, ["query"]);
    s.refused(2, ["query", "SELECT 1", "-f", "q.sql"]);
    s.refused(2, ["query", "SELECT 1", "--memory", "0"]);
}
