//! DataFusion's own .slt files over tables of a repository: `docs/design/sql-suites.md` says what runs, and what does not.

mod engine;
mod parse;
mod print;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::{Engines, Lines};
use parse::{Expected, Record, Sort};

use crate::support::skip;

/// Where queries are answered in another way, and that is meant: places below the reason for them.
const DIFFERENCES: &str = include_str!("../../../fixtures/slt/differences.txt");
/// The files that run, with the number of queries answered and refused as expected.
const HELD: &str = include_str!("../../../fixtures/slt/held.txt");
/// Its table tells of files that are left out.
const LEFT_OUT: &str = include_str!("../../../docs/design/sql-suites.md");

/// What `make test` has the time for: joins, order, limits, sets, subqueries, groups and conditions.
const CORE: &[&str] = &[
    "case.slt",
    "cte.slt",
    "distinct_on.slt",
    "group.slt",
    "grouping.slt",
    "in_list.slt",
    "intersection.slt",
    "join_is_not_distinct_from.slt",
    "join_only.slt",
    "lateral_join.slt",
    "limit.slt",
    "negative_zero.slt",
    "null_aware_anti_join.slt",
    "order.slt",
    "pg_compat/pg_compat_types.slt",
    "pg_compat/pg_compat_union.slt",
    "predicates.slt",
    "qualify.slt",
    "same_column_name_cross_join.slt",
    "select.slt",
    "subquery.slt",
    "topk.slt",
    "type_coercion.slt",
    "union.slt",
    "unnest.slt",
];

/// The folder of .slt files: `DSV_TEST_SLT`, which `scripts/test.py` sets.
fn folder() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("DSV_TEST_SLT").map(PathBuf::from) else {
        skip("slt", "the .slt files of datafusion-sqllogictest are not here (DSV_TEST_SLT)");
        return None;
    };
    assert!(folder.is_dir(), "{}: no folder", folder.display());
    Some(folder)
}

/// All .slt files below a folder, as paths from it on.
fn files(folder: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "slt") {
                found.push(path.strip_prefix(folder).unwrap().to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// What became of the records of a file.
#[derive(Debug, Default)]
struct Outcome {
    /// Queries answered as expected.
    held: usize,
    /// Queries refused as expected.
    refused: usize,
    /// What does not count, by reason.
    passed_over: BTreeMap<&'static str, usize>,
    /// Places where dsv does otherwise than the file expects, with what it did.
    different: BTreeMap<String, String>,
}

/// What one record shows.
enum Shown {
    Held,
    Refused,
    PassedOver(&'static str),
    Different(String),
}

fn run_file(folder: &Path, file: &str) -> Outcome {
    let mut engines = Engines::new(folder);
    let mut outcome = Outcome::default();
    for record in parse::read(folder, file) {
        match run_record(&mut engines, &record) {
            Shown::Held => outcome.held += 1,
            Shown::Refused => outcome.refused += 1,
            Shown::PassedOver(why) => *outcome.passed_over.entry(why).or_default() += 1,
            Shown::Different(told) => drop(outcome.different.insert(record.place, format!("{}\n{told}", record.sql))),
        }
    }
    outcome
}

fn run_record(engines: &mut Engines, record: &Record) -> Shown {
    let first = record.sql.split(|c: char| !c.is_alphabetic()).find(|word| !word.is_empty()).unwrap_or_default().to_ascii_lowercase();
    match first.as_str() {
        "select" | "with" | "values" | "from" => {}
        "explain" => return Shown::PassedOver("EXPLAIN"),
        "show" => return Shown::PassedOver("SHOW"),
        _ => {
            // It may make tables, or be refused; dsv has no part in it.
            let ran = engines.alone(&record.sql);
            let fails = record.expected == Expected::Done && ran.is_err();
            return Shown::PassedOver(if fails { "statements that fail in DataFusion as built here" } else { "statements" });
        }
    }
    if let Err(why) = engines.bring(&record.sql) {
        return Shown::PassedOver(why);
    }
    let found = engines.dsv(&record.sql);
    let fits = |answer: &Result<Lines, String>| match (&record.expected, answer) {
        (Expected::Done, answer) => answer.is_ok(),
        (Expected::Error, answer) => answer.is_err(),
        (Expected::Rows { .. }, Err(_)) => false,
        (Expected::Rows { types, sort, lines }, Ok((letters, rows))) => same_types(types, letters) && same_rows(&record.sql, *sort, lines, rows),
    };
    let failed = record.expected == Expected::Error;
    match (fits(&found), failed) {
        (true, false) => Shown::Held,
        // A refusal counts where DataFusion refuses it too, else it may be for want of something else.
        _ if !fits(&engines.alone(&record.sql)) => Shown::PassedOver("DataFusion alone, as built here, does not answer so either"),
        (true, true) => Shown::Refused,
        _ if !fits(&engines.plain(&record.sql)) => Shown::PassedOver("another dialect or configuration than dsv's"),
        (false, _) => Shown::Different(match (found, &record.expected) {
            (Err(error), _) => format!("failed: {error}"),
            (Ok((letters, rows)), Expected::Rows { types, lines, .. }) => {
                format!("expected {types}:\n{}\nfound {letters}:\n{}", lines.join("\n"), rows.join("\n"))
            }
            (Ok((_, rows)), _) => format!("expected a refusal, found:\n{}", rows.join("\n")),
        }),
    }
}

/// A `?` stands for any type.
fn same_types(expected: &str, found: &str) -> bool {
    expected.len() == found.len() && expected.chars().zip(found.chars()).all(|(e, f)| e == f || e == '?')
}

fn same_rows(sql: &str, sort: Sort, expected: &[String], found: &[String]) -> bool {
    if expected.iter().any(|line| line.contains("<slt:ignore>")) {
        return fits_around_gaps(&expected.join("\n"), &found.join("\n"));
    }
    let sorted = |lines: &[String]| {
        let mut lines: Vec<String> = match sort {
            Sort::Values => lines.iter().flat_map(|line| line.split_whitespace().map(str::to_owned)).collect(),
            _ => lines.to_vec(),
        };
        lines.sort();
        lines
    };
    // Without ORDER BY rows come in any order.
    let any_order = sort != Sort::None || !outside_of_brackets(sql).contains("order by");
    expected == found || any_order && sorted(expected) == sorted(found)
}

/// The text in lower case, words with one space between, without what stands in brackets.
fn outside_of_brackets(sql: &str) -> String {
    let (mut depth, mut out) = (0usize, String::new());
    for c in sql.to_ascii_lowercase().chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// True where the text has the pieces between the gaps, in order.
fn fits_around_gaps(expected: &str, found: &str) -> bool {
    let mut at = 0;
    for (number, piece) in expected.split("<slt:ignore>").enumerate() {
        match found[at..].find(piece) {
            Some(place) if number > 0 || place == 0 => at += place + piece.len(),
            _ => return false,
        }
    }
    true
}

/// The reason for each place at which dsv answers otherwise.
fn differences() -> BTreeMap<&'static str, &'static str> {
    let (mut found, mut reason) = (BTreeMap::new(), "");
    for line in DIFFERENCES.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# ") {
            Some(why) => reason = why,
            None => assert!(found.insert(line, reason).is_none() && !reason.is_empty(), "{line}: listed twice, or without a reason"),
        }
    }
    found
}

/// The files that run, each with its two counts.
fn held() -> BTreeMap<&'static str, (usize, usize)> {
    let read = |line: &'static str| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_else(|| panic!("held.txt: {line}"));
        (next(), (next().parse().unwrap(), next().parse().unwrap()))
    };
    HELD.lines().map(read).collect()
}

/// The files and folders (with a `/` at the end) that are left out.
fn left_out() -> BTreeSet<&'static str> {
    let section = LEFT_OUT.split("\n## ").find(|section| section.starts_with("Left out of the .slt files")).expect("the section of files left out");
    section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(names, _)| names)).flat_map(|names| names.split("`, `")).collect()
}

fn is_left_out(left_out: &BTreeSet<&str>, file: &str) -> bool {
    left_out.iter().any(|out| file == *out || out.ends_with('/') && file.starts_with(*out))
}

/// Runs files on two threads; what became of each.
fn run(folder: &Path, files: &[String]) -> BTreeMap<String, Outcome> {
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let work = || {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = run_file(folder, file);
                    outcomes.lock().unwrap().insert(file.clone(), outcome);
                }
            };
            // As much stack as a program has; plans of a development build are deep.
            std::thread::Builder::new().stack_size(16 << 20).spawn_scoped(scope, work).unwrap();
        }
    });
    outcomes.into_inner().unwrap()
}

/// Compares what became of files with what is listed.
fn judge(outcomes: &BTreeMap<String, Outcome>) {
    let (known, held) = (differences(), held());
    let mut wrong = Vec::new();
    for (file, outcome) in outcomes {
        for (place, told) in outcome.different.iter().filter(|(place, _)| !known.contains_key(place.as_str())) {
            wrong.push(format!("{place}: dsv does otherwise, and fixtures/slt/differences.txt does not say why\n{told}"));
        }
        let of_file = known.keys().filter(|place| place.strip_prefix(file.as_str()).is_some_and(|rest| rest.starts_with([':', '>'])));
        for place in of_file.filter(|place| !outcome.different.contains_key(**place)) {
            wrong.push(format!("{place}: no difference any more, but fixtures/slt/differences.txt has one"));
        }
        let (found, listed) = ((outcome.held, outcome.refused), held.get(file.as_str()).copied().unwrap_or_default());
        if found != listed {
            wrong.push(format!("{file}: {found:?} queries answered and refused as expected, but fixtures/slt/held.txt has {listed:?}"));
        }
    }
    let sum = |of: fn(&Outcome) -> usize| outcomes.values().map(of).sum::<usize>();
    println!("{} files: {} queries answered as expected, {} refused as expected", outcomes.len(), sum(|o| o.held), sum(|o| o.refused));
    let mut passed_over = BTreeMap::<&str, usize>::new();
    outcomes.values().flat_map(|o| &o.passed_over).for_each(|(why, n)| *passed_over.entry(why).or_default() += n);
    println!("not counted: {passed_over:?}; different for a reason: {}", sum(|o| o.different.len()));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn each_file_runs_or_is_left_out_with_a_reason() {
    let Some(folder) = folder() else { return };
    let (files, held, left_out) = (files(&folder), held(), left_out());
    let both: Vec<&String> = files.iter().filter(|file| held.contains_key(file.as_str()) == is_left_out(&left_out, file)).collect();
    assert!(both.is_empty(), "neither run nor left out, or both: {both:?}");
    let gone: Vec<_> = held.keys().filter(|name| !files.iter().any(|f| f == *name)).collect();
    let gone_too: Vec<_> = left_out.iter().filter(|name| !files.iter().any(|f| is_left_out(&BTreeSet::from([**name]), f))).collect();
    assert!(gone.is_empty() && gone_too.is_empty(), "no such files: {gone:?} {gone_too:?}");
    let empty: Vec<_> = held.iter().filter(|(_, (held, _))| *held == 0).collect();
    assert!(empty.is_empty(), "they hold nothing, and are to be left out: {empty:?}");
    let unknown: Vec<_> = differences().into_keys().filter(|place| !held.contains_key(place.split([':', '>']).next().unwrap())).collect();
    assert!(unknown.is_empty(), "differences in files that do not run: {unknown:?}");
}

#[test]
fn core_files_hold() {
    let Some(folder) = folder() else { return };
    let files: Vec<String> = CORE.iter().map(ToString::to_string).collect();
    judge(&run(&folder, &files));
}

/// With `DSV_TEST_SLT_WRITE` it writes the counts instead, and prints the differences that have no reason yet.
#[test]
#[ignore = "long: some minutes"]
fn all_files_hold() {
    let Some(folder) = folder() else { return };
    let left_out = left_out();
    let files: Vec<String> = files(&folder).into_iter().filter(|file| !is_left_out(&left_out, file)).collect();
    let outcomes = run(&folder, &files);
    if std::env::var_os("DSV_TEST_SLT_WRITE").is_some() {
        let lines: String = outcomes.iter().map(|(file, o)| format!("{file}\t{}\t{}\n", o.held, o.refused)).collect();
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/slt/held.txt"), lines).unwrap();
        outcomes.values().flat_map(|o| &o.different).for_each(|(place, told)| println!("DIFF {place}\n{told}\nEND"));
        return;
    }
    judge(&outcomes);
}
