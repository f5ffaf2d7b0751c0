//! Files that must be refused: each in one line that names the file and the place, and nothing is left behind.

use super::several::{gzip, png};
use super::*;

fn refused(name: &str, bytes: impl AsRef<[u8]>, wants: &str) {
    let bytes = bytes.as_ref();
    match read_text(name, bytes) {
        Ok(table) => panic!("{name} was read as {}", types(&table)),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(name), "{text}");
            assert!(text.contains(wants), "{text}\nlacks: {wants}");
            assert!(!text.contains('\n') && text.len() < 600, "{text}");
        }
    }
}

#[test]
fn text_files() {
    refused("t.csv", "a,b\n1,2\n1,2,3\n", "line 3: has 3 fields, the first line has 2");
    refused("t.csv", "a,b\n\"x\ny\",2\n\n1\n", "line 5: has 1 field, the first line has 2");
    refused("t.csv", "a,b\n1,\"2\n3,4\n", "line 2: a quote is opened");
    refused("t.csv", "a,b\n1,\"2\"x\n", "line 2: text follows a closing quote");
    refused("t.csv", b"a,b\n1,2\n3,caf\xe9\n", "line 3: byte 0xe9 in field 2 is not UTF-8");
    refused("t.csv", b"a,b\n1,\xc3,\xa9\n", "line 2");
    refused("t.csv", b"\xff\xfea\0,\0b\0\n\0", "is UTF-16");
    refused("t.csv", "", "is empty");
    refused("t.csv", "a,b,a\n1,2,3\n", "two columns are named 'a'");
    refused("t.jsonl", "{\"a\": 1}\n{\"a\": }\n", "line 2: is not JSON");
    refused("t.jsonl", "{\"a\": 1}\n[1]\n", "line 2: holds a list");
    refused("t.jsonl", "{\"a\": 1, \"a\": 2}\n", "line 1: is not JSON: name 'a' stands twice");
    refused("t.jsonl", b"{\"a\": 1}\n{\"a\": \"\xe9\"}\n", "line 2: byte 0xe9 is not UTF-8");
    refused("t.json", "[{\"a\": 1},\n{\"a\": 2}", "line 2: the file ends inside of the array");
    refused("t.json", "[{\"a\": 1} {\"a\": 2}]", "expected ',' or ']'");
    refused("t.json", "[{\"a\": 1},]", "a value is missing");
    refused("t.json", "[{\"a\": 1}] x", "something follows");
    refused("t.json", "[{\"a\": \"x", "the file ends inside of a value");
    refused("t.json", "[}]", "not JSON");
    refused("t.json", "", "is empty");
    refused("t.json", "{\"a\": [1, 2]}", "is an object, not an array");
    refused("t.json", "[]", "no columns");
}

#[test]
fn torn_archives() {
    let text: String = std::iter::once("a,b\n".to_owned()).chain((0..5000).map(|i| format!("{i},{}\n", i * 7919 % 10_007))).collect();
    let packed = gzip(text.as_bytes());
    for length in [packed.len() - 1, packed.len() / 2, 12] {
        refused("t.csv.gz", &packed[..length], "gzip data end early");
    }
    let mut damaged = packed.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    // Lines may go wrong before the checksum does.
    refused("t.csv.gz", &damaged, "t.csv.gz");
    let packed = zstd::encode_all(text.as_bytes(), 3).unwrap();
    for length in [packed.len() - 1, packed.len() / 2, 12] {
        refused("t.csv.zst", &packed[..length], "zstd data end early");
    }
}

#[test]
fn torn_tables() {
    let folder = tempfile::tempdir().unwrap();
    let table = read_text("t.csv", "a,b\n1,x\n2,y\n").unwrap();
    for name in ["t.parquet", "t.arrow", "t.npy"] {
        let path = folder.path().join(name);
        let table = if name == "t.npy" { (table.0[..1].to_vec(), table.1.project(&[0]).unwrap()) } else { table.clone() };
        write_table(&path, &table).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for length in (0..bytes.len()).step_by(13).chain([bytes.len() - 1]) {
            refused(name, &bytes[..length], name);
        }
        // Whatever a flipped byte does, it does not panic; the process would end.
        for at in (0..bytes.len()).step_by(3) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x41;
            let _ = read_text(name, &damaged);
        }
    }
    refused("t.npy", b"\x93NUMPY\x01\0\x76\0{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", "npy");
}

#[test]
fn an_arrow_stream() {
    let table = read_text("t.csv", "a,b\n1,x\n2,y\n").unwrap();
    let mut bytes = Vec::new();
    let mut writer = arrow_ipc_stream(&mut bytes, &table);
    writer.write(&table.1).unwrap();
    writer.write(&table.1).unwrap();
    writer.finish().unwrap();
    drop(writer);
    assert_eq!(read_text("t.arrows", &bytes).unwrap().1.num_rows(), 4);
    assert_eq!(read_text("t.bin", &bytes).unwrap().1.num_rows(), 4);
    for length in (8..bytes.len() - 9).step_by(11) {
        refused("t.arrows", &bytes[..length], "t.arrows");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        let _ = read_text("t.arrows", &damaged);
    }
}

fn arrow_ipc_stream<'a>(bytes: &'a mut Vec<u8>, table: &Table) -> arrow::ipc::writer::StreamWriter<&'a mut Vec<u8>> {
    arrow::ipc::writer::StreamWriter::try_new(bytes, &table.1.schema()).unwrap()
}

#[test]
fn values_that_do_not_fit() {
    for (ty, text, wants) in [
        ("int8", "300", "'300' is not int8"),
        ("int64", "1.5", "'1.5' is not int64"),
        ("float32", "1e40", "'1e40' is not float32"),
        ("bool", "maybe", "'maybe' is not bool"),
        ("date", "2023-02-29", "'2023-02-29' is not date"),
        ("timestamp(s)", "2023-01-01 00:00:00.5", "is not timestamp(s)"),
        ("timestamp(us,UTC)", "2023-01-01 00:00:00", "is not timestamp(us,UTC)"),
        ("uuid", "123", "'123' is not uuid"),
        ("enum(a,b)", "c", "'c' is not a label"),
        ("json", "{a}", "'{a}' is not JSON"),
        ("list<int64>", "\"[1, 2.5]\"", "is not int64"),
        ("embedding(3)", "\"[1, 2]\"", "has 2 items, not the 3"),
        ("binary", "a!", "'a!' is not base64"),
        ("decimal(4,2)", "123.45", "'123.45' is not decimal(4,2)"),
    ] {
        let options = ReadOptions { types: vec![("b".to_owned(), ty.parse().unwrap())], ..ReadOptions::default() };
        let error = read_text_with("t.csv", format!("a,b\n1,\n2,{text}\n"), &options).unwrap_err().to_string();
        assert!(error.contains("t.csv, line 3, column 'b'") && error.contains(wants), "{ty}: {error}");
    }
    let options = ReadOptions { types: vec![("a".to_owned(), "struct<x: int8>".parse().unwrap())], ..ReadOptions::default() };
    let error = read_text_with("t.jsonl", "{\"a\": {\"x\": 1}}\n{\"a\": {\"x\": 1, \"y\": 2}}\n", &options).unwrap_err().to_string();
    assert!(error.contains("line 2, column 'a'") && error.contains("'y'"), "{error}");
    // Out of Parquet, too.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    write_table(&path, &read_text("t.csv", "a\n1\n70000\n").unwrap()).unwrap();
    let options = ReadOptions { types: vec![("a".to_owned(), "int16".parse().unwrap())], ..ReadOptions::default() };
    let error = read_all(&[&path], &options).unwrap_err().to_string();
    assert!(error.contains("t.parquet, row 2, column 'a': '70000' is not int16"), "{error}");
}

#[test]
fn what_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("t.csv");
    std::fs::write(&old, "old").unwrap();
    // The rows end in an error: the old file stays.
    let table = read_text("t.csv", "a\nx\n").unwrap();
    let mut batches = [Ok(table.1.clone()), Err("no more")].into_iter();
    let outcome = write(Target::Path(old.clone()), &table.0, &mut batches, &WriteOptions::default(), &quiet());
    assert!(matches!(outcome, Err(WriteError::Rows("no more"))));
    // A null of a lone text column.
    let lone = read_text("t.jsonl", "{\"a\": \"x\"}\n{\"a\": null}\n").unwrap();
    let error = write_table(&old, &lone).unwrap_err().to_string();
    assert!(error.contains("row 2") && error.contains("only column, 'a'"), "{error}");
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "old");
    assert_eq!(files_below(folder.path()), std::slice::from_ref(&old));
    // Numbers can stand alone.
    let numbers = read_text("t.jsonl", "{\"a\": 1}\n{\"a\": null}\n").unwrap();
    write_table(&old, &numbers).unwrap();
    assert_eq!(read(&old).unwrap().1, numbers.1);
    // Names that lead elsewhere.
    for bad in ["../x.png", "/x.png", "a/../../x.png", "a//b.png", "C:/x.png", "a\\b.png", ""] {
        let path = folder.path().join("out/");
        let rows = read_all(&[&picture_folder(folder.path())], &ReadOptions::default()).unwrap();
        let named =
            arrow::array::RecordBatch::try_new(rows.1.schema(), vec![Arc::new(arrow::array::StringArray::from(vec![bad])), rows.1.column(1).clone()]).unwrap();
        let error = write_table(&path, &(rows.0.clone(), named)).unwrap_err().to_string();
        assert!(error.contains("row 1"), "{bad}: {error}");
        assert!(!path.exists());
    }
    let unknown = write_table(&folder.path().join("t.xyz"), &table).unwrap_err();
    assert!(unknown.to_string().contains("does not tell its format"), "{unknown}");
    assert!(write_table(&folder.path().join("no/such/t.csv"), &table).is_err());
}

fn picture_folder(folder: &Path) -> PathBuf {
    let path = folder.join("pictures");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("a.png"), png(1)).unwrap();
    path
}
