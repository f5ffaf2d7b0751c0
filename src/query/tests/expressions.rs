//! Single expressions over a table.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::concat;
use arrow::datatypes::{Float64Type, Int64Type};

use super::support::*;
use crate::format::Type;
use crate::query::*;
use crate::table::edit::Fill;

fn table() -> Twin {
    let rows = (0..300).map(|i| Row { n: (i % 7 != 0).then_some(i), s: Some(format!("row {i}")), f: Some(f64::from(i) / 4.0), ..Row::default() }).collect();
    Making { writes: vec![rows], deleted: vec![], edited: vec![] }.make(&small())
}

fn values(evaluation: Evaluation) -> ArrayRef {
    let arrays: Vec<ArrayRef> = evaluation.collect::<Result<_, _>>().unwrap();
    concat(&arrays.iter().map(|a| &**a).collect::<Vec<_>>()).unwrap()
}

#[test]
fn an_expression_fills_a_column_with_a_value_for_each_live_row() {
    let twin = table();
    let dead: Vec<u64> = (0..300).filter(|i| i % 5 == 0).collect();
    let table = std::sync::Arc::new(twin.table.delete(&twin.objects, &dead).unwrap());
    let evaluation = evaluate(&twin.objects, &table, "coalesce(n, -1) * 2 + length(s)", &Params::new(), Some(&Type::INT64)).unwrap();
    assert_eq!(evaluation.ty(), &Type::INT64);
    let added = std::sync::Arc::new(table.add_column(&twin.objects, "twice", Type::INT64, evaluation.fill()).unwrap());
    let read = values(evaluate(&twin.objects, &added, "twice", &Params::new(), None).unwrap());
    let expected: Vec<i64> = (0..300i64).filter(|i| i % 5 != 0).map(|i| if i % 7 == 0 { -2 } else { i * 2 } + format!("row {i}").len() as i64).collect();
    assert_eq!(read.as_primitive::<Int64Type>().values(), &expected[..]);
    assert_eq!(read.null_count(), 0);
}

#[test]
fn expressions_have_a_type_of_their_own_or_the_one_wanted() {
    let twin = table();
    let of = |sql: &str, wanted: Option<&Type>| evaluate(&twin.objects, &twin.table, sql, &Params::new(), wanted);
    assert_eq!(of("f / 2", None).unwrap().ty(), &Type::FLOAT64);
    assert_eq!(of("s", None).unwrap().ty(), &Type::TEXT);
    assert_eq!(of("label", None).unwrap().ty(), &Type::Enum(vec!["cat".into(), "dog".into()]));
    assert_eq!(of("s || '!'", None).unwrap().ty(), &Type::TEXT);
    assert_eq!(of("n > 3", None).unwrap().ty(), &Type::BOOL);
    let wanted = of("id", Some(&Type::FLOAT64)).unwrap();
    assert_eq!(values(wanted).as_primitive::<Float64Type>().value(7), 7.0);
    // A constant has no column to be read, and a value for each row all the same.
    assert_eq!(values(of("1 + 1", Some(&Type::INT64)).unwrap()).as_primitive::<Int64Type>().values(), &[2i64; 300]);
    let nulls = values(of("NULL", Some(&Type::TEXT)).unwrap());
    assert_eq!((nulls.len(), nulls.null_count()), (300, 300));
    let failing = of("s", Some(&Type::INT64)).unwrap().next().unwrap();
    assert!(matches!(failing, Err(QueryError::Run(_))), "{failing:?}");
    // As a fill it fails with what the expression said, and no column is made.
    let fill = of("CAST(s AS BIGINT)", Some(&Type::INT64)).unwrap().fill();
    assert!(matches!(fill, Fill::Values(_)));
    let error = twin.table.add_column(&twin.objects, "x", Type::INT64, fill).unwrap_err();
    assert!(error.to_string().contains("row 0"), "{error}");
}

#[test]
fn expressions_take_parameters() {
    let twin = table();
    let mut params = Params::new();
    params.set_text("least=290").unwrap();
    assert_eq!(filter_slots(&twin.objects, &twin.table, "id >= :least AND n IS NOT NULL", &params).unwrap(), [290, 291, 292, 293, 295, 296, 297, 298, 299]);
    let missing = filter_slots(&twin.objects, &twin.table, "id >= :leest", &params).unwrap_err();
    assert_eq!(missing.to_string(), "parameter 'leest' at line 1, column 7: it has no value");
    assert_eq!(missing.near(), ["least"]);
}

#[test]
fn what_is_no_expression_over_rows_is_refused() {
    let twin = table();
    let refused = |sql: &str| filter_slots(&twin.objects, &twin.table, sql, &Params::new()).unwrap_err().to_string();
    assert_eq!(refused("n"), "a condition must be true or false, not int32");
    assert_eq!(refused("m > 1"), "no column 'm' at line 1, column 1");
    assert_eq!(refused("count(*) > 1"), "an expression over single rows holds no subquery, aggregate or window");
    assert!(refused("n > ").starts_with("syntax error"), "{}", refused("n > "));
    assert!(refused("n > 1 extra words").starts_with("syntax error"), "{}", refused("n > 1 extra words"));
    assert_eq!(refused("n <=> 1 < 2"), "cosine_distance takes vectors, not int32");
    assert!(refused("").starts_with("syntax error"), "{}", refused(""));
    let all = select(&twin.objects, &twin.table, None, &Params::new(), vec![0]).unwrap();
    assert_eq!(all.map(|b| b.unwrap().num_rows()).sum::<usize>(), 300);
    let stopped = select(&twin.objects, &twin.table, Some("n > 1000"), &Params::new(), vec![0]).unwrap().interrupted_by(std::sync::Arc::new(|| true)).next();
    assert!(matches!(stopped, Some(Err(QueryError::Interrupted))));
}

#[test]
fn a_predicate_is_asked_about_single_rows() {
    let twin = table();
    let passed = |sql: &str, slots: &[Option<u64>]| RowTest::new(&twin.objects, &twin.table, sql, &Params::new()).unwrap().test(slots).unwrap();
    assert_eq!(passed("n > 100 OR s = 'row 7'", &[Some(250), Some(7), None, Some(8), Some(105), Some(250)]), [true, true, false, false, false, true]);
    assert_eq!(passed("true", &[Some(1), None]), [true, false]);
    assert_eq!(passed("NULL", &[Some(1)]), [false]);
    assert!(passed("n > 1", &[]).is_empty());
    let refused = |sql: &str| RowTest::new(&twin.objects, &twin.table, sql, &Params::new()).err().unwrap().to_string();
    assert_eq!(refused("n"), "a condition must be true or false, not int32");
    assert_eq!(refused("m > 1"), "no column 'm' at line 1, column 1");
}
