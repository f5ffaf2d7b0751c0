//! Functions on media: what the bytes of a picture, a clip or a recording tell of themselves, their hashes, and how alike pictures look.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryBuilder, Int32Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::repo::files::media::{perceptual_hash, sniff};

use super::QueryError;
use super::error::type_name;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Width,
    Height,
    ByteLength,
    MediaType,
    Blake3,
    Phash,
    Hamming,
}

const ALL: [What; 7] = [What::Width, What::Height, What::ByteLength, What::MediaType, What::Blake3, What::Phash, What::Hamming];

/// All functions on media: `width`, `height`, `byte_length`, `media_type`, `blake3`, `phash` and `hamming`.
///
/// Widths and heights are in pixels, as stored, and null where the bytes do not tell; so is a `phash` of what does not decode. A `blake3` is
/// binary, as `sha256` is: `encode(blake3(x), 'hex')` makes text of it. `hamming` counts the bits at which two hashes differ.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let make = |what| Arc::new(ScalarUDF::new_from_impl(MediaFunction { what, signature: Signature::user_defined(Volatility::Immutable) }));
    ALL.into_iter().map(make).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MediaFunction {
    what: What,
    signature: Signature,
}

impl ScalarUDFImpl for MediaFunction {
    fn name(&self) -> &str {
        match self.what {
            What::Width => "width",
            What::Height => "height",
            What::ByteLength => "byte_length",
            What::MediaType => "media_type",
            What::Blake3 => "blake3",
            What::Phash => "phash",
            What::Hamming => "hamming",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.what {
            What::Width | What::Height | What::Hamming => DataType::Int32,
            What::ByteLength | What::Phash => DataType::Int64,
            What::MediaType => DataType::Utf8,
            What::Blake3 => DataType::Binary,
        })
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let refused = |why: String| QueryError::Refused(why).into();
        let arity = if self.what == What::Hamming { 2 } else { 1 };
        if given.len() != arity {
            return Err(refused(format!("{} takes {arity} argument{}, not {}", self.name(), if arity == 1 { "" } else { "s" }, given.len())));
        }
        let of_text = matches!(self.what, What::ByteLength | What::Blake3);
        let one = |ty: &DataType| match ty {
            DataType::Null if self.what == What::Hamming => Ok(DataType::Int64),
            ty if self.what == What::Hamming && ty.is_integer() => Ok(DataType::Int64),
            DataType::Null | DataType::Binary | DataType::LargeBinary | DataType::BinaryView if self.what != What::Hamming => Ok(DataType::Binary),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if of_text => Ok(DataType::Utf8),
            other => {
                let takes = if self.what == What::Hamming { "two hashes, which are integers" } else { "bytes" };
                Err(refused(format!("{} takes {takes}, not {}", self.name(), type_name(other))))
            }
        };
        given.iter().map(one).collect()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let found: ArrayRef = match arrays.as_slice() {
            [a, b] => {
                let (a, b) = (a.as_primitive::<Int64Type>(), b.as_primitive::<Int64Type>());
                Arc::new(a.iter().zip(b).map(|(a, b)| Some((a? ^ b?).count_ones() as i32)).collect::<Int32Array>())
            }
            [bytes] => self.of_bytes(&cast(bytes, &DataType::Binary)?),
            _ => return Err(QueryError::Refused(format!("{} takes other arguments", self.name())).into()),
        };
        Ok(if is_scalar { ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?) } else { ColumnarValue::Array(found) })
    }
}

impl MediaFunction {
    fn of_bytes(&self, bytes: &ArrayRef) -> ArrayRef {
        let cells = bytes.as_binary::<i32>();
        let side = |side: Option<u32>| side.and_then(|side| i32::try_from(side).ok());
        match self.what {
            What::Width => Arc::new(cells.iter().map(|cell| side(sniff(cell?)?.width)).collect::<Int32Array>()),
            What::Height => Arc::new(cells.iter().map(|cell| side(sniff(cell?)?.height)).collect::<Int32Array>()),
            What::MediaType => Arc::new(cells.iter().map(|cell| Some(sniff(cell?)?.media_type)).collect::<StringArray>()),
            What::ByteLength => Arc::new(cells.iter().map(|cell| cell.map(|bytes| bytes.len() as i64)).collect::<Int64Array>()),
            What::Phash => Arc::new(cells.iter().map(|cell| perceptual_hash(cell?).map(|hash| hash as i64)).collect::<Int64Array>()),
            What::Blake3 | What::Hamming => {
                let mut out = BinaryBuilder::new();
                cells.iter().for_each(|cell| out.append_option(cell.map(|bytes| *blake3::hash(bytes).as_bytes())));
                Arc::new(out.finish())
            }
        }
    }
}
