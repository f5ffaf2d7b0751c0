//! Rules for single cells: bounds, and regular expressions.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Scalar as Datum};
use arrow::compute::kernels::cmp::{gt, lt};
use arrow::compute::{cast, or};
use arrow::datatypes::{DataType, Float64Type};
use regex::{Regex, RegexBuilder};

use crate::base::Progress;
use crate::chunk::Objects;
use crate::format::Type;
use crate::format::stats::{Scalar, Stats};

use super::check::visit;
use super::{Table, TableError};

/// Bytes that a compiled expression may have, and as many again for what it remembers while it runs.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The bounds of a column's cells, which are among what is allowed.
#[derive(Debug)]
pub struct Bounds {
    min: Option<ArrayRef>,
    max: Option<ArrayRef>,
}

impl Bounds {
    /// Whether values of that type have an order that people know.
    pub fn suit(ty: &Type) -> bool {
        match ty {
            Type::Plain(DataType::Boolean | DataType::Binary | DataType::FixedSizeBinary(_)) => false,
            Type::Plain(_) | Type::Enum(_) => true,
            _ => false,
        }
    }

    /// Bounds given as arrays of one cell of the column's storage type. Errors, in words, where no value lies between them, or one is not a number.
    pub fn new(min: Option<ArrayRef>, max: Option<ArrayRef>) -> Result<Bounds, String> {
        let is_nan =
            |bound: &ArrayRef| bound.data_type().is_floating() && numbers(bound).is_ok_and(|bound| bound.as_primitive::<Float64Type>().value(0).is_nan());
        if min.iter().chain(&max).any(is_nan) {
            return Err("NaN is no bound".to_owned());
        }
        let bounds = Bounds { min, max };
        if bounds.min.as_ref().is_some_and(|min| bounds.fail(min).is_ok_and(|fails| fails.value(0))) {
            return Err("the range is empty: its first bound is above the second".to_owned());
        }
        Ok(bounds)
    }

    /// Which cells lie outside; of nulls, none. NaN is above all numbers.
    fn fail(&self, cells: &ArrayRef) -> Result<BooleanArray, TableError> {
        if cells.data_type().is_floating() {
            // Two zeros are one number here, which they are not to Arrow's comparisons.
            let bound = |bound: &Option<ArrayRef>| -> Result<Option<f64>, TableError> {
                bound.as_ref().map(|bound| Ok(numbers(bound)?.as_primitive::<Float64Type>().value(0))).transpose()
            };
            let (min, max) = (bound(&self.min)?, bound(&self.max)?);
            let outside = |x: f64| min.is_some_and(|min| x < min) || max.is_some_and(|max| x > max || x.is_nan());
            let cells = numbers(cells)?;
            return Ok(cells.as_primitive::<Float64Type>().iter().map(|x| Some(x.is_some_and(outside))).collect());
        }
        let below = self.min.as_ref().map(|min| lt(cells, &Datum::new(min.clone()))).transpose()?;
        let above = self.max.as_ref().map(|max| gt(cells, &Datum::new(max.clone()))).transpose()?;
        Ok(match (below, above) {
            (Some(below), Some(above)) => or(&below, &above)?,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => BooleanArray::from(vec![false; cells.len()]),
        })
    }

    /// Whether a value outside may be among values of such statistics.
    fn may_fail(stats: &Stats, min: Option<&Option<Scalar>>, max: Option<&Option<Scalar>>) -> bool {
        let below = |min: &Option<Scalar>| match (&stats.min, min) {
            (Some(least), Some(min)) => least.compare(min).is_none_or(|order| order.is_lt()),
            (None, _) => !stats.min_exact,
            (_, None) => true,
        };
        let above = |max: &Option<Scalar>| match (&stats.max, max) {
            _ if stats.nans => true,
            (Some(most), Some(max)) => most.compare(max).is_none_or(|order| order.is_gt()),
            (None, _) => !stats.max_exact,
            (_, None) => true,
        };
        min.is_some_and(below) || max.is_some_and(above)
    }

    /// The slots of the live rows within ranges, which ascend and do not overlap, whose cell lies outside. Statistics settle most of it unread.
    pub fn outside(
        &self,
        objects: &Arc<Objects>,
        table: &Arc<Table>,
        ranges: Vec<Range<u64>>,
        column: usize,
        progress: &dyn Progress,
    ) -> Result<Vec<u64>, TableError> {
        let scalar = |bound: &ArrayRef| Some(Stats::of(bound)).filter(|stats| stats.min_exact && stats.max_exact).and_then(|stats| stats.min);
        let (min, max) = (self.min.as_ref().map(scalar), self.max.as_ref().map(scalar));
        let perhaps = table.prune(objects, column, &|stats, _| Bounds::may_fail(stats, min.as_ref(), max.as_ref()), ranges)?;
        let mut found = Vec::new();
        visit(objects, table, perhaps, &[column], progress, &mut |slots, batch| {
            let fails = self.fail(batch.column(0))?;
            found.extend(slots.iter().zip(&fails).filter(|(_, fails)| *fails == Some(true)).map(|(slot, _)| *slot));
            Ok(())
        })?;
        Ok(found)
    }
}

fn numbers(cells: &ArrayRef) -> Result<ArrayRef, TableError> {
    Ok(cast(cells, &DataType::Float64)?)
}

/// A regular expression of bounded size. Errors, in one line, where it is none.
pub fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX).build().map_err(|error| {
        // The last line of a syntax error says what it is; those before it draw where.
        let text = error.to_string();
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

/// The slots of the live rows within ranges, which ascend and do not overlap, in whose text the expression is found nowhere; null passes.
pub fn unmatched(
    objects: &Arc<Objects>,
    table: &Arc<Table>,
    ranges: Vec<Range<u64>>,
    column: usize,
    pattern: &Regex,
    progress: &dyn Progress,
) -> Result<Vec<u64>, TableError> {
    let mut found = Vec::new();
    visit(objects, table, ranges, &[column], progress, &mut |slots, batch| {
        let Some(cells) = batch.column(0).as_string_opt::<i32>() else { return Err(TableError::Schema("the column is not text".into())) };
        found.extend(slots.iter().zip(cells).filter(|(_, text)| text.is_some_and(|text| !pattern.is_match(text))).map(|(slot, _)| *slot));
        Ok(())
    })?;
    Ok(found)
}
