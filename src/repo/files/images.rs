//! A folder of images: its files whose names say so, in the folders below it too, in sorted order; hidden ones are passed over. Or images that were named
//! one by one, in that order.
//!
//! Columns: `path`, relative to the folder with `/` between its parts, and `image`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::builder::StringBuilder;

use super::attach::{Cells, MEDIA_BATCH_BYTES};
use super::error::{FileError, Misfit, Place, quote};
use super::reading::{Found, Guess, Part, Parts, Reader};
use super::source::Source;
use super::{LargeCell, OnError, ReadOptions, through};
use crate::base::Progress;
use crate::format::Type;

const ENDINGS: [&str; 12] = ["jpg", "jpeg", "jpe", "png", "gif", "webp", "bmp", "tif", "tiff", "avif", "heic", "heif"];
const DEPTH_MAX: usize = 64;

pub(super) struct Images {
    source: Arc<Source>,
    /// Relative names and places.
    files: Vec<(String, PathBuf)>,
    length: u64,
}

impl Images {
    pub fn open(source: Arc<Source>) -> Result<Images, FileError> {
        let mut files = source.images.clone();
        if files.is_empty() {
            walk(&source.path, "", 0, &is_image_name, &mut files)?;
            files.sort();
        }
        if files.is_empty() {
            return Err(source.bad(Place::File, "the folder has no images").with_hint("to import files of another format, name them: FOLDER/*"));
        }
        // Only for what progress tells: a file that cannot be looked at is told when it is read.
        let length = files.iter().filter_map(|(_, path)| std::fs::metadata(path).ok()).map(|file| file.len()).sum();
        Ok(Images { source, files, length })
    }
}

/// True for names that images have.
pub(super) fn is_image(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(is_image_name)
}

/// The files below a folder whose names are `wanted`, with their names relative to it.
pub(super) fn walk(folder: &Path, prefix: &str, depth: usize, wanted: &dyn Fn(&str) -> bool, files: &mut Vec<(String, PathBuf)>) -> Result<(), FileError> {
    let failed = |e| FileError::io(folder.display(), e);
    if depth > DEPTH_MAX {
        return Err(FileError::bad(folder.display(), Place::File, "folders are nested too deep"));
    }
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(FileError::bad(entry.path().display(), Place::File, "its name is not UTF-8, which a path column holds"));
        };
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        // Links to folders are not followed: they may lead in circles.
        if entry.file_type().map_err(failed)?.is_dir() {
            walk(&path, &format!("{prefix}{name}/"), depth + 1, wanted, files)?;
        } else if wanted(name) && path.is_file() {
            files.push((format!("{prefix}{name}"), path));
        }
    }
    Ok(())
}

fn is_image_name(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

impl Reader for Images {
    fn length(&self) -> Option<u64> {
        Some(self.length)
    }

    fn find(&self, _: &ReadOptions, _: &dyn Fn(&str) -> bool, _: &Arc<dyn Progress>) -> Result<Found, FileError> {
        let columns = vec![("path".to_owned(), Guess::Fixed(Type::TEXT)), ("image".to_owned(), Guess::Fixed(Type::Image))];
        Ok(Found { columns, open: false })
    }

    fn parts(&self, columns: &[(String, Type)], options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Box<dyn Parts>, FileError> {
        for (name, ty) in columns {
            let fits = match name.as_str() {
                "path" => *ty == Type::TEXT,
                _ => *ty == Type::Image || *ty == Type::BINARY,
            };
            if !fits {
                return Err(FileError::usage(format!("column '{name}' of a folder of images cannot be {ty}")));
            }
        }
        Ok(Box::new(ImageParts {
            source: self.source.clone(),
            files: self.files.clone(),
            next: 0,
            columns: columns.to_vec(),
            options: options.clone(),
            progress: progress.clone(),
            skipped: vec![],
        }))
    }
}

struct ImageParts {
    source: Arc<Source>,
    files: Vec<(String, PathBuf)>,
    next: usize,
    columns: Vec<(String, Type)>,
    options: ReadOptions,
    progress: Arc<dyn Progress>,
    skipped: Vec<(u64, String)>,
}

impl Parts for ImageParts {
    fn next(&mut self) -> Result<Option<Part>, FileError> {
        let batch_bytes = self.options.batch_bytes.min(MEDIA_BATCH_BYTES);
        let (mut paths, mut images) = (StringBuilder::new(), Cells::with_capacity(batch_bytes, &self.options));
        let (mut rows, mut large) = (0usize, Vec::new());
        let place = |name: &str| self.columns.iter().position(|(n, _)| n == name);
        let (path_at, image_at) = (place("path"), place("image"));
        let ty = image_at.and_then(|at| self.columns.get(at)).map_or(Type::Image, |(_, ty)| ty.clone());
        while rows < self.options.batch_rows && images.bytes() < batch_bytes {
            let Some((name, path)) = self.files.get(self.next) else { break };
            self.next += 1;
            let read = |place: PathBuf| Ok((images.load(&place, Some(&ty), self.options.large_bytes, self.options.check)?, place));
            match through(path.clone()).and_then(read) {
                Ok((loaded, place)) => {
                    self.progress.advance(loaded.length);
                    if loaded.large {
                        large.push(LargeCell { row: rows as u64, column: image_at.unwrap_or(0), source: place });
                    }
                }
                Err(why) => {
                    let row = self.next as u64;
                    if self.options.on_error == OnError::Stop {
                        return Err(Misfit { value: quote(name), why }
                            .at(&self.source.name, Place::Row(row), "image")
                            .with_hint("--on-error skip leaves such rows out, --on-error null their cells"));
                    }
                    self.skipped.push((row, format!("{} {why}", quote(name))));
                    if self.options.on_error == OnError::Skip {
                        continue;
                    }
                    images.null();
                }
            }
            paths.append_value(name);
            rows += 1;
            if self.progress.interrupted() {
                return Err(FileError::Interrupted);
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let images = images.finish().map_err(FileError::usage)?;
        let mut arrays: Vec<(Option<usize>, arrow::array::ArrayRef)> = vec![(path_at, Arc::new(paths.finish())), (image_at, Arc::new(images))];
        arrays.sort_by_key(|(at, _)| *at);
        let mut part = Part::new(arrays.into_iter().filter(|(at, _)| at.is_some()).map(|(_, array)| array).collect(), rows);
        part.large = large;
        Ok(Some(part))
    }

    fn skipped(&mut self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.skipped)
    }
}
