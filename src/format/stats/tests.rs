//! Statistics are bounds, exact where they say so, and merge as the runs do.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int64Array, StringArray, UInt64Array};
use proptest::prelude::*;

use super::super::array::tests::{any_column, build};
use super::*;

/// Every value that is neither null nor NaN as a scalar, and whether there are NaNs; `None` for types without bounds.
fn scalars(array: &ArrayRef) -> Option<(Vec<Scalar>, bool)> {
    let mut nans = false;
    let mut floats = |values: Vec<Option<f64>>| -> Vec<Scalar> {
        let values: Vec<f64> = values.into_iter().flatten().collect();
        nans = values.iter().any(|x| x.is_nan());
        values.into_iter().filter(|x| !x.is_nan()).map(Scalar::Float).collect()
    };
    let scalars = match array.data_type() {
        DataType::Boolean => array.as_boolean().iter().flatten().map(Scalar::Bool).collect(),
        DataType::Utf8 => array.as_string::<i32>().iter().flatten().map(|s| Scalar::Text(s.to_owned())).collect(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().iter().flatten().map(Scalar::from).collect(),
        DataType::Float16 => floats(array.as_primitive::<Float16Type>().iter().map(|x| x.map(|x| x.to_f64())).collect()),
        DataType::Float32 => floats(array.as_primitive::<Float32Type>().iter().map(|x| x.map(f64::from)).collect()),
        DataType::Float64 => floats(array.as_primitive::<Float64Type>().iter().collect()),
        DataType::Decimal128(..) | DataType::Decimal256(..) => return None,
        t if t.is_primitive() => {
            let wide = if t.primitive_width() == Some(4) { arrow::compute::cast(array, &DataType::Int32).unwrap() } else { array.clone() };
            arrow::compute::cast(&wide, &DataType::Int64).unwrap().as_primitive::<Int64Type>().iter().flatten().map(Scalar::Int).collect()
        }
        _ => return None,
    };
    Some((scalars, nans))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bounds_hold((ty, values) in any_column(0..30), seed: u64, cut: prop::sample::Index) {
        let array = build(&ty, &values, Some(seed));
        let stats = Stats::of(array.as_ref());
        prop_assert_eq!(stats.nulls, array.null_count() as u64);
        if let Some((scalars, nans)) = scalars(&array) {
            prop_assert_eq!(stats.nans, nans);
            let order = |a: &&Scalar, b: &&Scalar| a.compare(b).unwrap();
            prop_assert_eq!(stats.min.as_ref(), scalars.iter().min_by(order));
            prop_assert_eq!(stats.max.as_ref(), scalars.iter().max_by(order));
            prop_assert!(stats.min_exact && stats.max_exact);
        }
        // Two parts tell the same as the whole.
        let at = cut.index(values.len() + 1);
        let parts = Stats::of(array.slice(0, at).as_ref()).merge(&Stats::of(array.slice(at, values.len() - at).as_ref()));
        prop_assert_eq!(&parts, &stats);
        prop_assert_eq!(&stats.merge(&Stats::empty()), &stats);
        // And so do the bytes.
        let mut w = Writer::default();
        stats.encode(&mut w);
        prop_assert_eq!(Stats::decode(&mut Reader::new("stats", &w.finish())).unwrap(), stats);
    }

    #[test]
    fn long_text_is_cut_to_bounds(values in prop::collection::vec("[a\u{7f}\u{d7ff}\u{10ffff}]{0,40}", 1..6)) {
        let stats = Stats::of(&StringArray::from(values.clone()));
        let least = values.iter().min().unwrap();
        let Some(Scalar::Text(min)) = &stats.min else { panic!("{stats:?}") };
        prop_assert!(min.len() <= 32 && least.starts_with(min.as_str()));
        prop_assert_eq!(stats.min_exact, min == least);
        let most = values.iter().max().unwrap();
        match &stats.max {
            Some(Scalar::Text(max)) => {
                prop_assert!(max >= most && max.len() <= 35);
                prop_assert_eq!(stats.max_exact, max == most);
            }
            // No text is above the greatest character again and again.
            other => {
                let endless = most.chars().take(8).all(|c| c == char::MAX);
                prop_assert!(other.is_none() && !stats.max_exact && endless);
            }
        }
    }
}

#[test]
fn edges() {
    let floats = Stats::of(&Float64Array::from(vec![0.0, -0.0, f64::NAN, f64::INFINITY]));
    assert!(matches!(floats.min, Some(Scalar::Float(x)) if x.to_bits() == (-0.0f64).to_bits()));
    assert!(floats.nans);
    let only_nan = Stats::of(&Float32Array::from(vec![Some(f32::NAN), None]));
    assert_eq!((only_nan.nulls, &only_nan.min, only_nan.min_exact, only_nan.nans), (1, &None, true, true));
    // Nothing is known of one side, so nothing of both.
    let wide = Stats::of(&Decimal128Array::from(vec![1 << 80]));
    assert_eq!((&wide.min, wide.min_exact), (&None, false));
    let narrow = Stats::of(&Decimal128Array::from(vec![-7, 12]));
    assert_eq!((&narrow.min, &narrow.max), (&Some(Scalar::Int(-7)), &Some(Scalar::Int(12))));
    assert_eq!(wide.merge(&narrow).min, None);
    // Integers are one, whether they fit or not.
    let numbers = Stats::of(&UInt64Array::from(vec![5, u64::MAX])).merge(&Stats::of(&Int64Array::from(vec![-1])));
    assert_eq!((numbers.min, numbers.max), (Some(Scalar::Int(-1)), Some(Scalar::UInt(u64::MAX))));
    let mixed = Stats::of(&UInt64Array::from(vec![5])).merge(&Stats::of(&StringArray::from(vec!["x"])));
    assert_eq!((mixed.min, mixed.min_exact), (None, false));
    let bools: ArrayRef = Arc::new(BooleanArray::from(vec![Some(false), None]));
    assert_eq!(Stats::of(&bools).max, Some(Scalar::Bool(false)));
    assert!(Stats::decode(&mut Reader::new("stats", &[0x84, 0, 0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0, 0xf6, 0])).is_err(), "NaN as a bound");
}
