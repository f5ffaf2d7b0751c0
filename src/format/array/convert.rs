//! Other Arrow layouts of the same values to the layout of a storage type.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, ListArray, StructArray, make_array, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, TimeUnit};

use super::super::FormatError;

/// `array` in the layout of the storage type `storage`: large, view, dictionary and run-end layouts are unpacked, maps become lists of structs,
/// children take the storage type's field names. No value changes; errors where one would have to, or does not fit the layout.
pub fn to_storage(array: &ArrayRef, storage: &DataType) -> Result<ArrayRef, FormatError> {
    use DataType::*;
    if array.data_type() == storage {
        return Ok(array.clone());
    }
    match (array.data_type(), storage) {
        (Null, _) => Ok(new_null_array(storage, array.len())),
        (Dictionary(_, values), _) => to_storage(&cast(array, values)?, storage),
        (RunEndEncoded(_, values), _) => to_storage(&cast(array, values.data_type())?, storage),
        (LargeUtf8 | Utf8View, Utf8)
        | (LargeBinary | BinaryView, Binary)
        | (Decimal32(..) | Decimal64(..), Decimal128(..))
        | (Date64, Timestamp(TimeUnit::Millisecond, None)) => {
            same_decimals(array.data_type(), storage)?;
            cast(array, storage)
        }
        (List(_), List(item)) => {
            let list = array.as_list::<i32>();
            list_of(item, list.offsets().clone(), list.values(), array)
        }
        (LargeList(_) | ListView(_) | LargeListView(_), List(item)) => {
            let child = match array.data_type() {
                LargeList(child) | ListView(child) | LargeListView(child) => child.clone(),
                _ => item.clone(),
            };
            to_storage(&cast(array, &List(child))?, &List(item.clone()))
        }
        (Map(..), List(item)) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            list_of(item, map.offsets().clone(), &entries, array)
        }
        (FixedSizeList(child, _), List(item)) => {
            let list = cast(array, &List(child.clone()))?;
            to_storage(&list, &List(item.clone()))
        }
        (FixedSizeList(_, n), FixedSizeList(item, m)) if n == m => {
            let list = array.as_fixed_size_list();
            let child = to_storage(list.values(), item.data_type())?;
            let list = FixedSizeListArray::try_new(item.clone(), *m, child, list.nulls().cloned()).map_err(|e| refused(array, storage, e))?;
            Ok(Arc::new(list))
        }
        (Struct(from), Struct(to)) if from.len() == to.len() => {
            let fields = array.as_struct();
            let columns = fields.columns().iter().zip(to).map(|(column, field)| to_storage(column, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let fields = StructArray::try_new_with_length(to.clone(), columns, fields.nulls().cloned(), array.len());
            Ok(Arc::new(fields.map_err(|e| refused(array, storage, e))?))
        }
        // The zone of a timestamp is the column's business: the instant is the same in all.
        (Timestamp(a, from), Timestamp(b, to)) if a == b && from.is_some() == to.is_some() => {
            let data = array.to_data().into_builder().data_type(storage.clone()).build();
            Ok(make_array(data.map_err(|e| refused(array, storage, e))?))
        }
        _ => Err(refused(array, storage, "another type")),
    }
}

fn refused(array: &ArrayRef, storage: &DataType, why: impl ToString) -> FormatError {
    FormatError::malformed("values", format!("{} cannot be stored as {storage}: {}", array.data_type(), why.to_string()))
}

fn same_decimals(from: &DataType, to: &DataType) -> Result<(), FormatError> {
    use DataType::*;
    match (from, to) {
        (Decimal32(p, s) | Decimal64(p, s), Decimal128(q, t)) if p > q || s != t => {
            Err(FormatError::malformed("values", format!("{from} cannot be stored as {to}")))
        }
        _ => Ok(()),
    }
}

fn list_of(item: &FieldRef, offsets: OffsetBuffer<i32>, values: &ArrayRef, list: &ArrayRef) -> Result<ArrayRef, FormatError> {
    let child = to_storage(values, item.data_type())?;
    let made = ListArray::try_new(item.clone(), offsets, child, list.nulls().cloned());
    Ok(Arc::new(made.map_err(|e| refused(list, &DataType::List(item.clone()), e))?))
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, FormatError> {
    cast_with_options(array, to, &CastOptions { safe: false, ..Default::default() }).map_err(|e| refused(array, to, e))
}
