//! One cell of a record batch as text for a person: short, on one line, never megabytes.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, DurationFormat, FormatOptions};

use super::format;
use crate::format::Type;
use crate::repo::files::media::sniff;

/// Text of a cell, and how it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// One line.
    pub text: String,
    /// How it is drawn.
    pub tone: Tone,
    /// Parts of the text that are drawn otherwise, by their bytes, in order.
    pub marks: Vec<(Range<usize>, Tone)>,
}

/// What a cell's text means, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// A value.
    #[default]
    Plain,
    /// Null, or a description in place of the value: drawn dim.
    Dim,
    /// What is new.
    Added,
    /// What is gone.
    Removed,
}

impl Cell {
    /// A value's text.
    pub fn plain(text: impl AsRef<str>) -> Cell {
        Cell { text: format::one_line(text.as_ref()), tone: Tone::Plain, marks: Vec::new() }
    }

    /// A description in place of a value.
    pub fn note(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), tone: Tone::Dim, marks: Vec::new() }
    }

    /// The absence of a value.
    pub fn null() -> Cell {
        Cell::note("null")
    }

    /// The same in another tone.
    pub fn toned(self, tone: Tone) -> Cell {
        Cell { tone, ..self }
    }

    /// Adds text in a tone of its own; it must be one line.
    pub fn push(&mut self, text: &str, tone: Tone) {
        let start = self.text.len();
        self.text.push_str(text);
        if tone != self.tone {
            self.marks.push((start..self.text.len(), tone));
        }
    }
}

/// Characters of a text cell that are looked at; more would not fit a terminal anyway.
const TEXT_MAX: usize = 4096;
/// Bytes of a binary cell shown as hexadecimal.
const HEX_MAX: usize = 16;
/// Leading numbers of a vector that are shown.
const VECTOR_HEAD: usize = 3;

/// Prints the cells of one column.
pub struct Printer<'a> {
    array: &'a ArrayRef,
    how: How<'a>,
    hashed: bool,
}

enum How<'a> {
    Arrow(ArrayFormatter<'a>),
    Text,
    Bytes,
    Media(&'static str),
    Vector { list: &'a FixedSizeListArray, shape: String },
}

/// How numbers, dates and nested values print: as Arrow does, with `null` for null and durations as `1h 5m`.
pub fn options() -> FormatOptions<'static> {
    FormatOptions::new().with_null("null").with_duration_format(DurationFormat::Pretty)
}

impl<'a> Printer<'a> {
    /// A printer of `array`, a column of `field`. Errors where Arrow cannot print the type.
    pub fn new(field: &Field, array: &'a ArrayRef) -> Result<Printer<'a>, ArrowError> {
        let ty = Type::from_field(field).ok();
        let how = match (&ty, array.data_type()) {
            (Some(Type::Image), _) => How::Media("image"),
            (Some(Type::Audio), _) => How::Media("audio"),
            (Some(Type::Video), _) => How::Media("video"),
            (_, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => How::Text,
            (_, DataType::Binary | DataType::LargeBinary | DataType::BinaryView) => How::Bytes,
            (Some(Type::Embedding { dim, .. }), DataType::FixedSizeList(..)) => How::Vector { list: array.as_fixed_size_list(), shape: dim.to_string() },
            (Some(Type::Tensor { shape, .. }), DataType::FixedSizeList(..)) => {
                let shape: Vec<String> = shape.iter().map(u32::to_string).collect();
                How::Vector { list: array.as_fixed_size_list(), shape: shape.join("x") }
            }
            _ => How::Arrow(ArrayFormatter::try_new(array, &FORMAT)?),
        };
        Ok(Printer { array, how, hashed: false })
    }

    /// Describes media, and bytes of some length, with the first digits of their BLAKE3, so that two of one size can be told apart.
    pub fn hashed(self) -> Printer<'a> {
        Printer { hashed: true, ..self }
    }

    /// The cell of `row`; a row that is not there prints as null.
    pub fn cell(&self, row: usize) -> Cell {
        if row >= self.array.len() || self.array.is_null(row) {
            return Cell::null();
        }
        match &self.how {
            How::Arrow(formatter) => match formatter.value(row).try_to_string() {
                Ok(text) => Cell::plain(text),
                Err(e) => Cell::note(format!("<{e}>")),
            },
            How::Text => text_at(self.array, row).map_or_else(Cell::null, text),
            How::Bytes => match bytes_at(self.array, row) {
                Some(bytes) if self.hashed && bytes.len() > HEX_MAX => media("binary", bytes, true),
                bytes => bytes.map_or_else(Cell::null, hex),
            },
            How::Media(what) => bytes_at(self.array, row).map_or_else(Cell::null, |bytes| media(what, bytes, self.hashed)),
            How::Vector { list, shape } => vector(&list.value(row), shape),
        }
    }
}

static FORMAT: std::sync::LazyLock<FormatOptions<'static>> = std::sync::LazyLock::new(options);

/// True for types whose cells stand at the right edge of their column.
pub fn is_right_aligned(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// The text of a text cell of any layout.
pub fn text_at(array: &ArrayRef, row: usize) -> Option<&str> {
    if row >= array.len() || array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        _ => None,
    }
}

/// The bytes of a binary cell of any layout.
pub fn bytes_at(array: &ArrayRef, row: usize) -> Option<&[u8]> {
    if row >= array.len() || array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Binary => Some(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => Some(array.as_binary_view().value(row)),
        _ => None,
    }
}

fn text(value: &str) -> Cell {
    match value.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => Cell::plain(format!("{}… {}", value.get(..end).unwrap_or(value), format::bytes(value.len() as u64))),
        None => Cell::plain(value),
    }
}

fn hex(value: &[u8]) -> Cell {
    let shown: String = value.iter().take(HEX_MAX).map(|b| format!("{b:02x}")).collect();
    if value.len() > HEX_MAX { Cell::plain(format!("{shown}… {}", format::bytes(value.len() as u64))) } else { Cell::plain(format!("x{shown}")) }
}

/// `<image jpeg 640x480 31 KB>`, `<video mp4 320x240 5.2 s 1.1 MB>`: with what the bytes tell of themselves.
fn media(what: &str, value: &[u8], hashed: bool) -> Cell {
    let mut words = vec![what.to_owned()];
    if let Some(media) = sniff(value) {
        words.push(media.media_type.split_once('/').map_or(media.media_type, |(_, kind)| kind).to_owned());
        words.extend(media.width.zip(media.height).map(|(width, height)| format!("{width}x{height}")));
        words.extend(media.duration_ms.map(|ms| format!("{} s", format::brief((ms as f64 / 100.0).round() / 10.0))));
    }
    words.push(format::bytes(value.len() as u64));
    if hashed {
        words.push(blake3::hash(value).to_hex().chars().take(8).collect());
    }
    Cell::note(format!("<{}>", words.join(" ")))
}

/// `[0.12, -0.3, 0.9, … 384]`; whole where it is no longer than that.
fn vector(items: &ArrayRef, shape: &str) -> Cell {
    let Ok(formatter) = ArrayFormatter::try_new(items, &FORMAT) else { return Cell::note(format!("<{shape}>")) };
    let shown = if items.len() <= VECTOR_HEAD + 1 { items.len() } else { VECTOR_HEAD };
    let mut parts: Vec<String> = (0..shown).map(|i| number(items, i, &formatter)).collect();
    if shown < items.len() {
        parts.push(format!("… {shape}"));
    }
    Cell::plain(format!("[{}]", parts.join(", ")))
}

fn number(items: &ArrayRef, i: usize, formatter: &ArrayFormatter<'_>) -> String {
    use arrow::datatypes::{Float16Type, Float32Type, Float64Type};
    if items.is_null(i) {
        return "null".to_owned();
    }
    match items.data_type() {
        DataType::Float16 => format::brief(f64::from(items.as_primitive::<Float16Type>().value(i))),
        DataType::Float32 => format::brief(f64::from(items.as_primitive::<Float32Type>().value(i))),
        DataType::Float64 => format::brief(items.as_primitive::<Float64Type>().value(i)),
        _ => formatter.value(i).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::Arc;

    use arrow::array::{BinaryArray, Float32Array, Int64Array, StringArray};

    use super::*;

    fn cells(ty: &Type, array: ArrayRef) -> Vec<String> {
        let field = ty.field("x", true);
        let printer = Printer::new(&field, &array).unwrap();
        (0..array.len()).map(|i| printer.cell(i).text).collect()
    }

    #[test]
    fn plain_values() {
        assert_eq!(cells(&Type::INT64, Arc::new(Int64Array::from(vec![Some(-1), None]))), ["-1", "null"]);
        assert_eq!(cells(&Type::TEXT, Arc::new(StringArray::from(vec!["a\nb", ""]))), ["a↵b", ""]);
        assert_eq!(cells(&Type::BINARY, Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..], &[7; 20]]))), ["x00ff", "07070707070707070707070707070707… 20 B"]);
        let long = "é".repeat(5000);
        assert!(cells(&Type::TEXT, Arc::new(StringArray::from(vec![long.as_str()])))[0].ends_with("… 10 KB"));
    }

    #[test]
    fn images_are_described() {
        let mut png = Vec::new();
        image::RgbImage::new(6, 4).write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
        let size = png.len();
        let array: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&png[..]), Some(b"no image"), None]));
        assert_eq!(cells(&Type::Image, array), [format!("<image png 6x4 {size} B>"), "<image 8 B>".to_owned(), "null".to_owned()]);
    }

    #[test]
    fn vectors_are_cut() {
        let ty = Type::Embedding { dim: 5, half: false };
        let DataType::FixedSizeList(item, n) = ty.storage() else { panic!() };
        let list = FixedSizeListArray::new(item, n, Arc::new(Float32Array::from(vec![0.12, -0.3, 0.5, 1.0, 2.0])), None);
        assert_eq!(cells(&ty, Arc::new(list)), ["[0.12, -0.3, 0.5, … 5]"]);
    }
}
