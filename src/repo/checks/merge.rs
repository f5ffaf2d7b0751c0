//! The checks of two snapshots and of the one that both come from, as one.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::check::Check;
use crate::repo::NameConflict;
use crate::table::merge::Side;

/// Checks by name.
type Checks = BTreeMap<String, Check>;

/// Merges checks by name. Where both sides changed one to different things, the strategy's side wins; without one ours stays, and a conflict says so.
pub fn merge_checks(base: &Checks, ours: &Checks, theirs: &Checks, strategy: Option<Side>) -> (Checks, Vec<NameConflict>) {
    let (mut merged, mut conflicts) = (Checks::new(), Vec::new());
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for name in names {
        let (was, mine, other) = (base.get(name), ours.get(name), theirs.get(name));
        let kept = if mine == other || was == other {
            mine
        } else if was == mine {
            other
        } else {
            if strategy.is_none() {
                conflicts.push(NameConflict { name: name.clone(), why: format!("check '{name}' was changed here and there") });
            }
            if strategy == Some(Side::Theirs) { other } else { mine }
        };
        if let Some(check) = kept {
            merged.insert(name.clone(), check.clone());
        }
    }
    (merged, conflicts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::check::Rule;

    fn checks(sql: &[Option<u8>]) -> Checks {
        let one = |(n, sql): (usize, &Option<u8>)| sql.map(|sql| (n.to_string(), Rule::Query { sql: sql.to_string() }.into()));
        sql.iter().enumerate().filter_map(one).collect()
    }

    #[test]
    fn each_name_for_itself() {
        let values = [None, Some(1), Some(2), Some(3)];
        for base in values {
            for ours in values {
                for theirs in values {
                    let of = |strategy| {
                        let (merged, conflicts) = merge_checks(&checks(&[base]), &checks(&[ours]), &checks(&[theirs]), strategy);
                        (merged == checks(&[ours]), merged == checks(&[theirs]), conflicts.len())
                    };
                    let apart = ours != theirs && ours != base && theirs != base;
                    assert_eq!(of(None).2, usize::from(apart), "{base:?} {ours:?} {theirs:?}");
                    assert!(if ours == base { of(None).1 } else { of(None).0 }, "{base:?} {ours:?} {theirs:?}");
                    if apart {
                        assert_eq!(of(Some(Side::Ours)), (true, false, 0));
                        assert_eq!(of(Some(Side::Theirs)), (false, true, 0));
                    }
                }
            }
        }
    }
}
