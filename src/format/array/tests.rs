//! Canonical bytes against a naive twin that writes them straight from the words of docs/format.md.

use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, BinaryArray, BooleanArray, FixedSizeListArray, ListArray, StringArray, StructArray, make_array};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Fields, TimeUnit};
use proptest::prelude::*;

use super::super::types::{child, parse_storage, storage_text};
use super::*;

/// One value, whatever its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    /// The bytes of a fixed-width value, or of text or binary.
    Bytes(Vec<u8>),
    /// Items of a list or a fixed list, fields of a struct.
    Many(Vec<Value>),
}

/// Storage types of every kind, nested up to two deep.
pub fn any_storage() -> impl Strategy<Value = DataType> {
    use DataType::*;
    let leaf = prop_oneof![
        Just(Boolean),
        Just(Int8),
        Just(UInt16),
        Just(Int32),
        Just(UInt64),
        Just(Float16),
        Just(Float32),
        Just(Float64),
        Just(Decimal128(38, 3)),
        Just(Decimal256(76, -2)),
        Just(Date32),
        Just(Time32(TimeUnit::Second)),
        Just(Time64(TimeUnit::Nanosecond)),
        Just(Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into()))),
        Just(Duration(TimeUnit::Millisecond)),
        Just(FixedSizeBinary(3)),
        Just(FixedSizeBinary(16)),
        Just(Utf8),
        Just(Binary),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|t| List(child("item", t))),
            (inner.clone(), 1..4i32).prop_map(|(t, n)| FixedSizeList(child("item", t), n)),
            prop::collection::vec(inner, 0..3).prop_map(|types| Struct(types.into_iter().enumerate().map(|(i, t)| child(&format!("f{i}"), t)).collect())),
        ]
    })
}

/// Values of a storage type; `nulls` in ten are null.
pub fn any_value(ty: &DataType, nulls: u32) -> BoxedStrategy<Value> {
    let plain: BoxedStrategy<Value> = match ty {
        DataType::Boolean => any::<bool>().prop_map(Value::Bool).boxed(),
        DataType::Utf8 => "[a-zé\u{10ffff}]{0,5}".prop_map(|s| Value::Bytes(s.into_bytes())).boxed(),
        DataType::Binary => prop::collection::vec(any::<u8>(), 0..6).prop_map(Value::Bytes).boxed(),
        DataType::List(item) => prop::collection::vec(any_value(item.data_type(), nulls), 0..4).prop_map(Value::Many).boxed(),
        DataType::FixedSizeList(item, n) => prop::collection::vec(any_value(item.data_type(), nulls), *n as usize).prop_map(Value::Many).boxed(),
        DataType::Struct(fields) => {
            let fields: Vec<BoxedStrategy<Value>> = fields.iter().map(|field| any_value(field.data_type(), nulls)).collect();
            fields.prop_map(Value::Many).boxed()
        }
        // Any bits: NaNs of every kind among them, -0.0 often enough.
        other => {
            let width = fixed_width(other).unwrap();
            let special = match other {
                DataType::Float16 => vec![0, 0x80],
                DataType::Float32 => vec![0, 0, 0, 0x80],
                DataType::Float64 => vec![0, 0, 0, 0, 0, 0, 0, 0x80],
                _ => vec![0; width],
            };
            let plain = prop::collection::vec(any::<u8>(), width);
            prop_oneof![1 => Just(Value::Bytes(special)), 4 => plain.prop_map(Value::Bytes)].boxed()
        }
    };
    if nulls == 0 { plain } else { prop_oneof![nulls => Just(Value::Null), 10 - nulls => plain].boxed() }
}

/// Some values of some storage type.
pub fn any_column(rows: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = (DataType, Vec<Value>)> {
    let rows = rows.into();
    (any_storage(), 0..4u32).prop_flat_map(move |(ty, nulls)| {
        let values = prop::collection::vec(any_value(&ty, nulls), rows.clone());
        (Just(ty), values)
    })
}

/// Where the junk under nulls comes from.
struct Junk(u64);

impl Junk {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    fn value(&mut self, ty: &DataType) -> Value {
        match ty {
            DataType::Boolean => Value::Bool(self.next().is_multiple_of(2)),
            DataType::Utf8 | DataType::Binary => Value::Bytes((0..self.next() % 4).map(|i| b'a' + i as u8).collect()),
            DataType::List(item) => Value::Many((0..self.next() % 3).map(|_| self.value(item.data_type())).collect()),
            DataType::FixedSizeList(item, n) => Value::Many((0..*n).map(|_| self.value(item.data_type())).collect()),
            DataType::Struct(fields) => Value::Many(fields.iter().map(|field| self.value(field.data_type())).collect()),
            other => Value::Bytes((0..fixed_width(other).unwrap()).map(|_| self.next() as u8).collect()),
        }
    }
}

/// The array of `values`; under its nulls stands junk, if `junk` is given, and before and after it too, cut off by a slice.
pub fn build(ty: &DataType, values: &[Value], junk: Option<u64>) -> ArrayRef {
    match junk {
        None => build_node(ty, values, &mut None),
        Some(seed) => {
            let mut junk = Junk(seed);
            let (before, after) = (junk.next() as usize % 12, junk.next() as usize % 3);
            let mut all: Vec<Value> = (0..before).map(|_| junk.value(ty)).collect();
            all.extend_from_slice(values);
            all.extend((0..after).map(|_| junk.value(ty)));
            build_node(ty, &all, &mut Some(junk)).slice(before, values.len())
        }
    }
}

fn build_node(ty: &DataType, values: &[Value], junk: &mut Option<Junk>) -> ArrayRef {
    let valid: Vec<bool> = values.iter().map(|value| *value != Value::Null).collect();
    let nulls = (!valid.iter().all(|x| *x)).then(|| NullBuffer::from(valid));
    let filled: Vec<Value> = values
        .iter()
        .map(|value| match (value, &mut *junk) {
            (Value::Null, Some(junk)) => junk.value(ty),
            (Value::Null, None) => zero(ty),
            (value, _) => value.clone(),
        })
        .collect();
    let many = || filled.iter().map(|value| if let Value::Many(items) = value { items.clone() } else { panic!("{value:?}") });
    let bytes = || filled.iter().map(|value| if let Value::Bytes(bytes) = value { bytes.clone() } else { panic!("{value:?}") });
    match ty {
        DataType::Boolean => Arc::new(BooleanArray::new(filled.iter().map(|value| *value == Value::Bool(true)).collect::<Vec<_>>().into(), nulls)),
        DataType::Utf8 => {
            let offsets = OffsetBuffer::from_lengths(bytes().map(|b| b.len()));
            Arc::new(StringArray::try_new(offsets, bytes().flatten().collect::<Vec<u8>>().into(), nulls).unwrap())
        }
        DataType::Binary => {
            let offsets = OffsetBuffer::from_lengths(bytes().map(|b| b.len()));
            Arc::new(BinaryArray::try_new(offsets, bytes().flatten().collect::<Vec<u8>>().into(), nulls).unwrap())
        }
        DataType::List(item) => {
            let offsets = OffsetBuffer::from_lengths(many().map(|items| items.len()));
            let items: Vec<Value> = many().flatten().collect();
            Arc::new(ListArray::try_new(item.clone(), offsets, build_node(item.data_type(), &items, junk), nulls).unwrap())
        }
        DataType::FixedSizeList(item, n) => {
            let items: Vec<Value> = many().flatten().collect();
            Arc::new(FixedSizeListArray::try_new(item.clone(), *n, build_node(item.data_type(), &items, junk), nulls).unwrap())
        }
        DataType::Struct(fields) => {
            let columns = (0..fields.len()).map(|i| {
                let column: Vec<Value> = many().map(|items| items[i].clone()).collect();
                build_node(fields[i].data_type(), &column, junk)
            });
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns.collect(), nulls, values.len()).unwrap())
        }
        other => {
            // Aligned, as Arrow wants it.
            let buffer = Buffer::from(bytes().flatten().collect::<Vec<u8>>().as_slice());
            make_array(ArrayData::builder(other.clone()).len(values.len()).add_buffer(buffer).nulls(nulls).build().unwrap())
        }
    }
}

fn zero(ty: &DataType) -> Value {
    match ty {
        DataType::Boolean => Value::Bool(false),
        DataType::Utf8 | DataType::Binary => Value::Bytes(vec![]),
        DataType::List(_) => Value::Many(vec![]),
        DataType::FixedSizeList(item, n) => Value::Many(vec![zero(item.data_type()); *n as usize]),
        DataType::Struct(fields) => Value::Many(fields.iter().map(|field| zero(field.data_type())).collect()),
        other => Value::Bytes(vec![0; fixed_width(other).unwrap()]),
    }
}

/// The values of an array, read one by one.
pub fn values_of(array: &dyn Array) -> Vec<Value> {
    let item = |row: usize| -> Value {
        if array.is_null(row) {
            return Value::Null;
        }
        match array.data_type() {
            DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
            DataType::Utf8 => Value::Bytes(array.as_string::<i32>().value(row).as_bytes().to_vec()),
            DataType::Binary => Value::Bytes(array.as_binary::<i32>().value(row).to_vec()),
            DataType::List(_) => Value::Many(values_of(array.as_list::<i32>().value(row).as_ref())),
            DataType::FixedSizeList(..) => Value::Many(values_of(array.as_fixed_size_list().value(row).as_ref())),
            DataType::Struct(_) => Value::Many(array.as_struct().columns().iter().map(|c| values_of(c.slice(row, 1).as_ref()).remove(0)).collect()),
            other => {
                let data = array.to_data();
                let width = fixed_width(other).unwrap();
                let start = (data.offset() + row) * width;
                Value::Bytes(data.buffers()[0][start..start + width].to_vec())
            }
        }
    };
    (0..array.len()).map(item).collect()
}

/// Section 5, word by word. Slots where `hidden` are below a null: empty, and counted as present.
fn naive(ty: &DataType, values: &[Value], align: usize) -> (Vec<u8>, Vec<u32>) {
    fn pad(out: &mut Vec<u8>, align: usize) {
        while !out.len().is_multiple_of(align) {
            out.push(0);
        }
    }
    fn bits(out: &mut Vec<u8>, align: usize, bits: &[bool]) {
        pad(out, align);
        let start = out.len();
        out.resize(start + bits.len().div_ceil(8), 0);
        bits.iter().enumerate().filter(|(_, bit)| **bit).for_each(|(i, _)| out[start + i / 8] |= 1 << (i % 8));
    }
    fn offsets(out: &mut Vec<u8>, align: usize, lengths: impl Iterator<Item = usize>) {
        pad(out, align);
        let mut end = 0u32;
        out.extend(end.to_le_bytes());
        for length in lengths {
            end += length as u32;
            out.extend(end.to_le_bytes());
        }
    }
    fn node(ty: &DataType, values: &[Value], align: usize, next: &mut u32, out: &mut Vec<u8>, validity: &mut Vec<u32>) {
        let number = *next;
        *next += 1;
        if values.contains(&Value::Null) {
            validity.push(number);
            bits(out, align, &values.iter().map(|v| *v != Value::Null).collect::<Vec<_>>());
        }
        let values: Vec<Value> = values.iter().map(|v| if *v == Value::Null { zero(ty) } else { v.clone() }).collect();
        let bytes = || values.iter().map(|v| if let Value::Bytes(b) = v { b.clone() } else { panic!() });
        let many = || values.iter().map(|v| if let Value::Many(m) = v { m.clone() } else { panic!() });
        match ty {
            DataType::Boolean => bits(out, align, &values.iter().map(|v| *v == Value::Bool(true)).collect::<Vec<_>>()),
            DataType::Utf8 | DataType::Binary => {
                offsets(out, align, bytes().map(|b| b.len()));
                pad(out, align);
                out.extend(bytes().flatten());
            }
            DataType::List(item) => {
                offsets(out, align, many().map(|m| m.len()));
                node(item.data_type(), &many().flatten().collect::<Vec<_>>(), align, next, out, validity);
            }
            DataType::FixedSizeList(item, _) => node(item.data_type(), &many().flatten().collect::<Vec<_>>(), align, next, out, validity),
            DataType::Struct(fields) => {
                for (i, field) in fields.iter().enumerate() {
                    node(field.data_type(), &many().map(|m| m[i].clone()).collect::<Vec<_>>(), align, next, out, validity);
                }
            }
            _ => {
                pad(out, align);
                out.extend(bytes().flatten());
            }
        }
    }
    let (mut out, mut validity) = (Vec::new(), Vec::new());
    node(ty, values, align, &mut 0, &mut out, &mut validity);
    (out, validity)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn bytes_are_the_pages_and_come_back((ty, values) in any_column(0..40), seed: u64, align in prop::sample::select(vec![1usize, 64])) {
        let tidy = build(&ty, &values, None);
        let messy = build(&ty, &values, Some(seed));
        prop_assert_eq!(values_of(&messy), values.clone());
        let (bytes, validity) = encode(&tidy, align).unwrap();
        prop_assert_eq!(&(bytes.clone(), validity.clone()), &naive(&ty, &values, align));
        prop_assert_eq!(&(bytes.clone(), validity.clone()), &encode(&messy, align).unwrap());
        let back = decode(&ty, values.len(), &validity, bytes.clone().into(), align).unwrap();
        back.to_data().validate_full().unwrap();
        prop_assert_eq!(values_of(&back), values);
        prop_assert_eq!((bytes, validity), encode(&back, align).unwrap());
        prop_assert_eq!(parse_storage(&storage_text(&ty)).unwrap(), ty);
    }

    #[test]
    fn parts_are_as_the_whole((ty, values) in any_column(1..40), seed: u64, cuts in prop::collection::vec(0..40usize, 0..4)) {
        let whole = encode(&build(&ty, &values, Some(seed)), 64).unwrap();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (values.len() + 1)).chain([0, values.len()]).collect();
        cuts.sort();
        let parts: Vec<ArrayRef> = cuts.windows(2).map(|pair| build(&ty, &values[pair[0]..pair[1]], Some(seed ^ pair[0] as u64))).collect();
        let segments = encode_segments(&parts).unwrap();
        let joined: Vec<u8> = segments.segments.iter().flat_map(|segment| segment.to_vec()).collect();
        prop_assert_eq!(segments.size, joined.len() as u64);
        prop_assert_eq!(&(joined, segments.validity), &whole);
        let parts = encode_parts(&parts, 64).unwrap();
        prop_assert_eq!((parts.bytes, parts.validity), whole);
    }

    #[test]
    fn damage_never_panics((ty, values) in any_column(0..20), at: prop::sample::Index, flip in 1u8.., rows in 0..50usize, cut: prop::sample::Index) {
        let (mut bytes, mut validity) = encode(&build(&ty, &values, None), 64).unwrap();
        let good = |array: Result<ArrayRef, FormatError>| array.is_ok_and(|array| array.to_data().validate_full().is_err());
        prop_assert!(!good(decode(&ty, rows, &validity, bytes.clone().into(), 64)));
        if !bytes.is_empty() {
            let shorter = bytes[..cut.index(bytes.len())].to_vec();
            prop_assert!(decode(&ty, values.len(), &validity, shorter.into(), 64).is_err());
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(!good(decode(&ty, values.len(), &validity, bytes.clone().into(), 64)));
        }
        validity.push(1000);
        prop_assert!(decode(&ty, values.len(), &validity, bytes.into(), 64).is_err());
    }
}

#[test]
fn claims_beyond_the_bytes_are_refused() {
    for text in ["int64", "text", "bool", "list<text>", "fixed_list<float32,1048576>", "struct<a: int8>"] {
        let ty = parse_storage(text).unwrap();
        for rows in [1 << 20, usize::MAX / 8, usize::MAX] {
            assert!(decode(&ty, rows, &[], vec![0u8; 64].into(), 64).is_err(), "{text} {rows}");
        }
    }
}

#[test]
fn aligned_buffers_are_shared() {
    let array: ArrayRef = Arc::new(arrow::array::Int64Array::from_iter_values(0..100));
    let buffer = Buffer::from(encode(&array, 64).unwrap().0.as_slice());
    let back = decode(&DataType::Int64, 100, &[], buffer.clone(), 64).unwrap();
    assert_eq!(back.to_data().buffers()[0].as_ptr(), buffer.as_ptr());
    // One byte further on it would not be aligned.
    let shifted = Buffer::from([&[0u8][..], buffer.as_slice()].concat().as_slice()).slice(1);
    assert_eq!(&decode(&DataType::Int64, 100, &[], shifted, 64).unwrap(), &array);
}

#[test]
fn fields_of_a_null_struct_are_null() {
    let inner = Fields::from(vec![child("n", DataType::Int64)]);
    let outer = Fields::from(vec![child("t", DataType::Utf8), child("s", DataType::Struct(inner.clone()))]);
    let numbers: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![1, 2, 3]));
    let structs: ArrayRef = Arc::new(StructArray::new(inner, vec![numbers], Some(vec![true, true, false].into())));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let array: ArrayRef = Arc::new(StructArray::new(outer, vec![text, structs], Some(vec![true, false, true].into())));
    let (bytes, validity) = encode(array.as_ref(), 1).unwrap();
    let read = decode(array.data_type(), 3, &validity, bytes.into(), 1).unwrap();
    let read = read.as_struct();
    let nulls = |array: &ArrayRef| (0..3).map(|i| array.is_null(i)).collect::<Vec<_>>();
    assert_eq!(nulls(read.column(0)), [false, true, false]);
    assert_eq!(nulls(read.column(1)), [false, true, true]);
    assert_eq!(nulls(read.column(1).as_struct().column(0)), [false, true, true]);
}

#[test]
fn other_layouts_are_brought_to_the_storage_types() {
    use arrow::compute::cast;
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("bb"), Some("a")]));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    for layout in [DataType::LargeUtf8, DataType::Utf8View, dictionary] {
        let other = cast(&text, &layout).unwrap();
        assert_eq!(&to_storage(&other, &DataType::Utf8).unwrap(), &text, "{layout}");
    }
    let lists = ListArray::from_iter_primitive::<arrow::datatypes::Int16Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let storage = DataType::List(child("item", DataType::Int16));
    let large: ArrayRef = cast(&lists, &DataType::LargeList(child("element", DataType::Int16))).unwrap();
    let lists: ArrayRef = Arc::new(lists);
    assert_eq!(values_of(&to_storage(&large, &storage).unwrap()), values_of(&lists));
    assert_eq!(to_storage(&large, &storage).unwrap().data_type(), &storage);
    // The field's name and that it may be null are the storage type's, not the source's.
    let fields = Fields::from(vec![arrow::datatypes::Field::new("other", DataType::LargeUtf8, false)]);
    let source: ArrayRef = Arc::new(StructArray::new(fields, vec![cast(&StringArray::from(vec!["x"]), &DataType::LargeUtf8).unwrap()], None));
    let wanted = DataType::Struct(Fields::from(vec![child("name", DataType::Utf8)]));
    assert_eq!(to_storage(&source, &wanted).unwrap().data_type(), &wanted);
    // No value changes: numbers do not become others.
    assert!(to_storage(&lists, &DataType::List(child("item", DataType::Int64))).is_err());
    assert!(to_storage(&text, &DataType::Binary).is_err());
    let nothing: ArrayRef = Arc::new(arrow::array::NullArray::new(3));
    assert_eq!(to_storage(&nothing, &DataType::Float64).unwrap().null_count(), 3);
}
