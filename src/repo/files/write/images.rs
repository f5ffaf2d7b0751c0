//! A folder of the files that a column of images (or of sounds or videos) holds, named by a column of paths where there is one. Other columns are kept in
//! `rows.jsonl` beside them, in which the column of images holds the files' names: `--media` brings the same table back.
//!
//! The folder is made whole beside its place and renamed. One that is there already must be empty.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::builder::StringBuilder;
use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

use super::super::error::{FileError, Place, quote};
use super::super::{Compression, media};
use super::json::Json;
use super::target::{Output, folder_of};
use super::{Sink, Target, Written};
use crate::format::Type;

/// The file of the other columns.
const ROWS: &str = "rows.jsonl";

/// Columns that name the files, the first of these that is there.
const NAMES: [&str; 7] = ["path", "file", "filename", "file_name", "image_path", "name", "__key__"];

pub(super) struct Images {
    target: PathBuf,
    folder: TempFolder,
    media: usize,
    names: Option<usize>,
    taken: HashSet<PathBuf>,
    rows: u64,
    written: Written,
    /// Where there are columns besides files and their names.
    table: Option<Json>,
}

/// A folder that goes with its handle, unless it was renamed to stay.
struct TempFolder(Option<PathBuf>);

impl Drop for TempFolder {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

impl Images {
    pub fn open(target: PathBuf, columns: &[(String, Type)]) -> Result<Images, FileError> {
        let image = columns.iter().position(|(_, ty)| *ty == Type::Image).or_else(|| columns.iter().position(|(_, ty)| ty.is_media()));
        let media = image.or_else(|| columns.iter().position(|(_, ty)| *ty == Type::BINARY));
        let media = media.ok_or_else(|| {
            FileError::usage("there is no column of images to write").with_hint("to write other columns, name a file: rows.parquet, rows.csv, ...")
        })?;
        let names = NAMES.iter().find_map(|name| columns.iter().position(|(n, ty)| n == name && *ty == Type::TEXT));
        let failed = |e| FileError::io(target.display(), e);
        match std::fs::read_dir(&target) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(FileError::usage(format!("the folder {} is not empty", target.display())).with_hint("name a new folder, or remove this one"));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        // `a/b/` has a name too.
        let target: PathBuf = target.components().collect();
        let base = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let beside = folder_of(&target).join(format!(".{base}.dsv-{:x}-{now:x}", std::process::id()));
        std::fs::create_dir(&beside).map_err(failed)?;
        let folder = TempFolder(Some(beside.clone()));
        let mut taken = HashSet::new();
        let table = if (0..columns.len()).all(|i| i == media || Some(i) == names) {
            None
        } else {
            taken.insert(PathBuf::from(ROWS));
            let mut columns = columns.to_vec();
            if let Some((_, ty)) = columns.get_mut(media) {
                *ty = Type::TEXT;
            }
            Some(Json::open(Output::create(Target::Path(beside.join(ROWS)), Compression::Plain)?, &columns, true))
        };
        let written = Written { rows: 0, files: 0, bytes: 0 };
        Ok(Images { target, folder, media, names, taken, rows: 0, written, table })
    }
}

/// The parts of a relative path that stays where it is put; what is wrong with it otherwise.
pub(super) fn safe_path(name: &str) -> Result<PathBuf, &'static str> {
    if name.is_empty() || name.len() > 4000 {
        return Err("is not a file name");
    }
    if name.starts_with('/') || name.contains(['\\', '\0']) || name.split('/').next().is_some_and(|first| first.len() == 2 && first.ends_with(':')) {
        return Err("is not a relative path");
    }
    let mut path = PathBuf::new();
    for part in name.split('/') {
        match part {
            ".." => return Err("leads out of the folder"),
            "." => {}
            "" => return Err("has an empty part"),
            part => path.push(part),
        }
    }
    if path.as_os_str().is_empty() { Err("is not a file name") } else { Ok(path) }
}

impl Sink for Images {
    fn batch(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(), FileError> {
        let Some(folder) = self.folder.0.clone() else { return Err(FileError::usage("the folder is complete")) };
        let Some(cells) = columns.get(self.media).filter(|c| *c.data_type() == DataType::Binary).map(|c| c.as_binary::<i32>()) else {
            return Err(FileError::usage("the column of images holds no files"));
        };
        let names = self.names.and_then(|at| columns.get(at)).and_then(|c| c.as_string_opt::<i32>());
        let mut paths = StringBuilder::new();
        for row in 0..rows {
            self.rows += 1;
            if cells.is_null(row) {
                paths.append_null();
                continue;
            }
            let bytes = cells.value(row);
            let bad = |name: &str, what: &str| FileError::bad(self.target.display(), Place::Row(self.rows), format!("{} {what}", quote(name)));
            let ending = media::sniff(bytes).map_or("bin", |m| m.extension);
            let path = match names.filter(|n| n.is_valid(row)).map(|n| n.value(row)) {
                Some(name) => {
                    let mut path = safe_path(name).map_err(|what| bad(name, what))?;
                    if path.extension().is_none() {
                        path.set_extension(ending);
                    }
                    path
                }
                None => PathBuf::from(format!("{:08}.{ending}", self.rows)),
            };
            if !self.taken.insert(path.clone()) {
                return Err(bad(&path.display().to_string(), "is the name of two rows"));
            }
            let place = folder.join(&path);
            let failed = |e| FileError::io(self.target.join(&path).display(), e);
            if let Some(parent) = path.parent().filter(|p| *p != Path::new("")) {
                std::fs::create_dir_all(folder.join(parent)).map_err(failed)?;
            }
            std::fs::write(&place, bytes).map_err(failed)?;
            self.written.files += 1;
            self.written.bytes += bytes.len() as u64;
            // A name is UTF-8, and so is every path made of it.
            paths.append_value(path.to_string_lossy());
        }
        if let Some(table) = &mut self.table {
            let mut columns = columns.to_vec();
            if let Some(column) = columns.get_mut(self.media) {
                *column = Arc::new(paths.finish());
            }
            table.batch(&columns, rows)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Written, FileError> {
        if let Some(table) = self.table.take() {
            let table = Box::new(table).finish()?;
            self.written.files += 1;
            self.written.bytes += table.bytes;
        }
        if let Some(folder) = &self.folder.0 {
            // An empty folder gives way.
            std::fs::rename(folder, &self.target).map_err(|e| FileError::io(self.target.display(), e))?;
        }
        self.folder.0 = None;
        Ok(self.written)
    }
}
