//! A table's profile: for each column nulls, distinct values, range, mean, a histogram and the most frequent values, in one pass and bounded memory.

mod distinct;
mod histogram;

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int64Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::format::Type;
use distinct::Distinct;
pub use histogram::{Bin, Histogram};

/// Different values whose counts are kept; a column with more has no list of the most frequent.
const TOP_TRACKED: usize = 10_000;
/// The most frequent values that are told.
const TOP_TOLD: usize = 5;
/// Bytes of a text that are looked at for the list of the most frequent values.
const TOP_TEXT_BYTES: usize = 256;

/// The number of a cell that mean and histogram are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The value itself; moments as their count of units since 1970.
    Value,
    /// Characters of a text.
    Characters,
    /// Bytes of a binary value, an image, audio or video.
    Bytes,
    /// Items of a list.
    Items,
    /// The Euclidean norm of a vector.
    Norm,
    /// Nothing: structs and the like.
    None,
}

/// What is known of one column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnProfile {
    /// The column's name.
    pub name: String,
    /// Its type; `None` for a type that only a query's answer has.
    pub ty: Option<Type>,
    /// Cells looked at.
    pub rows: u64,
    /// Of these, null.
    pub nulls: u64,
    /// Of these, not a number.
    pub nans: u64,
    /// Different values that are not null.
    pub distinct: u64,
    /// False where `distinct` is an estimate, good to about one in a hundred.
    pub distinct_exact: bool,
    /// The smallest and the largest value (neither null nor NaN), where the type has an order that people know.
    pub range: Option<(String, String)>,
    /// What `mean` and `histogram` are of.
    pub measure: Measure,
    /// Mean of the measure over all cells that have one.
    pub mean: Option<f64>,
    /// Standard deviation of the same, of the population.
    pub deviation: Option<f64>,
    /// Counts by ranges of equal width.
    pub histogram: Vec<Bin>,
    /// The most frequent values with their counts, where there are few different ones.
    pub top: Vec<(String, u64)>,
}

/// Collects the profile of all columns, batch by batch.
pub struct Profiler {
    columns: Vec<Column>,
}

impl Profiler {
    /// A profiler of batches of that schema. Errors on a type that Arrow cannot compare.
    pub fn new(schema: &SchemaRef) -> Result<Profiler, ArrowError> {
        Ok(Profiler { columns: schema.fields().iter().map(|f| Column::new(f)).collect::<Result<_, _>>()? })
    }

    /// Takes a batch in.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.columns.iter_mut().zip(batch.columns()).try_for_each(|(column, array)| column.add(array))
    }

    /// What was found, in the order of the columns.
    pub fn finish(self) -> Result<Vec<ColumnProfile>, ArrowError> {
        self.columns.into_iter().map(Column::finish).collect()
    }
}

struct Column {
    name: String,
    ty: Option<Type>,
    data_type: DataType,
    measure: Measure,
    converter: Option<RowConverter>,
    ordered: bool,
    rows: u64,
    nulls: u64,
    nans: u64,
    distinct: Distinct,
    low: Option<OwnedRow>,
    high: Option<OwnedRow>,
    numbers: Numbers,
    counts: Option<HashMap<String, u64>>,
}

/// Sums over the measure, by Welford's method.
#[derive(Default)]
struct Numbers {
    count: u64,
    mean: f64,
    squares: f64,
    histogram: Histogram,
}

impl Numbers {
    fn add(&mut self, x: f64) {
        self.count += 1;
        let delta = x - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (x - self.mean);
        self.histogram.add(x);
    }
}

fn is_bytes(t: &DataType) -> bool {
    matches!(t, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

fn is_text(t: &DataType) -> bool {
    matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn measure_of(t: &DataType) -> Measure {
    match t {
        t if t.is_numeric() || t.is_temporal() => Measure::Value,
        t if is_text(t) => Measure::Characters,
        t if is_bytes(t) => Measure::Bytes,
        DataType::List(_) | DataType::LargeList(_) => Measure::Items,
        DataType::FixedSizeList(item, _) if item.data_type().is_numeric() => Measure::Norm,
        _ => Measure::None,
    }
}

impl Column {
    fn new(field: &Field) -> Result<Column, ArrowError> {
        let data_type = field.data_type().clone();
        let measure = measure_of(&data_type);
        // Bytes are hashed as they are; everything else by Arrow's row format, whose bytes also have the order of the values.
        let converter = if is_bytes(&data_type) { None } else { Some(RowConverter::new(vec![SortField::new(data_type.clone())])?) };
        let ordered = measure == Measure::Value || is_text(&data_type);
        let whole = data_type.is_integer() || data_type.is_temporal() || matches!(measure, Measure::Characters | Measure::Bytes | Measure::Items);
        let counted = is_text(&data_type) || data_type.is_integer() || data_type == DataType::Boolean;
        Ok(Column {
            name: field.name().clone(),
            ty: Type::from_field(field).ok(),
            data_type,
            measure,
            converter,
            ordered,
            rows: 0,
            nulls: 0,
            nans: 0,
            distinct: Distinct::default(),
            low: None,
            high: None,
            numbers: Numbers { histogram: if whole { Histogram::whole() } else { Histogram::default() }, ..Numbers::default() },
            counts: counted.then(HashMap::new),
        })
    }

    fn add(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        self.rows += array.len() as u64;
        let valid: Vec<usize> = (0..array.len()).filter(|i| array.is_valid(*i)).collect();
        self.nulls += (array.len() - valid.len()) as u64;
        let not_numbers = nans(array)?;
        self.nans += valid.iter().filter(|i| not_numbers.get(**i) == Some(&true)).count() as u64;
        self.identities(array, &valid, &not_numbers)?;
        self.measures(array, &valid, &not_numbers)?;
        self.counts(array, &valid)
    }

    /// Distinct values, smallest and largest.
    fn identities(&mut self, array: &ArrayRef, valid: &[usize], not_numbers: &[bool]) -> Result<(), ArrowError> {
        let Some(converter) = &mut self.converter else {
            let bytes = cast(array, &DataType::LargeBinary)?;
            let bytes = bytes.as_binary::<i64>();
            valid.iter().for_each(|&i| self.distinct.add(bytes.value(i)));
            return Ok(());
        };
        let rows = converter.convert_columns(std::slice::from_ref(array))?;
        for &i in valid {
            let row = rows.row(i);
            self.distinct.add(row.as_ref());
            if !self.ordered || not_numbers.get(i) == Some(&true) {
                continue;
            }
            if self.low.as_ref().is_none_or(|low| row < low.row()) {
                self.low = Some(row.owned());
            }
            if self.high.as_ref().is_none_or(|high| row > high.row()) {
                self.high = Some(row.owned());
            }
        }
        Ok(())
    }

    fn measures(&mut self, array: &ArrayRef, valid: &[usize], not_numbers: &[bool]) -> Result<(), ArrowError> {
        let Some(values) = measures(array, self.measure)? else { return Ok(()) };
        for &i in valid {
            let x = values.value(i);
            if x.is_finite() && not_numbers.get(i) != Some(&true) {
                self.numbers.add(x);
            }
        }
        Ok(())
    }

    fn counts(&mut self, array: &ArrayRef, valid: &[usize]) -> Result<(), ArrowError> {
        let Some(counts) = &mut self.counts else { return Ok(()) };
        let options = FormatOptions::new();
        let formatter = ArrayFormatter::try_new(array, &options)?;
        for &i in valid {
            let text = formatter.value(i).try_to_string()?;
            if text.len() > TOP_TEXT_BYTES || counts.len() > TOP_TRACKED {
                self.counts = None;
                return Ok(());
            }
            *counts.entry(text).or_insert(0) += 1;
        }
        Ok(())
    }

    fn finish(self) -> Result<ColumnProfile, ArrowError> {
        let text = |row: &Option<OwnedRow>| -> Result<Option<String>, ArrowError> {
            let (Some(row), Some(converter)) = (row, &self.converter) else { return Ok(None) };
            let arrays = converter.convert_rows([row.row()])?;
            let Some(array) = arrays.first() else { return Ok(None) };
            ArrayFormatter::try_new(array, &FormatOptions::new())?.value(0).try_to_string().map(Some)
        };
        let range = text(&self.low)?.zip(text(&self.high)?);
        let (distinct, distinct_exact) = self.distinct.count();
        let mut top: Vec<(String, u64)> = self.counts.unwrap_or_default().into_iter().collect();
        // Where most values stand once a list of some of them tells nothing.
        if 2 * distinct > self.rows - self.nulls && distinct > TOP_TOLD as u64 {
            top.clear();
        }
        top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        top.truncate(TOP_TOLD);
        let n = self.numbers.count;
        // The mean of dates means nothing to anyone who does not know their unit.
        let averaged = n > 0 && !(self.measure == Measure::Value && self.data_type.is_temporal());
        Ok(ColumnProfile {
            name: self.name,
            ty: self.ty,
            rows: self.rows,
            nulls: self.nulls,
            nans: self.nans,
            distinct,
            distinct_exact,
            range,
            measure: self.measure,
            mean: averaged.then_some(self.numbers.mean),
            deviation: averaged.then(|| (self.numbers.squares / n as f64).max(0.0).sqrt()),
            histogram: self.numbers.histogram.bins(),
            top,
        })
    }
}

/// Which values are NaN; empty where the type has none.
fn nans(array: &ArrayRef) -> Result<Vec<bool>, ArrowError> {
    if !array.data_type().is_floating() {
        return Ok(Vec::new());
    }
    let values = cast(array, &DataType::Float64)?;
    Ok(values.as_primitive::<Float64Type>().values().iter().map(|x| x.is_nan()).collect())
}

/// The number that each cell stands with in mean and histogram.
fn measures(array: &ArrayRef, measure: Measure) -> Result<Option<Float64Array>, ArrowError> {
    Ok(Some(match measure {
        Measure::None => return Ok(None),
        Measure::Value if array.data_type().is_temporal() => {
            let whole = match array.data_type() {
                DataType::Date32 | DataType::Time32(_) => cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?,
                _ => cast(array, &DataType::Int64)?,
            };
            whole.as_primitive::<Int64Type>().iter().map(|x| x.map(|x| x as f64)).collect()
        }
        Measure::Value => cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone(),
        Measure::Characters => {
            let texts = cast(array, &DataType::LargeUtf8)?;
            texts.as_string::<i64>().iter().map(|t| t.map(|t| t.chars().count() as f64)).collect()
        }
        Measure::Bytes => {
            let bytes = cast(array, &DataType::LargeBinary)?;
            bytes.as_binary::<i64>().iter().map(|b| b.map(|b| b.len() as f64)).collect()
        }
        Measure::Items => match array.data_type() {
            DataType::List(_) => array.as_list::<i32>().iter().map(|l| l.map(|l| l.len() as f64)).collect(),
            _ => array.as_list::<i64>().iter().map(|l| l.map(|l| l.len() as f64)).collect(),
        },
        Measure::Norm => {
            let list = array.as_fixed_size_list();
            let items = cast(list.values(), &DataType::Float32)?;
            let items = items.as_primitive::<Float32Type>().values();
            let width = usize::try_from(list.value_length()).unwrap_or(1).max(1);
            let norm = |v: &[f32]| v.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
            items.chunks(width).map(|v| Some(norm(v))).collect()
        }
    }))
}

#[cfg(test)]
mod tests;
