//! Leaves of values: slices of chunks, literal cells, constants and large values.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, make_comparator};
use arrow::buffer::Buffer;
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;

use crate::base::ChunkId;
use crate::format::FormatError;
use crate::format::array::{self, LITERAL_ALIGN};
use crate::format::cbor::{Reader, Writer, put_varint, take_varint};
use crate::format::stats::Stats;
use crate::format::types::{parse_storage, storage_text};

use super::{Entry, Kind, Measure, NodeLimits};

/// The rope of a column.
#[derive(Debug, Clone, Copy)]
pub struct Values;

/// What a leaf says of a chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkRef {
    /// The chunk.
    pub id: ChunkId,
    /// Its rows.
    pub rows: u64,
    /// Its storage type.
    pub data_type: DataType,
    /// The statistics of all its rows.
    pub stats: Option<Stats>,
}

/// A large value: its own rope of bytes, by reference.
#[derive(Debug, Clone, PartialEq)]
pub struct LargeRef {
    /// The reference to the rope, as [`Reader`] and [`Writer`] have it: one CBOR item.
    pub reference: Arc<[u8]>,
    /// Bytes in the value.
    pub length: u64,
    /// `text` or `binary`.
    pub data_type: DataType,
}

/// A run of rows of a column.
#[derive(Debug, Clone)]
pub enum Slice {
    /// A window onto a chunk.
    Chunk {
        /// The chunk.
        chunk: Arc<ChunkRef>,
        /// The first of its rows.
        first: u64,
        /// How many.
        rows: u64,
    },
    /// Cells in place.
    Literal(ArrayRef),
    /// One cell, repeated.
    Constant {
        /// The cell: an array of one row.
        value: ArrayRef,
        /// How often.
        rows: u64,
    },
    /// One row with a large value.
    Large(Arc<LargeRef>),
}

impl Slice {
    /// The storage type of the rows.
    pub fn data_type(&self) -> &DataType {
        match self {
            Slice::Chunk { chunk, .. } => &chunk.data_type,
            Slice::Literal(cells) => cells.data_type(),
            Slice::Constant { value, .. } => value.data_type(),
            Slice::Large(large) => &large.data_type,
        }
    }

    /// Bounds of the rows' values; `None` where nothing is known.
    fn stats(&self) -> Option<Stats> {
        match self {
            Slice::Chunk { chunk, .. } => chunk.stats.clone(),
            Slice::Literal(cells) => Some(Stats::of(cells)),
            Slice::Constant { value, rows } => {
                let mut stats = Stats::of(value);
                stats.nulls *= rows;
                Some(stats)
            }
            Slice::Large(_) => None,
        }
    }
}

/// Whether two runs of cells have one type and equal cells, floats by their bits.
pub fn same_cells(a: &ArrayRef, b: &ArrayRef) -> bool {
    if a.data_type() != b.data_type() || a.len() != b.len() {
        return false;
    }
    match make_comparator(a, b, SortOptions::default()) {
        // The total order of floats that it uses tells -0.0 from 0.0 and NaNs by their bits.
        Ok(compare) => (0..a.len()).all(|i| compare(i, i).is_eq()),
        Err(_) => array::encode(a, LITERAL_ALIGN) == array::encode(b, LITERAL_ALIGN),
    }
}

/// The most specific thing two summaries have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct ValuesSummary {
    /// The storage types below, in order of appearance.
    pub types: Vec<DataType>,
    /// Bounds of the values below; `None` where nothing is known or types differ.
    pub stats: Option<Stats>,
}

impl ValuesSummary {
    fn of<'a>(parts: impl Iterator<Item = (&'a [DataType], Option<Stats>)>) -> Self {
        let mut types: Vec<DataType> = Vec::new();
        let mut stats: Option<Option<Stats>> = None;
        for (more, next) in parts {
            for data_type in more {
                if !types.contains(data_type) {
                    types.push(data_type.clone());
                }
            }
            stats = Some(match stats {
                None => next,
                Some(known) => known.zip(next).map(|(a, b)| a.merge(&b)),
            });
        }
        let stats = if types.len() == 1 { stats.flatten() } else { None };
        ValuesSummary { types, stats }
    }
}

fn cell_bytes(cell: &ArrayRef) -> (String, Vec<u8>) {
    // Literals were checked to be of a storage type when they were made; one that is not has no bytes, and is then refused on writing.
    let bytes = array::encode(cell, LITERAL_ALIGN).map(|(bytes, _)| bytes).unwrap_or_default();
    (storage_text(cell.data_type()), bytes)
}

impl Kind for Values {
    const NUMBER: u64 = 0;
    const LEAF_FIELDS: usize = 8;
    const LIMITS: NodeLimits = NodeLimits { min: 1024, mean: 3072, cap: 8192 };
    type Item = Slice;
    type Summary = ValuesSummary;
    type Listed = HashSet<ChunkId>;

    fn rows(item: &Slice) -> u64 {
        match item {
            Slice::Chunk { rows, .. } | Slice::Constant { rows, .. } => *rows,
            Slice::Literal(cells) => cells.len() as u64,
            Slice::Large(_) => 1,
        }
    }

    fn join(a: &Slice, b: &Slice) -> Option<Slice> {
        match (a, b) {
            (Slice::Chunk { chunk, first, rows }, Slice::Chunk { chunk: other, first: next, rows: more }) if chunk.id == other.id && first + rows == *next => {
                Some(Slice::Chunk { chunk: chunk.clone(), first: *first, rows: rows + more })
            }
            (Slice::Literal(x), Slice::Literal(y)) if x.data_type() == y.data_type() => arrow::compute::concat(&[x, y]).ok().map(Slice::Literal),
            (Slice::Constant { value, rows }, Slice::Constant { value: other, rows: more }) if same_cells(value, other) => {
                Some(Slice::Constant { value: value.clone(), rows: rows + more })
            }
            _ => None,
        }
    }

    fn cut(item: &Slice, from: u64, to: u64) -> Slice {
        match item {
            Slice::Chunk { chunk, first, .. } => Slice::Chunk { chunk: chunk.clone(), first: first + from, rows: to - from },
            Slice::Literal(cells) => Slice::Literal(cells.slice(from as usize, (to - from) as usize)),
            Slice::Constant { value, .. } => Slice::Constant { value: value.clone(), rows: to - from },
            Slice::Large(large) => Slice::Large(large.clone()),
        }
    }

    fn steps(item: &Slice) -> u64 {
        match item {
            Slice::Literal(cells) => cells.len() as u64,
            _ => 1,
        }
    }

    fn measure(item: &Slice, step: u64, listed: &mut HashSet<ChunkId>) -> Measure {
        match item {
            Slice::Chunk { chunk, first, rows } => {
                let size = if listed.insert(chunk.id) { 88 } else { 8 };
                Measure::of(size, &[chunk.id.as_bytes(), &first.to_le_bytes(), &rows.to_le_bytes()])
            }
            Slice::Literal(cells) => {
                let (text, bytes) = cell_bytes(&cells.slice(step as usize, 1));
                Measure::of(2 + bytes.len(), &[text.as_bytes(), &bytes])
            }
            Slice::Constant { value, rows } => {
                let (text, bytes) = cell_bytes(value);
                Measure::of(4 + bytes.len(), &[text.as_bytes(), &bytes, &rows.to_le_bytes()])
            }
            Slice::Large(large) => Measure::of(48, &[&large.reference, &large.length.to_le_bytes()]),
        }
    }

    fn encode_leaf(items: &[Slice]) -> Vec<u8> {
        let mut types: Vec<DataType> = Vec::new();
        let mut type_of = |t: &DataType| match types.iter().position(|known| known == t) {
            Some(i) => i as u64,
            None => {
                types.push(t.clone());
                types.len() as u64 - 1
            }
        };
        let (mut chunks, mut chunk_index): (Vec<&ChunkRef>, HashMap<ChunkId, u64>) = Default::default();
        let mut literals: Vec<(u64, Vec<ArrayRef>)> = Vec::new();
        let mut large_values: Vec<(&LargeRef, u64)> = Vec::new();
        let mut slices = Vec::new();
        let mut rows = 0;
        for item in items {
            rows += Self::rows(item);
            let type_ = type_of(item.data_type());
            match item {
                Slice::Chunk { chunk, first, rows } => {
                    let index = *chunk_index.entry(chunk.id).or_insert_with(|| {
                        chunks.push(chunk);
                        chunks.len() as u64 - 1
                    });
                    if *first == 0 && *rows == chunk.rows {
                        put_varint(&mut slices, index << 3 | 1);
                    } else {
                        put_varint(&mut slices, rows << 3);
                        put_varint(&mut slices, index);
                        put_varint(&mut slices, *first);
                    }
                }
                Slice::Literal(cells) | Slice::Constant { value: cells, .. } => {
                    put_varint(&mut slices, if let Slice::Constant { rows, .. } = item { rows << 3 | 3 } else { (cells.len() as u64) << 3 | 2 });
                    match literals.last_mut() {
                        Some((t, run)) if *t == type_ => run.push(cells.clone()),
                        _ => literals.push((type_, vec![cells.clone()])),
                    }
                }
                Slice::Large(large) => {
                    put_varint(&mut slices, (large_values.len() as u64) << 3 | 4);
                    large_values.push((large, type_));
                }
            }
        }
        let mut out = Writer::default();
        out.array(8).u64(Self::NUMBER).u64(0).u64(rows).array(types.len() as u64);
        for t in &types {
            out.str(&storage_text(t));
        }
        out.array(chunks.len() as u64);
        for chunk in chunks {
            let t = types.iter().position(|t| *t == chunk.data_type).unwrap_or_default();
            out.array(4).bytes(chunk.id.as_bytes()).u64(chunk.rows).u64(t as u64);
            encode_stats(&chunk.stats, &mut out);
        }
        out.array(literals.len() as u64);
        for (t, run) in &literals {
            let cells = run.iter().map(|a| a.len() as u64).sum();
            let canonical = array::encode_parts(run, LITERAL_ALIGN).unwrap_or_else(|_| array::Canonical { bytes: Vec::new(), validity: Vec::new() });
            out.array(4).u64(*t).u64(cells).array(canonical.validity.len() as u64);
            for node in &canonical.validity {
                out.u64(u64::from(*node));
            }
            out.bytes(&canonical.bytes);
        }
        out.array(large_values.len() as u64);
        for (large, t) in large_values {
            out.array(3).raw(&large.reference).u64(large.length).u64(t);
        }
        out.bytes(&slices);
        out.finish()
    }

    fn decode_leaf(_: u64, leaf: &mut Reader<'_>) -> Result<Vec<Slice>, FormatError> {
        let types = leaf.list(|r| Ok(parse_storage(r.str()?)?))?;
        let typed = |r: &mut Reader<'_>| {
            let index = r.u64()?;
            usize::try_from(index).ok().and_then(|i| types.get(i)).cloned().ok_or_else(|| r.fail("a type that is not listed"))
        };
        let chunks = leaf.list(|r| {
            r.record(4, |r| {
                let chunk = ChunkRef { id: ChunkId(r.fixed()?), rows: r.u64()?, data_type: typed(r)?, stats: r.optional(Stats::decode)? };
                Ok(Arc::new(chunk))
            })
        })?;
        let literals = leaf.list(|r| {
            r.record(4, |r| {
                let data_type = typed(r)?;
                let cells = r.u64()?;
                let validity = r.list(|r| u32::try_from(r.u64()?).map_err(|e| r.fail(e)))?;
                let bytes = r.bytes()?;
                // A cell may take no bytes (an empty struct), so that a count alone could exhaust memory.
                let cells = usize::try_from(cells).ok().filter(|n| *n <= bytes.len().saturating_mul(8).max(65_536)).ok_or_else(|| r.fail("too many cells"))?;
                array::decode(&data_type, cells, &validity, Buffer::from(bytes), LITERAL_ALIGN)
            })
        })?;
        let large_values = leaf.list(|r| {
            r.record(3, |r| {
                let reference = r.item()?.into();
                Ok(Arc::new(LargeRef { reference, length: r.u64()?, data_type: typed(r)? }))
            })
        })?;
        let mut bytes = leaf.bytes()?;
        let (mut run, mut cell) = (0usize, 0usize);
        let mut items = Vec::new();
        // The next `n` cells, which never span two runs: those are of different types.
        let mut next_cells = |n: u64, one: bool| -> Option<ArrayRef> {
            while literals.get(run)?.len() == cell {
                (run, cell) = (run + 1, 0);
            }
            let n = if one { 1 } else { usize::try_from(n).ok()? };
            let array = literals.get(run)?;
            let end = cell.checked_add(n).filter(|end| *end <= array.len())?;
            let cells = array.slice(cell, n);
            cell = end;
            Some(cells)
        };
        while !bytes.is_empty() {
            let short = || leaf.fail("slices end early");
            let head = take_varint(&mut bytes).ok_or_else(short)?;
            let n = head >> 3;
            let item = match head & 7 {
                0 => {
                    let index = take_varint(&mut bytes).ok_or_else(short)?;
                    let first = take_varint(&mut bytes).ok_or_else(short)?;
                    let chunk = usize::try_from(index).ok().and_then(|i| chunks.get(i)).ok_or_else(|| leaf.fail("a chunk that is not listed"))?;
                    if first.checked_add(n).is_none_or(|end| end > chunk.rows) {
                        return Err(leaf.fail("a slice beyond its chunk"));
                    }
                    Slice::Chunk { chunk: chunk.clone(), first, rows: n }
                }
                1 => {
                    let chunk = usize::try_from(n).ok().and_then(|i| chunks.get(i)).ok_or_else(|| leaf.fail("a chunk that is not listed"))?;
                    Slice::Chunk { chunk: chunk.clone(), first: 0, rows: chunk.rows }
                }
                2 => Slice::Literal(next_cells(n, false).ok_or_else(|| leaf.fail("more cells than there are"))?),
                3 => Slice::Constant { value: next_cells(n, true).ok_or_else(|| leaf.fail("more cells than there are"))?, rows: n },
                4 => {
                    let large = usize::try_from(n).ok().and_then(|i| large_values.get(i)).ok_or_else(|| leaf.fail("a large value that is not listed"))?;
                    Slice::Large(large.clone())
                }
                tag => return Err(leaf.fail(format!("slice of kind {tag}"))),
            };
            if Self::rows(&item) == 0 {
                return Err(leaf.fail("a slice without rows"));
            }
            items.push(item);
        }
        Ok(items)
    }

    fn summarize(items: &[Slice]) -> ValuesSummary {
        ValuesSummary::of(items.iter().map(|i| (std::slice::from_ref(i.data_type()), i.stats())))
    }

    fn merge(entries: &[Entry<ValuesSummary>]) -> ValuesSummary {
        ValuesSummary::of(entries.iter().map(|e| (&e.summary.types[..], e.summary.stats.clone())))
    }

    fn encode_summary(summary: &ValuesSummary, out: &mut Writer) {
        out.array(2).array(summary.types.len() as u64);
        for t in &summary.types {
            out.str(&storage_text(t));
        }
        encode_stats(&summary.stats, out);
    }

    fn decode_summary(reader: &mut Reader<'_>) -> Result<ValuesSummary, FormatError> {
        reader.record(2, |r| Ok(ValuesSummary { types: r.list(|r| Ok(parse_storage(r.str()?)?))?, stats: r.optional(Stats::decode)? }))
    }
}

fn encode_stats(stats: &Option<Stats>, out: &mut Writer) {
    match stats {
        Some(stats) => stats.encode(out),
        None => {
            out.null();
        }
    }
}
