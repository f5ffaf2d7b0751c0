//! Every type, through every format that holds it, to equal cells.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::DataType;
use proptest::prelude::*;

use super::*;

/// The types of docs/format.md, section 6.
const TYPES: &[&str] = &[
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "decimal(38,10)",
    "decimal(5,0)",
    "decimal256(76,20)",
    "text",
    "binary",
    "binary(3)",
    "date",
    "time(s)",
    "time(ms)",
    "time(us)",
    "time(ns)",
    "timestamp(s)",
    "timestamp(ms)",
    "timestamp(us)",
    "timestamp(ns)",
    "timestamp(us,UTC)",
    "timestamp(ns,Europe/Berlin)",
    "duration(s)",
    "duration(ms)",
    "duration(us)",
    "duration(ns)",
    "json",
    "uuid",
    "enum",
    "enum(\"a\",\"it's \"\"b\"\"\")",
    "list<int32>",
    "list<text>",
    "list<list<float64>>",
    "struct<a: int64, \"b c\": list<text>, d: struct<e: json>>",
    "map<text, float32>",
    "map<int64, text>",
    "embedding(3)",
    "embedding(2,float16)",
    "tensor(2x3,uint8)",
    "tensor(4,float64)",
    "image",
    "audio",
    "video",
];

/// Numbers from a seed, the same on every machine.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Extremes, small numbers and any bits.
    fn bits(&mut self) -> u64 {
        match self.below(6) {
            0 => 0,
            1 => u64::MAX,
            2 => i64::MIN as u64,
            3 => i64::MAX as u64,
            4 => self.below(300),
            _ => self.next(),
        }
    }

    fn text(&mut self) -> String {
        const WORDS: [&str; 16] =
            ["", " ", "a", "NA", "null", "NaN", "a,b", "\"", "\"\"", "line\nbreak", "\r\n", "tab\t", "é漢字😀", "\u{feff}x", "007", "\\u0000\u{1}"];
        (0..self.below(3)).map(|_| WORDS[self.below(16) as usize]).collect()
    }

    fn json(&mut self, depth: u32) -> serde_json::Value {
        match self.below(if depth > 2 { 4 } else { 6 }) {
            0 => serde_json::Value::Bool(true),
            1 => serde_json::json!(self.next() as i64),
            2 => serde_json::json!(f64::from_bits(self.next() >> 12)),
            3 => serde_json::Value::String(self.text()),
            4 => (0..self.below(3)).map(|_| self.json(depth + 1)).collect(),
            _ => serde_json::Value::Object((0..self.below(3)).map(|i| (format!("k{i}"), self.json(depth + 1))).collect()),
        }
    }

    fn nulls(&mut self, rows: usize) -> Option<NullBuffer> {
        (self.below(3) > 0).then(|| NullBuffer::from((0..rows).map(|_| self.below(4) > 0).collect::<Vec<_>>()))
    }
}

/// Cells of a type, of every odd kind, and not made by the code under test.
fn sample(ty: &Type, rows: usize, draw: &mut Draw, nulls: Option<NullBuffer>) -> ArrayRef {
    let target = ty.field("", true).data_type().clone();
    let fixed = |width: usize, bytes: Vec<u8>, nulls: Option<NullBuffer>| {
        assert_eq!(bytes.len(), rows * width);
        let data = ArrayData::builder(target.clone()).len(rows).add_buffer(Buffer::from(bytes)).nulls(nulls).align_buffers(true).build().unwrap();
        make_array(data)
    };
    match ty {
        Type::Json => {
            Arc::new(StringArray::from((0..rows).map(|i| nulls.as_ref().is_none_or(|n| n.is_valid(i)).then(|| draw.json(0).to_string())).collect::<Vec<_>>()))
        }
        Type::Enum(labels) => {
            let pick = |draw: &mut Draw| if labels.is_empty() { draw.text() } else { labels[draw.below(labels.len() as u64) as usize].clone() };
            Arc::new(StringArray::from((0..rows).map(|i| nulls.as_ref().is_none_or(|n| n.is_valid(i)).then(|| pick(draw))).collect::<Vec<_>>()))
        }
        Type::Plain(DataType::Utf8) => {
            Arc::new(StringArray::from((0..rows).map(|i| nulls.as_ref().is_none_or(|n| n.is_valid(i)).then(|| draw.text())).collect::<Vec<_>>()))
        }
        Type::Plain(DataType::Binary) | Type::Image | Type::Audio | Type::Video => {
            let cells: Vec<Option<Vec<u8>>> =
                (0..rows).map(|i| nulls.as_ref().is_none_or(|n| n.is_valid(i)).then(|| (0..draw.below(5)).map(|_| draw.next() as u8).collect())).collect();
            Arc::new(BinaryArray::from_iter(cells))
        }
        Type::Plain(DataType::Boolean) => Arc::new(BooleanArray::new((0..rows).map(|_| draw.below(2) == 0).collect(), nulls)),
        Type::Uuid | Type::Plain(DataType::FixedSizeBinary(_)) => {
            let width = if *ty == Type::Uuid { 16 } else { 3 };
            let bytes = (0..rows * width).map(|_| draw.next() as u8).collect();
            fixed(width, bytes, nulls)
        }
        Type::Plain(DataType::Decimal128(p, _)) => {
            let bound = 10i128.pow((*p).into());
            fixed(16, (0..rows).flat_map(|_| ((i128::from(draw.bits() as i64) << draw.below(60)) % bound).to_le_bytes()).collect(), nulls)
        }
        Type::Plain(DataType::Decimal256(..)) => {
            let cells = (0..rows).map(|_| arrow::datatypes::i256::from_i128(i128::from(draw.bits() as i64) << draw.below(60)));
            Arc::new(Decimal256Array::new(cells.collect(), nulls).with_data_type(target.clone()))
        }
        Type::Plain(DataType::Time32(unit)) => {
            let day = 86_400 * if *unit == arrow::datatypes::TimeUnit::Second { 1 } else { 1000 };
            fixed(4, (0..rows).flat_map(|_| (draw.below(day) as i32).to_le_bytes()).collect(), nulls)
        }
        Type::Plain(DataType::Time64(unit)) => {
            let day = 86_400 * if *unit == arrow::datatypes::TimeUnit::Microsecond { 1_000_000 } else { 1_000_000_000 };
            fixed(8, (0..rows).flat_map(|_| draw.below(day).to_le_bytes()).collect(), nulls)
        }
        Type::Plain(DataType::Float16) => {
            // Text knows one NaN.
            let cells = (0..rows).map(|_| half::f16::from_bits(draw.next() as u16)).map(|x| if x.is_nan() { half::f16::NAN } else { x });
            Arc::new(Float16Array::new(cells.collect(), nulls))
        }
        Type::Plain(DataType::Float32) => {
            let special = [f32::NAN, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, 1.0, 16_777_217.0, 0.1];
            let cells = (0..rows).map(|_| if draw.below(2) == 0 { special[draw.below(8) as usize] } else { f32::from_bits(draw.next() as u32) });
            let cells = cells.map(|x| if x.is_nan() { f32::NAN } else { x });
            Arc::new(Float32Array::new(cells.collect(), nulls))
        }
        Type::Plain(DataType::Float64) => {
            let special = [f64::NAN, -0.0, f64::INFINITY, f64::NEG_INFINITY, 5e-324, 1.0, 1e23, 0.1];
            let cells = (0..rows).map(|_| if draw.below(2) == 0 { special[draw.below(8) as usize] } else { f64::from_bits(draw.next()) });
            let cells = cells.map(|x| if x.is_nan() { f64::NAN } else { x });
            Arc::new(Float64Array::new(cells.collect(), nulls))
        }
        Type::Plain(plain) => {
            let width = plain.primitive_width().unwrap();
            fixed(width, (0..rows).flat_map(|_| draw.bits().to_le_bytes()[..width].to_vec()).collect(), nulls)
        }
        Type::Embedding { dim, half } => {
            let item = Type::Plain(if *half { DataType::Float16 } else { DataType::Float32 });
            vectors(&target, &item, *dim as usize, rows, draw, nulls)
        }
        Type::Tensor { shape, element } => vectors(&target, &Type::Plain(element.clone()), shape.iter().product::<u32>() as usize, rows, draw, nulls),
        Type::List(item) => {
            let lengths: Vec<usize> = (0..rows).map(|i| if nulls.as_ref().is_none_or(|n| n.is_valid(i)) { draw.below(4) as usize } else { 0 }).collect();
            let total = lengths.iter().sum();
            let item_nulls = draw.nulls(total);
            let items = sample(item, total, draw, item_nulls);
            let DataType::List(field) = target else { panic!() };
            Arc::new(ListArray::new(field, arrow::buffer::OffsetBuffer::from_lengths(lengths), items, nulls))
        }
        Type::Map(key, value) => {
            let DataType::List(field) = target else { panic!() };
            let DataType::Struct(fields) = field.data_type().clone() else { panic!() };
            let lengths: Vec<usize> = (0..rows).map(|i| if nulls.as_ref().is_none_or(|n| n.is_valid(i)) { draw.below(4) as usize } else { 0 }).collect();
            let total = lengths.iter().sum();
            let keys = sample(key, total, draw, None);
            let value_nulls = draw.nulls(total);
            let values = sample(value, total, draw, value_nulls);
            let entries = StructArray::new(fields, vec![keys, values], None);
            Arc::new(ListArray::new(field, arrow::buffer::OffsetBuffer::from_lengths(lengths), Arc::new(entries), nulls))
        }
        Type::Struct(children) => {
            let DataType::Struct(fields) = target else { panic!() };
            let columns = children.iter().map(|(_, t)| {
                // Nothing is hidden below a null.
                let own = draw.nulls(rows);
                let both = NullBuffer::union(own.as_ref(), nulls.as_ref());
                sample(t, rows, draw, both)
            });
            let columns = columns.collect();
            Arc::new(StructArray::try_new_with_length(fields, columns, nulls, rows).unwrap())
        }
    }
}

fn vectors(target: &DataType, item: &Type, size: usize, rows: usize, draw: &mut Draw, nulls: Option<NullBuffer>) -> ArrayRef {
    let DataType::FixedSizeList(field, width) = target.clone() else { panic!() };
    let hidden = nulls.as_ref().map(|n| NullBuffer::from((0..rows * size).map(|i| n.is_valid(i / size)).collect::<Vec<_>>()));
    let items = sample(item, rows * size, draw, hidden.filter(|n| n.null_count() > 0));
    Arc::new(FixedSizeListArray::new(field, width, items, nulls))
}

fn table(names: &[&str], rows: usize, seed: u64) -> Table {
    let mut draw = Draw(seed);
    // A first column that is never null: CSV keeps its lines, and tars their samples.
    let mut columns: Vec<(String, Type)> = vec![("n".to_owned(), Type::INT64)];
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(0..rows as i64))];
    for name in names {
        let ty: Type = name.parse().unwrap();
        let nulls = draw.nulls(rows);
        arrays.push(sample(&ty, rows, &mut draw, nulls));
        columns.push((format!("the {name}"), ty));
    }
    let fields: Vec<_> = columns.iter().map(|(name, ty)| ty.field(name, true)).collect();
    (columns, RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), arrays).unwrap())
}

/// Equal cells; where types are told, equal types too.
fn check(name: &str, table: &Table, told: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let written = write_table(&path, table).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(written.rows, table.1.num_rows() as u64);
    assert_eq!(written.bytes, std::fs::metadata(&path).unwrap().len());
    assert_eq!(files_below(folder.path()).len(), 1, "no temporary is left");
    let schema = (!told).then(|| table.0.clone());
    let options = ReadOptions { schema, batch_rows: 7, ..ReadOptions::default() };
    let (columns, rows) = read_all(&[&path], &options).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(columns, table.0, "{name}");
    for ((column, before), after) in columns.iter().zip(table.1.columns()).zip(rows.columns()) {
        assert_cells(name, column, before, after);
    }
}

/// Arrow's equality, which compares floats by their bits; JSON by what it says.
fn assert_cells(name: &str, column: &(String, Type), before: &ArrayRef, after: &ArrayRef) {
    if column.1.to_string().contains("json") && name.contains("json") || column.1.to_string().contains("e: json") {
        let print = |array: &ArrayRef, row: usize| {
            let mut out = String::new();
            print::json(&column.1, array, row, &mut out).unwrap();
            out
        };
        for row in 0..before.len() {
            assert_eq!(print(before, row), print(after, row), "{name}, {column:?}, row {row}");
        }
        return;
    }
    assert_eq!(before, after, "{name}, {column:?}");
}

#[test]
fn every_type_through_every_format_of_tables() {
    for (i, ty) in TYPES.iter().enumerate() {
        for name in ["t.parquet", "t.arrow", "t.parquet.zst"] {
            check(name, &table(&[ty], 40, i as u64), true);
        }
        for name in ["t.csv", "t.tsv.gz", "t.jsonl", "t.json.zst"] {
            check(name, &table(&[ty], 40, i as u64), false);
        }
    }
    let all = table(TYPES, 25, 99);
    check("t.parquet", &all, true);
    check("t.arrow.gz", &all, true);
    check("t.csv.zst", &all, false);
    check("t.jsonl.gz", &all, false);
}

#[test]
fn what_parquet_lacks() {
    for (i, ty) in ["decimal(4,-2)", "decimal256(50,-3)", "list<struct<>>"].iter().enumerate() {
        let table = table(&[ty], 30, i as u64);
        let folder = tempfile::tempdir().unwrap();
        let error = write_table(&folder.path().join("t.parquet"), &table).unwrap_err().to_string();
        assert!(error.contains(&format!("column 'the {ty}'")), "{error}");
        check("t.arrow", &table, true);
        check("t.csv", &table, false);
        check("t.jsonl", &table, false);
    }
}

#[test]
fn tables_without_rows() {
    let empty = table(&["text", "list<int32>", "embedding(3)"], 0, 1);
    check("t.parquet", &empty, true);
    check("t.arrow", &empty, true);
    check("t.csv", &empty, false);
    check("t.jsonl", &empty, false);
    check("t.json", &empty, false);
}

/// Bits of NaNs survive where there are bits.
#[test]
fn the_bits_of_nans() {
    let odd = f64::from_bits(0x7ff8_0000_dead_beef);
    let array: ArrayRef = Arc::new(Float64Array::from(vec![Some(odd), None, Some(-0.0)]));
    let columns = vec![("x".to_owned(), Type::FLOAT64)];
    let schema = Arc::new(arrow::datatypes::Schema::new(vec![Type::FLOAT64.field("x", true)]));
    let table = (columns, RecordBatch::try_new(schema, vec![array]).unwrap());
    check("t.parquet", &table, true);
    check("t.arrow", &table, true);
}

#[test]
fn npy_of_each_type_that_it_holds() {
    for (i, ty) in TYPES.iter().enumerate() {
        let ty: Type = ty.parse().unwrap();
        let rows = 30;
        let mut draw = Draw(i as u64);
        let array = sample(&ty, rows, &mut draw, None);
        let name = match ty {
            Type::Embedding { .. } => "embedding",
            Type::Tensor { .. } => "tensor",
            _ => "value",
        };
        // The smallest number is no time.
        if matches!(ty, Type::Plain(DataType::Timestamp(..) | DataType::Duration(_))) {
            continue;
        }
        let schema = Arc::new(arrow::datatypes::Schema::new(vec![ty.field(name, true)]));
        let table = (vec![(name.to_owned(), ty.clone())], RecordBatch::try_new(schema, vec![array]).unwrap());
        if npy::header(&ty, None).is_some() {
            check("t.npy", &table, true);
            check("t.npy.gz", &table, true);
        } else {
            let folder = tempfile::tempdir().unwrap();
            assert!(write_table(&folder.path().join("t.npy"), &table).is_err());
            assert!(files_below(folder.path()).is_empty());
        }
    }
    // Not a time is null.
    let stamps: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None, Some(-5)]));
    let ty: Type = "timestamp(us)".parse().unwrap();
    let schema = Arc::new(arrow::datatypes::Schema::new(vec![ty.field("value", true)]));
    check("t.npy", &(vec![("value".to_owned(), ty)], RecordBatch::try_new(schema, vec![stamps]).unwrap()), true);
}

#[test]
fn webdataset() {
    let names = ["text", "int64", "json", "list<int32>", "embedding(3)", "tensor(2x3,uint8)", "binary", "bool", "enum"];
    let mut table = table(&names, 20, 5);
    // Endings tell types as far as they can.
    let folder = tempfile::tempdir().unwrap();
    for ((name, _), new) in table.0.iter_mut().zip(["n", "caption", "label", "meta", "ids", "vector", "pixels", "blob", "flag", "mood"]) {
        *name = new.to_owned();
    }
    for path in ["t.tar", "t.tar.gz"] {
        let path = folder.path().join(path);
        write_table(&path, &table).unwrap();
        let schema: Vec<_> = std::iter::once(("__key__".to_owned(), Type::TEXT)).chain(table.0.clone()).collect();
        let options = ReadOptions { schema: Some(schema), batch_rows: 6, ..ReadOptions::default() };
        let (columns, rows) = read_all(&[&path], &options).unwrap();
        for ((column, before), after) in columns.iter().skip(1).zip(table.1.columns()).zip(rows.columns().iter().skip(1)) {
            assert_cells("json", column, before, after);
        }
        let found = read(&path).unwrap();
        let told = |name: &str| found.0.iter().find(|(n, _)| n == name).map(|(_, t)| t.to_string()).unwrap();
        for (name, ty) in [
            ("n", "int64"),
            ("caption", "text"),
            ("vector", "embedding(3)"),
            ("pixels", "tensor(2x3,uint8)"),
            ("blob", "binary"),
            ("flag", "bool"),
            ("ids", "list<int64>"),
        ] {
            assert_eq!(told(name), ty, "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_rows_through_text(seed: u64, rows in 0usize..40, a in 0..TYPES.len(), b in 0..TYPES.len()) {
        let table = table(&[TYPES[a], TYPES[b]], rows, seed);
        // Two columns of one type would have one name.
        prop_assume!(a != b);
        check("t.csv", &table, false);
        check("t.jsonl", &table, false);
        check("t.json", &table, false);
    }

    /// Texts come back as they were, whatever types they look like, if the column is said to be text; and by inference they come back as equal values.
    #[test]
    fn any_texts(cells in prop::collection::vec(("[ -~é\n\r\t\"',;]{0,12}", prop::option::of("[0-9+\\-.eE:T NaZ]{0,20}")), 1..20)) {
        let a: ArrayRef = Arc::new(StringArray::from_iter_values(cells.iter().map(|(a, _)| a)));
        let b: ArrayRef = Arc::new(StringArray::from_iter(cells.iter().map(|(_, b)| b.as_ref())));
        let columns = vec![("a".to_owned(), Type::TEXT), ("b".to_owned(), Type::TEXT)];
        let schema = Arc::new(arrow::datatypes::Schema::new(columns.iter().map(|(n, t)| t.field(n, true)).collect::<Vec<_>>()));
        let table = (columns, RecordBatch::try_new(schema, vec![a, b]).unwrap());
        check("t.csv", &table, false);
        check("t.tsv", &table, false);
        check("t.jsonl", &table, false);
    }
}
