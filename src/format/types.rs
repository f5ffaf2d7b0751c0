//! Column types: their text, their Arrow fields, and the storage types beneath them.

mod parse;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};

use parse::Parser;

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
const MAP_KEY: &str = "dsv.map_key";

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
            List(item)
                if let Struct(fields) = item.data_type()
                    && let [key, value] = &fields[..]
                    && key.metadata().contains_key(MAP_KEY) =>
            {
                Type::Map(Box::new(Type::from_field(key)?), Box::new(Type::from_field(value)?))
            }
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

/// The field of the keys of maps that are computed, with a mark that says so. It is part of the list's data type, and so stays where the extension of the map's own
/// field would be lost.
pub fn marked_key(key: Field) -> Field {
    let mut metadata = key.metadata().clone();
    metadata.insert(MAP_KEY.to_owned(), String::new());
    key.with_metadata(metadata)
}

/// The field of keys without that mark.
pub fn unmarked_key(key: Field) -> Field {
    let mut metadata = key.metadata().clone();
    metadata.remove(MAP_KEY);
    key.with_metadata(metadata)
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
