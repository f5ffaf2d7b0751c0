//! The data that is measured: a table as training data has them, and pictures.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::*;
use dsv::format::mix::mix;
use dsv::repo::Repo;

/// A number that looks random and follows from `row` and `column`.
pub fn draw(row: u64, column: u64) -> u64 {
    mix(mix(row) ^ column)
}

/// Ten columns: keys, scores, labels, text, times, nulls.
pub fn rows(range: Range<u64>) -> RecordBatch {
    let labels = ["cat", "dog", "bird", "fish", "horse", "none"];
    let label = |n: u64| labels[n as usize % labels.len()];
    let text = |row: u64| format!("a picture of {} number {} beside {}", label(draw(row, 1)), draw(row, 2) % 5000, label(draw(row, 3)));
    let each = || range.clone();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(each().map(|row| row as i64)))),
        ("score", Arc::new(Float64Array::from_iter_values(each().map(|row| draw(row, 4) as f64 / u64::MAX as f64)))),
        ("weight", Arc::new(Float32Array::from_iter_values(each().map(|row| (draw(row, 5) % 1000) as f32 / 1000.0)))),
        ("user", Arc::new(Int32Array::from_iter_values(each().map(|row| (draw(row, 6) % 90_000) as i32)))),
        ("checked", Arc::new(BooleanArray::from_iter(each().map(|row| Some(draw(row, 7).is_multiple_of(3)))))),
        ("label", Arc::new(StringArray::from_iter_values(each().map(|row| label(draw(row, 8)))))),
        ("caption", Arc::new(StringArray::from_iter_values(each().map(text)))),
        ("at", Arc::new(Int64Array::from_iter_values(each().map(|row| 1_700_000_000_000 + row as i64 * 40 + (draw(row, 9) % 7) as i64)))),
        ("note", Arc::new(StringArray::from_iter(each().map(|row| draw(row, 10).is_multiple_of(20).then(|| format!("see {}", draw(row, 11) % 100)))))),
        ("width", Arc::new(Int16Array::from_iter_values(each().map(|row| 640 + 16 * (draw(row, 12) % 40) as i16)))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

pub fn commit(repo: &Repo) {
    repo.commit(&dsv::repo::CommitOptions { message: Some("a change".into()), ..Default::default() }).expect("a commit");
}

/// JPEG files of about `bytes` bytes in all, no two alike: real ones over and over, each with some bytes of its own after the mark of its end.
pub fn pictures(folder: &Path, bytes: u64) -> Vec<PathBuf> {
    let originals = originals();
    let (mut files, mut written) = (Vec::new(), 0);
    for (number, original) in (0u64..).zip(originals.iter().cycle()) {
        if written >= bytes {
            break;
        }
        let mut picture = original.clone();
        picture.extend_from_slice(&draw(number, 30).to_le_bytes());
        picture.extend_from_slice(&number.to_le_bytes());
        written += picture.len() as u64;
        let path = folder.join(format!("{number:07}.jpg"));
        fs::write(&path, &picture).expect("a picture");
        files.push(path);
    }
    files
}

fn originals() -> Vec<Vec<u8>> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "jpg" || e == "jpeg") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    if let Some(data) = std::env::var_os("DSV_TEST_DATA") {
        ["images-labelled-bccd", "images-captioned"].iter().for_each(|name| walk(&Path::new(&data).join(name), &mut paths));
    }
    paths.sort();
    let real: Vec<Vec<u8>> = paths.iter().filter_map(|path| fs::read(path).ok()).collect();
    if !real.is_empty() {
        return real;
    }
    println!("  DSV_TEST_DATA names no pictures: these are drawn");
    (0..64).map(drawn).collect()
}

fn drawn(number: u64) -> Vec<u8> {
    let image = image::RgbImage::from_fn(320, 240, |x, y| {
        let noise = draw(u64::from(x / 2) << 32 | u64::from(y / 2), number) as u8 / 4;
        image::Rgb([(x as u8).wrapping_add(noise), (y as u8).wrapping_add(noise), number as u8])
    });
    let mut out = std::io::Cursor::new(Vec::new());
    image.write_to(&mut out, image::ImageFormat::Jpeg).expect("a JPEG");
    out.into_inner()
}
