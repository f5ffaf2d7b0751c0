//! Record batches as a table in the terminal or as Markdown, in bounded memory whatever their number.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::Ui;
use super::cell::{Cell, Printer, is_right_aligned};
use super::format;
use super::table::{Drawing, Heading, markdown_heading, markdown_row};
use crate::cli::error::CliError;

/// Rows that are looked at before the widths are settled.
const MEASURED_ROWS: usize = 1000;

/// The cells of a batch, row by row.
pub fn cells(batch: &RecordBatch) -> Result<Vec<Vec<Cell>>, CliError> {
    let printers = batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| Printer::new(field, array))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| CliError::fault(e.to_string()))?;
    Ok((0..batch.num_rows()).map(|row| printers.iter().map(|printer| printer.cell(row)).collect()).collect())
}

fn headings(schema: &SchemaRef) -> Vec<Heading> {
    schema.fields().iter().map(|f| Heading { name: format::one_line(f.name()), right: is_right_aligned(f.data_type()) }).collect()
}

/// Draws batches as one table; returns the number of rows.
pub fn table(ui: &Ui, out: &mut dyn Write, schema: &SchemaRef, batches: &mut dyn Iterator<Item = Result<RecordBatch, CliError>>) -> Result<u64, CliError> {
    let mut first = Vec::new();
    while first.len() < MEASURED_ROWS
        && let Some(batch) = batches.next()
    {
        first.extend(cells(&batch?)?);
    }
    let mut drawing = Drawing::begin(out, ui.paint, ui.width, headings(schema), &first)?;
    let mut rows = 0;
    for row in &first {
        drawing.row(row)?;
        rows += 1;
    }
    drop(first);
    for batch in batches {
        for row in cells(&batch?)? {
            drawing.row(&row)?;
            rows += 1;
        }
    }
    let left_out = drawing.columns_left_out() as u64;
    if left_out > 0 {
        let note = format!("{} not shown for lack of width: choose with --columns, or widen the terminal", format::plural(left_out, "column"));
        writeln!(out, "{}", ui.paint.dim(note))?;
    }
    Ok(rows)
}

/// Writes batches as one Markdown table; returns the number of rows.
pub fn markdown(out: &mut dyn Write, schema: &SchemaRef, batches: &mut dyn Iterator<Item = Result<RecordBatch, CliError>>) -> Result<u64, CliError> {
    markdown_heading(out, &headings(schema))?;
    let mut rows = 0;
    for batch in batches {
        for row in cells(&batch?)? {
            markdown_row(out, row.into_iter().map(|cell| cell.text))?;
            rows += 1;
        }
    }
    Ok(rows)
}
