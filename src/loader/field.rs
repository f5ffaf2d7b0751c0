//! From the cells of a column to what a batch has of it: numbers of one shape, lists, texts or bytes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, FixedSizeListArray, Int64Array, ListArray, StringArray, UInt32Array, new_empty_array, new_null_array,
};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::DataType;

use crate::format::Type;

use super::options::{Lists, Options};
use super::selection::Column;
use super::{LoaderError, images::Layout};

/// A column of a batch.
#[derive(Debug, Clone)]
pub struct Field {
    /// The column's name.
    pub name: String,
    /// What it holds.
    pub data: Data,
    /// With [`BadRows::Null`](super::BadRows::Null), and where a cell could not be loaded: which of the batch's rows could. The others hold zeros.
    pub mask: Option<BooleanBuffer>,
}

/// What a column of a batch holds.
#[derive(Debug, Clone)]
pub enum Data {
    /// Numbers of one shape, row-major, the batch first. Arrow's primitive arrays, without nulls.
    Tensor {
        /// The numbers.
        values: ArrayRef,
        /// The batch, and the shape of each row.
        shape: Vec<usize>,
        /// Of padded lists: how many numbers of each row are the list's.
        lengths: Option<Vec<usize>>,
    },
    /// Lists of numbers.
    Lists {
        /// The numbers of all of them.
        values: ArrayRef,
        /// Where each list starts, and where the last one ends.
        offsets: Vec<usize>,
    },
    /// Texts.
    Text(StringArray),
    /// Files and other bytes.
    Bytes(BinaryArray),
}

impl Field {
    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        let size = match &self.data {
            Data::Tensor { values, .. } | Data::Lists { values, .. } => values.to_data().get_slice_memory_size(),
            Data::Text(texts) => texts.to_data().get_slice_memory_size(),
            Data::Bytes(bytes) => bytes.to_data().get_slice_memory_size(),
        };
        size.unwrap_or_default() as u64
    }
}

/// What is made of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Decoded pictures.
    Pixels,
    /// Numbers of one shape in each row.
    Numbers { shape: Vec<usize>, number: DataType },
    /// Labels, by their place in the column's type.
    Codes(Vec<String>),
    /// Lists of numbers.
    List { number: DataType },
    /// Texts.
    Text,
    /// Bytes.
    Bytes,
}

/// The type of a tensor's numbers for numbers of a column.
fn number(ty: &DataType) -> Option<DataType> {
    use DataType::*;
    Some(match ty {
        Boolean => UInt8,
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Float16 | Float32 | Float64 => ty.clone(),
        Date32 | Time32(_) => Int32,
        Date64 | Time64(_) | Timestamp(..) | Duration(_) => Int64,
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => Float64,
        _ => return None,
    })
}

impl Kind {
    /// What becomes of a column; refused, with what to do, where nothing can.
    pub fn of(column: &Column, options: &Options) -> Result<Kind, LoaderError> {
        let no = |hint| Err(LoaderError::NoTensor { column: column.name.clone(), ty: column.ty.to_string(), hint });
        Ok(match &column.ty {
            Type::Image if options.images.is_some() => Kind::Pixels,
            Type::Image | Type::Audio | Type::Video => Kind::Bytes,
            Type::Json => Kind::Text,
            Type::Enum(labels) if labels.is_empty() => Kind::Text,
            Type::Enum(labels) => Kind::Codes(labels.clone()),
            Type::Embedding { dim, half } => Kind::Numbers { shape: vec![*dim as usize], number: if *half { DataType::Float16 } else { DataType::Float32 } },
            Type::Tensor { shape, element } => match number(element) {
                Some(number) => Kind::Numbers { shape: shape.iter().map(|n| *n as usize).collect(), number },
                None => return no("leave it out, or cast its elements to numbers in the query"),
            },
            Type::List(item) => match number(&item.storage()) {
                Some(number) if !matches!(**item, Type::List(_)) => Kind::List { number },
                _ => return no("only lists of numbers become tensors; join lists of text in the query (array_to_string), or leave the column out"),
            },
            Type::Struct(_) => return no("name the fields that are wanted in the query, such as SELECT box['x'] AS x"),
            Type::Map(..) => return no("name the keys that are wanted in the query, or leave the column out"),
            Type::Uuid => return no("cast it to text in the query"),
            Type::Plain(DataType::Utf8) => Kind::Text,
            Type::Plain(DataType::Binary) => Kind::Bytes,
            Type::Plain(ty) => match number(ty) {
                Some(number) => Kind::Numbers { shape: vec![], number },
                None => return no("cast it to a number in the query, or leave it out"),
            },
        })
    }

    /// The rows whose cell cannot be loaded, and why. Pictures are found out by decoding them.
    pub fn bad(&self, cells: &ArrayRef, lists: Lists) -> Vec<(usize, String)> {
        let null = || "it is null, for which a tensor has no place".to_owned();
        let mut bad = Vec::new();
        match self {
            Kind::Text | Kind::Bytes => {}
            Kind::Pixels => bad.extend((0..cells.len()).filter(|row| cells.is_null(*row)).map(|row| (row, "there is no picture: it is null".to_owned()))),
            Kind::Codes(labels) => {
                for (row, label) in cells.as_string::<i32>().iter().enumerate() {
                    match label {
                        None => bad.push((row, null())),
                        Some(label) if !labels.iter().any(|known| known == label) => bad.push((row, format!("'{label}' is not among the column's labels"))),
                        Some(_) => {}
                    }
                }
            }
            Kind::Numbers { .. } | Kind::List { .. } => {
                bad.extend((0..cells.len()).filter(|row| cells.is_null(*row)).map(|row| (row, null())));
                let item = |row: usize| match cells.data_type() {
                    DataType::List(_) => Some(cells.as_list::<i32>().value(row)),
                    DataType::FixedSizeList(..) => Some(cells.as_fixed_size_list().value(row)),
                    _ => None,
                };
                let holds_null = match cells.data_type() {
                    DataType::List(_) => cells.as_list::<i32>().values().null_count() > 0,
                    DataType::FixedSizeList(..) => cells.as_fixed_size_list().values().null_count() > 0,
                    _ => false,
                };
                for row in 0..cells.len() {
                    if cells.is_null(row) || !(holds_null || matches!(lists, Lists::Length(_))) {
                        continue;
                    }
                    let Some(items) = item(row) else { continue };
                    match (self, lists) {
                        _ if items.null_count() > 0 => bad.push((row, "it holds a null, for which a tensor has no place".into())),
                        (Kind::List { .. }, Lists::Length(most)) if items.len() > most => {
                            bad.push((row, format!("it has {} numbers, where there is room for {most}: cut it in the query", items.len())));
                        }
                        _ => {}
                    }
                }
            }
        }
        bad
    }

    /// What a batch has of the cells of a column. Of rows in `missing`, and of `padding` rows behind the last, zeros, or nothing where the kind has such.
    pub fn collate(&self, cells: ArrayRef, missing: &[usize], padding: usize, lists: Lists) -> Result<Data, LoaderError> {
        let rows = cells.len() + padding;
        let cells = if missing.is_empty() && padding == 0 { cells } else { self.with_zeros(&cells, missing, padding)? };
        Ok(match self {
            Kind::Numbers { shape, number } => {
                let values = match cells.data_type() {
                    DataType::FixedSizeList(..) => {
                        let list = cells.as_fixed_size_list();
                        let n = list.value_length() as usize;
                        list.values().slice(list.value_offset(0) as usize, rows * n)
                    }
                    _ => cells,
                };
                let shape = std::iter::once(rows).chain(shape.iter().copied()).collect();
                Data::Tensor { values: without_nulls(cast(&values, number)?), shape, lengths: None }
            }
            Kind::Codes(labels) => {
                let places: HashMap<&str, i64> = labels.iter().map(String::as_str).zip(0..).collect();
                let codes = cells.as_string::<i32>().iter().map(|label| label.and_then(|label| places.get(label)).copied().unwrap_or_default());
                Data::Tensor { values: Arc::new(Int64Array::from_iter_values(codes)), shape: vec![rows], lengths: None }
            }
            Kind::List { number } => list(cells.as_list::<i32>(), number, lists)?,
            Kind::Text => Data::Text(cells.as_string::<i32>().clone()),
            Kind::Bytes => Data::Bytes(cells.as_binary::<i32>().clone()),
            Kind::Pixels => return Err(LoaderError::Thread("pictures are decoded, not put together".into())),
        })
    }

    /// The cells with that of no value in the place of some, and behind the last.
    fn with_zeros(&self, cells: &ArrayRef, missing: &[usize], padding: usize) -> Result<ArrayRef, LoaderError> {
        let zero: ArrayRef = match (self, cells.data_type()) {
            (Kind::Numbers { .. }, DataType::FixedSizeList(item, n)) => {
                let zeros = zeros(item.data_type(), *n as usize)?;
                Arc::new(FixedSizeListArray::try_new(item.clone(), *n, zeros, None)?)
            }
            (Kind::Numbers { .. }, ty) => zeros(ty, 1)?,
            (Kind::List { .. }, DataType::List(item)) => {
                Arc::new(ListArray::try_new(item.clone(), OffsetBuffer::new_zeroed(1), new_empty_array(item.data_type()), None)?)
            }
            (_, ty) => new_null_array(ty, 1),
        };
        let last = cells.len() as u32;
        let mut places: Vec<u32> = (0..last).collect();
        missing.iter().filter_map(|row| places.get_mut(*row).map(|place| *place = last)).count();
        places.resize(places.len() + padding, last);
        let both = concat(&[cells, &zero])?;
        Ok(take(&both, &UInt32Array::from(places), None)?)
    }
}

/// So many zeros of a type of numbers.
fn zeros(ty: &DataType, n: usize) -> Result<ArrayRef, LoaderError> {
    let data = arrow::array::ArrayData::new_null(ty, n).into_builder().nulls(None);
    Ok(arrow::array::make_array(data.build()?))
}

/// The same numbers; those below nulls, of rows that were seen to already, are as they are.
fn without_nulls(values: ArrayRef) -> ArrayRef {
    if values.nulls().is_none() {
        return values;
    }
    let data = values.to_data().into_builder().nulls(None).null_bit_buffer(None).build();
    data.map_or(values, arrow::array::make_array)
}

fn list(cells: &ListArray, number: &DataType, lists: Lists) -> Result<Data, LoaderError> {
    let (first, last) = (cells.value_offsets().first().copied().unwrap_or(0), cells.value_offsets().last().copied().unwrap_or(0));
    let offsets: Vec<usize> = cells.value_offsets().iter().map(|at| (at - first) as usize).collect();
    let values = without_nulls(cast(&cells.values().slice(first as usize, (last - first) as usize), number)?);
    let lengths: Vec<usize> = offsets.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let length = match lists {
        Lists::Ragged => return Ok(Data::Lists { values, offsets }),
        Lists::Longest => lengths.iter().copied().max().unwrap_or(0),
        Lists::Length(length) => length,
    };
    let zero = values.len() as u32;
    let both = concat(&[&values, &zeros(number, 1)?])?;
    let mut places = Vec::with_capacity(lengths.len() * length);
    for (start, n) in offsets.iter().zip(&lengths) {
        places.extend((0..length).map(|i| if i < *n { (start + i) as u32 } else { zero }));
    }
    let values = take(&both, &UInt32Array::from(places), None)?;
    Ok(Data::Tensor { values, shape: vec![lengths.len(), length], lengths: Some(lengths) })
}

/// The shape of a batch of pictures of one shape each.
pub(super) fn pictures(rows: usize, shape: [usize; 3]) -> Vec<usize> {
    std::iter::once(rows).chain(shape).collect()
}

/// The shape of a picture of which nothing is known, in a batch that has none.
pub(super) fn no_picture(channels: usize, layout: Layout) -> [usize; 3] {
    match layout {
        Layout::Chw => [channels, 0, 0],
        Layout::Hwc => [0, 0, channels],
    }
}
