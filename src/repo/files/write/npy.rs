//! NumPy's `.npy`, of one column of numbers, dates and times, embeddings or tensors.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Date32Type};

use super::super::error::{FileError, Place};
use super::super::npy;
use super::super::temp::TempFile;
use super::target::Output;
use super::{Sink, Written};
use crate::format::Type;

pub(super) struct Npy {
    output: Output,
    ty: Type,
    column: String,
    rows: u64,
    /// The numbers wait here, for the header tells how many there are.
    body: BufWriter<File>,
    temp: TempFile,
}

impl Npy {
    pub fn open(output: Output, columns: &[(String, Type)]) -> Result<Npy, FileError> {
        let [(column, ty)] = columns else {
            return Err(FileError::usage(format!("an .npy file holds one column, not {}", columns.len())).with_hint("name one: --columns NAME"));
        };
        if npy::header(ty, Some(0)).is_none() {
            return Err(FileError::usage(format!("column '{column}' is {ty}, which an .npy file does not hold"))
                .with_hint("it holds numbers, bool, date, timestamp, duration, embedding and tensor"));
        }
        let folder = std::env::temp_dir();
        let (temp, file) = TempFile::create(&folder, "dsv-npy-").map_err(|e| FileError::io(folder.display(), e))?;
        Ok(Npy { output, ty: ty.clone(), column: column.clone(), rows: 0, body: BufWriter::new(file), temp })
    }
}

/// The numbers of an array, little-endian and end to end; the message if there are nulls among them that NumPy cannot hold.
pub(super) fn numbers(array: &dyn Array) -> Result<Vec<u8>, &'static str> {
    let null = "a null, which NumPy's arrays do not hold";
    let times = matches!(array.data_type(), DataType::Date32 | DataType::Timestamp(..) | DataType::Duration(_));
    if array.null_count() > 0 && !times {
        return Err(null);
    }
    match array.data_type() {
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(*size).unwrap_or(0);
            let start = usize::try_from(list.value_offset(0)).unwrap_or(0);
            numbers(&list.values().slice(start, list.len() * size))
        }
        DataType::Boolean => Ok(array.as_boolean().values().iter().map(u8::from).collect()),
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>();
            Ok(days.iter().flat_map(|day| day.map_or(i64::MIN, i64::from).to_le_bytes()).collect())
        }
        _ => {
            let data = array.to_data();
            let width = array.data_type().primitive_width().ok_or("a value that is no number")?;
            let bytes = data
                .buffers()
                .first()
                .and_then(|b| b.as_slice().get(data.offset() * width..(data.offset() + data.len()) * width))
                .ok_or("a value that is no number")?;
            let mut bytes = bytes.to_vec();
            if let Some(nulls) = array.nulls() {
                for (i, value) in bytes.chunks_exact_mut(8).enumerate() {
                    if nulls.is_null(i) {
                        value.copy_from_slice(&i64::MIN.to_le_bytes());
                    }
                }
            }
            Ok(bytes)
        }
    }
}

impl Sink for Npy {
    fn batch(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(), FileError> {
        for array in columns {
            let bytes = numbers(array).map_err(|what| {
                let row = (0..rows).find(|row| array.is_null(*row)).unwrap_or(0) as u64;
                FileError::bad(&self.output.name, Place::Row(self.rows + row + 1), format!("column '{}' has {what}", self.column))
                    .with_hint("leave such rows out: --where")
            })?;
            self.body.write_all(&bytes).map_err(|e| FileError::io(self.temp.path().display(), e))?;
        }
        self.rows += rows as u64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written, FileError> {
        let Npy { mut output, ty, rows, body, temp, .. } = *self;
        let failed = |e| FileError::io(temp.path().display(), e);
        let mut body = body.into_inner().map_err(|e| failed(e.into_error()))?;
        output.put(&npy::header(&ty, Some(rows)).unwrap_or_default())?;
        body.seek(SeekFrom::Start(0)).map_err(failed)?;
        std::io::copy(&mut body, &mut output).map_err(|e| output.failed(e))?;
        output.finish()
    }
}
