//! Parquet files of other writers, against arrow-rs's own reader; and an encrypted one.

use std::fs::File;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::encryption::encrypt::FileEncryptionProperties;
use ::parquet::file::properties::WriterProperties;
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
        let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|c| c.value(row).to_string()).collect());
        }
    }
    rows
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
        let theirs = by_arrow(path);
        match (read(path), theirs) {
            (Ok((columns, rows)), Ok(theirs)) => {
                let ours = printed(&[rows.clone()]);
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
            (Err(error), _) => {
                let text = error.to_string();
                assert!(text.contains(&name) && !text.contains('\n'), "{text}");
                refused.push(format!("{name}: {text}"));
            }
            (Ok(_), Err(theirs)) => panic!("{name} was read, and arrow-rs says: {theirs}"),
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
