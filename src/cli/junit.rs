//! What came of checks as JUnit's XML, which CI systems read.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::error::CliError;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// It cannot be evaluated.
    Unfit,
    /// It does not hold and only warns. JUnit knows no warnings; a case that was skipped is shown as neither red nor green, with its message.
    Warned,
}

/// A check, and what came of it.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    /// Its table.
    pub of: Option<String>,
    pub kind: &'static str,
    pub outcome: Outcome,
    /// What came of it, in a line.
    pub summary: String,
    /// The rows that fail, a line each.
    pub rows: Vec<String>,
}

/// Writes the cases as one suite. The file appears whole or not at all, in place of one that was there.
pub fn write(path: &Path, cases: &[Case]) -> Result<(), CliError> {
    let failed = |e: std::io::Error| CliError::fault(format!("{}: {e}", path.display()));
    let mut name = path.file_name().ok_or_else(|| CliError::usage(format!("--junit: '{}' is no file", path.display())))?.to_owned();
    name.push(format!(".part{}", std::process::id()));
    let beside = path.with_file_name(name);
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file.write_all(xml(cases).as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    });
    written.map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        failed(error)
    })
}

fn xml(cases: &[Case]) -> String {
    let count = |outcome| cases.iter().filter(|case| case.outcome == outcome).count();
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
        cases.len(),
        count(Outcome::Failed),
        count(Outcome::Unfit),
        count(Outcome::Warned)
    );
    let mut out = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite name=\"dsv check\" {counts}>\n");
    for case in cases {
        let place = case.of.as_ref().map_or_else(|| case.kind.to_owned(), |table| format!("{table}.{}", case.kind));
        // Writing to a string cannot fail.
        let _ = write!(out, "    <testcase classname=\"{}\" name=\"{}\"", escaped(&place, true), escaped(&case.name, true));
        let (summary, rows) = (escaped(&case.summary, true), escaped(&case.rows.join("\n"), false));
        let _ = match case.outcome {
            Outcome::Passed => writeln!(out, "/>"),
            Outcome::Failed => writeln!(out, ">\n      <failure type=\"{}\" message=\"{summary}\">{rows}</failure>\n    </testcase>", case.kind),
            Outcome::Unfit => writeln!(out, ">\n      <error type=\"{}\" message=\"{summary}\"/>\n    </testcase>", case.kind),
            Outcome::Warned => {
                writeln!(out, ">\n      <skipped message=\"warning: {summary}\"/>\n      <system-out>warning: {summary}\n{rows}</system-out>\n    </testcase>")
            }
        };
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// Text as it may stand in XML: what XML has no way to write stands as an escape of Rust's.
fn escaped(text: &str, attribute: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' | '\r' if attribute => drop(write!(out, "&#{};", u32::from(c))),
            '\n' | '\t' => out.push(c),
            '\r' => out.push_str("&#13;"),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escaped("a<b & \"c\">\n\u{1b}\0\u{ffff}é", false), "a&lt;b &amp; &quot;c&quot;&gt;\n\\u{1b}\\u{0}\\u{ffff}é");
        assert_eq!(escaped("a\nb\tc\r", true), "a&#10;b&#9;c&#13;");
    }

    #[test]
    fn what_came_of_each_is_told() {
        let case = |name: &str, outcome, rows: &[&str]| Case {
            name: name.to_owned(),
            of: Some("t<1>".to_owned()),
            kind: "range",
            outcome,
            summary: format!("check '{name}'"),
            rows: rows.iter().map(ToString::to_string).collect(),
        };
        let cases = [
            case("a", Outcome::Passed, &[]),
            case("b", Outcome::Failed, &["id=1  x=<2>\u{1}", "id=2"]),
            case("c", Outcome::Unfit, &[]),
            case("d", Outcome::Warned, &["id=3"]),
        ];
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="4" failures="1" errors="1" skipped="1">
  <testsuite name="dsv check" tests="4" failures="1" errors="1" skipped="1">
    <testcase classname="t&lt;1&gt;.range" name="a"/>
    <testcase classname="t&lt;1&gt;.range" name="b">
      <failure type="range" message="check 'b'">id=1  x=&lt;2&gt;\u{1}
id=2</failure>
    </testcase>
    <testcase classname="t&lt;1&gt;.range" name="c">
      <error type="range" message="check 'c'"/>
    </testcase>
    <testcase classname="t&lt;1&gt;.range" name="d">
      <skipped message="warning: check 'd'"/>
      <system-out>warning: check 'd'
id=3</system-out>
    </testcase>
  </testsuite>
</testsuites>
"#;
        assert_eq!(xml(&cases), expected);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checks.xml");
        std::fs::write(&path, "before").unwrap();
        write(&path, &cases).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), xml(&cases));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        // Where it cannot be written, nothing is left over.
        assert!(write(&dir.path().join("missing/checks.xml"), &cases).is_err());
        std::fs::create_dir(dir.path().join("taken")).unwrap();
        assert!(write(&dir.path().join("taken"), &cases).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
