//! One cell as JSON: values as exports have them, bytes by their type, length and hash, for nobody reads megabytes in a terminal.

use arrow::array::{Array, ArrayRef, AsArray};
use serde_json::{Value, json};

use super::error::CliError;
use crate::format::Type;
use crate::repo::files::cell_json;
use crate::repo::files::media::sniff;

/// The cell of `row` of a column of that type.
pub fn json(ty: &Type, array: &ArrayRef, row: usize) -> Result<Value, CliError> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    if let Some(bytes) = array.as_binary_opt::<i32>() {
        let bytes = bytes.value(row);
        let media = sniff(bytes).map(|found| found.media_type);
        return Ok(json!({ "type": media, "bytes_total": bytes.len(), "blake3": blake3::hash(bytes).to_hex().to_string() }));
    }
    let text = cell_json(ty, array.as_ref(), row).map_err(CliError::fault)?;
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
