//! What a run of values is known to hold: nulls, bounds, NaNs (docs/format.md, section 7, "Stats").

use std::cmp::Ordering;

use arrow::array::{Array, AsArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::*;

use super::FormatError;
use super::cbor::{Reader, Writer};

/// Text bounds are cut to this many bytes.
const TEXT_BYTES_MAX: usize = 32;

/// A bound. Dates, times, timestamps, durations and unscaled decimals are integers; every float is a float64.
/// An integer that fits `i64` is always [`Scalar::Int`]; [`Scalar::UInt`] holds only what is above. Make them with [`Scalar::from`].
#[derive(Debug, Clone)]
pub enum Scalar {
    /// A boolean, false below true.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A float, never NaN; -0.0 is below 0.0.
    Float(f64),
    /// Text, in the order of its bytes.
    Text(String),
}

impl From<i64> for Scalar {
    fn from(x: i64) -> Self {
        Scalar::Int(x)
    }
}

impl From<u64> for Scalar {
    fn from(x: u64) -> Self {
        i64::try_from(x).map_or(Scalar::UInt(x), Scalar::Int)
    }
}

impl Scalar {
    /// The order of two scalars of one variant (the two kinds of integers are one); `None` between variants.
    pub fn compare(&self, other: &Scalar) -> Option<Ordering> {
        Some(match (self, other) {
            (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(b),
            (Scalar::Int(a), Scalar::Int(b)) => a.cmp(b),
            (Scalar::UInt(a), Scalar::UInt(b)) => a.cmp(b),
            (Scalar::Int(a), Scalar::UInt(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (Scalar::UInt(a), Scalar::Int(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (Scalar::Float(a), Scalar::Float(b)) => a.total_cmp(b),
            (Scalar::Text(a), Scalar::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            _ => return None,
        })
    }

    fn encode(&self, w: &mut Writer) {
        match self {
            Scalar::Bool(x) => w.bool(*x),
            Scalar::Int(x) => w.i64(*x),
            Scalar::UInt(x) => w.u64(*x),
            Scalar::Float(x) => w.f64(*x),
            Scalar::Text(x) => w.str(x),
        };
    }

    fn decode(r: &mut Reader<'_>) -> Result<Scalar, FormatError> {
        use minicbor::data::Type::*;
        Ok(match r.peek()? {
            Bool => Scalar::Bool(r.bool()?),
            U8 | U16 | U32 | U64 => Scalar::from(r.u64()?),
            I8 | I16 | I32 | I64 => Scalar::Int(r.i64()?),
            F64 => match r.f64()? {
                nan if nan.is_nan() => return Err(r.fail("NaN as a bound")),
                x => Scalar::Float(x),
            },
            String => Scalar::Text(r.str()?.to_owned()),
            other => return Err(r.fail(format!("{other} as a bound"))),
        })
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Scalar) -> bool {
        self.compare(other) == Some(Ordering::Equal)
    }
}

impl Eq for Scalar {}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Scalar) -> Option<Ordering> {
        self.compare(other)
    }
}

/// Bounds of a run of values. A bound that is `None` while its `exact` flag is set says that there is no value that is neither null nor NaN;
/// `None` without the flag says that nothing is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// At most so many nulls.
    pub nulls: u64,
    /// No value that is neither null nor NaN is below.
    pub min: Option<Scalar>,
    /// No value that is neither null nor NaN is above.
    pub max: Option<Scalar>,
    /// `min` is the smallest value itself.
    pub min_exact: bool,
    /// `max` is the largest value itself.
    pub max_exact: bool,
    /// There may be NaNs.
    pub nans: bool,
}

impl Stats {
    /// Of a run without values: what [`Stats::merge`] leaves the other side unchanged by.
    pub fn empty() -> Stats {
        Stats { nulls: 0, min: None, max: None, min_exact: true, max_exact: true, nans: false }
    }

    /// Nothing is known but the number of nulls.
    fn unknown(nulls: u64) -> Stats {
        Stats { nulls, min: None, max: None, min_exact: false, max_exact: false, nans: false }
    }

    fn exact(nulls: u64, nans: bool, bounds: Option<(Scalar, Scalar)>) -> Stats {
        let (min, max) = bounds.unzip();
        Stats { nulls, min, max, min_exact: true, max_exact: true, nans }
    }

    /// The statistics of an array of a storage type. Bounds are exact, but for text longer than 32 bytes; types without bounds
    /// (binary, lists, structs, decimals beyond 64 bits) have the nulls alone.
    pub fn of(array: &dyn Array) -> Stats {
        let nulls = array.null_count() as u64;
        if nulls == array.len() as u64 {
            return Stats { nulls, ..Stats::empty() };
        }
        macro_rules! integers {
            ($t:ty) => {
                match array.as_primitive_opt::<$t>() {
                    Some(array) => Stats::exact(nulls, false, bounds(array).map(|(a, b)| (Scalar::from(a as i64), Scalar::from(b as i64)))),
                    None => Stats::unknown(nulls),
                }
            };
        }
        macro_rules! floats {
            ($t:ty) => {
                match array.as_primitive_opt::<$t>() {
                    Some(array) => float_stats(nulls, array, |x| x.into()),
                    None => Stats::unknown(nulls),
                }
            };
        }
        match array.data_type() {
            DataType::Boolean => match array.as_boolean_opt() {
                Some(array) => {
                    let trues = array.true_count();
                    let all = array.len() - array.null_count();
                    Stats::exact(nulls, false, Some((Scalar::Bool(trues == all), Scalar::Bool(trues > 0))))
                }
                None => Stats::unknown(nulls),
            },
            DataType::Int8 => integers!(Int8Type),
            DataType::Int16 => integers!(Int16Type),
            DataType::Int32 => integers!(Int32Type),
            DataType::Int64 => integers!(Int64Type),
            DataType::UInt8 => integers!(UInt8Type),
            DataType::UInt16 => integers!(UInt16Type),
            DataType::UInt32 => integers!(UInt32Type),
            DataType::UInt64 => match array.as_primitive_opt::<UInt64Type>() {
                Some(array) => Stats::exact(nulls, false, bounds(array).map(|(a, b)| (a.into(), b.into()))),
                None => Stats::unknown(nulls),
            },
            DataType::Date32 => integers!(Date32Type),
            DataType::Time32(TimeUnit::Second) => integers!(Time32SecondType),
            DataType::Time32(TimeUnit::Millisecond) => integers!(Time32MillisecondType),
            DataType::Time64(TimeUnit::Microsecond) => integers!(Time64MicrosecondType),
            DataType::Time64(TimeUnit::Nanosecond) => integers!(Time64NanosecondType),
            DataType::Timestamp(TimeUnit::Second, _) => integers!(TimestampSecondType),
            DataType::Timestamp(TimeUnit::Millisecond, _) => integers!(TimestampMillisecondType),
            DataType::Timestamp(TimeUnit::Microsecond, _) => integers!(TimestampMicrosecondType),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => integers!(TimestampNanosecondType),
            DataType::Duration(TimeUnit::Second) => integers!(DurationSecondType),
            DataType::Duration(TimeUnit::Millisecond) => integers!(DurationMillisecondType),
            DataType::Duration(TimeUnit::Microsecond) => integers!(DurationMicrosecondType),
            DataType::Duration(TimeUnit::Nanosecond) => integers!(DurationNanosecondType),
            DataType::Decimal128(..) => narrow(nulls, array.as_primitive_opt::<Decimal128Type>().and_then(bounds), |x| i64::try_from(x).ok()),
            DataType::Decimal256(..) => {
                narrow(nulls, array.as_primitive_opt::<Decimal256Type>().and_then(bounds), |x| x.to_i128().and_then(|x| i64::try_from(x).ok()))
            }
            DataType::Float16 => match array.as_primitive_opt::<Float16Type>() {
                Some(array) => float_stats(nulls, array, |x| x.to_f64()),
                None => Stats::unknown(nulls),
            },
            DataType::Float32 => floats!(Float32Type),
            DataType::Float64 => floats!(Float64Type),
            DataType::Utf8 => match array.as_string_opt::<i32>() {
                Some(array) => text_stats(nulls, array.iter().flatten()),
                None => Stats::unknown(nulls),
            },
            _ => Stats::unknown(nulls),
        }
    }

    /// The statistics of both runs together. Bounds of different variants (a column whose type changed) give no bounds.
    pub fn merge(&self, other: &Stats) -> Stats {
        let (min, min_exact) = merge_bound((&self.min, self.min_exact), (&other.min, other.min_exact), Ordering::Less);
        let (max, max_exact) = merge_bound((&self.max, self.max_exact), (&other.max, other.max_exact), Ordering::Greater);
        Stats { nulls: self.nulls.saturating_add(other.nulls), min, max, min_exact, max_exact, nans: self.nans | other.nans }
    }

    /// Writes `[nulls, min | null, max | null, flags]`.
    pub fn encode(&self, w: &mut Writer) {
        w.array(4).u64(self.nulls);
        for bound in [&self.min, &self.max] {
            match bound {
                Some(bound) => bound.encode(w),
                None => {
                    w.null();
                }
            }
        }
        w.u64(u64::from(self.min_exact) | u64::from(self.max_exact) << 1 | u64::from(self.nans) << 2);
    }

    /// Reads what [`Stats::encode`] wrote.
    pub fn decode(r: &mut Reader<'_>) -> Result<Stats, FormatError> {
        r.record(4, |r| {
            let nulls = r.u64()?;
            let min = r.optional(Scalar::decode)?;
            let max = r.optional(Scalar::decode)?;
            let flags = r.u64()?;
            Ok(Stats { nulls, min, max, min_exact: flags & 1 != 0, max_exact: flags & 2 != 0, nans: flags & 4 != 0 })
        })
    }
}

/// The lesser (or greater, as `wanted` says) of two bounds.
fn merge_bound(a: (&Option<Scalar>, bool), b: (&Option<Scalar>, bool), wanted: Ordering) -> (Option<Scalar>, bool) {
    match (a, b) {
        ((None, true), other) | (other, (None, true)) => (other.0.clone(), other.1),
        ((None, false), _) | (_, (None, false)) => (None, false),
        ((Some(x), x_exact), (Some(y), y_exact)) => match x.compare(y) {
            None => (None, false),
            // Of equal bounds one that is met is better than one that may not be.
            Some(Ordering::Equal) => (Some(x.clone()), x_exact | y_exact),
            Some(order) if order == wanted => (Some(x.clone()), x_exact),
            Some(_) => (Some(y.clone()), y_exact),
        },
    }
}

/// The least and the greatest value that is not null.
fn bounds<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> Option<(T::Native, T::Native)>
where
    T::Native: PartialOrd + Copy,
{
    let values: &[T::Native] = array.values();
    let least = |a: T::Native, b: T::Native| if b < a { b } else { a };
    let most = |a: T::Native, b: T::Native| if b > a { b } else { a };
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => {
            let first = *values.first()?;
            Some(values.iter().fold((first, first), |(min, max), x| (least(min, *x), most(max, *x))))
        }
        Some(nulls) => {
            let mut found: Option<(T::Native, T::Native)> = None;
            for (start, end) in nulls.valid_slices() {
                for x in values.get(start..end)? {
                    found = Some(found.map_or((*x, *x), |(min, max)| (least(min, *x), most(max, *x))));
                }
            }
            found
        }
    }
}

fn narrow<T>(nulls: u64, bounds: Option<(T, T)>, fit: impl Fn(T) -> Option<i64>) -> Stats {
    match bounds.and_then(|(min, max)| Some((fit(min)?, fit(max)?))) {
        Some((min, max)) => Stats::exact(nulls, false, Some((Scalar::Int(min), Scalar::Int(max)))),
        None => Stats::unknown(nulls),
    }
}

fn float_stats<T: ArrowPrimitiveType>(nulls: u64, array: &PrimitiveArray<T>, widen: impl Fn(T::Native) -> f64) -> Stats {
    // In the total order -0.0 is below 0.0: compared as the integers that have it.
    let key = |x: f64| {
        let bits = x.to_bits() as i64;
        bits ^ (((bits >> 63) as u64) >> 1) as i64
    };
    let (mut min, mut max, mut nans) = (f64::INFINITY, f64::NEG_INFINITY, false);
    let (mut min_key, mut max_key) = (i64::MAX, i64::MIN);
    let mut see = |x: f64| {
        if x.is_nan() {
            nans = true;
            return;
        }
        let k = key(x);
        if k < min_key {
            (min_key, min) = (k, x);
        }
        if k > max_key {
            (max_key, max) = (k, x);
        }
    };
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => array.values().iter().for_each(|x| see(widen(*x))),
        Some(nulls) => each_valid(nulls, array.values(), |x| see(widen(x))),
    }
    Stats::exact(nulls, nans, (min_key <= max_key).then_some((Scalar::Float(min), Scalar::Float(max))))
}

fn each_valid<T: Copy>(nulls: &NullBuffer, values: &[T], mut see: impl FnMut(T)) {
    for (start, end) in nulls.valid_slices() {
        values.get(start..end).unwrap_or_default().iter().for_each(|x| see(*x));
    }
}

fn text_stats<'a>(nulls: u64, mut values: impl Iterator<Item = &'a str>) -> Stats {
    let Some(first) = values.next() else { return Stats { nulls, ..Stats::empty() } };
    let (min, max) = values.fold((first, first), |(min, max), x| (if x < min { x } else { min }, if x > max { x } else { max }));
    let min_cut = cut(min);
    let max_cut = cut(max);
    let max_exact = max_cut.len() == max.len();
    let max = if max_exact { Some(max.to_owned()) } else { next_text(max_cut) };
    Stats { nulls, min_exact: min_cut.len() == min.len(), min: Some(Scalar::Text(min_cut.to_owned())), max: max.map(Scalar::Text), max_exact, nans: false }
}

/// The longest prefix of at most 32 bytes that ends on a character.
fn cut(text: &str) -> &str {
    let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// A text above every text that starts with `prefix`: its last character that has a next one is replaced by that, what follows is dropped.
fn next_text(prefix: &str) -> Option<String> {
    prefix.char_indices().rev().find_map(|(at, c)| {
        // The surrogates are no characters.
        let next = if c == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(c) + 1) };
        next.map(|next| format!("{}{next}", &prefix[..at]))
    })
}

#[cfg(test)]
mod tests;
