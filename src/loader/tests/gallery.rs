//! A table of pictures, numbers, texts and lists, and its samples as text.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, FixedSizeListArray, Float32Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field as ArrowField, Float32Type, Int32Type};

use crate::format::Type;
use crate::loader::*;
use crate::repo::{CommitOptions, Repo, RepoError};
use crate::table::write::RowWriter;

/// A picture of one colour and of some size.
pub fn picture(row: u64, (width, height): (u32, u32)) -> Vec<u8> {
    let colour = [row as u8, (row >> 8) as u8, (row * 7) as u8];
    let image = image::RgbImage::from_fn(width, height, |x, y| image::Rgb(if x == 0 && y == 0 { [1, 2, 3] } else { colour }));
    let mut file = std::io::Cursor::new(Vec::new());
    image.write_to(&mut file, image::ImageFormat::Png).unwrap();
    file.into_inner()
}

pub fn columns() -> Vec<(String, Type)> {
    let columns = [
        ("id", Type::INT64),
        ("picture", Type::Image),
        ("label", Type::Enum(vec!["cat".into(), "dog".into()])),
        ("caption", Type::TEXT),
        ("tags", Type::List(Box::new(Type::Plain(DataType::Int32)))),
        ("vector", Type::Embedding { dim: 3, half: false }),
        ("score", Type::Plain(DataType::Float32)),
    ];
    columns.into_iter().map(|(name, ty)| (name.to_owned(), ty)).collect()
}

/// A row of the table.
#[derive(Clone)]
pub struct Row {
    pub id: u64,
    pub picture: Option<Vec<u8>>,
    pub score: Option<f32>,
}

pub fn row(id: u64) -> Row {
    Row { id, picture: Some(picture(id, (6 + (id % 3) as u32, 5))), score: Some(id as f32 / 2.0) }
}

pub fn batch(rows: &[Row]) -> RecordBatch {
    let vectors = rows.iter().map(|row| Some([row.id as f32, 0.5, -1.0].map(Some)));
    let tags = rows.iter().map(|row| Some((0..row.id % 4).map(|tag| Some(tag as i32 + 10))));
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id as i64))),
        Arc::new(BinaryArray::from_iter(rows.iter().map(|row| row.picture.as_deref()))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| if row.id % 2 == 0 { "cat" } else { "dog" }))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| format!("picture {}", row.id)))),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(tags)),
        Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 3)),
        Arc::new(Float32Array::from_iter(rows.iter().map(|row| row.score))),
    ];
    let fields: Vec<ArrowField> = columns().iter().map(|(name, ty)| ty.field(name, true)).collect();
    let schema = arrow::datatypes::Schema::new(fields);
    let arrays = arrays.iter().zip(schema.fields()).map(|(array, field)| crate::table::scan::retype(array, field.data_type()).unwrap()).collect();
    RecordBatch::try_new(Arc::new(schema), arrays).unwrap()
}

/// A repository with a table `pictures` of these rows, committed.
pub fn made(dir: &Path, rows: &[Row]) -> Arc<Repo> {
    let repo = Arc::new(Repo::init(dir, "main").unwrap());
    repo.create_table("pictures", &columns(), &[], "create").unwrap();
    let filled = repo.edit_table("pictures", "fill", |table| -> Result<_, RepoError> {
        let mut writer = RowWriter::new(repo.objects(), &table, &columns())?;
        for rows in rows.chunks(100) {
            writer.push(&batch(rows), &[])?;
        }
        Ok(table.append(repo.objects(), writer.finish()?)?)
    });
    filled.unwrap();
    commit(&repo);
    repo
}

pub fn commit(repo: &Repo) {
    repo.commit(&CommitOptions { message: Some("a change".into()), ..Default::default() }).unwrap();
}

/// Small blocks and windows, so that there are many; pictures cut and turned at random.
pub fn options() -> Options {
    let fit = Fit::Random { area: (0.3, 1.0), ratio: (0.75, 1.5) };
    let images = Images { size: Some((4, 4)), fit, flip: true, ..Images::default() };
    let shape = Some(Shape { block_rows: 16, window_blocks: 4 });
    Options { batch: 12, seed: Some(5), epochs: 2, threads: 2, images: Some(images), shape, lists: Lists::Longest, ..Options::default() }
}

/// What a field has of one row, as text.
fn text(field: &Field, row: usize) -> String {
    match &field.data {
        Data::Tensor { values, shape, lengths } => {
            let n: usize = shape[1..].iter().product();
            // What is padded to depends on the batch.
            let n = lengths.as_ref().map_or((row * n, n), |lengths| (row * n, lengths[row]));
            format!("{:?}", values.slice(n.0, n.1))
        }
        Data::Lists { values, offsets } => format!("{:?}", values.slice(offsets[row], offsets[row + 1] - offsets[row])),
        Data::Text(texts) => texts.value(row).to_owned(),
        Data::Bytes(bytes) => format!("{:?}", bytes.value(row)),
    }
}

/// The samples of a batch, each with its epoch and all its fields.
pub fn samples_of(batch: &Batch) -> Vec<String> {
    let sample = |row: usize| {
        let fields: Vec<String> = batch.fields.iter().map(|field| format!("{} {}", field.name, text(field, row))).collect();
        format!("{} {}", batch.epoch, fields.join("; "))
    };
    (0..batch.valid).map(sample).collect()
}

/// All samples that loaders have together, those of the ranks of a step one after the other.
pub fn samples(loaders: Vec<Loader>) -> Vec<String> {
    let mut loaders = loaders;
    let mut all = Vec::new();
    loop {
        let batches: Vec<Batch> = loaders.iter_mut().filter_map(Iterator::next).map(Result::unwrap).collect();
        if batches.is_empty() {
            return all;
        }
        assert_eq!(batches.len(), loaders.len(), "ranks have equally many batches");
        all.extend(batches.iter().flat_map(samples_of));
    }
}

/// Numbers of a column, as they came.
pub fn numbers(batch: &Batch, column: &str) -> Vec<i64> {
    match &batch.field(column).unwrap().data {
        Data::Tensor { values, .. } => values.as_primitive::<arrow::datatypes::Int64Type>().values().to_vec(),
        other => panic!("{other:?}"),
    }
}
