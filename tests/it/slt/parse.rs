//! Reads .slt files: statements and queries with what is expected of them.
//!
//! The format is sqllogictest's, as far as DataFusion's files use it: records with blank lines between them, `include`, `halt`, `onlyif` and `skipif`.

use std::path::Path;

/// How the rows of an answer are put in order before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    None,
    Rows,
    Values,
}

/// What a record expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// It runs.
    Done,
    /// It fails, in whatever words.
    Error,
    /// Rows, as lines of text, and a letter for each column's type.
    Rows { types: String, sort: Sort, lines: Vec<String> },
}

/// One statement or query.
#[derive(Debug, Clone)]
pub struct Record {
    /// The file, from the folder of all on, and the line.
    pub place: String,
    pub sql: String,
    pub expected: Expected,
}

/// The records of a file, those of the files that it includes among them.
pub fn read(folder: &Path, file: &str) -> Vec<Record> {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines: Vec<&str> = text.lines().collect();
    let mut records = Vec::new();
    let mut at = 0;
    // `onlyif` and `skipif` stand before the record that they are about.
    let mut skip = false;
    while at < lines.len() {
        let line = lines[at].trim_end();
        let start = at;
        at += 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let record = match words[0] {
            "halt" => break,
            "onlyif" => {
                skip |= !words[1].eq_ignore_ascii_case("datafusion");
                continue;
            }
            "skipif" => {
                skip |= words[1].eq_ignore_ascii_case("datafusion");
                continue;
            }
            "include" => {
                for included in included(folder, file, words[1]) {
                    records.extend(read(folder, &included).into_iter().map(|r| Record { place: format!("{file}>{}", r.place), ..r }));
                }
                continue;
            }
            "hash-threshold" | "control" | "subtest" => continue,
            "statement" | "query" => record(&words, &lines, &mut at),
            _ => panic!("{file}:{}: '{line}' is no record", start + 1),
        };
        if !std::mem::take(&mut skip) {
            let (sql, expected) = record;
            records.push(Record { place: format!("{file}:{}", start + 1), sql, expected });
        }
    }
    records
}

/// The text of a record and what it expects; `at` is moved behind it.
fn record(words: &[&str], lines: &[&str], at: &mut usize) -> (String, Expected) {
    let mut sql = Vec::new();
    let mut ruled = false;
    // The first line belongs to the text even if it is empty.
    while *at < lines.len() && (sql.is_empty() || !lines[*at].trim().is_empty()) {
        ruled = lines[*at].trim_end() == "----";
        *at += 1;
        if ruled {
            break;
        }
        sql.push(lines[*at - 1]);
    }
    let sql = sql.join("\n");
    let fails = words.get(1) == Some(&"error");
    if fails && ruled {
        // The text of an error ends at two blank lines.
        while *at < lines.len() && !(lines[*at].trim().is_empty() && lines.get(*at + 1).is_none_or(|next| next.trim().is_empty())) {
            *at += 1;
        }
    }
    if fails {
        return (sql, Expected::Error);
    }
    let mut rows = Vec::new();
    while ruled && *at < lines.len() && !lines[*at].is_empty() {
        rows.push(lines[*at].trim_end().to_owned());
        *at += 1;
    }
    if words[0] == "statement" {
        return (sql, Expected::Done);
    }
    let sort = match words.get(2) {
        Some(&"rowsort") => Sort::Rows,
        Some(&"valuesort") => Sort::Values,
        _ => Sort::None,
    };
    (sql, Expected::Rows { types: words.get(1).unwrap_or(&"").to_string(), sort, lines: rows })
}

/// The files that `include` names, from the folder of all on; `*` stands for anything in the last part.
fn included(folder: &Path, file: &str, pattern: &str) -> Vec<String> {
    let beside = Path::new(file).parent().unwrap_or(Path::new("")).join(pattern.trim_start_matches("./"));
    let (dir, name) = (beside.parent().unwrap_or(Path::new("")), beside.file_name().and_then(|n| n.to_str()).unwrap_or_default());
    let Some((before, after)) = name.split_once('*') else { return vec![beside.to_string_lossy().into_owned()] };
    let names = std::fs::read_dir(folder.join(dir)).unwrap_or_else(|e| panic!("{file}: {pattern}: {e}")).map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let mut found: Vec<String> = names.filter(|n| n.starts_with(before) && n.ends_with(after)).map(|n| dir.join(n).to_string_lossy().into_owned()).collect();
    found.sort();
    found
}

#[test]
fn records_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let text = "# a word\nstatement ok\nCREATE TABLE t AS\nVALUES (1)\n\nquery IT rowsort\nSELECT 1, ''\n----\n1 (empty)\n2  b \n\nstatement error no\nDROP x\n\n\
                query error\nSELECT y\n----\ntold\n\nmore\n\n\nonlyif postgres\nstatement ok\nSELECT 2\n\ninclude ./p*.part\n\nhalt\n\nquery I\nSELECT 3\n";
    std::fs::write(dir.path().join("a.slt"), text).unwrap();
    std::fs::write(dir.path().join("p1.part"), "query I\nSELECT 4\n----\n4").unwrap();
    std::fs::write(dir.path().join("p2.part"), "statement count 1\nINSERT INTO t VALUES (1)\n").unwrap();
    let rows = |types: &str, sort, lines: &[&str]| Expected::Rows { types: types.into(), sort, lines: lines.iter().map(ToString::to_string).collect() };
    let found: Vec<(String, String, Expected)> = read(dir.path(), "a.slt").into_iter().map(|r| (r.place, r.sql, r.expected)).collect();
    let expected = [
        ("a.slt:2", "CREATE TABLE t AS\nVALUES (1)", Expected::Done),
        ("a.slt:6", "SELECT 1, ''", rows("IT", Sort::Rows, &["1 (empty)", "2  b"])),
        ("a.slt:12", "DROP x", Expected::Error),
        ("a.slt:15", "SELECT y", Expected::Error),
        ("a.slt>p1.part:1", "SELECT 4", rows("I", Sort::None, &["4"])),
        ("a.slt>p2.part:1", "INSERT INTO t VALUES (1)", Expected::Done),
    ];
    assert_eq!(found, expected.map(|(place, sql, expected)| (place.to_owned(), sql.to_owned(), expected)));
}
