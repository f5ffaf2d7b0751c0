//! The rows and cells of a table that differ, for people.

use std::io::Write;

use super::Differing;
use super::cells::told;
use super::count::{Counts, First};
use super::rows::{Rows, Side};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::cell::{Cell, Printer, Tone};
use crate::cli::ui::format;
use crate::cli::ui::table::{Heading, draw};
use crate::table::changes::RowChange;

/// Rows whose values are read at a time.
const ROWS: usize = 64;

/// Draws tables of the first rows of each kind, and says how many more there are.
pub fn write(context: &Context, out: &mut dyn Write, table: &Differing, counts: &Counts, first: &First) -> Result<(), CliError> {
    let sides = [(Side::Before, &first.removed, "-", Tone::Removed, counts.removed), (Side::After, &first.added, "+", Tone::Added, counts.added)];
    for (side, rows, sign, tone, total) in sides {
        if !rows.is_empty() {
            whole_rows(context, out, table, rows, side, Cell::plain(sign).toned(tone))?;
            more(out, total, rows.len(), "row")?;
        }
    }
    if !first.changed.is_empty() {
        cells(context, out, table, &first.changed)?;
        more(out, counts.changed, first.changed.len(), "changed row")?;
    }
    Ok(())
}

fn whole_rows(context: &Context, out: &mut dyn Write, table: &Differing, rows: &[RowChange], side: Side, sign: Cell) -> Result<(), CliError> {
    let mut drawn: Vec<Vec<Cell>> = Vec::new();
    let mut headings = vec![Heading::left("")];
    for part in rows.chunks(ROWS) {
        let batch = table.rows.read(part)?;
        let read = Rows::new(&table.rows, &batch);
        let first = drawn.len();
        drawn.resize(first + part.len(), vec![sign.clone()]);
        headings.truncate(1);
        for (column, array) in read.all(side) {
            headings.push(Heading::left(&column.name));
            let field = column.ty.field("", true);
            let printer = Printer::new(&field, array).map_err(|e| CliError::fault(e.to_string()))?;
            for (row, cells) in drawn.iter_mut().skip(first).enumerate() {
                cells.push(printer.cell(row));
            }
        }
    }
    Ok(draw(&context.ui, out, headings, &drawn)?)
}

fn cells(context: &Context, out: &mut dyn Write, table: &Differing, rows: &[RowChange]) -> Result<(), CliError> {
    let compared = table.compared();
    let sparse = table.rows.clone().sparse(true);
    let mut drawn: Vec<Vec<Cell>> = Vec::new();
    for part in rows.chunks(ROWS) {
        let batch = sparse.read(part)?;
        let read = Rows::new(&sparse, &batch);
        for row in 0..read.count() {
            let name = read.name(row)?;
            for column in read.columns(row) {
                let Some(pair) = compared.iter().find(|c| c.name == column) else { continue };
                let (Some(before), Some(after)) = (read.cells(Side::Before, pair.index.0), read.cells(Side::After, pair.index.1)) else { continue };
                let (before, after) = told(before, after, row, context.ui.paint)?;
                drawn.push(vec![Cell::plain(&name), Cell::plain(&column), before, after]);
            }
        }
    }
    Ok(draw(&context.ui, out, ["row", "column", "before", "after"].map(Heading::left).to_vec(), &drawn)?)
}

fn more(out: &mut dyn Write, total: u64, shown: usize, what: &str) -> Result<(), CliError> {
    let left = total.saturating_sub(shown as u64);
    if left > 0 {
        writeln!(out, "  ... and {} more; -n N shows more", format::plural(left, what))?;
    }
    Ok(())
}
