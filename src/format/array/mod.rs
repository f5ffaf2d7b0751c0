//! Canonical bytes: the one byte string that stands for a run of values of a storage type (docs/format.md, section 5).

mod convert;
mod decode;
mod encode;
#[cfg(test)]
pub(crate) mod tests;

pub use convert::to_storage;
pub use decode::decode;
pub use encode::{Canonical, Segments, encode, encode_parts, encode_segments, fixed_bytes};

use arrow::datatypes::DataType;

use super::FormatError;

/// Where blocks put their buffers: at multiples of this many bytes.
pub const BLOCK_ALIGN: usize = 64;
/// Where literals put theirs: anywhere.
pub const LITERAL_ALIGN: usize = 1;

/// Bytes of one value of a storage type whose values all have one width: numbers, dates, decimals, `binary(k)`, and fixed lists of these
/// at any depth. `None` for bool (a bit a value), and for types of varying width.
pub fn fixed_width(storage: &DataType) -> Option<usize> {
    match storage {
        DataType::FixedSizeBinary(n) => usize::try_from(*n).ok(),
        DataType::FixedSizeList(item, n) => fixed_width(item.data_type())?.checked_mul(usize::try_from(*n).ok()?),
        other => other.primitive_width(),
    }
}

/// Checks that `data_type` is a storage type, all the way down.
pub fn check_storage(data_type: &DataType) -> Result<(), FormatError> {
    use DataType::*;
    match data_type {
        Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Float16 | Float32 | Float64 | Decimal128(..) | Decimal256(..) | Date32
        | Time32(_) | Time64(_) | Timestamp(..) | Duration(_) | Utf8 | Binary => Ok(()),
        FixedSizeBinary(n) if *n > 0 => Ok(()),
        List(item) => check_storage(item.data_type()),
        FixedSizeList(item, n) if *n > 0 => check_storage(item.data_type()),
        Struct(fields) => fields.iter().try_for_each(|f| check_storage(f.data_type())),
        other => Err(FormatError::malformed("storage type", format!("{other} is none"))),
    }
}
