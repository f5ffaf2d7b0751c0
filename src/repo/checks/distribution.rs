//! How a column's values are distributed, and how far that is from how they once were.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};

use crate::base::Progress;
use crate::chunk::Objects;
use crate::format::Type;
use crate::format::mix::mix;
use crate::format::sketch::{Form, Point, Real, Sketch};
use crate::table::check::visit;
use crate::table::{Table, TableError};

/// Points and labels that a sketch has at most. Between two neighbouring points lies about this part of the values, and so much a distance may be too small.
const KEPT_MAX: usize = 200;
/// Values that are looked at to choose the points.
const SAMPLED: u64 = 1 << 16;
/// Different labels, and bytes of one, that still are classes.
const LABELS_MAX: usize = 10_000;
const LABEL_BYTES_MAX: usize = 256;

/// What a column's values are to its distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Numbers,
    /// Dates, times: numbers of one unit, which the type says.
    Moments,
    Labels,
}

fn kind(ty: &Type) -> Option<Kind> {
    match ty {
        Type::Plain(DataType::Utf8 | DataType::Boolean) | Type::Enum(_) => Some(Kind::Labels),
        Type::Plain(plain) if plain.is_numeric() => Some(Kind::Numbers),
        Type::Plain(plain) if plain.is_temporal() => Some(Kind::Moments),
        _ => None,
    }
}

/// Whether there are distributions of values of that type.
pub(super) fn suits(ty: &Type) -> bool {
    kind(ty).is_some()
}

/// What cannot be told of a column, in words; or why it could not be read.
pub(super) enum Untold {
    Why(String),
    Table(TableError),
}

impl From<TableError> for Untold {
    fn from(error: TableError) -> Untold {
        Untold::Table(error)
    }
}

/// The distribution of a column now, to be held against later ones. Reads the column once or, of numbers, twice, in bounded memory.
pub(super) fn sketch(objects: &Arc<Objects>, table: &Arc<Table>, column: usize, like: &str, progress: &dyn Progress) -> Result<Sketch, Untold> {
    let ty = table.schema.columns.get(column).map(|c| c.ty.clone()).unwrap_or(Type::BINARY);
    let (rows, nulls, form) = match kind(&ty) {
        None => return Err(Untold::Why(format!("values of type {ty} have no distribution"))),
        Some(Kind::Labels) => {
            let (rows, nulls, mut counts) = labels(objects, table, column, progress)?.ok_or_else(|| {
                Untold::Why(format!("it has more than {LABELS_MAX} different values, or longer ones than {LABEL_BYTES_MAX} bytes: they are no classes"))
            })?;
            if counts.len() > KEPT_MAX {
                let mut all: Vec<(String, u64)> = counts.into_iter().collect();
                all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                counts = all.into_iter().take(KEPT_MAX).collect();
            }
            (rows, nulls, Form::Shares(counts.into_iter().collect()))
        }
        Some(Kind::Numbers | Kind::Moments) => {
            let values = points(objects, table, column, progress)?;
            let (rows, nulls, counts) = count(objects, table, column, &values, progress)?;
            let points = values.into_iter().zip(counts).map(|(value, (below, up_to))| Point { value: Real(value), below, up_to });
            (rows, nulls, Form::Points(points.collect()))
        }
    };
    if rows == 0 {
        return Err(Untold::Why("it has no rows".to_owned()));
    }
    Ok(Sketch { like: like.to_owned(), ty: ty.to_string(), rows, nulls, form })
}

/// How far the distribution of a column is from a sketch, 0 to 1. Of numbers and moments: the Kolmogorov-Smirnov distance, the most by which the shares of rows up to any one
/// value differ, nulls being below all values and NaN above them. Of labels: the total variation, half the sum of the differences of their shares, nulls being a label and all that the
/// sketch does not name together another one. A column without rows is at 1. Reads the column once.
pub(super) fn distance(objects: &Arc<Objects>, table: &Arc<Table>, column: usize, sketch: &Sketch, progress: &dyn Progress) -> Result<f64, Untold> {
    let ty = table.schema.columns.get(column).map(|c| c.ty.clone()).unwrap_or(Type::BINARY);
    let was: Option<Type> = sketch.ty.parse().ok();
    let comparable = match (kind(&ty), was.as_ref().and_then(kind), &sketch.form) {
        (Some(Kind::Labels), Some(Kind::Labels), Form::Shares(_)) | (Some(Kind::Numbers), Some(Kind::Numbers), Form::Points(_)) => true,
        (Some(Kind::Moments), Some(Kind::Moments), Form::Points(_)) => was.as_ref() == Some(&ty),
        _ => false,
    };
    if !comparable {
        return Err(Untold::Why(format!("its column is {ty} now, and its distribution was kept as one of {}", sketch.ty)));
    }
    let share = |count: u64, rows: u64| count as f64 / rows as f64;
    match &sketch.form {
        Form::Points(points) => {
            let values: Vec<f64> = points.iter().map(|point| point.value.0).collect();
            let (rows, nulls, counts) = count(objects, table, column, &values, progress)?;
            if rows == 0 {
                return Ok(1.0);
            }
            let at = |then: u64, now: u64| (share(sketch.nulls + then, sketch.rows) - share(nulls + now, rows)).abs();
            // What is above the last point are NaNs, and values that are greater than all that were.
            let most = points.iter().zip(&counts).fold(at(0, 0), |most, (then, now)| most.max(at(then.below, now.0)).max(at(then.up_to, now.1)));
            Ok(most)
        }
        Form::Shares(shares) => {
            let known: HashMap<&str, u64> = shares.iter().map(|(label, count)| (label.as_str(), *count)).collect();
            let (mut rows, mut nulls, mut now): (u64, u64, HashMap<&str, u64>) = (0, 0, known.keys().map(|label| (*label, 0)).collect());
            each(objects, table, column, &DataType::Utf8, progress, &mut |_, cells| {
                let Some(cells) = cells.as_string_opt::<i32>() else { return Ok(()) };
                for cell in cells {
                    rows += 1;
                    match cell {
                        None => nulls += 1,
                        Some(label) => {
                            if let Some(count) = now.get_mut(label) {
                                *count += 1;
                            }
                        }
                    }
                }
                Ok(())
            })?;
            if rows == 0 {
                return Ok(1.0);
            }
            let others = |rows: u64, nulls: u64, named: u64| share(rows.saturating_sub(nulls).saturating_sub(named), rows);
            let apart = |then: u64, now: u64| (share(then, sketch.rows) - share(now, rows)).abs();
            let sum: f64 = shares.iter().map(|(label, then)| apart(*then, now.get(label.as_str()).copied().unwrap_or(0))).sum();
            let rest = (others(sketch.rows, sketch.nulls, known.values().sum()) - others(rows, nulls, now.values().sum())).abs();
            Ok(((sum + apart(sketch.nulls, nulls) + rest) / 2.0).clamp(0.0, 1.0))
        }
    }
}

/// Calls `each` with the slots and the cells of all live rows, cast.
fn each(
    objects: &Arc<Objects>,
    table: &Arc<Table>,
    column: usize,
    to: &DataType,
    progress: &dyn Progress,
    each: &mut dyn FnMut(&[u64], &ArrayRef) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let slots = table.slots(objects)?;
    let all = std::iter::once(0..slots).filter(|all| !all.is_empty()).collect();
    visit(objects, table, all, &[column], progress, &mut |slots, batch| {
        let mut cells = batch.column(0).clone();
        if *to == DataType::Float64 && cells.data_type().is_temporal() {
            cells = cast(&cells, &DataType::Int64)?;
        }
        each(slots, &cast(&cells, to)?)
    })
}

/// All labels with their counts; none where they are too many or too long. Rows and nulls come first.
fn labels(objects: &Arc<Objects>, table: &Arc<Table>, column: usize, progress: &dyn Progress) -> Result<Option<(u64, u64, BTreeMap<String, u64>)>, TableError> {
    let (mut rows, mut nulls, mut counts, mut many) = (0, 0, BTreeMap::<String, u64>::new(), false);
    each(objects, table, column, &DataType::Utf8, progress, &mut |_, cells| {
        let Some(cells) = cells.as_string_opt::<i32>().filter(|_| !many) else { return Ok(()) };
        for cell in cells {
            rows += 1;
            match cell {
                None => nulls += 1,
                Some(label) => {
                    let room = counts.len() < LABELS_MAX && label.len() <= LABEL_BYTES_MAX;
                    match counts.get_mut(label) {
                        Some(count) => *count += 1,
                        None if room => drop(counts.insert(label.to_owned(), 1)),
                        None => many = true,
                    }
                }
            }
        }
        Ok(())
    })?;
    Ok((!many).then_some((rows, nulls, counts)))
}

/// Values that cut a column into parts of about one size: all of them, where they are few. They ascend.
fn points(objects: &Arc<Objects>, table: &Arc<Table>, column: usize, progress: &dyn Progress) -> Result<Vec<f64>, TableError> {
    let rows = table.rows(objects)?.max(1);
    // The same rows whenever it is asked, and no stride that a period of the data could meet.
    let drawn = |slot: u64| u128::from(mix(slot)) * u128::from(rows) < u128::from(SAMPLED) << 64;
    let (mut few, mut sample) = (BTreeSet::<u64>::new(), Vec::new());
    each(objects, table, column, &DataType::Float64, progress, &mut |slots, cells| {
        for (slot, cell) in slots.iter().zip(cells.as_primitive::<Float64Type>()) {
            let Some(value) = cell.filter(|value| !value.is_nan()).map(|value| value + 0.0) else { continue };
            if few.len() <= KEPT_MAX {
                few.insert(value.to_bits());
            }
            if drawn(*slot) {
                sample.push(value);
            }
        }
        Ok(())
    })?;
    let mut values: Vec<f64> = match few.len() {
        n if n <= KEPT_MAX => few.into_iter().map(f64::from_bits).collect(),
        _ => {
            sample.sort_by(f64::total_cmp);
            let last = sample.len().saturating_sub(1);
            (0..KEPT_MAX).filter_map(|i| sample.get(i * last / (KEPT_MAX - 1)).copied()).collect()
        }
    };
    values.sort_by(f64::total_cmp);
    values.dedup();
    Ok(values)
}

/// Rows, nulls, and for each of these values, which ascend, how many are below it and how many up to it.
fn count(
    objects: &Arc<Objects>,
    table: &Arc<Table>,
    column: usize,
    values: &[f64],
    progress: &dyn Progress,
) -> Result<(u64, u64, Vec<(u64, u64)>), TableError> {
    let (mut rows, mut nulls) = (0, 0);
    let (mut between, mut equal) = (vec![0u64; values.len()], vec![0u64; values.len()]);
    each(objects, table, column, &DataType::Float64, progress, &mut |_, cells| {
        rows += cells.len() as u64;
        nulls += cells.null_count() as u64;
        for x in cells.as_primitive::<Float64Type>().iter().flatten().filter(|x| !x.is_nan()) {
            let place = values.partition_point(|value| *value < x);
            let same = values.get(place).is_some_and(|value| *value == x);
            if let Some(count) = if same { equal.get_mut(place) } else { between.get_mut(place) } {
                *count += 1;
            }
        }
        Ok(())
    })?;
    let mut at = 0;
    let counts = between.into_iter().zip(equal).map(|(between, equal)| {
        let below = at + between;
        at = below + equal;
        (below, at)
    });
    Ok((rows, nulls, counts.collect()))
}
