//! CSV and TSV (RFC 4180, lines ended by LF): a null is nothing, an empty text is `""`, lists and the like are JSON, binary is base64.

use arrow::array::{Array, ArrayRef};

use super::super::error::{FileError, Place};
use super::super::{build, print};
use super::target::Output;
use super::{Sink, Written};
use crate::format::Type;

pub(super) struct Csv {
    output: Output,
    columns: Vec<(String, Type)>,
    delimiter: u8,
    rows: u64,
    line: String,
    cell: String,
}

impl Csv {
    pub fn open(output: Output, columns: &[(String, Type)], delimiter: u8) -> Result<Csv, FileError> {
        if !delimiter.is_ascii() || matches!(delimiter, b'"' | b'\n' | b'\r' | 0) {
            return Err(FileError::usage(format!("'{}' cannot be a delimiter", char::from(delimiter).escape_default())));
        }
        let mut csv = Csv { output, columns: columns.to_vec(), delimiter, rows: 0, line: String::new(), cell: String::new() };
        let mut line = String::new();
        for (i, (name, _)) in columns.iter().enumerate() {
            if i > 0 {
                line.push(char::from(delimiter));
            }
            csv.field(name, &mut line);
        }
        line.push('\n');
        csv.output.put(line.as_bytes())?;
        Ok(csv)
    }

    /// Appends a field that is there, in quotes where it needs them.
    fn field(&self, text: &str, line: &mut String) {
        let plain = !text.is_empty()
            && !text.starts_with('\u{feff}')
            && !text.bytes().any(|b| b == self.delimiter || matches!(b, b'"' | b'\n' | b'\r'))
            // White space alone would be a blank line to some readers.
            && !text.trim().is_empty();
        if plain {
            line.push_str(text);
            return;
        }
        line.push('"');
        for (i, part) in text.split('"').enumerate() {
            if i > 0 {
                line.push_str("\"\"");
            }
            line.push_str(part);
        }
        line.push('"');
    }
}

impl Sink for Csv {
    fn batch(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(), FileError> {
        let (mut line, mut cell) = (std::mem::take(&mut self.line), std::mem::take(&mut self.cell));
        line.clear();
        for row in 0..rows {
            let place = Place::Row(self.rows + row as u64 + 1);
            for (i, ((name, ty), array)) in self.columns.iter().zip(columns).enumerate() {
                if i > 0 {
                    line.push(char::from(self.delimiter));
                }
                if array.is_valid(row) {
                    cell.clear();
                    print::text(ty, array, row, &mut cell).map_err(|why| FileError::bad(&self.output.name, place, format!("column '{name}': {why}")))?;
                    self.field(&cell, &mut line);
                } else if self.columns.len() == 1 {
                    // Nothing at all would be a blank line.
                    if build::empty_is_value(ty) {
                        return Err(FileError::bad(
                            &self.output.name,
                            place,
                            format!("a null of the only column, '{name}', cannot be told from an empty text in CSV"),
                        )
                        .with_hint("write JSON lines or Parquet, or another column with it"));
                    }
                    line.push_str("\"\"");
                }
            }
            line.push('\n');
            if line.len() > 1 << 16 {
                self.output.put(line.as_bytes())?;
                line.clear();
            }
        }
        self.output.put(line.as_bytes())?;
        self.rows += rows as u64;
        (self.line, self.cell) = (line, cell);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written, FileError> {
        self.output.finish()
    }
}
