//! WebDataset: a tar with a file for each cell, named by the sample's key and the column.
//!
//! The key is the column `__key__`, else the row's number. A cell's file is `KEY.COLUMN.ENDING`; the ending tells the type, and is left
//! out where the column's name is one that does. A null has no file.

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

use super::super::error::{FileError, Place, quote};
use super::super::webdataset::{Class, class_of};
use super::super::{media, npy, print};
use super::images::safe_path;
use super::npy::numbers;
use super::target::Output;
use super::{Sink, Written};
use crate::format::Type;

pub(super) struct WebDataset {
    tar: tar::Builder<Output>,
    name: String,
    columns: Vec<(String, Type)>,
    key: Option<usize>,
    last_key: Option<String>,
    rows: u64,
}

impl WebDataset {
    pub fn open(output: Output, columns: &[(String, Type)]) -> Result<WebDataset, FileError> {
        if let Some((name, _)) = columns.iter().find(|(name, _)| name.contains('/') || name.contains('\0')) {
            return Err(FileError::usage(format!("column '{name}' cannot name a file in a tar")).with_hint("leave it out: --columns"));
        }
        let key = columns.iter().position(|(name, ty)| name == "__key__" && *ty == Type::TEXT);
        let name = output.name.clone();
        Ok(WebDataset { tar: tar::Builder::new(output), name, columns: columns.to_vec(), key, last_key: None, rows: 0 })
    }
}

/// What a cell's file holds, and the ending of its name.
fn file(ty: &Type, array: &dyn Array, row: usize) -> Result<(Vec<u8>, Class, &'static str), String> {
    let text = |class, ending| {
        let mut out = String::new();
        print::text(ty, array, row, &mut out)?;
        Ok((out.into_bytes(), class, ending))
    };
    match ty {
        Type::Plain(DataType::Binary) | Type::Image | Type::Audio | Type::Video => {
            let bytes = array.as_binary_opt::<i32>().ok_or("a column is not binary")?.value(row);
            if *ty == Type::BINARY {
                return Ok((bytes.to_vec(), Class::Bytes, ""));
            }
            Ok((bytes.to_vec(), Class::Media, media::sniff(bytes).map_or("bin", |m| m.extension)))
        }
        Type::Plain(DataType::Utf8) | Type::Enum(_) => text(Class::Text, "txt"),
        Type::Json => text(Class::Json, "json"),
        Type::Plain(t) if t.is_integer() => text(Class::Integer, "cls"),
        Type::Embedding { .. } | Type::Tensor { .. } => {
            let mut out = npy::header(ty, None).unwrap_or_default();
            out.extend(numbers(&array.slice(row, 1)).map_err(str::to_owned)?);
            Ok((out, Class::Npy, "npy"))
        }
        _ => {
            let mut out = String::new();
            print::json(ty, array, row, &mut out)?;
            Ok((out.into_bytes(), Class::Json, "json"))
        }
    }
}

impl Sink for WebDataset {
    fn batch(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(), FileError> {
        for row in 0..rows {
            self.rows += 1;
            let bad = |what: String| FileError::bad(&self.name, Place::Row(self.rows), what);
            let named = self.key.and_then(|at| columns.get(at)).and_then(|c| c.as_string_opt::<i32>()).filter(|c| c.is_valid(row)).map(|c| c.value(row));
            let key = match named {
                Some(key) => {
                    safe_path(key).map_err(|what| bad(format!("the key {} {what}", quote(key))))?;
                    if key.rsplit('/').next().is_some_and(|last| last.contains('.')) {
                        return Err(bad(format!("the key {} has a point in its last part, where the column's name would start", quote(key))));
                    }
                    key.to_owned()
                }
                None => format!("{:09}", self.rows - 1),
            };
            if self.last_key.as_ref() == Some(&key) {
                return Err(bad(format!("the key {} is that of the row before too", quote(&key))));
            }
            let mut files = 0;
            for (at, ((name, ty), array)) in self.columns.iter().zip(columns).enumerate() {
                if Some(at) == self.key || array.is_null(row) {
                    continue;
                }
                let (bytes, class, ending) = file(ty, array, row).map_err(|why| bad(format!("column '{name}': {why}")))?;
                let telling = ending.is_empty() || !name.contains('.') && class_of(name) == class;
                let path = if telling { format!("{key}.{name}") } else { format!("{key}.{name}.{ending}") };
                let mut header = tar::Header::new_ustar();
                header.set_size(bytes.len() as u64);
                header.set_mode(0o644);
                header.set_mtime(0);
                self.tar.append_data(&mut header, &path, bytes.as_slice()).map_err(|e| FileError::io(&self.name, e))?;
                files += 1;
            }
            if files == 0 {
                return Err(bad("every cell is null, and a sample needs a file".to_owned()));
            }
            self.last_key = Some(key);
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written, FileError> {
        let name = self.name.clone();
        let output = self.tar.into_inner().map_err(|e| FileError::io(&name, e))?;
        output.finish()
    }
}
