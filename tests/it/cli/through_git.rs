//! dsv as Git's textconv and difftool, called by Git itself.

use crate::gitrepo::GitRepo;
use crate::support::{BIRDS, Sandbox};

const CHANGED: &str = "id,name,weight,label,code
1,sparrow,24.5,small,007
3,eagle,4300.0,huge,009
4,\"owl, barn\",,large,010
5,swift,41.0,small,
6,crane,5000.0,large,011
";

/// Two versions of a file in each format, in two commits.
fn versions(s: &Sandbox) -> Option<GitRepo> {
    let git = GitRepo::init(s.path("code"))?;
    for (csv, message) in [(BIRDS, "birds"), (CHANGED, "other birds")] {
        s.file("b.csv", csv);
        s.ok(["import", "b", "b.csv", "--replace"]);
        for name in ["birds.csv", "birds.parquet", "birds.jsonl", "birds.arrow"] {
            s.ok(["export", "b", &format!("code/{name}"), "--force"]);
        }
        git.file(".gitattributes", "*.parquet diff=dsv\n*.csv diff=dsv\n*.jsonl diff=dsv\n*.arrow diff=dsv\n");
        git.commit(message);
    }
    Some(git)
}

#[test]
fn textconv_is_compared_line_by_line() {
    let s = Sandbox::repo();
    let Some(git) = versions(&s) else { return };
    git.git(["config", "diff.dsv.textconv", "dsv git textconv"]);
    let of = |name: &str| {
        let text = git.git(["diff", "HEAD~1", "--", name]);
        text.lines().skip_while(|line| !line.starts_with("@@")).skip(1).collect::<Vec<_>>().join("\n")
    };
    let parquet = of("birds.parquet");
    insta::assert_snapshot!(parquet);
    // One text, whatever the format.
    for name in ["birds.csv", "birds.jsonl", "birds.arrow"] {
        assert_eq!(of(name), parquet, "{name}");
    }
    assert!(git.git(["log", "-p", "--format=%s", "--", "birds.parquet"]).contains("+column \"id\": int64"));
}

#[test]
fn textconv_never_stops_git() {
    let s = Sandbox::repo();
    let Some(git) = GitRepo::init(s.path("code")) else { return };
    git.git(["config", "diff.dsv.textconv", "dsv git textconv"]);
    git.file(".gitattributes", "* diff=dsv\n");
    for (name, bytes) in
        [("a.csv", &b"a,b\n1,2,3\n"[..]), ("b.parquet", b"PAR1 rubbish \x00\xff"), ("c.jsonl", b"{\"a\": 1}\n{"), ("d.csv", b""), ("e.npy", b"\x00\x01\x02")]
    {
        git.file(name, bytes);
    }
    git.commit("bad files");
    let shown = git.git(["show", "--format=%s"]);
    insta::assert_snapshot!(shown.lines().filter(|line| !line.starts_with("index ")).collect::<Vec<_>>().join("\n"));
    // A pointer of Git LFS without its object is text.
    git.version("a.csv", format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 3\n", "0".repeat(64)), "a pointer");
    assert!(git.git(["show"]).contains("+oid sha256:000"));
    let gone = s.ok(["git", "textconv", "nothing.csv"]);
    assert!(gone.contains("there is no such file"), "{gone}");
    assert_eq!(s.ok(["git", "textconv", "/dev/null"]), "");
}

#[test]
fn textconv_names_bytes_by_their_hash() {
    let s = Sandbox::repo();
    s.file("photos/x.png", include_bytes!("../../../python/README.md"));
    let told = s.ok(["git", "textconv", "photos/x.png"]);
    assert!(told.contains("cannot be read as a table"), "{told}");
    s.file("t.csv", "id,data\n1,photos/x.png\n");
    s.ok(["import", "t", "t.csv", "--media", "data", "--types", "data=binary"]);
    s.ok(["export", "t", "t.parquet"]);
    let told = s.ok(["git", "textconv", "t.parquet"]);
    assert!(told.contains("column \"data\": binary") && told.contains("\"bytes_total\":") && told.contains("\"blake3\":"), "{told}");
}

#[test]
fn difftool_shows_rows_and_cells() {
    let s = Sandbox::repo();
    let Some(git) = versions(&s) else { return };
    git.git(["config", "difftool.dsv.cmd", "dsv git difftool \"$LOCAL\" \"$REMOTE\" --key id"]);
    let tool = |name: &str| git.git(["difftool", "--no-prompt", "--tool=dsv", "HEAD~1", "--", name]);
    let parquet = tool("birds.parquet");
    insta::assert_snapshot!(parquet);
    assert_eq!(tool("birds.csv"), parquet.replace("birds.parquet", "birds.csv"));
    assert_eq!(tool("birds.jsonl"), parquet.replace("birds.parquet", "birds.jsonl"));
    // The same files.
    git.git(["mv", "birds.csv", "same.csv"]);
    let old = s.path("code/same.csv");
    let same = s.ok(["git", "difftool", old.to_str().unwrap(), old.to_str().unwrap()]);
    assert!(same.contains("no value differs"), "{same}");
    let lines = s.ok(["git", "difftool", "b.csv", "b.csv", "--json"]);
    assert_eq!(lines, "");
}

#[test]
fn an_external_diff() {
    let s = Sandbox::repo();
    let Some(git) = versions(&s) else { return };
    let diff = |args: &[&str]| {
        let done = git.command([&["diff"], args].concat()).env("GIT_EXTERNAL_DIFF", "dsv git difftool").output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    // Without a key, by content in order.
    let by_content = diff(&["HEAD~1", "--", "birds.parquet"]);
    assert!(by_content.contains("crane") && by_content.contains("birds.parquet"), "{by_content}");
    // With one of Git's settings.
    git.git(["config", "diff.dsv.key", "id"]);
    insta::assert_snapshot!(diff(&["HEAD~1", "--", "birds.parquet"]));
    // Files that came, went and were moved; and one that is no table, which stops nothing.
    git.version("new.csv", "id,name\n1,a\n", "new");
    assert!(diff(&["HEAD~1"]).contains("new:      new.csv"));
    assert!(diff(&["HEAD", "HEAD~1"]).contains("dropped:  new.csv"));
    git.git(["mv", "new.csv", "moved.csv"]);
    git.version("moved.csv", "id,name\n1,b\n", "moved");
    let moved = diff(&["-M10%", "HEAD~1"]);
    assert!(moved.contains("new.csv -> moved.csv"), "{moved}");
    git.file("notes.csv", "a,b\n1,2,3\n");
    git.commit("not rectangular");
    git.file("notes.csv", "a,b\n1,2,4\n");
    let bad = diff(&[]);
    assert!(bad.contains("cannot be compared by row") && bad.contains("-1,2,3\n+1,2,4\n"), "{bad}");
    // As the driver of some files.
    git.git(["config", "diff.dsv.command", "dsv git difftool"]);
    let driven = git.git(["diff", "--ext-diff", "HEAD~4", "HEAD~3", "--", "birds.csv"]);
    assert!(driven.contains("birds.csv"), "{driven}");
}

#[test]
fn wrong_use() {
    let s = Sandbox::repo();
    s.file("b.csv", BIRDS);
    assert!(s.refused(2, ["git", "difftool", "a", "b", "c"]).contains("7 words"));
    assert!(s.refused(3, ["git", "difftool", "b.csv", "nothing.csv"]).contains("there is no such file"));
    assert!(s.refused(2, ["git", "difftool", "b.csv", "b.csv", "--key", "nme"]).contains("did you mean 'name'?"));
    assert!(s.refused(3, ["git", "difftool", "b.csv", "b.csv", "--key", "label"]).contains("stands twice"));
}
