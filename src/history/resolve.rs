//! Finds the commits that revisions name.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{Local, TimeZone};

use super::graph::{Graph, Order};
use super::log::{OperationLog, unless_forgotten};
use super::revision::{Base, Line, Range, Revision, Step, When};
use super::{HistoryError, Kind, Objects, State, View, time};
use crate::base::CommitId;
use crate::base::name::nearest;
use crate::format::operation::HeadRef;

/// Digits of an id below which it is not looked up.
const DIGITS_MIN: usize = 4;

/// Looks up revisions as of one view.
#[derive(Debug, Clone, Copy)]
pub struct Resolver<'a> {
    /// The objects.
    pub objects: &'a Arc<Objects>,
    /// The refs.
    pub view: &'a View,
    /// The commits.
    pub graph: &'a Graph,
    /// The present, in milliseconds since 1970 UTC; `yesterday` is counted from it.
    pub now_millis: i64,
}

/// The commits that a list of ranges names: those that `include` reaches, without those that `exclude` reaches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Where to start.
    pub include: Vec<CommitId>,
    /// Where to stop.
    pub exclude: Vec<CommitId>,
}

impl Resolver<'_> {
    /// The commit that the text names.
    pub fn text(&self, text: &str) -> Result<CommitId, HistoryError> {
        self.revision(&text.parse()?)
    }

    /// The commit that a revision names.
    pub fn revision(&self, revision: &Revision) -> Result<CommitId, HistoryError> {
        let mut at = match &revision.base {
            Base::Head => self.head_commit()?,
            Base::Name(name) => self.name(name)?,
            Base::Earlier(line, when) => self.earlier(line, when, revision)?,
            Base::Previous(switches) => {
                let name = self.previous_branch(*switches, revision)?;
                self.name(&name)?
            }
            Base::Message(text) => {
                let refs = self.view.state.branches()?.into_values();
                let tags = self.view.state.tags()?.into_values().map(|tag| tag.commit);
                self.message(text, refs.chain(tags).chain(self.view.state.head_commit()?).collect())?
            }
        };
        for step in &revision.steps {
            at = self.step(at, step, revision)?;
        }
        Ok(at)
    }

    /// The commits that ranges name together; `HEAD`'s where there are none.
    pub fn ranges(&self, ranges: &[Range]) -> Result<Selection, HistoryError> {
        let mut selection = Selection::default();
        for range in ranges {
            match range {
                Range::From(a) => selection.include.push(self.revision(a)?),
                Range::Not(a) => selection.exclude.push(self.revision(a)?),
                Range::Span(a, b) => {
                    selection.exclude.push(self.revision(a)?);
                    selection.include.push(self.revision(b)?);
                }
                Range::Apart(a, b) => {
                    let (a, b) = (self.revision(a)?, self.revision(b)?);
                    selection.include.extend([a, b]);
                    selection.exclude.extend(self.graph.merge_bases(a, b)?);
                }
                Range::Only(a) => {
                    let a = self.revision(a)?;
                    selection.include.push(a);
                    selection.exclude.extend(&self.graph.commit(a)?.parents);
                }
            }
        }
        if selection.include.is_empty() {
            selection.include.push(self.head_commit()?);
        }
        Ok(selection)
    }

    /// The branch that was current `switches` switches ago, by the operation log.
    pub fn previous_branch(&self, switches: u32, revision: &Revision) -> Result<String, HistoryError> {
        let mut left = switches;
        let mut current = self.view.state.head()?;
        for entry in OperationLog::from(self.objects.clone(), self.view) {
            let operation = entry?.1;
            let Some(head) = unless_forgotten(State::open(self.objects.clone(), &operation.state).and_then(|state| state.head()))? else { break };
            if head == current {
                continue;
            }
            left -= 1;
            if left == 0 {
                return Ok(match head {
                    HeadRef::Branch(name) => name,
                    HeadRef::Commit(id) => id.to_string(),
                });
            }
            current = head;
        }
        let why = format!("has only {}", count(switches - left, "switch", "switches"));
        Err(HistoryError::LogTooShort { revision: revision.to_string(), line: "HEAD".into(), why })
    }

    fn head_commit(&self) -> Result<CommitId, HistoryError> {
        match self.view.state.head()? {
            HeadRef::Commit(id) => Ok(id),
            HeadRef::Branch(name) => self.view.state.branch(&name)?.ok_or(HistoryError::NoCommit(name)),
        }
    }

    /// A name, in Git's order: a whole id, a tag, a branch, a remote's branch, the first digits of an id.
    fn name(&self, name: &str) -> Result<CommitId, HistoryError> {
        let state = &self.view.state;
        let hex = name.bytes().all(|b| b.is_ascii_hexdigit()).then(|| name.to_ascii_lowercase());
        if let Some(Ok(id)) = hex.as_ref().map(|digits| digits.parse::<CommitId>()) {
            // Reading it tells whether it is there.
            return self.graph.commit(id).map(|_| id).map_err(|e| self.unknown_if_missing(name, e));
        }
        let name = name.strip_prefix("refs/").unwrap_or(name);
        let (tag, branch, remote) = (name.strip_prefix("tags/"), name.strip_prefix("heads/"), name.strip_prefix("remotes/"));
        if let Some(tag) = state.tag(tag.unwrap_or(name))? {
            return Ok(tag.commit);
        }
        if let Some(id) = state.branch(branch.unwrap_or(name))? {
            return Ok(id);
        }
        if let Some(id) = state.remote(remote.unwrap_or(name))? {
            return Ok(id);
        }
        if let Some(digits) = hex.filter(|digits| digits.len() >= DIGITS_MIN && digits.len() < 64) {
            let mut found: Vec<CommitId> = self.objects.with_prefix(Kind::Commit, &digits)?.into_iter().map(CommitId::from).collect();
            found.sort();
            found.dedup();
            if let [only] = found.as_slice() {
                return Ok(*only);
            }
            if !found.is_empty() {
                let subject = |id: CommitId| self.graph.commit(id).map(|commit| (id, commit.subject().to_owned()));
                let candidates = found.into_iter().map(subject).collect::<Result<_, _>>()?;
                return Err(HistoryError::Ambiguous { prefix: digits, candidates });
            }
        }
        if matches!(state.head()?, HeadRef::Branch(current) if current == name) {
            return Err(HistoryError::NoCommit(name.to_owned()));
        }
        Err(self.unknown(name)?)
    }

    fn unknown(&self, name: &str) -> Result<HistoryError, HistoryError> {
        let state = &self.view.state;
        let mut names: BTreeSet<String> = state.branches()?.into_keys().collect();
        names.extend(state.tags()?.into_keys());
        names.extend(state.remotes()?.into_keys());
        names.insert("HEAD".into());
        let nearest = nearest(name, names.iter().map(String::as_str)).into_iter().map(str::to_owned).collect();
        Ok(HistoryError::Unknown { name: name.to_owned(), nearest })
    }

    fn unknown_if_missing(&self, name: &str, error: HistoryError) -> HistoryError {
        match error {
            HistoryError::Objects(super::ChunkError::Missing { .. }) => HistoryError::Unknown { name: name.to_owned(), nearest: Vec::new() },
            other => other,
        }
    }

    fn step(&self, at: CommitId, step: &Step, revision: &Revision) -> Result<CommitId, HistoryError> {
        let parent = |at: CommitId, n: u32| {
            let parents = &self.graph.commit(at)?.parents;
            let found = usize::try_from(n).ok().and_then(|n| parents.get(n.checked_sub(1)?)).copied();
            found.ok_or_else(|| HistoryError::NoParent { revision: revision.to_string(), at, parents: parents.len() })
        };
        match step {
            Step::Parent(0) => Ok(at),
            Step::Parent(n) => parent(at, *n),
            Step::Ancestor(n) => (0..*n).try_fold(at, |at, _| parent(at, 1)),
            Step::Message(text) => self.message(text, vec![at]),
        }
    }

    fn message(&self, text: &str, from: Vec<CommitId>) -> Result<CommitId, HistoryError> {
        for entry in self.graph.walk(from, [], Order::Date)? {
            let (id, commit) = entry?;
            if commit.message.contains(text) {
                return Ok(id);
            }
        }
        Err(HistoryError::NoMessage(text.to_owned()))
    }

    fn earlier(&self, line: &Line, when: &When, revision: &Revision) -> Result<CommitId, HistoryError> {
        let value = |state: &State, name: &str| match state.branch(name)? {
            Some(id) => Ok(Some(id)),
            None => state.tag(name).map(|tag| tag.map(|tag| tag.commit)),
        };
        let named = match (line, self.view.state.head()?) {
            (Line::Head, _) => None,
            (Line::Named(name), _) => Some(name.strip_prefix("refs/").unwrap_or(name).trim_start_matches("heads/").to_owned()),
            (Line::Current, HeadRef::Branch(name)) => Some(name),
            (Line::Current, HeadRef::Commit(_)) => None,
        };
        let label = named.clone().unwrap_or_else(|| "HEAD".into());
        let read = |state: &State| match &named {
            None => state.head_commit(),
            Some(name) => value(state, name),
        };
        let too_short = |why: String| HistoryError::LogTooShort { revision: revision.to_string(), line: label.clone(), why };
        let limit = match when {
            When::Changes(_) => i64::MAX,
            When::Time(text) => {
                let now = Local.timestamp_millis_opt(self.now_millis).earliest().ok_or_else(|| HistoryError::NotATime(text.clone()))?;
                time::parse(text, &now).ok_or_else(|| HistoryError::NotATime(text.clone()))?
            }
        };
        let mut last: Option<CommitId> = None;
        let mut seen = 0u32;
        let mut oldest_millis = self.now_millis;
        for entry in OperationLog::from(self.objects.clone(), self.view) {
            let (_, operation) = entry?;
            oldest_millis = operation.millis;
            if operation.millis > limit {
                continue;
            }
            let Some(current) = unless_forgotten(State::open(self.objects.clone(), &operation.state).and_then(|state| read(&state)))? else { break };
            match (when, current) {
                (When::Time(_), Some(id)) => return Ok(id),
                (When::Time(_), None) => return Err(too_short("had no commit at that time".into())),
                // Counted are the values that it had, each run of one value once.
                (When::Changes(n), Some(id)) if last != Some(id) => {
                    if seen == *n {
                        return Ok(id);
                    }
                    seen += 1;
                    last = Some(id);
                }
                (When::Changes(_), _) => {}
            }
        }
        if seen == 0 && matches!(when, When::Changes(_)) {
            return Err(match named {
                Some(name) => self.name(&name).err().unwrap_or_else(|| too_short("is empty".into())),
                None => too_short("is empty".into()),
            });
        }
        let start = Local.timestamp_millis_opt(oldest_millis).earliest().map(|time| time.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default();
        Err(too_short(match when {
            When::Changes(_) => format!("has only {}", count(seen, "value", "values")),
            When::Time(_) => format!("starts at {start}"),
        }))
    }
}

fn count(n: u32, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}
