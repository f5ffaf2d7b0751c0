//! Real files through a repository: imported, committed, exported. What comes out is what the file's reader alone would have written again, which the
//! tests of `repo/files` hold against the files themselves; CSV is held against the file here as well, cell by cell; pictures, videos and arrays come out
//! byte for byte. No file of the data is left out without a reason.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsv::base::{NoProgress, Progress};
use dsv::repo::files::{self, Input, ReadOptions, Target, WriteOptions};
use dsv::repo::{CommitOptions, ImportMode, ImportOptions, Repo};

use crate::support::{Sandbox, data};

fn quiet() -> Arc<dyn Progress> {
    Arc::new(NoProgress)
}

/// The file read and written by `repo/files` alone.
fn written_directly(file: &Path, options: &ReadOptions, to: &Path) {
    let mut batches = files::open(&[Input::Path(file.to_owned())], options, &quiet()).unwrap();
    let columns = batches.columns().to_vec();
    let mut rows = std::iter::from_fn(|| batches.next().transpose().map(|batch| batch.map(|b| b.rows)));
    files::write(Target::Path(to.to_owned()), &columns, &mut rows, &WriteOptions::default(), &quiet()).unwrap();
}

/// Imports a file, commits it, exports it from the commit, and returns what it is then and what it should be.
fn there_and_back(sandbox: &Sandbox, repo: &Repo, file: &Path, options: &ReadOptions, extension: &str) -> (Vec<u8>, Vec<u8>) {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let import = ImportOptions { mode: ImportMode::Create, key: Vec::new(), read: options.clone(), keep: None };
    repo.import(&name, &[Input::Path(file.to_owned())], &import, "import").unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    repo.commit(&CommitOptions { message: Some(name.clone()), ..CommitOptions::default() }).unwrap();
    let (out, direct) = (sandbox.path(&format!("out-{name}.{extension}")), sandbox.path(&format!("direct-{name}.{extension}")));
    let table = repo.table(&name, Some("HEAD")).unwrap();
    repo.export(&table, &[], Target::Path(out.clone()), &WriteOptions::default()).unwrap();
    written_directly(file, options, &direct);
    (std::fs::read(out).unwrap(), std::fs::read(direct).unwrap())
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { left.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// What becomes of a real file: the test that brings it in and out again, or why none does.
fn fate(relative: &str) -> Result<&'static str, &'static str> {
    let (folder, name) = relative.rsplit_once('/').unwrap_or(("", relative));
    let first = relative.split('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match (first, name, ending) {
        (_, "README.md" | "SHA256SUMS" | "LICENSE" | "LICENSE.txt" | "LICENSE-MIT" | "LICENSE-Apache-2.0", _) => Err("tells about the data"),
        ("parquet-testing", _, "md") => Err("tells about the data"),
        (_, "boston311-100-bad.tsv", _) => Ok("the_ragged_tsv_is_refused"),
        ("parquet-testing", _, "parquet") => Ok("odd_parquet_files_are_kept_as_they_are_read, or refused: odd_parquet_files_import_or_are_refused"),
        ("history", _, "zst") => Ok("replay::sp500_is_replayed"),
        ("merges", _, "zst") => Ok("csv_files_of_real_merges"),
        ("mnist-t10k", _, "gz") => Ok("mnist"),
        ("video", _, "mp4" | "webm") => Ok("videos_as_cells"),
        ("video", _, "vtt") => Err("WebVTT: subtitles are no table format that dsv reads"),
        ("images-captioned", _, "jpg" | "png") => Ok("captioned_pictures"),
        ("images-labelled-bccd", _, "jpg") => Ok("blood_cells"),
        ("images-labelled-bccd", _, "xml") => Err("XML is no format that dsv reads; test.csv holds boxes"),
        ("images-labelled-bccd", _, "txt") if folder.ends_with("ImageSets/Main") => Err("a list of names without a header, of no table format"),
        ("embeddings", "images-efflite0-404.files.txt", _) => Err("a list of names without a header, of no table format"),
        _ if extension(name).is_some() => Ok("tabular_files"),
        _ => panic!("{relative}: say what becomes of it"),
    }
}

/// The format that the name of a tabular file tells, compression aside.
fn extension(name: &str) -> Option<&'static str> {
    ["csv", "jsonl", "json", "parquet", "npy"].into_iter().find(|e| name.split('.').skip(1).any(|part| part == *e))
}

#[test]
fn no_file_is_left_out_without_a_reason() {
    let Some(folder) = data("") else { return };
    let mut left: BTreeMap<&str, u32> = BTreeMap::new();
    let mut taken: BTreeMap<&str, u32> = BTreeMap::new();
    for file in files_below(&folder) {
        let relative = file.strip_prefix(&folder).unwrap().to_string_lossy().replace('\\', "/");
        match fate(&relative) {
            Ok(test) => *taken.entry(test).or_default() += 1,
            Err(why) => *left.entry(why).or_default() += 1,
        }
    }
    println!("files by test: {taken:#?}\nleft out: {left:#?}");
    assert_eq!(taken["tabular_files"], 27);
    assert_eq!((taken["captioned_pictures"], taken["blood_cells"], taken["videos_as_cells"], taken["mnist"]), (40, 364, 5, 2));
}

/// CSV by an independent reader.
fn records(text: &[u8]) -> Vec<Vec<String>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// Equal texts, or numbers, booleans and moments of equal value.
fn same_cell(a: &str, b: &str) -> bool {
    a == b
        || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
        || a.eq_ignore_ascii_case(b) && matches!(b, "true" | "false")
        || a.replacen('T', " ", 1) == b
}

#[track_caller]
fn assert_same_records(name: &str, before: &[u8], after: &[u8]) {
    let (before, after) = (records(before), records(after));
    assert_eq!(before.len(), after.len(), "{name}");
    for (i, (a, b)) in before.iter().zip(&after).enumerate() {
        assert_eq!(a.len(), b.len(), "{name}, record {}", i + 1);
        for (a, b) in a.iter().zip(b) {
            assert!(same_cell(a, b), "{name}, record {}: {a:?} came back as {b:?}", i + 1);
        }
    }
}

fn unpacked(file: &Path) -> Vec<u8> {
    let raw = std::fs::read(file).unwrap();
    let mut out = Vec::new();
    match file.extension().and_then(|e| e.to_str()) {
        Some("gz") => _ = flate2::read::MultiGzDecoder::new(&raw[..]).read_to_end(&mut out).unwrap(),
        Some("zst") => out = zstd::decode_all(&raw[..]).unwrap(),
        _ => out = raw,
    }
    out
}

/// Files with lines of too few fields or a quote within quotes, and the first such line.
const MALFORMED: [(&str, u32); 4] = [
    ("04-location_names-human.csv", 5246),
    ("04-location_names-ours.csv", 4960),
    ("22-location_area_prose-human.csv", 357),
    ("22-location_area_prose-theirs.csv", 357),
];

#[test]
fn csv_files_of_real_merges() {
    let Some(archive) = data("merges/pokeapi-csv-merges.tar.zst") else { return };
    let sandbox = Sandbox::empty();
    let repo = Repo::init(&sandbox.path("repo"), "main").unwrap();
    let mut seen = 0;
    for entry in tar::Archive::new(&unpacked(&archive)[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().trim_start_matches("./").replace('/', "-");
        if !name.ends_with(".csv") {
            continue;
        }
        let mut text = Vec::new();
        entry.read_to_end(&mut text).unwrap();
        let file = sandbox.file(&name, &text);
        // Four are no CSV: people merged them by hand.
        if let Some(line) = MALFORMED.iter().find_map(|(malformed, line)| (*malformed == name).then_some(line)) {
            let import = ImportOptions { mode: ImportMode::Create, key: Vec::new(), read: ReadOptions::default(), keep: None };
            let told = repo.import(&name, &[Input::Path(file)], &import, "import").unwrap_err().to_string();
            assert!(told.contains(&format!("{name}, line {line}: ")), "{told}");
            continue;
        }
        let (out, direct) = there_and_back(&sandbox, &repo, &file, &ReadOptions::default(), "csv");
        assert!(out == direct, "{name} comes out otherwise");
        assert_same_records(&name, &text, &out);
        seen += 1;
    }
    assert_eq!(seen, 88 - MALFORMED.len());
    assert_eq!(repo.verify().unwrap().faults, []);
}

#[test]
fn tabular_files() {
    let Some(folder) = data("") else { return };
    let sandbox = Sandbox::empty();
    let repo = Repo::init(&sandbox.path(""), "main").unwrap();
    let mut seen = 0;
    for file in files_below(&folder) {
        let relative = file.strip_prefix(&folder).unwrap().to_string_lossy().replace('\\', "/");
        if fate(&relative) != Ok("tabular_files") {
            continue;
        }
        let extension = extension(&relative).unwrap();
        let records = relative.ends_with("earthquakes.json").then(|| "features".to_owned());
        let (out, direct) = there_and_back(&sandbox, &repo, &file, &ReadOptions { records, ..ReadOptions::default() }, extension);
        assert!(out == direct, "{relative} comes out otherwise");
        match extension {
            "csv" => assert_same_records(&relative, &unpacked(&file), &out),
            "npy" => assert!(out == std::fs::read(&file).unwrap(), "{relative} comes out byte for byte"),
            _ => {}
        }
        seen += 1;
    }
    assert_eq!(seen, 27);
    assert_eq!(repo.verify().unwrap().faults, []);
}

#[test]
fn odd_parquet_files_are_kept_as_they_are_read() {
    let Some(folder) = data("parquet-testing/data") else { return };
    let sandbox = Sandbox::empty();
    let repo = Repo::init(&sandbox.path(""), "main").unwrap();
    let mut seen = 0;
    for file in files_below(&folder).into_iter().filter(|f| f.extension().is_some_and(|e| e == "parquet")) {
        // What cannot be read is refused, which other tests look at.
        let readable = files::open(&[Input::Path(file.clone())], &ReadOptions::default(), &quiet()).and_then(|mut batches| {
            while batches.next()?.is_some() {}
            Ok(batches.columns().len())
        });
        if !readable.is_ok_and(|columns| columns > 0) {
            continue;
        }
        let (out, direct) = there_and_back(&sandbox, &repo, &file, &ReadOptions::default(), "jsonl");
        assert!(out == direct, "{} comes out otherwise", file.display());
        seen += 1;
    }
    assert!(seen >= 50, "only {seen} files");
    assert_eq!(repo.verify().unwrap().faults, []);
}

#[test]
fn the_ragged_tsv_is_refused() {
    let Some(file) = data("tabular/qsv/boston311-100-bad.tsv") else { return };
    let told = Sandbox::repo().refused(3, ["import", "t", file.to_str().unwrap()]);
    assert!(told.contains("boston311-100-bad.tsv") && told.contains("line "), "{told}");
}

/// All pictures of a folder: in, and out again under their names.
fn pictures(folder: &Path, least: usize) {
    let s = Sandbox::repo();
    s.ok(["import", "pictures", folder.to_str().unwrap()]);
    s.ok(["commit", "-m", "pictures"]);
    s.ok(["export", "pictures", "out/", "--at", "main"]);
    let out = s.path("out");
    let mut seen = 0;
    for file in files_below(folder).into_iter().filter(|f| f.extension().is_some_and(|e| e == "jpg" || e == "png" || e == "jpeg")) {
        let back = out.join(file.strip_prefix(folder).unwrap());
        assert!(std::fs::read(&back).unwrap() == std::fs::read(&file).unwrap(), "{} comes out otherwise", file.display());
        seen += 1;
    }
    assert!(seen >= least, "only {seen} pictures");
}

#[test]
fn captioned_pictures() {
    let Some(folder) = data("images-captioned") else { return };
    pictures(&folder, 40);
}

#[test]
fn blood_cells() {
    let Some(folder) = data("images-labelled-bccd") else { return };
    pictures(&folder, 364);
}

#[test]
fn captions_with_their_pictures() {
    let Some(file) = data("images-captioned/captions.jsonl") else { return };
    let s = Sandbox::repo();
    s.ok(["import", "photos", file.to_str().unwrap(), "--media", "file"]);
    let text = std::fs::read_to_string(&file).unwrap();
    for (row, line) in text.lines().enumerate().step_by(6) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let picture = file.parent().unwrap().join(line["file"].as_str().unwrap());
        let cell = s.command(["cat", "photos", "file", &row.to_string()]).output().unwrap().stdout;
        assert!(cell == std::fs::read(&picture).unwrap(), "{}", picture.display());
    }
}

#[test]
fn videos_as_cells() {
    let Some(folder) = data("video") else { return };
    let s = Sandbox::repo();
    let videos: Vec<_> = files_below(&folder).into_iter().filter(|f| f.extension().is_some_and(|e| e == "mp4" || e == "webm")).collect();
    assert_eq!(videos.len(), 5);
    // A video of 9 MB besides, for a large value: a real one with a tail that no player minds.
    let mut large = std::fs::read(&videos[0]).unwrap();
    let tail = 9 << 20;
    large.extend_from_slice(&u32::try_from(tail).unwrap().to_be_bytes());
    large.extend_from_slice(b"free");
    let mut x = 1u32;
    large.extend(
        std::iter::repeat_with(|| {
            x = x.wrapping_mul(1664525).wrapping_add(1013904223);
            (x >> 24) as u8
        })
        .take(tail - 8),
    );
    let large_file = s.file("large.mp4", &large);
    let lines: String = videos.iter().chain([&large_file]).map(|v| format!("{}\n", serde_json::json!({"clip": v}))).collect();
    s.file("videos.jsonl", lines);
    s.ok(["import", "clips", "videos.jsonl", "--media", "clip"]);
    s.ok(["commit", "-m", "clips"]);
    assert!(s.ok(["table", "describe", "clips"]).contains("video"));
    for (row, video) in videos.iter().chain([&large_file]).enumerate() {
        let cell = s.command(["cat", "clips", "clip", &row.to_string(), "--at", "HEAD"]).output().unwrap().stdout;
        assert!(cell == std::fs::read(video).unwrap(), "{} comes out otherwise", video.display());
    }
    assert!(s.ok(["verify", "--json"]).ends_with("\"faults\":0}\n"));
}

/// An idx file as the NumPy file of the same array; MNIST comes as idx, which dsv does not read.
fn npy_of_idx(idx: &[u8]) -> Vec<u8> {
    assert_eq!(idx[..3], [0, 0, 8], "an idx file of unsigned bytes");
    let dimensions = usize::from(idx[3]);
    let shape: Vec<u32> = (0..dimensions).map(|i| u32::from_be_bytes(idx[4 + 4 * i..8 + 4 * i].try_into().unwrap())).collect();
    let shape: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({}), }}", shape.join(" "));
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend_from_slice(&u16::try_from(header.len()).unwrap().to_le_bytes());
    npy.extend_from_slice(header.as_bytes());
    npy.extend_from_slice(&idx[4 + 4 * dimensions..]);
    npy
}

#[test]
fn mnist() {
    let (Some(images), Some(labels)) = (data("mnist-t10k/t10k-images-idx3-ubyte.gz"), data("mnist-t10k/t10k-labels-idx1-ubyte.gz")) else { return };
    let s = Sandbox::repo();
    for (name, packed) in [("images", images), ("labels", labels)] {
        let mut idx = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(packed).unwrap()).read_to_end(&mut idx).unwrap();
        let npy = npy_of_idx(&idx);
        s.file(&format!("{name}.npy"), &npy);
        s.ok(["import", name, &format!("{name}.npy")]);
        s.ok(["commit", "-m", name]);
        s.ok(["export", name, "out.npy", "--force", "--at", "HEAD"]);
        let out = std::fs::read(s.path("out.npy")).unwrap();
        let values = idx.len() - 4 - 4 * usize::from(idx[3]);
        assert!(out[out.len() - values..] == idx[idx.len() - values..], "{name} come out otherwise");
    }
    assert!(s.ok(["table", "describe", "images"]).contains("tensor(28x28,uint8)"), "{}", s.ok(["table", "describe", "images"]));
}
