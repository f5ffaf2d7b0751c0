//! Values of Python as arrays of a column's type. What has no type of its own here (dates, decimals, ...) comes as text, which the library reads.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, ListArray, StringArray, StructArray, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use dsv::format::Type;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::error::Fault;

/// Where a value stands, for errors.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub column: &'a str,
    /// The row of the first value.
    pub row: usize,
}

impl Place<'_> {
    fn fault(&self, row: usize, value: &Bound<'_, PyAny>, wanted: &str) -> Fault {
        let ty = value.get_type().name().map_or_else(|_| "a value".to_owned(), |name| name.to_string());
        let shown = value.repr().map_or_else(|_| String::new(), |text| shortened(&text.to_string()));
        Fault::usage(format!("column '{}', row {}: {ty} {shown} is no {wanted}", self.column, self.row + row))
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The items of a list or a tuple.
pub fn items<'py>(values: &Bound<'py, PyAny>) -> Option<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = values.cast::<PyList>() {
        return Some(list.iter().collect());
    }
    values.cast::<PyTuple>().ok().map(|tuple| tuple.iter().collect())
}

/// The values as an array that the library brings to the column's type, and the type that it has.
pub fn array(values: &[Bound<'_, PyAny>], ty: &Type, place: Place<'_>) -> Result<(ArrayRef, Type), Fault> {
    Ok(match ty {
        Type::Embedding { dim, .. } => (floats(values, *dim as usize, place)?, ty.clone()),
        Type::Tensor { shape, .. } => (floats(values, shape.iter().map(|n| *n as usize).product(), place)?, ty.clone()),
        Type::Image | Type::Audio | Type::Video => (bytes(values, place)?, ty.clone()),
        Type::List(item) => {
            let (array, item) = list(values, item, place)?;
            (array, Type::List(Box::new(item)))
        }
        Type::Struct(fields) => structs(values, fields, place)?,
        Type::Map(key, value) => map(values, key, value, place)?,
        Type::Plain(DataType::Binary | DataType::FixedSizeBinary(_)) => (bytes(values, place)?, Type::BINARY),
        Type::Plain(DataType::Boolean) => {
            let of = |value: &Bound<'_, PyAny>| value.extract::<bool>().ok();
            (Arc::new(BooleanArray::from(scalars(values, place, "bool", of)?)), Type::BOOL)
        }
        Type::Plain(plain) if plain.is_unsigned_integer() => {
            (Arc::new(UInt64Array::from(scalars(values, place, "whole number from 0", whole::<u64>)?)), Type::Plain(DataType::UInt64))
        }
        Type::Plain(plain) if plain.is_integer() => (Arc::new(Int64Array::from(scalars(values, place, "whole number", whole::<i64>)?)), Type::INT64),
        Type::Plain(DataType::Float16 | DataType::Float32 | DataType::Float64) => {
            let of = |value: &Bound<'_, PyAny>| value.extract::<f64>().ok().filter(|_| !value.is_instance_of::<PyString>());
            (Arc::new(Float64Array::from(scalars(values, place, "number", of)?)), Type::FLOAT64)
        }
        Type::Plain(DataType::Utf8) | Type::Enum(_) => (Arc::new(StringArray::from(scalars(values, place, "str", text)?)), Type::TEXT),
        Type::Json => (Arc::new(StringArray::from(scalars(values, place, "str or what json.dumps takes", json)?)), Type::TEXT),
        // Dates, times, decimals, UUIDs: what they print is what the library reads.
        _ => (Arc::new(StringArray::from(scalars(values, place, &ty.to_string(), printed)?)), Type::TEXT),
    })
}

/// True where a value stands for null: None, and the not-a-time and not-available of NumPy and pandas.
fn is_null(value: &Bound<'_, PyAny>) -> bool {
    if value.is_none() {
        return true;
    }
    let name = value.get_type().name().map_or_else(|_| String::new(), |name| name.to_string());
    matches!(name.as_str(), "NaTType" | "NAType")
}

fn scalars<T>(values: &[Bound<'_, PyAny>], place: Place<'_>, wanted: &str, of: impl Fn(&Bound<'_, PyAny>) -> Option<T>) -> Result<Vec<Option<T>>, Fault> {
    let one = |(row, value): (usize, &Bound<'_, PyAny>)| {
        if is_null(value) {
            return Ok(None);
        }
        of(value).map(Some).ok_or_else(|| place.fault(row, value, wanted))
    };
    values.iter().enumerate().map(one).collect()
}

/// An int, a bool, or a scalar of NumPy: whatever Python takes for an index.
fn whole<T: for<'a, 'py> FromPyObject<'a, 'py>>(value: &Bound<'_, PyAny>) -> Option<T> {
    value.extract::<T>().ok()
}

fn text(value: &Bound<'_, PyAny>) -> Option<String> {
    value.cast::<PyString>().ok().and_then(|text| text.extract().ok())
}

fn json(value: &Bound<'_, PyAny>) -> Option<String> {
    if let Some(text) = text(value) {
        return Some(text);
    }
    let dumps = value.py().import("json").ok()?.getattr("dumps").ok()?;
    let options = PyDict::new(value.py());
    options.set_item("ensure_ascii", false).ok()?;
    dumps.call((value,), Some(&options)).ok()?.extract().ok()
}

fn printed(value: &Bound<'_, PyAny>) -> Option<String> {
    if let Some(text) = text(value) {
        return Some(text);
    }
    if let Ok(iso) = value.call_method0("isoformat") {
        return iso.extract().ok();
    }
    value.str().ok().map(|text| text.to_string())
}

fn bytes(values: &[Bound<'_, PyAny>], place: Place<'_>) -> Result<ArrayRef, Fault> {
    let mut all: Vec<Option<Bound<'_, PyBytes>>> = Vec::with_capacity(values.len());
    for (row, value) in values.iter().enumerate() {
        if is_null(value) {
            all.push(None);
            continue;
        }
        let bytes = match value.cast::<PyBytes>() {
            Ok(bytes) => bytes.clone(),
            Err(_) if value.is_instance_of::<PyString>() || value.extract::<i64>().is_ok() => return Err(place.fault(row, value, "bytes")),
            // A bytearray or a memoryview.
            Err(_) => match value.py().get_type::<PyBytes>().call1((value,)).ok().and_then(|made| made.cast_into::<PyBytes>().ok()) {
                Some(bytes) => bytes,
                None => return Err(place.fault(row, value, "bytes")),
            },
        };
        all.push(Some(bytes));
    }
    let total: usize = all.iter().flatten().map(|bytes| bytes.as_bytes().len()).sum();
    if total > i32::MAX as usize {
        return Err(Fault::usage(format!("column '{}': {total} bytes are too many for one call: append fewer rows at a time", place.column)));
    }
    Ok(Arc::new(BinaryArray::from_iter(all.iter().map(|bytes| bytes.as_ref().map(|bytes| bytes.as_bytes())))))
}

fn item_field(item: &Type) -> FieldRef {
    Arc::new(item.field("item", true))
}

/// Vectors of `length` floats each: lists, or the bytes of float32 that the Python side makes of arrays.
fn floats(values: &[Bound<'_, PyAny>], length: usize, place: Place<'_>) -> Result<ArrayRef, Fault> {
    let mut numbers: Vec<f32> = Vec::with_capacity(values.len() * length);
    let mut valid = Vec::with_capacity(values.len());
    for (row, value) in values.iter().enumerate() {
        valid.push(!is_null(value));
        let before = numbers.len();
        if is_null(value) {
            numbers.resize(before + length, 0.0);
            continue;
        }
        if let Ok(bytes) = value.cast::<PyBytes>() {
            numbers.extend(bytes.as_bytes().as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)));
        } else {
            flatten(value, &mut numbers).ok_or_else(|| place.fault(row, value, &format!("list of {length} numbers")))?;
        }
        if numbers.len() - before != length {
            let found = numbers.len() - before;
            return Err(Fault::usage(format!(
                "column '{}', row {}: it has {found} numbers, where the column's type has {length}",
                place.column,
                place.row + row
            )));
        }
    }
    let field = Arc::new(Field::new("item", DataType::Float32, true));
    let nulls = valid.iter().any(|valid| !valid).then(|| NullBuffer::from(valid));
    let made = FixedSizeListArray::try_new(field, length as i32, Arc::new(Float32Array::from(numbers)), nulls);
    Ok(Arc::new(made.map_err(|e| Fault::usage(format!("column '{}': {e}", place.column)))?))
}

/// The numbers of a list, or of lists within it.
fn flatten(value: &Bound<'_, PyAny>, numbers: &mut Vec<f32>) -> Option<()> {
    match items(value) {
        Some(items) => items.iter().try_for_each(|item| flatten(item, numbers)),
        None if value.is_instance_of::<PyString>() => None,
        None => {
            numbers.push(value.extract::<f64>().ok()? as f32);
            Some(())
        }
    }
}

fn list(values: &[Bound<'_, PyAny>], item: &Type, place: Place<'_>) -> Result<(ArrayRef, Type), Fault> {
    let (mut inner, mut lengths, mut valid) = (Vec::new(), Vec::with_capacity(values.len()), Vec::with_capacity(values.len()));
    for (row, value) in values.iter().enumerate() {
        valid.push(!is_null(value));
        let found = if is_null(value) { Vec::new() } else { items(value).ok_or_else(|| place.fault(row, value, "list"))? };
        lengths.push(found.len());
        inner.extend(found);
    }
    let (array, item) = self::array(&inner, item, place)?;
    let nulls = valid.iter().any(|valid| !valid).then(|| NullBuffer::new(BooleanBuffer::from(valid)));
    let made = ListArray::try_new(item_field(&item), OffsetBuffer::from_lengths(lengths), retyped(&array, &item), nulls);
    Ok((Arc::new(made.map_err(|e| Fault::usage(format!("column '{}': {e}", place.column)))?), item))
}

/// The array with the names and extensions that the fields of its type have.
fn retyped(array: &ArrayRef, ty: &Type) -> ArrayRef {
    dsv::table::scan::retype(array, ty.field("", true).data_type()).unwrap_or_else(|_| array.clone())
}

fn structs(values: &[Bound<'_, PyAny>], fields: &[(String, Type)], place: Place<'_>) -> Result<(ArrayRef, Type), Fault> {
    let none = values.first().map(|value| value.py().None().into_bound(value.py()));
    let (mut arrays, mut types, mut made) = (Vec::new(), Vec::new(), Vec::new());
    let valid: Vec<bool> = values.iter().map(|value| !is_null(value)).collect();
    for (name, ty) in fields {
        let mut column = Vec::with_capacity(values.len());
        for (row, value) in values.iter().enumerate() {
            let found = match value.cast::<PyDict>() {
                Ok(dict) => {
                    let known = |key: &Bound<'_, PyAny>| text(key).is_some_and(|key| fields.iter().any(|(name, _)| *name == key));
                    if let Some(other) = dict.keys().iter().find(|key| !known(key)) {
                        return Err(place.fault(row, &other, "field of this column"));
                    }
                    dict.get_item(name)?
                }
                Err(_) if is_null(value) => None,
                Err(_) => return Err(place.fault(row, value, "dict")),
            };
            column.extend(found.or_else(|| none.clone()));
        }
        let (array, ty) = array(&column, ty, place)?;
        arrays.push(retyped(&array, &ty));
        made.push(Arc::new(ty.field(name, true)));
        types.push((name.clone(), ty));
    }
    let nulls = valid.iter().any(|valid| !valid).then(|| NullBuffer::from(valid));
    let made = StructArray::try_new(made.into(), arrays, nulls).map_err(|e| Fault::usage(format!("column '{}': {e}", place.column)))?;
    Ok((Arc::new(made), Type::Struct(types)))
}

/// Dicts, as lists of their keys and values.
fn map(values: &[Bound<'_, PyAny>], key: &Type, value: &Type, place: Place<'_>) -> Result<(ArrayRef, Type), Fault> {
    let mut pairs = Vec::with_capacity(values.len());
    for (row, found) in values.iter().enumerate() {
        if is_null(found) {
            pairs.push(found.clone());
            continue;
        }
        let dict = found.cast::<PyDict>().map_err(|_| place.fault(row, found, "dict"))?;
        let list = PyList::empty(found.py());
        for (key, value) in dict.iter() {
            let pair = PyDict::new(found.py());
            pair.set_item("key", key)?;
            pair.set_item("value", value)?;
            list.append(pair)?;
        }
        pairs.push(list.into_any());
    }
    let item = Type::Struct(vec![("key".to_owned(), key.clone()), ("value".to_owned(), value.clone())]);
    let (array, item) = list(&pairs, &item, place)?;
    Ok((array, Type::List(Box::new(item))))
}
