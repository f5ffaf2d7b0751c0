//! Pictures as a table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use dsv::format::Type;
use dsv::repo::{Repo, RepoError};
use dsv::table::write::RowWriter;

use crate::data;

/// Files that are read at a time.
const STEP: usize = 200;

/// A repository with these files in a table `pictures` of two columns, committed.
pub fn repository(dir: &Path, files: &[PathBuf]) -> Repo {
    let repo = Repo::init(dir, "main").expect("a repository");
    let columns = [("id".to_owned(), Type::Plain(DataType::Int64)), ("picture".to_owned(), Type::Image)];
    repo.create_table("pictures", &columns, &[], "create").expect("a table");
    let filled = repo.edit_table("pictures", "fill", |table| -> Result<_, RepoError> {
        let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
        for (at, part) in files.chunks(STEP).enumerate() {
            let read: Vec<Vec<u8>> = part.iter().map(|path| std::fs::read(path).expect("a file")).collect();
            let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((at * STEP..).take(part.len()).map(|id| id as i64)));
            let cells: ArrayRef = Arc::new(BinaryArray::from_iter_values(read));
            writer.push(&RecordBatch::try_from_iter([("id", ids), ("picture", cells)]).expect("columns of one length"), &[])?;
        }
        Ok(table.append(repo.objects(), writer.finish()?)?)
    });
    filled.expect("rows");
    data::commit(&repo);
    repo
}
