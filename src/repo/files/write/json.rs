//! JSON lines, and one JSON array with a line for each object. Every object has every name; a null is `null`.

use arrow::array::ArrayRef;

use super::super::error::{FileError, Place};
use super::super::json::node::push_string;
use super::super::print;
use super::target::Output;
use super::{Sink, Written};
use crate::format::Type;

pub(super) struct Json {
    output: Output,
    columns: Vec<(String, Type)>,
    /// The names as they stand in each object.
    names: Vec<String>,
    lines: bool,
    rows: u64,
    text: String,
}

impl Json {
    pub fn open(output: Output, columns: &[(String, Type)], lines: bool) -> Json {
        let names = columns.iter().enumerate().map(|(i, (name, _))| {
            let mut text = String::from(if i == 0 { "{" } else { "," });
            push_string(name, &mut text);
            text.push(':');
            text
        });
        Json { output, columns: columns.to_vec(), names: names.collect(), lines, rows: 0, text: String::new() }
    }
}

impl Sink for Json {
    fn batch(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(), FileError> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        for row in 0..rows {
            let number = self.rows + row as u64;
            if !self.lines {
                text.push_str(if number == 0 { "[\n" } else { ",\n" });
            }
            for (((name, ty), start), array) in self.columns.iter().zip(&self.names).zip(columns) {
                text.push_str(start);
                print::json(ty, array, row, &mut text)
                    .map_err(|why| FileError::bad(&self.output.name, Place::Row(number + 1), format!("column '{name}': {why}")))?;
            }
            text.push('}');
            if self.lines {
                text.push('\n');
            }
            if text.len() > 1 << 16 {
                self.output.put(text.as_bytes())?;
                text.clear();
            }
        }
        self.output.put(text.as_bytes())?;
        self.rows += rows as u64;
        self.text = text;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Written, FileError> {
        if !self.lines {
            self.output.put(if self.rows == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        self.output.finish()
    }
}
