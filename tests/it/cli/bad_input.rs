//! Bad input: one clear line, a hint where one helps, an exit code that is not zero, and a repository left exactly as it was.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::WriterProperties;

use crate::support::{Sandbox, data, skip};

#[track_caller]
fn says(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "'{part}' is missing in: {told}");
    }
}

#[test]
fn a_ragged_line() {
    let s = Sandbox::birds();
    s.file("ragged.csv", "a,b\n1,2\n3\n4,5\n");
    says(&s.refused(3, ["import", "t", "ragged.csv"]), &["ragged.csv", "line 3"]);
    s.file("ragged.csv", "a,b\n1,2\n3,4,5\n");
    says(&s.refused(3, ["import", "t", "ragged.csv"]), &["ragged.csv", "line 3"]);
}

#[test]
fn a_wrong_encoding() {
    let s = Sandbox::birds();
    s.file("latin.csv", b"a,b\n1,plain\n2,caf\xe9\n");
    says(&s.refused(3, ["import", "t", "latin.csv"]), &["latin.csv", "line 3", "UTF-8"]);
}

#[test]
fn a_truncated_gzip() {
    let s = Sandbox::birds();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for i in 0..5000 {
        writeln!(packed, "{i},{}", i * 7919 % 1013).unwrap();
    }
    let whole = packed.finish().unwrap();
    for keep in [whole.len() / 2, whole.len() - 3, 5] {
        s.file("cut.csv.gz", &whole[..keep]);
        says(&s.refused(3, ["import", "t", "cut.csv.gz"]), &["cut.csv.gz"]);
    }
}

#[test]
fn a_value_that_does_not_fit() {
    let s = Sandbox::birds();
    s.file("big.csv", "a,b\n1,x\n300,y\n");
    says(&s.refused(3, ["import", "t", "big.csv", "--types", "a=int8"]), &["big.csv", "line 3", "'a'", "300"]);
    s.file("big.jsonl", "{\"a\": 1}\n{\"a\": \"x\"}\n");
    says(&s.refused(3, ["import", "t", "big.jsonl", "--types", "a=int8"]), &["big.jsonl", "line 2", "'a'"]);
    s.file("odd.csv", "id,label\n1,tiny\n");
    s.ok(["column", "retype", "birds", "label", "enum(small,large)"]);
    says(&s.refused(3, ["import", "birds", "odd.csv", "--key", "id"]), &["tiny", "label"]);
}

#[test]
fn two_columns_of_one_name() {
    let s = Sandbox::birds();
    s.file("twice.csv", "a,b,a\n1,2,3\n");
    says(&s.refused(3, ["import", "t", "twice.csv"]), &["twice.csv", "'a'"]);
}

/// A small Parquet file.
fn parquet(properties: WriterProperties) -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, false)]));
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from_iter_values(0..1000))]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn a_truncated_or_encrypted_parquet_file() {
    let s = Sandbox::birds();
    let whole = parquet(WriterProperties::default());
    s.file("whole.parquet", &whole);
    s.ok(["import", "whole", "whole.parquet"]);
    for keep in [whole.len() - 1, whole.len() / 2, 8, 4] {
        s.file("cut.parquet", &whole[..keep]);
        says(&s.refused(3, ["import", "t", "cut.parquet", "--format", "parquet"]), &["cut.parquet"]);
    }
    for plaintext_footer in [true, false] {
        let key = FileEncryptionProperties::builder(b"0123456789012345".to_vec()).with_plaintext_footer(plaintext_footer).build().unwrap();
        s.file("secret.parquet", parquet(WriterProperties::builder().with_file_encryption_properties(key).build()));
        says(&s.refused(3, ["import", "t", "secret.parquet"]), &["secret.parquet", "encrypted"]);
    }
}

#[test]
fn odd_parquet_files_import_or_are_refused() {
    let Some(folder) = data("parquet-testing") else { return };
    let s = Sandbox::repo();
    let (mut imported, mut refused) = (0, 0);
    for sub in ["data", "bad_data"] {
        let mut files: Vec<_> = std::fs::read_dir(folder.join(sub)).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()).collect();
        files.sort();
        for file in files {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let ran = s.run([Path::new("import"), Path::new(&name), &file, Path::new("--format"), Path::new("parquet")]);
            assert!(!ran.stderr.contains("panicked"), "{name}: {}", ran.stderr);
            match ran.code {
                0 => imported += 1,
                2 | 3 => {
                    refused += 1;
                    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(&name), "{name}: {}", ran.stderr);
                }
                other => panic!("{name}: exit {other}: {}", ran.stderr),
            }
        }
    }
    assert!(imported > 40 && refused > 5, "{imported} imported, {refused} refused");
    assert!(s.ok(["verify", "--json"]).ends_with("\"faults\":0}\n"));
}

#[test]
fn a_broken_image() {
    let s = Sandbox::repo();
    crate::scenes::write(&s.path("."), 1, 6).unwrap();
    s.file("pictures/00002.jpg", b"no picture at all");
    std::fs::remove_file(s.path("pictures/00004.jpg")).unwrap();
    let told = s.refused(3, ["import", "t", "captions.csv", "--media", "path"]);
    says(&told, &["00002.jpg"]);
    let ran = s.run(["import", "skipped", "captions.csv", "--media", "path", "--on-error", "skip"]);
    says(&ran.stderr, &["warning: ", "00002.jpg", "00004.jpg"]);
    assert_eq!(s.ok(["query", "select id from skipped", "--format", "csv"]), "id\n0\n1\n3\n5\n");
    s.ok(["import", "nulls", "captions.csv", "--media", "path", "--on-error", "null"]);
    assert_eq!(s.ok(["query", "select id from nulls where path is null", "--format", "csv"]), "id\n2\n4\n");
}

#[test]
fn keys_with_duplicates_or_nulls() {
    let s = Sandbox::birds();
    s.file("twice.csv", "id,name\n1,a\n2,b\n1,c\n");
    says(&s.refused(3, ["import", "t", "twice.csv", "--key", "id"]), &["row 3", "id", "1"]);
    says(&s.refused(3, ["import", "birds", "twice.csv", "--key", "id"]), &["row 3", "id"]);
    s.file("null.csv", "id,name\n1,a\n,b\n");
    says(&s.refused(3, ["import", "t", "null.csv", "--key", "id"]), &["row 2", "id", "null"]);
    s.file("without.csv", "name\na\n");
    says(&s.refused(2, ["import", "birds", "without.csv", "--key", "id"]), &["'id'"]);
    says(&s.refused(2, ["import", "birds", "birds.csv", "--key", "nmae"]), &["nmae", "'name'"]);
}

#[test]
fn an_unknown_revision() {
    let s = Sandbox::birds();
    s.ok(["tag", "release-1"]);
    s.ok(["branch", "labels"]);
    for args in [&["show", "relaese-1"][..], &["log", "relaese-1"], &["head", "birds", "--at", "relaese-1"], &["query", "select 1 from \"relaese-1\".birds"]] {
        says(&s.refused(2, args), &["relaese-1", "hint: did you mean", "release-1"]);
    }
    says(&s.refused(2, ["switch", "label"]), &["'labels'"]);
    s.refused(2, ["show", "HEAD~7"]);
    s.refused(2, ["show", "HEAD^2"]);
    s.refused(2, ["show", "main@{in a while}"]);
    s.refused(2, ["show", "deadbeef"]);
}

#[test]
fn names_that_git_would_refuse() {
    let s = Sandbox::birds();
    for name in ["a b", "a..b", "a~1", "a^", "a:b", "/a", "a/", "a//b", ".a", "a.lock", "a.", "a@{1}", "a\\b", "@", "HEAD", "a?", "a*", "a["] {
        says(&s.refused(2, ["branch", name]), &[name]);
        says(&s.refused(2, ["switch", "-c", name]), &[name]);
        says(&s.refused(2, ["tag", name]), &[name]);
    }
    s.refused(2, ["branch", "main"]);
    s.refused(2, ["branch", "-d", "main"]);
    s.refused(2, ["table", "rename", "birds", ""]);
}

/// A small file system of its own for the test; skipped without the right to mount one.
fn mounted(s: &Sandbox, size: &str) -> Option<Mounted> {
    let at = s.path("disk");
    std::fs::create_dir(&at).unwrap();
    let done = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&at).output();
    match done {
        Ok(done) if done.status.success() => Some(Mounted(at)),
        // One reason for all tests that lack it: the system's words name this test's own folder.
        _ => {
            skip("tmpfs", "no right to mount a file system");
            None
        }
    }
}

struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk() {
    let s = Sandbox::empty();
    let Some(disk) = mounted(&s, "2m") else { return };
    let dir = disk.0.to_str().unwrap();
    s.ok(["init", "-q", dir]);
    s.file("small.csv", "a\n1\n2\n");
    s.ok(["-C", dir, "import", "small", s.path("small.csv").to_str().unwrap()]);
    s.ok(["-C", dir, "commit", "-q", "-m", "small"]);
    let before = s.ok(["-C", dir, "operations", "--json"]);
    // Noise does not compress.
    let mut x = 1u64;
    let mut noise = String::from("a\n");
    while noise.len() < 6 << 20 {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        noise.push_str(&format!("{:x}\n", x >> 3));
    }
    s.file("noise.csv", &noise);
    // Several columns are written at once: whichever meets the end of the disk first, the cause is told.
    let wide: String = noise.lines().skip(1).map(|x| format!("{x},{x}a,{x}b,{x}c\n")).take(100_000).collect();
    s.file("wide.csv", format!("a,b,c,d\n{wide}"));
    for file in ["noise.csv", "wide.csv"] {
        let ran = s.run(["-C", dir, "import", "noise", s.path(file).to_str().unwrap()]);
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        says(&ran.stderr, &["error: ", "no space left", "hint: "]);
        assert_eq!(ran.stderr.lines().filter(|l| !l.starts_with("hint: ")).count(), 1, "{}", ran.stderr);
        assert_eq!(s.ok(["-C", dir, "operations", "--json"]), before);
    }
    // What the failed import left must not stand in the way of the next one.
    s.ok(["-C", dir, "import", "again", s.path("small.csv").to_str().unwrap()]);
    assert!(s.ok(["-C", dir, "verify", "--json"]).ends_with("\"faults\":0}\n"));
}

#[test]
fn a_read_only_repository() {
    let s = Sandbox::empty();
    let Some(disk) = mounted(&s, "8m") else { return };
    let dir = disk.0.to_str().unwrap();
    s.ok(["init", "-q", dir]);
    s.file("small.csv", "a\n1\n2\n");
    let small = s.path("small.csv");
    s.ok(["-C", dir, "import", "small", small.to_str().unwrap()]);
    s.ok(["-C", dir, "commit", "-q", "-m", "small"]);
    let made = Command::new("mount").args(["-o", "remount,ro"]).arg(dir).status().unwrap();
    assert!(made.success());
    for args in [&["import", "more", small.to_str().unwrap()][..], &["branch", "x"], &["commit", "--allow-empty", "-m", "x"], &["config", "a.b", "c"]] {
        let ran = s.run(["-C", dir].iter().chain(args));
        assert_eq!(ran.code, 3, "{args:?}: {}", ran.stderr);
        says(&ran.stderr, &["error: ", "ead-only"]);
    }
    // Reading works all the same.
    assert_eq!(s.ok(["-C", dir, "query", "select sum(a) as s from small", "--format", "csv"]), "s\n3\n");
    s.ok(["-C", dir, "log"]);
    s.ok(["-C", dir, "verify"]);
}

/// The head pointer with one byte of it changed, and its hash made right again.
fn doctored(head: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut head = head[..head.len() - 32].to_vec();
    head[at] = byte;
    let hash = blake3::hash(&head);
    head.extend_from_slice(hash.as_bytes());
    head
}

#[test]
fn a_newer_format() {
    let s = Sandbox::birds();
    let head = std::fs::read(s.path(".dsv/head")).unwrap();
    // The magic's own version, then the first number of the CBOR array behind it.
    for at in [7, 9] {
        assert_eq!(head[at], 1);
        s.file(".dsv/head", doctored(&head, at, 2));
        for args in [&["status"][..], &["branch", "x"], &["query", "select 1"], &["gc"], &["verify"]] {
            let ran = s.run(args);
            assert_eq!(ran.code, 3, "{args:?}: {}{}", ran.stdout, ran.stderr);
            says(&ran.stderr, &["error: ", "version 2"]);
        }
        assert_eq!(std::fs::read(s.path(".dsv/head")).unwrap(), doctored(&head, at, 2), "left as it was");
    }
    s.file(".dsv/head", &head);
    s.ok(["status"]);
}

#[test]
fn flipped_bits() {
    let s = Sandbox::birds();
    s.ok(["column", "add", "birds", "note", "text", "--default", "a longer note, for a chunk of its own"]);
    s.ok(["commit", "-m", "notes"]);
    s.ok(["gc", "--grace", "0s"]);
    let whole = s.ok(["export", "birds", "-", "--format", "jsonl"]);
    let mut files: Vec<_> = std::fs::read_dir(s.path(".dsv/packs")).unwrap().map(|e| e.unwrap().path()).collect();
    files.push(s.path(".dsv/head"));
    let mut step = 0usize;
    for file in files {
        let good = std::fs::read(&file).unwrap();
        // About twenty bits of each file, spread over it.
        for at in (0..good.len()).step_by(good.len() / 20 + 1) {
            let mut bad = good.clone();
            step += 1;
            bad[at] ^= 1 << (step % 8);
            std::fs::write(&file, &bad).unwrap();
            let verified = s.run(["verify", "--json"]);
            assert_eq!(verified.code, 3, "byte {at} of {}: {}{}", file.display(), verified.stdout, verified.stderr);
            let read = s.run(["export", "birds", "-", "--format", "jsonl"]);
            assert!(read.code == 3 || read.stdout == whole, "byte {at} of {}: wrong data", file.display());
            assert!(!read.stderr.contains("panicked"), "{}", read.stderr);
        }
        std::fs::write(&file, &good).unwrap();
    }
    assert!(step > 30);
    s.ok(["verify"]);
}

#[test]
fn two_writers_at_once() {
    let s = Sandbox::birds();
    let spawn = |args: &[&str]| s.command(args).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // Writes to other refs are rebased onto each other.
    let names: Vec<String> = (0..8).map(|i| format!("b{i}")).collect();
    let children: Vec<_> = names.iter().map(|name| spawn(&["branch", name])).collect();
    for child in children {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let branches = s.ok(["branch"]);
    assert!(names.iter().all(|name| branches.contains(name)), "{branches}");
    // Writes to one working state: each wins, or says that it lost and changed nothing.
    let children: Vec<_> = (0..6).map(|i| (i, spawn(&["column", "add", "birds", &format!("c{i}"), "int8"]))).collect();
    let mut won = Vec::new();
    for (i, child) in children {
        let done = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        match done.status.code() {
            Some(0) => won.push(i),
            Some(3) => says(&told, &["error: ", "moved while this ran", "hint: "]),
            other => panic!("{other:?}: {told}"),
        }
    }
    assert!(!won.is_empty());
    let described = s.ok(["table", "describe", "birds"]);
    for i in 0..6 {
        assert_eq!(described.contains(&format!(" c{i} ")), won.contains(&i), "{described}");
    }
    s.ok(["verify"]);
}
