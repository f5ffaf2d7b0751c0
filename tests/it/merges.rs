//! Real three-way merges of CSV files, with what the people who merged them made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use dsv::repo::files::{Input, ReadOptions, Target, WriteOptions};
use dsv::repo::{
    CommitOptions, Environment, ImportMode, ImportOptions, MergeOutcome, MergeReport, MergeRequest, OpenOptions, Pick, Repo, Resolution, SwitchOptions,
};
use dsv::table::merge::Side;

use crate::replay::real_data;

type Record = BTreeMap<String, String>;
type Key = Vec<String>;

/// The file of one case and their manifest.
fn archive(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut tar = tar::Archive::new(zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap());
    let mut found = BTreeMap::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().trim_start_matches("./").to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        found.insert(name, bytes);
    }
    found
}

/// The rows of a CSV by column, numbers by value.
fn records(csv: &[u8]) -> Vec<Record> {
    let mut reader = csv::Reader::from_reader(csv);
    let header = reader.headers().unwrap().clone();
    let cell = |text: &str| text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| number.to_string());
    reader.records().map(|row| header.iter().map(str::to_owned).zip(row.unwrap().iter().map(cell)).collect()).collect()
}

fn by_key(records: &[Record], key: &[String]) -> BTreeMap<Key, Record> {
    records.iter().map(|row| (key.iter().map(|column| row[column].clone()).collect(), row.clone())).collect()
}

/// Merges rows by key and cell; the rows, and the cells in conflict (without a column where a deletion meets a change).
fn naive(base: &BTreeMap<Key, Record>, ours: &BTreeMap<Key, Record>, theirs: &BTreeMap<Key, Record>) -> (Vec<Record>, BTreeSet<(Key, Option<String>)>) {
    let (mut rows, mut conflicts) = (Vec::new(), BTreeSet::new());
    for key in base.keys().chain(ours.keys()).chain(theirs.keys()).collect::<BTreeSet<_>>() {
        match (base.get(key), ours.get(key), theirs.get(key)) {
            (b, Some(o), Some(t)) => {
                let mut row = o.clone();
                for (column, value) in t {
                    let was = b.and_then(|b| b.get(column));
                    if o.get(column) != Some(value) {
                        if was == o.get(column) {
                            row.insert(column.clone(), value.clone());
                        } else if was != Some(value) {
                            conflicts.insert((key.clone(), Some(column.clone())));
                        }
                    }
                }
                rows.push(row);
            }
            (None, Some(row), None) | (None, None, Some(row)) => rows.push(row.clone()),
            (Some(b), Some(row), None) | (Some(b), None, Some(row)) if b != row => drop(conflicts.insert((key.clone(), None))),
            _ => {}
        }
    }
    rows.sort();
    (rows, conflicts)
}

/// Imports, branches, replaces and merges; the error of an import where one is refused.
fn merged(folder: &Path, files: [&[u8]; 3], key: &[String], strategy: Option<Side>) -> Result<(Repo, MergeReport), String> {
    let environment = Environment::fixed(|| 1_767_225_600_000, &[("DSV_AUTHOR_NAME", "Ada"), ("DSV_AUTHOR_EMAIL", "ada@example.org")]);
    let repo = Repo::init_with(folder, "main", &OpenOptions { environment, ..OpenOptions::default() }).unwrap();
    let import = |name: &str, bytes: &[u8], mode: ImportMode| -> Result<(), String> {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        let options = ImportOptions { mode, key: key.to_vec(), read: ReadOptions::default(), keep: None };
        repo.import("t", &[Input::Path(path)], &options, name).map_err(|e| e.to_string())?;
        // A side may have changed nothing but the order of columns or the like.
        let commit = CommitOptions { message: Some(name.to_owned()), allow_empty: true, ..CommitOptions::default() };
        repo.commit(&commit).map(drop).map_err(|e| e.to_string())
    };
    import("base.csv", files[0], ImportMode::Create)?;
    repo.create_branch("theirs", None, false).unwrap();
    import("ours.csv", files[1], ImportMode::Replace)?;
    repo.switch("theirs", &SwitchOptions::default()).unwrap();
    import("theirs.csv", files[2], ImportMode::Replace)?;
    repo.switch("main", &SwitchOptions::default()).unwrap();
    let report = repo.merge(&["theirs".to_owned()], &MergeRequest { strategy, ..MergeRequest::default() }).map_err(|e| e.to_string())?;
    Ok((repo, report))
}

fn text(value: &arrow::array::ArrayRef) -> String {
    let text = arrow::util::display::array_value_to_string(value, 0).unwrap();
    text.parse::<f64>().map_or(text, |number| number.to_string())
}

fn exported(repo: &Repo, folder: &Path) -> Vec<Record> {
    let out = folder.join("out.csv");
    let table = repo.table("t", Some("HEAD")).unwrap();
    repo.export(&table, &[], Target::Path(out.clone()), &WriteOptions::default()).unwrap();
    let mut rows = records(&std::fs::read(&out).unwrap());
    rows.sort();
    rows
}

#[test]
fn real_merges_by_key_and_cell() {
    let Some(data) = real_data() else { return };
    let files = archive(&data.join("merges/pokeapi-csv-merges.tar.zst"));
    let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let cases = manifest.as_array().unwrap();
    assert_eq!(cases.len(), 22);
    let (mut as_people_did, mut disagreements, mut refused) = (0, 0, Vec::new());
    for case in cases {
        let dir = case["dir"].as_str().unwrap();
        let key: Vec<String> = case["key"].as_array().unwrap().iter().map(|k| k.as_str().unwrap().to_owned()).collect();
        let file = |name: &str| files[&format!("{dir}/{name}.csv")].as_slice();
        let folder = tempfile::tempdir().unwrap();
        let (repo, report) = match merged(folder.path(), [file("base"), file("ours"), file("theirs")], &key, None) {
            Ok(done) => done,
            Err(why) => {
                assert!(why.contains("line "), "{dir}: {why}");
                refused.push(dir);
                continue;
            }
        };
        let side = |name: &str| by_key(&records(file(name)), &key);
        let (rows, conflicts) = naive(&side("base"), &side("ours"), &side("theirs"));
        let mut found = BTreeSet::new();
        for table in &report.tables {
            for conflict in &table.conflicts {
                let row = repo.conflict_key(table, conflict).unwrap().iter().map(|(_, cell)| text(cell)).collect::<Key>();
                found.insert((row, table.column(conflict).map(str::to_owned)));
            }
        }
        assert_eq!(found, conflicts, "{dir}");
        assert_eq!(report.names, [], "{dir}");
        // The manifest counts a row that both inserted once.
        let base = side("base");
        let counted: BTreeSet<_> = conflicts.iter().map(|(key, column)| (key, column.as_ref().filter(|_| base.contains_key(key)))).collect();
        assert_eq!(counted.len() as u64, case["keyed_conflicts"].as_u64().unwrap(), "{dir}");
        if conflicts.is_empty() {
            assert!(matches!(report.outcome, MergeOutcome::Merged(Some(_)) | MergeOutcome::FastForward(_)), "{dir}: {:?}", report.outcome);
            let merged = exported(&repo, folder.path());
            assert_eq!(merged, rows, "{dir}");
            if case["keyed_eq_human_rows"] == true {
                let mut people = records(file("human"));
                people.sort();
                assert_eq!(merged, people, "{dir}");
                as_people_did += 1;
            }
        } else {
            assert!(matches!(report.outcome, MergeOutcome::Conflicts), "{dir}");
            disagreements += conflicts.len();
            // The merge is in progress; once it is settled it is what a side that wins gives.
            assert_eq!(repo.pending().unwrap().unwrap().len(), conflicts.len(), "{dir}");
            repo.resolve_conflicts(&Pick::default(), &Resolution::Side(Side::Theirs), "resolve").unwrap();
            repo.commit(&CommitOptions::default()).unwrap();
            let settled = exported(&repo, folder.path());
            // A side that wins: its cells, and all else as before.
            for wins in [Side::Ours, Side::Theirs] {
                let folder = tempfile::tempdir().unwrap();
                let (repo, _) = merged(folder.path(), [file("base"), file("ours"), file("theirs")], &key, Some(wins)).unwrap();
                let winner = side(if wins == Side::Ours { "ours" } else { "theirs" });
                let rows = exported(&repo, folder.path());
                if wins == Side::Theirs {
                    assert_eq!(rows, settled, "{dir}");
                }
                let found = by_key(&rows, &key);
                for (key, column) in &conflicts {
                    let column = column.as_ref().unwrap();
                    assert_eq!(found[key][column], winner[key][column], "{dir}");
                }
            }
        }
    }
    eprintln!("merges: {as_people_did} as the people did, {disagreements} cells in conflict, refused: {refused:?}");
    assert_eq!(refused, ["04-location_names", "22-location_area_prose"]);
    assert_eq!(as_people_did, 18);
}

/// What doltlite, an engine of its own, makes of a merge: its rows, and the keys of rows in conflict; or why it refused.
fn by_dolt(python: &Path, folder: &Path, key: &[String]) -> Result<(Vec<Record>, BTreeSet<Key>), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/merge_with_dolt.py");
    let out = std::process::Command::new(python).arg("-B").arg(script).arg(folder).arg(key.join(",")).env("PYTHONIOENCODING", "utf-8").output().unwrap();
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).lines().last().unwrap_or_default().to_owned());
    }
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let cell = |value: &serde_json::Value| {
        let text = value.as_str().unwrap_or_default();
        text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| number.to_string())
    };
    let row = |row: &serde_json::Value| row.as_object().unwrap().iter().map(|(name, value)| (name.clone(), cell(value))).collect();
    let mut rows: Vec<Record> = told["rows"].as_array().unwrap().iter().map(row).collect();
    rows.sort();
    Ok((rows, told["conflicts"].as_array().unwrap().iter().map(|key| key.as_array().unwrap().iter().map(cell).collect()).collect()))
}

#[test]
fn an_engine_of_its_own_agrees() {
    let Some(data) = real_data() else { return };
    let Some(python) = crate::golden::python::python() else { return };
    if !std::process::Command::new(&python).args(["-c", "import doltlite"]).output().is_ok_and(|out| out.status.success()) {
        crate::support::skip("doltlite", "it is not installed (see scripts/requirements.txt)");
        return;
    }
    let files = archive(&data.join("merges/pokeapi-csv-merges.tar.zst"));
    let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let mut compared = 0;
    for case in manifest.as_array().unwrap() {
        let dir = case["dir"].as_str().unwrap();
        let key: Vec<String> = case["key"].as_array().unwrap().iter().map(|k| k.as_str().unwrap().to_owned()).collect();
        let file = |name: &str| files[&format!("{dir}/{name}.csv")].as_slice();
        let folder = tempfile::tempdir().unwrap();
        for name in ["base", "ours", "theirs"] {
            std::fs::write(folder.path().join(format!("{name}.csv")), file(name)).unwrap();
        }
        let dolt = by_dolt(&python, folder.path(), &key);
        match merged(folder.path(), [file("base"), file("ours"), file("theirs")], &key, None) {
            // Ragged files: both refuse them.
            Err(_) => assert!(dolt.is_err(), "{dir}"),
            Ok((repo, report)) => {
                let (rows, conflicts) = dolt.unwrap_or_else(|why| panic!("{dir}: {why}"));
                let tables = report.tables.iter().flat_map(|table| table.conflicts.iter().map(move |conflict| (table, conflict)));
                let found: BTreeSet<Key> =
                    tables.map(|(table, conflict)| repo.conflict_key(table, conflict).unwrap().iter().map(|(_, cell)| text(cell)).collect()).collect();
                assert_eq!(found, conflicts, "{dir}");
                if conflicts.is_empty() {
                    assert_eq!(exported(&repo, folder.path()), rows, "{dir}");
                }
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 20);
}
