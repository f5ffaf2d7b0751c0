//! Columns built cell by cell, from the texts of a CSV file and the values of a JSON file.

use std::sync::Arc;

use arrow::array::builder::{BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, PrimitiveBuilder, StringBuilder};
use arrow::array::{ArrayRef, ArrowPrimitiveType, FixedSizeListArray, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;
use half::f16;

use super::base64;
use super::calendar::{parse_date, parse_duration, parse_stamp, parse_time};
use super::error::Misfit;
use super::json::node::{self, Node, Value};
use super::number;
use crate::format::Type;

/// Takes cells of one column, one after another; an array of them has the data type of the column's field.
pub(super) trait Build: Send {
    /// Adds a cell from its text.
    fn text(&mut self, text: &str) -> Result<(), Misfit>;
    /// Adds a cell from a JSON value; `null` is null.
    fn json(&mut self, node: &Node<'_>) -> Result<(), Misfit>;
    fn null(&mut self);
    /// The cells so far; none are left.
    fn finish(&mut self) -> ArrayRef;
}

/// True for types of which a text without characters is a value, and not the absence of one.
pub(super) fn empty_is_value(ty: &Type) -> bool {
    matches!(ty, Type::Plain(DataType::Utf8 | DataType::Binary) | Type::Enum(_) | Type::Image | Type::Audio | Type::Video)
}

/// Bytes that a row of these columns takes at least, nulls and all.
pub(super) fn row_bytes(columns: &[(String, Type)]) -> usize {
    let cell = |ty: &Type| match ty {
        Type::Embedding { dim, .. } => *dim as usize * 4,
        Type::Tensor { shape, .. } => shape.iter().map(|d| *d as usize).product::<usize>().saturating_mul(8),
        _ => 8,
    };
    columns.iter().map(|(_, ty)| cell(ty)).sum()
}

/// The field of the items of a list or vector.
fn child_of(ty: &Type) -> Result<FieldRef, Misfit> {
    match ty.field("", true).data_type() {
        DataType::List(item) | DataType::FixedSizeList(item, _) => Ok(item.clone()),
        _ => Err(Misfit::new(&ty.to_string(), "has no items")),
    }
}

/// A builder for cells of type `ty`.
pub(super) fn builder(ty: &Type) -> Result<Box<dyn Build>, Misfit> {
    Ok(match ty {
        Type::Plain(plain) => return scalar(plain, ty),
        Type::Json => Box::new(Json(StringBuilder::new())),
        Type::Uuid => Box::new(FixedBytes { builder: FixedSizeBinaryBuilder::new(16), width: 16, uuid: true }),
        Type::Enum(labels) => Box::new(Text { builder: StringBuilder::new(), labels: labels.clone(), ty: ty.to_string() }),
        Type::List(item) => Box::new(List { items: builder(item)?, item: child_of(ty)?, ends: vec![0], valid: vec![], ty: ty.clone(), pairs: false }),
        Type::Map(key, value) => {
            let entry = Type::Struct(vec![("key".to_owned(), (**key).clone()), ("value".to_owned(), (**value).clone())]);
            Box::new(List { items: builder(&entry)?, item: child_of(ty)?, ends: vec![0], valid: vec![], ty: ty.clone(), pairs: true })
        }
        Type::Struct(fields) => {
            let children = fields.iter().map(|(_, t)| builder(t)).collect::<Result<_, _>>()?;
            let arrow = fields.iter().map(|(name, t)| t.field(name, true)).collect();
            Box::new(Struct { children, fields: fields.clone(), arrow, valid: vec![], ty: ty.clone() })
        }
        Type::Embedding { dim, half } => {
            let item = Type::Plain(if *half { DataType::Float16 } else { DataType::Float32 });
            Box::new(Fixed { items: builder(&item)?, item: child_of(ty)?, shape: vec![*dim], valid: vec![], ty: ty.clone() })
        }
        Type::Tensor { shape, element } => {
            let items = builder(&Type::Plain(element.clone()))?;
            Box::new(Fixed { items, item: child_of(ty)?, shape: shape.clone(), valid: vec![], ty: ty.clone() })
        }
        Type::Image | Type::Audio | Type::Video => Box::new(Bytes(BinaryBuilder::new())),
    })
}

fn number<T: ArrowPrimitiveType>(ty: &Type, data_type: &DataType, parse: impl Fn(&str) -> Option<T::Native> + Send + 'static) -> Box<dyn Build>
where
    T::Native: Send,
{
    Box::new(Number::<T> { builder: PrimitiveBuilder::new().with_data_type(data_type.clone()), parse: Box::new(parse), ty: ty.to_string() })
}

fn scalar(plain: &DataType, ty: &Type) -> Result<Box<dyn Build>, Misfit> {
    macro_rules! integers {
        ($arrow:ty) => {
            number::<$arrow>(ty, plain, |s| number::integer(s)?.try_into().ok())
        };
    }
    macro_rules! stamps {
        ($arrow:ty, $unit:expr, $zone:expr) => {{
            let zoned = $zone.is_some();
            number::<$arrow>(ty, plain, move |s| parse_stamp(s, true).filter(|stamp| stamp.offset.is_some() == zoned)?.in_unit($unit))
        }};
    }
    macro_rules! durations {
        ($arrow:ty, $unit:expr) => {
            number::<$arrow>(ty, plain, |s| parse_duration(s, $unit).or_else(|| s.parse().ok()))
        };
    }
    use TimeUnit::*;
    Ok(match plain {
        DataType::Boolean => Box::new(Bool(BooleanBuilder::new())),
        DataType::Int8 => integers!(Int8Type),
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::UInt8 => integers!(UInt8Type),
        DataType::UInt16 => integers!(UInt16Type),
        DataType::UInt32 => integers!(UInt32Type),
        DataType::UInt64 => integers!(UInt64Type),
        DataType::Float16 => number::<Float16Type>(ty, plain, |s| {
            let value = number::float(s)?;
            let half = f16::from_f64(value);
            (half.is_finite() || !value.is_finite()).then_some(half)
        }),
        DataType::Float32 => number::<Float32Type>(ty, plain, number::float32),
        DataType::Float64 => number::<Float64Type>(ty, plain, number::float),
        DataType::Decimal128(p, s) => {
            let (p, s) = (*p, *s);
            number::<Decimal128Type>(ty, plain, move |t| number::decimal(t, p, s)?.to_i128())
        }
        DataType::Decimal256(p, s) => {
            let (p, s) = (*p, *s);
            number::<Decimal256Type>(ty, plain, move |t| number::decimal(t, p, s))
        }
        DataType::Date32 => number::<Date32Type>(ty, plain, parse_date),
        DataType::Time32(Second) => number::<Time32SecondType>(ty, plain, |s| parse_time(s, Second)?.try_into().ok()),
        DataType::Time32(_) => number::<Time32MillisecondType>(ty, plain, |s| parse_time(s, Millisecond)?.try_into().ok()),
        DataType::Time64(Nanosecond) => number::<Time64NanosecondType>(ty, plain, |s| parse_time(s, Nanosecond)),
        DataType::Time64(_) => number::<Time64MicrosecondType>(ty, plain, |s| parse_time(s, Microsecond)),
        DataType::Timestamp(Second, zone) => stamps!(TimestampSecondType, Second, zone),
        DataType::Timestamp(Millisecond, zone) => stamps!(TimestampMillisecondType, Millisecond, zone),
        DataType::Timestamp(Microsecond, zone) => stamps!(TimestampMicrosecondType, Microsecond, zone),
        DataType::Timestamp(Nanosecond, zone) => stamps!(TimestampNanosecondType, Nanosecond, zone),
        DataType::Duration(Second) => durations!(DurationSecondType, Second),
        DataType::Duration(Millisecond) => durations!(DurationMillisecondType, Millisecond),
        DataType::Duration(Microsecond) => durations!(DurationMicrosecondType, Microsecond),
        DataType::Duration(Nanosecond) => durations!(DurationNanosecondType, Nanosecond),
        DataType::Utf8 => Box::new(Text { builder: StringBuilder::new(), labels: vec![], ty: ty.to_string() }),
        DataType::Binary => Box::new(Bytes(BinaryBuilder::new())),
        DataType::FixedSizeBinary(width) => Box::new(FixedBytes { builder: FixedSizeBinaryBuilder::new(*width), width: *width, uuid: false }),
        other => return Err(Misfit::new(&other.to_string(), "is a type that dsv does not have")),
    })
}

/// A nested value in a text cell is JSON.
fn nested(build: &mut dyn Build, text: &str, ty: &Type) -> Result<(), Misfit> {
    let node = node::parse(text).map_err(|fault| Misfit::new(text, format!("is not {ty}: a JSON value is expected, and {}", fault.what)))?;
    build.json(&node)
}

fn not(value: &str, ty: impl std::fmt::Display) -> Misfit {
    Misfit::new(value, format!("is not {ty}"))
}

fn nulls(valid: &mut Vec<bool>) -> Option<NullBuffer> {
    Some(NullBuffer::from(std::mem::take(valid))).filter(|n| n.null_count() > 0)
}

type Parse<N> = Box<dyn Fn(&str) -> Option<N> + Send>;

struct Number<T: ArrowPrimitiveType> {
    builder: PrimitiveBuilder<T>,
    parse: Parse<T::Native>,
    ty: String,
}

impl<T: ArrowPrimitiveType> Build for Number<T>
where
    T::Native: Send,
{
    fn text(&mut self, text: &str) -> Result<(), Misfit> {
        let value = (self.parse)(text).ok_or_else(|| not(text, &self.ty))?;
        self.builder.append_value(value);
        Ok(())
    }

    fn json(&mut self, node: &Node<'_>) -> Result<(), Misfit> {
        match &node.value {
            Value::Null => {
                self.null();
                Ok(())
            }
            Value::Number(text) => self.text(text),
            Value::Text(text) => self.text(text),
            _ => Err(not(node.raw, &self.ty)),
        }
    }

    fn null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}

struct Bool(BooleanBuilder);

impl Build for Bool {
    fn text(&mut self, text: &str) -> Result<(), Misfit> {
        let is = |words: &[&str]| words.iter().any(|w| text.eq_ignore_ascii_case(w));
        if is(&["true", "t", "yes", "y", "1"]) {
            self.0.append_value(true);
        } else if is(&["false", "f", "no", "n", "0"]) {
            self.0.append_value(false);
        } else {
            return Err(not(text, "bool"));
        }
        Ok(())
    }

    fn json(&mut self, node: &Node<'_>) -> Result<(), Misfit> {
        match &node.value {
            Value::Null => self.null(),
            Value::Bool(value) => self.0.append_value(*value),
            Value::Text(text) => return self.text(text),
            Value::Number(text) => return self.text(text),
            _ => return Err(not(node.raw, "bool")),
        }
        Ok(())
    }

    fn null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// Text, and labels where there are any.
struct Text {
    builder: StringBuilder,
    labels: Vec<String>,
    ty: String,
}

impl Build for Text {
    fn text(&mut self, text: &str) -> Result<(), Misfit> {
        if !self.labels.is_empty() && !self.labels.iter().any(|label| label == text) {
            return Err(Misfit::new(text, format!("is not a label of {}", self.ty)));
        }
        self.builder.append_value(text);
        Ok(())
    }

    fn json(&mut self, node: &Node<'_>) -> Result<(), Misfit> {
        match &node.value {
            Value::Null => {
                self.null();
                Ok(())
            }
            Value::Text(text) => self.text(text),
            Value::Number(_) | Value::Bool(_) => self.text(node.raw),
            Value::List(_) | Value::Object(_) => Err(Misfit::new(node.raw, format!("is {}, not {}", node.kind(), self.ty))),
        }
    }

    fn null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}

struct Json(StringBuilder);

impl Build for Json {
    fn text(&mut self, text: &str) -> Result<(), Misfit> {
        let node = node::parse(text).map_err(|fault| Misfit::new(text, format!("is not JSON: {}", fault.what)))?;
        self.add(&node);
        Ok(())
    }

    /// An explicit null where JSON is the type: the value is absent, as in every type.
    fn json(&mut self, node: &Node<'_>) -> Result<(), Misfit> {
        match node.value {
            Value::Null => self.null(),
            _ => self.add(node),
        }
        Ok(())
    }

    fn null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

impl Json {
    fn add(&mut self, node: &Node<'_>) {
        if node.standard() {
            self.0.append_value(node.raw);
        } else {
            let mut text = String::new();
            node.compact(&mut text);
            self.0.append_value(text);
        }
    }
}

struct Bytes(BinaryBuilder);

impl Build for Bytes {
    fn text(&mut self, text: &str) -> Result<(), Misfit> {
        self.0.append_value(base64::decode(text).ok_or_else(|| not(text, "base64, which binary values are written in"))?);
        Ok(())
    }

    fn json(&mut self, node: &Node<'_>) -> Result<(), Misfit> {
        match &node.value {
            Value::Null => self.null(),
            Value::Text(text) => return self.text(text),
            _ => return Err(not(node.raw, "a text of base64, which binary values are written in")),
        }
        Ok(())
    }

    fn null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

struct FixedBytes {
    builder: FixedSizeBinaryBuilder,
    width: i32,
    uuid: bool,
}

impl FixedBytes {
    fn uuid(text: &str) -> Option<Vec<u8>> {
        let hyphens = text.char_indices().filter(|(_, c)| *c == '-').map(|(i, _)| i);
        let digits: String = match text.len() {
            36 if hyphens.eq([8, 13, 18, 23]) => text.replace('-', ""),
            32 => text.to_owned(),
            _ => return None,
        };
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(&digits, 16).ok().map(|n| n.to_be_bytes().to_vec())
    }
}

impl Build for FixedBytes {
    fn text(&mut self, text: &str) -> Result<(), Misfit> {
        let bytes = if self.uuid {
            Self::uuid(text).ok_or_else(|| not(text, "uuid"))?
        } else {
            base64::decode(text).ok_or_else(|| not(text, "base64, which binary values are written in"))?
        };
        self.builder.append_value(bytes).map_err(|_| not(text, format!("binary({})", self.width)))
    }

    fn json(&mut self, node: &Node<'_>) -> Result<(), Misfit> {
        match &node.value {
            Value::Null => {
                self.null();
                Ok(())
            }
            Value::Text(text) => self.text(text),
            _ => Err(not(node.raw, if self.uuid { "uuid" } else { "a text of base64, which binary values are written in" })),
        }
    }

    fn null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}

/// Lists, and maps as lists of pairs.
struct List {
    items: Box<dyn Build>,
    item: FieldRef,
    ends: Vec<i32>,
    valid: Vec<bool>,
    ty: Type,
    pairs: bool,
}

impl List {
    fn close(&mut self, added: usize, valid: bool) -> Result<(), Misfit> {
        let end = self.ends.last().copied().unwrap_or(0).checked_add(i32::try_from(added).unwrap_or(i32::MAX));
        self.ends.push(end.ok_or_else(|| Misfit::new("", "makes a batch with more than 2^31 items"))?);
        self.valid.push(valid);
        Ok(())
    }
}

impl Build for List {
    fn text(&mut self, text: &str) -> Result<(), Misfit> {
        let ty = self.ty.clone();
        nested(self, text, &ty)
    }

    fn json(&mut self, node: &Node<'_>) -> Result<(), Misfit> {
        match &node.value {
            Value::Null => {
                self.null();
                Ok(())
            }
            Value::List(items) => {
                for item in items {
                    self.items.json(item)?;
                }
                self.close(items.len(), true)
            }
            // An object of a map's keys and values.
            Value::Object(fields) if self.pairs => {
                for (name, value) in fields {
                    let mut raw = String::new();
                    node::push_string(name, &mut raw);
                    let key = Node { raw: &raw, value: Value::Text(name.as_ref().into()) };
                    let entry = vec![("key".into(), key), ("value".into(), value.clone())];
                    self.items.json(&Node { raw: node.raw, value: Value::Object(entry) })?;
                }
                self.close(fields.len(), true)
            }
            _ => Err(not(node.raw, &self.ty)),
        }
    }

    fn null(&mut self) {
        let end = self.ends.last().copied().unwrap_or(0);
        self.ends.push(end);
        self.valid.push(false);
    }

    fn finish(&mut self) -> ArrayRef {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.ends, vec![0])));
        Arc::new(ListArray::new(self.item.clone(), offsets, self.items.finish(), nulls(&mut self.valid)))
    }
}

struct Struct {
    children: Vec<Box<dyn Build>>,
    fields: Vec<(String, Type)>,
    arrow: Fields,
    valid: Vec<bool>,
    ty: Type,
}

impl Build for Struct {
    fn text(&mut self, text: &str) -> Result<(), Misfit> {
        let ty = self.ty.clone();
        nested(self, text, &ty)
    }

    fn json(&mut self, node: &Node<'_>) -> Result<(), Misfit> {
        let fields = match &node.value {
            Value::Null => {
                self.null();
                return Ok(());
            }
            Value::Object(fields) => fields,
            _ => return Err(not(node.raw, &self.ty)),
        };
        if let Some((name, _)) = fields.iter().find(|(name, _)| !self.fields.iter().any(|(known, _)| known == name)) {
            return Err(Misfit::new(node.raw, format!("has the field '{name}', which {} lacks", self.ty)));
        }
        for ((name, _), child) in self.fields.iter().zip(&mut self.children) {
            match fields.iter().find(|(found, _)| found == name) {
                Some((_, value)) => child.json(value)?,
                None => child.null(),
            }
        }
        self.valid.push(true);
        Ok(())
    }

    fn null(&mut self) {
        for child in &mut self.children {
            child.null();
        }
        self.valid.push(false);
    }

    fn finish(&mut self) -> ArrayRef {
        let rows = self.valid.len();
        let nulls = nulls(&mut self.valid);
        if self.children.is_empty() {
            return Arc::new(StructArray::new_empty_fields(rows, nulls));
        }
        Arc::new(StructArray::new(self.arrow.clone(), self.children.iter_mut().map(|child| child.finish()).collect(), nulls))
    }
}

/// Embeddings and tensors.
struct Fixed {
    items: Box<dyn Build>,
    item: FieldRef,
    shape: Vec<u32>,
    valid: Vec<bool>,
    ty: Type,
}

impl Fixed {
    fn size(shape: &[u32]) -> usize {
        shape.iter().map(|d| *d as usize).product()
    }

    /// Adds the numbers of a list nested as `shape` says.
    fn add(&mut self, node: &Node<'_>, depth: usize) -> Result<(), Misfit> {
        let Some(extent) = self.shape.get(depth).map(|d| *d as usize) else { return self.items.json(node) };
        match &node.value {
            Value::List(items) if items.len() == extent => items.iter().try_for_each(|item| self.add(item, depth + 1)),
            Value::List(items) => Err(Misfit::new(node.raw, format!("has {} items, not the {extent} of {}", items.len(), self.ty))),
            _ => Err(not(node.raw, &self.ty)),
        }
    }
}

impl Build for Fixed {
    fn text(&mut self, text: &str) -> Result<(), Misfit> {
        let ty = self.ty.clone();
        nested(self, text, &ty)
    }

    fn json(&mut self, node: &Node<'_>) -> Result<(), Misfit> {
        match &node.value {
            Value::Null => {
                self.null();
                return Ok(());
            }
            // All the numbers in one flat list are fine too.
            Value::List(items) if items.len() == Self::size(&self.shape) && !items.iter().any(|i| matches!(i.value, Value::List(_))) => {
                items.iter().try_for_each(|item| self.items.json(item))?;
            }
            _ => self.add(node, 0)?,
        }
        self.valid.push(true);
        Ok(())
    }

    fn null(&mut self) {
        for _ in 0..Self::size(&self.shape) {
            self.items.null();
        }
        self.valid.push(false);
    }

    fn finish(&mut self) -> ArrayRef {
        let size = i32::try_from(Self::size(&self.shape)).unwrap_or(i32::MAX);
        Arc::new(FixedSizeListArray::new(self.item.clone(), size, self.items.finish(), nulls(&mut self.valid)))
    }
}
