//! A map by key: a rope of key-value pairs in the order of their keys.

use std::collections::BTreeMap;

use crate::format::node::{KeyValue, Map, Node};

use super::rope::child;
use super::{NodeStore, Rope, TreeError};

/// The rope that keeps a repository's state.
pub type MapRope = Rope<Map>;

/// What differs at one key of two maps: the value before and the value after, `None` where the key is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The key.
    pub key: String,
    /// Its value in the older map.
    pub before: Option<Vec<u8>>,
    /// Its value in the newer map.
    pub after: Option<Vec<u8>>,
}

impl Rope<Map> {
    /// The value at a key.
    pub fn get(&self, store: &dyn NodeStore, key: &str) -> Result<Option<Vec<u8>>, TreeError> {
        let at = self.position(store, key)?;
        if at == self.rows() {
            return Ok(None);
        }
        let found = self.items(store, at, at + 1)?.next().transpose()?;
        Ok(found.filter(|(_, item)| item.key == key).map(|(_, item)| item.value))
    }

    /// The index of the first key that is not before `key`.
    fn position(&self, store: &dyn NodeStore, key: &str) -> Result<u64, TreeError> {
        let mut node = self.root.clone();
        let mut at = 0;
        loop {
            let (entry, height) = match &*node {
                Node::Leaf(items) => return Ok(at + items.iter().take_while(|i| i.key.as_str() < key).count() as u64),
                Node::Inner { height, entries } => {
                    let mut found = None;
                    for entry in entries {
                        if entry.summary.as_str() >= key {
                            found = Some(entry);
                            break;
                        }
                        at += entry.rows;
                    }
                    let Some(entry) = found else { return Ok(at) };
                    (entry, *height)
                }
            };
            let next = child(store, entry, height)?;
            node = next;
        }
    }

    /// All pairs whose key starts with `prefix`, in order.
    pub fn with_prefix(&self, store: &dyn NodeStore, prefix: &str) -> Result<Vec<KeyValue>, TreeError> {
        let from = self.position(store, prefix)?;
        let mut found = Vec::new();
        for item in self.items(store, from, self.rows())? {
            let (_, item) = item?;
            if !item.key.starts_with(prefix) {
                break;
            }
            found.push(item);
        }
        Ok(found)
    }

    /// The map with these keys set (`Some`) or removed (`None`).
    pub fn update(&self, store: &dyn NodeStore, changes: &BTreeMap<String, Option<Vec<u8>>>) -> Result<Self, TreeError> {
        let mut edits = Vec::new();
        for (key, value) in changes {
            let at = self.position(store, key)?;
            let exists = at < self.rows() && self.items(store, at, at + 1)?.next().transpose()?.is_some_and(|(_, item)| item.key == *key);
            let new = value.iter().map(|value| KeyValue { key: key.clone(), value: value.clone() }).collect();
            edits.push((at..at + u64::from(exists), new));
        }
        self.edit(store, edits)
    }

    /// What differs between this map and a newer one, by key.
    pub fn diff(&self, store: &dyn NodeStore, newer: &Self) -> Result<Vec<StateChange>, TreeError> {
        if self.content == newer.content {
            return Ok(Vec::new());
        }
        let mut changes: BTreeMap<String, StateChange> = BTreeMap::new();
        for item in self.items(store, 0, self.rows())? {
            let (_, item) = item?;
            changes.insert(item.key.clone(), StateChange { key: item.key, before: Some(item.value), after: None });
        }
        for item in newer.items(store, 0, newer.rows())? {
            let (_, item) = item?;
            changes.entry(item.key.clone()).or_insert(StateChange { key: item.key, before: None, after: None }).after = Some(item.value);
        }
        Ok(changes.into_values().filter(|c| c.before != c.after).collect())
    }
}
