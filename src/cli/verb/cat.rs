//! `dsv cat`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use arrow::util::display::ArrayFormatter;

use crate::cli::answer;
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::look::{Found, Look};
use crate::cli::ui::{cell, format};
use crate::format::Type;
use crate::format::node::Slice;
use crate::table::large;

/// Write one cell's bytes to stdout
///
/// An image or a video comes out as the file it was; text as its bytes; other values as JSON. A null writes nothing and exits
/// with 1. Large values are streamed.
///
/// ROW is the row's key (its parts with commas between) where the table has a key, else its position, from 0.
///
/// Examples:
///
///   dsv cat frames image 17 > frame.jpg
///   dsv cat birds notes "Passer domesticus" --at v1.0
///   dsv cat frames image --position 0 -o first.jpg
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Cat {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// The column
    #[arg(value_name = "COLUMN")]
    column: String,
    /// The row: its key, or its position without one
    #[arg(value_name = "ROW", required_unless_present = "position")]
    row: Option<String>,
    /// The row by its position from 0, also in a table with a key
    #[arg(long, value_name = "N", conflicts_with = "row")]
    position: Option<u64>,
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// Into a file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Cat {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let look = Look { table: self.table.clone(), at: self.at.clone(), columns: vec![self.column.clone()] };
        let repo = context.repo()?;
        let found = look.find(&repo)?;
        let slot = self.slot(&found)?;
        let mut out: Box<dyn Write> = match &self.output {
            Some(path) => {
                let path = context.path(path);
                let file = File::create(&path).map_err(|e| CliError::fault(format!("{}: {e}", path.display())))?;
                Box::new(BufWriter::new(file))
            }
            None => Box::new(context.ui.out()),
        };
        let Some(index) = found.indices.first().copied() else { return Err(CliError::usage("name a column")) };
        let mut reader = found.table.reader(&found.objects, index)?;
        if let (Slice::Large(value), _) = reader.find(slot)? {
            large::stream(&found.objects, &value, 0..value.length, &mut out)?;
            return Ok(out.flush()?);
        }
        let batch = found.table.take(&found.objects, &[slot], &found.indices)?;
        let cell = batch.column(0);
        if cell.is_null(0) {
            return Err(CliError::no(format!("the cell is null: column '{}' of that row", self.column)));
        }
        match cell.data_type() {
            DataType::Binary => out.write_all(cell.as_binary::<i32>().value(0))?,
            DataType::Utf8 => out.write_all(cell.as_string::<i32>().value(0).as_bytes())?,
            DataType::FixedSizeBinary(_) if found.columns.iter().all(|(_, ty)| *ty != Type::Uuid) => out.write_all(cell.as_fixed_size_binary().value(0))?,
            _ => writeln!(out, "{}", answer::cell_text(&found.columns, &batch)?)?,
        }
        Ok(out.flush()?)
    }

    /// The slot of the row that was asked for.
    fn slot(&self, found: &Found) -> Result<u64, CliError> {
        let key = found.table.schema.key_indices();
        let position = match (self.position, &self.row) {
            (Some(position), _) => Some(position),
            (None, Some(row)) if key.is_empty() => Some(
                row.parse().map_err(|_| CliError::usage(format!("'{row}' is not a row's position")).hint("the table has no key: rows are counted from 0"))?,
            ),
            _ => None,
        };
        if let Some(position) = position {
            let rows = found.rows()?;
            if position >= rows {
                return Err(CliError::usage(format!("there is no row {position}: the table has {}", format::plural(rows, "row"))));
            }
            let slots = found.table.slots_of_rows(&found.objects, &[position])?;
            return slots.first().copied().ok_or_else(|| CliError::fault("the row is missing"));
        }
        let row = self.row.as_deref().unwrap_or_default();
        self.slot_by_key(found, &key, row)
    }

    /// Compares the key as text, so that it is typed as it is shown.
    fn slot_by_key(&self, found: &Found, key: &[usize], row: &str) -> Result<u64, CliError> {
        let wanted: Vec<String> = if key.len() == 1 { vec![row.to_owned()] } else { args::names("ROW", &[row.to_owned()])? };
        if wanted.len() != key.len() {
            return Err(CliError::usage(format!("the table's key has {} parts, '{row}' has {}", key.len(), wanted.len())));
        }
        let options = cell::options();
        let mut rank = 0u64;
        for batch in found.table.scan(&found.objects).columns(key.to_vec()).open()? {
            let batch = batch?;
            let mut formatters = Vec::with_capacity(key.len());
            for array in batch.columns() {
                formatters.push(ArrayFormatter::try_new(array, &options).map_err(|e| CliError::fault(e.to_string()))?);
            }
            let matches = |i: usize| formatters.iter().zip(&wanted).all(|(f, w)| f.value(i).to_string() == *w);
            if let Some(i) = (0..batch.num_rows()).find(|i| matches(*i)) {
                let slots = found.table.slots_of_rows(&found.objects, &[rank + i as u64])?;
                return slots.first().copied().ok_or_else(|| CliError::fault("the row is missing"));
            }
            rank += batch.num_rows() as u64;
        }
        let names: Vec<&str> = key.iter().filter_map(|i| found.table.schema.columns.get(*i)).map(|c| c.name.as_str()).collect();
        Err(CliError::usage(format!("table '{}' has no row with {} = {row}", self.table, names.join(", "))))
    }
}
