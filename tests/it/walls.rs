//! Holds the walls of the house: which floor imports which, and what every source file owes its reader.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors from the ground up. Those of one line are neighbours: a floor imports from lines below, and from its neighbours to the right.
const FLOORS: &[&[&str]] = &[&["base"], &["format"], &["store"], &["chunk", "tree"], &["table", "history"], &["repo"], &["query"], &["loader"], &["cli"]];

/// Lines that a source file may have before its tests begin.
const LINES_MAX: usize = 600;

/// Calls that panic and yet are right: the file, and the text of the line.
const PANICS_ALLOWED: &[(&str, &str)] = &[];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `dir`, with its text.
fn sources(dir: &str) -> BTreeMap<PathBuf, String> {
    fn walk(dir: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(root()).unwrap().to_owned(), text);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&root().join(dir), &mut found);
    assert!(!found.is_empty(), "nothing in {dir}");
    found
}

/// Place of a floor: its line, and its place in the line.
fn place(floor: &str) -> Option<(usize, usize)> {
    FLOORS.iter().enumerate().find_map(|(line, names)| Some((line, names.iter().position(|n| *n == floor)?)))
}

fn may_import(from: &str, to: &str) -> bool {
    match (place(from), place(to)) {
        (Some((a, i)), Some((b, j))) => b < a || (b == a && j >= i),
        _ => false,
    }
}

/// The text without comments, string literals and characters, so that words in them count for nothing. Line ends stay.
fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    while i < chars.len() {
        let c = at(i);
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            while i < chars.len() && !(at(i) == '*' && at(i + 1) == '/') {
                if at(i) == '\n' {
                    out.push('\n');
                }
                i += 1;
            }
            i += 2;
        } else if c == 'r' && (at(i + 1) == '"' || at(i + 1) == '#') && !out.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            let mut hashes = 0;
            while at(i + 1 + hashes) == '#' {
                hashes += 1;
            }
            if at(i + 1 + hashes) != '"' {
                out.push(c);
                i += 1;
                continue;
            }
            i += 2 + hashes;
            while i < chars.len() && !(at(i) == '"' && (0..hashes).all(|h| at(i + 1 + h) == '#')) {
                if at(i) == '\n' {
                    out.push('\n');
                }
                i += 1;
            }
            i += 1 + hashes;
            out.push_str("\"\"");
        } else if c == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                if at(i) == '\n' {
                    out.push('\n');
                }
                i += if at(i) == '\\' && at(i + 1) != '\n' { 2 } else { 1 };
            }
            i += 1;
            out.push_str("\"\"");
        } else if c == '\'' && (at(i + 2) == '\'' || at(i + 1) == '\\') {
            i += 2;
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
            out.push_str("' '");
        } else {
            out.push(c);
            i += 1;
        }
    }
    out
}

/// What stands before the tests of a file.
fn without_tests(code: &str) -> &str {
    let tests = code.match_indices("#[cfg(test)]\n").find(|(at, marker)| {
        let line = code[at + marker.len()..].lines().next().unwrap_or("");
        line.contains("mod ") && line.ends_with('{')
    });
    tests.map_or(code, |(at, _)| &code[..at])
}

/// The files below `src` that are compiled for tests alone: those that some file names in a `#[cfg(test)] mod`, and what stands in folders of theirs.
fn test_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (path, text) in sources("src") {
        let folder = match path.file_stem().and_then(|s| s.to_str()) {
            Some("mod" | "lib" | "main") => path.parent().unwrap().to_owned(),
            _ => path.with_extension(""),
        };
        for (at, marker) in text.match_indices("#[cfg(test)]\n") {
            let line = text[at + marker.len()..].lines().next().unwrap_or("").trim();
            let name = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ").strip_prefix("mod ").and_then(|l| l.strip_suffix(';'));
            found.extend(name.map(|name| folder.join(name)));
        }
    }
    found
}

fn is_among(tests: &[PathBuf], path: &Path) -> bool {
    tests.iter().any(|test| path.with_extension("") == *test || path.starts_with(test))
}

/// The floors that a file names after `crate::`, also within `use crate::{a, b::c}`.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            continue;
        };
        let (mut depth, mut word, mut first) = (1, String::new(), true);
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 1 && (c.is_alphanumeric() || c == '_') && first {
                word.push(c);
            } else if !word.is_empty() {
                found.push(std::mem::take(&mut word));
                first = false;
            }
            if depth == 1 && c == ',' {
                first = true;
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

#[test]
fn no_floor_imports_one_above() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let mut parts = path.iter().skip(1);
        let floor = parts.next().and_then(|p| p.to_str()).unwrap_or("").to_owned();
        if floor == "lib.rs" || floor == "main.rs" {
            continue;
        }
        assert!(place(&floor).is_some(), "{} stands on no known floor", path.display());
        for import in imports(&code_only(&text)) {
            if !may_import(&floor, &import) {
                wrong.push(format!("{}: {floor} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that break the walls:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let without: Vec<String> = ["src", "tests/it", "fixtures", "examples"]
        .iter()
        .flat_map(|dir| sources(dir))
        .filter(|(_, text)| !text.starts_with("//! ") || text.starts_with("//! Floor placeholder"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(without.is_empty(), "no purpose line: {without:?}");
}

#[test]
fn no_file_grows_past_what_one_reads() {
    let tests = test_files();
    let long: Vec<String> = ["src", "tests/it"]
        .iter()
        .flat_map(|dir| sources(dir))
        .map(|(path, text)| (path, without_tests(&text).lines().count()))
        .filter(|(path, lines)| *lines > LINES_MAX && !is_among(&tests, path))
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "what are these two of? {long:?}");
}

#[test]
fn no_test_file_is_left_out() {
    let main = fs::read_to_string(root().join("tests/it/main.rs")).unwrap();
    for (path, _) in sources("tests/it") {
        let inside = path.strip_prefix("tests/it").unwrap();
        let Some(first) = inside.iter().next().and_then(|p| p.to_str()) else { continue };
        let name = first.trim_end_matches(".rs");
        if name == "main" {
            continue;
        }
        assert!(main.lines().any(|l| l.trim() == format!("mod {name};")), "tests/it/main.rs does not name {}", path.display());
        if inside.iter().count() == 2 && !inside.ends_with("mod.rs") {
            let module = inside.file_stem().unwrap().to_str().unwrap();
            let folder = root().join("tests/it").join(first);
            let parent = fs::read_to_string(folder.join("mod.rs")).or_else(|_| fs::read_to_string(folder.with_extension("rs"))).unwrap();
            assert!(parent.lines().any(|l| l.trim().trim_start_matches("pub ") == format!("mod {module};")), "{first}/mod.rs does not name {}", path.display());
        }
    }
}

#[test]
fn nothing_panics_on_what_the_world_brings() {
    let (mut found, tests) = (Vec::new(), test_files());
    for (path, text) in sources("src") {
        if is_among(&tests, &path) {
            continue;
        }
        let code = code_only(&text);
        let code = without_tests(&code);
        for (number, line) in code.lines().enumerate() {
            let panics = [".unwrap()", ".expect(\"", ".expect(&", "panic!(", "unreachable!(", "todo!(", "unimplemented!("].iter().any(|p| line.contains(p));
            let file = path.to_str().unwrap_or_default();
            if panics && !PANICS_ALLOWED.iter().any(|(f, text)| *f == file && line.contains(text)) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{} places may panic:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_walls_are_seen() {
    assert_eq!(imports("use crate::{base::Id, format::{a, b}, chunk};\ncrate::query::x(); $crate::y; mycrate::z"), ["base", "format", "chunk", "query"]);
    assert!(may_import("history", "tree") && may_import("table", "history") && may_import("chunk", "tree") && may_import("repo", "repo"));
    assert!(!may_import("history", "table") && !may_import("base", "format") && !may_import("tree", "chunk") && !may_import("repo", "query"));
    assert_eq!(code_only("a \"x // .unwrap()\" b // c\n'\"' r#\"}\"# d"), "a \"\" b \n' ' \"\" d");
    assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {\n b }"), "a\n");
}
