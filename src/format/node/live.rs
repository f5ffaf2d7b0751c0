//! Leaves of `live`: which rows are present.

use super::super::FormatError;
use super::super::cbor::{Reader, Writer, put_varint, take_varint, varint_len};
use super::{Entry, Kind, Measure, NodeLimits};

/// The rope of booleans that says which rows are present.
#[derive(Debug, Clone, Copy)]
pub struct Live;

/// Rows that are all present, or all deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Present?
    pub live: bool,
    /// How many rows.
    pub rows: u64,
}

impl Kind for Live {
    const NUMBER: u64 = 2;
    const LEAF_FIELDS: usize = 6;
    const LIMITS: NodeLimits = NodeLimits { min: 1024, mean: 3072, cap: 8192 };
    type Item = Run;
    /// The number of live rows.
    type Summary = u64;
    type Listed = ();

    fn rows(item: &Run) -> u64 {
        item.rows
    }

    fn join(a: &Run, b: &Run) -> Option<Run> {
        (a.live == b.live).then(|| Run { live: a.live, rows: a.rows + b.rows })
    }

    fn cut(item: &Run, from: u64, to: u64) -> Run {
        Run { live: item.live, rows: to - from }
    }

    fn measure(item: &Run, _: u64, _: &mut ()) -> Measure {
        Measure::of(varint_len(item.rows), &[&[u8::from(item.live)], &item.rows.to_le_bytes()])
    }

    fn encode_leaf(items: &[Run]) -> Vec<u8> {
        let rows: u64 = items.iter().map(|i| i.rows).sum();
        let mut runs = Vec::new();
        if items.first().is_some_and(|i| !i.live) {
            runs.push(0);
        }
        for item in items {
            put_varint(&mut runs, item.rows);
        }
        let bits = rows.div_ceil(8);
        let mut out = Writer::default();
        out.array(6).u64(Self::NUMBER).u64(0).u64(rows).u64(Self::summarize(items));
        // Bits only where they are smaller, which also bounds their memory by that of the runs.
        if bits < runs.len() as u64 {
            let mut bitmap = vec![0u8; bits as usize];
            let mut at = 0usize;
            for item in items {
                for row in at..at + item.rows as usize {
                    bitmap[row / 8] |= u8::from(item.live) << (row % 8);
                }
                at += item.rows as usize;
            }
            out.u64(1).bytes(&bitmap);
        } else {
            out.u64(0).bytes(&runs);
        }
        out.finish()
    }

    fn decode_leaf(rows: u64, leaf: &mut Reader<'_>) -> Result<Vec<Run>, FormatError> {
        let claimed = leaf.u64()?;
        let encoding = leaf.u64()?;
        let mut bytes = leaf.bytes()?;
        let mut items: Vec<Run> = Vec::new();
        match encoding {
            0 => {
                let mut live = true;
                while !bytes.is_empty() {
                    let rows = take_varint(&mut bytes).ok_or_else(|| leaf.fail("runs end early"))?;
                    if rows > 0 {
                        items.push(Run { live, rows });
                    } else if !items.is_empty() || !live {
                        return Err(leaf.fail("an empty run"));
                    }
                    live = !live;
                }
            }
            1 => {
                if rows.div_ceil(8) != bytes.len() as u64 {
                    return Err(leaf.fail("a bitmap of another length"));
                }
                for row in 0..rows as usize {
                    let live = bytes[row / 8] >> (row % 8) & 1 == 1;
                    match items.last_mut() {
                        Some(run) if run.live == live => run.rows += 1,
                        _ => items.push(Run { live, rows: 1 }),
                    }
                }
            }
            other => return Err(leaf.fail(format!("encoding {other} is not known"))),
        }
        let mut live = 0u64;
        for item in items.iter().filter(|i| i.live) {
            live = live.checked_add(item.rows).ok_or_else(|| leaf.fail("past 2^64"))?;
        }
        if live != claimed {
            return Err(leaf.fail("another number of true rows than claimed"));
        }
        Ok(items)
    }

    fn summarize(items: &[Run]) -> u64 {
        items.iter().filter(|i| i.live).map(|i| i.rows).sum()
    }

    fn merge(entries: &[Entry<u64>]) -> u64 {
        entries.iter().map(|e| e.summary).fold(0, u64::saturating_add)
    }

    fn encode_summary(summary: &u64, out: &mut Writer) {
        out.u64(*summary);
    }

    fn decode_summary(reader: &mut Reader<'_>) -> Result<u64, FormatError> {
        reader.u64()
    }
}
