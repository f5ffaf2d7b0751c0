//! Pointers by hand, caches in both layouts.

use std::fs;
use std::path::Path;

use super::dvc::{self, Cache, Out};
use super::lfs::Pointer;
use crate::repo::files::{FileError, Input, Kept};

const MD5_OF_HELLO: &str = "5d41402abc4b2a76b9719d911017c592";
const SHA256_OF_HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn put(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn lfs_pointers_are_read() {
    let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256_OF_HELLO}\nsize 5\n");
    let pointer = Pointer { oid: SHA256_OF_HELLO.into(), size: 5 };
    assert_eq!(Pointer::parse("a", text.as_bytes()).unwrap(), Some(pointer.clone()));
    let extended = text.replace("oid", "ext-0-foo sha256:0\noid").replace('\n', "\r\n");
    assert_eq!(Pointer::parse("a", extended.as_bytes()).unwrap(), Some(pointer));
    for none in ["", "version", "id,name\n1,a\n", &format!("{text}{}", " ".repeat(1024))] {
        assert_eq!(Pointer::parse("a", none.as_bytes()).unwrap(), None, "{none}");
    }
    for bad in [text.replace("size 5", "size many"), text.replace("size", "bytes"), text.replace("2cf2", "2CF2"), text.replace("sha256:2cf2", "sha256:")] {
        let error = Pointer::parse("a.csv", bad.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("a.csv: begins as a Git LFS pointer"), "{error}");
    }
}

#[test]
fn lfs_objects_are_tested() {
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("lfs");
    let pointer = Pointer { oid: SHA256_OF_HELLO.into(), size: 5 };
    let storages = [folder.path().join("other"), storage.clone()];
    let error = pointer.find("a.csv", &storages).unwrap_err();
    assert!(error.to_string().contains("its object is not here") && error.hint().unwrap().contains("git lfs pull"), "{error}");
    let object = storage.join("objects/2c/f2").join(SHA256_OF_HELLO);
    put(&object, "hello");
    assert_eq!(pointer.find("a.csv", &storages).unwrap(), object);
    put(&object, "hell");
    assert!(pointer.find("a.csv", &storages).unwrap_err().to_string().contains("has 4 bytes, and the pointer says 5"));
    put(&object, "hallo");
    assert!(pointer.find("a.csv", &storages).unwrap_err().to_string().contains("its bytes have another hash"));
}

#[test]
fn dvc_files_are_read() {
    let new = "outs:\n- md5: 5d41402abc4b2a76b9719d911017c592\n  size: 5\n  hash: md5\n  path: data.csv\n";
    let out = Out { path: "data.csv".into(), md5: MD5_OF_HELLO.into(), size: Some(5), hash: Some("md5".into()) };
    assert_eq!(dvc::parse("a.dvc", new).unwrap(), std::slice::from_ref(&out));
    // Everything that DVC is known to write around it.
    let much = "md5: 0123\nfrozen: true\ndeps:\n- path: x\n  md5: 1\nwdir: .\nouts:\n# mine\n  - desc: 'what: it\n      is'\n    md5: 5d41402abc4b2a76b9719d911017c592\n    path: \"data.csv\" \n    size: 5 # bytes\n    meta:\n      a:\n      - path: no\n    hash: md5\nmeta:\n  path: no\n";
    assert_eq!(dvc::parse("a.dvc", much).unwrap(), [out]);
    let names = "outs:\n- path: 'it''s.csv'\n  md5: 5d41402abc4b2a76b9719d911017c592\n- md5: 5d41402abc4b2a76b9719d911017c592.dir\n  nfiles: 3\n  path: a long name that\n    was folded\n";
    let paths: Vec<String> = dvc::parse("a.dvc", names).unwrap().into_iter().map(|out| out.path).collect();
    assert_eq!(paths, ["it's.csv", "a long name that was folded"]);
    for (bad, why) in [
        ("", "names no file"),
        ("outs: []\n", "names no file"),
        ("outs: {}\n", "line 1: 'outs' is not a list"),
        ("outs:\n- path: a\n", "without a path or an MD5"),
        ("outs:\n- path: a\n  md5: ../../etc/passwd\n", "without a path or an MD5"),
        ("outs:\n- path: &a b\n", "line 2"),
        ("outs:\n- md5: |\n    x\n", "line 2"),
        ("outs:\n- path: 'a\n", "line 2"),
        ("outs:\n  path: a\n", "'outs' is not a list"),
        ("outs:\n- md5: 5d41402abc4b2a76b9719d911017c592\n  size: x\n", "line 3: a size is no number"),
        ("outs:\n- md5: 5d41402abc4b2a76b9719d911017c592\n  path: a\n  hash: sha256\n", "another hash"),
        ("\u{0}\u{1}", "names no file"),
    ] {
        let error = dvc::parse("a.dvc", bad).unwrap_err().to_string();
        assert!(error.starts_with("a.dvc") && error.contains(why), "{bad:?}: {error}");
    }
}

#[test]
fn dvc_caches_of_both_layouts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root.join("data/a.csv.dvc"), format!("outs:\n- md5: {MD5_OF_HELLO}\n  path: a.csv\n"));
    let resolve = |path: &str| super::resolve(&Input::Path(root.join(path)));
    assert!(resolve("data/a.csv.dvc").unwrap_err().to_string().contains("not in a DVC project"));
    fs::create_dir(root.join(".dvc")).unwrap();
    let error = resolve("data/a.csv.dvc").unwrap_err();
    assert!(error.to_string().contains("a.csv is not in DVC's cache") && error.hint().unwrap().contains("dvc pull"), "{error}");
    // DVC 2, and through the name of the file itself, which is not there.
    let two = root.join(".dvc/cache/5d/41402abc4b2a76b9719d911017c592");
    put(&two, "hello");
    for path in ["data/a.csv.dvc", "data/a.csv"] {
        let Kept { files, is_folder, .. } = resolve(path).unwrap().unwrap();
        let real = fs::canonicalize(&two).unwrap();
        assert_eq!((files, is_folder), (vec![(root.join("data/a.csv").display().to_string(), real)], false));
    }
    // A file that is there stands for itself.
    put(root.join("data/a.csv"), "here");
    assert_eq!(resolve("data/a.csv").unwrap(), None);
    // DVC 3, elsewhere.
    put(root.join(".dvc/config"), "['remote \"a\"']\n    url = x\n[cache]\n    dir = ../shared\n");
    let three = root.join("shared/files/md5/5d/41402abc4b2a76b9719d911017c592");
    put(&three, "hello");
    put(root.join("data/a.csv.dvc"), format!("outs:\n- md5: {MD5_OF_HELLO}\n  hash: md5\n  path: a.csv\n"));
    let found = resolve("data/a.csv.dvc").unwrap().unwrap().files.remove(0).1;
    assert_eq!(fs::canonicalize(found).unwrap(), fs::canonicalize(&three).unwrap());
    put(&three, "hallo");
    assert!(resolve("data/a.csv.dvc").unwrap_err().to_string().contains("is damaged in DVC's cache"));
    // The setting of this machine comes first.
    put(root.join(".dvc/config.local"), "[core]\n dir = no\n[cache]\n dir = \"cache\"\n");
    put(root.join("data/a.csv"), "hello");
    assert!(resolve("data/a.csv.dvc").is_ok(), "the cache of DVC 2 has it");
    fs::remove_file(&two).unwrap();
    let found = resolve("data/a.csv.dvc").unwrap().unwrap().files.remove(0).1;
    assert_eq!(found, root.join("data/a.csv"), "and then the file itself, if it is that version");
}

#[test]
fn dvc_2_hashed_text_with_the_line_ends_of_unix() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".dvc")).unwrap();
    // The hash of "a\nb\n".
    let md5 = "dd8c6a395b5dd36c56d23275028f526c";
    put(folder.path().join(".dvc/cache").join(&md5[..2]).join(&md5[2..]), "a\r\nb\r\n");
    let cache = Cache::around(folder.path()).unwrap();
    let out = |hash: Option<&str>| Out { path: "a".into(), md5: md5.into(), size: None, hash: hash.map(str::to_owned) };
    assert!(cache.find("a.dvc", &out(None), None).is_ok());
    assert!(matches!(cache.find("a.dvc", &out(Some("md5")), None), Err(FileError::Bad { .. })));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(lines in proptest::collection::vec("[ -]{0,5}(outs|path|md5|x)?:?[ '\"&|#{-]{0,3}[a-f0-9é]{0,4}", 0..12), lfs in "(version https://git-lfs.github.com/spec/v1\n)?[a-z0-9 :\n]{0,80}") {
        let _ = dvc::parse("a.dvc", &format!("outs:\n{}", lines.join("\n")));
        let _ = Pointer::parse("a", lfs.as_bytes());
    }
}
