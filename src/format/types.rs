//! Column types: their text, their Arrow fields, and the storage types beneath them.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};

/// The type of a column. Its text form ([`fmt::Display`], [`FromStr`]) is part of the format.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// A plain Arrow type that stands for itself: numbers, text, dates, ... Never nested; the set is that of docs/format.md.
    Plain(DataType),
    /// JSON text, kept as it was written.
    Json,
    /// 16 bytes.
    Uuid,
    /// A class label, stored as its text; the labels allowed, or none for any.
    Enum(Vec<String>),
    /// A list of values of one type.
    List(Box<Type>),
    /// Named fields.
    Struct(Vec<(String, Type)>),
    /// Key-value pairs, stored as a list of structs.
    Map(Box<Type>, Box<Type>),
    /// A vector of so many numbers: float32, or float16 if `half`.
    Embedding { dim: u32, half: bool },
    /// A tensor of fixed shape, row-major; the element is a number.
    Tensor { shape: Vec<u32>, element: DataType },
    /// An encoded image.
    Image,
    /// Encoded audio.
    Audio,
    /// An encoded video.
    Video,
}

/// Why a type was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// Text that is no type.
    #[error("'{text}' is not a type: {reason}")]
    Text { text: String, reason: String },
    /// An Arrow type that dsv has no place for.
    #[error("Arrow type {0} is not supported")]
    Arrow(String),
}

const EXTENSION_NAME: &str = "ARROW:extension:name";
const EXTENSION_METADATA: &str = "ARROW:extension:metadata";

impl Type {
    /// text
    pub const TEXT: Type = Type::Plain(DataType::Utf8);
    /// binary
    pub const BINARY: Type = Type::Plain(DataType::Binary);
    /// bool
    pub const BOOL: Type = Type::Plain(DataType::Boolean);
    /// int64
    pub const INT64: Type = Type::Plain(DataType::Int64);
    /// float64
    pub const FLOAT64: Type = Type::Plain(DataType::Float64);

    /// The Arrow type that its values are stored in: without extension, children called `item`, `key`, `value`, all nullable.
    pub fn storage(&self) -> DataType {
        match self {
            Type::Plain(t) => t.clone(),
            Type::Json | Type::Enum(_) => DataType::Utf8,
            Type::Uuid => DataType::FixedSizeBinary(16),
            Type::List(item) => DataType::List(child("item", item.storage())),
            Type::Struct(fields) => DataType::Struct(fields.iter().map(|(n, t)| child(n, t.storage())).collect()),
            Type::Map(key, value) => {
                let entries = Fields::from(vec![child("key", key.storage()), child("value", value.storage())]);
                DataType::List(child("item", DataType::Struct(entries)))
            }
            Type::Embedding { dim, half } => {
                let item = if *half { DataType::Float16 } else { DataType::Float32 };
                DataType::FixedSizeList(child("item", item), *dim as i32)
            }
            Type::Tensor { shape, element } => DataType::FixedSizeList(child("item", element.clone()), shape.iter().product::<u32>() as i32),
            Type::Image | Type::Audio | Type::Video => DataType::Binary,
        }
    }

    /// The Arrow field of a column of this type: its storage type, with Arrow's canonical extension where one exists (`arrow.json`,
    /// `arrow.uuid`, `arrow.fixed_shape_tensor`), else one of dsv's (`dsv.enum`, `dsv.embedding`, `dsv.map`, `dsv.image`, ...).
    pub fn field(&self, name: &str, nullable: bool) -> Field {
        let data_type = match self {
            // Nested extension types keep theirs on the child's field.
            Type::List(item) => DataType::List(Arc::new(item.field("item", true))),
            Type::Struct(fields) => DataType::Struct(fields.iter().map(|(n, t)| t.field(n, true)).collect()),
            Type::Map(key, value) => {
                let entries = Fields::from(vec![key.field("key", true), value.field("value", true)]);
                DataType::List(child("item", DataType::Struct(entries)))
            }
            _ => self.storage(),
        };
        let field = Field::new(name, data_type, nullable);
        let Some((extension, metadata)) = self.extension() else { return field };
        field.with_metadata(HashMap::from([(EXTENSION_NAME.to_owned(), extension.to_owned()), (EXTENSION_METADATA.to_owned(), metadata)]))
    }

    fn extension(&self) -> Option<(&'static str, String)> {
        Some(match self {
            Type::Plain(_) | Type::List(_) | Type::Struct(_) => return None,
            Type::Json => ("arrow.json", String::new()),
            Type::Uuid => ("arrow.uuid", String::new()),
            Type::Tensor { shape, .. } => ("arrow.fixed_shape_tensor", serde_json::json!({ "shape": shape }).to_string()),
            Type::Enum(labels) => ("dsv.enum", serde_json::json!(labels).to_string()),
            Type::Embedding { .. } => ("dsv.embedding", String::new()),
            Type::Map(..) => ("dsv.map", String::new()),
            Type::Image => ("dsv.image", String::new()),
            Type::Audio => ("dsv.audio", String::new()),
            Type::Video => ("dsv.video", String::new()),
        })
    }

    /// The type that an Arrow field maps to. Dictionaries, views, large and run-end-encoded types map to what they hold; a
    /// `Null` field becomes text. Errors with [`TypeError::Arrow`] on types that have no place (intervals, unions).
    pub fn from_field(field: &Field) -> Result<Type, TypeError> {
        let metadata = || field.metadata().get(EXTENSION_METADATA).map(String::as_str).unwrap_or("");
        let plain = Type::from_arrow(field.data_type())?;
        let known = match (field.metadata().get(EXTENSION_NAME).map(String::as_str), &plain) {
            (Some("arrow.json"), Type::Plain(DataType::Utf8)) => Some(Type::Json),
            (Some("arrow.uuid"), Type::Plain(DataType::FixedSizeBinary(16))) => Some(Type::Uuid),
            (Some("arrow.fixed_shape_tensor"), Type::Embedding { .. } | Type::Tensor { .. }) => tensor(field.data_type(), metadata()),
            (Some("dsv.enum"), Type::Plain(DataType::Utf8)) => Some(Type::Enum(serde_json::from_str(metadata()).unwrap_or_default())),
            (Some("dsv.map"), Type::List(item)) => match &**item {
                Type::Struct(fields) if fields.len() == 2 => Some(Type::Map(Box::new(fields[0].1.clone()), Box::new(fields[1].1.clone()))),
                _ => None,
            },
            (Some("dsv.image"), Type::Plain(DataType::Binary)) => Some(Type::Image),
            (Some("dsv.audio"), Type::Plain(DataType::Binary)) => Some(Type::Audio),
            (Some("dsv.video"), Type::Plain(DataType::Binary)) => Some(Type::Video),
            _ => None,
        };
        Ok(known.unwrap_or(plain))
    }

    fn from_arrow(data_type: &DataType) -> Result<Type, TypeError> {
        use DataType::*;
        Ok(match data_type {
            Null | Utf8 | LargeUtf8 | Utf8View => Type::TEXT,
            Binary | LargeBinary | BinaryView => Type::BINARY,
            Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Float16 | Float32 | Float64 | Date32 | Decimal256(..)
            | Timestamp(..) | Duration(_) => Type::Plain(data_type.clone()),
            Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s) => Type::Plain(Decimal128(*p, *s)),
            FixedSizeBinary(n) if *n > 0 => Type::Plain(data_type.clone()),
            Date64 => Type::Plain(Timestamp(TimeUnit::Millisecond, None)),
            Time32(_) | Time64(_) => Type::Plain(data_type.clone()),
            List(item) | LargeList(item) | ListView(item) | LargeListView(item) => Type::List(Box::new(Type::from_field(item)?)),
            FixedSizeList(item, n) if *n > 0 => match Type::from_field(item)? {
                Type::Plain(Float32) => Type::Embedding { dim: *n as u32, half: false },
                Type::Plain(Float16) => Type::Embedding { dim: *n as u32, half: true },
                Type::Plain(element) if element.is_numeric() && element.primitive_width().is_some_and(|w| w <= 8) => {
                    Type::Tensor { shape: vec![*n as u32], element }
                }
                other => Type::List(Box::new(other)),
            },
            Struct(fields) => Type::Struct(fields.iter().map(|f| Ok((f.name().clone(), Type::from_field(f)?))).collect::<Result<_, TypeError>>()?),
            Map(entries, _) => match entries.data_type() {
                Struct(fields) if fields.len() == 2 => Type::Map(Box::new(Type::from_field(&fields[0])?), Box::new(Type::from_field(&fields[1])?)),
                _ => return Err(TypeError::Arrow(data_type.to_string())),
            },
            Dictionary(_, values) => Type::from_arrow(values)?,
            RunEndEncoded(_, values) => Type::from_field(values)?,
            _ => return Err(TypeError::Arrow(data_type.to_string())),
        })
    }

    /// True for image, audio and video: cells that are whole files.
    pub fn is_media(&self) -> bool {
        matches!(self, Type::Image | Type::Audio | Type::Video)
    }
}

/// A nullable child field without metadata, as storage types have it.
pub fn child(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, true))
}

fn tensor(data_type: &DataType, metadata: &str) -> Option<Type> {
    let DataType::FixedSizeList(item, n) = data_type else { return None };
    let json: serde_json::Value = serde_json::from_str(metadata).ok()?;
    let shape: Vec<u32> = serde_json::from_value(json.get("shape")?.clone()).ok()?;
    let size = shape.iter().try_fold(1u32, |n, d| n.checked_mul(*d))?;
    (size == *n as u32).then(|| Type::Tensor { shape, element: item.data_type().clone() })
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Plain(t) => plain_text(t, f),
            Type::Json => f.write_str("json"),
            Type::Uuid => f.write_str("uuid"),
            Type::Enum(labels) if labels.is_empty() => f.write_str("enum"),
            Type::Enum(labels) => {
                for (i, label) in labels.iter().enumerate() {
                    f.write_str(if i == 0 { "enum(" } else { "," })?;
                    quoted(label, f)?;
                }
                f.write_str(")")
            }
            Type::List(item) => write!(f, "list<{item}>"),
            Type::Struct(fields) => {
                f.write_str("struct<")?;
                for (i, (name, t)) in fields.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { ", " })?;
                    if is_plain_word(name) {
                        f.write_str(name)?
                    } else {
                        quoted(name, f)?
                    }
                    write!(f, ": {t}")?;
                }
                f.write_str(">")
            }
            Type::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Type::Embedding { dim, half: false } => write!(f, "embedding({dim})"),
            Type::Embedding { dim, half: true } => write!(f, "embedding({dim},float16)"),
            Type::Tensor { shape, element } => {
                f.write_str("tensor(")?;
                for (i, d) in shape.iter().enumerate() {
                    write!(f, "{}{d}", if i == 0 { "" } else { "x" })?;
                }
                f.write_str(",")?;
                plain_text(element, f)?;
                f.write_str(")")
            }
            Type::Image => f.write_str("image"),
            Type::Audio => f.write_str("audio"),
            Type::Video => f.write_str("video"),
        }
    }
}

fn unit_text(unit: &TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

fn plain_text(t: &DataType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use DataType::*;
    match t {
        Boolean => f.write_str("bool"),
        Utf8 => f.write_str("text"),
        Binary => f.write_str("binary"),
        FixedSizeBinary(n) => write!(f, "binary({n})"),
        Date32 => f.write_str("date"),
        Time32(unit) | Time64(unit) => write!(f, "time({})", unit_text(unit)),
        Duration(unit) => write!(f, "duration({})", unit_text(unit)),
        Timestamp(unit, None) => write!(f, "timestamp({})", unit_text(unit)),
        Timestamp(unit, Some(zone)) => {
            write!(f, "timestamp({},", unit_text(unit))?;
            if is_plain_zone(zone) {
                f.write_str(zone)?
            } else {
                quoted(zone, f)?
            }
            f.write_str(")")
        }
        Decimal128(p, s) => write!(f, "decimal({p},{s})"),
        Decimal256(p, s) => write!(f, "decimal256({p},{s})"),
        number => write!(f, "{}", number.to_string().to_ascii_lowercase()),
    }
}

fn is_plain_word(s: &str) -> bool {
    s.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_plain_zone(s: &str) -> bool {
    !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || "_/+-:".contains(c))
}

fn quoted(s: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\"{}\"", s.replace('"', "\"\""))
}

/// The storage type as the format writes it: `fixed_list<T,N>` for vectors, otherwise as a [`Type`].
pub fn storage_text(t: &DataType) -> String {
    match t {
        DataType::FixedSizeList(item, n) => format!("fixed_list<{},{n}>", storage_text(item.data_type())),
        DataType::List(item) => format!("list<{}>", storage_text(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| {
                    let name = field.name();
                    let name = if is_plain_word(name) { name.clone() } else { format!("\"{}\"", name.replace('"', "\"\"")) };
                    format!("{name}: {}", storage_text(field.data_type()))
                })
                .collect();
            format!("struct<{}>", fields.join(", "))
        }
        plain => Type::Plain(plain.clone()).to_string(),
    }
}

/// The storage type that such a text means.
pub fn parse_storage(text: &str) -> Result<DataType, TypeError> {
    Parser::new(text).whole(Parser::storage)
}

impl FromStr for Type {
    type Err = TypeError;

    /// Besides the canonical text: common other names (`string`, `int`, `float`, `double`, `timestamp`, `varchar`, ...), any case and spacing.
    fn from_str(text: &str) -> Result<Type, TypeError> {
        Parser::new(text).whole(Parser::column)
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Parser { text, at: 0, depth: 0 }
    }

    fn whole<T>(mut self, parse: impl FnOnce(&mut Self) -> Result<T, TypeError>) -> Result<T, TypeError> {
        let t = parse(&mut self)?;
        self.space();
        if self.at < self.text.len() { Err(self.fail(format!("unexpected '{}'", &self.text[self.at..]))) } else { Ok(t) }
    }

    fn fail(&self, reason: impl Into<String>) -> TypeError {
        TypeError::Text { text: self.text.to_owned(), reason: reason.into() }
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.text[self.at..].trim_start().len();
    }

    fn eat(&mut self, c: char) -> bool {
        self.space();
        let found = self.text[self.at..].starts_with(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn expect(&mut self, c: char) -> Result<(), TypeError> {
        if self.eat(c) { Ok(()) } else { Err(self.fail(format!("expected '{c}' at '{}'", &self.text[self.at..]))) }
    }

    fn while_(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        self.space();
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn number<T: FromStr>(&mut self) -> Result<T, TypeError> {
        let digits = self.while_(|c| c.is_ascii_digit() || c == '-');
        digits.parse().map_err(|_| self.fail(format!("expected a number, found '{digits}'")))
    }

    /// A word, or any text in double quotes.
    fn name(&mut self, plain: impl Fn(char) -> bool) -> Result<String, TypeError> {
        if !self.eat('"') {
            let word = self.while_(plain);
            return if word.is_empty() { Err(self.fail("expected a name")) } else { Ok(word.to_owned()) };
        }
        let mut name = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(end) = rest.find('"') else { return Err(self.fail("a quote is not closed")) };
            name.push_str(&rest[..end]);
            self.at += end + 1;
            if !self.text[self.at..].starts_with('"') {
                return Ok(name);
            }
            self.at += 1;
            name.push('"');
        }
    }

    fn unit(&mut self) -> Result<TimeUnit, TypeError> {
        match self.while_(|c| c.is_ascii_alphabetic()) {
            "s" => Ok(TimeUnit::Second),
            "ms" => Ok(TimeUnit::Millisecond),
            "us" => Ok(TimeUnit::Microsecond),
            "ns" => Ok(TimeUnit::Nanosecond),
            other => Err(self.fail(format!("'{other}' is not a time unit: s, ms, us or ns"))),
        }
    }

    fn optional_unit(&mut self) -> Result<TimeUnit, TypeError> {
        if !self.eat('(') {
            return Ok(TimeUnit::Microsecond);
        }
        let unit = self.unit()?;
        self.expect(')')?;
        Ok(unit)
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, TypeError>) -> Result<T, TypeError> {
        // Types come from files that may be hostile: bounded recursion.
        if self.depth == 64 {
            return Err(self.fail("nested more than 64 deep"));
        }
        self.depth += 1;
        let t = parse(self);
        self.depth -= 1;
        t
    }

    fn fields<T>(&mut self, parse: impl Fn(&mut Self) -> Result<T, TypeError> + Copy) -> Result<Vec<(String, T)>, TypeError> {
        let mut fields: Vec<(String, T)> = Vec::new();
        self.expect('<')?;
        while !self.eat('>') {
            if !fields.is_empty() {
                self.expect(',')?;
            }
            let name = self.name(|c| c.is_alphanumeric() || c == '_')?;
            self.expect(':')?;
            fields.push((name, self.deeper(parse)?));
        }
        Ok(fields)
    }

    fn storage(&mut self) -> Result<DataType, TypeError> {
        let start = self.at;
        match self.while_(|c| c.is_ascii_alphanumeric() || c == '_') {
            "fixed_list" => {
                self.expect('<')?;
                let item = self.deeper(Self::storage)?;
                self.expect(',')?;
                let n: i32 = self.number()?;
                self.expect('>')?;
                if n < 1 { Err(self.fail("a fixed list has at least one item")) } else { Ok(DataType::FixedSizeList(child("item", item), n)) }
            }
            "list" => {
                self.expect('<')?;
                let item = self.deeper(Self::storage)?;
                self.expect('>')?;
                Ok(DataType::List(child("item", item)))
            }
            "struct" => Ok(DataType::Struct(self.fields(Self::storage)?.into_iter().map(|(n, t)| child(&n, t)).collect())),
            _ => {
                self.at = start;
                match self.column()? {
                    Type::Plain(t) => Ok(t),
                    _ => Err(self.fail("not a storage type")),
                }
            }
        }
    }

    fn column(&mut self) -> Result<Type, TypeError> {
        use DataType::*;
        let word = self.while_(|c| c.is_ascii_alphanumeric() || c == '_').to_ascii_lowercase();
        let plain = match word.as_str() {
            "bool" | "boolean" => Boolean,
            "int8" => Int8,
            "int16" | "smallint" => Int16,
            "int32" | "int" | "integer" => Int32,
            "int64" | "bigint" | "long" => Int64,
            "uint8" => UInt8,
            "uint16" => UInt16,
            "uint32" => UInt32,
            "uint64" => UInt64,
            "float16" | "half" => Float16,
            "float32" | "float" | "real" => Float32,
            "float64" | "double" => Float64,
            "text" | "string" | "str" | "utf8" | "varchar" => Utf8,
            "binary" | "bytes" | "bytea" => {
                if !self.eat('(') {
                    return Ok(Type::BINARY);
                }
                let n: i32 = self.number()?;
                self.expect(')')?;
                if n < 1 {
                    return Err(self.fail("binary(N) has at least one byte"));
                }
                FixedSizeBinary(n)
            }
            "date" | "date32" => Date32,
            "time" => match self.optional_unit()? {
                unit @ (TimeUnit::Second | TimeUnit::Millisecond) => Time32(unit),
                unit => Time64(unit),
            },
            "duration" => Duration(self.optional_unit()?),
            "timestamptz" => Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            "timestamp" | "datetime" => {
                if !self.eat('(') {
                    return Ok(Type::Plain(Timestamp(TimeUnit::Microsecond, None)));
                }
                let unit = self.unit()?;
                let zone = if self.eat(',') { Some(self.name(|c| c.is_ascii_alphanumeric() || "_/+-:".contains(c))?) } else { None };
                self.expect(')')?;
                Timestamp(unit, zone.map(Into::into))
            }
            "decimal" | "numeric" | "decimal256" => {
                self.expect('(')?;
                let precision: u8 = self.number()?;
                let scale: i8 = if self.eat(',') { self.number()? } else { 0 };
                self.expect(')')?;
                let widest = if word == "decimal256" { 76 } else { 38 };
                if precision < 1 || precision > widest || scale.unsigned_abs() > precision {
                    return Err(self.fail(format!("precision goes from 1 to {widest}, scale up to the precision")));
                }
                if word == "decimal256" { Decimal256(precision, scale) } else { Decimal128(precision, scale) }
            }
            "json" | "jsonb" => return Ok(Type::Json),
            "uuid" => return Ok(Type::Uuid),
            "image" => return Ok(Type::Image),
            "audio" => return Ok(Type::Audio),
            "video" => return Ok(Type::Video),
            "enum" => {
                let mut labels = Vec::new();
                if self.eat('(') {
                    while !self.eat(')') {
                        if !labels.is_empty() {
                            self.expect(',')?;
                        }
                        let label = self.name(|c| c.is_alphanumeric() || "_-.".contains(c))?;
                        if labels.contains(&label) {
                            return Err(self.fail(format!("label '{label}' stands twice")));
                        }
                        labels.push(label);
                    }
                }
                return Ok(Type::Enum(labels));
            }
            "list" | "array" => {
                self.expect('<')?;
                let item = self.deeper(Self::column)?;
                self.expect('>')?;
                return Ok(Type::List(Box::new(item)));
            }
            "struct" => return Ok(Type::Struct(self.fields(Self::column)?)),
            "map" => {
                self.expect('<')?;
                let key = self.deeper(Self::column)?;
                self.expect(',')?;
                let value = self.deeper(Self::column)?;
                self.expect('>')?;
                return Ok(Type::Map(Box::new(key), Box::new(value)));
            }
            "embedding" | "vector" => {
                self.expect('(')?;
                let dim: u32 = self.number()?;
                let half = if self.eat(',') {
                    match self.while_(|c| c.is_ascii_alphanumeric()) {
                        "float32" => false,
                        "float16" => true,
                        other => return Err(self.fail(format!("an embedding is of float32 or float16, not '{other}'"))),
                    }
                } else {
                    false
                };
                self.expect(')')?;
                if dim == 0 || dim > 1 << 20 {
                    return Err(self.fail("an embedding has from 1 to 1048576 numbers"));
                }
                return Ok(Type::Embedding { dim, half });
            }
            "tensor" => {
                self.expect('(')?;
                let mut shape = vec![self.number::<u32>()?];
                while self.eat('x') {
                    shape.push(self.number()?);
                }
                self.expect(',')?;
                let element = match self.deeper(Self::column)? {
                    Type::Plain(t) if t.is_numeric() && t.primitive_width().is_some_and(|w| w <= 8) => t,
                    other => return Err(self.fail(format!("a tensor holds integers or floats, not {other}"))),
                };
                self.expect(')')?;
                let size = shape.iter().try_fold(1u32, |n, d| n.checked_mul(*d));
                if !size.is_some_and(|n| (1..=1 << 28).contains(&n)) {
                    return Err(self.fail("a tensor has from 1 to 268435456 numbers"));
                }
                return Ok(Type::Tensor { shape, element });
            }
            "" => return Err(self.fail("a type is missing")),
            other => return Err(self.fail(format!("there is no type '{other}'"))),
        };
        Ok(Type::Plain(plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANONICAL: &[&str] = &[
        "bool",
        "int8",
        "uint64",
        "float16",
        "float64",
        "decimal(10,2)",
        "decimal256(50,-3)",
        "text",
        "binary",
        "binary(3)",
        "date",
        "time(s)",
        "time(ns)",
        "timestamp(ms)",
        "timestamp(us,UTC)",
        "timestamp(ns,+02:00)",
        "timestamp(s,\"odd zone\")",
        "duration(us)",
        "json",
        "uuid",
        "enum",
        "enum(\"a\",\"it's \"\"b\"\"\")",
        "list<list<text>>",
        "struct<a: int32, \"b c\": list<json>>",
        "struct<>",
        "map<text, float32>",
        "embedding(384)",
        "embedding(7,float16)",
        "tensor(3x224x224,uint8)",
        "image",
        "audio",
        "video",
    ];

    #[test]
    fn text_round_trips_and_fields_too() {
        for text in CANONICAL {
            let t: Type = text.parse().unwrap();
            assert_eq!(t.to_string(), *text);
            assert_eq!(Type::from_field(&t.field("x", true)).as_ref(), Ok(&t), "{text}");
            let storage = t.storage();
            assert_eq!(parse_storage(&storage_text(&storage)).as_ref(), Ok(&storage), "{text}");
        }
    }

    #[test]
    fn other_spellings() {
        assert_eq!("String".parse(), Ok(Type::TEXT));
        assert_eq!(" list < BIGINT > ".parse(), Ok(Type::List(Box::new(Type::INT64))));
        assert_eq!("enum(cat, dog)".parse(), Ok(Type::Enum(vec!["cat".into(), "dog".into()])));
    }

    #[test]
    fn bad_texts_say_why() {
        for bad in [
            "",
            "foo",
            "list<",
            "list<int32",
            "decimal(0,0)",
            "decimal(39,0)",
            "embedding(0)",
            "tensor(0x2,uint8)",
            "tensor(65536x65536,uint8)",
            "tensor(2,text)",
            "int32 x",
            "enum(\"a",
            "struct<a int32>",
            "binary(0)",
            "enum(a,a)",
        ] {
            assert!(bad.parse::<Type>().is_err(), "{bad}");
        }
        assert!("list<".repeat(1000).parse::<Type>().is_err());
    }
}
