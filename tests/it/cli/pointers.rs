//! Pointers of Git LFS and DVC: what they name is read in their place, or the person is told what brings it.

use sha2::{Digest, Sha256};

use crate::gitrepo::GitRepo;
use crate::support::{BIRDS, Sandbox};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The pointer of some bytes, and the path of their object within the store.
fn lfs(bytes: &[u8]) -> (String, String) {
    let oid = hex(&Sha256::digest(bytes));
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {}\n", bytes.len());
    (pointer, format!("objects/{}/{}/{oid}", &oid[..2], &oid[2..4]))
}

fn md5(bytes: &[u8]) -> String {
    hex(&md5::Md5::digest(bytes))
}

/// A `.dvc` file as DVC 3 writes it, and the path of the bytes in its cache.
fn dvc(name: &str, bytes: &[u8]) -> (String, String) {
    let md5 = md5(bytes);
    let file = format!("outs:\n- md5: {md5}\n  size: {}\n  hash: md5\n  path: {name}\n", bytes.len());
    (file, format!("files/md5/{}/{}", &md5[..2], &md5[2..]))
}

fn exported(s: &Sandbox, table: &str) -> String {
    s.ok(["export", table, "-", "--format", "csv"])
}

const PICTURE: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0,
    0, 0x0a, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0x60, 0, 0, 0, 2, 0, 1, 0x48, 0xaf, 0xa4, 0x71, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60,
    0x82,
];

#[test]
fn a_git_lfs_pointer_stands_for_its_object() {
    let s = Sandbox::repo();
    let Some(git) = GitRepo::init(s.path("code")) else { return };
    let (pointer, object) = lfs(BIRDS.as_bytes());
    git.file("data/birds.csv", &pointer);
    let import = ["import", "birds", "code/data/birds.csv"];
    let told = s.refused(3, import);
    insta::assert_snapshot!(told);
    git.file(&format!(".git/lfs/{object}"), BIRDS);
    s.ok(import);
    assert!(exported(&s, "birds").contains("\"owl, barn\""));
    // From a worktree, whose .git is a file: the objects are in the folder that all share.
    git.commit("begin");
    git.git(["worktree", "add", "-q", s.path("tree").to_str().unwrap()]);
    s.ok(["import", "more", "tree/data/birds.csv", "--key", "id"]);
    // Damage is told, and nothing comes of it.
    git.file(&format!(".git/lfs/{object}"), &BIRDS[1..]);
    assert!(s.refused(3, ["import", "t", "tree/data/birds.csv"]).contains("bytes, and the pointer says"));
    git.file(&format!(".git/lfs/{object}"), BIRDS.replace('7', "8"));
    assert!(s.refused(3, ["import", "t", "tree/data/birds.csv"]).contains("another hash"));
    git.file("data/birds.csv", pointer.replace("oid sha256:", "oid sha256:x"));
    assert!(s.refused(3, ["import", "t", "code/data/birds.csv"]).contains("its lines oid and size are damaged"));
    // The store may be elsewhere.
    git.git(["config", "lfs.storage", "../../store"]);
    s.file(&format!("store/{object}"), BIRDS);
    git.file("data/birds.csv", &pointer);
    s.ok(["import", "others", "code/data/birds.csv"]);
    assert_eq!(exported(&s, "others"), exported(&s, "birds"));
    // Outside of a Git repository there is nothing to look in.
    let away = Sandbox::repo();
    away.file("birds.csv", &pointer);
    let told = away.refused(3, ["import", "t", "birds.csv"]);
    assert!(told.contains("Git LFS pointer"), "{told}");
}

#[test]
fn pictures_in_git_lfs() {
    let s = Sandbox::repo();
    let Some(git) = GitRepo::init(s.path("code")) else { return };
    let (pointer, object) = lfs(PICTURE);
    git.file("photos/a/one.png", &pointer);
    git.file("photos/two.png", PICTURE);
    git.file("list.csv", "id,path\n1,photos/a/one.png\n2,photos/two.png\n");
    let told = s.refused(3, ["import", "p", "code/photos"]);
    assert!(told.contains("is a Git LFS pointer, and its object is not here"), "{told}");
    s.refused(3, ["import", "p", "code/list.csv", "--media", "path"]);
    git.file(&format!(".git/lfs/{object}"), PICTURE);
    s.ok(["import", "p", "code/photos"]);
    s.ok(["import", "q", "code/photos/*/*.png"]);
    s.ok(["import", "r", "code/list.csv", "--media", "path"]);
    let same = s.ok(["query", "SELECT count(*) AS n FROM p JOIN r ON p.image = r.path", "--format", "csv"]);
    assert_eq!(same, "n\n4\n");
    assert_eq!(s.ok(["query", "SELECT path FROM p ORDER BY path", "--format", "csv"]), "path\na/one.png\ntwo.png\n");
}

#[test]
fn dvc_files_stand_for_what_is_in_the_cache() {
    let s = Sandbox::repo();
    let (file, place) = dvc("birds.csv", BIRDS.as_bytes());
    s.file("code/data/birds.csv.dvc", &file);
    assert!(s.refused(3, ["import", "birds", "code/data/birds.csv.dvc"]).contains("not in a DVC project"));
    s.file("code/.dvc/config", "[core]\n    remote = a\n");
    let told = s.refused(3, ["import", "birds", "code/data/birds.csv.dvc"]);
    assert!(told.contains("birds.csv is not in DVC's cache") && told.contains("'dvc pull' brings it"), "{told}");
    // DVC 3.
    s.file(&format!("code/.dvc/cache/{place}"), BIRDS);
    s.ok(["import", "birds", "code/data/birds.csv.dvc", "--key", "id"]);
    assert!(exported(&s, "birds").contains("sparrow"));
    // By the name of the file that is not there: it says so.
    let told = s.run(["import", "again", "code/data/birds.csv"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stderr.contains("Read from DVC's cache: code/data/birds.csv.dvc"), "{}", told.stderr);
    s.file(&format!("code/.dvc/cache/{place}"), BIRDS.replace('7', "8"));
    assert!(s.refused(3, ["import", "t", "code/data/birds.csv.dvc"]).contains("is damaged in DVC's cache"));
    // DVC 2, in a cache elsewhere.
    let md5 = md5(BIRDS.as_bytes());
    s.file("code/data/birds.csv.dvc", format!("outs:\n- md5: {md5}\n  size: {}\n  path: birds.csv\n", BIRDS.len()));
    s.file("code/.dvc/config.local", "[cache]\n    dir = ../../cache\n");
    s.file(&format!("cache/{}/{}", &md5[..2], &md5[2..]), BIRDS);
    s.ok(["import", "two", "code/data/birds.csv.dvc"]);
    assert_eq!(exported(&s, "two"), exported(&s, "again"));
    s.file("code/data/birds.csv.dvc", "outs:\n- md5: &x 1\n");
    assert!(s.refused(3, ["import", "t", "code/data/birds.csv.dvc"]).contains("birds.csv.dvc, line 2"));
}

#[test]
fn folders_in_dvc() {
    let s = Sandbox::repo();
    s.file("code/.dvc/config", "");
    let put = |bytes: &[u8], ending: &str| {
        let md5 = md5(bytes);
        s.file(&format!("code/.dvc/cache/files/md5/{}/{}{ending}", &md5[..2], &md5[2..]), bytes);
        md5
    };
    let (picture, text) = (put(PICTURE, ""), put(b"a label", ""));
    let list = format!(
        r#"[{{"md5": "{picture}", "relpath": "b/two.png"}}, {{"md5": "{picture}", "relpath": "a.png"}}, {{"md5": "{text}", "relpath": "labels.txt"}}]"#
    );
    let md5 = put(list.as_bytes(), ".dir");
    s.file("code/photos.dvc", format!("outs:\n- md5: {md5}.dir\n  size: 1\n  nfiles: 3\n  hash: md5\n  path: photos\n"));
    // A folder of pictures, as any other: by the names that they have in it.
    s.ok(["import", "photos", "code/photos"]);
    assert_eq!(s.ok(["query", "SELECT path FROM photos", "--format", "csv"]), "path\na.png\nb/two.png\n");
    // Tables: as many files.
    let (one, two) = (put(b"id,name\n1,wren\n", ""), put(b"id,name\n2,owl\n", ""));
    let list = format!(r#"[{{"md5": "{two}", "relpath": "2.csv"}}, {{"md5": "{one}", "relpath": "1.csv"}}]"#);
    let md5 = put(list.as_bytes(), ".dir");
    s.file("code/parts.dvc", format!("outs:\n- md5: {md5}.dir\n  hash: md5\n  path: parts\n"));
    s.ok(["import", "parts", "code/parts.dvc"]);
    assert_eq!(exported(&s, "parts"), "id,name\n1,wren\n2,owl\n");
    std::fs::remove_file(s.path(&format!("code/.dvc/cache/files/md5/{}/{}", &two[..2], &two[2..]))).unwrap();
    assert!(s.refused(3, ["import", "t", "code/parts.dvc"]).contains("parts/2.csv is not in DVC's cache"));
}

#[test]
fn pointers_in_the_history_of_git() {
    let s = Sandbox::repo();
    let Some(git) = GitRepo::init(s.path("code")) else { return };
    let csv = |n: u32| format!("id,n\n1,{n}\n");
    // First in Git itself, then in Git LFS, then in DVC, which hides it from Git.
    git.version("data/d.csv", csv(1), "in Git");
    for n in [2, 3] {
        let (pointer, object) = lfs(csv(n).as_bytes());
        git.version("data/d.csv", &pointer, &format!("in LFS, {n}"));
        if n == 2 {
            s.file(&format!("code/.git/lfs/{object}"), csv(n));
        }
    }
    git.git(["rm", "-q", "--cached", "data/d.csv"]);
    std::fs::remove_file(git.dir.join("data/d.csv")).unwrap();
    s.file("code/.dvc/config", "");
    s.file("code/.dvc/.gitignore", "/cache\n");
    for n in [4, 5, 6] {
        let (file, place) = dvc("d.csv", csv(n).as_bytes());
        git.version("data/d.csv.dvc", &file, &format!("in DVC, {n}"));
        if n != 5 {
            s.file(&format!("code/.dvc/cache/{place}"), csv(n));
        }
    }
    let told = s.run(["import", "t", "--from-git", "code", "data/d.csv", "--key", "id"]);
    insta::assert_snapshot!(told.redacted());
    assert_eq!(exported(&s, "t"), "id,n\n1,6\n");
    let made = s.ok(["log", "--json"]);
    assert_eq!(made.lines().count(), 4);
    // What was missing is brought by those tools, and taken by another table; this one goes on at its end.
    let (_, object) = lfs(csv(3).as_bytes());
    s.file(&format!("code/.git/lfs/{object}"), csv(3));
    s.ok(["import", "u", "--from-git", "code", "data/d.csv", "--key", "id"]);
    assert_eq!(s.ok(["log", "--json"]).lines().count(), 4 + 5);
    // By the name of the .dvc file there is only what it stood for.
    s.ok(["import", "v", "--from-git", "code", "data/d.csv.dvc"]);
    assert_eq!(s.ok(["log", "--json"]).lines().count(), 4 + 5 + 2);
}
