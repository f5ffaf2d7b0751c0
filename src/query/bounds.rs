//! The least and the greatest value of a column where its tree knows them exactly, so that `min` and `max` read no block.

use arrow::datatypes::DataType;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue};

use crate::chunk::Objects;
use crate::format::node::Slice;
use crate::format::stats::{Scalar, Stats};
use crate::table::{Table, TableError};

/// A column of more slices is not looked through: planning takes no longer than a few nodes.
const SLICES_MAX: usize = 4096;

/// What is known of the values of some columns. All is unknown where rows were deleted: statistics are of slots.
pub fn known(objects: &Objects, table: &Table, columns: &[usize]) -> Result<Vec<ColumnStatistics>, TableError> {
    let live = table.live.get(objects)?;
    let whole = live.summary() == live.rows();
    columns.iter().map(|column| if whole { one(objects, table, *column) } else { Ok(ColumnStatistics::new_unknown()) }).collect()
}

fn one(objects: &Objects, table: &Table, column: usize) -> Result<ColumnStatistics, TableError> {
    let unknown = ColumnStatistics::new_unknown();
    let (Some(rope), Some(described)) = (table.columns.get(column), table.schema.columns.get(column)) else { return Ok(unknown) };
    let (rope, storage) = (rope.get(objects)?, described.ty.storage());
    let mut stats = Stats::empty();
    for (n, item) in rope.items(objects, 0, rope.rows())?.enumerate() {
        let (_, slice) = item?;
        let of = match &slice {
            _ if n >= SLICES_MAX || *slice.data_type() != storage => None,
            // Of a part the bounds are those of the whole.
            Slice::Chunk { chunk, first: 0, rows } if *rows == chunk.rows => chunk.stats.clone(),
            Slice::Literal(cells) => Some(Stats::of(cells)),
            Slice::Constant { value, .. } => Some(Stats::of(value)),
            _ => None,
        };
        match of {
            Some(of) => stats = stats.merge(&of),
            None => return Ok(unknown),
        }
    }
    if stats.nans || !stats.min_exact || !stats.max_exact {
        return Ok(unknown);
    }
    let value = |bound: Option<Scalar>| bound.and_then(|bound| scalar(&bound, &storage)).map_or(Precision::Absent, Precision::Exact);
    Ok(ColumnStatistics { min_value: value(stats.min), max_value: value(stats.max), ..unknown })
}

/// A bound as a value of a type; `None` for types whose bounds are of another kind.
fn scalar(bound: &Scalar, storage: &DataType) -> Option<ScalarValue> {
    use DataType::{Boolean, Date32, Float32, Float64, Int8, Int16, Int32, Int64, Timestamp, UInt8, UInt16, UInt32, Utf8};
    match (bound, storage) {
        (Scalar::Bool(x), Boolean) => Some(ScalarValue::Boolean(Some(*x))),
        (Scalar::Int(x), Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | Timestamp(..)) => ScalarValue::Int64(Some(*x)).cast_to(storage).ok(),
        (Scalar::Int(x), Date32) => Some(ScalarValue::Date32(Some(i32::try_from(*x).ok()?))),
        (Scalar::Float(x), Float32 | Float64) => ScalarValue::Float64(Some(*x)).cast_to(storage).ok(),
        (Scalar::Text(x), Utf8) => Some(ScalarValue::Utf8(Some(x.clone()))),
        _ => None,
    }
}
