//! Golden repositories: what a released version of the format wrote stays readable, by dsv and by a reader that shares no code with it.
//!
//! `fixtures/golden/v1/` holds a repository of format version 1 and what must be read from it. It was written once, by
//!
//! ```text
//! DSV_GOLDEN=DIR cargo test --test it golden::write -- --ignored
//! ```
//!
//! and is not written again: a later version of the format gets a folder of its own.

mod build;
mod cells;
pub mod python;
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsv::format::codec::Codec;
use dsv::format::node::Slice;
use dsv::format::snapshot::Snapshot;
use dsv::history::load_snapshot;
use dsv::repo::{LogOptions, Repo};
use dsv::table::Table;
use serde_json::{Value, json};

use build::Rows;

/// Tables of more lines than this are kept as a hash of their lines.
const LINES_MAX: usize = 100;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/v1")
}

/// A copy of the golden repository, which may be written to.
fn golden() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture().join("repo"), &dir.path().join(".dsv"));
    dir
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, name) = entry.map(|e| (e.path(), e.file_name())).unwrap();
        if entry.is_dir() {
            copy(&entry, &to.join(name));
        } else {
            fs::copy(&entry, to.join(name)).unwrap();
        }
    }
}

fn snapshot(repo: &Repo, revision: &str) -> Snapshot {
    let Some(branch) = revision.strip_prefix("working:") else { return repo.snapshot_at(revision).unwrap() };
    let state = repo.view().unwrap().state;
    let working = state.working(&dsv::format::operation::HeadRef::Branch(branch.to_owned())).unwrap().unwrap();
    load_snapshot(repo.objects(), working.snapshot).unwrap()
}

/// The rows of a table as dsv reads them, with their ids.
fn rows(repo: &Repo, revision: &str, table: &str) -> Rows {
    let table = Arc::new(Table::load(repo.objects(), snapshot(repo, revision).tables[table]).unwrap());
    table.scan(repo.objects()).with_row_ids(true).open().unwrap().flat_map(|batch| cells::rows(&batch.unwrap())).collect()
}

fn lines(rows: &Rows) -> Vec<String> {
    rows.iter().map(cells::line).collect()
}

/// How many lines, and the hash of all.
fn sum(lines: &[String]) -> Value {
    let mut hasher = blake3::Hasher::new();
    for line in lines {
        hasher.update(line.as_bytes()).update(b"\n");
    }
    json!({ "rows": lines.len(), "blake3": hasher.finalize().to_string() })
}

fn without_ids(mut rows: Rows) -> Rows {
    rows.iter_mut().for_each(|row| drop(row.shift_remove("_row")));
    rows
}

/// The tables that the fixture tells of: the sum of each by revision and table.
fn sums() -> BTreeMap<String, BTreeMap<String, Value>> {
    serde_json::from_str(&fs::read_to_string(fixture().join("expected/sums.json")).unwrap()).unwrap()
}

/// The lines of a table of that sum, where the fixture has them one by one.
fn wanted(table: &str, sum: &Value) -> Option<Vec<String>> {
    let path = fixture().join("expected").join(lines_file(table, sum));
    path.exists().then(|| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect())
}

fn lines_file(table: &str, sum: &Value) -> String {
    format!("{table}-{}.jsonl", &sum["blake3"].as_str().unwrap()[..8])
}

/// Holds what was read against what the fixture expects; `read` gives the lines of a table at a revision.
fn hold_against_fixture(who: &str, read: impl Fn(&str, &str) -> Vec<String>) {
    let sums = sums();
    assert_eq!(sums.keys().map(String::as_str).collect::<Vec<_>>(), ["codecs", "edits", "long", "types", "wide", "working:main"]);
    let mut seen = BTreeSet::new();
    for (revision, tables) in sums {
        for (table, wanted_sum) in tables {
            // Many rows are read once, though they are the same at several revisions.
            if !seen.insert((table.clone(), wanted_sum.to_string())) && wanted_sum["rows"].as_u64() > Some(LINES_MAX as u64) {
                continue;
            }
            let lines = read(&revision, &table);
            if let Some(wanted) = wanted(&table, &wanted_sum) {
                for (i, (found, wanted)) in lines.iter().zip(&wanted).enumerate() {
                    assert_eq!(found, wanted, "{who}: {revision} {table} row {i}");
                }
            }
            assert_eq!(sum(&lines), wanted_sum, "{who}: {revision} {table}");
        }
    }
}

/// The log and the refs as reader.py prints them.
fn history(repo: &Repo) -> (Vec<String>, Vec<String>) {
    let log = repo.log(&LogOptions::default()).unwrap();
    let log = log.iter().map(|entry| format!("{} {}: {}", entry.id, entry.commit.author.name, entry.commit.message)).collect();
    let state = repo.view().unwrap().state;
    let hex = |bytes: &[u8]| json!({ "hex": bytes.iter().map(|b| format!("{b:02x}")).collect::<String>() });
    let mut refs: BTreeMap<String, Value> = BTreeMap::new();
    refs.insert("HEAD".into(), json!(["branch", repo.current_branch().unwrap()]));
    refs.extend(state.branches().unwrap().into_iter().map(|(name, id)| (format!("heads/{name}"), hex(id.as_bytes()))));
    refs.extend(
        state
            .tags()
            .unwrap()
            .into_iter()
            .map(|(name, tag)| (format!("tags/{name}"), json!([hex(tag.commit.as_bytes()), tag.message, tag.name, tag.email, tag.millis]))),
    );
    refs.extend(state.workings().unwrap().into_iter().map(|(name, working)| {
        let base = working.base.map_or(Value::Null, |id| hex(id.as_bytes()));
        (format!("working/{name}"), json!([base, hex(working.snapshot.as_bytes())]))
    }));
    (log, refs.into_iter().map(|(key, value)| json!([key, value]).to_string()).collect())
}

fn expected_lines(name: &str) -> Vec<String> {
    fs::read_to_string(fixture().join("expected").join(name)).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn dsv_reads_the_golden_repository() {
    let dir = golden();
    let repo = Repo::open(dir.path()).unwrap();
    hold_against_fixture("dsv", |revision, table| lines(&rows(&repo, revision, table)));
    let (log, refs) = history(&repo);
    assert_eq!(log, expected_lines("log.txt"));
    assert_eq!(refs, expected_lines("refs.jsonl"));
}

#[test]
fn the_python_reader_reads_the_golden_repository() {
    let Some(python) = python::python() else { return };
    let dir = golden();
    hold_against_fixture("reader.py", |revision, table| python::lines(&python, dir.path(), &["rows", revision, table, "--json", "--ids"]));
    assert_eq!(python::lines(&python, dir.path(), &["log"]), expected_lines("log.txt"));
    assert_eq!(python::lines(&python, dir.path(), &["refs"]), expected_lines("refs.jsonl"));
}

#[test]
fn what_is_written_now_is_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    let (repo, expected) = build::build(dir.path());
    drop(repo);
    let repo = Repo::open(dir.path()).unwrap();
    let python = python::python();
    let mut seen = BTreeSet::new();
    for ((revision, table), wanted) in &expected {
        let found = rows(&repo, revision, table);
        let found_sum = sum(&lines(&found));
        assert_eq!(found.len(), wanted.len(), "{revision} {table}");
        for (i, (found, wanted)) in without_ids(found).iter().zip(wanted).enumerate() {
            assert_eq!(cells::line(found), cells::line(wanted), "{revision} {table} row {i}");
        }
        // Many rows are read once, though they are the same at several revisions.
        if let Some(python) = &python
            && (seen.insert((table, found_sum.to_string())) || wanted.len() <= LINES_MAX)
        {
            let read = python::lines(python, dir.path(), &["rows", revision, table, "--json", "--ids"]);
            assert_eq!(sum(&read), found_sum, "{revision} {table}");
        }
    }
}

#[test]
fn dsv_reads_what_was_written_from_the_page_alone() {
    let Some(python) = python::python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let output = python::run(&python, "test_reader.py", &["write", dir.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let repo = Repo::open(dir.path()).unwrap();
    let wanted: Vec<String> = fs::read_to_string(dir.path().join("rows.jsonl")).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(wanted.len(), 11);
    for revision in ["main", "v1", "main~1"] {
        assert_eq!(lines(&rows(&repo, revision, "t")), wanted);
    }
}

#[test]
fn the_tests_of_the_python_reader_pass() {
    let Some(python) = python::python() else { return };
    let output = python::run(&python, "test_reader.py", &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// tests/reader/rules.py follows what the page asks of writers alone.
#[test]
fn nodes_chunks_and_blocks_end_where_the_page_says() {
    let Some(python) = python::python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let repo = build::build_large(dir.path());
    let rules = |repository: &Path, arguments: &[&str]| {
        let output = python::run(&python, "rules.py", &[&[repository.to_str().unwrap()], arguments].concat());
        assert!(output.status.success(), "rules.py {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().parse::<usize>().unwrap()
    };
    // Several chunks a column, and trees of several nodes: the rules would show nothing otherwise.
    assert!(rules(dir.path(), &["chunks", "large", "wide"]) > 16);
    assert!(rules(dir.path(), &["chunks", "large", "numbers"]) > 1);
    let nodes = rules(dir.path(), &["trees", "large", "scattered"]);
    assert!(nodes > 50, "{nodes}");
    drop(repo);
    let golden = golden();
    for (revision, tables) in sums() {
        for table in tables.into_keys().filter(|table| *table != "constants" || revision == "types") {
            rules(golden.path(), &["trees", &revision, &table]);
        }
    }
    assert!(rules(golden.path(), &["chunks", "codecs", "codecs"]) > 10 && rules(golden.path(), &["chunks", "long", "long"]) > 1);
    for repository in [dir.path(), golden.path()] {
        assert!(rules(repository, &["checks"]) > 100);
    }
}

/// The fixture would show nothing of what it does not hold.
#[test]
fn the_golden_repository_holds_every_codec_and_slice() {
    let dir = golden();
    let repo = Repo::open(dir.path()).unwrap();
    let objects = repo.objects();
    let (mut codecs, mut slices, mut heights, mut storages) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut chunks_of_long = 0;
    for (revision, tables) in sums() {
        for name in tables.into_keys() {
            let table = Table::load(objects, snapshot(&repo, &revision).tables[&name]).unwrap();
            heights.insert(("spine", table.spine.get(&**objects).unwrap().root().height() > 0));
            heights.insert(("live", table.live.get(&**objects).unwrap().root().height() > 0));
            for column in &table.columns {
                let rope = column.get(&**objects).unwrap();
                heights.insert(("values", rope.root().height() > 0));
                for item in rope.items(&**objects, 0, rope.rows()).unwrap() {
                    let (_, slice) = item.unwrap();
                    let storage = dsv::format::types::storage_text(slice.data_type());
                    match slice {
                        Slice::Chunk { chunk, rows, .. } => {
                            let info = objects.chunk(chunk.id).unwrap();
                            codecs.extend(info.blocks.iter().map(|block| format!("{:?}", block.codec())));
                            slices.insert(if rows == chunk.rows { "whole chunk" } else { "part of a chunk" });
                            chunks_of_long += usize::from(name == "long" && revision == "long" && info.blocks.len() > 1);
                            storages.insert(("chunk", storage));
                        }
                        Slice::Literal(_) => drop((slices.insert("literal"), storages.insert(("literal", storage)))),
                        Slice::Constant { .. } => drop((slices.insert("constant"), storages.insert(("constant", storage)))),
                        Slice::Large(_) => drop(slices.insert("large")),
                    }
                }
            }
        }
    }
    let all = [
        Codec::Raw,
        Codec::Zstd,
        Codec::Shuffle(2),
        Codec::Shuffle(4),
        Codec::Shuffle(8),
        Codec::Shuffle(16),
        Codec::Delta(4),
        Codec::Delta(8),
        Codec::Dictionary,
        Codec::Lengths,
    ];
    assert_eq!(codecs, all.iter().map(|codec| format!("{codec:?}")).collect());
    assert_eq!(slices.into_iter().collect::<Vec<_>>(), ["constant", "large", "literal", "part of a chunk", "whole chunk"]);
    assert!(heights.contains(&("values", true)) && heights.contains(&("live", true)), "{heights:?}");
    assert!(chunks_of_long > 1, "{chunks_of_long}");
    let state = &dsv::history::load_operation(objects, repo.view().unwrap().mark.operation).unwrap().state;
    assert!(matches!(state, dsv::format::operation::StateRef::Node(_)), "the state is one leaf");
    for (text, values) in types::columns() {
        let storage = dsv::format::types::storage_text(arrow::array::Array::data_type(&values));
        assert!(storages.contains(&("chunk", storage.clone())), "{text}");
        assert!(storages.contains(&("constant", storage.clone())) || storages.contains(&("literal", storage)), "{text}");
    }
}

/// Writes a golden repository, and what must be read from it, into the empty folder `DSV_GOLDEN`. What is expected comes from the generator's
/// twin; the row ids, which the twin does not know, from dsv.
#[test]
#[ignore = "writes a fixture; run by hand, once for each version of the format"]
fn write() {
    let dir = PathBuf::from(std::env::var_os("DSV_GOLDEN").unwrap());
    let scratch = tempfile::tempdir().unwrap();
    let (repo, expected) = build::build(scratch.path());
    let mut sums: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    fs::create_dir_all(dir.join("expected")).unwrap();
    for ((revision, table), wanted) in expected {
        let ids = rows(&repo, &revision, &table).into_iter().map(|row| row["_row"].clone());
        let lines: Vec<String> = ids.zip(wanted).map(|(id, row)| cells::line(&std::iter::once(("_row".to_owned(), id)).chain(row).collect())).collect();
        let sum = sum(&lines);
        if lines.len() <= LINES_MAX {
            fs::write(dir.join("expected").join(lines_file(&table, &sum)), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        }
        sums.entry(revision).or_default().insert(table, sum);
    }
    fs::write(dir.join("expected/sums.json"), serde_json::to_string_pretty(&sums).unwrap() + "\n").unwrap();
    let (log, refs) = history(&repo);
    fs::write(dir.join("expected/log.txt"), log.join("\n") + "\n").unwrap();
    fs::write(dir.join("expected/refs.jsonl"), refs.join("\n") + "\n").unwrap();
    copy(&scratch.path().join(".dsv"), &dir.join("repo"));
}
