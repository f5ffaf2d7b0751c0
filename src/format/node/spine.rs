//! Leaves of a spine: runs of row ids.

use crate::base::Origin;

use super::super::FormatError;
use super::super::cbor::{Reader, Writer, put_varint, take_varint};
use super::{Entry, Kind, Measure, NodeLimits};

/// The rope of row ids.
#[derive(Debug, Clone, Copy)]
pub struct Spine;

/// Rows of one write that stand together, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRun {
    /// The write.
    pub origin: Origin,
    /// The number of the first row in that write.
    pub first: u64,
    /// How many.
    pub rows: u64,
}

impl Kind for Spine {
    const NUMBER: u64 = 1;
    const LEAF_FIELDS: usize = 5;
    const LIMITS: NodeLimits = NodeLimits { min: 1024, mean: 3072, cap: 8192 };
    type Item = RowRun;
    type Summary = ();
    type Listed = Vec<Origin>;

    fn rows(item: &RowRun) -> u64 {
        item.rows
    }

    fn join(a: &RowRun, b: &RowRun) -> Option<RowRun> {
        (a.origin == b.origin && a.first.checked_add(a.rows) == Some(b.first)).then(|| RowRun { rows: a.rows + b.rows, ..*a })
    }

    fn cut(item: &RowRun, from: u64, to: u64) -> RowRun {
        RowRun { origin: item.origin, first: item.first + from, rows: to - from }
    }

    fn measure(item: &RowRun, _: u64, listed: &mut Vec<Origin>) -> Measure {
        let known = listed.contains(&item.origin);
        if !known {
            listed.push(item.origin);
        }
        let size = if known { 6 } else { 22 };
        Measure::of(size, &[item.origin.as_bytes(), &item.first.to_le_bytes(), &item.rows.to_le_bytes()])
    }

    fn encode_leaf(items: &[RowRun]) -> Vec<u8> {
        let mut origins: Vec<Origin> = Vec::new();
        let mut runs = Vec::new();
        for item in items {
            let index = origins.iter().position(|o| *o == item.origin).unwrap_or_else(|| {
                origins.push(item.origin);
                origins.len() - 1
            });
            put_varint(&mut runs, index as u64);
            put_varint(&mut runs, item.first);
            put_varint(&mut runs, item.rows);
        }
        let mut out = Writer::default();
        out.array(5).u64(Self::NUMBER).u64(0).u64(items.iter().map(|i| i.rows).sum()).array(origins.len() as u64);
        for origin in &origins {
            out.bytes(origin.as_bytes());
        }
        out.bytes(&runs);
        out.finish()
    }

    fn decode_leaf(_: u64, leaf: &mut Reader<'_>) -> Result<Vec<RowRun>, FormatError> {
        let origins = leaf.list(|r| Ok(Origin(r.fixed()?)))?;
        let mut bytes = leaf.bytes()?;
        let mut items = Vec::new();
        while !bytes.is_empty() {
            let mut next = || take_varint(&mut bytes);
            let (Some(index), Some(first), Some(rows)) = (next(), next(), next()) else { return Err(leaf.fail("runs end early")) };
            let origin = usize::try_from(index).ok().and_then(|i| origins.get(i)).ok_or_else(|| leaf.fail("a run of an origin that is not listed"))?;
            if rows == 0 || first.checked_add(rows).is_none() {
                return Err(leaf.fail("a run without rows, or past 2^64"));
            }
            items.push(RowRun { origin: *origin, first, rows });
        }
        Ok(items)
    }

    fn summarize(_: &[RowRun]) {}

    fn merge(_: &[Entry<()>]) {}

    fn encode_summary(_: &(), out: &mut Writer) {
        out.null();
    }

    fn decode_summary(reader: &mut Reader<'_>) -> Result<(), FormatError> {
        reader.skip()
    }
}
