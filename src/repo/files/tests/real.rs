//! Real files, read, written and read again.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

/// JSON by value: numbers as numbers, and null for what is missing.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.iter().all(|(k, v)| same(v, b.get(k).unwrap_or(&Value::Null))) && b.iter().all(|(k, v)| a.contains_key(k) || v.is_null())
        }
        _ => a == b,
    }
}

/// CSV by an independent reader: the `csv` crate's.
fn cells(text: &[u8], delimiter: u8) -> Vec<Vec<String>> {
    let mut reader = ::csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text);
    reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn same_cell(a: &str, b: &str) -> bool {
    a == b
        || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
        || a.eq_ignore_ascii_case(b) && matches!(b, "true" | "false")
        || a.replacen('T', " ", 1) == b
}

fn check_csv(path: &Path, text: &[u8], delimiter: u8) {
    let table = read(path).unwrap_or_else(|e| panic!("{e}"));
    let folder = tempfile::tempdir().unwrap();
    let name = if delimiter == b'\t' { "t.tsv" } else { "t.csv" };
    let out = folder.path().join(name);
    write_table(&out, &table).unwrap();
    let (before, after) = (cells(text, delimiter), cells(&std::fs::read(&out).unwrap(), delimiter));
    assert_eq!(before.len(), after.len(), "{}", path.display());
    for (i, (a, b)) in before.iter().zip(&after).enumerate() {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!(same_cell(a, b), "{}, record {}: {a:?} came back as {b:?}", path.display(), i + 1);
        }
    }
    // Types are found again, and the cells through the other formats.
    assert_eq!(read(&out).unwrap(), table, "{}", path.display());
    through_formats(&table);
}

fn through_formats(table: &Table) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["t.parquet", "t.arrow"] {
        let out = folder.path().join(name);
        write_table(&out, table).unwrap();
        assert_eq!(read(&out).unwrap(), *table);
    }
    for name in ["t.jsonl.gz", "t.json", "t.csv.zst"] {
        let out = folder.path().join(name);
        write_table(&out, table).unwrap();
        let options = ReadOptions { schema: Some(table.0.clone()), ..ReadOptions::default() };
        let again = read_all(&[&out], &options).unwrap();
        assert_eq!(lines(&again), lines(table));
    }
}

#[test]
fn csv_files() {
    let Some(data) = real_data() else { return };
    let mut seen = 0;
    let mut paths = files_below(&data.join("tabular"));
    paths.push(data.join("images-labelled-bccd/test.csv"));
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains(".csv") {
            continue;
        }
        let raw = std::fs::read(&path).unwrap();
        let text = match name.rsplit('.').next() {
            Some("gz") => {
                let mut out = Vec::new();
                std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&raw[..]), &mut out).unwrap();
                out
            }
            Some("zst") => zstd::decode_all(&raw[..]).unwrap(),
            _ => raw,
        };
        check_csv(&path, text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text), b',');
        seen += 1;
    }
    assert_eq!(seen, 10);
}

#[test]
fn the_ragged_tsv() {
    let Some(data) = real_data() else { return };
    let error = read(&data.join("tabular/qsv/boston311-100-bad.tsv")).unwrap_err().to_string();
    assert!(error.contains("boston311-100-bad.tsv, line ") && error.contains("fields"), "{error}");
    // Repaired, it is a TSV like others.
    let text = std::fs::read_to_string(data.join("tabular/qsv/boston311-100-bad.tsv")).unwrap();
    let width = text.lines().next().unwrap().split('\t').count();
    let good: String = text.split_inclusive('\n').filter(|line| line.split('\t').count() == width).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("good.tsv");
    std::fs::write(&path, &good).unwrap();
    check_csv(&path, good.as_bytes(), b'\t');
}

fn check_json(path: &Path, options: &ReadOptions, rows: &[Value]) {
    let table = read_all(&[path], options).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(table.1.num_rows(), rows.len());
    for (before, after) in rows.iter().zip(lines(&table)) {
        let after: Value = serde_json::from_str(&after).unwrap();
        assert!(same(before, &after), "{}:\n{before}\n{after}", path.display());
    }
    through_formats(&table);
}

#[test]
fn json_files() {
    let Some(data) = real_data() else { return };
    let parse = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let path = data.join("tabular/penguins.json");
    check_json(&path, &ReadOptions::default(), parse(&path).as_array().unwrap());
    let path = data.join("tabular/earthquakes.json");
    let features = ReadOptions { records: Some("features".to_owned()), ..ReadOptions::default() };
    check_json(&path, &features, parse(&path)["features"].as_array().unwrap());
    let mut seen = 0;
    for path in files_below(&data) {
        if path.extension().is_some_and(|e| e == "jsonl") {
            let text = std::fs::read_to_string(&path).unwrap();
            let rows: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
            check_json(&path, &ReadOptions::default(), &rows);
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
}

#[test]
fn parquet_and_npy_files() {
    let Some(data) = real_data() else { return };
    for path in [
        data.join("tabular/qsv/NYC311-5.parquet"),
        data.join("wiki-embeddings-768/chunk_embeddings.parquet"),
        data.join("wiki-embeddings-768/question_embeddings.parquet"),
    ] {
        let table = read(&path).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for name in ["t.parquet", "t.arrow"] {
            let out = folder.path().join(name);
            write_table(&out, &table).unwrap();
            assert_eq!(read(&out).unwrap(), table, "{}", path.display());
        }
    }
    let mut seen = 0;
    for path in files_below(&data.join("embeddings")) {
        if path.extension().is_some_and(|e| e == "npy") {
            let table = read(&path).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let out = folder.path().join("t.npy");
            write_table(&out, &table).unwrap();
            assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&path).unwrap(), "{} is written byte for byte", path.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 9);
}

#[test]
fn lists_of_doubles_as_embeddings() {
    let Some(data) = real_data() else { return };
    let path = data.join("wiki-embeddings-768/chunk_embeddings.parquet");
    let found = read(&path).unwrap();
    let (name, _) = found.0.iter().find(|(_, t)| t.to_string() == "list<float64>").unwrap().clone();
    let options = ReadOptions { types: vec![(name.clone(), "embedding(768)".parse().unwrap())], ..ReadOptions::default() };
    let (columns, rows) = read_all(&[&path], &options).unwrap();
    let at = columns.iter().position(|(n, _)| *n == name).unwrap();
    let wide = arrow::array::cast::AsArray::as_list::<i32>(found.1.column(at)).values().clone();
    let narrow = arrow::array::cast::AsArray::as_fixed_size_list(rows.column(at)).values().clone();
    let wide: Vec<f32> = arrow::array::cast::AsArray::as_primitive::<arrow::datatypes::Float64Type>(&wide).values().iter().map(|x| *x as f32).collect();
    assert_eq!(wide, arrow::array::cast::AsArray::as_primitive::<arrow::datatypes::Float32Type>(&narrow).values().to_vec());
    let wrong = ReadOptions { types: vec![(name, "embedding(767)".parse().unwrap())], ..ReadOptions::default() };
    assert!(read_all(&[&path], &wrong).unwrap_err().to_string().contains("row 1"));
}

#[test]
fn the_history_of_sp500() {
    let Some(data) = real_data() else { return };
    let packed = std::fs::read(data.join("history/sp500.tar.zst")).unwrap();
    let bytes = zstd::decode_all(&packed[..]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut versions = BTreeMap::new();
    for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut text).unwrap();
        versions.insert(name, text);
    }
    let (mut read_equal, mut ragged) = (0, Vec::new());
    for (name, text) in versions.iter().filter(|(name, _)| name.ends_with(".csv")) {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        match read(&path) {
            Ok(table) => {
                let out = folder.path().join("out.csv");
                write_table(&out, &table).unwrap();
                let (before, after) = (cells(text, b','), cells(&std::fs::read(&out).unwrap(), b','));
                assert_eq!(before.len(), after.len(), "{name}");
                for (a, b) in before.iter().flatten().zip(after.iter().flatten()) {
                    assert!(same_cell(a, b), "{name}: {a:?} came back as {b:?}");
                }
                read_equal += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains(&format!("{name}, line ")), "{error}");
                ragged.push(name.trim_end_matches(".csv").to_owned());
            }
        }
    }
    assert_eq!(ragged, ["0000", "0003", "0004", "0005", "0006", "0007", "0008"]);
    assert_eq!(read_equal, 182);
}
