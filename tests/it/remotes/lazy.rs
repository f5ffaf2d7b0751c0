//! Lazy clones and the cache, by the command line: over a web server, for it has nothing but files.

use crate::support::Sandbox;

use super::servers::serve;

/// The value of `name` in a line of JSON, as it stands there.
fn number(line: &str, name: &str) -> u64 {
    let at = line.find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("{name} in {line}")) + name.len() + 3;
    line[at..].chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

#[test]
fn a_lazy_clone_brings_data_when_they_are_read() {
    let ada = Sandbox::birds();
    // So much that it does not stand in the table's own object.
    let lines: String = (0..20_000u64).map(|row| format!("{row},{0:x},{0}\n", row.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    ada.file("many.csv", format!("id,name,hash\n{lines}"));
    ada.ok(["import", "many", "many.csv"]);
    ada.ok(["commit", "-m", "many"]);
    let served = serve(&ada);
    let mut grace = Sandbox::empty();
    grace.set("DSV_CACHE_DIR", grace.path("cache").to_str().unwrap());
    let rows = "SELECT id, name FROM many ORDER BY id";
    grace.ok(["clone", "--lazy", &served.url, "work"]);
    let there = |args: &[&str]| grace.ok([&["-C", "work"], args].concat());
    assert_eq!(there(&["query", rows, "--format", "csv"]), ada.ok(["query", rows, "--format", "csv"]));
    assert!(there(&["log", "--oneline"]).contains("many"));
    // What was read is kept, shown, and dropped.
    let shown = grace.ok(["cache", "--json"]);
    assert!(number(&shown, "files") > 0 && number(&shown, "bytes") > 0 && number(&shown, "bytes_max") == 10_000_000_000, "{shown}");
    assert!(number(&grace.ok(["cache", "clear", "--json"]), "bytes") > 0);
    assert_eq!(number(&grace.ok(["cache", "--json"]), "bytes"), 0);
    // A part to stay: told, brought, and there without the server.
    let part = ["fetch", "--table", "many", "--columns", "id,name", "--where", "id <= 2", "--json"];
    let told = number(&there(&[&part[..], &["--dry-run"]].concat()), "objects");
    assert!(told > 0);
    assert_eq!(number(&there(&part), "objects"), told);
    assert_eq!(number(&there(&part), "objects"), 0);
    there(&["query", "UPDATE many SET name = 'gull' WHERE id = 1"]);
    there(&["commit", "-m", "a gull"]);
    assert!(there(&["diff", "HEAD~1", "HEAD", "--stat"]).contains("many"));
    there(&["verify"]);
    there(&["gc"]);
    drop(served);
    grace.ok(["cache", "clear"]);
    assert_eq!(there(&["query", "SELECT id, name FROM many WHERE id = 1", "--format", "csv"]), "id,name\n1,gull\n");
    let cut = grace.run(["-C", "work", "query", "SELECT max(name), hash FROM many GROUP BY hash", "--format", "csv"]);
    assert!(cut.code == 3 && cut.stderr.starts_with("error: http://"), "{cut:?}");
    // Bad input.
    let refused = |args: &[&str]| grace.refused(2, [&["-C", "work"], args].concat());
    assert!(refused(&["fetch", "--columns", "id"]).contains("--table"));
    grace.set("DSV_CACHE_SIZE", "much");
    assert!(grace.refused(2, ["cache"]).contains("DSV_CACHE_SIZE: 'much' is no size"));
}
