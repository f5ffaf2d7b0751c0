//! Cells as JSON that loses nothing, in the form that tests/reader/reader.py prints with --json.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::*;
use serde_json::{Map, Value, json};

/// Text and bytes longer than this are given by hash and length.
const BYTES_MAX: usize = 1024;

/// The rows of a batch, one JSON object each.
pub fn rows(batch: &RecordBatch) -> Vec<Map<String, Value>> {
    let names: Vec<String> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
    (0..batch.num_rows()).map(|i| names.iter().zip(batch.columns()).map(|(name, column)| (name.clone(), cell(column, i))).collect()).collect()
}

/// One row as a line.
pub fn line(row: &Map<String, Value>) -> String {
    serde_json::to_string(row).unwrap()
}

/// One cell.
pub fn cell(array: &ArrayRef, i: usize) -> Value {
    if array.is_null(i) {
        return Value::Null;
    }
    macro_rules! number {
        ($($pattern:pat => $t:ty),* $(,)?) => {
            match array.data_type() {
                DataType::Boolean => json!(array.as_boolean().value(i)),
                DataType::Float16 => json!({ "bits": format!("{:04x}", array.as_primitive::<Float16Type>().value(i).to_bits()) }),
                DataType::Float32 => json!({ "bits": format!("{:08x}", array.as_primitive::<Float32Type>().value(i).to_bits()) }),
                DataType::Float64 => json!({ "bits": format!("{:016x}", array.as_primitive::<Float64Type>().value(i).to_bits()) }),
                DataType::Decimal128(_, scale) => json!({ "decimal": decimal(array.as_primitive::<Decimal128Type>().value(i).to_string(), *scale) }),
                DataType::Decimal256(_, scale) => json!({ "decimal": decimal(array.as_primitive::<Decimal256Type>().value(i).to_string(), *scale) }),
                DataType::Utf8 => bytes(array.as_string::<i32>().value(i).as_bytes(), true),
                DataType::Binary => bytes(array.as_binary::<i32>().value(i), false),
                DataType::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary().value(i), false),
                DataType::List(_) => list(&array.as_list::<i32>().value(i)),
                DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(i)),
                DataType::Struct(fields) => {
                    let columns = array.as_struct().columns();
                    Value::Object(fields.iter().zip(columns).map(|(field, column)| (field.name().clone(), cell(column, i))).collect())
                }
                $($pattern => json!(array.as_primitive::<$t>().value(i)),)*
                other => panic!("{other} is no storage type"),
            }
        };
    }
    use TimeUnit::*;
    number!(
        DataType::Int8 => Int8Type,
        DataType::Int16 => Int16Type,
        DataType::Int32 => Int32Type,
        DataType::Int64 => Int64Type,
        DataType::UInt8 => UInt8Type,
        DataType::UInt16 => UInt16Type,
        DataType::UInt32 => UInt32Type,
        DataType::UInt64 => UInt64Type,
        DataType::Date32 => Date32Type,
        DataType::Time32(Second) => Time32SecondType,
        DataType::Time32(_) => Time32MillisecondType,
        DataType::Time64(Microsecond) => Time64MicrosecondType,
        DataType::Time64(_) => Time64NanosecondType,
        DataType::Timestamp(Second, _) => TimestampSecondType,
        DataType::Timestamp(Millisecond, _) => TimestampMillisecondType,
        DataType::Timestamp(Microsecond, _) => TimestampMicrosecondType,
        DataType::Timestamp(Nanosecond, _) => TimestampNanosecondType,
        DataType::Duration(Second) => DurationSecondType,
        DataType::Duration(Millisecond) => DurationMillisecondType,
        DataType::Duration(Microsecond) => DurationMicrosecondType,
        DataType::Duration(Nanosecond) => DurationNanosecondType,
    )
}

fn list(items: &ArrayRef) -> Value {
    Value::Array((0..items.len()).map(|i| cell(items, i)).collect())
}

fn bytes(value: &[u8], text: bool) -> Value {
    if value.len() > BYTES_MAX {
        return json!({ "blake3": blake3::hash(value).to_string(), "length": value.len() });
    }
    if text { json!(String::from_utf8_lossy(value)) } else { json!({ "hex": value.iter().map(|b| format!("{b:02x}")).collect::<String>() }) }
}

/// An unscaled integer with its point, without an exponent.
fn decimal(unscaled: String, scale: i8) -> String {
    let (sign, digits) = unscaled.strip_prefix('-').map_or(("", unscaled.as_str()), |digits| ("-", digits));
    if scale <= 0 {
        let zeros = if digits == "0" { 0 } else { usize::from(scale.unsigned_abs()) };
        return format!("{sign}{digits}{}", "0".repeat(zeros));
    }
    let scale = usize::from(scale.unsigned_abs());
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, rest) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{rest}")
}
