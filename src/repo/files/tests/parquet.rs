//! Parquet files of other writers, against arrow-rs's own reader; and an encrypted one.

use std::fs::File;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::encryption::encrypt::FileEncryptionProperties;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{Array, ArrayData, make_array};
use arrow::datatypes::{DataType, Field};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;

/// Cells as arrow-rs prints them, or why its reader refuses the file.
fn by_arrow(path: &Path) -> Result<Vec<Vec<String>>, String> {
    guard::guarded(|| {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).map_err(|e| e.to_string())?.build().map_err(|e| e.to_string())?;
        let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        Ok(printed(&batches))
    })
    .unwrap_or_else(Err)
}

fn printed(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches {
        let options = FormatOptions::default().with_null("null");
        let columns: Vec<_> = batch.columns().iter().map(|c| make_array(zoneless(c.to_data()))).collect();
        let columns: Vec<_> = columns.iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|c| c.value(row).to_string()).collect());
        }
    }
    rows
}

/// Without time zones, whose names arrow-rs does not print: the instants stay.
fn zoneless(data: ArrayData) -> ArrayData {
    let children: Vec<ArrayData> = data.child_data().iter().cloned().map(zoneless).collect();
    let mut next = children.iter().map(|c| c.data_type().clone());
    let mut field = |f: &Field| Arc::new(f.clone().with_data_type(next.next().unwrap()));
    let ty = match data.data_type() {
        DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, None),
        DataType::List(f) => DataType::List(field(f)),
        DataType::LargeList(f) => DataType::LargeList(field(f)),
        DataType::FixedSizeList(f, n) => DataType::FixedSizeList(field(f), *n),
        DataType::Map(f, sorted) => DataType::Map(field(f), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|f| field(f)).collect()),
        other => other.clone(),
    };
    data.into_builder().data_type(ty).child_data(children).build().unwrap()
}

/// Maps print as `{k: v}` there and as lists of structs here.
fn plain(text: &str) -> String {
    text.replace("{key: ", "{").replace(", value: ", ": ").replace(['[', ']', '{', '}'], "")
}

#[test]
fn the_odd_files_of_parquet_testing() {
    let Some(data) = real_data() else { return };
    let (mut read_equal, mut refused) = (0, Vec::new());
    let mut files = files_below(&data.join("parquet-testing"));
    files.retain(|p| p.extension().is_some_and(|e| e == "parquet"));
    for path in &files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match read(path) {
            Ok((columns, rows)) => {
                let theirs = by_arrow(path).unwrap_or_else(|e| panic!("{name} was read, and arrow-rs says: {e}"));
                let ours = printed(std::slice::from_ref(&rows));
                assert_eq!(ours.len(), theirs.len(), "{name}");
                for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
                    for ((a, b), (column, _)) in a.iter().zip(b).zip(&columns) {
                        assert!(a == b || plain(a) == plain(b), "{name}, row {i}, {column}:\n{a}\n{b}");
                    }
                }
                // And written again, read again.
                let folder = tempfile::tempdir().unwrap();
                for to in ["t.parquet", "t.arrow"] {
                    let to = folder.path().join(to);
                    write_table(&to, &(columns.clone(), rows.clone())).unwrap_or_else(|e| panic!("{name}: {e}"));
                    let (again, cells) = read(&to).unwrap();
                    assert_eq!(again, columns, "{name}");
                    assert_eq!(printed(&[cells]), ours, "{name}");
                }
                let to = folder.path().join("t.jsonl");
                write_table(&to, &(columns.clone(), rows.clone())).unwrap_or_else(|e| panic!("{name}: {e}"));
                let options = ReadOptions { schema: Some(columns.clone()), ..ReadOptions::default() };
                let (_, cells) = read_all(&[&to], &options).unwrap_or_else(|e| panic!("{name}: {e}"));
                assert_eq!(printed(&[cells]), ours, "{name}");
                read_equal += 1;
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(&name) && !text.contains('\n'), "{text}");
                // Only what arrow-rs refuses too, but for the values of a gigabyte.
                assert!(name.starts_with("large_string_map") || by_arrow(path).is_err(), "{text}");
                refused.push(format!("{name}: {text}"));
            }
        }
    }
    for text in &refused {
        eprintln!("refused: {}", text.rsplit('/').next().unwrap());
    }
    assert!(read_equal >= 60, "{read_equal} of {}", files.len());
}

#[test]
fn an_encrypted_file() {
    let folder = tempfile::tempdir().unwrap();
    let table = read_text("t.csv", "a,b\n1,x\n2,y\n").unwrap();
    for plaintext_footer in [false, true] {
        let path = folder.path().join("t.parquet");
        let keys = FileEncryptionProperties::builder(b"0123456789abcdef".to_vec()).with_plaintext_footer(plaintext_footer).build().unwrap();
        let properties = WriterProperties::builder().with_file_encryption_properties(keys).build();
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), table.1.schema(), Some(properties)).unwrap();
        writer.write(&table.1).unwrap();
        writer.close().unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.to_string().contains("t.parquet") && error.to_string().contains("encrypted"), "{error}");
        assert!(error.hint().is_some());
    }
}
