//! How the values of a column are distributed, in little (docs/format.md §8): what a check of a distribution is held against.

use super::FormatError;
use super::cbor::{Reader, Writer};

/// A float that is equal to itself: compared by its bits.
#[derive(Debug, Clone, Copy)]
pub struct Real(pub f64);

impl PartialEq for Real {
    fn eq(&self, other: &Real) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Real {}

/// A number, and how many values stand below it and up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The number; not NaN.
    pub value: Real,
    /// Values that are smaller.
    pub below: u64,
    /// Values that are smaller, and those that are equal.
    pub up_to: u64,
}

/// What is known of the values that are not null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Numbers, dates, times: some of the values, ascending, with exact counts. NaN is above all of them.
    Points(Vec<Point>),
    /// Texts, labels, booleans: the most frequent values, in the order of their bytes, with their counts.
    Shares(Vec<(String, u64)>),
}

/// How the values of a column were distributed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch {
    /// The revision that it is of, as it was typed: for people.
    pub like: String,
    /// The column's type then.
    pub ty: String,
    /// Rows, at least one.
    pub rows: u64,
    /// Of these, null.
    pub nulls: u64,
    /// The others.
    pub form: Form,
}

impl Sketch {
    pub(super) fn encode(&self, w: &mut Writer) {
        w.array(6).str(&self.like).str(&self.ty).u64(self.rows).u64(self.nulls);
        match &self.form {
            Form::Points(points) => {
                w.str("points").array(points.len() as u64);
                for point in points {
                    w.array(3).f64(point.value.0).u64(point.below).u64(point.up_to);
                }
            }
            Form::Shares(shares) => {
                w.str("shares").array(shares.len() as u64);
                for (label, count) in shares {
                    w.array(2).str(label).u64(*count);
                }
            }
        }
    }

    /// Reads it; counts that cannot be are an error.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Sketch, FormatError> {
        r.record(6, |r| {
            let (like, ty, rows, nulls) = (r.str()?.to_owned(), r.str()?.to_owned(), r.u64()?, r.u64()?);
            let wrong = |r: &Reader<'_>| r.fail("the counts of a distribution do not add up");
            let Some(values) = rows.checked_sub(nulls).filter(|_| rows > 0) else { return Err(wrong(r)) };
            let form = match r.str()? {
                "points" => {
                    let mut before = 0;
                    let points = r.list(|r| {
                        let point = r.record(3, |r| Ok(Point { value: Real(r.f64()?), below: r.u64()?, up_to: r.u64()? }))?;
                        if point.below < before || point.up_to < point.below || point.up_to > values || point.value.0.is_nan() {
                            return Err(wrong(r));
                        }
                        before = point.up_to;
                        Ok(point)
                    })?;
                    if !points.is_sorted_by(|a, b| a.value.0 < b.value.0) {
                        return Err(wrong(r));
                    }
                    Form::Points(points)
                }
                "shares" => {
                    let shares = r.list(|r| r.record(2, |r| Ok((r.str()?.to_owned(), r.u64()?))))?;
                    let total = shares.iter().try_fold(0u64, |sum, (_, count)| sum.checked_add(*count));
                    if total.is_none_or(|total| total > values) || !shares.is_sorted_by(|a, b| a.0 < b.0) {
                        return Err(wrong(r));
                    }
                    Form::Shares(shares)
                }
                other => return Err(r.fail(format!("a distribution of the form '{other}' is none that this version knows"))),
            };
            Ok(Sketch { like, ty, rows, nulls, form })
        })
    }
}
