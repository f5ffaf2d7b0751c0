//! JSON in SQL, as PostgreSQL has it: `->`, `->>`, `#>`, `#>>`, `@>`, `<@`, `?`, `?|`, `?&`, and the functions `jsonb_typeof`, `jsonb_array_length`,
//! `jsonb_object_keys`, `jsonb_extract_path` and `jsonb_extract_path_text`, each also as `json_...`.
//!
//! JSON is text, in columns of that type or any other text. Parts of it are given as they are written, as PostgreSQL's `json` does. Text that is no JSON is an error; what is
//! not there is null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListBuilder, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::format::Type;

use super::QueryError;
use super::error::type_name;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    /// A part, by one step or several, as JSON or as text.
    Part {
        path: bool,
        text: bool,
    },
    /// The first holds the second.
    Contains,
    /// One of some keys is there, or all of them are.
    Has {
        all: bool,
    },
    TypeOf,
    Length,
    Keys,
}

use What::{Contains, Has, Keys, Length, Part, TypeOf};

/// All functions on JSON, by each of their names.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let all = [
        ("typeof", TypeOf),
        ("array_length", Length),
        ("object_keys", Keys),
        ("extract_path", Part { path: true, text: false }),
        ("extract_path_text", Part { path: true, text: true }),
        ("contains", Contains),
    ];
    let both = all.into_iter().flat_map(|(name, what)| [format!("jsonb_{name}"), format!("json_{name}")].map(|name| Arc::new(function(name, what))));
    both.collect()
}

fn function(name: String, what: What) -> ScalarUDF {
    ScalarUDF::new_from_impl(JsonFunction { name, what, signature: Signature::user_defined(Volatility::Immutable) })
}

/// What an operator means, where it is one on JSON: not between lists, for which DataFusion has `@>`.
pub fn operator(text: &str, left: &Expr, right: &Expr, schema: &datafusion::common::DFSchema) -> Option<Expr> {
    let is_text = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null));
    let (what, turned) = match text {
        "->" => (Part { path: false, text: false }, false),
        "->>" => (Part { path: false, text: true }, false),
        "#>" => (Part { path: true, text: false }, false),
        "#>>" => (Part { path: true, text: true }, false),
        "@>" => (Contains, false),
        "<@" => (Contains, true),
        "?" | "?|" => (Has { all: false }, false),
        "?&" => (Has { all: true }, false),
        _ => return None,
    };
    if !is_text(left) || (what == Contains && !is_text(right)) {
        return None;
    }
    let args = if turned { vec![right.clone(), left.clone()] } else { vec![left.clone(), right.clone()] };
    Some(function(text.to_owned(), what).call(args))
}

fn refused(why: impl Into<String>) -> DataFusionError {
    QueryError::Refused(why.into()).into()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonFunction {
    name: String,
    what: What,
    signature: Signature,
}

impl ScalarUDFImpl for JsonFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.what {
            Part { .. } | TypeOf => DataType::Utf8,
            Contains | Has { .. } => DataType::Boolean,
            Length => DataType::Int64,
            Keys => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(match self.what {
            Part { text: false, .. } => Type::Json.field(self.name(), true),
            _ => Field::new(self.name(), self.return_type(&types)?, true),
        }))
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let many = matches!(self.what, Part { path: true, .. }) && self.name.starts_with("json");
        let wanted = if matches!(self.what, TypeOf | Length | Keys) { 1 } else { 2 };
        if given.len() < wanted || (given.len() > wanted && !many) {
            return Err(refused(format!("{} takes {wanted} arguments, not {}", self.name, given.len())));
        }
        let lists = || DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        let coerced = given.iter().enumerate().map(|(i, ty)| match ty {
            DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(DataType::Utf8),
            integer if i > 0 && integer.is_integer() && matches!(self.what, Part { path: false, .. }) => Ok(DataType::Int64),
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) if i > 0 && matches!(self.what, Part { path: true, .. } | Has { .. }) => {
                Ok(lists())
            }
            other => Err(refused(format!("{} does not take {}", self.name, type_name(other)))),
        });
        coerced.collect()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.clone().into_array(rows)).collect::<Result<Vec<_>>>()?;
        let Some((json, rest)) = arrays.split_first() else { return Err(refused(format!("{} takes JSON", self.name))) };
        let values = self.evaluate(&cast(json, &DataType::Utf8)?, rest)?;
        if is_scalar { Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&values, 0)?)) } else { Ok(ColumnarValue::Array(values)) }
    }
}

impl JsonFunction {
    fn evaluate(&self, json: &ArrayRef, rest: &[ArrayRef]) -> Result<ArrayRef> {
        let json = json.as_string::<i32>();
        let each = |row: usize| json.is_valid(row).then(|| json.value(row));
        let rows = 0..json.len();
        Ok(match self.what {
            Part { text, .. } => {
                let mut parts = StringBuilder::new();
                for row in rows {
                    match each(row).map(|json| Ok::<_, DataFusionError>((json, steps(rest, row, self.what)?))).transpose()? {
                        Some((json, Some(steps))) => parts.append_option(part(json, &steps, text)?),
                        _ => parts.append_null(),
                    }
                }
                Arc::new(parts.finish())
            }
            Contains => {
                let other = rest.first().map(|other| cast(other, &DataType::Utf8)).transpose()?;
                let Some(other) = other.as_ref().and_then(|other| other.as_string_opt::<i32>()) else { return Err(refused("@> takes JSON")) };
                let holds = |row: usize| match (each(row), other.is_valid(row)) {
                    (Some(json), true) => Ok::<_, DataFusionError>(Some(contains(&parsed(json)?, &parsed(other.value(row))?))),
                    _ => Ok(None),
                };
                Arc::new(rows.map(holds).collect::<Result<BooleanArray>>()?)
            }
            Has { all } => {
                let mut found = Vec::with_capacity(json.len());
                for row in rows {
                    found.push(match (each(row), steps(rest, row, self.what)?) {
                        (Some(json), Some(keys)) => {
                            let value = parsed(json)?;
                            let has = |step: &Step| matches!(step, Step::Key(key) if has(&value, key));
                            Some(if all { keys.iter().all(has) } else { keys.iter().any(has) })
                        }
                        _ => None,
                    });
                }
                Arc::new(BooleanArray::from(found))
            }
            TypeOf => {
                let names = rows.map(|row| each(row).map(|json| Ok(kind(raw(json)?.get()))).transpose()).collect::<Result<StringArray>>()?;
                Arc::new(names)
            }
            Length => {
                let length = |json: &str| match serde_json::from_str::<Vec<&RawValue>>(json) {
                    Ok(items) => Ok(items.len() as i64),
                    Err(_) => Err(refused(format!("{} takes an array, not {}", self.name, kind(raw(json)?.get())))),
                };
                Arc::new(rows.map(|row| each(row).map(length).transpose()).collect::<Result<Int64Array>>()?)
            }
            Keys => {
                let mut keys = ListBuilder::new(StringBuilder::new());
                for row in rows {
                    let Some(json) = each(row) else {
                        keys.append_null();
                        continue;
                    };
                    let Value::Object(object) = parsed(json)? else {
                        return Err(refused(format!("{} takes an object, not {}", self.name, kind(raw(json)?.get()))));
                    };
                    object.keys().for_each(|key| keys.values().append_value(key));
                    keys.append(true);
                }
                Arc::new(keys.finish())
            }
        })
    }
}

/// A step into JSON.
enum Step {
    /// The field of an object; of an array, the item that the digits count.
    Key(String),
    /// The item of an array, from the end where it is negative.
    Item(i64),
}

/// The steps that arguments name in one row; `None` where one is null.
fn steps(args: &[ArrayRef], row: usize, what: What) -> Result<Option<Vec<Step>>> {
    let path = matches!(what, Part { path: true, .. }) && args.len() == 1;
    let mut steps = Vec::new();
    for arg in args {
        if arg.is_null(row) {
            return Ok(None);
        }
        if let Some(numbers) = arg.as_primitive_opt::<Int64Type>() {
            steps.push(Step::Item(numbers.value(row)));
        } else if let Some(lists) = arg.as_list_opt::<i32>() {
            let keys = cast(&lists.value(row), &DataType::Utf8)?;
            let Some(keys) = keys.as_string_opt::<i32>().filter(|keys| keys.null_count() == 0) else { return Ok(None) };
            steps.extend(keys.iter().flatten().map(|key| Step::Key(key.to_owned())));
        } else {
            let text = cast(arg, &DataType::Utf8)?;
            let text = text.as_string::<i32>().value(row).to_owned();
            // A list as PostgreSQL writes it: '{a,b}'.
            match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).filter(|_| path) {
                Some("") => {}
                Some(list) => steps.extend(list.split(',').map(|key| Step::Key(key.trim().trim_matches('"').to_owned()))),
                None => steps.push(Step::Key(text)),
            }
        }
    }
    Ok(Some(steps))
}

fn no_json(json: &str, error: &serde_json::Error) -> DataFusionError {
    let shown: String = json.chars().take(40).collect();
    refused(format!("'{shown}' is no JSON: {error}"))
}

fn raw(json: &str) -> Result<&RawValue> {
    serde_json::from_str(json).map_err(|e| no_json(json, &e))
}

fn parsed(json: &str) -> Result<Value> {
    serde_json::from_str(json).map_err(|e| no_json(json, &e))
}

/// What kind of JSON a text begins.
fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// A part of JSON as it is written; as text, a string without its quotes and null as none.
fn part(json: &str, steps: &[Step], text: bool) -> Result<Option<String>> {
    let mut at = raw(json)?;
    for step in steps {
        let next = match (kind(at.get()), step) {
            ("object", Step::Key(key)) => field(at, key)?,
            ("array", Step::Key(key)) => key.parse().ok().map(|item| self::item(at, item)).transpose()?.flatten(),
            ("array", Step::Item(item)) => self::item(at, *item)?,
            _ => None,
        };
        let Some(next) = next else { return Ok(None) };
        at = next;
    }
    match kind(at.get()) {
        "null" if text => Ok(None),
        "string" if text => serde_json::from_str(at.get()).map(Some).map_err(|e| no_json(json, &e)),
        _ => Ok(Some(at.get().to_owned())),
    }
}

/// The last field of that name, as PostgreSQL takes it.
fn field<'a>(json: &'a RawValue, key: &str) -> Result<Option<&'a RawValue>> {
    let fields: Fields<'a> = serde_json::from_str(json.get()).map_err(|e| no_json(json.get(), &e))?;
    Ok(fields.0.into_iter().rev().find(|(name, _)| name == key).map(|(_, value)| value))
}

fn item(json: &RawValue, item: i64) -> Result<Option<&RawValue>> {
    let items: Vec<&RawValue> = serde_json::from_str(json.get()).map_err(|e| no_json(json.get(), &e))?;
    let item = if item < 0 { item + items.len() as i64 } else { item };
    Ok(usize::try_from(item).ok().and_then(|item| items.get(item).copied()))
}

/// The fields of an object in order, their values unread.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<String, &'de RawValue>()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Whether a key is there: a field of an object, a string of an array, or the string itself.
fn has(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(fields) => fields.contains_key(key),
        Value::Array(items) => items.iter().any(|item| item.as_str() == Some(key)),
        Value::String(text) => text == key,
        _ => false,
    }
}

/// PostgreSQL's containment: objects by field, arrays without regard to order and repetition; an array holds a bare value that is one of its items.
fn contains(value: &Value, other: &Value) -> bool {
    fn within(value: &Value, other: &Value) -> bool {
        match (value, other) {
            (Value::Object(fields), Value::Object(others)) => others.iter().all(|(key, other)| fields.get(key).is_some_and(|value| within(value, other))),
            (Value::Array(items), Value::Array(others)) => others.iter().all(|other| items.iter().any(|item| within(item, other))),
            (Value::Number(a), Value::Number(b)) => a == b || (a.as_f64().is_some() && a.as_f64() == b.as_f64()),
            (a, b) => a == b,
        }
    }
    match (value, other) {
        (Value::Array(items), other) if !other.is_array() && !other.is_object() => items.iter().any(|item| within(item, other)),
        _ => within(value, other),
    }
}
