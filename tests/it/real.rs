//! Real files through a repository: imported, committed, exported. What comes out is what the file's reader alone would have written again, which the
//! tests of `repo/files` hold against the files themselves; pictures, videos and arrays come out byte for byte.

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
    let import = ImportOptions { mode: ImportMode::Create, key: Vec::new(), read: options.clone() };
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

#[test]
fn tabular_files() {
    let Some(folder) = data("") else { return };
    let sandbox = Sandbox::empty();
    let repo = Repo::init(&sandbox.path(""), "main").unwrap();
    let mut seen = 0;
    for file in files_below(&folder) {
        let relative = file.strip_prefix(&folder).unwrap();
        if relative.starts_with("parquet-testing") || relative.starts_with("history") || relative.starts_with("merges") {
            continue;
        }
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let extension = ["csv", "jsonl", "json", "parquet", "npy"].into_iter().find(|e| name.split('.').skip(1).any(|part| part == *e));
        let Some(extension) = extension.filter(|_| name != "boston311-100-bad.tsv") else { continue };
        let records = (name == "earthquakes.json").then(|| "features".to_owned());
        let (out, direct) = there_and_back(&sandbox, &repo, &file, &ReadOptions { records, ..ReadOptions::default() }, extension);
        assert!(out == direct, "{} comes out otherwise", relative.display());
        seen += 1;
    }
    assert!(seen >= 27, "only {seen} files");
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
