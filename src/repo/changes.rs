//! What differs between two snapshots, by the ids of their tables.

use std::collections::BTreeMap;

use crate::base::TableObjectId;
use crate::format::check::Check;
use crate::format::snapshot::Snapshot;

/// How one name differs between two snapshots. Ids that differ need not mean that the cells do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T> {
    /// The name is new.
    Added(T),
    /// The name is gone.
    Removed(T),
    /// The name stands for something else.
    Changed(T, T),
    /// What went by this name before goes by the change's name now, unchanged.
    Renamed(String, T),
}

/// One name that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameChange<T> {
    /// The name, in the newer snapshot where it is in both.
    pub name: String,
    /// How it differs.
    pub change: Change<T>,
}

/// The tables that differ, by name.
pub fn tables(before: &Snapshot, after: &Snapshot) -> Vec<NameChange<TableObjectId>> {
    names(&before.tables, &after.tables)
}

/// The views that differ, by name.
pub fn views(before: &Snapshot, after: &Snapshot) -> Vec<NameChange<String>> {
    names(&before.views, &after.views)
}

/// The checks that differ, by name.
pub fn checks(before: &Snapshot, after: &Snapshot) -> Vec<NameChange<Check>> {
    names(&before.checks, &after.checks)
}

fn names<T: Clone + PartialEq>(before: &BTreeMap<String, T>, after: &BTreeMap<String, T>) -> Vec<NameChange<T>> {
    let mut gone: Vec<(&String, &T)> = before.iter().filter(|(name, _)| !after.contains_key(*name)).collect();
    let mut changes = Vec::new();
    for (name, new) in after {
        let change = match before.get(name) {
            Some(old) if old == new => continue,
            Some(old) => Change::Changed(old.clone(), new.clone()),
            None => match gone.iter().position(|(_, old)| *old == new) {
                Some(i) => Change::Renamed(gone.remove(i).0.clone(), new.clone()),
                None => Change::Added(new.clone()),
            },
        };
        changes.push(NameChange { name: name.clone(), change });
    }
    changes.extend(gone.into_iter().map(|(name, old)| NameChange { name: name.clone(), change: Change::Removed(old.clone()) }));
    changes.sort_by(|a, b| a.name.cmp(&b.name));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn changes_lead_from_one_to_the_other(before in prop::collection::btree_map("[a-d]", 0..4u8, 0..4), after in prop::collection::btree_map("[a-d]", 0..4u8, 0..4)) {
            let mut names_now = before.clone();
            let found = names(&before, &after);
            prop_assert!(found.is_sorted_by(|a, b| a.name < b.name));
            for NameChange { name, change } in &found {
                match change {
                    Change::Removed(old) => prop_assert_eq!(names_now.remove(name), Some(*old)),
                    Change::Renamed(from, value) => prop_assert_eq!(names_now.remove(from), Some(*value)),
                    Change::Changed(old, new) => prop_assert!(names_now.get(name) == Some(old) && old != new),
                    Change::Added(_) => prop_assert!(!before.contains_key(name)),
                }
            }
            for NameChange { name, change } in found {
                if let Change::Added(new) | Change::Changed(_, new) | Change::Renamed(_, new) = change {
                    names_now.insert(name, new);
                }
            }
            prop_assert_eq!(names_now, after);
        }
    }
}
