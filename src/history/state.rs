//! The state of a repository: a typed view of the map of refs and working states that each operation holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{HistoryError, Objects};
use crate::base::CommitId;
use crate::format::FormatError;
use crate::format::operation::{HeadRef, StateRef, Tag, Working};
use crate::tree::{MapRope, Reference, StateChange};

/// A state map of up to so many bytes stands in its operation.
const INLINE_BYTES_MAX: usize = 1024;

/// The key of what is checked out.
pub const HEAD: &str = "HEAD";

/// The key of a branch's commit.
pub fn branch_key(name: &str) -> String {
    format!("heads/{name}")
}

/// The key of a tag.
pub fn tag_key(name: &str) -> String {
    format!("tags/{name}")
}

/// The key of the working state that belongs to what is checked out.
pub fn working_key(head: &HeadRef) -> String {
    match head {
        HeadRef::Branch(name) => format!("working/{name}"),
        HeadRef::Commit(_) => "working/HEAD".to_owned(),
    }
}

/// All refs and working states as of one operation. Immutable; cheap to clone.
#[derive(Debug, Clone)]
pub struct State {
    objects: Arc<Objects>,
    map: MapRope,
    /// What a handle that stays on a branch takes for checked out.
    pinned: Option<HeadRef>,
}

impl State {
    /// The state with no key.
    pub fn empty(objects: Arc<Objects>) -> Result<State, HistoryError> {
        let map = MapRope::build(&*objects, [])?;
        Ok(State { objects, map, pinned: None })
    }

    /// The state that an operation holds.
    pub fn open(objects: Arc<Objects>, state: &StateRef) -> Result<State, HistoryError> {
        let reference = match state {
            StateRef::Node(id) => Reference::Node(*id),
            StateRef::Inline(node) => Reference::Inline(node.as_slice().into()),
        };
        let map = MapRope::open(&*objects, &reference)?;
        Ok(State { objects, map, pinned: None })
    }

    /// What an operation keeps of it; its nodes are kept in the store.
    pub fn reference(&self) -> Result<StateRef, HistoryError> {
        Ok(match self.map.reference(&*self.objects, INLINE_BYTES_MAX)? {
            Reference::Node(id) => StateRef::Node(id),
            Reference::Inline(node) => StateRef::Inline(node.to_vec()),
        })
    }

    /// The value at a key.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, HistoryError> {
        Ok(self.map.get(&*self.objects, key)?)
    }

    /// All keys that start with `prefix`, with their values, in order.
    pub fn with_prefix(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, HistoryError> {
        Ok(self.map.with_prefix(&*self.objects, prefix)?.into_iter().map(|item| (item.key, item.value)).collect())
    }

    /// The state with these keys set or, at `None`, removed.
    pub fn update(&self, changes: &BTreeMap<String, Option<Vec<u8>>>) -> Result<State, HistoryError> {
        Ok(State { objects: self.objects.clone(), map: self.map.update(&*self.objects, changes)?, pinned: self.pinned.clone() })
    }

    /// What differs between this state and a newer one, by key.
    pub fn diff(&self, newer: &State) -> Result<Vec<StateChange>, HistoryError> {
        Ok(self.map.diff(&*self.objects, &newer.map)?)
    }

    /// True where both hold the same keys and values.
    pub fn same_as(&self, other: &State) -> bool {
        self.map.content() == other.map.content()
    }

    fn value<T>(&self, key: &str, decode: impl FnOnce(&[u8]) -> Result<T, FormatError>) -> Result<Option<T>, HistoryError> {
        self.get(key)?.map(|bytes| decoded(key, &bytes, decode)).transpose()
    }

    fn values<T>(&self, prefix: &str, decode: impl Fn(&[u8]) -> Result<T, FormatError>) -> Result<BTreeMap<String, T>, HistoryError> {
        let named = |(key, bytes): (String, Vec<u8>)| {
            let name = key.strip_prefix(prefix).unwrap_or(&key).to_owned();
            Ok((name, decoded(&key, &bytes, &decode)?))
        };
        self.with_prefix(prefix)?.into_iter().map(named).collect()
    }

    /// The same state to a handle that stays on a branch, whatever is checked out.
    pub fn pinned(self, branch: &str) -> State {
        State { pinned: Some(HeadRef::Branch(branch.to_owned())), ..self }
    }

    /// What is checked out, to a handle that stays on a branch that branch.
    pub fn head(&self) -> Result<HeadRef, HistoryError> {
        self.pinned.clone().map_or_else(|| self.checked_out(), Ok)
    }

    /// What is checked out. Every repository's state says.
    pub fn checked_out(&self) -> Result<HeadRef, HistoryError> {
        self.value(HEAD, HeadRef::decode)?.ok_or(HistoryError::NoValue(HEAD))
    }

    /// The commit that is checked out; none on a branch without a commit.
    pub fn head_commit(&self) -> Result<Option<CommitId>, HistoryError> {
        match self.head()? {
            HeadRef::Branch(name) => self.branch(&name),
            HeadRef::Commit(id) => Ok(Some(id)),
        }
    }

    /// A branch's commit.
    pub fn branch(&self, name: &str) -> Result<Option<CommitId>, HistoryError> {
        self.value(&branch_key(name), commit_id)
    }

    /// All branches that have a commit.
    pub fn branches(&self) -> Result<BTreeMap<String, CommitId>, HistoryError> {
        self.values("heads/", commit_id)
    }

    /// The remote-tracking ref `REMOTE/NAME`.
    pub fn remote(&self, name: &str) -> Result<Option<CommitId>, HistoryError> {
        self.value(&format!("remotes/{name}"), commit_id)
    }

    /// All remote-tracking refs.
    pub fn remotes(&self) -> Result<BTreeMap<String, CommitId>, HistoryError> {
        self.values("remotes/", commit_id)
    }

    /// A tag.
    pub fn tag(&self, name: &str) -> Result<Option<Tag>, HistoryError> {
        self.value(&tag_key(name), Tag::decode)
    }

    /// All tags.
    pub fn tags(&self) -> Result<BTreeMap<String, Tag>, HistoryError> {
        self.values("tags/", Tag::decode)
    }

    /// The working state that belongs to `head`; none where nothing is uncommitted.
    pub fn working(&self, head: &HeadRef) -> Result<Option<Working>, HistoryError> {
        self.value(&working_key(head), Working::decode)
    }

    /// All working states, by branch; that of a detached `HEAD` is called `HEAD`.
    pub fn workings(&self) -> Result<BTreeMap<String, Working>, HistoryError> {
        self.values("working/", Working::decode)
    }
}

fn decoded<T>(key: &str, bytes: &[u8], decode: impl FnOnce(&[u8]) -> Result<T, FormatError>) -> Result<T, HistoryError> {
    decode(bytes).map_err(|source| HistoryError::Value { key: key.to_owned(), source })
}

fn commit_id(bytes: &[u8]) -> Result<CommitId, FormatError> {
    CommitId::from_slice(bytes).ok_or_else(|| FormatError::malformed("ref", format!("{} bytes where an id has {}", bytes.len(), CommitId::LEN)))
}
