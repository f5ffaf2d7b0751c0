//! Arrays of other writers brought to a column's type: another layout, or another type, without changing a value.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, FixedSizeListArray, ListArray, StructArray, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, TimeUnit};

use super::error::Misfit;
use super::{build, print};
use crate::format::Type;

/// A value that does not fit, and its row in the array where that is known.
#[derive(Debug)]
pub(in crate::repo) struct Clash {
    pub row: Option<usize>,
    pub misfit: Misfit,
}

impl Clash {
    fn whole(value: impl std::fmt::Display, why: impl std::fmt::Display) -> Clash {
        Clash { row: None, misfit: Misfit { value: value.to_string(), why: why.to_string() } }
    }
}

/// `array`, whose field has the type `from`, as an array of the data type that a field of type `to` has. Floats are rounded to
/// narrower floats; nothing else may change.
pub(in crate::repo) fn conform(array: &ArrayRef, from: &Type, to: &Type) -> Result<ArrayRef, Clash> {
    let target = to.field("", true).data_type().clone();
    if *array.data_type() == target && (from == to || !needs_check(from, to)) {
        return Ok(array.clone());
    }
    let array = &plain_layout(array)?;
    if *array.data_type() == DataType::Null {
        return Ok(new_null_array(&target, array.len()));
    }
    match (from, to, array.data_type(), &target) {
        (Type::List(inner), Type::List(item), DataType::List(_), DataType::List(field)) => {
            let list = array.as_list::<i32>();
            // Items outside of the offsets are nobody's values.
            let (first, last) = (list.offsets().first().copied().unwrap_or(0), list.offsets().last().copied().unwrap_or(0));
            let (first, length) = (index(first)?, index(last - first)?);
            let values = within(conform(&list.values().slice(first, length), inner, item), list)?;
            let offsets = arrow::buffer::OffsetBuffer::new(list.offsets().iter().map(|o| o - list.offsets().first().copied().unwrap_or(0)).collect());
            rebuilt(ListArray::try_new(field.clone(), offsets, values, list.nulls().cloned()))
        }
        (Type::Map(k, v), Type::Map(key, value), ..) => map(array, (k, v), (key, value), &target),
        (Type::List(item), Type::Map(key, value), ..) => match &**item {
            // A map that lost its name on the way.
            Type::Struct(fields) if fields.iter().map(|(name, _)| name.as_str()).eq(["key", "value"]) => {
                map(array, (&fields[0].1, &fields[1].1), (key, value), &target)
            }
            _ => scalar(array, from, to, &target),
        },
        (Type::Struct(inner), Type::Struct(fields), DataType::Struct(_), DataType::Struct(children)) => structure(array.as_struct(), inner, fields, children),
        (Type::Embedding { .. } | Type::Tensor { .. } | Type::List(_), Type::Embedding { .. } | Type::Tensor { .. }, ..) => vector(array, from, to, &target),
        _ => scalar(array, from, to, &target),
    }
}

/// Types that share a storage type, but not all of its values.
fn needs_check(from: &Type, to: &Type) -> bool {
    match to {
        Type::Json => *from != Type::Json,
        Type::Enum(labels) => !labels.is_empty() && from != to,
        Type::List(item) => !matches!(from, Type::List(inner) if !needs_check(inner, item)),
        Type::Map(key, value) => !matches!(from, Type::Map(k, v) if !needs_check(k, key) && !needs_check(v, value)),
        Type::Struct(fields) => {
            !matches!(from, Type::Struct(inner) if inner.len() == fields.len() && inner.iter().zip(fields).all(|((m, a), (n, b))| m == n && !needs_check(a, b)))
        }
        Type::Plain(_) | Type::Uuid | Type::Embedding { .. } | Type::Tensor { .. } | Type::Image | Type::Audio | Type::Video => false,
    }
}

fn rebuilt<A: Array + 'static>(array: Result<A, arrow::error::ArrowError>) -> Result<ArrayRef, Clash> {
    array.map(|a| Arc::new(a) as ArrayRef).map_err(|e| Clash::whole("a value", e))
}

fn index(offset: i32) -> Result<usize, Clash> {
    usize::try_from(offset).map_err(|_| Clash::whole("a list", "has a negative offset"))
}

/// Turns an item's row into the row of its list.
fn within(items: Result<ArrayRef, Clash>, list: &ListArray) -> Result<ArrayRef, Clash> {
    items.map_err(|mut clash| {
        let first = list.offsets().first().copied().unwrap_or(0);
        clash.row = clash
            .row
            .and_then(|item| list.offsets().windows(2).position(|w| matches!(w, [_, end] if usize::try_from(end - first).is_ok_and(|end| item < end))));
        clash
    })
}

/// Without dictionaries, runs, views and 64-bit offsets, at the top.
fn plain_layout(array: &ArrayRef) -> Result<ArrayRef, Clash> {
    let target = match array.data_type() {
        DataType::Dictionary(_, values) => (**values).clone(),
        DataType::RunEndEncoded(_, values) => values.data_type().clone(),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => DataType::List(item.clone()),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
        // Milliseconds, of a day or not.
        DataType::Date64 => DataType::Timestamp(TimeUnit::Millisecond, None),
        _ => return Ok(array.clone()),
    };
    plain_layout(&cast(array, &target)?)
}

fn cast(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, Clash> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, target, &strict).map_err(|e| Clash::whole("a value", format!("does not fit: {e}")))
}

fn structure(array: &StructArray, inner: &[(String, Type)], fields: &[(String, Type)], children: &arrow::datatypes::Fields) -> Result<ArrayRef, Clash> {
    if let Some((name, _)) = inner.iter().find(|(name, _)| !fields.iter().any(|(n, _)| n == name)) {
        return Err(Clash::whole("a struct", format!("has the field '{name}', which its type lacks")));
    }
    if fields.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(array.len(), array.nulls().cloned())));
    }
    let mut columns = Vec::with_capacity(fields.len());
    for (name, ty) in fields {
        match inner.iter().position(|(n, _)| n == name).and_then(|at| Some((inner.get(at)?, array.columns().get(at)?))) {
            Some(((_, from), column)) => columns.push(conform(column, from, ty)?),
            None => columns.push(new_null_array(ty.field("", true).data_type(), array.len())),
        }
    }
    rebuilt(StructArray::try_new(children.clone(), columns, array.nulls().cloned()))
}

fn map(array: &ArrayRef, from: (&Type, &Type), to: (&Type, &Type), target: &DataType) -> Result<ArrayRef, Clash> {
    let (offsets, entries, nulls) = match array.data_type() {
        DataType::Map(..) => {
            let map = array.as_map();
            (map.offsets().clone(), map.entries().clone(), map.nulls().cloned())
        }
        _ => {
            let list = array.as_list_opt::<i32>().ok_or_else(|| Clash::whole("a map", "is stored in an unknown way"))?;
            let entries = list.values().as_struct_opt().ok_or_else(|| Clash::whole("a map", "has entries that are no structs"))?;
            (list.offsets().clone(), entries.clone(), list.nulls().cloned())
        }
    };
    let (DataType::List(item), [keys, values]) = (target, entries.columns()) else { return Err(Clash::whole("a map", "has entries that are not pairs")) };
    let DataType::Struct(fields) = item.data_type() else { return Err(Clash::whole("a map", "is stored in an unknown way")) };
    let columns = vec![conform(keys, from.0, to.0)?, conform(values, from.1, to.1)?];
    let entries = StructArray::try_new(fields.clone(), columns, entries.nulls().cloned()).map_err(|e| Clash::whole("a map", e))?;
    rebuilt(ListArray::try_new(item.clone(), offsets, Arc::new(entries), nulls))
}

/// The numbers of lists or vectors, as vectors.
fn vector(array: &ArrayRef, from: &Type, to: &Type, target: &DataType) -> Result<ArrayRef, Clash> {
    let DataType::FixedSizeList(item, size) = target else { return Err(Clash::whole("a vector", "is stored in an unknown way")) };
    let width = index(*size)?;
    let element = Type::Plain(item.data_type().clone());
    match array.data_type() {
        DataType::FixedSizeList(inner, n) if n == size => {
            let list = array.as_fixed_size_list();
            let from = Type::Plain(inner.data_type().clone());
            let values = conform(list.values(), &from, &element).map_err(|mut clash| {
                clash.row = clash.row.map(|row| row / width.max(1));
                clash
            })?;
            rebuilt(FixedSizeListArray::try_new(item.clone(), *size, values, list.nulls().cloned()))
        }
        DataType::List(inner) if inner.data_type().is_numeric() => {
            let list = array.as_list::<i32>();
            // Each row's numbers in turn; a null has as many nulls.
            let mut places: Vec<Option<u32>> = Vec::with_capacity(list.len().saturating_mul(width));
            for (row, pair) in list.offsets().windows(2).enumerate() {
                let (start, end) = (pair.first().copied().unwrap_or(0), pair.last().copied().unwrap_or(0));
                if list.is_null(row) {
                    places.extend(std::iter::repeat_n(None, width));
                } else if index(end - start)? == width {
                    places.extend((start..end).map(|i| u32::try_from(i).ok()));
                } else {
                    let misfit = Misfit { value: format!("a list of {}", end - start), why: format!("is not {to}") };
                    return Err(Clash { row: Some(row), misfit });
                }
            }
            let values = take(list.values(), &arrow::array::UInt32Array::from(places), None).map_err(|e| Clash::whole("a list", e))?;
            let values = conform(&values, &Type::Plain(inner.data_type().clone()), &element).map_err(|mut clash| {
                clash.row = clash.row.map(|row| row / width.max(1));
                clash
            })?;
            rebuilt(FixedSizeListArray::try_new(item.clone(), *size, values, list.nulls().cloned()))
        }
        _ => cell_by_cell(array, from, to),
    }
}

fn scalar(array: &ArrayRef, from: &Type, to: &Type, target: &DataType) -> Result<ArrayRef, Clash> {
    let source = array.data_type();
    if source == target && !needs_check(from, to) {
        return Ok(array.clone());
    }
    // Texts that were stored without saying so.
    if *source == DataType::Binary && *target == DataType::Utf8 {
        let texts = cast(array, target).map_err(|_| {
            let bytes = array.as_binary::<i32>();
            let row = (0..bytes.len()).find(|row| bytes.is_valid(*row) && std::str::from_utf8(bytes.value(*row)).is_err());
            Clash { row, misfit: Misfit { value: "a binary value".to_owned(), why: format!("is not UTF-8, so not {to}") } }
        })?;
        return scalar(&texts, &Type::TEXT, to, target);
    }
    let rounds = source.is_floating() && target.is_floating();
    let widens = super::unify(&Type::Plain(source.clone()), &Type::Plain(target.clone())).is_some_and(|wide| wide.storage() == *target);
    let plain = matches!((from, to), (Type::Plain(_), Type::Plain(_))) && (target.is_floating() || !source.is_floating());
    if plain && (rounds || widens) {
        let wide = cast(array, target);
        match wide {
            Ok(wide) if !(rounds && overflows(array, &wide)) => return Ok(wide),
            // Told cell by cell.
            _ => {}
        }
    }
    if matches!(to, Type::Image | Type::Audio | Type::Video) && *source == DataType::Binary || *to == Type::BINARY && from.is_media() {
        return Ok(array.clone());
    }
    if *to == Type::BINARY && matches!(source, DataType::FixedSizeBinary(_)) {
        return cast(array, target);
    }
    if let (DataType::Binary, DataType::FixedSizeBinary(width)) = (source, target) {
        let bytes = array.as_binary::<i32>();
        let wrong = (0..bytes.len()).find(|row| bytes.is_valid(*row) && i32::try_from(bytes.value(*row).len()) != Ok(*width));
        return match wrong {
            Some(row) => {
                Err(Clash { row: Some(row), misfit: Misfit { value: format!("a value of {} bytes", bytes.value(row).len()), why: format!("is not {to}") } })
            }
            None => cast(array, target),
        };
    }
    if let (DataType::FixedSizeBinary(a), DataType::FixedSizeBinary(b)) = (source, target)
        && a == b
    {
        return Ok(array.clone());
    }
    cell_by_cell(array, from, to)
}

/// True if a finite number became infinite.
fn overflows(before: &ArrayRef, after: &ArrayRef) -> bool {
    let finite = |array: &ArrayRef| {
        let wide = cast(array, &DataType::Float64).ok()?;
        let numbers = wide.as_primitive_opt::<arrow::datatypes::Float64Type>()?;
        Some(numbers.iter().flatten().filter(|x| x.is_finite()).count())
    };
    finite(before) != finite(after)
}

/// Prints each cell and reads it as the other type: slow, exact, and able to name the row.
fn cell_by_cell(array: &ArrayRef, from: &Type, to: &Type) -> Result<ArrayRef, Clash> {
    let array = &conform_layout(array, from)?;
    let mut builder = build::builder(to).map_err(|misfit| Clash { row: None, misfit })?;
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.null();
            continue;
        }
        text.clear();
        let printed = if *to == Type::Json { print::json(from, array, row, &mut text) } else { print::text(from, array, row, &mut text) };
        let misfit = match printed {
            Err(why) => Misfit { value: "a value".to_owned(), why: format!("does not fit {to}: {why}") },
            // Text that is to be JSON is JSON already, not a string in it.
            Ok(()) => {
                let taken = match (from, to) {
                    (Type::Plain(DataType::Utf8), Type::Json) => {
                        text.clear();
                        let _ = print::text(from, array, row, &mut text);
                        builder.text(&text)
                    }
                    _ => builder.text(&text),
                };
                match taken {
                    Ok(()) => continue,
                    Err(misfit) => misfit,
                }
            }
        };
        return Err(Clash { row: Some(row), misfit });
    }
    Ok(builder.finish())
}

/// The layout that printing expects: that of the type itself.
fn conform_layout(array: &ArrayRef, from: &Type) -> Result<ArrayRef, Clash> {
    if array.data_type().equals_datatype(&from.storage()) {
        return Ok(array.clone());
    }
    match from {
        Type::List(_) | Type::Struct(_) | Type::Map(..) if !array.data_type().equals_datatype(from.field("", true).data_type()) => conform(array, from, from),
        _ => Ok(array.clone()),
    }
}

/// Rows of a batch that are kept.
pub(super) fn keep(array: &ArrayRef, rows: &NullBuffer) -> Result<ArrayRef, Clash> {
    let mask = arrow::array::BooleanArray::new(rows.inner().clone(), None);
    arrow::compute::filter(array, &mask).map_err(|e| Clash::whole("a column", e))
}
