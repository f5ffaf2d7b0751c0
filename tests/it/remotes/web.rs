//! Remotes that can only be read: any web server, and dsv's own.

use std::process::Command;

use super::servers::{serve, web};
use crate::support::{Sandbox, python};

const ROWS: &str = "SELECT id, name FROM birds ORDER BY id";

/// What is read from a repository of Ada's that is shown at `url`: without a clone, in a clone, and after another commit. A push is refused.
fn reads(ada: &Sandbox, grace: &Sandbox, url: &str) {
    ada.ok(["tag", "v1"]);
    let at = |revision: &str| format!("{url}#{revision}");
    let rows = |revision: &str| ada.ok(["query", ROWS, "--at", revision, "--format", "csv"]);
    assert_eq!(grace.ok(["query", ROWS, "--at", &at("main"), "--format", "csv"]), rows("main"));
    assert_eq!(grace.ok(["head", "birds", "--at", url, "--json"]), ada.ok(["head", "birds", "--json"]));
    assert!(grace.ok(["table", "list", "--at", &at("main")]).contains("birds"));
    grace.ok(["export", "birds", "birds.parquet", "--at", &at("main")]);
    let written = grace.run(["query", "DELETE FROM birds", "--at", &at("main")]);
    assert!(written.code != 0 && ada.ok(["status", "--json"]).contains(r#""clean":true"#), "{written:?}");
    assert!(grace.run(["query", ROWS, "--at", &at("mian")]).stderr.contains("main"));
    assert!(grace.ok(["ls-remote", url]).contains("v1"));
    grace.ok(["clone", url, "work"]);
    let there = |args: &[&str]| grace.run([&["-C", "work"], args].concat());
    assert_eq!(there(&["query", ROWS, "--format", "csv"]).stdout, rows("main"));
    // What is new comes; what was read without a clone is what was there then.
    ada.ok(["query", "UPDATE birds SET name = 'crow' WHERE id = 2"]);
    ada.ok(["commit", "-m", "a crow"]);
    let fetched = there(&["fetch"]);
    assert!(fetched.code == 0 && fetched.stderr.contains("1 commit,"), "{fetched:?}");
    assert_eq!(there(&["query", ROWS, "--at", "origin/main", "--format", "csv"]).stdout, rows("main"));
    assert_eq!(grace.ok(["query", ROWS, "--at", &at("main"), "--format", "csv"]), rows("main"));
    assert_eq!(grace.ok(["query", ROWS, "--at", &at("v1"), "--format", "csv"]), rows("v1"));
    assert_ne!(rows("v1"), rows("main"));
    assert_eq!(there(&["pull"]).code, 0);
    assert_eq!(there(&["query", "UPDATE birds SET name = 'gull' WHERE id = 1"]).code, 0);
    assert_eq!(there(&["commit", "-m", "a gull"]).code, 0);
    let head = std::fs::read(ada.path(".dsv/head")).unwrap();
    for args in [&["push"][..], &["push", "--lock"], &["push", "--force"], &["push", "origin", "--delete", "main"]] {
        let pushed = there(args);
        assert!(pushed.code == 3 && pushed.stderr.contains("read-only"), "{pushed:?}");
    }
    assert_eq!(std::fs::read(ada.path(".dsv/head")).unwrap(), head);
    assert_eq!(there(&["verify"]).code, 0);
}

#[test]
fn a_plain_web_server() {
    let ada = Sandbox::birds();
    let server = web(&ada.path(".dsv"));
    let grace = Sandbox::empty();
    reads(&ada, &grace, &server.endpoint());
    // A folder without a repository, and one that is not there.
    let other = grace.run(["clone", &format!("{}/packs", server.endpoint()), "other"]);
    assert!(other.code == 2 && other.stderr.contains("no dsv repository") && !grace.path("other").exists(), "{other:?}");
    // A repository in a folder of the server's.
    let above = web(&ada.path(""));
    grace.ok(["clone", &format!("{}/.dsv", above.endpoint()), "again"]);
}

#[test]
fn dsv_s_own_web_server() {
    let mut ada = Sandbox::birds();
    ada.set("DSV_TOKEN", "sesame");
    let served = serve(&ada);
    let mut grace = Sandbox::empty();
    let refused = grace.run(["clone", &served.url, "work"]);
    assert!(refused.code == 3 && refused.stderr.contains("401") && !grace.path("work").exists(), "{refused:?}");
    grace.set("DSV_TOKEN", "sesame");
    reads(&ada, &grace, &served.url);
    // Nothing but files of the repository is shown.
    let script = "import sys, urllib.request as r\nfor path in sys.argv[2:]:\n  try: print(r.urlopen(r.Request(sys.argv[1] + path, headers={'Authorization': 'Bearer sesame', 'Range': 'bytes=0-6'})).read())\n  except Exception as e: print(e.code)";
    let told = Command::new(python())
        .args(["-c", script, &served.url, "/head", "/config.toml", "/packs/", "/../birds.csv", "/packs/../config.toml"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&told.stdout), "b'DSVHEAD'\n404\n404\n404\n404\n");
}
