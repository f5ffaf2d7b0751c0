//! Two values of a cell by what tells them apart.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type};

use super::rows::Cells;
use crate::cli::error::CliError;
use crate::cli::ui::cell::{Cell, Printer, Tone};
use crate::cli::ui::format;
use crate::cli::ui::paint::Paint;
use crate::cli::ui::words::{Word, marked, one_line_words, words};

/// Texts of more characters are shown by their words that differ.
const LONG: usize = 40;
/// Characters that stand on each side of a changed word, in colour.
const CONTEXT: usize = 16;

/// How far a vector moved: the Euclidean distance, and the cosine distance unless one is all zeros. `None` where the two are no vectors of one length.
pub fn moved(before: &ArrayRef, after: &ArrayRef, row: usize) -> Option<(f64, Option<f64>)> {
    let vector = |array: &ArrayRef| -> Option<Vec<f64>> {
        let cell = array.as_fixed_size_list_opt().filter(|lists| lists.is_valid(row))?.value(row);
        let numbers = arrow::compute::cast(&cell, &DataType::Float64).ok()?;
        Some(numbers.as_primitive_opt::<Float64Type>()?.iter().map(|x| x.unwrap_or(f64::NAN)).collect())
    };
    let (a, b) = (vector(before)?, vector(after)?);
    if a.len() != b.len() {
        return None;
    }
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let l2 = a.iter().zip(&b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt();
    // A vector of zeros has no direction.
    let lengths = (dot(&a, &a) * dot(&b, &b)).sqrt();
    Some((l2, (lengths > 0.0).then(|| 1.0 - dot(&a, &b) / lengths)))
}

/// A cell before and after: long texts by their words that differ, bytes by a hash, vectors by how far they moved, other values as they are.
pub fn told(before: Cells<'_>, after: Cells<'_>, row: usize, paint: Paint) -> Result<(Cell, Cell), CliError> {
    let ((was, old), (is, new)) = (before, after);
    if let (Some(a), Some(b)) = (text(old, row), text(new, row)) {
        let is_long = a.chars().nth(LONG).is_some() || b.chars().nth(LONG).is_some();
        if is_long && paint.on {
            return Ok(coloured(a, b));
        }
        if is_long {
            return Ok((Cell::note("words:"), Cell::plain(marked(a, b, paint))));
        }
    }
    if let Some((l2, cosine)) = moved(old, new, row) {
        let mut told = format!("moved by {} (L2)", format::brief(l2));
        if let Some(cosine) = cosine {
            told.push_str(&format!(", {} (cosine distance)", format::brief(cosine)));
        }
        let numbers = new.as_fixed_size_list_opt().map_or(0, |lists| lists.value_length());
        return Ok((Cell::note(format!("{numbers} numbers")), Cell::note(told)));
    }
    let cell = |ty: &crate::format::Type, array| -> Result<Cell, CliError> {
        Ok(Printer::new(&ty.field("", true), array).map_err(|e| CliError::fault(e.to_string()))?.hashed().cell(row))
    };
    let (old, new) = (cell(was, old)?, cell(is, new)?);
    // Values are red and green as the rows are; what stands in for one stays dim.
    let toned = |cell: Cell, tone| if cell.tone == Tone::Plain { cell.toned(tone) } else { cell };
    Ok((toned(old, Tone::Removed), toned(new, Tone::Added)))
}

fn text(array: &ArrayRef, row: usize) -> Option<&str> {
    array.as_string_opt::<i32>().filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row))
}

/// Both texts with their own words marked by colour.
fn coloured(before: &str, after: &str) -> (Cell, Cell) {
    let words = one_line_words(&words(before, after), CONTEXT);
    let (mut was, mut is) = (Cell::plain(""), Cell::plain(""));
    for (word, text) in words {
        match word {
            Word::Same(_) => {
                was.push(&text, Tone::Plain);
                is.push(&text, Tone::Plain);
            }
            Word::Removed(_) => was.push(&text, Tone::Removed),
            Word::Added(_) => is.push(&text, Tone::Added),
        }
    }
    (was, is)
}
