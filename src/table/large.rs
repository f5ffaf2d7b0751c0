//! Large values: a cell that is a rope of bytes, streamed in and out.

use std::io::{Read, Write};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, PrimitiveArray, StringArray};
use arrow::datatypes::{DataType, UInt8Type};

use crate::chunk::{Objects, write_large};
use crate::format::FormatError;
use crate::format::cbor::{Reader, Writer};
use crate::format::node::{LargeRef, Slice, Values};
use crate::tree::{Reference, Rope};

use super::TableError;

/// A cell of more bytes than this is a large value.
pub const LARGE_MIN: u64 = 4 << 20;

/// Roots of at most this many bytes stand in the cell itself.
const INLINE_MAX: usize = 192;

/// Keeps what `source` yields as a large value of storage type `data_type`. Memory stays bounded, whatever its length.
pub fn write(objects: &Arc<Objects>, source: &mut dyn Read, data_type: DataType) -> Result<LargeRef, TableError> {
    let (chunks, length) = write_large(objects, source)?;
    let slices = chunks.into_iter().map(|chunk| Slice::Chunk { first: 0, rows: chunk.rows, chunk: Arc::new(chunk) });
    let rope = Rope::<Values>::build(&**objects, slices)?;
    let mut reference = Writer::default();
    rope.reference(&**objects, INLINE_MAX)?.encode(&mut reference);
    Ok(LargeRef { reference: reference.finish().into(), length, data_type })
}

/// The rope of a large value's bytes.
pub fn open(objects: &Objects, large: &LargeRef) -> Result<Rope<Values>, TableError> {
    let reference = Reference::decode(&mut Reader::new("reference to a large value", &large.reference))?;
    let rope = Rope::open(objects, &reference)?;
    if rope.rows() != large.length {
        return Err(FormatError::malformed("large value", format!("{} bytes where {} are claimed", rope.rows(), large.length)).into());
    }
    Ok(rope)
}

/// Writes a range of a large value's bytes to `sink`, block by block.
pub fn stream(objects: &Objects, large: &LargeRef, range: Range<u64>, sink: &mut dyn Write) -> Result<(), TableError> {
    let rope = open(objects, large)?;
    for item in rope.items(objects, range.start, range.end)? {
        let (_, Slice::Chunk { chunk, first, rows }) = item? else { return Err(FormatError::malformed("large value", "not made of chunks").into()) };
        let info = objects.chunk(chunk.id)?;
        let mut at = first;
        while at < first + rows {
            let to = (at + (1 << 20)).min(first + rows);
            let bytes = objects.read_rows(&info, at..to)?;
            let bytes = bytes.as_any().downcast_ref::<PrimitiveArray<UInt8Type>>().ok_or_else(|| FormatError::malformed("large value", "not made of bytes"))?;
            sink.write_all(bytes.values()).map_err(|source| TableError::Source { path: "output".into(), source })?;
            at = to;
        }
    }
    Ok(())
}

/// The value as an array of one cell, wholly in memory.
pub fn read(objects: &Objects, large: &LargeRef) -> Result<ArrayRef, TableError> {
    // Grown as bytes arrive: a lying length allocates nothing.
    let mut bytes = Vec::new();
    stream(objects, large, 0..large.length, &mut bytes)?;
    Ok(match large.data_type {
        DataType::Utf8 => {
            let text = String::from_utf8(bytes).map_err(|e| FormatError::malformed("large value", e))?;
            Arc::new(StringArray::from(vec![text]))
        }
        _ => Arc::new(BinaryArray::from_vec(vec![&bytes])),
    })
}
