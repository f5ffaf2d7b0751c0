//! Checks that need no SQL, against plain rows: what breaks them, whole and since a state that kept them; and what they read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use proptest::prelude::*;

use super::merging::switch;
use super::{commit, memory, options};
use crate::format::Type;
use crate::repo::{MergeOutcome, MergeRequest, NewCheck, Repo, RepoError, Severity, Tested};
use crate::table::write::RowWriter;

type Row = (Option<i64>, Option<String>);
/// The rows by slot, `None` where one is deleted.
type Slots = Vec<Option<Row>>;

fn columns() -> Vec<(String, Type)> {
    vec![("n".to_owned(), Type::INT64), ("m".to_owned(), Type::TEXT)]
}

fn cells(rows: &[Row]) -> Vec<ArrayRef> {
    vec![Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.0))), Arc::new(StringArray::from_iter(rows.iter().map(|r| r.1.clone())))]
}

/// Appends columns of values to a table.
fn append(repo: &Repo, table: &str, values: Vec<ArrayRef>) {
    repo.edit_table(table, "append", |table| -> Result<_, RepoError> {
        let columns: Vec<(String, Type)> = table.schema.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect();
        let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
        writer.push(&RecordBatch::try_new(table.schema.arrow(&(0..columns.len()).collect::<Vec<_>>()), values).unwrap(), &[])?;
        Ok(table.append(repo.objects(), writer.finish()?)?)
    })
    .unwrap();
}

fn set(repo: &Repo, table: &str, column: usize, slots: &[u64], values: ArrayRef) {
    repo.edit_table(table, "set", |table| -> Result<_, RepoError> { Ok(table.set_cells(repo.objects(), column, slots, &values)?) }).unwrap();
}

fn add(repo: &Repo, name: &str, new: NewCheck) -> Tested {
    let (tested, kept) = repo.add_check(name, &new, Severity::Error, false, 10, "check").unwrap();
    assert!(kept, "{name}: {}", tested.summary());
    tested
}

fn refused(repo: &Repo, new: NewCheck) -> String {
    repo.add_check("x", &new, Severity::Error, false, 10, "check").unwrap_err().to_string()
}

/// A text with the id of a commit in brackets, without it.
fn unnamed(text: &str) -> String {
    match text.split_once("main (").and_then(|(before, rest)| Some((before, rest.split_once(')')?.1))) {
        Some((before, after)) => format!("{before}main (ID){after}"),
        None => text.to_owned(),
    }
}

#[derive(Debug, Clone)]
enum Change {
    Append(Vec<Row>),
    Delete(Vec<prop::sample::Index>),
    Set(Vec<(prop::sample::Index, Row)>),
}

fn row() -> impl Strategy<Value = Row> {
    let n = prop_oneof![30 => 0i64..12, 1 => 12i64..20, 1 => -2i64..0];
    let m = prop_oneof![30 => "[ab]{4}", 1 => "[abX]{1,2}"];
    (prop::option::weighted(0.9, n), prop::option::weighted(0.9, m))
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        prop::collection::vec(row(), 1..4).prop_map(Change::Append),
        prop::collection::vec(index(), 0..2).prop_map(Change::Delete),
        prop::collection::vec((index(), row()), 0..3).prop_map(Change::Set),
    ]
}

/// Makes a change to a table and to its twin.
fn apply(repo: &Repo, table: &str, slots: &mut Slots, change: &Change) {
    match change {
        Change::Append(rows) => {
            slots.extend(rows.iter().cloned().map(Some));
            append(repo, table, cells(rows));
        }
        Change::Delete(_) | Change::Set(_) if slots.is_empty() => {}
        Change::Delete(which) => {
            let gone: BTreeSet<u64> = which.iter().map(|i| i.index(slots.len()) as u64).collect();
            gone.iter().for_each(|slot| slots[*slot as usize] = None);
            let gone: Vec<u64> = gone.into_iter().collect();
            repo.edit_table(table, "delete", |table| -> Result<_, RepoError> { Ok(table.delete(repo.objects(), &gone)?) }).unwrap();
        }
        Change::Set(which) => {
            let wanted: BTreeMap<u64, Row> = which.iter().map(|(i, row)| (i.index(slots.len()) as u64, row.clone())).collect();
            let (places, rows): (Vec<u64>, Vec<Row>) = wanted.into_iter().unzip();
            let values = cells(&rows);
            for (slot, row) in places.iter().zip(rows) {
                if let Some(known) = &mut slots[*slot as usize] {
                    *known = row;
                }
            }
            set(repo, table, 0, &places, values[0].clone());
            set(repo, table, 1, &places, values[1].clone());
        }
    }
}

fn rules() -> Vec<(&'static str, NewCheck)> {
    let t = || "t".to_owned();
    let both = || vec!["n".to_owned(), "m".to_owned()];
    vec![
        ("a-range", NewCheck::Range { table: t(), column: "n".into(), min: Some("0".into()), max: Some("14".into()) }),
        ("b-text", NewCheck::Range { table: t(), column: "m".into(), min: None, max: Some("b".repeat(4)) }),
        ("c-matches", NewCheck::Matches { table: t(), column: "m".into(), pattern: "^[ab]{2,}$".into() }),
        ("d-refers", NewCheck::References { table: t(), columns: vec!["n".into()], other: "u".into(), others: vec!["n".into()] }),
        ("e-both", NewCheck::References { table: "u".into(), columns: both(), other: "u".into(), others: both() }),
        ("f-once", NewCheck::Unique { table: t(), columns: both() }),
    ]
}

/// Every slot that breaks a check, by check; of rows that are alike, all but the first.
fn naive(t: &Slots, u: &Slots) -> BTreeMap<&'static str, BTreeSet<u64>> {
    let live: Vec<(u64, &Row)> = t.iter().zip(0..).filter_map(|(row, slot)| Some((slot, row.as_ref()?))).collect();
    let pick = |test: &mut dyn FnMut(&Row) -> bool| live.iter().filter(|(_, row)| test(row)).map(|(slot, _)| *slot).collect::<BTreeSet<_>>();
    let keys: BTreeSet<i64> = u.iter().flatten().filter_map(|row| row.0).collect();
    let mut seen = BTreeSet::new();
    let matches = |m: &str| m.len() >= 2 && m.chars().all(|c| "ab".contains(c));
    let found = [
        ("a-range", pick(&mut |row| row.0.is_some_and(|n| !(0..=14).contains(&n)))),
        ("b-text", pick(&mut |row| row.1.as_deref().is_some_and(|m| m > "bbbb"))),
        ("c-matches", pick(&mut |row| row.1.as_deref().is_some_and(|m| !matches(m)))),
        ("d-refers", pick(&mut |row| row.0.is_some_and(|n| !keys.contains(&n)))),
        ("f-once", pick(&mut |row| row.0.is_some() && row.1.is_some() && !seen.insert(row.clone()))),
    ];
    found.into_iter().filter(|(_, slots)| !slots.is_empty()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(std::env::var("DSV_TEST_CASES").ok().and_then(|n| n.parse().ok()).map_or(40, |n: u32| n.min(400))))]

    #[test]
    fn whole_and_since_agree_with_plain_rows(changes in prop::collection::vec((any::<bool>(), change()), 1..14)) {
        let (_, repo) = memory();
        for table in ["t", "u"] {
            repo.create_table(table, &columns(), &[], "create").unwrap();
        }
        let keys: Vec<Row> = (0..14).map(|n| (Some(n), Some("ab".to_owned()))).collect();
        append(&repo, "u", cells(&keys));
        for (name, new) in rules() {
            add(&repo, name, new);
        }
        commit(&repo, "start").unwrap();
        let mut kept: (Slots, Slots) = (Slots::new(), keys.into_iter().map(Some).collect());
        let (mut t, mut u) = kept.clone();
        let mut before = repo.working_snapshot().unwrap();
        for (other, change) in &changes {
            apply(&repo, if *other { "u" } else { "t" }, if *other { &mut u } else { &mut t }, change);
            let expected = naive(&t, &u);
            for tested in repo.run_checks(&[], None, None, 3).unwrap() {
                prop_assert_eq!(tested.failing, expected.get(tested.check.as_str()).map_or(0, |slots| slots.len() as u64), "{} {:?} {:?}", tested.check, t, u);
            }
            let found = repo.check_snapshot(&[&before], &repo.working_snapshot().unwrap()).unwrap();
            let names: BTreeSet<&str> = found.iter().map(|v| v.check.as_str()).collect();
            prop_assert_eq!(names, expected.keys().copied().collect::<BTreeSet<_>>());
            // A row alone breaks these, so that all of them are found, whatever was there before.
            for name in ["a-range", "b-text", "c-matches", "d-refers"] {
                let slots: BTreeSet<u64> = found.iter().filter(|v| v.check == name).filter_map(|v| v.slot).collect();
                prop_assert_eq!(&slots, &expected.get(name).cloned().unwrap_or_default(), "{}", name);
            }
            prop_assert_eq!(commit_all(&repo).is_err(), !expected.is_empty());
            if expected.is_empty() {
                kept = (t.clone(), u.clone());
                before = repo.working_snapshot().unwrap();
            } else {
                repo.restore(&[], None).unwrap();
                (t, u) = kept.clone();
            }
        }
    }
}

fn commit_all(repo: &Repo) -> Result<(), RepoError> {
    repo.commit(&crate::repo::CommitOptions { message: Some("x".into()), allow_empty: true, ..Default::default() }).map(drop)
}

fn little_is_read(rows: u64) {
    let dir = tempfile::tempdir().unwrap();
    let repo = Repo::init_with(dir.path(), "main", &options()).unwrap();
    repo.create_table("t", &[("n".to_owned(), Type::INT64)], &[], "create").unwrap();
    // Drawn, so that no value says where it stands.
    let value = |row: u64| (super::sizes::draw(row, 1) >> 1) as i64;
    repo.edit_table("t", "import", |table| -> Result<_, RepoError> {
        let mut writer = RowWriter::new(repo.objects(), &table, &[("n".to_owned(), Type::INT64)])?;
        for from in (0..rows).step_by(100_000) {
            let values: ArrayRef = Arc::new(Int64Array::from_iter_values((from..rows.min(from + 100_000)).map(value)));
            writer.push(&RecordBatch::try_new(table.schema.arrow(&[0]), vec![values]).unwrap(), &[])?;
        }
        Ok(table.append(repo.objects(), writer.finish()?)?)
    })
    .unwrap();
    add(&repo, "range", NewCheck::Range { table: "t".into(), column: "n".into(), min: Some("0".into()), max: None });
    add(&repo, "filled", NewCheck::NotNull { table: "t".into(), columns: vec!["n".into()] });
    commit(&repo, "import").unwrap();
    let edit = |repo: &Repo, seed: u64, first: Option<i64>| {
        let slots: BTreeSet<u64> = (0..100).map(|i| super::sizes::draw(i, seed) % rows).collect();
        let mut values: Vec<Option<i64>> = slots.iter().map(|slot| Some(value(*slot) / 2)).collect();
        values[0] = first;
        set(repo, "t", 0, &slots.iter().copied().collect::<Vec<_>>(), Arc::new(Int64Array::from(values)));
        *slots.first().unwrap()
    };
    // What a process reads that knows nothing yet.
    let cost = |what: &str, run: &dyn Fn(&Repo)| {
        let repo = Repo::open_with(dir.path(), &options()).unwrap();
        let before = repo.objects().reads();
        run(&repo);
        let after = repo.objects().reads();
        let (bytes, column) = (after.bytes - before.bytes, rows * 8);
        println!("{rows} rows, 100 cells changed: {what} reads {bytes} bytes of blocks and nodes, the column has {column}");
        assert!(bytes > 0 && bytes < column / 100, "{what}: {bytes} of {column}");
    };
    edit(&repo, 7, Some(5));
    cost("a commit", &|repo| assert!(commit(repo, "edit").is_ok()));
    for (seed, (wrong, check)) in [(Some(-1), "range"), (None, "filled")].into_iter().enumerate() {
        let slot = edit(&repo, 8 + seed as u64, wrong);
        cost("a commit that is refused", &|repo| match commit(repo, "wrong") {
            Err(RepoError::Checks { broken }) => {
                let found: Vec<_> = broken.iter().map(|tested| (tested.check.as_str(), tested.violations[0].slot)).collect();
                assert_eq!(found, [(check, Some(slot))]);
            }
            other => panic!("{other:?}"),
        });
        repo.restore(&[], None).unwrap();
    }
}

#[test]
fn what_did_not_change_is_not_read() {
    little_is_read(1_000_000);
}

#[test]
#[ignore = "long: 10,000,000 rows"]
fn what_did_not_change_is_not_read_of_ten_million_rows() {
    little_is_read(10_000_000);
}

#[test]
fn ranges_compare_as_their_column_does() {
    let (_, repo) = memory();
    let types = [("i", Type::INT64), ("f", Type::FLOAT64), ("d", "date".parse().unwrap()), ("at", "timestamp(us,UTC)".parse().unwrap()), ("t", Type::TEXT)];
    let types = types.map(|(name, ty)| (name.to_owned(), ty));
    repo.create_table("t", &types, &[], "create").unwrap();
    let at = |texts: &[Option<&str>], ty: &Type| {
        let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        arrow::compute::cast(&texts, &ty.storage()).unwrap()
    };
    append(
        &repo,
        "t",
        vec![
            Arc::new(Int64Array::from(vec![Some(9), Some(10), None, Some(-3)])),
            Arc::new(Float64Array::from(vec![Some(-0.0), Some(f64::NAN), None, Some(2.5)])),
            at(&[Some("1999-12-31"), Some("2000-01-01"), None, Some("2024-02-29")], &types[2].1),
            at(&[Some("1999-12-31T23:59:59Z"), Some("2000-01-01T00:00:00Z"), None, Some("2024-02-29T12:00:00Z")], &types[3].1),
            at(&[Some("a"), Some("B"), None, Some("é")], &types[4].1),
        ],
    );
    let failing = |column: &str, min: &str, max: &str| {
        let bound = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let new = NewCheck::Range { table: "t".into(), column: column.into(), min: bound(min), max: bound(max) };
        let (tested, _) = repo.add_check("x", &new, Severity::Warn, false, 9, "check").unwrap();
        repo.drop_check("x", "drop").unwrap();
        tested.violations.iter().filter_map(|v| v.slot).collect::<Vec<_>>()
    };
    for (column, min, max, expected) in [
        ("i", "0", "9", &[1, 3][..]),
        ("i", "-3", "", &[]),
        ("i", "", "9", &[1]),
        ("f", "0", "", &[]),
        ("f", "0", "2.5", &[1]),
        ("f", "", "-0", &[1, 3]),
        ("d", "2000-01-01", "", &[0]),
        ("d", "", "2000-01-01", &[3]),
        ("at", "2000-01-01T00:00:00Z", "2020-01-01T00:00:00Z", &[0, 3]),
        ("t", "B", "z", &[3]),
    ] {
        assert_eq!(failing(column, min, max), expected, "{column} {min}..{max}");
    }
    let range = |column: &str, min: &str, max: &str| NewCheck::Range { table: "t".into(), column: column.into(), min: Some(min.into()), max: Some(max.into()) };
    assert!(refused(&repo, range("i", "9", "1")).contains("empty"));
    assert!(refused(&repo, range("f", "NaN", "1")).contains("NaN"));
    assert!(refused(&repo, range("i", "some", "1")).contains("'some' is no int64"));
    assert!(refused(&repo, range("d", "2000-13-01", "2001-01-01")).contains("is no date"));
    let matches = |column: &str, pattern: &str| NewCheck::Matches { table: "t".into(), column: column.into(), pattern: pattern.into() };
    assert!(refused(&repo, matches("t", "(a")).contains("unclosed group"));
    assert!(refused(&repo, matches("t", "(a{1000}){1000}")).contains("size limit"));
    assert!(refused(&repo, matches("i", "a")).contains("only in text"));
}

#[test]
fn checks_survive_renames_and_say_what_they_lack() {
    let (_, repo) = memory();
    for table in ["t", "u"] {
        repo.create_table(table, &columns(), &[], "create").unwrap();
        append(&repo, table, cells(&[(Some(1), Some("a".into()))]));
    }
    commit(&repo, "tables").unwrap();
    let t = || "t".to_owned();
    add(&repo, "a", NewCheck::Range { table: t(), column: "n".into(), min: Some("0".into()), max: None });
    add(&repo, "b", NewCheck::Matches { table: t(), column: "m".into(), pattern: "a".into() });
    add(&repo, "c", NewCheck::References { table: t(), columns: vec!["n".into()], other: "u".into(), others: vec!["n".into()] });
    add(&repo, "d", NewCheck::NoNearDuplicates { table: t(), column: "m".into(), bound: None });
    add(&repo, "e", NewCheck::Distribution { table: t(), column: "n".into(), like: "main".into(), within: 0.5 });
    commit(&repo, "checks").unwrap();
    repo.rename_table("u", "v", "rename").unwrap();
    repo.rename_table("t", "s", "rename").unwrap();
    repo.rename_column("s", "n", "number", "rename").unwrap();
    repo.rename_column("v", "n", "key", "rename").unwrap();
    commit(&repo, "renamed").unwrap();
    let told: Vec<String> = repo.checks(None).unwrap().into_iter().map(|info| unnamed(&info.rule)).collect();
    assert_eq!(told, ["number=0..", "m=a", "number=v(key)", "m=0.8 (jaccard)", "number like main (ID) within 0.5"]);
    append(&repo, "s", cells(&[(Some(-1), Some("b".into()))]));
    let Err(RepoError::Checks { broken }) = commit(&repo, "broken") else { panic!("it was committed") };
    let whys: Vec<&str> = broken.iter().map(|tested| tested.violations[0].detail.as_str()).collect();
    assert_eq!(whys, ["number is not within 0..", "m does not match a", "no row of v has number as its key"]);
    repo.restore(&[], None).unwrap();
    // Columns and tables that are gone.
    repo.drop_column("v", "key", "drop").unwrap();
    repo.drop_column("s", "m", "drop").unwrap();
    let error = commit(&repo, "dropped").unwrap_err();
    assert_eq!(
        error.to_string(),
        "check 'b' cannot be evaluated: a column of it is gone; check 'c' cannot be evaluated: a column of table 'v' that it refers to is gone; \
         check 'd' cannot be evaluated: a column of it is gone"
    );
    assert!(error.hints().iter().any(|hint| hint.contains("'dsv check drop b'")), "{:?}", error.hints());
    repo.restore(&[], None).unwrap();
    repo.drop_table("v", "drop").unwrap();
    assert_eq!(commit(&repo, "dropped").unwrap_err().to_string(), "check 'c' cannot be evaluated: the table that it refers to is gone");
    repo.restore(&[], None).unwrap();
    repo.retype_column("s", "number", Type::TEXT, "retype").unwrap();
    let error = commit(&repo, "retyped").unwrap_err().to_string();
    assert!(error.contains("check 'c' cannot be evaluated: column 'number' is text and cannot refer to 'key', which is int64"), "{error}");
    assert!(error.contains("check 'e' cannot be evaluated: its column is text now, and its distribution was kept as one of int64"), "{error}");
}

#[test]
fn a_merge_is_held_to_what_refers() {
    let (_, repo) = memory();
    for table in ["t", "u"] {
        repo.create_table(table, &columns(), &[], "create").unwrap();
    }
    append(&repo, "u", cells(&[(Some(1), None), (Some(2), None)]));
    add(&repo, "refers", NewCheck::References { table: "t".into(), columns: vec!["n".into()], other: "u".into(), others: vec!["n".into()] });
    let near = NewCheck::NoNearDuplicates { table: "t".into(), column: "m".into(), bound: None };
    repo.add_check("varied", &near, Severity::Warn, false, 9, "check").unwrap();
    commit(&repo, "start").unwrap();
    switch(&repo, "dev", true);
    repo.edit_table("u", "delete", |table| -> Result<_, RepoError> { Ok(table.delete(repo.objects(), &[1])?) }).unwrap();
    append(&repo, "t", cells(&[(Some(1), Some("a cat sleeps on a red mat".into()))]));
    commit(&repo, "2 is gone").unwrap();
    switch(&repo, "main", false);
    append(&repo, "t", cells(&[(Some(2), Some("A cat sleeps on a red mat!".into()))]));
    commit(&repo, "2 is used").unwrap();
    let report = repo.merge(&["dev".to_owned()], &MergeRequest::default()).unwrap();
    assert!(matches!(report.outcome, MergeOutcome::Conflicts));
    let conflicts: Vec<_> = report.tables.iter().flat_map(|table| table.conflicts.iter().filter_map(|c| c.kind.why())).collect();
    assert_eq!(conflicts, ["check 'refers': no row of u has n as its n (n=2)"]);
    // A warning is no conflict, and is told.
    let warned: Vec<String> = report.warnings.iter().map(Tested::summary).collect();
    assert_eq!(warned, ["check 'varied' fails for 1 row of table 't'"]);
}

#[test]
fn a_warning_refuses_nothing_and_keeps_nothing() {
    let (_, repo) = memory();
    repo.create_table("t", &columns(), &[], "create").unwrap();
    append(&repo, "t", cells(&[(Some(-1), None)]));
    let new = NewCheck::Range { table: "t".into(), column: "n".into(), min: Some("0".into()), max: None };
    let (tested, kept) = repo.add_check("least", &new, Severity::Warn, false, 9, "check").unwrap();
    assert!(kept && tested.failing == 1 && !tested.refuses());
    let options = crate::repo::CommitOptions { message: Some("x".into()), allow_empty: true, ..Default::default() };
    assert_eq!(repo.commit(&options).unwrap().warnings.len(), 1);
    // What was there before is not told again.
    append(&repo, "t", cells(&[(Some(1), None)]));
    assert!(repo.commit(&options).unwrap().warnings.is_empty());
    // Nobody has held it so far: as an error it is tested whole.
    repo.drop_check("least", "drop").unwrap();
    repo.add_check("least", &new, Severity::Error, true, 9, "check").unwrap();
    let Err(RepoError::Checks { broken }) = repo.commit(&options) else { panic!("it was committed") };
    assert_eq!(broken[0].violations[0].slot, Some(0));
}

#[test]
fn since_a_revision_only_what_changed_is_tested() {
    let (_, repo) = memory();
    repo.create_table("t", &columns(), &[], "create").unwrap();
    append(&repo, "t", cells(&[(Some(-1), None), (Some(5), None)]));
    let new = NewCheck::Range { table: "t".into(), column: "n".into(), min: Some("0".into()), max: None };
    repo.add_check("least", &new, Severity::Warn, false, 9, "check").unwrap();
    commit(&repo, "start").unwrap();
    set(&repo, "t", 0, &[1], Arc::new(Int64Array::from(vec![-7])));
    let failing = |since: Option<&str>| -> Vec<Option<u64>> {
        repo.run_checks(&[], None, since, 9).unwrap().into_iter().flat_map(|tested| tested.violations).map(|v| v.slot).collect()
    };
    assert_eq!(failing(None), [Some(0), Some(1)]);
    assert_eq!(failing(Some("main")), [Some(1)]);
    assert!(repo.run_checks(&[], None, Some("nowhere"), 9).is_err());
}

#[test]
fn media_are_decoded() {
    let (_, repo) = memory();
    repo.create_table("t", &[("p".to_owned(), Type::Image), ("b".to_owned(), Type::BINARY)], &[], "create").unwrap();
    let mut png = Cursor::new(Vec::new());
    image::RgbImage::from_fn(40, 40, |x, y| image::Rgb([(x * y) as u8, x as u8, y as u8])).write_to(&mut png, image::ImageFormat::Jpeg).unwrap();
    let whole = png.into_inner();
    let wav = [b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x08\0\0\0".as_slice(), &[0; 8]].concat();
    let torn = &whole[..whole.len() / 2];
    let media: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&whole[..]), None, Some(torn), Some(b"no picture"), Some(&wav)]));
    append(&repo, "t", vec![media.clone(), media]);
    let tested = |column: &str| {
        let new = NewCheck::Decodes { table: "t".into(), column: column.into() };
        repo.add_check(&format!("whole {column}"), &new, Severity::Warn, false, 9, "check").unwrap().0
    };
    let whys: Vec<_> = tested("p").violations.into_iter().map(|v| (v.slot.unwrap(), v.detail)).collect();
    assert_eq!(whys.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(whys[0].1.contains("cut short") && whys[1].1.contains("known kind"), "{whys:?}");
    assert_eq!(whys[2].1, "p: it is audio/wav");
    assert_eq!(tested("b").violations.iter().filter_map(|v| v.slot).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_distribution_is_kept_without_its_revision() {
    let (_, repo) = memory();
    let types = [("n", Type::FLOAT64), ("label", Type::TEXT), ("day", "date".parse().unwrap())].map(|(name, ty)| (name.to_owned(), ty));
    repo.create_table("t", &types, &[], "create").unwrap();
    let rows = |range: std::ops::Range<i64>, nulls: usize| -> Vec<ArrayRef> {
        let n = range.clone().map(|n| Some(n as f64)).chain(std::iter::repeat_n(None, nulls));
        let labels = ["cat", "dog", "bird", "dog"];
        let label = range.clone().map(|n| Some(labels[n as usize % 4])).chain(std::iter::repeat_n(None, nulls));
        let day = range.clone().map(|n| Some(n as i32)).chain(std::iter::repeat_n(None, nulls));
        vec![Arc::new(n.collect::<Float64Array>()), Arc::new(label.collect::<StringArray>()), Arc::new(day.collect::<arrow::array::Date32Array>())]
    };
    append(&repo, "t", rows(0..1000, 0));
    commit(&repo, "start").unwrap();
    for (name, column, within) in [("n", "n", 0.04), ("label", "label", 0.04), ("day", "day", 0.04)] {
        add(&repo, name, NewCheck::Distribution { table: "t".into(), column: column.into(), like: "main".into(), within });
    }
    // The revision that it is of goes.
    repo.commit(&crate::repo::CommitOptions { message: Some("anew".into()), amend: true, ..Default::default() }).unwrap();
    append(&repo, "t", rows(0..4, 0));
    commit(&repo, "a few more").unwrap();
    // A tenth more, all of them null: a tenth over 1.1 goes from everywhere.
    append(&repo, "t", rows(0..0, 100));
    let whys = |repo: &Repo| -> Vec<String> {
        match commit(repo, "more") {
            Err(RepoError::Checks { broken }) => {
                assert!(broken.iter().all(|tested| tested.fits && tested.violations[0].slot.is_none() && tested.violations[0].row.is_none()));
                broken.iter().map(|tested| unnamed(&tested.summary())).collect()
            }
            other => panic!("{other:?}"),
        }
    };
    let expected =
        |(column, away): (&str, f64)| format!("check '{column}' fails: the distribution of {column} is {away} away from that in main (ID), more than 0.04");
    // Of labels the nulls alone: 100 / 1104. Of numbers also the four least, which are there twice: (100 + 9) / 1104 - 5 / 1000 at the sketch's second point.
    assert_eq!(whys(&repo), [("day", 0.0937), ("label", 0.0906), ("n", 0.0937)].map(expected));
    repo.restore(&[], None).unwrap();
    // All moved to the upper half: half of the rows are where none was.
    repo.edit_table("t", "delete", |table| -> Result<_, RepoError> { Ok(table.delete(repo.objects(), &(0..500).collect::<Vec<_>>())?) }).unwrap();
    let told = whys(&repo);
    assert_eq!(told.len(), 2, "{told:?}");
    let away: f64 = told[1].split("is ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((away - 0.492).abs() < 0.006, "{told:?}");
    repo.restore(&[], None).unwrap();
    // A column with free text is no classes.
    repo.create_table("f", &columns(), &[], "create").unwrap();
    append(&repo, "f", cells(&(0..12_000).map(|n| (Some(n), Some(format!("text {n}")))).collect::<Vec<_>>()));
    repo.commit(&crate::repo::CommitOptions { message: Some("f".into()), ..Default::default() }).unwrap();
    let of = |column: &str, like: &str| NewCheck::Distribution { table: "f".into(), column: column.into(), like: like.into(), within: 0.1 };
    assert!(refused(&repo, of("m", "main")).contains("no classes"));
    assert!(refused(&repo, of("n", "main~1")).contains("'main~1' has no table 'f'"));
}
