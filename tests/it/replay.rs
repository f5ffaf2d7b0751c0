//! Real history: 189 versions of one CSV, replayed as imports and commits.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use dsv::repo::files::{Input, Target, WriteOptions};
use dsv::repo::{CommitOptions, Environment, ImportMode, ImportOptions, OpenOptions, Repo};

/// The folder of real data, or `None`, said on standard error.
pub fn real_data() -> Option<PathBuf> {
    let path = match std::env::var_os("DSV_TEST_DATA") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
    };
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: data: no real data at {} (DSV_TEST_DATA)", path.display());
    None
}

/// Bytes of all files below a folder.
pub fn bytes_below(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() { bytes_below(&entry.path()) } else { entry.metadata().unwrap().len() }
        })
        .sum()
}

pub fn versions(archive: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = std::fs::File::open(archive).unwrap();
    let mut tar = tar::Archive::new(zstd::Decoder::new(file).unwrap());
    let mut found = BTreeMap::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".csv") {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            found.insert(name, bytes);
        }
    }
    found
}

/// The records of a CSV, numbers by value.
pub fn records(csv: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(csv);
    let cell = |text: &str| match text.parse::<f64>() {
        Ok(number) => number.to_string(),
        Err(_) => text.to_owned(),
    };
    reader.records().map(|r| r.unwrap().iter().map(cell).collect()).collect()
}

#[test]
fn sp500_is_replayed() {
    let Some(data) = real_data() else { return };
    let versions = versions(&data.join("history/sp500.tar.zst"));
    assert_eq!(versions.len(), 189);
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions {
        environment: Environment::fixed(|| 1_767_225_600_000, &[("DSV_AUTHOR_NAME", "Ada"), ("DSV_AUTHOR_EMAIL", "ada@example.org")]),
        ..OpenOptions::default()
    };
    let repo = Repo::init_with(&folder.path().join("repo"), "main", &options).unwrap();
    let (mut refused, mut kept, mut total) = (Vec::new(), Vec::new(), 0);
    for (name, bytes) in &versions {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let import = ImportOptions { mode: ImportMode::Replace, ..ImportOptions::default() };
        match repo.import("companies", &[Input::Path(path)], &import, &format!("import companies {name} --replace")) {
            Ok(_) => {
                let message = CommitOptions { message: Some(name.clone()), ..CommitOptions::default() };
                // A version may differ in its formatting alone; it is then the same table.
                let id = repo.commit(&message).map(|done| done.id).unwrap_or_else(|_| repo.resolve("HEAD").unwrap());
                kept.push((name.clone(), id));
                total += bytes.len() as u64;
            }
            Err(error) => {
                assert!(error.to_string().contains(name.as_str()) && error.to_string().contains("line "), "{error}");
                refused.push(name.clone());
            }
        }
    }
    assert_eq!(refused, ["0000.csv", "0003.csv", "0004.csv", "0005.csv", "0006.csv", "0007.csv", "0008.csv"]);
    for (name, commit) in kept.iter().step_by(9).chain(kept.last()) {
        let table = repo.table("companies", Some(&commit.to_string())).unwrap();
        let out = folder.path().join("out.csv");
        repo.export(&table, &[], Target::Path(out.clone()), &WriteOptions::default()).unwrap();
        assert_eq!(records(&std::fs::read(&out).unwrap()), records(&versions[name]), "{name}");
    }
    let stored = bytes_below(&folder.path().join("repo"));
    eprintln!("sp500: {} versions of {total} bytes in {stored}: one part in {:.1}", kept.len(), total as f64 / stored as f64);
    assert!(stored * 10 < total, "{stored} of {total}");
}
