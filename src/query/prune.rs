//! Which stretches of a table a predicate rules out, by the statistics in the table's trees.
//!
//! The translation is one-sided: what is kept may hold no match, what is dropped holds none. Everything that is not understood keeps all.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Operator};

use crate::chunk::Objects;
use crate::format::stats::{Scalar, Stats};
use crate::table::{Schema, Table, TableError};

/// What a predicate says of single columns.
#[derive(Debug, Clone, PartialEq)]
pub enum Prune {
    /// Nothing is ruled out.
    Keep,
    /// Everything is ruled out: the predicate is true of no row.
    Drop,
    /// True only where all are.
    And(Vec<Prune>),
    /// True only where one is.
    Or(Vec<Prune>),
    /// A test of the column of that index.
    Column(usize, Test),
}

/// A test of one column's values.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// The value stands so to the key.
    Compare(Comparison, Key),
    /// The value is one of these.
    OneOf(Vec<Key>),
    /// The value is text that starts so.
    Prefix(String),
    /// There is no value.
    Null,
    /// There is a value.
    NotNull,
}

/// How a value stands to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A literal in the terms of statistics.
#[derive(Debug, Clone, PartialEq)]
pub enum Key {
    /// A boolean.
    Bool(bool),
    /// An integer, a date, a time or an unscaled decimal.
    Int(i128),
    /// A float. Bounds that are integers are compared with it as floats.
    Float(f64),
    /// Text, in the order of its bytes.
    Text(String),
}

impl Prune {
    /// What `predicate`, whose columns are those of `schema` by name and whose types agree, rules out.
    pub fn of(predicate: &Expr, schema: &Schema) -> Prune {
        match predicate {
            Expr::Alias(alias) => Prune::of(&alias.expr, schema),
            // Rows pass where the predicate is true; that it is made false or null elsewhere changes nothing.
            Expr::IsTrue(inner) => Prune::of(inner, schema),
            Expr::Literal(ScalarValue::Boolean(Some(true)), _) => Prune::Keep,
            Expr::Literal(ScalarValue::Boolean(_) | ScalarValue::Null, _) => Prune::Drop,
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => Prune::and([Prune::of(left, schema), Prune::of(right, schema)]),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => Prune::or([Prune::of(left, schema), Prune::of(right, schema)]),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let Some(op) = comparison(op) else { return Prune::Keep };
                match (operand(left, schema), operand(right, schema)) {
                    (Some(column), None) => compare(&column, op, right),
                    (None, Some(column)) => compare(&column, op.swapped(), left),
                    _ => Prune::Keep,
                }
            }
            Expr::Between(Between { expr, negated, low, high }) => {
                let Some(column) = operand(expr, schema) else { return Prune::Keep };
                if *negated {
                    Prune::or([compare(&column, Comparison::Less, low), compare(&column, Comparison::Greater, high)])
                } else {
                    Prune::and([compare(&column, Comparison::GreaterOrEqual, low), compare(&column, Comparison::LessOrEqual, high)])
                }
            }
            Expr::InList(InList { expr, list, negated: false }) => {
                let Some(column) = operand(expr, schema) else { return Prune::Keep };
                let mut keys = Vec::with_capacity(list.len());
                for item in list {
                    match literal(item) {
                        // A null in the list makes nothing true.
                        Some(value) if value.is_null() => {}
                        Some(value) => match column.key(value) {
                            Some(key) => keys.push(key),
                            None => return Prune::Keep,
                        },
                        None => return Prune::Keep,
                    }
                }
                if keys.is_empty() { Prune::Drop } else { Prune::Column(column.index, Test::OneOf(keys)) }
            }
            Expr::IsNull(inner) => operand(inner, schema).map_or(Prune::Keep, |column| Prune::Column(column.index, Test::Null)),
            Expr::IsNotNull(inner) => operand(inner, schema).map_or(Prune::Keep, |column| Prune::Column(column.index, Test::NotNull)),
            Expr::Column(_) => boolean(predicate, schema, true),
            Expr::Not(inner) => boolean(inner, schema, false),
            Expr::Like(Like { negated: false, expr, pattern, escape_char: None, case_insensitive: false }) => {
                let (Some(column), Some(pattern)) = (operand(expr, schema), literal(pattern).and_then(|p| p.try_as_str().flatten())) else {
                    return Prune::Keep;
                };
                let prefix = pattern.split(['%', '_', '\\']).next().unwrap_or_default();
                if prefix.is_empty() || column.stored != DataType::Utf8 { Prune::Keep } else { Prune::Column(column.index, Test::Prefix(prefix.to_owned())) }
            }
            _ => Prune::Keep,
        }
    }

    /// True only where all are.
    pub fn and(parts: impl IntoIterator<Item = Prune>) -> Prune {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Prune::Drop => return Prune::Drop,
                Prune::Keep => {}
                Prune::And(more) => kept.extend(more),
                other => kept.push(other),
            }
        }
        match kept.len() {
            0 => Prune::Keep,
            1 => kept.swap_remove(0),
            _ => Prune::And(kept),
        }
    }

    fn or(parts: impl IntoIterator<Item = Prune>) -> Prune {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Prune::Keep => return Prune::Keep,
                Prune::Drop => {}
                Prune::Or(more) => kept.extend(more),
                other => kept.push(other),
            }
        }
        match kept.len() {
            0 => Prune::Drop,
            1 => kept.swap_remove(0),
            _ => Prune::Or(kept),
        }
    }

    /// The parts of `ranges`, which ascend, that are not ruled out; they ascend as well. Reads nodes alone.
    pub fn ranges(&self, table: &Table, objects: &Objects, ranges: Vec<Range<u64>>) -> Result<Vec<Range<u64>>, TableError> {
        match self {
            Prune::Keep => Ok(ranges),
            Prune::Drop => Ok(Vec::new()),
            Prune::And(parts) => parts.iter().try_fold(ranges, |ranges, part| part.ranges(table, objects, ranges)),
            Prune::Or(parts) => {
                let mut kept = Vec::new();
                for part in parts {
                    kept.extend(part.ranges(table, objects, ranges.clone())?);
                }
                Ok(union(kept))
            }
            Prune::Column(column, test) => table.prune(objects, *column, &|stats, rows| test.may(stats, rows), ranges),
        }
    }
}

/// The slots of any of the ranges, as ranges that ascend and do not touch.
fn union(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|r| r.start);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

impl Comparison {
    fn swapped(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }
}

fn comparison(op: &Operator) -> Option<Comparison> {
    Some(match op {
        Operator::Eq => Comparison::Equal,
        Operator::NotEq => Comparison::NotEqual,
        Operator::Lt => Comparison::Less,
        Operator::LtEq => Comparison::LessOrEqual,
        Operator::Gt => Comparison::Greater,
        Operator::GtEq => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

/// A column, as it stands in a comparison: stored in one type, compared in another that keeps its order.
struct Operand {
    index: usize,
    stored: DataType,
    compared: DataType,
}

fn operand(expr: &Expr, schema: &Schema) -> Option<Operand> {
    match expr {
        Expr::Column(column) => {
            let index = schema.columns.iter().position(|c| c.name == column.name)?;
            let stored = schema.columns[index].ty.storage();
            Some(Operand { index, compared: stored.clone(), stored })
        }
        Expr::Cast(Cast { expr, field }) => {
            let inner = operand(expr, schema)?;
            keeps_order(&inner.compared, field.data_type()).then(|| Operand { compared: field.data_type().clone(), ..inner })
        }
        _ => None,
    }
}

/// Whether a cast from one type to the other never fails and never turns the order of two values round.
fn keeps_order(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    match (from, to) {
        _ if from == to => true,
        (Int8, Int16 | Int32 | Int64 | Float32 | Float64) | (Int16, Int32 | Int64 | Float32 | Float64) | (Int32, Int64 | Float64) | (Int64, Float64) => true,
        (UInt8, UInt16 | UInt32 | UInt64 | Int16 | Int32 | Int64 | Float32 | Float64) => true,
        (UInt16, UInt32 | UInt64 | Int32 | Int64 | Float32 | Float64) | (UInt32, UInt64 | Int64 | Float64) | (UInt64, Float64) => true,
        (Float16, Float32 | Float64) | (Float32, Float64) => true,
        (Utf8, LargeUtf8 | Utf8View) => true,
        // Of one scale: the unscaled numbers stay.
        (Decimal128(p, s), Decimal128(q, t)) | (Decimal256(p, s), Decimal256(q, t)) => s == t && q >= p,
        _ => false,
    }
}

impl Operand {
    /// The literal in the terms of this column's statistics, if both are of one kind.
    fn key(&self, value: &ScalarValue) -> Option<Key> {
        use ScalarValue as S;
        // The same type, time zones apart: they do not change the instant.
        let alike = match (&self.compared, &value.data_type()) {
            (DataType::Timestamp(a, _), DataType::Timestamp(b, _)) => a == b,
            (a, b) => a == b,
        };
        if !alike {
            return None;
        }
        Some(match value {
            S::Boolean(Some(x)) => Key::Bool(*x),
            S::Int8(Some(x)) => Key::Int((*x).into()),
            S::Int16(Some(x)) => Key::Int((*x).into()),
            S::Int32(Some(x)) | S::Date32(Some(x)) | S::Time32Second(Some(x)) | S::Time32Millisecond(Some(x)) => Key::Int((*x).into()),
            S::Int64(Some(x))
            | S::Time64Microsecond(Some(x))
            | S::Time64Nanosecond(Some(x))
            | S::TimestampSecond(Some(x), _)
            | S::TimestampMillisecond(Some(x), _)
            | S::TimestampMicrosecond(Some(x), _)
            | S::TimestampNanosecond(Some(x), _)
            | S::DurationSecond(Some(x))
            | S::DurationMillisecond(Some(x))
            | S::DurationMicrosecond(Some(x))
            | S::DurationNanosecond(Some(x)) => Key::Int((*x).into()),
            S::UInt8(Some(x)) => Key::Int((*x).into()),
            S::UInt16(Some(x)) => Key::Int((*x).into()),
            S::UInt32(Some(x)) => Key::Int((*x).into()),
            S::UInt64(Some(x)) => Key::Int((*x).into()),
            S::Decimal128(Some(x), _, _) => Key::Int(*x),
            S::Decimal256(Some(x), _, _) => Key::Int(x.to_i128()?),
            S::Float16(Some(x)) => Key::Float(x.to_f64()),
            S::Float32(Some(x)) => Key::Float((*x).into()),
            S::Float64(Some(x)) => Key::Float(*x),
            S::Utf8(Some(x)) | S::LargeUtf8(Some(x)) | S::Utf8View(Some(x)) => Key::Text(x.clone()),
            _ => return None,
        })
    }
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => literal(&alias.expr),
        _ => None,
    }
}

fn compare(column: &Operand, op: Comparison, other: &Expr) -> Prune {
    match literal(other) {
        Some(value) if value.is_null() => Prune::Drop,
        Some(value) => column.key(value).map_or(Prune::Keep, |key| Prune::Column(column.index, Test::Compare(op, key))),
        None => Prune::Keep,
    }
}

fn boolean(expr: &Expr, schema: &Schema, wanted: bool) -> Prune {
    match operand(expr, schema) {
        Some(column) if column.stored == DataType::Boolean => Prune::Column(column.index, Test::Compare(Comparison::Equal, Key::Bool(wanted))),
        _ => Prune::Keep,
    }
}

/// The order of a bound and a key; `None` where they do not compare. Zeros of both signs are equal here.
fn order(bound: &Scalar, key: &Key) -> Option<Ordering> {
    match (bound, key) {
        (Scalar::Bool(a), Key::Bool(b)) => Some(a.cmp(b)),
        (Scalar::Int(a), Key::Int(b)) => Some(i128::from(*a).cmp(b)),
        (Scalar::UInt(a), Key::Int(b)) => Some(i128::from(*a).cmp(b)),
        (Scalar::Float(a), Key::Float(b)) => a.partial_cmp(b),
        // Rounded as the cast rounds, which keeps the order.
        (Scalar::Int(a), Key::Float(b)) => (*a as f64).partial_cmp(b),
        (Scalar::UInt(a), Key::Float(b)) => (*a as f64).partial_cmp(b),
        (Scalar::Text(a), Key::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        _ => None,
    }
}

impl Test {
    /// Whether the test may be true of a value in a stretch with these statistics.
    pub fn may(&self, stats: &Stats, rows: u64) -> bool {
        // No value that is neither null nor NaN.
        let empty = stats.min.is_none() && stats.min_exact || stats.max.is_none() && stats.max_exact;
        match self {
            Test::Null => stats.nulls > 0,
            Test::NotNull => rows > 0 && (!empty || stats.nans),
            Test::Compare(op, key) => may_compare(stats, empty, *op, key),
            Test::OneOf(keys) => keys.iter().any(|key| may_compare(stats, empty, Comparison::Equal, key)),
            Test::Prefix(prefix) => {
                let below = matches!(&stats.max, Some(Scalar::Text(max)) if max.as_bytes() < prefix.as_bytes());
                let above = matches!(&stats.min, Some(Scalar::Text(min)) if min.as_bytes() > prefix.as_bytes() && !min.starts_with(prefix));
                !empty && !below && !above
            }
        }
    }
}

fn may_compare(stats: &Stats, empty: bool, op: Comparison, key: &Key) -> bool {
    if matches!(key, Key::Float(x) if x.is_nan()) {
        return true;
    }
    // In the order that comparisons follow a NaN stands beyond all numbers, above or, with its sign set, below; it equals none of them.
    if stats.nans && op != Comparison::Equal {
        return true;
    }
    if empty {
        return false;
    }
    let min = stats.min.as_ref().and_then(|min| order(min, key));
    let max = stats.max.as_ref().and_then(|max| order(max, key));
    // Comparisons may tell the two zeros apart, or may not: at a zero, `<` is taken as `<=`.
    let zero = matches!(key, Key::Float(x) if *x == 0.0);
    match op {
        Comparison::Equal => min != Some(Ordering::Greater) && max != Some(Ordering::Less),
        Comparison::NotEqual => zero || !(min == Some(Ordering::Equal) && max == Some(Ordering::Equal)),
        Comparison::Less => min != Some(Ordering::Greater) && (zero || min != Some(Ordering::Equal)),
        Comparison::LessOrEqual => min != Some(Ordering::Greater),
        Comparison::Greater => max != Some(Ordering::Less) && (zero || max != Some(Ordering::Equal)),
        Comparison::GreaterOrEqual => max != Some(Ordering::Less),
    }
}

#[cfg(test)]
mod tests;
