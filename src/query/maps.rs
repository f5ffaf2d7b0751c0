//! Maps in SQL: `MAP {...}`, `map`, `make_map`, `map_keys`, `map_values`, `map_entries`, `map_extract` (also `element_at`) and `m['key']`.
//!
//! A map is a list of structs of `key` and `value`, in the order in which it was written: so columns store it, and so all that knows lists compares, groups and
//! sorts it. DataFusion's own functions take Arrow's map type alone; those of its names here take the list, and make one. What is not there is null, as is what
//! is asked of a null map.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, Scalar, StructArray, UInt32Array, make_comparator, new_empty_array, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{SortOptions, cast, interleave, take};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::functions_nested::map::map_udf;
use datafusion::logical_expr::planner::RawFieldAccessExpr;
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, GetFieldAccess, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::format::types::{marked_key, unmarked_key};

use super::QueryError;
use super::error::type_name;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    /// Of keys and values in turn.
    Pairs,
    /// Of a list of keys and one of values.
    Lists,
    /// The value of a key.
    Get,
    /// The same, as a list of one.
    Extract,
    Keys,
    Values,
    Entries,
}

const ALL: [What; 7] = [What::Pairs, What::Lists, What::Get, What::Extract, What::Keys, What::Values, What::Entries];

/// All functions on maps.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    ALL.into_iter().map(|what| Arc::new(function(what))).collect()
}

fn function(what: What) -> ScalarUDF {
    let aliases = if what == What::Extract { vec!["element_at".to_owned()] } else { Vec::new() };
    ScalarUDF::new_from_impl(MapFunction { what, aliases, signature: Signature::user_defined(Volatility::Immutable) })
}

/// A map of keys and values in turn.
pub fn made(args: Vec<Expr>) -> Expr {
    function(What::Pairs).call(args)
}

/// What `m['key']` means, where `m` is a map.
pub fn access(access: &RawFieldAccessExpr, schema: &DFSchema) -> Result<Option<Expr>> {
    let key = match &access.field_access {
        GetFieldAccess::NamedStructField { name } => Expr::Literal(name.clone(), None),
        GetFieldAccess::ListIndex { key } => (**key).clone(),
        GetFieldAccess::ListRange { .. } => return Ok(None),
    };
    let (_, field) = access.expr.to_field(schema)?;
    let map = match parts(field.data_type()) {
        Some(_) if is_map(&field) => true,
        // Of what lost its mark on the way, no list takes another key than a number.
        Some(_) => !matches!(key.get_type(schema)?, key if key.is_numeric() || key.is_null()),
        None => false,
    };
    Ok(map.then(|| function(What::Get).call(vec![access.expr.clone(), key])))
}

/// The fields of keys and values, where a type has the layout of a map.
fn parts(data_type: &DataType) -> Option<(&FieldRef, &FieldRef)> {
    let fields = match data_type {
        DataType::List(item) => match item.data_type() {
            DataType::Struct(fields) if fields.iter().map(|field| field.name().as_str()).eq(["key", "value"]) => fields,
            _ => return None,
        },
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields,
            _ => return None,
        },
        _ => return None,
    };
    match &fields[..] {
        [key, value] => Some((key, value)),
        _ => None,
    }
}

/// Whether a field of that layout is one of maps: a list of such structs looks the same.
fn is_map(field: &Field) -> bool {
    matches!(crate::format::Type::from_field(field), Ok(crate::format::Type::Map(..)))
}

fn refused(why: impl Into<String>) -> DataFusionError {
    QueryError::Refused(why.into()).into()
}

/// A field of the same values under another name.
fn renamed(field: &Field, name: &str) -> Field {
    field.clone().with_name(name).with_nullable(true)
}

fn list_of(field: &Field) -> DataType {
    DataType::List(Arc::new(renamed(field, Field::LIST_FIELD_DEFAULT_NAME)))
}

fn map_of(key: &Field, value: &Field) -> DataType {
    let entry = DataType::Struct(Fields::from(vec![marked_key(renamed(key, "key")), renamed(value, "value")]));
    DataType::List(Arc::new(Field::new_list_field(entry, true)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MapFunction {
    what: What,
    aliases: Vec<String>,
    signature: Signature,
}

impl ScalarUDFImpl for MapFunction {
    fn name(&self) -> &str {
        match self.what {
            What::Pairs => "make_map",
            What::Lists => "map",
            What::Get => "map_value",
            What::Extract => "map_extract",
            What::Keys => "map_keys",
            What::Values => "map_values",
            What::Entries => "map_entries",
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let shown: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(match (self.what, args, shown.as_slice()) {
            (What::Get, [_, Expr::Literal(ScalarValue::Utf8(Some(key)), _)], [map, _]) => format!("{map}[{key}]"),
            (What::Get, _, [map, key]) => format!("{map}[{key}]"),
            _ => format!("{}({})", self.name(), shown.join(",")),
        })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let fields: Vec<FieldRef> = given.iter().map(|ty| Arc::new(Field::new("", ty.clone(), true))).collect();
        Ok(self.answer(&fields)?.data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(self.answer(args.arg_fields)?))
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let map = |ty: &DataType| match parts(ty) {
            Some((key, _)) => Ok(key.data_type().clone()),
            None if ty.is_null() => Ok(DataType::Null),
            None => Err(refused(format!("{} takes a map, not {}", self.name(), type_name(ty)))),
        };
        match (self.what, given) {
            (What::Pairs, _) if given.len().is_multiple_of(2) => {
                let common = |from: usize| {
                    let types: Vec<DataType> = given.iter().skip(from).step_by(2).cloned().collect();
                    match types.as_slice() {
                        [] => Ok(DataType::Null),
                        [first, rest @ ..] if rest.iter().all(|ty| ty == first) => Ok(first.clone()),
                        _ => type_union_resolution(&types).ok_or_else(|| {
                            let which = if from == 0 { "keys" } else { "values" };
                            refused(format!("the {which} of a map have one type, not {}", types.iter().map(type_name).collect::<Vec<_>>().join(" and ")))
                        }),
                    }
                };
                let (key, value) = (common(0)?, common(1)?);
                Ok((0..given.len()).map(|i| if i % 2 == 0 { key.clone() } else { value.clone() }).collect())
            }
            (What::Lists, [keys, values]) => {
                let list = |ty: &DataType| match ty {
                    DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => Ok(ty.clone()),
                    other => Err(refused(format!("map takes a list of keys and one of values, not {}", type_name(other)))),
                };
                Ok(vec![list(keys)?, list(values)?])
            }
            (What::Get | What::Extract, [DataType::Null, _]) => Ok(given.to_vec()),
            (What::Get | What::Extract, [given, _]) => {
                let key = map(given)?;
                Ok(vec![given.clone(), key])
            }
            (What::Keys | What::Values | What::Entries, [given]) => map(given).map(|_| vec![given.clone()]),
            (What::Pairs, _) => Err(refused("a map is made of keys and values in turn")),
            (What::Lists | What::Get | What::Extract, _) => Err(refused(format!("{} takes 2 arguments, not {}", self.name(), given.len()))),
            _ => Err(refused(format!("{} takes a map", self.name()))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let target = args.return_field.data_type().clone();
        let values = self.evaluate(args, rows, &target)?;
        if is_scalar { Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)) } else { Ok(ColumnarValue::Array(values)) }
    }
}

impl MapFunction {
    /// What the function gives, for arguments of these fields.
    fn answer(&self, given: &[FieldRef]) -> Result<Field> {
        let absent = || Field::new("", DataType::Null, true);
        let data_type = match self.what {
            What::Pairs => {
                let key = given.first().map_or_else(absent, |key| Field::new("", key.data_type().clone(), true));
                let values: Vec<&FieldRef> = given.iter().skip(1).step_by(2).collect();
                // What the type says beside Arrow's holds where it holds of all.
                let value = values.first().map_or_else(absent, |first| {
                    let same = values.iter().all(|other| other.metadata() == first.metadata());
                    Field::new("", first.data_type().clone(), true).with_metadata(if same { first.metadata().clone() } else { HashMap::new() })
                });
                map_of(&key, &value)
            }
            What::Lists => {
                let item = |i: usize| match given.get(i).map(|field| field.data_type()) {
                    Some(DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) => Ok(item.clone()),
                    _ => Err(refused("map takes a list of keys and one of values")),
                };
                map_of(&*item(0)?, &*item(1)?)
            }
            _ => {
                let Some(map) = given.first() else { return Err(refused(format!("{} takes a map", self.name()))) };
                let Some((key, value)) = parts(map.data_type()) else { return Ok(Field::new(self.name(), DataType::Null, true)) };
                match self.what {
                    What::Get => return Ok(renamed(value, self.name())),
                    What::Extract | What::Values => list_of(value),
                    What::Keys => list_of(&unmarked_key((**key).clone())),
                    _ => {
                        let entry = DataType::Struct(Fields::from(vec![unmarked_key(renamed(key, "key")), renamed(value, "value")]));
                        list_of(&Field::new("", entry, true))
                    }
                }
            }
        };
        Ok(Field::new(self.name(), data_type, true))
    }

    fn evaluate(&self, args: ScalarFunctionArgs, rows: usize, target: &DataType) -> Result<ArrayRef> {
        let arrays = || args.args.iter().map(|arg| arg.clone().into_array(rows)).collect::<Result<Vec<_>>>();
        match self.what {
            What::Pairs => {
                let arrays = arrays()?;
                let (key, value) = parts(target).ok_or_else(|| refused("a map is made of keys and values in turn"))?;
                let (keys, values) = (listed(&arrays, 0, rows, key)?, listed(&arrays, 1, rows, value)?);
                return map_of_lists(vec![ColumnarValue::Array(keys), ColumnarValue::Array(values)], rows, &args, target);
            }
            What::Lists => return map_of_lists(args.args.clone(), rows, &args, target),
            _ => {}
        }
        let arrays = arrays()?;
        let Some(map) = arrays.first() else { return Err(refused(format!("{} takes a map", self.name()))) };
        if target.is_null() || map.data_type().is_null() {
            return Ok(new_null_array(target, rows));
        }
        let maps = Maps::of(map)?;
        let list = |values: ArrayRef| -> Result<ArrayRef> {
            let DataType::List(item) = target else { return Err(refused("a list is not one")) };
            Ok(Arc::new(ListArray::try_new(item.clone(), maps.offsets.clone(), values, maps.nulls.clone())?))
        };
        match self.what {
            What::Keys => list(maps.keys.clone()),
            What::Values => list(maps.values.clone()),
            What::Entries => {
                let DataType::List(item) = target else { return Err(refused("a list is not one")) };
                let DataType::Struct(fields) = item.data_type() else { return Err(refused("an entry is not one")) };
                list(Arc::new(StructArray::try_new(fields.clone(), vec![maps.keys.clone(), maps.values.clone()], None)?))
            }
            _ => {
                let Some(key) = arrays.get(1) else { return Err(refused(format!("{} takes a key", self.name()))) };
                let one = matches!(args.args.get(1), Some(ColumnarValue::Scalar(_)));
                let found = take(&maps.values, &maps.places(key, one)?, None)?;
                let DataType::List(item) = target else { return Ok(found) };
                if self.what == What::Get {
                    return Ok(found);
                }
                Ok(Arc::new(ListArray::try_new(item.clone(), OffsetBuffer::from_repeated_length(1, rows), found, maps.nulls.clone())?))
            }
        }
    }
}

/// Every second of the arguments, as one list a row.
fn listed(arrays: &[ArrayRef], from: usize, rows: usize, item: &FieldRef) -> Result<ArrayRef> {
    let parts: Vec<&dyn Array> = arrays.iter().skip(from).step_by(2).map(|array| &**array as &dyn Array).collect();
    let places: Vec<(usize, usize)> = (0..rows).flat_map(|row| (0..parts.len()).map(move |part| (part, row))).collect();
    let values = if parts.is_empty() { new_empty_array(item.data_type()) } else { interleave(&parts, &places)? };
    let offsets = OffsetBuffer::from_repeated_length(parts.len(), rows);
    Ok(Arc::new(ListArray::try_new(Arc::new(renamed(item, Field::LIST_FIELD_DEFAULT_NAME)), offsets, values, None)?))
}

/// Maps as DataFusion makes them of two lists, which sees to it that keys are there and differ, in the layout that they have here.
fn map_of_lists(lists: Vec<ColumnarValue>, rows: usize, args: &ScalarFunctionArgs, target: &DataType) -> Result<ArrayRef> {
    let arg_fields: Vec<FieldRef> = lists.iter().map(|list| Arc::new(Field::new("", list.data_type(), true)) as FieldRef).collect();
    let types: Vec<DataType> = arg_fields.iter().map(|field| field.data_type().clone()).collect();
    let made = map_udf();
    let return_field = Arc::new(Field::new("", made.return_type(&types)?, true));
    let made =
        made.invoke_with_args(ScalarFunctionArgs { args: lists, arg_fields, number_rows: rows, return_field, config_options: args.config_options.clone() })?;
    let made = made.into_array(rows)?;
    if made.data_type().is_null() {
        return Ok(new_null_array(target, rows));
    }
    let maps = Maps::of(&made)?;
    let DataType::List(item) = target else { return Err(refused("a map is not one")) };
    let DataType::Struct(fields) = item.data_type() else { return Err(refused("a map is not one")) };
    let columns = [maps.keys, maps.values].iter().zip(fields).map(|(array, field)| Ok(cast(array, field.data_type())?)).collect::<Result<Vec<_>>>()?;
    let entries = StructArray::try_new(fields.clone(), columns, None)?;
    Ok(Arc::new(ListArray::try_new(item.clone(), maps.offsets, Arc::new(entries), maps.nulls)?))
}

/// The maps of an array, taken apart.
struct Maps {
    offsets: OffsetBuffer<i32>,
    keys: ArrayRef,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
}

impl Maps {
    fn of(array: &ArrayRef) -> Result<Maps> {
        let unknown = || refused(format!("{} is no map", type_name(array.data_type())));
        let (offsets, entries) = match array.data_type() {
            DataType::Map(..) => (array.as_map().offsets().clone(), array.as_map().entries().clone()),
            _ => {
                let list = array.as_list_opt::<i32>().ok_or_else(unknown)?;
                (list.offsets().clone(), list.values().as_struct_opt().ok_or_else(unknown)?.clone())
            }
        };
        let [keys, values] = entries.columns() else { return Err(unknown()) };
        Ok(Maps { offsets, keys: keys.clone(), values: values.clone(), nulls: array.nulls().cloned() })
    }

    /// Where each row's map has a key, the first place of several. `one` is true where the keys asked for are all the same.
    fn places(&self, key: &ArrayRef, one: bool) -> Result<UInt32Array> {
        let rows = || self.offsets.windows(2).enumerate().map(|(row, ends)| (row, ends.first().copied().unwrap_or(0), ends.last().copied().unwrap_or(0)));
        // Of each entry, the row that it is in.
        let mut of_entry = vec![0u32; self.keys.len()];
        if !one {
            for (row, start, end) in rows() {
                if let Some(entries) = of_entry.get_mut(start as usize..end as usize) {
                    entries.fill(row as u32);
                }
            }
        }
        let equal: BooleanArray = if self.keys.data_type().is_nested() {
            let compare = make_comparator(&self.keys, key, SortOptions::default())?;
            let same = |(entry, row): (usize, &u32)| self.keys.is_valid(entry) && key.is_valid(*row as usize) && compare(entry, *row as usize).is_eq();
            of_entry.iter().enumerate().map(|pair| Some(same(pair))).collect()
        } else if key.is_empty() {
            BooleanArray::from(vec![false; self.keys.len()])
        } else if one {
            eq(&self.keys, &Scalar::new(key.slice(0, 1)))?
        } else {
            eq(&self.keys, &take(key, &UInt32Array::from(of_entry), None)?)?
        };
        let is = |entry: i32| equal.is_valid(entry as usize) && equal.value(entry as usize);
        let there = |row: usize| self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        Ok(rows().map(|(row, start, end)| if there(row) { (start..end).find(|entry| is(*entry)).map(|entry| entry as u32) } else { None }).collect())
    }
}
