//! Several files in one import, options, media columns, folders.

use std::io::Write as _;

use arrow::array::Array;
use arrow::array::cast::AsArray;

use super::*;

fn put(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// A PNG of a few bytes, distinct for each size.
pub(super) fn png(width: u32) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(width, 2).write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

#[test]
fn csv_as_it_is_found() {
    let table = read_text("t.csv", "id,name,empty,quoted,when,ok\r\n1,a,,\"\",2024-01-31,true\r\n\r\n2,\"x,\"\"y\"\"\n\",,NA,1999-12-31,false\r\n,,,\"1\",,\n")
        .unwrap();
    assert_eq!(types(&table), "id: int64, name: text, empty: text, quoted: text, when: date, ok: bool");
    assert_eq!(
        lines(&table),
        [
            r#"{"id":1,"name":"a","empty":null,"quoted":"","when":"2024-01-31","ok":true}"#,
            r#"{"id":2,"name":"x,\"y\"\n","empty":null,"quoted":"NA","when":"1999-12-31","ok":false}"#,
            r#"{"id":null,"name":null,"empty":null,"quoted":"1","when":null,"ok":null}"#,
        ]
    );
}

#[test]
fn csv_variants() {
    for (text, want) in [
        ("\u{feff}a,b\n1,2", "a: int64, b: int64"),
        ("a;b\n1;2,5\n", "a: int64, b: text"),
        ("a\tb\n1\t2\n", "a: int64, b: int64"),
        ("a|b\n1|x\n", "a: int64, b: text"),
        ("a\n1\n\n2\n", "a: int64"),
        ("a,b\r1,2\r3,4\r", "a: int64, b: int64"),
        ("a,,c\n1,2,3\n", "a: int64, column_2: int64, c: int64"),
        ("a,b\n", "a: text, b: text"),
        ("a,b\n\"\",1\n5,2\n", "a: int64, b: int64"),
        ("a,b\n   \n1,2\n", "a: int64, b: int64"),
    ] {
        let table = read_text("t.csv", text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(types(&table), want, "{text:?}");
    }
    let keyed = ReadOptions { text_keys: vec!["k".to_owned()], ..ReadOptions::default() };
    let table = read_text_with("t.csv", "k,v\n,\nx,y\n", &keyed).unwrap();
    assert_eq!(lines(&table), [r#"{"k":"","v":null}"#, r#"{"k":"x","v":"y"}"#]);
    let nulls = ReadOptions { null_values: vec!["NA".to_owned()], header: false, delimiter: Some(b':'), ..ReadOptions::default() };
    let table = read_text_with("t.csv", "1:NA\nNA:\"NA\"\n", &nulls).unwrap();
    assert_eq!(lines(&table), [r#"{"column_1":1,"column_2":null}"#, r#"{"column_1":null,"column_2":"NA"}"#]);
}

#[test]
fn types_that_are_said() {
    let options = ReadOptions { types: vec![("a".to_owned(), Type::TEXT), ("b".to_owned(), "decimal(6,2)".parse().unwrap())], ..ReadOptions::default() };
    let table = read_text_with("t.csv", "a,b,c\n1,2.5,3\n", &options).unwrap();
    assert_eq!(types(&table), "a: text, b: decimal(6,2), c: int64");
    let error = read_text_with("t.csv", "a,b,c\n1,2.5,3\n4,2.555,6\n", &options).unwrap_err();
    assert!(error.to_string().ends_with("t.csv, line 3, column 'b': '2.555' is not decimal(6,2)"), "{error}");
    let named = ReadOptions { types: vec![("caption".to_owned(), Type::TEXT)], ..ReadOptions::default() };
    let error = read_text_with("t.csv", "x1234567,captoin,y1234567\n1,2.5,3\n", &named).unwrap_err();
    assert_eq!(error.to_string(), "there is no column 'caption' in the input");
    assert_eq!(error.hint(), Some("is it 'captoin'?"));
    let hints = ReadOptions { hints: options.types.clone(), types: vec![], ..ReadOptions::default() };
    assert_eq!(types(&read_text_with("t.csv", "a,c\n1,3\n", &hints).unwrap()), "a: text, c: int64");
}

#[test]
fn json_as_it_is_found() {
    let text = "{\"a\": 1, \"b\": {\"x\": [1.5, null]}}\n\n{\"b\": null, \"c\": \"é\"}\r\n{\"a\": 3, \"c\": null, \"b\": {\"x\": []}}";
    for name in ["t.jsonl", "t.json", "t.ndjson"] {
        let table = read_text(name, text).unwrap();
        assert_eq!(types(&table), "a: int64, b: struct<x: list<float64>>, c: text");
        assert_eq!(lines(&table), [r#"{"a":1,"b":{"x":[1.5,null]},"c":null}"#, r#"{"a":null,"b":null,"c":"é"}"#, r#"{"a":3,"b":{"x":[]},"c":null}"#]);
    }
    let document = r#" {"skip": [{"x": "]}"}, 1], "data": {"rows": [ {"a": 1} , {"a": 2}
        ], "after": {"b": "\"}"}}, "end": null} "#;
    let records = |path: &str| ReadOptions { records: Some(path.to_owned()), ..ReadOptions::default() };
    assert_eq!(lines(&read_text_with("t.json", document, &records("data.rows")).unwrap()), [r#"{"a":1}"#, r#"{"a":2}"#]);
    assert_eq!(lines(&read_text_with("t.json", document, &records("/data/rows")).unwrap()), [r#"{"a":1}"#, r#"{"a":2}"#]);
    let error = read_text_with("t.json", document, &records("rows")).unwrap_err();
    assert!(error.to_string().contains("no member 'rows'") && error.hint().unwrap().contains("skip, data, end"), "{error}: {:?}", error.hint());
    let error = read_text("t.json", document).unwrap_err();
    assert!(error.hint().unwrap().contains("--records"), "{error}");
}

#[test]
fn files_are_unified() {
    let folder = tempfile::tempdir().unwrap();
    let a = put(folder.path(), "a.csv", "x,y\n1,a\n");
    let b = put(folder.path(), "b.csv.gz", gzip(b"y,x\nb,2.5\n"));
    let c = put(folder.path(), "c.jsonl", "{\"x\": 3.5}\n{\"y\": \"d\"}\n");
    let table = read_all(&[&a, &b], &ReadOptions::default()).unwrap();
    assert_eq!(lines(&table), [r#"{"x":1.0,"y":"a"}"#, r#"{"x":2.5,"y":"b"}"#]);
    let table = read_all(&[&a, &b, &c], &ReadOptions::default()).unwrap();
    assert_eq!(lines(&table)[2..], [r#"{"x":3.5,"y":null}"#, r#"{"x":null,"y":"d"}"#]);
    // int64 and float64 have no common type that is exact; of JSON and text the values decide.
    let parquet = folder.path().join("p.parquet");
    write_table(&parquet, &read(&a).unwrap()).unwrap();
    let floats = folder.path().join("f.parquet");
    write_table(&floats, &read(&b).unwrap()).unwrap();
    let error = read_all(&[&parquet, &floats], &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("column 'x' is float64, but int64 in"), "{error}");
    let said = ReadOptions { types: vec![("x".to_owned(), Type::FLOAT64)], ..ReadOptions::default() };
    assert_eq!(types(&read_all(&[&parquet, &floats], &said).unwrap()), "x: float64, y: text");
    let d = put(folder.path(), "d.csv", "x\n1\n");
    let error = read_all(&[&a, &d], &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().ends_with("d.csv: has no column 'y', which ".to_owned().as_str()) || error.to_string().contains("has no column 'y'"), "{error}");
    assert!(read_all(&[&d, &a], &ReadOptions::default()).unwrap_err().to_string().contains("d.csv: has no column 'y'"));
}

#[test]
fn globs() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.csv", "a.csv", "c.txt", "[x].csv"] {
        put(folder.path(), name, "x\n1\n");
    }
    let name = |text: &str| folder.path().join(text).display().to_string();
    let found = inputs(&[name("?.csv"), "-".to_owned()]).unwrap();
    assert_eq!(found, [Input::Path(folder.path().join("a.csv")), Input::Path(folder.path().join("b.csv")), Input::Stdin]);
    assert_eq!(inputs(&[name("[x].csv")]).unwrap(), [Input::Path(folder.path().join("[x].csv"))]);
    assert!(inputs(&[name("*.parquet")]).unwrap_err().to_string().contains("no file matches"));
    assert!(inputs(&[]).is_err());
}

#[test]
fn members_and_frames() {
    let mut two = gzip(b"a,b\n1,2\n");
    two.extend(gzip(b"3,4\n"));
    assert_eq!(read_text("t.csv.gz", &two).unwrap().1.num_rows(), 2);
    // The magic decides, not the name.
    assert_eq!(read_text("t.csv", &two).unwrap().1.num_rows(), 2);
    assert_eq!(read_text("t.csv.gz", "a\n1\n").unwrap().1.num_rows(), 1);
    let mut frames = zstd::encode_all(&b"a,b\n1,2\n"[..], 1).unwrap();
    frames.extend(zstd::encode_all(&b"3,4\n"[..], 1).unwrap());
    assert_eq!(read_text("t.csv.zst", &frames).unwrap().1.num_rows(), 2);
}

#[test]
fn batches_are_bounded() {
    let text: String = std::iter::once("a,b\n".to_owned()).chain((0..1000).map(|i| format!("{i},{}\n", "x".repeat(100)))).collect();
    let folder = tempfile::tempdir().unwrap();
    let csv = put(folder.path(), "t.csv", text);
    let parquet = folder.path().join("t.parquet");
    let table = read(&csv).unwrap();
    write_table(&parquet, &table).unwrap();
    for path in [csv, parquet] {
        let options = ReadOptions { batch_rows: 300, batch_bytes: 10_000, ..ReadOptions::default() };
        let mut batches = open(&[Input::Path(path)], &options, &quiet()).unwrap();
        let (mut rows, mut most) = (0, 0);
        while let Some(batch) = batches.next().unwrap() {
            assert_eq!(batch.first_row, rows);
            rows += batch.rows.num_rows() as u64;
            most = most.max(batch.rows.num_rows());
        }
        assert_eq!(rows, 1000);
        assert!((50..130).contains(&most), "{most}");
    }
}

#[test]
fn a_folder_of_images() {
    let folder = tempfile::tempdir().unwrap();
    for (name, width) in [("b/2.png", 2), ("a.PNG", 1), ("b/1.jpg", 3), ("b/c/d.png", 4)] {
        put(folder.path(), name, png(width));
    }
    put(folder.path(), "notes.txt", "no picture");
    put(folder.path(), ".hidden.png", "no picture");
    let options = ReadOptions { batch_rows: 3, ..ReadOptions::default() };
    let table = read_all(&[folder.path()], &options).unwrap();
    assert_eq!(types(&table), "path: text, image: image");
    let paths: Vec<_> = table.1.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(paths, ["a.PNG", "b/1.jpg", "b/2.png", "b/c/d.png"]);
    assert_eq!(table.1.column(1).as_binary::<i32>().value(1), png(3));
    // And back.
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("images/");
    let written = write_table(&target, &table).unwrap();
    assert_eq!((written.rows, written.files), (4, 4));
    let back = read_all(&[&target], &options).unwrap();
    assert_eq!(back.1, table.1);
    assert!(matches!(write_table(&target, &table), Err(WriteError::File(FileError::Usage { .. }))), "a full folder is left alone");
    // A broken one.
    put(folder.path(), "b/0.png", &png(9)[..20]);
    let error = read_all(&[folder.path()], &options).unwrap_err();
    assert!(error.to_string().contains("row 2, column 'image': 'b/0.png' is broken"), "{error}");
    for (on_error, rows, nulls) in [(OnError::Skip, 4, 0), (OnError::Null, 5, 1)] {
        let options = ReadOptions { on_error, batch_rows: 2, ..ReadOptions::default() };
        let mut batches = open(&[Input::Path(folder.path().to_path_buf())], &options, &quiet()).unwrap();
        let mut found = (0, 0);
        while let Some(batch) = batches.next().unwrap() {
            found.0 += batch.rows.num_rows();
            found.1 += batch.rows.column(1).null_count();
        }
        assert_eq!(found, (rows, nulls));
        assert_eq!(batches.skipped().len(), 1);
        assert_eq!(batches.skipped()[0].row, 2);
    }
}

#[test]
fn a_column_of_paths() {
    let folder = tempfile::tempdir().unwrap();
    for width in 1..=4 {
        put(folder.path(), &format!("pictures/{width}.png"), png(width));
    }
    put(folder.path(), "pictures/torn.png", &png(5)[..30]);
    put(folder.path(), "pictures/large.bmp", {
        let mut out = std::io::Cursor::new(Vec::new());
        image::DynamicImage::new_rgb8(40, 40).write_to(&mut out, image::ImageFormat::Bmp).unwrap();
        out.into_inner()
    });
    let csv = put(folder.path(), "t.csv", "id,file\n1,pictures/1.png\n2,pictures/2.png\n3,\n4,pictures/large.bmp\n5,pictures/3.png\n");
    let options = ReadOptions { media: vec!["file".to_owned()], large_bytes: 1000, batch_bytes: 150, ..ReadOptions::default() };
    let mut batches = open(&[Input::Path(csv.clone())], &options, &quiet()).unwrap();
    assert_eq!(batches.columns()[1], ("file".to_owned(), Type::Image));
    let (mut rows, mut large, mut nulls) = (0u64, vec![], 0);
    while let Some(batch) = batches.next().unwrap() {
        assert_eq!(batch.first_row, rows);
        for cell in &batch.large {
            assert!(batch.rows.column(cell.column).is_null(cell.row as usize));
            large.push((rows + cell.row, cell.source.clone()));
        }
        nulls += batch.rows.column(1).null_count();
        rows += batch.rows.num_rows() as u64;
    }
    assert_eq!((rows, nulls), (5, 2));
    assert_eq!(large, [(3, folder.path().join("pictures/large.bmp"))]);

    let broken = put(folder.path(), "broken.csv", "id,file\n1,pictures/1.png\n2,pictures/torn.png\n3,pictures/none.png\n4,pictures/2.png\n");
    let error = open(&[Input::Path(broken.clone())], &options, &quiet()).err().map(|e| e.to_string());
    let error = error.unwrap_or_else(|| {
        let mut batches = open(&[Input::Path(broken.clone())], &options, &quiet()).unwrap();
        loop {
            match batches.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the torn file was taken"),
                Err(error) => break error.to_string(),
            }
        }
    });
    assert!(error.contains("broken.csv, row 3, column 'file': 'pictures/none.png' is not there") || error.contains("row 2"), "{error}");
    for (on_error, ids) in [(OnError::Skip, vec![1, 4]), (OnError::Null, vec![1, 2, 3, 4])] {
        let options = ReadOptions { on_error, media: vec!["file".to_owned()], ..ReadOptions::default() };
        let table = read_all(&[&broken], &options).unwrap();
        let found: Vec<i64> = table.1.column(0).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec();
        assert_eq!(found, ids);
        assert_eq!(table.1.column(1).null_count(), if on_error == OnError::Null { 2 } else { 0 });
    }
    let mixed = put(folder.path(), "mixed.csv", "id,file\n1,pictures/1.png\n2,clip.wav\n");
    put(folder.path(), "clip.wav", b"RIFF\x28\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x04\0\0\0\0\0\0\0");
    assert_eq!(types(&read_all(&[&mixed], &options).unwrap()), "id: int64, file: binary");
    let said = ReadOptions { types: vec![("file".to_owned(), Type::Image)], ..options.clone() };
    let error = read_all(&[&mixed], &said).unwrap_err();
    assert!(error.to_string().contains("row 2, column 'file': 'clip.wav' is audio, not image"), "{error}");
    let missing = ReadOptions { media: vec!["picture".to_owned()], ..ReadOptions::default() };
    assert!(read_all(&[&csv], &missing).unwrap_err().to_string().contains("no column 'picture'"));
}

#[test]
fn a_webdataset_as_others_write_it() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes).unwrap();
    };
    add("./train/0001.jpg", &png(1));
    add("./train/0001.cls", b"7");
    add("./train/0001.json", b"{\"a\": 1, \"b\": \"x\"}");
    add("./train/0001.seg.png", &png(2));
    add("./train/0002.jpg", &png(3));
    add("./train/0002.json", b"{\"b\": null, \"a\": 2}");
    add("./train/0002.txt", "é".as_bytes());
    add("./train/0002.cls", b"-1");
    add("README", b"no sample's");
    let bytes = tar.into_inner().unwrap();
    let table = read_text("t.tar", &bytes).unwrap();
    assert_eq!(types(&table), "__key__: text, jpg: image, cls: int64, json: struct<a: int64, b: text>, seg: image, txt: text");
    assert_eq!(table.1.num_rows(), 2);
    assert_eq!(table.1.column(0).as_string::<i32>().value(1), "train/0002");
    assert!(table.1.column(4).is_null(1) && table.1.column(5).is_null(0));
    // Back to a tar of the same content.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("u.tar");
    write_table(&path, &table).unwrap();
    assert_eq!(read(&path).unwrap(), table);
    // Cut short.
    let error = read_text("t.tar", &bytes[..1500]).unwrap_err();
    assert!(error.to_string().contains("cut short"), "{error}");
    // Large cells are spooled, and gone with their batch.
    let path = put(folder.path(), "v.tar", &bytes);
    let options = ReadOptions { large_bytes: 10, spool_folder: Some(folder.path().join("spool")), ..ReadOptions::default() };
    std::fs::create_dir(folder.path().join("spool")).unwrap();
    let mut batches = open(&[Input::Path(path)], &options, &quiet()).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert_eq!(batch.large.len(), 3);
    assert_eq!(std::fs::read(&batch.large[0].source).unwrap(), png(1));
    drop(batch);
    assert!(batches.next().unwrap().is_none());
    assert!(files_below(&folder.path().join("spool")).is_empty());
}

#[test]
fn interrupted() {
    struct Stop;
    impl Progress for Stop {
        fn start(&self, _: &str, _: Option<u64>, _: crate::base::progress::Unit) {}
        fn advance(&self, _: u64) {}
        fn finish(&self) {}
        fn interrupted(&self) -> bool {
            true
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let csv = put(folder.path(), "t.csv", "a\n1\n");
    let stop: Arc<dyn Progress> = Arc::new(Stop);
    assert!(matches!(open(&[Input::Path(csv)], &ReadOptions::default(), &stop), Err(FileError::Interrupted)));
}
