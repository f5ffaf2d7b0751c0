//! Cells as text and as JSON, so that reading them back gives the same cell.
//!
//! | type | text (CSV) | JSON |
//! |---|---|---|
//! | integers, decimals | digits | number |
//! | floats | shortest that reads back, with a point or an exponent; `NaN`, `inf`, `-inf` | number; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | date, time | `2024-01-31`, `13:05:00.25` | string |
//! | timestamp | `2024-01-31 13:05:00.25`, with a zone `2024-01-31T13:05:00.25Z` | string |
//! | duration | `PT12.5S` | string |
//! | binary, media | base64 without a prefix | string |
//! | uuid | hyphenated | string |
//! | json | as it is | the value |
//! | list, embedding, tensor | JSON | nested lists |
//! | struct | JSON | object |
//! | map | JSON | object if the keys are distinct texts, else a list of `{"key", "value"}` |
//!
//! The bits of a NaN beyond its being one are lost in text.

use std::collections::HashSet;
use std::fmt::Write;

use arrow::array::cast::AsArray;
use arrow::array::types::*;
use arrow::array::{Array, ArrowPrimitiveType};
use arrow::datatypes::{DataType, TimeUnit};

use super::json::node;
use super::{base64, calendar};
use crate::format::Type;

/// A cell that cannot be printed, and why.
pub(super) type Unprintable = String;

fn value<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> Result<T::Native, Unprintable> {
    let array = array.as_primitive_opt::<T>().ok_or_else(|| format!("a column of {} is not what its type says", array.data_type()))?;
    array.values().get(row).copied().ok_or_else(|| "a row is missing".to_owned())
}

fn bytes(array: &dyn Array, row: usize) -> Option<&[u8]> {
    match array.data_type() {
        DataType::Binary => array.as_binary_opt::<i32>().map(|a| a.value(row)),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary_opt().map(|a| a.value(row)),
        _ => None,
    }
}

fn text_of(array: &dyn Array, row: usize) -> Result<&str, Unprintable> {
    array.as_string_opt::<i32>().map(|a| a.value(row)).ok_or_else(|| format!("a column of {} is not text", array.data_type()))
}

/// True if the type's text is a JSON value without quotes.
fn is_bare(plain: &DataType) -> bool {
    plain.is_numeric() || *plain == DataType::Boolean
}

/// Appends the integer that `unscaled` is, divided by 10^scale.
fn decimal(unscaled: &str, scale: i8, out: &mut String) {
    let (sign, digits) = unscaled.strip_prefix('-').map_or(("", unscaled), |digits| ("-", digits));
    out.push_str(sign);
    let places = usize::from(scale.unsigned_abs());
    if digits == "0" && scale <= 0 {
        out.push('0');
    } else if scale <= 0 {
        out.push_str(digits);
        out.extend(std::iter::repeat_n('0', places));
    } else {
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        let _ = write!(out, "{whole}.{fraction}");
    }
}

/// Appends the text of a scalar.
fn scalar(plain: &DataType, array: &dyn Array, row: usize, out: &mut String) -> Result<(), Unprintable> {
    use TimeUnit::*;
    macro_rules! show {
        ($t:ty) => {
            write!(out, "{}", value::<$t>(array, row)?)
        };
    }
    macro_rules! debug {
        ($v:expr) => {
            write!(out, "{:?}", $v)
        };
    }
    let _ = match plain {
        DataType::Boolean => {
            let array = array.as_boolean_opt().ok_or("a column is not bool")?;
            write!(out, "{}", array.value(row))
        }
        DataType::Int8 => show!(Int8Type),
        DataType::Int16 => show!(Int16Type),
        DataType::Int32 => show!(Int32Type),
        DataType::Int64 => show!(Int64Type),
        DataType::UInt8 => show!(UInt8Type),
        DataType::UInt16 => show!(UInt16Type),
        DataType::UInt32 => show!(UInt32Type),
        DataType::UInt64 => show!(UInt64Type),
        DataType::Float16 => debug!(value::<Float16Type>(array, row)?.to_f32()),
        DataType::Float32 => debug!(value::<Float32Type>(array, row)?),
        DataType::Float64 => debug!(value::<Float64Type>(array, row)?),
        DataType::Decimal128(_, s) => {
            decimal(&value::<Decimal128Type>(array, row)?.to_string(), *s, out);
            Ok(())
        }
        DataType::Decimal256(_, s) => {
            decimal(&value::<Decimal256Type>(array, row)?.to_string(), *s, out);
            Ok(())
        }
        DataType::Date32 => {
            calendar::print_date(value::<Date32Type>(array, row)?.into(), out);
            Ok(())
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let (time, unit) = match plain {
                DataType::Time32(Second) => (value::<Time32SecondType>(array, row)?.into(), Second),
                DataType::Time32(_) => (value::<Time32MillisecondType>(array, row)?.into(), Millisecond),
                DataType::Time64(Nanosecond) => (value::<Time64NanosecondType>(array, row)?, Nanosecond),
                _ => (value::<Time64MicrosecondType>(array, row)?, Microsecond),
            };
            if !(0..calendar::per_second(unit) * 86_400).contains(&time) {
                return Err(format!("a time of {time} {unit} since midnight lies outside the day"));
            }
            calendar::print_time(time, unit, out);
            Ok(())
        }
        DataType::Timestamp(unit, zone) => {
            let stamp = match unit {
                Second => value::<TimestampSecondType>(array, row)?,
                Millisecond => value::<TimestampMillisecondType>(array, row)?,
                Microsecond => value::<TimestampMicrosecondType>(array, row)?,
                Nanosecond => value::<TimestampNanosecondType>(array, row)?,
            };
            calendar::print_stamp(stamp, *unit, zone.is_some(), out);
            Ok(())
        }
        DataType::Duration(unit) => {
            let duration = match unit {
                Second => value::<DurationSecondType>(array, row)?,
                Millisecond => value::<DurationMillisecondType>(array, row)?,
                Microsecond => value::<DurationMicrosecondType>(array, row)?,
                Nanosecond => value::<DurationNanosecondType>(array, row)?,
            };
            calendar::print_duration(duration, *unit, out);
            Ok(())
        }
        DataType::Utf8 => {
            out.push_str(text_of(array, row)?);
            Ok(())
        }
        DataType::Binary | DataType::FixedSizeBinary(_) => {
            base64::encode(bytes(array, row).ok_or("a column is not binary")?, out);
            Ok(())
        }
        other => return Err(format!("values of type {other} have no text")),
    };
    Ok(())
}

/// Appends the text of a cell; nothing for a null.
pub(super) fn text(ty: &Type, array: &dyn Array, row: usize, out: &mut String) -> Result<(), Unprintable> {
    if array.is_null(row) {
        return Ok(());
    }
    match ty {
        Type::Plain(plain) => scalar(plain, array, row, out),
        Type::Json | Type::Enum(_) => {
            out.push_str(text_of(array, row)?);
            Ok(())
        }
        Type::Uuid => {
            let n = bytes(array, row).and_then(|b| <[u8; 16]>::try_from(b).ok()).ok_or("a uuid has not 16 bytes")?;
            let hex = format!("{:032x}", u128::from_be_bytes(n));
            for (i, c) in hex.chars().enumerate() {
                if matches!(i, 8 | 12 | 16 | 20) {
                    out.push('-');
                }
                out.push(c);
            }
            Ok(())
        }
        Type::Image | Type::Audio | Type::Video => scalar(&DataType::Binary, array, row, out),
        Type::List(_) | Type::Struct(_) | Type::Map(..) | Type::Embedding { .. } | Type::Tensor { .. } => json(ty, array, row, out),
    }
}

/// Appends a cell as JSON, without white space.
pub(super) fn json(ty: &Type, array: &dyn Array, row: usize, out: &mut String) -> Result<(), Unprintable> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match ty {
        Type::Plain(plain) if is_bare(plain) => {
            let start = out.len();
            scalar(plain, array, row, out)?;
            let quoted = match out.get(start..) {
                Some("NaN") => "\"NaN\"",
                Some("inf") => "\"Infinity\"",
                Some("-inf") => "\"-Infinity\"",
                _ => return Ok(()),
            };
            out.truncate(start);
            out.push_str(quoted);
            Ok(())
        }
        Type::Plain(DataType::Utf8) | Type::Enum(_) => {
            node::push_string(text_of(array, row)?, out);
            Ok(())
        }
        // Base64, dates and the like have nothing to escape.
        Type::Plain(_) | Type::Uuid | Type::Image | Type::Audio | Type::Video => {
            out.push('"');
            text(ty, array, row, out)?;
            out.push('"');
            Ok(())
        }
        Type::Json => {
            let text = text_of(array, row)?;
            let node = node::parse(text).map_err(|fault| format!("{} is not JSON: {}", super::error::quote(text), fault.what))?;
            node.compact(out);
            Ok(())
        }
        Type::List(item) => {
            let list = array.as_list_opt::<i32>().ok_or("a column is not a list")?;
            let items = list.value(row);
            sequence(out, items.len(), |i, out| json(item, &items, i, out))
        }
        Type::Map(key, value) => map(key, value, array, row, out),
        Type::Struct(fields) => {
            let array = array.as_struct_opt().ok_or("a column is not a struct")?;
            out.push('{');
            for (i, ((name, ty), child)) in fields.iter().zip(array.columns()).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                node::push_string(name, out);
                out.push(':');
                json(ty, child, row, out)?;
            }
            out.push('}');
            Ok(())
        }
        Type::Embedding { dim, half } => {
            let item = Type::Plain(if *half { DataType::Float16 } else { DataType::Float32 });
            let items = array.as_fixed_size_list_opt().ok_or("a column is not a fixed list")?.value(row);
            tensor(&item, &[*dim], &items, 0, out)
        }
        Type::Tensor { shape, element } => {
            let items = array.as_fixed_size_list_opt().ok_or("a column is not a fixed list")?.value(row);
            tensor(&Type::Plain(element.clone()), shape, &items, 0, out)
        }
    }
}

fn sequence(out: &mut String, length: usize, mut each: impl FnMut(usize, &mut String) -> Result<(), Unprintable>) -> Result<(), Unprintable> {
    out.push('[');
    for i in 0..length {
        if i > 0 {
            out.push(',');
        }
        each(i, out)?;
    }
    out.push(']');
    Ok(())
}

fn tensor(item: &Type, shape: &[u32], items: &dyn Array, from: usize, out: &mut String) -> Result<(), Unprintable> {
    let Some((extent, inner)) = shape.split_first() else {
        return if from < items.len() { json(item, items, from, out) } else { Err("a tensor is too short".to_owned()) };
    };
    let stride: usize = inner.iter().map(|d| *d as usize).product();
    sequence(out, *extent as usize, |i, out| tensor(item, inner, items, from + i * stride, out))
}

fn map(key: &Type, value: &Type, array: &dyn Array, row: usize, out: &mut String) -> Result<(), Unprintable> {
    let entries = array.as_list_opt::<i32>().ok_or("a map is not a list")?.value(row);
    let entries = entries.as_struct_opt().ok_or("a map's entries are not structs")?;
    let [keys, values] = entries.columns() else { return Err("a map's entries are not pairs".to_owned()) };
    let texts = match keys.as_string_opt::<i32>() {
        Some(texts) if matches!(key, Type::Plain(DataType::Utf8)) && keys.null_count() == 0 && entries.null_count() == 0 => {
            let mut seen = HashSet::new();
            texts.iter().flatten().all(|k| seen.insert(k)).then_some(texts)
        }
        _ => None,
    };
    match texts {
        Some(texts) => {
            out.push('{');
            for i in 0..entries.len() {
                if i > 0 {
                    out.push(',');
                }
                node::push_string(texts.value(i), out);
                out.push(':');
                json(value, values, i, out)?;
            }
            out.push('}');
            Ok(())
        }
        None => sequence(out, entries.len(), |i, out| {
            if entries.is_null(i) {
                out.push_str("null");
                return Ok(());
            }
            out.push_str("{\"key\":");
            json(key, keys, i, out)?;
            out.push_str(",\"value\":");
            json(value, values, i, out)?;
            out.push('}');
            Ok(())
        }),
    }
}
