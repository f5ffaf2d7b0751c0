//! Snapshots: all the tables of one version, by name (docs/format.md §8).

use std::collections::BTreeMap;

use super::FormatError;
use super::cbor::{Reader, Writer};
use crate::base::TableObjectId;

/// All the data of one version: the tables and views by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The state of each table.
    pub tables: BTreeMap<String, TableObjectId>,
    /// The SQL text of each view.
    pub views: BTreeMap<String, String>,
}

impl Snapshot {
    /// The content of the snapshot's object. Equal snapshots have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(2).array(self.tables.len() as u64);
        for (name, id) in &self.tables {
            w.array(2).str(name).bytes(id.as_bytes());
        }
        w.array(self.views.len() as u64);
        for (name, sql) in &self.views {
            w.array(2).str(name).str(sql);
        }
        w.finish()
    }

    /// Reads the content of a snapshot's object; fails where it is malformed or its names are not in ascending order.
    pub fn decode(bytes: &[u8]) -> Result<Snapshot, FormatError> {
        let mut r = Reader::new("snapshot", bytes);
        let snapshot = r.record(2, |r| {
            let tables = r.list(|r| r.record(2, |r| Ok((r.str()?.to_owned(), TableObjectId(r.fixed()?)))))?;
            let views = r.list(|r| r.record(2, |r| Ok((r.str()?.to_owned(), r.str()?.to_owned()))))?;
            Ok(Snapshot { tables: ascending(r, tables)?, views: ascending(r, views)? })
        })?;
        r.end()?;
        Ok(snapshot)
    }
}

/// A map of `pairs`, whose names must stand in strictly ascending order of their bytes.
pub(super) fn ascending<T>(r: &Reader<'_>, pairs: Vec<(String, T)>) -> Result<BTreeMap<String, T>, FormatError> {
    match pairs.windows(2).find(|pair| matches!(pair, [a, b] if a.0 >= b.0)) {
        Some([_, (name, _)]) => Err(r.fail(format!("the name '{name}' is repeated or out of order"))),
        _ => Ok(pairs.into_iter().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        let snapshot = Snapshot {
            tables: BTreeMap::from([("frames".into(), TableObjectId([1; 32])), ("labels".into(), TableObjectId([2; 32]))]),
            views: BTreeMap::from([("dogs".into(), "SELECT * FROM frames WHERE label = 'dog'".into())]),
        };
        assert_eq!(blake3::hash(&snapshot.encode()).to_hex().as_str(), "ca51f00cf4e43f4b6ec48503ac93fcae7bca1b3b6bebb519acb327a001b5ceb8");
        assert_eq!(Snapshot::default().encode(), [0x82, 0x80, 0x80]);
    }

    #[test]
    fn names_out_of_order_are_refused() {
        let entry = |w: &mut Writer, name: &str| {
            w.array(2).str(name).bytes(&[0; 32]);
        };
        for names in [["b", "a"], ["a", "a"]] {
            let mut w = Writer::default();
            w.array(2).array(2);
            entry(&mut w, names[0]);
            entry(&mut w, names[1]);
            w.array(0);
            assert!(Snapshot::decode(&w.finish()).is_err(), "{names:?}");
        }
    }

    proptest! {
        #[test]
        fn round_trips_and_survives_damage(
            tables in prop::collection::btree_map(".{0,8}", any::<[u8; 32]>(), 0..5),
            views in prop::collection::btree_map(".{0,8}", ".{0,30}", 0..5),
            at in any::<prop::sample::Index>(), bit in 0..8u8,
        ) {
            let snapshot = Snapshot { tables: tables.into_iter().map(|(n, id)| (n, TableObjectId(id))).collect(), views };
            let mut bytes = snapshot.encode();
            prop_assert_eq!(Snapshot::decode(&bytes), Ok(snapshot));
            prop_assert!(Snapshot::decode(&bytes[..bytes.len() - 1]).is_err());
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let _ = Snapshot::decode(&bytes);
        }

        #[test]
        fn elements_of_a_later_version_are_passed_over(id in any::<[u8; 32]>()) {
            let mut w = Writer::default();
            w.array(3).array(1).array(3).str("t").bytes(&id).null().array(0).str("more");
            let snapshot = Snapshot { tables: BTreeMap::from([("t".into(), TableObjectId(id))]), views: BTreeMap::new() };
            prop_assert_eq!(Snapshot::decode(&w.finish()), Ok(snapshot));
        }
    }
}
