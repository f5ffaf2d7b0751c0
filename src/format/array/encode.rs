//! Values to canonical bytes.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;

use super::super::FormatError;
use super::{BLOCK_ALIGN, check_storage, fixed_width};

/// Canonical bytes, and the numbers of the array nodes that have a validity bitmap among them, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Array nodes with a validity bitmap.
    pub validity: Vec<u32>,
}

/// The canonical bytes of `array`, whatever its slices, its offsets and what stands under its nulls; buffers start at multiples of `align`.
/// Returns them with the numbers of the nodes that have a validity bitmap. Errors where its type is no storage type.
pub fn encode(array: &dyn Array, align: usize) -> Result<(Vec<u8>, Vec<u32>), FormatError> {
    check_storage(array.data_type())?;
    let capacity = fixed_width(array.data_type()).unwrap_or(8).saturating_mul(array.len());
    let mut encoder = Encoder { out: Vec::with_capacity(capacity.min(1 << 20)), align: align.max(1), node: 0, validity: Vec::new() };
    encoder.node(array, None)?;
    Ok((encoder.out, encoder.validity))
}

/// As [`encode`], of the values of all `parts` (of one type) one after the other, without joining them first where that can be helped.
pub fn encode_parts(parts: &[ArrayRef], align: usize) -> Result<Canonical, FormatError> {
    let [first, rest @ ..] = parts else { return Err(FormatError::malformed("values", "no array to encode")) };
    let data_type = first.data_type();
    check_storage(data_type)?;
    if let Some(other) = rest.iter().find(|part| part.data_type() != data_type) {
        return Err(FormatError::malformed("values", format!("{} beside {data_type}", other.data_type())));
    }
    let mut encoder = Encoder { out: Vec::new(), align: align.max(1), node: 0, validity: Vec::new() };
    let plain = parts.iter().all(|part| part.null_count() == 0);
    if plain && matches!(data_type, DataType::Utf8 | DataType::Binary) {
        encoder.byte_parts(parts)?;
    } else if rest.is_empty() {
        encoder.out.reserve(fixed_width(data_type).unwrap_or(8).saturating_mul(first.len()).min(1 << 26));
        encoder.node(first, None)?;
    } else if plain && let Some(width) = data_type.primitive_width() {
        encoder.out.reserve(parts.iter().map(|part| part.len() * width).sum());
        for part in parts {
            encoder.fixed(part.as_ref(), width, None)?;
        }
    } else {
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        let whole = concat(&parts).map_err(|e| FormatError::malformed("values", e))?;
        encoder.node(whole.as_ref(), None)?;
    }
    Ok(Canonical { bytes: encoder.out, validity: encoder.validity })
}

/// Canonical bytes in pieces, most of them shared with the arrays that they came from.
#[derive(Debug, Clone)]
pub struct Segments {
    /// One after the other they are the canonical bytes.
    pub segments: Vec<Buffer>,
    /// How many bytes they are in all.
    pub size: u64,
    /// Array nodes with a validity bitmap.
    pub validity: Vec<u32>,
}

/// As [`encode_parts`] for blocks, but without copying: values without nulls, of fixed width or text or binary, stay where they are.
pub fn encode_segments(parts: &[ArrayRef]) -> Result<Segments, FormatError> {
    let data_type = parts.first().map(|part| part.data_type());
    let alike = parts.iter().all(|part| Some(part.data_type()) == data_type && part.null_count() == 0);
    let segments = match data_type {
        Some(DataType::Utf8 | DataType::Binary) if alike => byte_segments(parts)?,
        Some(numbers) if alike && fixed_width(numbers).is_some() && parts.iter().all(|part| !has_inner_nulls(part.as_ref())) => {
            parts.iter().map(|part| fixed_bytes(part.as_ref())).collect::<Result<Vec<_>, _>>()?
        }
        _ => {
            let canonical = encode_parts(parts, BLOCK_ALIGN)?;
            let size = canonical.bytes.len() as u64;
            return Ok(Segments { segments: vec![Buffer::from(canonical.bytes)], size, validity: canonical.validity });
        }
    };
    let size = segments.iter().map(|segment| segment.len() as u64).sum();
    Ok(Segments { segments, size, validity: Vec::new() })
}

fn has_inner_nulls(array: &dyn Array) -> bool {
    array.as_fixed_size_list_opt().is_some_and(|list| list.values().null_count() > 0 || has_inner_nulls(list.values().as_ref()))
}

/// The bytes of the values of an array of fixed width, whatever stands under its nulls; not copied.
pub fn fixed_bytes(array: &dyn Array) -> Result<Buffer, FormatError> {
    let fail = || FormatError::malformed("values", format!("{} has not the layout of its type", array.data_type()));
    if let Some(list) = array.as_fixed_size_list_opt() {
        let items = usize::try_from(list.value_length()).ok().and_then(|n| n.checked_mul(list.len())).ok_or_else(fail)?;
        return fixed_bytes(list.values().slice(0, items).as_ref());
    }
    let width = fixed_width(array.data_type()).ok_or_else(fail)?;
    let data = array.to_data();
    let (start, length) = (data.offset() * width, data.len() * width);
    let values = data.buffers().first().filter(|buffer| start + length <= buffer.len()).ok_or_else(fail)?;
    Ok(values.slice_with_length(start, length))
}

/// Text or binary without nulls: the offsets anew, the values as they are.
fn byte_segments(parts: &[ArrayRef]) -> Result<Vec<Buffer>, FormatError> {
    let mut views: Vec<(&[i32], &Buffer)> = Vec::with_capacity(parts.len());
    for part in parts {
        views.push(match part.data_type() {
            DataType::Utf8 => downcast(part.as_string_opt::<i32>()).map(|a| (a.value_offsets(), a.values()))?,
            _ => downcast(part.as_binary_opt::<i32>()).map(|a| (a.value_offsets(), a.values()))?,
        });
    }
    let rows: usize = parts.iter().map(|part| part.len()).sum();
    let bytes: usize = views.iter().map(|(offsets, _)| span(offsets)).map(|(start, end)| end - start).sum();
    let total = i32::try_from(bytes).map_err(|_| FormatError::malformed("values", "more than 2 GiB of text or bytes in one block"))?;
    let mut out: Vec<u8> = Vec::with_capacity(((rows + 1) * 4).next_multiple_of(BLOCK_ALIGN));
    let mut segments = Vec::with_capacity(parts.len() + 1);
    let mut base = 0i32;
    for (offsets, values) in views {
        let (start, end) = span(offsets);
        let shift = base.wrapping_sub(start as i32);
        out.extend(offsets[..offsets.len() - 1].iter().flat_map(|offset| offset.wrapping_add(shift).to_le_bytes()));
        base += (end - start) as i32;
        segments.push(values.slice_with_length(start, end - start));
    }
    out.extend_from_slice(&total.to_le_bytes());
    // Padding stands before a buffer even where that holds nothing: so a lone offset takes 64 bytes.
    out.resize(out.len().next_multiple_of(BLOCK_ALIGN), 0);
    segments.insert(0, Buffer::from(out));
    Ok(segments)
}

struct Encoder {
    out: Vec<u8>,
    align: usize,
    node: u32,
    validity: Vec<u32>,
}

impl Encoder {
    fn pad(&mut self) {
        let start = self.out.len().next_multiple_of(self.align);
        self.out.resize(start, 0);
    }

    /// One array node. Slots where `parent` is null are empty, and count as present.
    fn node(&mut self, array: &dyn Array, parent: Option<&NullBuffer>) -> Result<(), FormatError> {
        let node = self.node;
        self.node += 1;
        let own = array.nulls().filter(|nulls| nulls.null_count() > 0);
        if let Some(own) = own {
            let present = match parent {
                Some(parent) => own.inner() | &!parent.inner(),
                None => own.inner().clone(),
            };
            if present.count_set_bits() < present.len() {
                self.validity.push(node);
                self.bits(&present);
            }
        }
        let keep = NullBuffer::union(own, parent);
        let keep = keep.as_ref().filter(|keep| keep.null_count() > 0);
        match array.data_type() {
            DataType::Boolean => {
                let values = downcast(array.as_boolean_opt())?;
                self.booleans(values, keep);
                Ok(())
            }
            DataType::Utf8 => {
                let values = downcast(array.as_string_opt::<i32>())?;
                self.byte_values(values.value_offsets(), values.value_data(), keep)
            }
            DataType::Binary => {
                let values = downcast(array.as_binary_opt::<i32>())?;
                self.byte_values(values.value_offsets(), values.value_data(), keep)
            }
            DataType::List(_) => {
                let list = downcast(array.as_list_opt::<i32>())?;
                let (offsets, child) = (list.value_offsets(), list.values());
                let (lengths, gaps) = lengths(offsets, keep)?;
                self.offsets(&lengths)?;
                let child = if gaps {
                    let kept = (0..list.len()).filter(|row| keep.is_none_or(|keep| keep.is_valid(*row)));
                    let indices: Vec<u32> = kept.flat_map(|row| offsets[row] as u32..offsets[row + 1] as u32).collect();
                    take(child, &UInt32Array::from(indices), None).map_err(|e| FormatError::malformed("list", e))?
                } else {
                    let (start, end) = span(offsets);
                    child.slice(start, end - start)
                };
                self.node(child.as_ref(), None)
            }
            DataType::FixedSizeList(_, n) => {
                let list = downcast(array.as_fixed_size_list_opt())?;
                let n = usize::try_from(*n).unwrap_or(0);
                let expanded = keep.map(|keep| keep.expand(n));
                // An array built from more items than its length needs keeps them.
                self.node(list.values().slice(0, list.len() * n).as_ref(), expanded.as_ref())
            }
            DataType::Struct(_) => {
                let fields = downcast(array.as_struct_opt())?;
                fields.columns().iter().try_for_each(|column| self.node(column.as_ref(), keep))
            }
            other => {
                let width = fixed_width(other).ok_or_else(|| FormatError::malformed("storage type", other))?;
                self.pad();
                self.fixed(array, width, keep)
            }
        }
    }

    fn fixed(&mut self, array: &dyn Array, width: usize, keep: Option<&NullBuffer>) -> Result<(), FormatError> {
        let data = array.to_data();
        let range = data.offset() * width..(data.offset() + data.len()) * width;
        let values = data.buffers().first().and_then(|b| b.get(range)).ok_or_else(|| FormatError::malformed("values", "a buffer is too short"))?;
        let start = self.out.len();
        self.out.extend_from_slice(values);
        if let Some(keep) = keep {
            for (slot, kept) in self.out[start..].chunks_exact_mut(width).zip(keep.inner()) {
                if !kept {
                    slot.fill(0);
                }
            }
        }
        Ok(())
    }

    fn booleans(&mut self, array: &BooleanArray, keep: Option<&NullBuffer>) {
        match keep {
            Some(keep) => self.bits(&(array.values() & keep.inner())),
            None => self.bits(array.values()),
        }
    }

    fn bits(&mut self, bits: &BooleanBuffer) {
        self.pad();
        let bytes = bits.len().div_ceil(8);
        let whole;
        let source = if bits.offset().is_multiple_of(8) {
            &bits.inner().as_slice()[bits.offset() / 8..]
        } else {
            whole = bits.inner().bit_slice(bits.offset(), bits.len());
            whole.as_slice()
        };
        self.out.extend_from_slice(&source[..bytes]);
        if !bits.len().is_multiple_of(8)
            && let Some(last) = self.out.last_mut()
        {
            *last &= (1 << (bits.len() % 8)) - 1;
        }
    }

    fn byte_values(&mut self, offsets: &[i32], data: &[u8], keep: Option<&NullBuffer>) -> Result<(), FormatError> {
        let (lengths, gaps) = lengths(offsets, keep)?;
        let (start, end) = span(offsets);
        self.out.reserve(lengths.len() * 4 + end - start + 2 * self.align);
        self.offsets(&lengths)?;
        self.pad();
        if gaps {
            for (row, bounds) in offsets.windows(2).enumerate() {
                if keep.is_none_or(|keep| keep.is_valid(row)) {
                    self.out.extend_from_slice(&data[bounds[0] as usize..bounds[1] as usize]);
                }
            }
        } else {
            self.out.extend_from_slice(&data[start..end]);
        }
        Ok(())
    }

    /// Text or binary without nulls, from several arrays.
    fn byte_parts(&mut self, parts: &[ArrayRef]) -> Result<(), FormatError> {
        let mut views: Vec<(&[i32], &[u8])> = Vec::with_capacity(parts.len());
        for part in parts {
            views.push(match part.data_type() {
                DataType::Utf8 => downcast(part.as_string_opt::<i32>()).map(|a| (a.value_offsets(), a.value_data()))?,
                _ => downcast(part.as_binary_opt::<i32>()).map(|a| (a.value_offsets(), a.value_data()))?,
            });
        }
        let rows: usize = parts.iter().map(|part| part.len()).sum();
        let bytes: usize = views.iter().map(|(offsets, _)| span(offsets)).map(|(start, end)| end - start).sum();
        let total = i32::try_from(bytes).map_err(|_| FormatError::malformed("values", "more than 2 GiB of text or bytes in one block"))?;
        self.out.reserve((rows + 1) * 4 + bytes + 2 * self.align);
        self.pad();
        let mut base = 0i32;
        for (offsets, _) in &views {
            let (start, end) = span(offsets);
            let shift = base - start as i32;
            self.out.extend(offsets[..offsets.len() - 1].iter().flat_map(|offset| (offset + shift).to_le_bytes()));
            base += (end - start) as i32;
        }
        self.out.extend_from_slice(&total.to_le_bytes());
        self.pad();
        for (offsets, data) in &views {
            let (start, end) = span(offsets);
            self.out.extend_from_slice(&data[start..end]);
        }
        self.node += 1;
        Ok(())
    }

    fn offsets(&mut self, lengths: &[u32]) -> Result<(), FormatError> {
        self.pad();
        self.out.reserve(lengths.len() * 4 + 4);
        let mut end = 0u32;
        self.out.extend_from_slice(&end.to_le_bytes());
        // The sum of the lengths is at most the difference of two i32 offsets.
        self.out.extend(lengths.iter().flat_map(|length| {
            end = end.wrapping_add(*length);
            end.to_le_bytes()
        }));
        Ok(())
    }
}

/// The length of each row, zero where it is null, and whether something stands under the nulls.
fn lengths(offsets: &[i32], keep: Option<&NullBuffer>) -> Result<(Vec<u32>, bool), FormatError> {
    let mut lengths: Vec<u32> = offsets.windows(2).map(|bounds| (bounds[1] - bounds[0]) as u32).collect();
    let mut gaps = false;
    if let Some(keep) = keep {
        for (length, kept) in lengths.iter_mut().zip(keep.inner()) {
            if !kept && *length > 0 {
                *length = 0;
                gaps = true;
            }
        }
    }
    Ok((lengths, gaps))
}

/// From where to where the values of these offsets go. Arrow's arrays have at least one offset, and none is negative.
fn span(offsets: &[i32]) -> (usize, usize) {
    (offsets.first().map_or(0, |o| *o as usize), offsets.last().map_or(0, |o| *o as usize))
}

fn downcast<T>(array: Option<T>) -> Result<T, FormatError> {
    array.ok_or_else(|| FormatError::malformed("values", "an array whose layout is not its type's"))
}
