//! A column of every type of docs/format.md, section 6, with what is odd in each: nulls (with something under them), extremes, NaNs that
//! carry bits, -0.0, empty values, text of all sorts.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::*;
use dsv::format::Type;
use dsv::format::types::child;
use half::f16;

/// Rows in each column.
pub const ROWS: usize = 12;
/// These rows are null, in every column.
const NULLS: [usize; 2] = [1, 7];

fn nulls() -> NullBuffer {
    NullBuffer::new(BooleanBuffer::collect_bool(ROWS, |i| !NULLS.contains(&i)))
}

/// The values in turn, with the nulls put over them: what stands under a null is not empty.
fn numbers<T: ArrowPrimitiveType>(values: &[T::Native]) -> ArrayRef {
    let values: Vec<T::Native> = values.iter().cycle().take(ROWS).copied().collect();
    Arc::new(PrimitiveArray::<T>::new(values.into(), Some(nulls())))
}

/// Integers as another type of the same width.
fn retyped(array: ArrayRef, data_type: DataType) -> ArrayRef {
    make_array(array.to_data().into_builder().data_type(data_type).build().unwrap())
}

fn texts(values: &[&str]) -> ArrayRef {
    let plain = StringArray::from_iter_values(values.iter().cycle().take(ROWS));
    let (offsets, data, _) = plain.into_parts();
    Arc::new(StringArray::new(offsets, data, Some(nulls())))
}

fn binaries(values: &[&[u8]]) -> ArrayRef {
    let plain = BinaryArray::from_iter_values(values.iter().cycle().take(ROWS));
    let (offsets, data, _) = plain.into_parts();
    Arc::new(BinaryArray::new(offsets, data, Some(nulls())))
}

fn fixed(width: i32) -> ArrayRef {
    let data: Vec<u8> = (0..ROWS * width as usize).map(|i| (i * 37 % 251) as u8).collect();
    Arc::new(FixedSizeBinaryArray::new(width, data.into(), Some(nulls())))
}

/// Lists of 0, 1, 2, 0, ... of the items, which are cut to what is needed.
fn lists(items: ArrayRef) -> ArrayRef {
    let lengths: Vec<usize> = (0..ROWS).map(|i| i % 3).collect();
    let items = items.slice(0, lengths.iter().sum());
    Arc::new(ListArray::new(child("item", items.data_type().clone()), OffsetBuffer::from_lengths(lengths), items, Some(nulls())))
}

fn vectors(items: ArrayRef, size: i32) -> ArrayRef {
    let items = items.slice(0, ROWS * size as usize);
    Arc::new(FixedSizeListArray::new(child("item", items.data_type().clone()), size, items, Some(nulls())))
}

fn structs(fields: &[(&str, ArrayRef)]) -> ArrayRef {
    let types: Fields = fields.iter().map(|(name, values)| child(name, values.data_type().clone())).collect();
    Arc::new(StructArray::try_new_with_length(types, fields.iter().map(|f| f.1.clone()).collect(), Some(nulls()), ROWS).unwrap())
}

/// `values` over and over, `n` times their number.
fn repeated(values: &ArrayRef, n: usize) -> ArrayRef {
    arrow::compute::concat(&vec![&**values; n]).unwrap()
}

const WORDS: [&str; 8] =
    ["", "under a null", "plain", "naïve Ünïcødé", "日本語テキスト", "👩🏽‍🚀 in space", "tab\tline\nquote\"back\\slash\u{1}\u{7f}", "\u{2028}\u{0}end"];

/// Each type's text, and its values.
pub fn columns() -> Vec<(&'static str, ArrayRef)> {
    let f16s = numbers::<Float16Type>(&[0x8000, 0x0000, 0x3c00, 0x7c00, 0xfc00, 0x7e01, 0xfe55, 0x0001].map(f16::from_bits));
    let f32s =
        numbers::<Float32Type>(&[0x8000_0000, 0x1234_5678, 0x3fc0_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_1234, 0xffc5_4321, 0x0000_0001].map(f32::from_bits));
    let f64s = numbers::<Float64Type>(
        &[1 << 63, 7, 0x3ff8_0000_0000_0000, 0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000, 0x7ff8_0000_0000_0abc, 0xffff_dead_beef_0001, 1].map(f64::from_bits),
    );
    let i64s = numbers::<Int64Type>(&[0, -9, i64::MIN, i64::MAX, 1_767_225_600_123_456, -1]);
    let i32s = numbers::<Int32Type>(&[0, -9, i32::MIN, i32::MAX, 20_454, -1]);
    let times = numbers::<Int32Type>(&[0, 5, 86_399, 43_200, 61]);
    let long_times = numbers::<Int64Type>(&[0, 5, 86_399_999_999, 43_200_000_001, 61]);
    let i8s = numbers::<Int8Type>(&[0, 3, -128, 127, -1]);
    let u8s = numbers::<UInt8Type>(&[0, 3, 255, 128]);
    let decimals = numbers::<Decimal128Type>(&[0, 9, -12_345, 99_999_999, 1, -1]);
    let wide = |x: &str| i256::from_string(x).unwrap();
    let wides = numbers::<Decimal256Type>(&[
        wide("0"),
        wide("3"),
        wide("-1"),
        wide("99999999999999999999999999999999999999999999999999"),
        wide("-123456789012345678901234567890"),
    ]);
    let bools: ArrayRef = Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(ROWS, |i| i % 3 != 2), Some(nulls())));
    let words = texts(&WORDS);
    let blobs = binaries(&[b"", b"under", b"\x00\xff", b"\x89PNG\r\n\x1a\n", b"abc"]);
    let entries = structs(&[("key", texts(&["k", "x", "lang", ""])), ("value", i64s.clone())]);
    let seconds = retyped(i64s.clone(), DataType::Timestamp(TimeUnit::Second, None));
    use TimeUnit::*;
    vec![
        ("bool", bools.clone()),
        ("int8", i8s.clone()),
        ("int16", numbers::<Int16Type>(&[0, 4, i16::MIN, i16::MAX, -1])),
        ("int32", i32s.clone()),
        ("int64", i64s.clone()),
        ("uint8", u8s.clone()),
        ("uint16", numbers::<UInt16Type>(&[0, 4, u16::MAX, 1])),
        ("uint32", numbers::<UInt32Type>(&[0, 4, u32::MAX, 1 << 31])),
        ("uint64", numbers::<UInt64Type>(&[0, 4, u64::MAX, 1 << 63, 5])),
        ("float16", f16s.clone()),
        ("float32", f32s.clone()),
        ("float64", f64s.clone()),
        ("decimal(10,2)", retyped(decimals.clone(), DataType::Decimal128(10, 2))),
        ("decimal(8,-3)", retyped(decimals, DataType::Decimal128(8, -3))),
        ("decimal(38,0)", numbers_as_decimal(&[0, 1, 10i128.pow(38) - 1, 1 - 10i128.pow(38)], 38, 0)),
        ("decimal256(50,5)", retyped(wides, DataType::Decimal256(50, 5))),
        ("text", words.clone()),
        ("binary", blobs.clone()),
        ("binary(3)", fixed(3)),
        ("date", retyped(i32s.clone(), DataType::Date32)),
        ("time(s)", retyped(times.clone(), DataType::Time32(Second))),
        ("time(ms)", retyped(times, DataType::Time32(Millisecond))),
        ("time(us)", retyped(long_times.clone(), DataType::Time64(Microsecond))),
        ("time(ns)", retyped(long_times, DataType::Time64(Nanosecond))),
        ("timestamp(s)", seconds),
        ("timestamp(ms)", retyped(i64s.clone(), DataType::Timestamp(Millisecond, None))),
        ("timestamp(us)", retyped(i64s.clone(), DataType::Timestamp(Microsecond, None))),
        ("timestamp(ns)", retyped(i64s.clone(), DataType::Timestamp(Nanosecond, None))),
        ("timestamp(us,UTC)", retyped(i64s.clone(), DataType::Timestamp(Microsecond, Some("UTC".into())))),
        ("timestamp(ms,+02:00)", retyped(i64s.clone(), DataType::Timestamp(Millisecond, Some("+02:00".into())))),
        ("timestamp(ns,\"of \"\"no\"\" place\")", retyped(i64s.clone(), DataType::Timestamp(Nanosecond, Some("of \"no\" place".into())))),
        ("duration(s)", retyped(i64s.clone(), DataType::Duration(Second))),
        ("duration(ms)", retyped(i64s.clone(), DataType::Duration(Millisecond))),
        ("duration(us)", retyped(i64s.clone(), DataType::Duration(Microsecond))),
        ("duration(ns)", retyped(i64s, DataType::Duration(Nanosecond))),
        ("json", texts(&["{}", "0", "{\"b\": 1, \"a\": [1.50, null]}", "[1e400, -0]", "\"\\u00e9\""])),
        ("uuid", fixed(16)),
        ("enum", texts(&["cat", "dog", "", "a \"quoted\" one"])),
        ("enum(\"cat\",\"a \"\"dog\"\"\",\"\")", texts(&["cat", "cat", "a \"dog\"", ""])),
        ("list<int32>", lists(i32s)),
        ("list<uint8>", lists(u8s)),
        ("list<bool>", lists(bools)),
        ("list<list<text>>", lists(lists(words.clone()))),
        ("list<struct<a: float64, b: list<binary>>>", lists(structs(&[("a", f64s), ("b", lists(blobs.clone()))]))),
        ("struct<a: text, \"b \"\"c\"\", d\": uuid, \"Ünï\": struct<>>", {
            let none = StructArray::new_empty_fields(ROWS, Some(nulls()));
            structs(&[("a", words), ("b \"c\", d", fixed(16)), ("Ünï", Arc::new(none))])
        }),
        ("map<text, int64>", lists(entries)),
        ("embedding(3)", vectors(repeated(&f32s, 3), 3)),
        ("embedding(2,float16)", vectors(repeated(&f16s, 2), 2)),
        ("list<embedding(1)>", lists(vectors(f32s, 1))),
        ("tensor(2x3,int8)", vectors(repeated(&i8s, 6), 6)),
        ("tensor(1x1x2,float64)", vectors(repeated(&numbers::<Float64Type>(&[1.5, -0.0, f64::NAN]), 2), 2)),
        ("image", blobs.clone()),
        ("audio", blobs.clone()),
        ("video", blobs),
    ]
}

fn numbers_as_decimal(values: &[i128], precision: u8, scale: i8) -> ArrayRef {
    retyped(numbers::<Decimal128Type>(values), DataType::Decimal128(precision, scale))
}

/// The columns with their types, under the names that their types have as text.
pub fn batch() -> (Vec<(String, Type)>, RecordBatch) {
    let columns = columns();
    let types: Vec<(String, Type)> = columns.iter().map(|(text, _)| ((*text).to_owned(), text.parse().unwrap())).collect();
    let fields: Vec<Field> = types.iter().map(|(name, ty)| Field::new(name, ty.storage(), true)).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|c| c.1).collect()).unwrap();
    (types, batch)
}
