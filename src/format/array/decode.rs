//! Canonical bytes to values, trusting nothing.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, BooleanArray, FixedSizeListArray, ListArray, StringArray, StructArray, make_array, new_empty_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};

use super::super::FormatError;
use super::fixed_width;

/// The array whose canonical bytes these are: `rows` values of the storage type `ty`, with validity bitmaps for the nodes in `validity`.
/// Buffers that are aligned for their type are shared with `bytes`, not copied. Everything that could break an array is checked: sizes,
/// offsets, UTF-8; nothing is allocated beyond the size of `bytes`.
pub fn decode(ty: &DataType, rows: usize, validity: &[u32], bytes: Buffer, align: usize) -> Result<ArrayRef, FormatError> {
    let mut decoder = Decoder { bytes, at: 0, align: align.max(1), node: 0, validity };
    let array = decoder.node(ty, rows)?;
    if decoder.at != decoder.bytes.len() {
        return Err(fail(format!("{} bytes where {} are expected", decoder.bytes.len(), decoder.at)));
    }
    if !decoder.validity.is_empty() {
        return Err(fail("validity of an array node that does not exist"));
    }
    Ok(array)
}

struct Decoder<'a> {
    bytes: Buffer,
    at: usize,
    align: usize,
    node: u32,
    validity: &'a [u32],
}

fn fail(why: impl ToString) -> FormatError {
    FormatError::malformed("values", why)
}

impl Decoder<'_> {
    /// The next buffer, of `len` bytes, aligned for numbers of `unit` bytes.
    fn buffer(&mut self, len: usize, unit: usize) -> Result<Buffer, FormatError> {
        let start = self.at.next_multiple_of(self.align);
        let end = start.checked_add(len).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| fail(format!("{} bytes are too few", self.bytes.len())))?;
        self.at = end;
        let buffer = self.bytes.slice_with_length(start, len);
        if buffer.as_ptr().align_offset(unit) == 0 { Ok(buffer) } else { Ok(Buffer::from(buffer.as_slice())) }
    }

    fn bits(&mut self, rows: usize) -> Result<BooleanBuffer, FormatError> {
        let buffer = self.buffer(rows.div_ceil(8), 1)?;
        Ok(BooleanBuffer::new(buffer, 0, rows))
    }

    fn offsets(&mut self, rows: usize) -> Result<OffsetBuffer<i32>, FormatError> {
        let len = rows.checked_add(1).and_then(|n| n.checked_mul(4)).ok_or_else(|| fail("too many rows"))?;
        let offsets: ScalarBuffer<i32> = ScalarBuffer::from(self.buffer(len, 4)?);
        if offsets.first() != Some(&0) {
            return Err(fail("the first offset is not 0"));
        }
        // One pass without branches; a negative offset is below the 0 at the start.
        let fine = offsets.windows(2).fold(true, |fine, pair| fine & (pair[0] <= pair[1]));
        if !fine {
            return Err(fail("offsets descend"));
        }
        Ok(OffsetBuffer::new(offsets))
    }

    fn node(&mut self, ty: &DataType, rows: usize) -> Result<ArrayRef, FormatError> {
        let node = self.node;
        self.node += 1;
        let mut nulls = None;
        if let [first, rest @ ..] = self.validity
            && *first == node
        {
            self.validity = rest;
            nulls = Some(NullBuffer::new(self.bits(rows)?));
        }
        let array: ArrayRef = match ty {
            DataType::Boolean => Arc::new(BooleanArray::new(self.bits(rows)?, nulls)),
            DataType::Utf8 => {
                let offsets = self.offsets(rows)?;
                let values = self.buffer(last(&offsets), 1)?;
                Arc::new(StringArray::try_new(offsets, values, nulls).map_err(fail)?)
            }
            DataType::Binary => {
                let offsets = self.offsets(rows)?;
                let values = self.buffer(last(&offsets), 1)?;
                Arc::new(BinaryArray::try_new(offsets, values, nulls).map_err(fail)?)
            }
            DataType::List(item) => {
                let offsets = self.offsets(rows)?;
                let child = self.node(item.data_type(), last(&offsets))?;
                Arc::new(ListArray::try_new(item.clone(), offsets, child, nulls).map_err(fail)?)
            }
            DataType::FixedSizeList(item, n) => {
                let items = usize::try_from(*n).ok().filter(|n| *n > 0).and_then(|n| n.checked_mul(rows)).ok_or_else(|| fail("too many items"))?;
                let child = self.node(item.data_type(), items)?;
                Arc::new(FixedSizeListArray::try_new(item.clone(), *n, child, nulls).map_err(fail)?)
            }
            DataType::Struct(fields) => {
                let mut columns = fields.iter().map(|field| self.node(field.data_type(), rows)).collect::<Result<Vec<_>, _>>()?;
                if let Some(nulls) = &nulls {
                    columns = fields.iter().zip(columns).map(|(field, column)| masked(field, column, nulls)).collect::<Result<_, _>>()?;
                }
                Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, rows).map_err(fail)?)
            }
            other => {
                let width = fixed_width(other).filter(|width| *width > 0).ok_or_else(|| fail(format!("{other} is no storage type")))?;
                let len = rows.checked_mul(width).ok_or_else(|| fail("too many rows"))?;
                // Arrow asks for the alignment of the native type, which is at most 16 bytes; `binary(k)` asks for none.
                let unit = if matches!(other, DataType::FixedSizeBinary(_)) { 1 } else { width.min(16) };
                let values = self.buffer(len, unit)?;
                if rows == 0 {
                    return Ok(new_empty_array(other));
                }
                let data = ArrayData::builder(other.clone()).len(rows).add_buffer(values).nulls(nulls);
                make_array(data.build().map_err(fail)?)
            }
        };
        debug_assert_eq!(array.len(), rows);
        Ok(array)
    }
}

/// A field of structs, null where they are: what lies there is stored as present, and readers that look at a field alone would take it for a value.
fn masked(field: &Field, column: ArrayRef, nulls: &NullBuffer) -> Result<ArrayRef, FormatError> {
    if !field.is_nullable() {
        return Ok(column);
    }
    let both = NullBuffer::union(column.nulls(), Some(nulls));
    if let Some(inner) = column.as_struct_opt() {
        let fields = inner.fields().iter().zip(inner.columns());
        let columns = fields.map(|(field, column)| masked(field, column.clone(), nulls)).collect::<Result<Vec<_>, _>>()?;
        return Ok(Arc::new(StructArray::try_new_with_length(inner.fields().clone(), columns, both, inner.len()).map_err(fail)?));
    }
    Ok(make_array(column.to_data().into_builder().nulls(both).build().map_err(fail)?))
}

fn last(offsets: &OffsetBuffer<i32>) -> usize {
    // Not negative: offsets ascend from 0.
    offsets.last().map_or(0, |end| usize::try_from(*end).unwrap_or(0))
}
