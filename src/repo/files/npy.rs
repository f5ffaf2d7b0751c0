//! NumPy's `.npy` files: the first dimension is rows.
//!
//! One dimension is a column `value` of numbers; two of float16 or float32 are a column `embedding`; others a column `tensor`. A
//! schema of one column gives it another name. Dates and times, and texts (`U`, `S`) have one dimension. `NaT` is null.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow::array::builder::{BinaryBuilder, StringBuilder};
use arrow::array::{Array, ArrayRef, Date32Array, FixedSizeListArray, Int64Array, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{DataType, TimeUnit};

use super::ReadOptions;
use super::conform::conform;
use super::error::{FileError, Place};
use super::reading::{Found, Guess, Part, Parts, Reader};
use super::source::Source;
use crate::base::{NoProgress, Progress};
use crate::format::Type;

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
const HEADER_MAX: usize = 1 << 16;

/// What one number of the file is.
#[derive(Debug, Clone, PartialEq)]
enum Element {
    Number(DataType),
    Bool,
    /// Days since 1970, in 8 bytes.
    Days,
    /// Units in 8 bytes.
    Time(DataType),
    /// Four bytes a character.
    Text,
    Bytes,
}

/// The head of a file: what its array is, and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    element: Element,
    /// Bytes of an element.
    width: usize,
    big_endian: bool,
    fortran: bool,
    rows: u64,
    /// The dimensions of a row.
    inner: Vec<u32>,
    /// Bytes before the data.
    pub start: usize,
    row_bytes: usize,
}

impl Header {
    /// Reads the head from the first bytes of a file.
    pub fn parse(bytes: &[u8]) -> Result<Header, String> {
        let cut = "its header is cut short";
        if !bytes.starts_with(MAGIC) {
            return Err("it does not start as .npy files do".to_owned());
        }
        let (length, start) = match (bytes.get(6), bytes.get(8..12)) {
            (Some(1), Some([a, b, ..])) => (usize::from(u16::from_le_bytes([*a, *b])), 10),
            (Some(2 | 3), Some([a, b, c, d])) => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 12),
            (Some(version @ 4..), _) => return Err(format!("its version, {version}, is not known")),
            _ => return Err(cut.to_owned()),
        };
        let end = start + length;
        let text = bytes.get(start..end).ok_or(if length > HEADER_MAX { "its header is too long" } else { cut })?;
        let text = std::str::from_utf8(text).map_err(|_| "its header is not UTF-8")?;
        let after = |name: &str| {
            let quoted = [format!("'{name}'"), format!("\"{name}\"")];
            let at = quoted.iter().find_map(|q| text.find(q.as_str()).map(|at| at + q.len())).ok_or_else(|| format!("its header lacks '{name}'"))?;
            Ok::<&str, String>(text.get(at..).unwrap_or_default().trim_start().trim_start_matches(':').trim_start())
        };
        let descr = after("descr")?;
        if descr.starts_with('[') {
            return Err("it holds records of several fields".to_owned());
        }
        let mut parts = descr.split(['\'', '"']);
        let descr = parts.nth(1).ok_or("its header has no element type")?;
        let fortran = after("fortran_order")?.starts_with("True");
        let shape = after("shape")?;
        let shape = shape.strip_prefix('(').and_then(|s| s.split(')').next()).ok_or("its header has no shape")?;
        let dims: Vec<u64> = shape
            .split(',')
            .map(str::trim)
            .filter(|d| !d.is_empty())
            .map(|d| d.trim_end_matches('L').parse())
            .collect::<Result<_, _>>()
            .map_err(|_| "its header has no shape")?;
        let (element, width, big_endian) = Self::element(descr)?;
        let (rows, rest) = dims.split_first().map_or((1, &[][..]), |(rows, rest)| (*rows, rest));
        let inner: Vec<u32> = rest.iter().map(|d| u32::try_from(*d)).collect::<Result<_, _>>().map_err(|_| "a dimension is too large")?;
        let of_row =
            inner.iter().try_fold(1usize, |n, d| n.checked_mul(*d as usize)).filter(|n| *n <= 1 << 28).ok_or("a row has more than 268435456 numbers")?;
        if of_row == 0 {
            return Err("its rows have no numbers".to_owned());
        }
        if !inner.is_empty() && !matches!(element, Element::Number(_)) {
            return Err(format!("an array of several dimensions can hold integers or floats, not '{descr}'"));
        }
        let row_bytes = of_row.checked_mul(width).ok_or("a row is too large")?;
        Ok(Header { element, width, big_endian, fortran, rows, inner, start: end, row_bytes })
    }

    fn element(descr: &str) -> Result<(Element, usize, bool), String> {
        let refused = || format!("elements of NumPy type '{descr}' are not supported");
        let big_endian = descr.starts_with('>');
        let code = descr.trim_start_matches(['<', '>', '|', '=']);
        let number = |t| Ok((Element::Number(t), code.get(1..).and_then(|w| w.parse().ok()).unwrap_or(1), big_endian));
        match code {
            "b1" => Ok((Element::Bool, 1, false)),
            "i1" => number(DataType::Int8),
            "i2" => number(DataType::Int16),
            "i4" => number(DataType::Int32),
            "i8" => number(DataType::Int64),
            "u1" => number(DataType::UInt8),
            "u2" => number(DataType::UInt16),
            "u4" => number(DataType::UInt32),
            "u8" => number(DataType::UInt64),
            "f2" => number(DataType::Float16),
            "f4" => number(DataType::Float32),
            "f8" => number(DataType::Float64),
            _ => {
                let unit = |text: &str| match text {
                    "s" => Some(TimeUnit::Second),
                    "ms" => Some(TimeUnit::Millisecond),
                    "us" => Some(TimeUnit::Microsecond),
                    "ns" => Some(TimeUnit::Nanosecond),
                    _ => None,
                };
                if code == "M8[D]" {
                    return Ok((Element::Days, 8, big_endian));
                }
                if let Some(text) = code.strip_prefix("M8[").and_then(|t| t.strip_suffix(']')) {
                    return unit(text).map(|u| (Element::Time(DataType::Timestamp(u, None)), 8, big_endian)).ok_or_else(refused);
                }
                if let Some(text) = code.strip_prefix("m8[").and_then(|t| t.strip_suffix(']')) {
                    return unit(text).map(|u| (Element::Time(DataType::Duration(u)), 8, big_endian)).ok_or_else(refused);
                }
                let width = |text: &str| text.parse::<usize>().ok().filter(|n| (1..=1 << 24).contains(n));
                if let Some(n) = code.strip_prefix('U').and_then(width) {
                    return Ok((Element::Text, n * 4, big_endian));
                }
                if let Some(n) = code.strip_prefix('S').and_then(width) {
                    return Ok((Element::Bytes, n, false));
                }
                Err(refused())
            }
        }
    }

    /// The type of the column, and its name.
    pub fn column(&self) -> (&'static str, Type) {
        let element = match &self.element {
            Element::Number(t) | Element::Time(t) => t.clone(),
            Element::Bool => DataType::Boolean,
            Element::Days => DataType::Date32,
            Element::Text => DataType::Utf8,
            Element::Bytes => DataType::Binary,
        };
        match (self.inner.as_slice(), &element) {
            ([], _) => ("value", Type::Plain(element)),
            ([dim], DataType::Float16 | DataType::Float32) if *dim <= 1 << 20 => {
                ("embedding", Type::Embedding { dim: *dim, half: element == DataType::Float16 })
            }
            (shape, _) => ("tensor", Type::Tensor { shape: shape.to_vec(), element }),
        }
    }

    /// The type of a whole array as one cell; `None` where it has no dimension or cannot be a tensor.
    pub fn cell(&self) -> Option<Type> {
        let mut shape = vec![u32::try_from(self.rows).ok().filter(|n| *n > 0)?];
        shape.extend(&self.inner);
        let size = shape.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).filter(|n| *n <= 1 << 28)?;
        match (&self.element, shape.as_slice()) {
            (Element::Number(t @ (DataType::Float16 | DataType::Float32)), [dim]) if size <= 1 << 20 => {
                Some(Type::Embedding { dim: *dim, half: *t == DataType::Float16 })
            }
            (Element::Number(t), _) => Some(Type::Tensor { shape, element: t.clone() }),
            _ => None,
        }
    }

    /// Rows from their bytes, in the order of C and of this machine.
    fn array(&self, mut bytes: Vec<u8>) -> Result<ArrayRef, String> {
        let unit = if self.element == Element::Text { 4 } else { self.width };
        if self.big_endian && unit > 1 {
            bytes.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
        }
        let count = bytes.len() / self.width;
        let flat: ArrayRef = match &self.element {
            Element::Number(t) => primitive(t, bytes, count)?,
            Element::Bool => Arc::new(arrow::array::BooleanArray::new(BooleanBuffer::collect_bool(count, |i| bytes.get(i).is_some_and(|b| *b != 0)), None)),
            Element::Days | Element::Time(_) => {
                let units = primitive(&DataType::Int64, bytes, count)?;
                let units = units.as_any().downcast_ref::<Int64Array>().ok_or("times are not numbers")?;
                // The smallest number is "not a time".
                let there: Vec<bool> = units.values().iter().map(|v| *v != i64::MIN).collect();
                let nulls = Some(NullBuffer::from(there)).filter(|n| n.null_count() > 0);
                if let Element::Time(t) = &self.element {
                    let data = units.to_data().into_builder().data_type(t.clone()).nulls(nulls).build().map_err(|e| e.to_string())?;
                    make_array(data)
                } else {
                    let days: Result<Vec<i32>, _> = units.values().iter().map(|v| if *v == i64::MIN { Ok(0) } else { i32::try_from(*v) }).collect();
                    Arc::new(Date32Array::new(days.map_err(|_| "a date is out of range")?.into(), nulls))
                }
            }
            Element::Text => {
                let mut texts = StringBuilder::new();
                for cell in bytes.chunks_exact(self.width) {
                    let codes = cell.chunks_exact(4).map(|c| u32::from_le_bytes(c.try_into().unwrap_or_default()));
                    let text: String = codes.map(char::from_u32).collect::<Option<String>>().ok_or("a text holds what is no character")?;
                    texts.append_value(text.trim_end_matches('\0'));
                }
                Arc::new(texts.finish())
            }
            Element::Bytes => {
                let mut cells = BinaryBuilder::new();
                for cell in bytes.chunks_exact(self.width) {
                    let end = cell.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
                    cells.append_value(cell.get(..end).unwrap_or_default());
                }
                Arc::new(cells.finish())
            }
        };
        if self.inner.is_empty() {
            return Ok(flat);
        }
        fixed(flat, &self.column().1)
    }

    /// One array as one cell of type [`Header::cell`], from the bytes after the header.
    pub fn whole(&self, data: &[u8]) -> Result<ArrayRef, String> {
        let ty = self.cell().ok_or("it is no tensor")?;
        let length = usize::try_from(self.rows)
            .ok()
            .and_then(|rows| rows.checked_mul(self.row_bytes))
            .filter(|n| *n == data.len())
            .ok_or("its length is not what its header says")?;
        let bytes = if self.fortran { transposed(data.get(..length).unwrap_or_default(), self.rows, &self.inner, self.width) } else { data.to_vec() };
        let flat = Header { inner: vec![], row_bytes: self.width, ..self.clone() }.array(bytes)?;
        fixed(flat, &ty)
    }
}

fn fixed(flat: ArrayRef, ty: &Type) -> Result<ArrayRef, String> {
    let DataType::FixedSizeList(item, size) = ty.field("", true).data_type().clone() else { return Err("it is no tensor".to_owned()) };
    FixedSizeListArray::try_new(item, size, flat, None).map(|a| Arc::new(a) as ArrayRef).map_err(|e| e.to_string())
}

fn primitive(data_type: &DataType, bytes: Vec<u8>, count: usize) -> Result<ArrayRef, String> {
    let builder = arrow::array::ArrayData::builder(data_type.clone()).len(count).add_buffer(Buffer::from(bytes)).align_buffers(true);
    builder.build().map(make_array).map_err(|e| e.to_string())
}

/// Where the k-th number of a row in Fortran's order stands in C's.
fn c_place(mut k: usize, inner: &[u32]) -> usize {
    let mut place = 0;
    let mut stride: usize = inner.iter().map(|d| *d as usize).product();
    for dim in inner {
        let dim = *dim as usize;
        stride /= dim;
        place += (k % dim) * stride;
        k /= dim;
    }
    place
}

/// All numbers of an array in Fortran's order, in C's.
fn transposed(data: &[u8], rows: u64, inner: &[u32], width: usize) -> Vec<u8> {
    let rows = usize::try_from(rows).unwrap_or(0);
    let of_row: usize = inner.iter().map(|d| *d as usize).product();
    let mut out = vec![0; data.len()];
    for (i, number) in data.chunks_exact(width).enumerate() {
        let (row, k) = (i % rows.max(1), i / rows.max(1));
        let at = (row * of_row + c_place(k, inner)) * width;
        if let Some(place) = out.get_mut(at..at + width) {
            place.copy_from_slice(number);
        }
    }
    out
}

pub(super) struct Npy {
    source: Arc<Source>,
    header: Header,
    name: String,
}

impl Npy {
    pub fn open(source: Arc<Source>, options: &ReadOptions) -> Result<Npy, FileError> {
        let quiet: Arc<dyn Progress> = Arc::new(NoProgress);
        let mut start = Vec::new();
        source.open(&quiet)?.take(HEADER_MAX as u64 + 12).read_to_end(&mut start).map_err(|e| source.read_error(e))?;
        let header = Header::parse(&start).map_err(|what| {
            let refused = source.bad(Place::File, format!("is not an .npy file that can be read: {what}"));
            if what.contains("'|O'") || what.contains("complex") || what.contains("'<c") {
                refused.with_hint("save it as numbers: array.astype(...)")
            } else {
                refused
            }
        })?;
        let name = match options.schema.as_deref() {
            Some([(name, _)]) => name.clone(),
            _ => header.column().0.to_owned(),
        };
        Ok(Npy { source, header, name })
    }
}

impl Reader for Npy {
    fn find(&self, _: &ReadOptions, _: &dyn Fn(&str) -> bool, progress: &Arc<dyn Progress>) -> Result<Found, FileError> {
        progress.advance(self.source.length);
        Ok(Found { columns: vec![(self.name.clone(), Guess::Fixed(self.header.column().1))], open: false })
    }

    fn parts(&self, columns: &[(String, Type)], options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Box<dyn Parts>, FileError> {
        let header = self.header.clone();
        let rows = (options.batch_bytes / header.row_bytes).clamp(1, options.batch_rows.max(1));
        let mut file = self.source.seekable()?;
        let length = file.seek(SeekFrom::End(0)).map_err(|e| FileError::io(&self.source.name, e))?;
        let wanted = header.rows.checked_mul(header.row_bytes as u64).and_then(|n| n.checked_add(header.start as u64));
        match wanted {
            Some(wanted) if wanted == length => {}
            Some(wanted) if wanted < length => return Err(self.source.bad(Place::File, "something follows the array in the file")),
            _ => {
                let what = format!("the file is cut short: its header promises {} rows", header.rows);
                return Err(self.source.bad(Place::File, what).with_hint("fetch or write it again"));
            }
        }
        let to = columns.first().map(|(_, ty)| ty.clone()).unwrap_or(Type::TEXT);
        Ok(Box::new(NpyParts { source: self.source.clone(), name: self.name.clone(), header, file, row: 0, rows, to, progress: progress.clone() }))
    }
}

struct NpyParts {
    source: Arc<Source>,
    name: String,
    header: Header,
    file: std::fs::File,
    row: u64,
    rows: usize,
    to: Type,
    progress: Arc<dyn Progress>,
}

impl NpyParts {
    fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<(), FileError> {
        self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.read_exact(out)).map_err(|e| FileError::io(&self.source.name, e))
    }
}

impl Parts for NpyParts {
    fn next(&mut self) -> Result<Option<Part>, FileError> {
        let left = self.header.rows - self.row;
        if left == 0 {
            return Ok(None);
        }
        let rows = self.rows.min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut bytes = vec![0; rows * self.header.row_bytes];
        let start = self.header.start as u64;
        if self.header.fortran && !self.header.inner.is_empty() {
            // Numbers of one place in all rows lie together.
            let width = self.header.width;
            let mut column = vec![0; rows * width];
            for k in 0..self.header.row_bytes / width {
                self.read_at(start + (k as u64 * self.header.rows + self.row) * width as u64, &mut column)?;
                let place = c_place(k, &self.header.inner) * width;
                for (row, number) in bytes.chunks_exact_mut(self.header.row_bytes).zip(column.chunks_exact(width)) {
                    if let Some(to) = row.get_mut(place..place + width) {
                        to.copy_from_slice(number);
                    }
                }
            }
        } else {
            self.read_at(start + self.row * self.header.row_bytes as u64, &mut bytes)?;
        }
        self.progress.advance(bytes.len() as u64);
        let array = self.header.array(bytes).map_err(|what| self.source.bad(Place::Row(self.row + 1), what))?;
        let from = self.header.column().1;
        let array = conform(&array, &from, &self.to).map_err(|clash| {
            let row = self.row + clash.row.map_or(0, |r| r as u64) + 1;
            clash.misfit.at(&self.source.name, Place::Row(row), &self.name)
        })?;
        self.row += rows as u64;
        Ok(Some(Part::new(vec![array], rows)))
    }
}

/// The head of a file of so many rows of type `ty`, as NumPy writes it; `None` for types that such a file cannot hold.
pub(super) fn header(ty: &Type, rows: Option<u64>) -> Option<Vec<u8>> {
    let (element, inner) = match ty {
        Type::Plain(t) => (t.clone(), vec![]),
        Type::Embedding { dim, half } => (if *half { DataType::Float16 } else { DataType::Float32 }, vec![*dim]),
        Type::Tensor { shape, element } => (element.clone(), shape.clone()),
        _ => return None,
    };
    let unit = |u: &TimeUnit| match u {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    let descr = match &element {
        DataType::Boolean => "|b1".to_owned(),
        DataType::Int8 => "|i1".to_owned(),
        DataType::UInt8 => "|u1".to_owned(),
        DataType::Int16 => "<i2".to_owned(),
        DataType::Int32 => "<i4".to_owned(),
        DataType::Int64 => "<i8".to_owned(),
        DataType::UInt16 => "<u2".to_owned(),
        DataType::UInt32 => "<u4".to_owned(),
        DataType::UInt64 => "<u8".to_owned(),
        DataType::Float16 => "<f2".to_owned(),
        DataType::Float32 => "<f4".to_owned(),
        DataType::Float64 => "<f8".to_owned(),
        DataType::Date32 => "<M8[D]".to_owned(),
        DataType::Timestamp(u, None) => format!("<M8[{}]", unit(u)),
        DataType::Duration(u) => format!("<m8[{}]", unit(u)),
        _ => return None,
    };
    let mut dims: Vec<String> = rows.iter().map(u64::to_string).chain(inner.iter().map(u32::to_string)).collect();
    if dims.len() == 1 {
        dims.push(String::new());
    }
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", dims.join(", ").trim_end_matches(' '));
    // The data start at a multiple of 64.
    while !(10 + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    out.extend(u16::try_from(text.len()).ok()?.to_le_bytes());
    out.extend(text.as_bytes());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_round_trip() {
        for (ty, rows) in [
            ("float32", 5),
            ("embedding(7)", 3),
            ("embedding(7,float16)", 0),
            ("tensor(2x3,uint8)", 9),
            ("date", 1),
            ("timestamp(ns)", 4),
            ("bool", 2),
            ("int64", 1),
        ] {
            let ty: Type = ty.parse().unwrap();
            let bytes = header(&ty, Some(rows)).unwrap();
            assert_eq!(bytes.len() % 64, 0);
            let parsed = Header::parse(&bytes).unwrap();
            assert_eq!((parsed.column().1, parsed.rows, parsed.start), (ty, rows, bytes.len()));
        }
        assert!(header(&Type::TEXT, Some(1)).is_none());
    }

    #[test]
    fn fortran_order_and_big_endian() {
        // np.asfortranarray(np.arange(12).reshape(2, 3, 2)).astype('>i2')
        let c: Vec<i16> = (0..12).collect();
        let mut fortran = Vec::new();
        for k in 0..2 {
            for j in 0..3 {
                for i in 0..2 {
                    fortran.extend(c[i * 6 + j * 2 + k].to_be_bytes());
                }
            }
        }
        let text = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3, 2), }\n";
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        let header = Header::parse(&bytes).unwrap();
        let array = header.whole(&fortran).unwrap();
        let values = arrow::array::cast::as_fixed_size_list_array(&array).values().clone();
        assert_eq!(values.as_any().downcast_ref::<arrow::array::Int16Array>().unwrap().values().to_vec(), c);
    }

    proptest! {
        #[test]
        fn any_header_is_safe(text in "[ -~]{0,60}", data: Vec<u8>) {
            for body in [text.clone(), format!("{{'descr': '{text}', 'fortran_order': False, 'shape': (2, 3)}}"), format!("{{'descr': '<U3', 'fortran_order': True, 'shape': ({text}) }}")] {
                let mut bytes = MAGIC.to_vec();
                bytes.extend([1, 0]);
                bytes.extend((body.len() as u16).to_le_bytes());
                bytes.extend(body.as_bytes());
                if let Ok(header) = Header::parse(&bytes) {
                    let _ = header.whole(&data);
                }
            }
            let _ = Header::parse(&data);
        }
    }
}
