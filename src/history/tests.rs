//! Transactions, undo and revisions against naive twins, with races and lost replies made on purpose.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::graph::tests::{commit, objects};
use super::log::OperationLog;
use super::undo::{next_redo, next_undo, take_back};
use super::*;
use crate::base::{CommitId, OperationId};
use crate::chunk::nonce;
use crate::format::operation::{HeadRef, Tag};
use crate::store::StoreError;

/// What happens at a swap.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// The swap happens, the reply is an error.
    LostReply,
    /// The swap happens, the reply is "another was there": a retried conditional put fails against itself.
    RetriedReply,
    /// Nothing happens but an error.
    Failed,
    /// Another writer sets this key first.
    Race(u8),
}

struct MemoryLedger {
    objects: Arc<Objects>,
    newest: Mutex<Option<OperationId>>,
    faults: Mutex<VecDeque<Fault>>,
    /// Every operation that has been the newest.
    history: Mutex<Vec<OperationId>>,
}

impl MemoryLedger {
    fn set(&self, from: Option<OperationId>, to: OperationId) -> bool {
        let mut newest = self.newest.lock().unwrap();
        let swapped = *newest == from;
        if swapped {
            *newest = Some(to);
            self.history.lock().unwrap().push(to);
        }
        swapped
    }
}

impl Ledger for MemoryLedger {
    fn newest(&self) -> Result<Option<Mark>, HistoryError> {
        Ok(self.newest.lock().unwrap().map(|operation| Mark { operation, generation: 0, token: Vec::new() }))
    }

    fn swap(&self, from: Option<&Mark>, to: OperationId) -> Result<bool, HistoryError> {
        let from = from.map(|mark| mark.operation);
        let fault = self.faults.lock().unwrap().pop_front().unwrap_or(Fault::None);
        let broken = || Err(HistoryError::Store(StoreError::ReadOnly { path: "head".into() }));
        match fault {
            Fault::None => Ok(self.set(from, to)),
            Fault::Failed => broken(),
            Fault::LostReply => {
                self.set(from, to);
                broken()
            }
            Fault::RetriedReply => {
                self.set(from, to);
                Ok(false)
            }
            Fault::Race(key) => {
                // The other writer has no faults of its own.
                let faults = std::mem::take(&mut *self.faults.lock().unwrap());
                let mut other = Transaction::new(View::newest(&self.objects, self)?);
                other.set(&branch_key(&key.to_string()), value(&self.objects, usize::from(nonce()[0])))?;
                other.publish(&self.objects, self, &stamp("another writer"))?;
                *self.faults.lock().unwrap() = faults;
                Ok(self.set(from, to))
            }
        }
    }
}

fn branch_key(name: &str) -> String {
    state::branch_key(name)
}

/// The value of a branch at commit number `n`.
fn value(objects: &Objects, n: usize) -> Option<Vec<u8>> {
    Some(commit(objects, n, vec![], 0).0.to_vec())
}

fn stamp(command: &str) -> Stamp {
    Stamp { user: "ada@laptop".into(), millis: 1_767_225_600_000, command: command.into() }
}

struct Home {
    objects: Arc<Objects>,
    ledger: MemoryLedger,
}

impl Home {
    fn new() -> Self {
        let objects = objects();
        let ledger = MemoryLedger { objects: objects.clone(), newest: Mutex::default(), faults: Mutex::default(), history: Mutex::default() };
        let home = Home { objects, ledger };
        let mut first = Transaction::new(None);
        first.set(state::HEAD, Some(HeadRef::Branch("main".into()).encode())).unwrap();
        first.publish(&home.objects, &home.ledger, &stamp("init")).unwrap();
        home
    }

    fn view(&self) -> View {
        View::newest(&self.objects, &self.ledger).unwrap().unwrap()
    }

    fn set(&self, changes: &[(String, Option<Vec<u8>>)], millis: i64) -> Result<View, HistoryError> {
        let mut transaction = Transaction::new(Some(self.view()));
        for (key, value) in changes {
            transaction.set(key, value.clone())?;
        }
        transaction.publish(&self.objects, &self.ledger, &Stamp { millis, ..stamp("set") })
    }

    fn map(&self) -> BTreeMap<String, Vec<u8>> {
        self.view().state.with_prefix("").unwrap().into_iter().collect()
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        1 => Just(Fault::LostReply),
        1 => Just(Fault::RetriedReply),
        1 => Just(Fault::Failed),
        2 => (0..4u8).prop_map(Fault::Race),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A change is there exactly once if it was reported done, not at all if it was reported moved, and never overwrites another writer's.
    #[test]
    fn each_change_happens_once_or_not_at_all(steps in prop::collection::vec((0..4u8, 300..400usize, prop::collection::vec(fault(), 0..4)), 1..8)) {
        let home = Home::new();
        for (key, n, faults) in steps {
            let value = value(&home.objects, n).unwrap();
            let before = home.map();
            let operations_before = home.ledger.history.lock().unwrap().len();
            home.ledger.faults.lock().unwrap().extend(faults.iter().copied());
            let key_text = branch_key(&key.to_string());
            let result = home.set(&[(key_text.clone(), Some(value.clone()))], 5);
            home.ledger.faults.lock().unwrap().clear();
            let after = home.map();
            let done = home.ledger.history.lock().unwrap()[operations_before..].iter().filter(|id| load_operation(&home.objects, **id).unwrap().command == "set").count();
            match &result {
                Ok(_) if before.get(&key_text).map(Vec::as_slice) == Some(&value[..]) => prop_assert_eq!(done, 0),
                Ok(_) => {
                    prop_assert_eq!(done, 1);
                    prop_assert_eq!(after.get(&key_text).map(Vec::as_slice), Some(&value[..]));
                }
                Err(HistoryError::Moved { key: moved }) => {
                    prop_assert_eq!(done, 0);
                    prop_assert_eq!(moved, &key_text);
                    prop_assert!(faults.contains(&Fault::Race(key)));
                    prop_assert_ne!(after.get(&key_text), before.get(&key_text));
                }
                Err(HistoryError::Store(_)) => prop_assert!(done == 0 && faults.contains(&Fault::Failed)),
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            }
        }
        // The log holds every operation that was ever published, each once.
        let view = home.view();
        let logged: Vec<OperationId> = OperationLog::from(home.objects.clone(), &view).map(|e| e.unwrap().0).collect();
        let mut published = home.ledger.history.lock().unwrap().clone();
        published.reverse();
        prop_assert_eq!(logged, published);
    }

    /// Undo and redo walk through the states of a stack with two ends.
    #[test]
    fn undo_and_redo_are_a_stack(steps in prop::collection::vec((0..4u8, 0..5u8, prop::option::of(any::<u8>())), 1..40)) {
        let home = Home::new();
        let (mut past, mut future) = (vec![home.map()], Vec::new());
        for (verb, key, n) in steps {
            let view = home.view();
            match verb {
                0 | 1 => {
                    let key = branch_key(&key.to_string());
                    let mut next = home.map();
                    let new = n.and_then(|n| value(&home.objects, n.into()));
                    match &new { Some(new) => drop(next.insert(key.clone(), new.clone())), None => drop(next.remove(&key)) }
                    home.set(&[(key, new)], 5).unwrap();
                    if past.last() != Some(&next) {
                        past.push(next);
                        future.clear();
                    }
                }
                2 => match next_undo(&home.objects, &view) {
                    Ok((id, operation)) => {
                        take_back(&home.objects, &view, id, &operation).unwrap().publish(&home.objects, &home.ledger, &stamp("undo")).unwrap();
                        future.push(past.pop().unwrap());
                    }
                    Err(e) => prop_assert!(matches!(e, HistoryError::NothingToUndo) && past.len() == 1, "{}", e),
                },
                _ => match next_redo(&home.objects, &view) {
                    Ok((id, operation)) => {
                        take_back(&home.objects, &view, id, &operation).unwrap().publish(&home.objects, &home.ledger, &stamp("redo")).unwrap();
                        past.push(future.pop().unwrap());
                    }
                    Err(e) => prop_assert!(matches!(e, HistoryError::NothingToRedo) && future.is_empty(), "{}", e),
                },
            }
            prop_assert_eq!(Some(&home.map()), past.last());
        }
    }
}

#[test]
fn an_older_operation_is_taken_back_only_where_nothing_moved_since() {
    let home = Home::new();
    let key = |n: &str| branch_key(n);
    home.set(&[(key("a"), value(&home.objects, 1 as usize)), (key("b"), value(&home.objects, 1 as usize))], 1).unwrap();
    let first = home.view();
    home.set(&[(key("c"), value(&home.objects, 2 as usize))], 2).unwrap();
    let back = take_back(&home.objects, &home.view(), first.mark.operation, &first.operation).unwrap();
    back.publish(&home.objects, &home.ledger, &stamp("undo")).unwrap();
    assert_eq!(home.map().into_keys().collect::<Vec<_>>(), ["HEAD", "heads/c"]);

    home.set(&[(key("b"), value(&home.objects, 3 as usize))], 3).unwrap();
    let error = take_back(&home.objects, &home.view(), first.mark.operation, &first.operation).unwrap_err();
    assert!(error.to_string().contains("branch 'a' has moved since, by 'undo'"), "{error}");
}

#[test]
fn a_change_relied_upon_fails_the_transaction() {
    let home = Home::new();
    let mut mine = Transaction::new(Some(home.view()));
    mine.rely_on(state::HEAD).unwrap();
    mine.set(&branch_key("x"), value(&home.objects, 1 as usize)).unwrap();
    home.set(&[(state::HEAD.into(), Some(HeadRef::Branch("x".into()).encode()))], 1).unwrap();
    let error = mine.publish(&home.objects, &home.ledger, &stamp("mine")).unwrap_err();
    assert!(matches!(error, HistoryError::Moved { ref key } if key == "HEAD"), "{error}");
}

#[test]
fn sixteen_writers_at_once_all_get_through() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for writer in 0..16 {
            let home = &home;
            scope.spawn(move || {
                for round in 0..4 {
                    home.set(&[(branch_key(&format!("{writer}/{round}")), value(&home.objects, round as usize))], 1).unwrap();
                }
            });
        }
    });
    assert_eq!(home.map().len(), 65);
}

/// main: c0 - c1 - c2 - m, side: c1 - s (merged as m's second parent), one operation a minute.
fn with_history() -> (Home, BTreeMap<&'static str, CommitId>) {
    let home = Home::new();
    let (main, minute) = (branch_key("main"), 60_000);
    let start = 1_767_225_600_000;
    let mut ids = BTreeMap::new();
    let parents: [(&'static str, &[&'static str]); 5] = [("c0", &[]), ("c1", &["c0"]), ("c2", &["c1"]), ("s", &["c1"]), ("m", &["c2", "s"])];
    for (n, (name, parents)) in parents.into_iter().enumerate() {
        let millis = start + minute * (n as i64 + 1);
        let id = commit(&home.objects, n, parents.iter().map(|p| ids[p]).collect(), millis);
        ids.insert(name, id);
        let key = if name == "s" { branch_key("side") } else { main.clone() };
        home.set(&[(key, Some(id.as_bytes().to_vec()))], millis).unwrap();
    }
    let tag = Tag { commit: ids["c1"], message: String::new(), name: "A".into(), email: "a@b".into(), millis: start };
    home.set(&[("tags/v1.0".into(), Some(tag.encode()))], start + minute * 6).unwrap();
    (home, ids)
}

#[test]
fn revisions_resolve() {
    let (home, ids) = with_history();
    let (view, graph) = (home.view(), Graph::new(home.objects.clone()));
    let resolver = Resolver { objects: &home.objects, view: &view, graph: &graph, now_millis: 1_767_225_600_000 + 60_000 * 7 };
    let full = ids["s"].to_string();
    let upper = full[..12].to_uppercase();
    for (text, expected) in [
        ("HEAD", "m"),
        ("@", "m"),
        ("main", "m"),
        ("heads/main", "m"),
        ("refs/heads/main~2", "c1"),
        ("main^", "c2"),
        ("main^2", "s"),
        ("main^2~", "c1"),
        ("main^0", "m"),
        ("main~3", "c0"),
        ("main^^^", "c0"),
        ("v1.0", "c1"),
        ("tags/v1.0^{}", "c1"),
        ("side", "s"),
        (&full, "s"),
        (&full[..8], "s"),
        (&upper, "s"),
        ("main@{0}", "m"),
        ("main@{1}", "c2"),
        ("main@{2}~1", "c0"),
        ("@{1}", "c2"),
        ("HEAD@{3}", "c0"),
        ("main@{3 minutes ago}", "c2"),
        ("main@{290 seconds ago}", "c1"),
        (":/commit 3", "s"),
        ("main^{/commit 1}", "c1"),
    ] {
        assert_eq!(resolver.text(text).unwrap(), ids[expected], "{text}");
    }
    for (text, says) in [
        ("mian", "no branch, tag or commit 'mian'"),
        ("main~4", "'main~4': commit"),
        ("main^3", "has 2 parents"),
        ("main@{9}", "has only 4 values"),
        ("main@{2 years ago}", "starts at"),
        ("side@{5 minutes ago}", "had no commit at that time"),
        ("main@{soon}", "'soon' is not a time"),
        ("nowhere@{1}", "no branch, tag or commit 'nowhere'"),
        ("@{-1}", "has only 0 switches"),
        (":/nothing like it", "no commit has 'nothing like it'"),
        (&"0".repeat(64), "no branch, tag or commit '0000"),
    ] {
        let error = resolver.text(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    assert!(matches!(resolver.text("mian"), Err(HistoryError::Unknown { nearest, .. }) if nearest == ["main"]));
    let selected = |ranges: &[&str]| {
        let selection = resolver.ranges(&ranges.iter().map(|r| r.parse().unwrap()).collect::<Vec<Range>>()).unwrap();
        let walk = graph.walk(selection.include, selection.exclude, Order::Date).unwrap();
        walk.map(|c| c.unwrap().0).map(|id| *ids.iter().find(|(_, x)| **x == id).unwrap().0).collect::<Vec<_>>()
    };
    assert_eq!(selected(&[]), ["m", "s", "c2", "c1", "c0"]);
    assert_eq!(selected(&["side..main"]), ["m", "c2"]);
    assert_eq!(selected(&["main~1...side"]), ["s", "c2"]);
    assert_eq!(selected(&["main", "^side"]), ["m", "c2"]);
    assert_eq!(selected(&["main^!"]), ["m"]);
    assert_eq!(selected(&["v1.0.."]), ["m", "s", "c2"]);
}

#[test]
fn short_ids_that_several_commits_share_are_ambiguous() {
    let home = Home::new();
    // Two of some hundred commits start with the same four digits: look for them.
    let mut seen: BTreeMap<String, CommitId> = BTreeMap::new();
    let (prefix, pair) = (0..)
        .find_map(|n| {
            let id = commit(&home.objects, n, vec![], n as i64);
            let prefix = id.to_string()[..4].to_owned();
            seen.insert(prefix.clone(), id).map(|other| (prefix, [id, other]))
        })
        .unwrap();
    let (view, graph) = (home.view(), Graph::new(home.objects.clone()));
    let resolver = Resolver { objects: &home.objects, view: &view, graph: &graph, now_millis: 0 };
    let error = resolver.text(&prefix).unwrap_err();
    assert!(matches!(&error, HistoryError::Ambiguous { candidates, .. } if candidates.len() == 2 && candidates.iter().all(|c| pair.contains(&c.0))), "{error}");
    assert_eq!(resolver.text(&pair[0].to_string()).unwrap(), pair[0]);
    assert!(matches!(resolver.text("HEAD"), Err(HistoryError::NoCommit(branch)) if branch == "main"));
    assert!(matches!(resolver.text("main"), Err(HistoryError::NoCommit(_))));
    assert!(matches!(resolver.text("main@{1}"), Err(HistoryError::NoCommit(_))));
}

#[test]
fn the_previous_branch() {
    let (home, ids) = with_history();
    for branch in ["side", "main"] {
        home.set(&[(state::HEAD.into(), Some(HeadRef::Branch(branch.into()).encode()))], 1).unwrap();
    }
    let (view, graph) = (home.view(), Graph::new(home.objects.clone()));
    let resolver = Resolver { objects: &home.objects, view: &view, graph: &graph, now_millis: 0 };
    assert_eq!(resolver.text("@{-1}").unwrap(), ids["s"]);
    assert_eq!(resolver.text("@{-2}^").unwrap(), ids["c2"]);
}

#[test]
fn a_log_whose_end_was_collected_ends_there() {
    let home = Home::new();
    let operation = crate::format::operation::Operation { parent: Some(OperationId([1; 32])), ..home.view().operation };
    let id = store_operation(&home.objects, &operation).unwrap();
    *home.ledger.newest.lock().unwrap() = Some(id);
    let mut log = OperationLog::from(home.objects.clone(), &home.view());
    assert_eq!(log.by_ref().map(|e| e.unwrap().0).collect::<Vec<_>>(), [id]);
    assert!(log.was_cut());
}
