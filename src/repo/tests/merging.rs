//! Merges in progress: what they survive, and what may not be done meanwhile.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;

use super::{commit, memory, options};
use crate::base::TableId;
use crate::format::Type;
use crate::repo::{
    ErrorKind, Gate, GcOptions, MergeOutcome, MergeRequest, Pick, Proposed, Replay, ReplayOptions, ReplayOutcome, Repo, RepoError, ResetMode, Resolution,
    SwitchOptions,
};
use crate::table::merge::Side;
use crate::table::write::RowWriter;
use crate::table::{Schema, Table};

/// Makes table `t` with the key `n` and the columns `a` and `b`, all zero.
pub fn start(repo: &Repo, rows: i64) {
    start_with(repo, rows, &["n", "a", "b"]);
}

fn start_with(repo: &Repo, rows: i64, names: &[&str]) {
    let columns: Vec<(String, Type)> = names.iter().map(|name| ((*name).to_owned(), Type::INT64)).collect();
    repo.update_working("make", |now| -> Result<_, RepoError> {
        let id = TableId([7; 16]);
        let mut schema = Schema::of(id, &columns);
        schema.key = vec![schema.columns[0].id];
        let table = Table::create(repo.objects(), id, schema)?;
        let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
        let zero: ArrayRef = Arc::new(Int64Array::from(vec![0; rows as usize]));
        let mut values = vec![zero; columns.len()];
        values[0] = Arc::new(Int64Array::from_iter_values(0..rows));
        let batch = RecordBatch::try_new(table.schema.arrow(&(0..columns.len()).collect::<Vec<_>>()), values).unwrap();
        writer.push(&batch, &[])?;
        let mut now = now.clone();
        now.tables.insert("t".into(), table.append(repo.objects(), writer.finish()?)?.store(repo.objects())?);
        Ok(now)
    })
    .unwrap();
    commit(repo, "start").unwrap();
}

/// Sets cells of a column, by slot, and commits.
pub fn set(repo: &Repo, column: &str, cells: &[(u64, i64)]) {
    repo.edit_table("t", "set", |table| -> Result<_, RepoError> {
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(cells.iter().map(|c| c.1)));
        Ok(table.set_cells(repo.objects(), table.schema.index(column)?, &cells.iter().map(|c| c.0).collect::<Vec<_>>(), &values)?)
    })
    .unwrap();
    commit(repo, &format!("set {column} {cells:?}")).unwrap();
}

pub fn read(repo: &Repo, column: &str) -> Vec<i64> {
    let table = repo.table("t", None).unwrap();
    let mut out = Vec::new();
    for batch in table.scan(repo.objects()).columns(vec![table.schema.index(column).unwrap()]).open().unwrap() {
        out.extend(batch.unwrap().column(0).as_primitive::<Int64Type>().values().iter().copied());
    }
    out
}

pub fn switch(repo: &Repo, target: &str, create: bool) {
    repo.switch(target, &SwitchOptions { create, ..Default::default() }).unwrap();
}

fn merge(repo: &Repo, revision: &str) -> Result<MergeOutcome, RepoError> {
    Ok(repo.merge(&[revision.to_owned()], &MergeRequest::default())?.outcome)
}

/// Two branches that disagree about `a` of rows 1 and 2; `main` is checked out.
fn apart(repo: &Repo) {
    start(repo, 6);
    switch(repo, "dev", true);
    set(repo, "a", &[(1, 10), (2, 20), (3, 30)]);
    switch(repo, "main", false);
    set(repo, "a", &[(1, 11), (2, 22)]);
}

fn row(row: &str) -> Pick {
    Pick { table: Some("t".into()), row: Some(row.into()), column: None }
}

#[test]
fn a_merge_in_progress_survives_all_but_being_given_up() {
    let (store, repo) = memory();
    apart(&repo);
    assert!(matches!(merge(&repo, "dev").unwrap(), MergeOutcome::Conflicts));
    // Another process, gc, a switch, a new name for the branch.
    let repo = Repo::on_store(None, Arc::new(store.clone()), &options());
    assert_eq!(repo.pending().unwrap().unwrap().len(), 2);
    repo.gc(&GcOptions { grace_ms: 0, ..Default::default() }).unwrap();
    repo.gc(&GcOptions { grace_ms: 0, ..Default::default() }).unwrap();
    assert!(repo.verify().unwrap().faults.is_empty());
    switch(&repo, "dev", false);
    assert!(repo.pending().unwrap().is_none());
    switch(&repo, "main", false);
    repo.rename_branch(None, "trunk", false).unwrap();
    assert_eq!(read(&repo, "a"), [0, 11, 22, 30, 0, 0]);
    repo.resolve_conflicts(&row("1"), &Resolution::Side(Side::Theirs), "resolve").unwrap();
    assert_eq!((read(&repo, "a"), repo.pending().unwrap().unwrap().len()), (vec![0, 10, 22, 30, 0, 0], 1));
    // A new branch takes it along.
    switch(&repo, "elsewhere", true);
    assert_eq!(repo.pending().unwrap().unwrap().len(), 1);
    let refused = commit(&repo, "too early").unwrap_err();
    assert_eq!((refused.kind(), refused.hints().len()), (ErrorKind::Answer, 1));
    assert!(matches!(merge(&repo, "dev"), Err(RepoError::InProgress { .. })));
    assert!(matches!(repo.rebase("dev", None, &ReplayOptions::default()), Err(RepoError::InProgress { .. })));
    assert!(matches!(repo.reset("HEAD", ResetMode::Soft), Err(RepoError::InProgress { .. })));
    repo.undo(None).unwrap();
    repo.undo(None).unwrap();
    assert_eq!((repo.current_branch().unwrap().as_deref(), repo.pending().unwrap().unwrap().len()), (Some("trunk"), 2));
    repo.resolve_conflicts(&Pick::default(), &Resolution::Base, "resolve").unwrap();
    assert_eq!(read(&repo, "a"), [0, 0, 0, 30, 0, 0]);
    let made = commit(&repo, "both").unwrap();
    assert_eq!(repo.commit_of(made).unwrap().parents.len(), 2);
    assert!(repo.pending().unwrap().is_none());
    assert!(matches!(merge(&repo, "dev").unwrap(), MergeOutcome::UpToDate));
}

#[test]
fn criss_cross_histories_keep_asking_about_what_was_never_settled_alike() {
    let (_, repo) = memory();
    apart(&repo);
    // Each side merges the other and settles the conflict its own way.
    merge(&repo, "dev").unwrap();
    switch(&repo, "dev", false);
    merge(&repo, "main").unwrap();
    repo.resolve_conflicts(&Pick::default(), &Resolution::Side(Side::Ours), "resolve").unwrap();
    commit(&repo, "dev's way").unwrap();
    switch(&repo, "main", false);
    repo.resolve_conflicts(&Pick::default(), &Resolution::Side(Side::Ours), "resolve").unwrap();
    commit(&repo, "main's way").unwrap();
    set(&repo, "b", &[(5, 5)]);
    let report = repo.merge(&["dev".to_owned()], &MergeRequest::default()).unwrap();
    assert!(matches!(report.outcome, MergeOutcome::Conflicts));
    let pending = repo.pending().unwrap().unwrap();
    let conflicts = &pending.tables[0].conflicts;
    assert_eq!(conflicts.len(), 2);
    // The base is itself in conflict: it has no value to show.
    assert!(conflicts.iter().all(|c| repo.conflict_cell(&pending.tables[0], c, None).unwrap().is_none()));
    repo.resolve_conflicts(&Pick::default(), &Resolution::Side(Side::Theirs), "resolve").unwrap();
    commit(&repo, "settled").unwrap();
    assert_eq!((read(&repo, "a"), read(&repo, "b")), (vec![0, 10, 20, 30, 0, 0], vec![0, 0, 0, 0, 0, 5]));
    assert!(repo.verify().unwrap().faults.is_empty());
}

#[test]
fn commits_are_picked_taken_back_and_moved() {
    let (_, repo) = memory();
    start(&repo, 6);
    switch(&repo, "dev", true);
    set(&repo, "a", &[(1, 10)]);
    set(&repo, "a", &[(2, 20)]);
    set(&repo, "b", &[(1, 7)]);
    switch(&repo, "main", false);
    set(&repo, "b", &[(4, 4)]);
    let main = repo.resolve("main").unwrap();
    // A range, the oldest first.
    let report = repo.cherry_pick(&["main..dev~1".to_owned()], &ReplayOptions::default()).unwrap();
    assert_eq!(report.made.len(), 2);
    assert_eq!((read(&repo, "a"), read(&repo, "b")), (vec![0, 10, 20, 0, 0, 0], vec![0, 0, 0, 0, 4, 0]));
    let subjects: Vec<String> = report.made.iter().map(|(_, made)| repo.commit_of(*made).unwrap().subject().to_owned()).collect();
    assert_eq!(subjects, ["set a [(1, 10)]", "set a [(2, 20)]"]);
    // Taken back, the newest first: as if nothing had been.
    repo.revert(&[format!("{main}..HEAD")], &ReplayOptions::default()).unwrap();
    assert_eq!(read(&repo, "a"), [0; 6]);
    repo.reset(&main.to_string(), ResetMode::Hard).unwrap();
    // Moved: the same data as a merge gives, in one line of commits.
    switch(&repo, "dev", false);
    let report = repo.rebase("main", None, &ReplayOptions::default()).unwrap();
    assert_eq!((report.made.len(), read(&repo, "b")), (3, vec![0, 7, 0, 0, 4, 0]));
    assert_eq!(repo.graph().ahead_behind(repo.resolve("dev").unwrap(), main).unwrap(), (3, 0));
    assert_eq!(repo.rebase("main", None, &ReplayOptions::default()).unwrap().outcome, ReplayOutcome::UpToDate);
    repo.undo(None).unwrap();
    assert_eq!(repo.graph().ahead_behind(repo.resolve("dev").unwrap(), main).unwrap(), (3, 1));
    switch(&repo, "main", false);
    assert!(matches!(repo.rebase("dev~3", None, &ReplayOptions::default()).unwrap().outcome, ReplayOutcome::UpToDate));
    assert!(matches!(repo.rebase("dev", None, &ReplayOptions::default()).unwrap().outcome, ReplayOutcome::Done(_)));
}

#[test]
fn a_sequence_stops_goes_on_skips_and_is_given_up() {
    let (_, repo) = memory();
    start(&repo, 6);
    switch(&repo, "dev", true);
    set(&repo, "a", &[(1, 10)]);
    set(&repo, "a", &[(2, 20)]);
    set(&repo, "b", &[(1, 7)]);
    let dev = repo.resolve("dev").unwrap();
    switch(&repo, "main", false);
    set(&repo, "a", &[(2, 99), (3, 3)]);
    switch(&repo, "dev", false);
    let options = ReplayOptions::default();
    let stopped = |repo: &Repo| {
        let report = repo.rebase("main", None, &options).unwrap();
        assert!(matches!(report.outcome, ReplayOutcome::Conflicts(_, 1)), "{:?}", report.outcome);
    };
    stopped(&repo);
    assert!(matches!(repo.continue_replay(Replay::Rebase, None, None), Err(RepoError::Conflicts { left: 1, .. })));
    assert!(matches!(repo.continue_replay(Replay::Revert, None, None), Err(RepoError::InProgress { .. })));
    assert!(matches!(commit(&repo, "x"), Err(RepoError::InProgress { .. })));
    repo.abort("rebase").unwrap();
    assert_eq!((repo.resolve("dev").unwrap(), read(&repo, "a")), (dev, vec![0, 10, 20, 0, 0, 0]));
    stopped(&repo);
    repo.skip_replay(Replay::Rebase, None).unwrap();
    assert_eq!((read(&repo, "a"), read(&repo, "b")), (vec![0, 10, 99, 3, 0, 0], vec![0, 7, 0, 0, 0, 0]));
    repo.reset(&dev.to_string(), ResetMode::Hard).unwrap();
    stopped(&repo);
    repo.resolve_conflicts(&row("2"), &Resolution::Value(Some("55")), "resolve").unwrap();
    let report = repo.continue_replay(Replay::Rebase, None, None).unwrap();
    assert!(report.ended.is_some() && matches!(report.outcome, ReplayOutcome::Done(_)));
    assert_eq!((read(&repo, "a"), read(&repo, "b")), (vec![0, 10, 55, 3, 0, 0], vec![0, 7, 0, 0, 0, 0]));
    assert_eq!(repo.graph().ahead_behind(repo.resolve("dev").unwrap(), repo.resolve("main").unwrap()).unwrap(), (3, 0));
    // Of a merge, a side has to be named.
    switch(&repo, "main", false);
    repo.merge(&["dev".to_owned()], &MergeRequest { no_ff: true, ..Default::default() }).unwrap();
    assert_eq!(repo.revert(&["HEAD".to_owned()], &options).unwrap_err().kind(), ErrorKind::Usage);
    repo.revert(&["HEAD".to_owned()], &ReplayOptions { mainline: Some(1), ..Default::default() }).unwrap();
    assert_eq!(read(&repo, "a"), [0, 0, 99, 3, 0, 0]);
    assert!(repo.verify().unwrap().faults.is_empty());
}

#[test]
fn columns_that_nobody_touched_are_not_read() {
    // A merge as another process sees it, of a table with and without more columns: cells of one column change on both sides, one of them alike,
    // and a row goes.
    let reads = |columns: &[&str]| {
        let (store, repo) = memory();
        start_with(&repo, 5000, columns);
        repo.create_branch("dev", None, false).unwrap();
        for (branch, cells) in [("main", [(10, 1), (11, 2), (12, 3)]), ("dev", [(12, 3), (13, 5), (4000, 6)])] {
            switch(&repo, branch, false);
            set(&repo, "a", &cells);
            repo.edit_table("t", "delete", |table| -> Result<_, RepoError> { Ok(table.delete(repo.objects(), &[cells[0].0 + 100])?) }).unwrap();
            commit(&repo, "delete").unwrap();
        }
        switch(&repo, "main", false);
        let repo = Repo::on_store(None, Arc::new(store), &options());
        let before = repo.objects().reads();
        assert!(matches!(merge(&repo, "dev").unwrap(), MergeOutcome::Merged(Some(_))));
        let after = repo.objects().reads();
        assert_eq!(repo.table("t", None).unwrap().rows(repo.objects()).unwrap(), 4998);
        (after.blocks - before.blocks, after.nodes - before.nodes)
    };
    let few = reads(&["n", "a"]);
    assert!(few.0 + few.1 > 0);
    assert_eq!(reads(&["n", "a", "b", "c", "d"]), few);
}

#[test]
fn newest_is_the_side_with_the_later_tip_or_what_is_being_laid() {
    use crate::table::merge::Policy;
    for dev_is_later in [true, false] {
        let (_, repo) = memory();
        start(&repo, 4);
        repo.set_policy("t", "a", Some(Policy::Newest), "policy").unwrap();
        commit(&repo, "policy").unwrap();
        repo.create_branch("dev", None, false).unwrap();
        repo.create_branch("main-too", None, false).unwrap();
        let change = |dev: bool| {
            switch(&repo, if dev { "dev" } else { "main" }, false);
            set(&repo, "a", &[(1, if dev { 10 } else { 20 }), (if dev { 2 } else { 3 }, 7)]);
        };
        change(!dev_is_later);
        change(dev_is_later);
        let newest = vec![0, if dev_is_later { 10 } else { 20 }, 7, 7];
        // The later tip wins, whichever is merged into the other; a commit that tells nothing of the cell makes a tip the later one.
        for (into, from) in [("main", "dev"), ("dev", "main")] {
            switch(&repo, into, false);
            assert!(matches!(merge(&repo, from).unwrap(), MergeOutcome::Merged(_)));
            assert_eq!(read(&repo, "a"), newest, "{from} into {into}, dev is later: {dev_is_later}");
            repo.undo(None).unwrap();
        }
        let earlier = if dev_is_later { "main" } else { "dev" };
        switch(&repo, earlier, false);
        set(&repo, "b", &[(0, 1)]);
        merge(&repo, if dev_is_later { "dev" } else { "main" }).unwrap();
        assert_eq!(read(&repo, "a"), [0, if dev_is_later { 20 } else { 10 }, 7, 7]);
        (0..3).for_each(|_| drop(repo.undo(None).unwrap()));
        // What is picked or moved counts as the newer, whenever it was made.
        switch(&repo, "main", false);
        repo.cherry_pick(&["dev".to_owned()], &ReplayOptions::default()).unwrap();
        assert_eq!(read(&repo, "a"), [0, 10, 7, 7]);
        repo.undo(None).unwrap();
        repo.rebase("dev", None, &ReplayOptions::default()).unwrap();
        assert_eq!(read(&repo, "a"), [0, 20, 7, 7]);
        // And what is put back counts as the newer: the base's value.
        switch(&repo, "main-too", false);
        set(&repo, "a", &[(1, 1)]);
        set(&repo, "a", &[(1, 2)]);
        repo.revert(&["HEAD~1".to_owned()], &ReplayOptions::default()).unwrap();
        assert_eq!(read(&repo, "a"), [0; 4]);
    }
}

#[test]
fn a_table_and_a_view_of_one_name_do_not_meet() {
    let (_, repo) = memory();
    start(&repo, 3);
    switch(&repo, "dev", true);
    repo.create_view("x", "SELECT n FROM t", false, "view").unwrap();
    commit(&repo, "a view").unwrap();
    assert!(repo.create_table("x", &[("a".to_owned(), Type::INT64)], &[], "table").unwrap_err().to_string().contains("view 'x' exists already"));
    switch(&repo, "main", false);
    repo.create_table("x", &[("a".to_owned(), Type::INT64)], &[], "table").unwrap();
    let tip = commit(&repo, "a table").unwrap();
    let error = merge(&repo, "dev").unwrap_err();
    assert_eq!((error.to_string().as_str(), error.kind()), ("'x' is a table on one side and a view on the other", ErrorKind::Usage));
    assert_eq!(repo.resolve("main").unwrap(), tip);
    repo.rename_table("x", "y", "rename").unwrap();
    commit(&repo, "another name").unwrap();
    assert!(matches!(merge(&repo, "dev").unwrap(), MergeOutcome::Merged(Some(_))));
    assert_eq!(repo.views(None).unwrap().len(), 1);
}

/// Notes what it is asked about, words messages anew, and says no to those that name the column `b`.
#[derive(Debug, Default)]
struct Asked(std::cell::RefCell<Vec<(usize, String)>>);

impl Gate for Asked {
    fn pass(&self, proposed: &Proposed<'_>) -> Result<String, RepoError> {
        assert_ne!(proposed.before, proposed.after);
        self.0.borrow_mut().push((proposed.parents.len(), proposed.message.to_owned()));
        if proposed.message.contains("b [") { Err(RepoError::Stopped("not b".into())) } else { Ok(format!("asked: {}", proposed.message)) }
    }
}

#[test]
fn a_gate_words_what_is_merged_and_replayed_or_stops_all_of_it() {
    let (_, repo) = memory();
    start(&repo, 6);
    switch(&repo, "dev", true);
    set(&repo, "a", &[(1, 10)]);
    set(&repo, "b", &[(1, 7)]);
    switch(&repo, "main", false);
    set(&repo, "a", &[(4, 4)]);
    let main = repo.resolve("main").unwrap();
    let (asked, subject) = (Asked::default(), || repo.commit_of(repo.resolve("main").unwrap()).unwrap().subject().to_owned());
    let gate: Option<&dyn Gate> = Some(&asked);
    // The first commit would pass, the second does not: neither is made.
    let refused = repo.cherry_pick(&["main..dev".to_owned()], &ReplayOptions { gate, ..Default::default() }).unwrap_err();
    assert!(matches!(&refused, RepoError::Stopped(why) if why == "not b") && refused.kind() == ErrorKind::Answer);
    assert_eq!((repo.resolve("main").unwrap(), repo.working().unwrap().dirty), (main, false));
    repo.cherry_pick(&["dev~1".to_owned()], &ReplayOptions { gate, ..Default::default() }).unwrap();
    assert_eq!(subject(), "asked: set a [(1, 10)]");
    repo.merge(&["dev".to_owned()], &MergeRequest { gate, ..Default::default() }).unwrap();
    assert_eq!((subject().as_str(), read(&repo, "b")), ("asked: Merge 'dev'", vec![0, 7, 0, 0, 0, 0]));
    let told: Vec<(usize, String)> = asked.0.take();
    assert_eq!(told.iter().map(|(parents, _)| *parents).collect::<Vec<_>>(), [1, 1, 1, 2]);
    // A dry run and a fast-forward make no commit, and nobody is asked.
    repo.reset(&main.to_string(), ResetMode::Hard).unwrap();
    repo.merge(&["dev".to_owned()], &MergeRequest { gate, dry_run: true, ..Default::default() }).unwrap();
    repo.reset(&format!("{main}~1"), ResetMode::Hard).unwrap();
    assert!(matches!(repo.merge(&["dev".to_owned()], &MergeRequest { gate, ..Default::default() }).unwrap().outcome, MergeOutcome::FastForward(_)));
    assert_eq!(asked.0.take(), []);
}
