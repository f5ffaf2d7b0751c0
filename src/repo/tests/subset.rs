//! Subset branches: what they hide stays hidden on them and untouched elsewhere, whatever is merged in which direction.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::merging::{read, set, start, switch};
use super::{commit, memory};
use crate::format::Type;
use crate::format::commit::Commit;
use crate::repo::{MergeOutcome, MergeRequest, NewSubset, Replay, ReplayOptions, ReplayOutcome, Repo, RepoError};
use crate::table::merge::Side;
use crate::table::tests::histories;
use crate::table::write::RowWriter;

const COLUMNS: [&str; 3] = ["n", "a", "b"];

/// A change of rows, which are named by their `n`, modulo those that are there.
#[derive(Debug, Clone)]
enum Edit {
    Set(bool, Vec<(prop::sample::Index, i64)>),
    Delete(Vec<prop::sample::Index>),
    Append(u8),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let index = any::<prop::sample::Index>;
    let one = prop_oneof![
        3 => (any::<bool>(), prop::collection::vec((index(), 1..100i64), 1..4)).prop_map(|(b, cells)| Edit::Set(b, cells)),
        1 => prop::collection::vec(index(), 1..3).prop_map(Edit::Delete),
        1 => (1..4u8).prop_map(Edit::Append),
    ];
    prop::collection::vec(one, 0..3)
}

fn rows(repo: &Repo) -> Vec<[i64; 3]> {
    let columns = COLUMNS.map(|column| read(repo, column));
    (0..columns[0].len()).map(|i| [columns[0][i], columns[1][i], columns[2][i]]).collect()
}

/// The slots of rows by their `n`, ascending.
fn slots(repo: &Repo, wanted: &BTreeSet<i64>) -> Vec<u64> {
    let table = repo.table("t", None).unwrap();
    let live: Vec<u64> = table.live_slots(repo.objects()).unwrap().collect();
    read(repo, "n").iter().zip(live).filter(|(n, _)| wanted.contains(n)).map(|(_, slot)| slot).collect()
}

/// The edit in terms of `n`: what is set, deleted and appended.
#[derive(Debug, Clone)]
enum Done {
    Set(&'static str, Vec<(i64, i64)>),
    Delete(BTreeSet<i64>),
    Append(Vec<i64>),
}

fn named(edits: &[Edit], there: &[i64], next: &mut i64) -> Vec<Done> {
    let mut there = there.to_vec();
    let mut done = Vec::new();
    for edit in edits {
        match edit {
            Edit::Append(rows) => {
                done.push(Done::Append((*next..*next + i64::from(*rows)).collect()));
                *next += i64::from(*rows);
            }
            _ if there.is_empty() => {}
            Edit::Set(b, cells) => {
                let cells: std::collections::BTreeMap<i64, i64> = cells.iter().map(|(i, value)| (there[i.index(there.len())], *value)).collect();
                done.push(Done::Set(if *b { "b" } else { "a" }, cells.into_iter().collect()));
            }
            Edit::Delete(which) => {
                let gone: BTreeSet<i64> = which.iter().map(|i| there[i.index(there.len())]).collect();
                there.retain(|n| !gone.contains(n));
                done.push(Done::Delete(gone));
            }
        }
    }
    done
}

fn apply(repo: &Repo, branch: &str, edits: &[Done]) {
    switch(repo, branch, false);
    for edit in edits {
        match edit {
            Done::Set(column, cells) => {
                let wanted = cells.iter().map(|(n, _)| *n).collect();
                let places = slots(repo, &wanted);
                let table = repo.table("t", None).unwrap();
                let ns = table.take(repo.objects(), &places, &[0]).unwrap();
                let ns = ns.column(0).as_primitive::<Int64Type>().values().to_vec();
                let cells: Vec<(u64, i64)> = places.iter().zip(ns).map(|(slot, n)| (*slot, cells.iter().find(|c| c.0 == n).unwrap().1)).collect();
                let values: ArrayRef = Arc::new(Int64Array::from_iter_values(cells.iter().map(|c| c.1)));
                let index = table.schema.index(column).unwrap();
                repo.edit_table("t", "set", |table| -> Result<_, RepoError> { Ok(table.set_cells(repo.objects(), index, &places, &values)?) }).unwrap();
            }
            Done::Delete(gone) => {
                let places = slots(repo, gone);
                repo.edit_table("t", "delete", |table| -> Result<_, RepoError> { Ok(table.delete(repo.objects(), &places)?) }).unwrap();
            }
            Done::Append(ns) => repo
                .edit_table("t", "append", |table| -> Result<_, RepoError> {
                    let columns = COLUMNS.map(|column| (column.to_owned(), Type::INT64));
                    let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
                    let values: ArrayRef = Arc::new(Int64Array::from(ns.clone()));
                    writer.push(&RecordBatch::try_new(table.schema.arrow(&[0, 1, 2]), vec![values; 3]).unwrap(), &[])?;
                    Ok(table.append(repo.objects(), writer.finish()?)?)
                })
                .unwrap(),
        }
    }
    if repo.working().unwrap().dirty {
        commit(repo, "edits").unwrap();
    }
}

fn merge(repo: &Repo, into: &str, revision: &str) -> MergeOutcome {
    switch(repo, into, false);
    let request = MergeRequest { strategy: Some(Side::Theirs), ..Default::default() };
    repo.merge(&[revision.to_owned()], &request).unwrap().outcome
}

fn subset(repo: &Repo, branch: &str, keep: &BTreeSet<i64>) -> crate::repo::Subset {
    let new = NewSubset { branch, start: Some("main"), table: "t", kept: "some" };
    repo.create_subset(&new, |_| -> Result<_, RepoError> { Ok(slots(repo, keep)) }).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories(60).min(2000)))]

    /// A subset branch and a plain one get the same edits, each with its own main branch. The mains are the same always; the subset is the plain branch
    /// without what it hides.
    #[test]
    fn a_subset_merges_as_a_branch_that_left_those_rows_alone(
        keep in prop::collection::vec(any::<bool>(), 10),
        rounds in prop::collection::vec((edits(), edits(), any::<bool>()), 1..5),
    ) {
        let (_, repo) = memory();
        start(&repo, 10);
        let kept: BTreeSet<i64> = (0..10).filter(|n| keep[*n as usize]).collect();
        let made = subset(&repo, "sub", &kept);
        prop_assert_eq!((made.shown, made.hidden), (kept.len() as u64, 10 - kept.len() as u64));
        for branch in ["plain", "main2"] {
            repo.create_branch(branch, Some("main"), false).unwrap();
        }
        let hides = |row: &[i64; 3]| row[0] < 10 && !kept.contains(&row[0]);
        let of = |branch: &str| {
            switch(&repo, branch, false);
            rows(&repo)
        };
        let mut next = 100;
        for (theirs, ours, direction) in &rounds {
            let theirs = named(theirs, &of("sub").iter().map(|row| row[0]).collect::<Vec<_>>(), &mut next);
            apply(&repo, "sub", &theirs);
            apply(&repo, "plain", &theirs);
            let ours = named(ours, &of("main").iter().map(|row| row[0]).collect::<Vec<_>>(), &mut next);
            apply(&repo, "main", &ours);
            apply(&repo, "main2", &ours);
            if *direction {
                merge(&repo, "main", "sub");
                merge(&repo, "main2", "plain");
            } else {
                merge(&repo, "sub", "main");
                merge(&repo, "plain", "main2");
            }
            prop_assert_eq!(of("main"), of("main2"), "direction {}, {:?}, {:?}", direction, theirs, ours);
            let plain: Vec<_> = of("plain").into_iter().filter(|row| !hides(row)).collect();
            prop_assert_eq!(of("sub"), plain, "direction {}, {:?}, {:?}", direction, theirs, ours);
        }
    }
}

#[test]
fn what_is_hidden_is_no_deletion_in_any_way_that_leads_back() {
    let (_, repo) = memory();
    start(&repo, 6);
    let made = subset(&repo, "sub", &BTreeSet::from([1, 3]));
    let of = |branch: &str| {
        switch(&repo, branch, false);
        read(&repo, "a")
    };
    assert_eq!((of("sub").len(), of("main").len()), (2, 6));
    let flags = |branch: &str| repo.commit_of(repo.resolve(branch).unwrap()).unwrap().flags;
    assert_eq!(flags("sub"), Commit::FLAG_SUBSET | Commit::FLAG_ON_SUBSET);
    // Nothing to bring but the mark: no fast-forward, which would take rows from main.
    assert!(matches!(merge(&repo, "main", "sub"), MergeOutcome::Merged(Some(_))));
    assert_eq!((of("main").len(), flags("main")), (6, 0));
    // And none back, which would show them.
    assert!(matches!(merge(&repo, "sub", "main"), MergeOutcome::Merged(Some(_))));
    assert_eq!((of("sub").len(), flags("sub")), (2, Commit::FLAG_ON_SUBSET));
    set(&repo, "a", &[(1, 7)]);
    assert!(matches!(merge(&repo, "main", "sub"), MergeOutcome::Merged(Some(_))));
    assert_eq!((of("main"), flags("sub")), (vec![0, 7, 0, 0, 0, 0], Commit::FLAG_ON_SUBSET));
    // On the branch itself all is as ever.
    repo.create_branch("later", Some("sub"), false).unwrap();
    switch(&repo, "later", false);
    set(&repo, "a", &[(3, 9)]);
    assert!(matches!(merge(&repo, "sub", "later"), MergeOutcome::FastForward(_)));
    assert_eq!(of("sub"), [7, 9]);
    switch(&repo, "sub", false);
    assert!(repo.compact(&[], true, "compact").unwrap_err().to_string().contains("is a subset"));
    repo.compact(&[], false, "compact").unwrap();
    // Made again elsewhere, it hides the same rows there, changed or not.
    repo.create_branch("other", Some(&made.commit.to_string()), false).unwrap();
    repo.create_branch("onto", Some("main"), false).unwrap();
    switch(&repo, "onto", false);
    set(&repo, "a", &[(0, 5), (3, 6)]);
    switch(&repo, "other", false);
    assert!(matches!(repo.rebase("onto", None, &ReplayOptions::default()).unwrap().outcome, ReplayOutcome::FastForward(_) | ReplayOutcome::UpToDate));
    switch(&repo, "onto", false);
    let picked = repo.cherry_pick(&[made.commit.to_string()], &ReplayOptions::default()).unwrap();
    assert!(matches!(picked.outcome, ReplayOutcome::Done(_)));
    assert_eq!((of("onto"), flags("onto")), (vec![7, 6], Commit::FLAG_SUBSET | Commit::FLAG_ON_SUBSET));
    assert!(matches!(merge(&repo, "main", "onto"), MergeOutcome::Merged(Some(_))));
    assert_eq!(of("main"), [5, 7, 0, 6, 0, 0]);
    // Taken back, it shows them.
    switch(&repo, "onto", false);
    let back = repo.revert(&[repo.resolve("onto").unwrap().to_string()], &ReplayOptions::default()).unwrap();
    assert!(matches!(back.outcome, ReplayOutcome::Done(_)), "{:?}", Replay::Revert);
    assert_eq!(of("onto"), [5, 7, 0, 6, 0, 0]);
}

#[test]
fn a_column_filled_anew_does_not_empty_hidden_rows() {
    let (_, repo) = memory();
    start(&repo, 6);
    set(&repo, "a", &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6)]);
    subset(&repo, "sub", &BTreeSet::from([1, 3]));
    switch(&repo, "sub", false);
    repo.retype_column("t", "a", Type::TEXT, "retype").unwrap();
    repo.edit_table("t", "refill", |table| -> Result<_, RepoError> {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![70, 80]));
        Ok(table.refill_column(repo.objects(), "b", Type::INT64, Box::new(std::iter::once(Ok(values))))?)
    })
    .unwrap();
    commit(&repo, "anew").unwrap();
    merge(&repo, "main", "sub");
    assert_eq!(read(&repo, "b"), [0, 70, 0, 80, 0, 0]);
    let table = repo.table("t", None).unwrap();
    let column = table.schema.index("a").unwrap();
    let texts: Vec<String> = table
        .scan(repo.objects())
        .columns(vec![column])
        .open()
        .unwrap()
        .flat_map(|batch| batch.unwrap().column(0).as_string::<i32>().iter().map(|text| text.unwrap_or("null").to_owned()).collect::<Vec<_>>())
        .collect();
    assert_eq!(texts, ["1", "2", "3", "4", "5", "6"]);
}
