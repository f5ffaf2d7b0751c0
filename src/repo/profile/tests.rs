//! Profiles against counts made by hand.

use std::sync::Arc;

use arrow::array::{BinaryArray, Date32Array, Float64Array, Int64Array, StringArray, StructArray};
use arrow::datatypes::{DataType, Schema};

use super::*;

fn profile(columns: Vec<(&str, Type, ArrayRef)>, slices: usize) -> Vec<ColumnProfile> {
    let schema: SchemaRef = Arc::new(Schema::new(columns.iter().map(|(n, t, _)| t.field(n, true)).collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, _, a)| a).collect()).unwrap();
    let mut profiler = Profiler::new(&schema).unwrap();
    let step = batch.num_rows().div_ceil(slices).max(1);
    for at in (0..batch.num_rows()).step_by(step) {
        profiler.add(&batch.slice(at, step.min(batch.num_rows() - at))).unwrap();
    }
    profiler.finish().unwrap()
}

fn mixed() -> Vec<(&'static str, Type, ArrayRef)> {
    vec![
        ("n", Type::INT64, Arc::new(Int64Array::from(vec![Some(4), None, Some(i64::MAX), Some(4), Some(-2)]))),
        ("x", Type::FLOAT64, Arc::new(Float64Array::from(vec![Some(1.0), Some(f64::NAN), Some(3.0), None, Some(f64::INFINITY)]))),
        ("t", Type::TEXT, Arc::new(StringArray::from(vec![Some("b"), Some("é"), Some("b"), None, Some("")]))),
        ("d", Type::Plain(DataType::Date32), Arc::new(Date32Array::from(vec![0, 1, 2, 20_000, -1]))),
        ("b", Type::BINARY, Arc::new(BinaryArray::from(vec![Some(&b"xx"[..]), Some(b"xx"), Some(b""), None, Some(b"yyyy")]))),
    ]
}

#[test]
fn counts_are_right() {
    for slices in [1, 2, 5] {
        let found = profile(mixed(), slices);
        let of = |name: &str| found.iter().find(|p| p.name == name).unwrap();
        let n = of("n");
        assert_eq!((n.rows, n.nulls, n.distinct, n.distinct_exact), (5, 1, 3, true));
        assert_eq!(n.range, Some(("-2".to_owned(), i64::MAX.to_string())));
        assert_eq!(n.top.first(), Some(&("4".to_owned(), 2)));
        let x = of("x");
        assert_eq!((x.nulls, x.nans, x.range.clone()), (1, 1, Some(("1.0".to_owned(), "inf".to_owned()))));
        assert_eq!((x.mean, x.deviation), (Some(2.0), Some(1.0)));
        let t = of("t");
        assert_eq!((t.measure, t.distinct, t.range.clone()), (Measure::Characters, 3, Some((String::new(), "é".to_owned()))));
        assert_eq!(t.mean, Some(0.75));
        let d = of("d");
        assert_eq!((d.range.clone(), d.mean), (Some(("1969-12-31".to_owned(), "2024-10-04".to_owned())), None));
        assert_eq!(d.histogram.iter().map(|b| b.count).sum::<u64>(), 5);
        let b = of("b");
        assert_eq!((b.measure, b.distinct, b.mean, b.range.clone()), (Measure::Bytes, 3, Some(2.0), None));
    }
}

#[test]
fn nested_types_and_no_rows() {
    let ty = Type::Struct(vec![("a".to_owned(), Type::INT64)]);
    let DataType::Struct(fields) = ty.storage() else { panic!() };
    let array = StructArray::new(fields, vec![Arc::new(Int64Array::from(vec![1, 1, 2]))], None);
    let found = profile(vec![("s", ty, Arc::new(array))], 1);
    assert_eq!((found[0].distinct, found[0].measure, found[0].mean), (2, Measure::None, None));

    let found = profile(vec![("v", Type::Embedding { dim: 2, half: false }, vectors(&[3.0, 4.0, 6.0, 8.0]))], 2);
    assert_eq!((found[0].measure, found[0].mean), (Measure::Norm, Some(7.5)));

    let empty = profile(vec![("n", Type::INT64, Arc::new(Int64Array::from(Vec::<i64>::new())))], 1);
    assert_eq!((empty[0].rows, empty[0].distinct, empty[0].range.clone(), empty[0].histogram.len()), (0, 0, None, 0));
}

fn vectors(numbers: &[f32]) -> ArrayRef {
    let DataType::FixedSizeList(item, n) = (Type::Embedding { dim: 2, half: false }).storage() else { panic!() };
    Arc::new(arrow::array::FixedSizeListArray::new(item, n, Arc::new(arrow::array::Float32Array::from(numbers.to_vec())), None))
}

#[test]
fn values_that_all_differ_have_no_top() {
    let found = profile(vec![("n", Type::INT64, Arc::new(Int64Array::from_iter_values(0..100)))], 3);
    assert!(found[0].top.is_empty() && found[0].distinct == 100);
}
