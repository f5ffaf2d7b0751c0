//! Random verbs on a repository and on a twin that keeps everything in plain maps; the repository is opened anew after each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proptest::prelude::*;

use super::{edit, memory, number, options};
use crate::base::CommitId;
use crate::format::operation::HeadRef;
use crate::repo::{CommitOptions, Repo, RepoError, ResetMode, SwitchOptions};

type Tables = BTreeMap<String, u8>;

#[derive(Debug, Clone)]
enum Verb {
    Edit(String, Option<u8>),
    Commit { amend: bool, empty: bool },
    Branch { name: String, at: Option<u8>, force: bool },
    Rename { old: Option<String>, new: String, force: bool },
    DeleteBranch { name: String, force: bool },
    Switch(String),
    SwitchNew { name: String, at: Option<u8> },
    Detach(u8),
    Tag { name: String, at: u8, force: bool },
    DeleteTag(String),
    Restore { table: Option<String>, at: Option<u8> },
    Reset { at: u8, hard: bool },
    Undo,
    Redo,
}

fn verb() -> impl Strategy<Value = Verb> {
    let branch = || "(main|b|c)".prop_map(String::from);
    let table = || "[xyz]".prop_map(String::from);
    prop_oneof![
        5 => (table(), prop::option::weighted(0.8, 1..4u8)).prop_map(|(t, v)| Verb::Edit(t, v)),
        4 => (prop::bool::weighted(0.2), prop::bool::weighted(0.2)).prop_map(|(amend, empty)| Verb::Commit { amend, empty }),
        1 => (branch(), any::<Option<u8>>(), any::<bool>()).prop_map(|(name, at, force)| Verb::Branch { name, at, force }),
        1 => (prop::option::of(branch()), branch(), any::<bool>()).prop_map(|(old, new, force)| Verb::Rename { old, new, force }),
        1 => (branch(), any::<bool>()).prop_map(|(name, force)| Verb::DeleteBranch { name, force }),
        3 => branch().prop_map(Verb::Switch),
        2 => (branch(), any::<Option<u8>>()).prop_map(|(name, at)| Verb::SwitchNew { name, at }),
        1 => any::<u8>().prop_map(Verb::Detach),
        1 => ("[tu]", any::<u8>(), any::<bool>()).prop_map(|(name, at, force)| Verb::Tag { name, at, force }),
        1 => "[tu]".prop_map(Verb::DeleteTag),
        1 => (prop::option::of(table()), any::<Option<u8>>()).prop_map(|(table, at)| Verb::Restore { table, at }),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(at, hard)| Verb::Reset { at, hard }),
        2 => Just(Verb::Undo),
        1 => Just(Verb::Redo),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct Refs {
    head: HeadRef,
    heads: BTreeMap<String, CommitId>,
    tags: BTreeMap<String, CommitId>,
    /// Base and tables, by branch; `HEAD` for the detached one.
    working: BTreeMap<String, (Option<CommitId>, Tables)>,
}

/// The refs, all commits ever made (tables, parents), and the refs before and after in the undo stack.
struct Twin {
    now: Refs,
    commits: HashMap<CommitId, (Tables, Vec<CommitId>)>,
    order: Vec<CommitId>,
    past: Vec<Refs>,
    future: Vec<Refs>,
}

impl Twin {
    fn new() -> Twin {
        let now = Refs { head: HeadRef::Branch("main".into()), heads: BTreeMap::new(), tags: BTreeMap::new(), working: BTreeMap::new() };
        Twin { now, commits: HashMap::new(), order: Vec::new(), past: Vec::new(), future: Vec::new() }
    }

    fn key(&self) -> String {
        match &self.now.head {
            HeadRef::Branch(name) => name.clone(),
            HeadRef::Commit(_) => "HEAD".into(),
        }
    }

    fn tip(&self) -> Option<CommitId> {
        match &self.now.head {
            HeadRef::Branch(name) => self.now.heads.get(name).copied(),
            HeadRef::Commit(id) => Some(*id),
        }
    }

    fn tables_of(&self, commit: Option<CommitId>) -> Tables {
        commit.map(|id| self.commits[&id].0.clone()).unwrap_or_default()
    }

    fn tables(&self) -> Tables {
        self.now.working.get(&self.key()).map(|w| w.1.clone()).unwrap_or_else(|| self.tables_of(self.tip()))
    }

    fn exists(&self, branch: &str) -> bool {
        self.now.heads.contains_key(branch) || self.now.working.contains_key(branch) || self.now.head == HeadRef::Branch(branch.into())
    }

    fn pick(&self, at: u8) -> Option<CommitId> {
        (!self.order.is_empty()).then(|| self.order[at as usize % self.order.len()])
    }

    fn reaches(&self, from: CommitId, to: CommitId) -> bool {
        from == to || self.commits[&from].1.iter().any(|parent| self.reaches(*parent, to))
    }

    fn set_tables(refs: &mut Refs, key: &str, base: Option<CommitId>, base_tables: &Tables, tables: Tables) {
        if tables == *base_tables {
            refs.working.remove(key);
        } else {
            refs.working.insert(key.into(), (base, tables));
        }
    }

    fn set_tip(refs: &mut Refs, id: CommitId) {
        match refs.head.clone() {
            HeadRef::Branch(name) => drop(refs.heads.insert(name, id)),
            HeadRef::Commit(_) => refs.head = HeadRef::Commit(id),
        }
    }

    /// The refs after a verb other than commit, undo and redo; `None` where it is refused.
    fn after(&self, verb: &Verb) -> Option<Refs> {
        let mut refs = self.now.clone();
        let (key, tip) = (self.key(), self.tip());
        match verb {
            Verb::Edit(table, value) => {
                let mut tables = self.tables();
                match value {
                    Some(value) => drop(tables.insert(table.clone(), *value)),
                    None => drop(tables.remove(table)),
                }
                Twin::set_tables(&mut refs, &key, tip, &self.tables_of(tip), tables);
            }
            Verb::Branch { name, at, force } => {
                let at = at.map_or(tip, |at| self.pick(at))?;
                if self.exists(name) && (!force || self.now.head == HeadRef::Branch(name.clone()) || self.now.working.contains_key(name)) {
                    return None;
                }
                refs.heads.insert(name.clone(), at);
            }
            Verb::Rename { old, new, force } => {
                let old = match (old, &self.now.head) {
                    (Some(old), _) => old.clone(),
                    (None, HeadRef::Branch(name)) => name.clone(),
                    _ => return None,
                };
                if !self.exists(&old) {
                    return None;
                }
                if old != *new {
                    if self.exists(new) && (!force || self.now.head == HeadRef::Branch(new.clone())) {
                        return None;
                    }
                    let (tip, working) = (refs.heads.remove(&old), refs.working.remove(&old));
                    refs.heads.remove(new);
                    refs.working.remove(new);
                    refs.heads.extend(tip.map(|tip| (new.clone(), tip)));
                    refs.working.extend(working.map(|working| (new.clone(), working)));
                    if refs.head == HeadRef::Branch(old) {
                        refs.head = HeadRef::Branch(new.clone());
                    }
                }
            }
            Verb::DeleteBranch { name, force } => {
                if !self.exists(name) || self.now.head == HeadRef::Branch(name.clone()) {
                    return None;
                }
                let unmerged = self.now.heads.get(name).is_some_and(|id| !tip.is_some_and(|tip| self.reaches(tip, *id)));
                if !force && (unmerged || self.now.working.contains_key(name)) {
                    return None;
                }
                refs.heads.remove(name);
                refs.working.remove(name);
            }
            Verb::Switch(name) => {
                if !self.exists(name) || (key == "HEAD" && refs.working.contains_key("HEAD")) {
                    return None;
                }
                refs.head = HeadRef::Branch(name.clone());
            }
            Verb::SwitchNew { name, at } => {
                let start = match at {
                    Some(at) => Some(self.pick(*at)?),
                    None => tip,
                };
                if self.exists(name) || (at.is_some() && key == "HEAD" && refs.working.contains_key("HEAD")) {
                    return None;
                }
                refs.heads.extend(start.map(|id| (name.clone(), id)));
                if at.is_none() {
                    let carried = refs.working.remove(&key);
                    refs.working.extend(carried.map(|working| (name.clone(), working)));
                }
                refs.head = HeadRef::Branch(name.clone());
            }
            Verb::Detach(at) => {
                let id = self.pick(*at)?;
                if refs.working.get("HEAD").is_some_and(|(base, _)| *base != Some(id)) {
                    return None;
                }
                refs.head = HeadRef::Commit(id);
            }
            Verb::Tag { name, at, force } => {
                let id = self.pick(*at)?;
                if refs.tags.contains_key(name) && !force {
                    return None;
                }
                refs.tags.insert(name.clone(), id);
            }
            Verb::DeleteTag(name) => drop(refs.tags.remove(name)?),
            Verb::Restore { table, at } => {
                let source = match at {
                    Some(at) => self.tables_of(Some(self.pick(*at)?)),
                    None => self.tables_of(tip),
                };
                let mut tables = self.tables();
                match table {
                    None => tables = source,
                    Some(table) => match source.get(table) {
                        Some(value) => drop(tables.insert(table.clone(), *value)),
                        None => drop(tables.remove(table)?),
                    },
                }
                Twin::set_tables(&mut refs, &key, tip, &self.tables_of(tip), tables);
            }
            Verb::Reset { at, hard } => {
                let id = self.pick(*at)?;
                let tables = if *hard { self.tables_of(Some(id)) } else { self.tables() };
                Twin::set_tables(&mut refs, &key, Some(id), &self.tables_of(Some(id)), tables);
                Twin::set_tip(&mut refs, id);
            }
            Verb::Commit { .. } | Verb::Undo | Verb::Redo => unreachable!(),
        }
        Some(refs)
    }

    fn step(&mut self, refs: Refs, verb: &Verb) {
        // A tag that is set anew where it was has another time: that is a change.
        if refs != self.now || matches!(verb, Verb::Tag { .. }) {
            self.past.push(std::mem::replace(&mut self.now, refs));
            self.future.clear();
        }
    }
}

fn run(repo: &Repo, twin: &Twin, verb: &Verb) -> Result<Option<CommitId>, RepoError> {
    let rev = |at: u8| twin.pick(at).map_or("nothing".to_owned(), |id| id.to_string());
    match verb {
        Verb::Edit(table, value) => edit(repo, table, *value)?,
        Verb::Commit { amend, empty } => {
            let message = (!amend).then(|| format!("commit {}", twin.order.len()));
            return Ok(Some(repo.commit(&CommitOptions { message, amend: *amend, allow_empty: *empty, ..Default::default() })?.id));
        }
        Verb::Branch { name, at, force } => drop(repo.create_branch(name, at.map(rev).as_deref(), *force)?),
        Verb::Rename { old, new, force } => drop(repo.rename_branch(old.as_deref(), new, *force)?),
        Verb::DeleteBranch { name, force } => drop(repo.delete_branch(name, *force)?),
        Verb::Switch(name) => drop(repo.switch(name, &SwitchOptions::default())?),
        Verb::SwitchNew { name, at } => drop(repo.switch(name, &SwitchOptions { create: true, start: at.map(rev), detach: false })?),
        Verb::Detach(at) => drop(repo.switch(&rev(*at), &SwitchOptions { detach: true, ..Default::default() })?),
        Verb::Tag { name, at, force } => drop(repo.create_tag(name, Some(&rev(*at)), None, *force)?),
        Verb::DeleteTag(name) => drop(repo.delete_tag(name)?),
        Verb::Restore { table, at } => drop(repo.restore(table.as_slice(), at.map(rev).as_deref())?),
        Verb::Reset { at, hard } => drop(repo.reset(&rev(*at), if *hard { ResetMode::Hard } else { ResetMode::Soft })?),
        Verb::Undo => drop(repo.undo(None)?),
        Verb::Redo => drop(repo.redo()?),
    }
    Ok(None)
}

fn refs_of(repo: &Repo) -> Refs {
    let state = repo.view().unwrap().state;
    let tables = |id| crate::history::load_snapshot(repo.objects(), id).unwrap().tables.into_iter().map(|(n, t)| (n, number(t))).collect();
    Refs {
        head: state.head().unwrap(),
        heads: state.branches().unwrap(),
        tags: state.tags().unwrap().into_iter().map(|(name, tag)| (name, tag.commit)).collect(),
        working: state.workings().unwrap().into_iter().map(|(name, w)| (name, (w.base, tables(w.snapshot)))).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn verbs_do_what_the_twin_does(verbs in prop::collection::vec(verb(), 1..40)) {
        let (store, repo) = memory();
        let options = options();
        let mut twin = Twin::new();
        let mut repo = repo;
        for verb in verbs {
            let result = run(&repo, &twin, &verb);
            match &verb {
                Verb::Commit { amend, empty } => {
                    let (dirty, tip) = (twin.now.working.contains_key(&twin.key()), twin.tip());
                    let allowed = if *amend { tip.is_some() } else { dirty || *empty };
                    prop_assert_eq!(result.is_ok(), allowed, "{:?}: {:?}", verb, result);
                    if let Ok(Some(id)) = result {
                        let parents = if *amend { twin.commits[&tip.unwrap()].1.clone() } else { tip.into_iter().collect() };
                        twin.commits.insert(id, (twin.tables(), parents));
                        if !twin.order.contains(&id) {
                            twin.order.push(id);
                        }
                        let mut refs = twin.now.clone();
                        refs.working.remove(&twin.key());
                        Twin::set_tip(&mut refs, id);
                        twin.step(refs, &verb);
                    }
                }
                Verb::Undo | Verb::Redo => {
                    let (from, to) = if matches!(verb, Verb::Undo) { (&mut twin.past, &mut twin.future) } else { (&mut twin.future, &mut twin.past) };
                    prop_assert_eq!(result.is_ok(), !from.is_empty(), "{:?}: {:?}", verb, result);
                    if let Some(refs) = from.pop() {
                        to.push(std::mem::replace(&mut twin.now, refs));
                    }
                }
                _ => {
                    let expected = twin.after(&verb);
                    prop_assert_eq!(result.is_ok(), expected.is_some(), "{:?}: {:?}", verb, result);
                    if let Some(refs) = expected {
                        twin.step(refs, &verb);
                    }
                }
            }
            repo = Repo::on_store(None, Arc::new(store.clone()), &options);
            prop_assert_eq!(refs_of(&repo), twin.now.clone(), "{:?}", verb);
            let tables: Tables = repo.working_snapshot().unwrap().tables.into_iter().map(|(n, t)| (n, number(t))).collect();
            prop_assert_eq!(tables, twin.tables());
            prop_assert_eq!(repo.status().unwrap().is_clean(), !twin.now.working.contains_key(&twin.key()));
        }
    }
}
