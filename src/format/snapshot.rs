//! Snapshots: all the tables of one version, by name (docs/format.md §8).

use std::collections::BTreeMap;

use super::FormatError;
use super::cbor::{Reader, Writer};
use super::check::Check;
use crate::base::TableObjectId;

/// All the data of one version: the tables, views and checks by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The state of each table.
    pub tables: BTreeMap<String, TableObjectId>,
    /// The SQL text of each view.
    pub views: BTreeMap<String, String>,
    /// What is asked of the data.
    pub checks: BTreeMap<String, Check>,
}

impl Snapshot {
    /// The content of the snapshot's object. Equal snapshots have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(if self.checks.is_empty() { 2 } else { 3 }).array(self.tables.len() as u64);
        for (name, id) in &self.tables {
            w.array(2).str(name).bytes(id.as_bytes());
        }
        w.array(self.views.len() as u64);
        for (name, sql) in &self.views {
            w.array(2).str(name).str(sql);
        }
        if !self.checks.is_empty() {
            w.array(self.checks.len() as u64);
            self.checks.iter().for_each(|(name, check)| check.encode(name, &mut w));
        }
        w.finish()
    }

    /// Reads the content of a snapshot's object; fails where it is malformed or its names are not in ascending order.
    pub fn decode(bytes: &[u8]) -> Result<Snapshot, FormatError> {
        let mut r = Reader::new("snapshot", bytes);
        // Absent where there are no checks, so that such a snapshot has the id that it always had.
        let elements = r.array(2)?;
        let tables = r.list(|r| r.record(2, |r| Ok((r.str()?.to_owned(), TableObjectId(r.fixed()?)))))?;
        let views = r.list(|r| r.record(2, |r| Ok((r.str()?.to_owned(), r.str()?.to_owned()))))?;
        let checks = if elements > 2 { r.list(Check::decode)? } else { Vec::new() };
        for _ in 3..elements {
            r.skip()?;
        }
        let snapshot = Snapshot { tables: ascending(&r, tables)?, views: ascending(&r, views)?, checks: ascending(&r, checks)? };
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
    use crate::base::{ColumnId, TableId};
    use crate::format::check::{Likeness, Rule, Severity};
    use crate::format::sketch::{Form, Point, Real, Sketch};
    use proptest::prelude::*;

    fn check() -> impl Strategy<Value = Check> {
        let id = || any::<[u8; 16]>();
        let columns = || prop::collection::vec(id().prop_map(ColumnId), 1..4);
        let bound = || prop::option::of("[0-9]{0,3}");
        let share = || (0..=1000u32).prop_map(|n| Real(f64::from(n) / 1000.0));
        let rule = prop_oneof![
            (id(), ".{0,20}").prop_map(|(table, sql)| Rule::Predicate { table: TableId(table), sql }),
            ".{0,20}".prop_map(|sql| Rule::Query { sql }),
            (id(), columns()).prop_map(|(table, columns)| Rule::NotNull { table: TableId(table), columns }),
            (id(), columns()).prop_map(|(table, columns)| Rule::Unique { table: TableId(table), columns }),
            (id(), id(), bound(), bound()).prop_filter_map("no bounds", |(table, column, min, max)| {
                (min.is_some() || max.is_some()).then_some(Rule::Range { table: TableId(table), column: ColumnId(column), min, max })
            }),
            (id(), id(), ".{0,9}").prop_map(|(table, column, pattern)| Rule::Matches { table: TableId(table), column: ColumnId(column), pattern }),
            (id(), id(), columns()).prop_map(|(table, other, columns)| {
                let others = columns.iter().rev().copied().collect();
                Rule::References { table: TableId(table), columns, other: TableId(other), others }
            }),
            (id(), id()).prop_map(|(table, column)| Rule::Decodes { table: TableId(table), column: ColumnId(column) }),
            (id(), id(), 0..=16u8).prop_map(|(table, column, bits)| {
                let bound = Real(f64::from(bits));
                Rule::NoNearDuplicates { table: TableId(table), column: ColumnId(column), likeness: Likeness::Dhash, bound }
            }),
            (id(), id(), share(), sketch())
                .prop_map(|(table, column, within, sketch)| { Rule::Distribution { table: TableId(table), column: ColumnId(column), within, sketch } }),
        ];
        (rule, any::<bool>()).prop_map(|(rule, warn)| Check { rule, severity: if warn { Severity::Warn } else { Severity::Error } })
    }

    fn sketch() -> impl Strategy<Value = Sketch> {
        let points = prop::collection::btree_map(-50..50i32, (0..3u64, 1..3u64), 0..6).prop_map(|counts| {
            let mut at = 0;
            let point = |(value, (between, here)): (i32, (u64, u64))| {
                let below = at + between;
                at = below + here;
                Point { value: Real(f64::from(value)), below, up_to: at }
            };
            let points: Vec<Point> = counts.into_iter().map(point).collect();
            (at, Form::Points(points))
        });
        let shares =
            prop::collection::btree_map(".{0,4}", 0..9u64, 0..4).prop_map(|shares| (shares.values().sum::<u64>(), Form::Shares(shares.into_iter().collect())));
        (prop_oneof![points, shares], 1..5u64, 0..5u64).prop_map(|((counted, form), more, nulls)| Sketch {
            like: "main~1".into(),
            ty: "int64".into(),
            rows: counted + more + nulls,
            nulls,
            form,
        })
    }

    #[test]
    fn golden_bytes() {
        let snapshot = Snapshot {
            tables: BTreeMap::from([("frames".into(), TableObjectId([1; 32])), ("labels".into(), TableObjectId([2; 32]))]),
            views: BTreeMap::from([("dogs".into(), "SELECT * FROM frames WHERE label = 'dog'".into())]),
            checks: BTreeMap::new(),
        };
        assert_eq!(blake3::hash(&snapshot.encode()).to_hex().as_str(), "ca51f00cf4e43f4b6ec48503ac93fcae7bca1b3b6bebb519acb327a001b5ceb8");
        assert_eq!(Snapshot::default().encode(), [0x82, 0x80, 0x80]);
        let (table, columns) = (TableId([7; 16]), vec![ColumnId([8; 16]), ColumnId([9; 16])]);
        let checks = BTreeMap::from([
            ("a".to_owned(), Check::from(Rule::NotNull { table, columns: columns.clone() })),
            ("b".to_owned(), Rule::Predicate { table, sql: "score >= 0".into() }.into()),
            ("c".to_owned(), Rule::Query { sql: "SELECT 1 WHERE false".into() }.into()),
            ("d".to_owned(), Rule::Unique { table, columns }.into()),
        ]);
        let bytes = Snapshot { checks, ..snapshot }.encode();
        assert_eq!((bytes[0], bytes.len()), (0x83, 338));
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), "499543eed36712c3c18adde3f9ea8da07221fe267d84243925e7f958ef55577c");
    }

    #[test]
    fn golden_bytes_of_checks_with_details() {
        let (table, column) = (TableId([7; 16]), ColumnId([8; 16]));
        let points = vec![Point { value: Real(1.5), below: 0, up_to: 2 }, Point { value: Real(4.0), below: 2, up_to: 3 }];
        let sketch = |form| Sketch { like: "v1.0".into(), ty: "float64".into(), rows: 5, nulls: 1, form };
        let rules = [
            Rule::Range { table, column, min: Some("0".into()), max: None },
            Rule::Matches { table, column, pattern: "^[a-z]+$".into() },
            Rule::References { table, columns: vec![column], other: TableId([9; 16]), others: vec![ColumnId([1; 16])] },
            Rule::Decodes { table, column },
            Rule::NoNearDuplicates { table, column, likeness: Likeness::Dhash, bound: Real(4.0) },
            Rule::NoNearDuplicates { table, column, likeness: Likeness::Cosine, bound: Real(0.98) },
            Rule::NoNearDuplicates { table, column, likeness: Likeness::Jaccard, bound: Real(0.8) },
            Rule::Distribution { table, column, within: Real(0.1), sketch: sketch(Form::Points(points)) },
            Rule::Distribution { table, column, within: Real(0.1), sketch: sketch(Form::Shares(vec![("cat".into(), 3), ("dog".into(), 1)])) },
        ];
        let both = rules.into_iter().flat_map(|rule| [Severity::Error, Severity::Warn].map(|severity| Check { rule: rule.clone(), severity }));
        let checks: BTreeMap<String, Check> = both.enumerate().map(|(n, check)| (format!("{n:02}"), check)).collect();
        let bytes = Snapshot { checks: checks.clone(), ..Snapshot::default() }.encode();
        assert_eq!(Snapshot::decode(&bytes).unwrap().checks, checks);
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), "37cfa9d6089870b13d2db98df47c0760b9bbe1784702a89cfa27a1a18bb2cce1");
    }

    #[test]
    fn what_a_later_version_asks_is_refused_by_name() {
        let record = |kind: &str, severity: &str, likeness: &str, form: &str| {
            let mut w = Writer::default();
            w.array(3).array(0).array(0).array(1).array(7).str("c").str(kind).bytes(&[1; 16]).array(1).bytes(&[2; 16]).null().str(severity).array(2);
            if kind == "distribution" {
                w.f64(0.5).array(6).str("x").str("text").u64(1).u64(0).str(form).array(0);
            } else {
                w.str(likeness).f64(0.9);
            }
            Snapshot::decode(&w.finish()).map(drop).map_err(|e| e.to_string())
        };
        assert_eq!(record("no-near-duplicates", "warn", "cosine", ""), Ok(()));
        assert_eq!(record("distribution", "warn", "", "shares"), Ok(()));
        for (kind, severity, likeness, form, named) in [
            ("no-near-duplicates", "fatal", "cosine", "", "'fatal'"),
            ("no-near-duplicates", "warn", "hausdorff", "", "'hausdorff'"),
            ("distribution", "warn", "", "kernels", "'kernels'"),
            ("balanced", "warn", "cosine", "", "'balanced'"),
        ] {
            let why = record(kind, severity, likeness, form).unwrap_err();
            assert!(why.contains(named) && why.lines().count() == 1, "{why}");
        }
    }

    #[test]
    fn checks_that_are_none_are_refused() {
        let check = |kind: &str, table: bool, columns: usize, sql: bool| {
            let mut w = Writer::default();
            w.array(3).array(0).array(0).array(1).array(5).str("c").str(kind);
            if table {
                w.bytes(&[1; 16])
            } else {
                w.null()
            };
            w.array(columns as u64);
            for n in 0..columns {
                w.bytes(&[n as u8; 16]);
            }
            if sql {
                w.str("x")
            } else {
                w.null()
            };
            Snapshot::decode(&w.finish())
        };
        for (kind, table, columns, sql) in [
            ("predicate", true, 0, true),
            ("query", false, 0, true),
            ("not-null", true, 2, false),
            ("unique", true, 1, false),
            ("matches", true, 1, true),
            ("decodes", true, 1, false),
        ] {
            assert!(check(kind, table, columns, sql).is_ok(), "{kind}");
            for (table, columns, sql) in [(!table, columns, sql), (table, 3 * usize::from(columns == 0), sql), (table, columns, !sql)] {
                assert!(check(kind, table, columns, sql).unwrap_err().to_string().contains("'c'"), "{kind}");
            }
        }
        for kind in ["range", "references", "no-near-duplicates", "distribution", "balanced"] {
            assert!(check(kind, true, 1, false).unwrap_err().to_string().contains(kind), "{kind}");
        }
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
            checks in prop::collection::btree_map(".{0,8}", check(), 0..5),
            at in any::<prop::sample::Index>(), bit in 0..8u8,
        ) {
            let snapshot = Snapshot { tables: tables.into_iter().map(|(n, id)| (n, TableObjectId(id))).collect(), views, checks };
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
            w.array(4).array(1).array(3).str("t").bytes(&id).null().array(0).array(1).array(8).str("c").str("query").null().array(0).str("x").null().null().u64(7).str("more");
            let checks = BTreeMap::from([("c".into(), Rule::Query { sql: "x".into() }.into())]);
            let snapshot = Snapshot { tables: BTreeMap::from([("t".into(), TableObjectId(id))]), checks, ..Default::default() };
            prop_assert_eq!(Snapshot::decode(&w.finish()), Ok(snapshot));
        }
    }
}
