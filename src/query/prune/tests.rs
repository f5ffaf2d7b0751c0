//! What is dropped holds no match: against DataFusion's own evaluation, over values at the edges.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float16Array, Float32Array, Float64Array, Int8Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::compute::concat;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::prelude::SessionContext;
use half::f16;

use super::*;
use crate::base::TableId;
use crate::format::Type;

/// A context that plans expressions; as sessions do, but without tables.
fn context() -> SessionContext {
    SessionContext::new_with_state(crate::query::engine::state(&crate::query::Options { threads: 1, ..Default::default() }).unwrap())
}

/// One column `c`.
struct Column {
    schema: Schema,
    planned: DFSchema,
}

impl Column {
    fn new(values: &ArrayRef) -> Column {
        let schema = Schema::of(TableId([1; 16]), &[("c".to_owned(), Type::Plain(values.data_type().clone()))]);
        let planned = DFSchema::try_from(schema.arrow(&[0])).unwrap();
        Column { schema, planned }
    }
}

/// Checks a predicate over every run of `parts`: where one row of a window passes, the statistics of the whole (of which a slice of a chunk is a window) may not rule
/// it out. Returns how many runs were ruled out.
fn check(context: &SessionContext, predicate: Expr, parts: &[ArrayRef]) -> usize {
    let column = Column::new(&parts[0]);
    let state = context.state();
    let simplifier = datafusion::optimizer::simplify_expressions::ExprSimplifier::new(
        datafusion::logical_expr::simplify::SimplifyContext::builder().with_schema(Arc::new(column.planned.clone())).build(),
    );
    let coerced = simplifier.coerce(predicate.clone(), &column.planned).unwrap();
    let simplified = simplifier.simplify(coerced.clone()).unwrap();
    let mut dropped = 0;
    for expr in [coerced, simplified] {
        let prune = Prune::of(&expr, &column.schema);
        let physical = state.create_physical_expr(expr.clone(), &column.planned).unwrap();
        for values in parts {
            let batch = RecordBatch::try_new(column.schema.arrow(&[0]), vec![values.clone()]).unwrap();
            let passes = physical.evaluate(&batch).unwrap().into_array(values.len()).unwrap();
            let may = judge(&prune, &Stats::of(values), values.len() as u64);
            assert!(may || passed(&passes) == 0, "{predicate} ({prune:?}) is true of a row of {values:?}, {:?}", Stats::of(values));
            dropped += usize::from(!may);
        }
    }
    dropped
}

/// How many are true; null is not.
fn passed(values: &ArrayRef) -> usize {
    values.as_boolean().iter().filter(|x| *x == Some(true)).count()
}

fn judge(prune: &Prune, stats: &Stats, rows: u64) -> bool {
    match prune {
        Prune::Keep => true,
        Prune::Drop => false,
        Prune::And(parts) => parts.iter().all(|p| judge(p, stats, rows)),
        Prune::Or(parts) => parts.iter().any(|p| judge(p, stats, rows)),
        Prune::Column(0, test) => test.may(stats, rows),
        Prune::Column(other, _) => panic!("column {other}"),
    }
}

/// Each value alone, each pair, pairs with a null, all together, nothing, nulls only: and joined statistics with that.
fn runs(values: &ArrayRef) -> Vec<ArrayRef> {
    let one = |i: usize| values.slice(i, 1);
    let null = arrow::array::new_null_array(values.data_type(), 2);
    let join = |parts: &[&ArrayRef]| concat(&parts.iter().map(|p| &***p).collect::<Vec<_>>()).unwrap();
    let mut runs = vec![values.slice(0, 0), null.clone(), values.clone(), join(&[values, &null])];
    for i in 0..values.len() {
        runs.push(one(i));
        runs.push(join(&[&one(i), &null]));
        for j in i + 1..values.len() {
            runs.push(join(&[&one(i), &one(j)]));
        }
    }
    runs
}

/// Every comparison, both ways round, IN, BETWEEN and their negations, with every pair of `keys`.
fn predicates(keys: &[ScalarValue]) -> Vec<Expr> {
    use Operator::*;
    let c = || col("c");
    let mut all = vec![c().is_null(), c().is_not_null(), Expr::Not(Box::new(c().is_null()))];
    for key in keys {
        let k = || Expr::Literal(key.clone(), None);
        for op in [Eq, NotEq, Lt, LtEq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom] {
            let forth = datafusion::logical_expr::binary_expr(c(), op, k());
            let back = datafusion::logical_expr::binary_expr(k(), op, c());
            all.push(Expr::Not(Box::new(forth.clone())));
            all.push(forth.clone().or(c().is_null()));
            all.push(forth.clone().and(c().is_not_null()));
            all.push(Expr::IsTrue(Box::new(forth.clone())));
            all.push(Expr::IsNotTrue(Box::new(forth.clone())));
            all.extend([forth, back]);
        }
        for other in keys {
            let o = || Expr::Literal(other.clone(), None);
            all.push(c().between(k(), o()));
            all.push(c().not_between(k(), o()));
            all.push(c().in_list(vec![k(), o(), Expr::Literal(ScalarValue::Null, None)], false));
            all.push(c().in_list(vec![k(), o()], true));
        }
    }
    all
}

fn exhaust(values: ArrayRef, keys: &[ScalarValue]) {
    let context = context();
    let runs = runs(&values);
    let dropped: usize = predicates(keys).into_iter().map(|predicate| check(&context, predicate, &runs)).sum();
    assert!(dropped > runs.len(), "only {dropped} runs of {} were ruled out", runs.len());
}

#[test]
fn integers() {
    let values: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN, -1, 0, 3, i64::MAX]));
    exhaust(values, &[-1i64, 0, 2, 3, i64::MAX].map(|x| ScalarValue::Int64(Some(x))));
    let values: ArrayRef = Arc::new(UInt64Array::from(vec![0, 3, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX]));
    exhaust(values, &[0u64, 3, i64::MAX as u64 + 1, u64::MAX].map(|x| ScalarValue::UInt64(Some(x))));
}

#[test]
fn integers_compared_as_wider_types() {
    let values: ArrayRef = Arc::new(Int8Array::from(vec![-128, -1, 0, 3, 127]));
    exhaust(values.clone(), &[-300i64, -128, 0, 3, 128].map(|x| ScalarValue::Int64(Some(x))));
    exhaust(values, &[-128.5, -0.0, 0.0, 3.0, f64::INFINITY, f64::NAN].map(|x| ScalarValue::Float64(Some(x))));
    // Beyond 2^53 the cast rounds.
    let values: ArrayRef = Arc::new(Int64Array::from(vec![(1 << 53) - 1, 1 << 53, (1 << 53) + 1, (1 << 53) + 3, i64::MAX]));
    exhaust(values, &[9007199254740991.0, 9007199254740992.0, 9007199254740994.0, 9007199254740996.0, 9.3e18].map(|x| ScalarValue::Float64(Some(x))));
}

#[test]
fn floats_with_both_zeros_infinities_and_nans_of_both_signs() {
    let edge = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.5, -2.0];
    let values: ArrayRef = Arc::new(Float64Array::from(edge.to_vec()));
    exhaust(values, &edge.map(|x| ScalarValue::Float64(Some(x))));
    let values: ArrayRef = Arc::new(Float32Array::from(edge.map(|x| x as f32).to_vec()));
    exhaust(values.clone(), &edge.map(|x| ScalarValue::Float32(Some(x as f32))));
    exhaust(values, &[0.1, -0.0, f64::NAN, 1.5].map(|x| ScalarValue::Float64(Some(x))));
    let values: ArrayRef = Arc::new(Float16Array::from(edge.map(f16::from_f64).to_vec()));
    exhaust(values, &[0.0, -0.0, 1.5, -3.0].map(|x| ScalarValue::Float32(Some(x))));
}

#[test]
fn text_with_cut_bounds() {
    let long = "k".repeat(31);
    let texts = [
        String::new(),
        "a".into(),
        "ab".into(),
        "b".into(),
        // Bounds are cut at 32 bytes, which is within the last character here.
        format!("{long}é1"),
        format!("{long}é2"),
        format!("{long}f"),
        "k".repeat(40),
        "\u{10ffff}".repeat(9),
    ];
    let values: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    exhaust(values.clone(), &texts.clone().map(|x| ScalarValue::Utf8(Some(x))));
    exhaust(values.clone(), &texts.clone().map(|x| ScalarValue::Utf8View(Some(x))));
    let context = context();
    let runs = runs(&values);
    let mut dropped = 0;
    for prefix in ["a", "ab", "b", "c", &long, &format!("{long}é"), "\u{10ffff}", "", "a\\%", "a_", "_b"] {
        for pattern in [format!("{prefix}%"), prefix.to_owned(), format!("{prefix}%b"), format!("%{prefix}")] {
            dropped += check(&context, col("c").like(lit(pattern.clone())), &runs);
            check(&context, col("c").not_like(lit(pattern.clone())), &runs);
            check(&context, col("c").ilike(lit(pattern.to_uppercase())), &runs);
        }
    }
    assert!(dropped > 100, "{dropped}");
}

#[test]
fn booleans_and_constants() {
    let values: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    exhaust(values.clone(), &[true, false].map(|x| ScalarValue::Boolean(Some(x))));
    let context = context();
    let runs = runs(&values);
    let mut dropped = 0;
    for predicate in [col("c"), Expr::Not(Box::new(col("c"))), lit(true), lit(false), Expr::Literal(ScalarValue::Boolean(None), None)] {
        dropped += check(&context, predicate.clone(), &runs);
        dropped += check(&context, predicate.and(col("c").is_not_null()), &runs);
    }
    assert!(dropped > 20, "{dropped}");
}

#[test]
fn dates_times_and_decimals() {
    let values: ArrayRef = Arc::new(Date32Array::from(vec![-1, 0, 20_000]));
    exhaust(values, &[-1, 0, 5, 20_000].map(|x| ScalarValue::Date32(Some(x))));
    let values: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![-1, 0, 1_700_000_000_000_000]).with_timezone("UTC"));
    exhaust(values, &[-1, 0, 7].map(|x| ScalarValue::TimestampMicrosecond(Some(x), Some("UTC".into()))));
    let values: ArrayRef = Arc::new(Decimal128Array::from(vec![-150, 0, 99, 10_000]).with_precision_and_scale(10, 2).unwrap());
    exhaust(values.clone(), &[-150, 0, 100].map(|x| ScalarValue::Decimal128(Some(x), 10, 2)));
    // Of another scale: compared after a cast that is not followed. Nothing may be dropped wrongly; little is dropped.
    let context = context();
    for predicate in predicates(&[ScalarValue::Int64(Some(1)), ScalarValue::Float64(Some(0.99)), ScalarValue::Decimal128(Some(-1500), 12, 3)]) {
        check(&context, predicate, &runs(&values));
    }
    // Beyond 64 bits there are no bounds.
    let values: ArrayRef = Arc::new(Decimal128Array::from(vec![i128::MAX / 10, 1]).with_precision_and_scale(38, 0).unwrap());
    for predicate in predicates(&[ScalarValue::Decimal128(Some(1), 38, 0)]) {
        check(&context, predicate, &runs(&values));
    }
}

#[test]
fn joined_statistics_and_windows() {
    let context = context();
    let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(f64::NAN), Some(-0.0), Some(7.5)]));
    let column = Column::new(&values);
    let state = context.state();
    for predicate in predicates(&[0.0, 1.0, 7.5, 9.0].map(|x| ScalarValue::Float64(Some(x)))) {
        let prune = Prune::of(&predicate, &column.schema);
        let physical = state.create_physical_expr(predicate.clone(), &column.planned).unwrap();
        for start in 0..values.len() {
            for end in start..=values.len() {
                let window = values.slice(start, end - start);
                let batch = RecordBatch::try_new(column.schema.arrow(&[0]), vec![window.clone()]).unwrap();
                let passes = physical.evaluate(&batch).unwrap().into_array(window.len()).unwrap();
                let passes = passed(&passes);
                // A slice carries its chunk's statistics, an inner node those of its parts together.
                let joined = Stats::of(&values.slice(0, start)).merge(&Stats::of(&window)).merge(&Stats::of(&values.slice(end, values.len() - end)));
                for stats in [Stats::of(&values), joined] {
                    assert!(passes == 0 || judge(&prune, &stats, window.len() as u64), "{predicate} on {start}..{end}");
                }
            }
        }
    }
}

#[test]
fn what_is_known_of_single_predicates() {
    let schema = Schema::of(TableId([1; 16]), &[("a".to_owned(), Type::INT64), ("b".to_owned(), Type::TEXT)]);
    let number = |test| Prune::Column(0, test);
    assert_eq!(Prune::of(&col("a").gt(lit(3i64)), &schema), number(Test::Compare(Comparison::Greater, Key::Int(3))));
    assert_eq!(Prune::of(&lit(3i64).gt(col("a")), &schema), number(Test::Compare(Comparison::Less, Key::Int(3))));
    assert_eq!(Prune::of(&col("a").in_list(vec![Expr::Literal(ScalarValue::Int64(None), None)], false), &schema), Prune::Drop);
    assert_eq!(Prune::of(&col("a").gt(col("a")), &schema), Prune::Keep);
    assert_eq!(Prune::of(&col("a").gt(lit(3i64)).or(col("b").like(lit("x%"))), &schema), {
        Prune::Or(vec![number(Test::Compare(Comparison::Greater, Key::Int(3))), Prune::Column(1, Test::Prefix("x".into()))])
    });
    // One side that is not understood makes an OR so, and leaves an AND the other.
    let strange = col("b").like(lit("%x"));
    assert_eq!(Prune::of(&col("a").gt(lit(3i64)).or(strange.clone()), &schema), Prune::Keep);
    assert_eq!(Prune::of(&col("a").gt(lit(3i64)).and(strange), &schema), number(Test::Compare(Comparison::Greater, Key::Int(3))));
}

#[test]
fn unions_join() {
    assert_eq!(union(vec![5..8, 0..2, 2..3, 6..7, 9..10]), vec![0..3, 5..8, 9..10]);
}
