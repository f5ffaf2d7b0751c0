//! Columns of paths turned into the bytes of the files that they name.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, BinaryArray, RecordBatch};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;

use super::conform::keep;
use super::error::{FileError, Misfit, Place, quote};
use super::media::{self, Check, MediaKind};
use super::reading::Files;
use super::source::Source;
use super::{Batch, Batches, LargeCell, OnError, ReadOptions, Skipped, through};
use crate::base::Progress;
use crate::base::progress::{Muted, Unit};
use crate::format::Type;

/// A longer file is judged by its start: it would not fit in memory.
const WHOLE_MAX: u64 = 64 << 20;
/// Batches of files are cut at so many bytes. Larger ones are handed back to the system each time they are freed, and their pages cleared anew.
pub(super) const MEDIA_BATCH_BYTES: usize = 8 << 20;

/// A media file that was read, or is too large to be.
pub(super) struct Loaded {
    /// True if it is larger than the limit.
    pub large: bool,
    pub length: u64,
}

/// Files' bytes one after the other: each is read to where it stands in the array, and copied no more.
#[derive(Default)]
pub(super) struct Cells {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    valid: Vec<bool>,
}

impl Cells {
    /// A builder with room for a batch of so many bytes, and for the file that passes them.
    pub fn with_capacity(bytes: usize, options: &ReadOptions) -> Cells {
        let last = usize::try_from(options.large_bytes).unwrap_or(usize::MAX).min(MEDIA_BATCH_BYTES);
        Cells { bytes: Vec::with_capacity(bytes.saturating_add(last)), ..Cells::default() }
    }

    /// Reads a file as the next cell, null if it is large. After an error there is no cell.
    pub fn load(&mut self, path: &Path, ty: Option<&Type>, large_bytes: u64, how: Check) -> Result<Loaded, String> {
        let start = self.bytes.len();
        let loaded = load(path, ty, large_bytes, how, &mut self.bytes);
        if loaded.as_ref().map_or(true, |loaded| loaded.large) {
            self.bytes.truncate(start);
        }
        if let Ok(loaded) = &loaded {
            self.end(!loaded.large);
        }
        loaded
    }

    /// Adds bytes as the next cell.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.end(true);
    }

    /// Adds a null.
    pub fn null(&mut self) {
        self.end(false);
    }

    /// Takes back cells beyond the first so many.
    pub fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.valid.truncate(rows);
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    fn end(&mut self, valid: bool) {
        self.ends.push(self.bytes.len());
        self.valid.push(valid);
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn finish(self) -> Result<BinaryArray, ArrowError> {
        let ends = self.ends.iter().map(|end| i32::try_from(*end).map_err(|_| ArrowError::OffsetOverflowError(*end)));
        let offsets = std::iter::once(Ok(0)).chain(ends).collect::<Result<Vec<i32>, _>>()?;
        let nulls = NullBuffer::from(self.valid);
        BinaryArray::try_new(OffsetBuffer::new(offsets.into()), self.bytes.into(), Some(nulls).filter(|nulls| nulls.null_count() > 0))
    }
}

/// Reads a media file behind what `bytes` holds, and checks that it is whole and of the kind that `ty` wants. A file for a column of plain binary is
/// not looked at. Of a large file, and after an error, what was added is of no use.
fn load(path: &Path, ty: Option<&Type>, large_bytes: u64, how: Check, bytes: &mut Vec<u8>) -> Result<Loaded, String> {
    let file = File::open(path).map_err(|e| reason(&e))?;
    let metadata = file.metadata().map_err(|e| reason(&e))?;
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    let length = metadata.len();
    let any = ty == Some(&Type::BINARY);
    let large = length > large_bytes;
    let wanted = if large && any { 0 } else { WHOLE_MAX };
    // A large one is only looked at: the room it takes would stay with the batch.
    let mut aside = Vec::new();
    let bytes = if large { &mut aside } else { bytes };
    let start = bytes.len();
    read_to(file, wanted.min(length), bytes).map_err(|e| reason(&e))?;
    let bytes = bytes.get(start..).unwrap_or_default();
    let kind = if any {
        MediaKind::Image
    } else if length > WHOLE_MAX {
        media::sniff(bytes).ok_or("is not an image, audio or video file of a known kind")?.kind
    } else {
        media::check(bytes, how).map_err(|e| format!("is broken: {e}"))?.kind
    };
    // Whether an MP4 has pictures can stand at its very end.
    if let Some(ty) = ty.filter(|ty| ty.is_media() && kind.column_type() != **ty)
        && (*ty == Type::Image || kind == MediaKind::Image)
    {
        return Err(format!("is {}, not {ty}", kind.column_type()));
    }
    Ok(Loaded { large, length })
}

/// Adds the first `wanted` bytes of a file to `bytes`: room is made once, and one call of the system reads them all.
fn read_to(mut file: File, wanted: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut at = bytes.len();
    bytes.resize(at + usize::try_from(wanted).map_err(io::Error::other)?, 0);
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            // It was cut while it was read.
            Ok(0) => break,
            Ok(n) => at += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(at);
    Ok(())
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "is not there".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

struct Column {
    at: usize,
    name: String,
    ty: Type,
}

pub(super) struct Attached {
    inner: Files,
    columns: Vec<(String, Type)>,
    schema: SchemaRef,
    media: Vec<Column>,
    folders: Vec<(String, PathBuf)>,
    options: ReadOptions,
    /// What is left of the last batch, and the row to go on from.
    waiting: Option<(Batch, usize)>,
    skipped: Vec<Skipped>,
    /// Rows left out so far, by file.
    left_out: HashMap<usize, u64>,
    progress: Arc<dyn Progress>,
    /// Rows of the sources, once they were counted.
    rows: Option<u64>,
    started: bool,
}

impl Attached {
    /// Opens the sources and finds what kinds of media the columns name.
    pub fn open(sources: Vec<Arc<Source>>, options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Attached, FileError> {
        let is_media = |name: &str| options.media.iter().any(|m| m == name);
        let mut said: HashMap<String, Type> = HashMap::new();
        for (name, ty) in options.hints.iter().chain(&options.types).chain(options.schema.iter().flatten()).filter(|(name, _)| is_media(name)) {
            if !ty.is_media() && *ty != Type::BINARY {
                return Err(FileError::usage(format!("column '{name}' is to hold files, so it cannot be {ty}"))
                    .with_hint("its type can be image, audio, video or binary"));
            }
            said.insert(name.clone(), ty.clone());
        }
        // Inside, the columns are the paths.
        let mut inner_options = options.clone();
        inner_options.media = vec![];
        for list in [&mut inner_options.types, &mut inner_options.hints] {
            list.retain(|(name, _)| !is_media(name));
        }
        inner_options.types.extend(options.media.iter().map(|name| (name.clone(), Type::TEXT)));
        for (name, ty) in inner_options.schema.iter_mut().flatten() {
            if is_media(name) {
                *ty = Type::TEXT;
            }
        }
        // The sources are small beside the files that they name: rows are what takes time.
        let inner = Files::open(sources, &inner_options, progress)?.muted();
        let folders: Vec<_> = inner.sources().map(|s| (s.name.clone(), s.folder.clone())).collect();
        let mut attached = Attached {
            columns: inner.columns().to_vec(),
            schema: Arc::new(Schema::empty()),
            media: vec![],
            folders,
            options: options.clone(),
            waiting: None,
            skipped: vec![],
            left_out: HashMap::new(),
            progress: progress.clone(),
            rows: None,
            started: false,
            inner,
        };
        for name in &options.media {
            let Some(at) = attached.columns.iter().position(|(n, _)| n == name) else {
                return Err(FileError::usage(format!("there is no column '{name}' in the input")));
            };
            let ty = said.get(name).cloned().unwrap_or(Type::TEXT);
            attached.media.push(Column { at, name: name.clone(), ty });
        }
        if attached.media.iter().any(|column| column.ty == Type::TEXT) {
            let sources = attached.inner.sources().cloned().collect();
            let muted: Arc<dyn Progress> = Arc::new(Muted(progress.clone()));
            progress.start("looking at the files", None, Unit::Objects);
            let outcome = Files::open(sources, &inner_options, &muted).and_then(|rows| attached.sniff(rows));
            progress.finish();
            outcome?;
        }
        for column in &attached.media {
            if let Some((_, ty)) = attached.columns.get_mut(column.at) {
                *ty = column.ty.clone();
            }
        }
        attached.schema = Arc::new(Schema::new(attached.columns.iter().map(|(name, ty)| ty.field(name, true)).collect::<Vec<_>>()));
        Ok(attached)
    }

    fn find(&self, file: usize, path: &str) -> PathBuf {
        let beside = self.folders.get(file).map(|(_, folder)| folder.join(path));
        beside.filter(|p| p.exists()).unwrap_or_else(|| PathBuf::from(path))
    }

    /// The type of a column is that of all its files, or binary if they are of several kinds.
    fn sniff(&mut self, mut rows: Files) -> Result<(), FileError> {
        let mut kinds: Vec<Option<Type>> = self.media.iter().map(|_| None).collect();
        let mut count = 0;
        while let Some(batch) = rows.next()? {
            count += batch.rows.num_rows() as u64;
            for (column, kind) in self.media.iter().zip(&mut kinds) {
                if column.ty != Type::TEXT || *kind == Some(Type::BINARY) {
                    continue;
                }
                let Some(paths) = batch.rows.columns().get(column.at).and_then(|c| c.as_string_opt::<i32>()) else { continue };
                for (row, path) in paths.iter().enumerate() {
                    let Some(path) = path.filter(|p| !p.is_empty()) else { continue };
                    self.progress.advance(1);
                    if self.progress.interrupted() {
                        return Err(FileError::Interrupted);
                    }
                    let mut start = Vec::new();
                    let open = |place| File::open(place).and_then(|f| f.take(1 << 16).read_to_end(&mut start)).map_err(|e| reason(&e));
                    let media = match through(self.find(batch.file, path)).and_then(open) {
                        Ok(_) => media::sniff(&start).ok_or("is not an image, audio or video file of a known kind".to_owned()),
                        Err(why) => Err(why),
                    };
                    match media {
                        Ok(media) => {
                            let ty = media.kind.column_type();
                            *kind = match kind.take() {
                                Some(other) if other != ty => Some(Type::BINARY),
                                _ => Some(ty),
                            };
                        }
                        Err(why) if self.options.on_error == OnError::Stop => return Err(self.broken(&batch, row, &column.name, path, why)),
                        Err(_) => {}
                    }
                }
            }
        }
        self.rows = Some(count);
        for (column, kind) in self.media.iter_mut().zip(kinds) {
            if column.ty == Type::TEXT {
                column.ty = kind.unwrap_or(Type::BINARY);
            }
        }
        Ok(())
    }

    fn broken(&self, batch: &Batch, row: usize, column: &str, path: &str, why: String) -> FileError {
        let file = self.folders.get(batch.file).map_or("", |(name, _)| name.as_str());
        let mut error = Misfit { value: quote(path), why }.at(file, Place::Row(batch.first_row + row as u64 + 1), column);
        error = error.with_hint("--on-error skip leaves such rows out, --on-error null their cells");
        error
    }

    /// Rows of the waiting batch, from `start` until there are bytes enough.
    fn part(&mut self, mut batch: Batch, start: usize) -> Result<Option<Batch>, FileError> {
        let total = batch.rows.num_rows();
        let batch_bytes = self.options.batch_bytes.min(MEDIA_BATCH_BYTES);
        let mut builders: Vec<Cells> = self.media.iter().map(|_| Cells::with_capacity(batch_bytes, &self.options)).collect();
        let mut large = Vec::new();
        let mut kept = Vec::new();
        let mut row = start;
        let mut told = Vec::new();
        let mut out_row = 0u64;
        while row < total && builders.iter().map(Cells::bytes).sum::<usize>() < batch_bytes {
            let large_before = large.len();
            let mut keep_row = true;
            for (column, cells) in self.media.iter().zip(&mut builders) {
                let paths = batch.rows.columns().get(column.at).and_then(|c| c.as_string_opt::<i32>());
                let path = paths.filter(|p| p.is_valid(row)).map(|p| p.value(row)).filter(|p| !p.is_empty());
                let Some(path) = path else {
                    cells.null();
                    continue;
                };
                let read = |place: PathBuf| Ok((cells.load(&place, Some(&column.ty), self.options.large_bytes, self.options.check)?, place));
                match through(self.find(batch.file, path)).and_then(read) {
                    Ok((Loaded { large: true, .. }, place)) => large.push(LargeCell { row: out_row, column: column.at, source: place }),
                    Ok(_) => {}
                    Err(why) => {
                        let error = self.broken(&batch, row, &column.name, path, why);
                        if self.options.on_error == OnError::Stop {
                            return Err(error);
                        }
                        let file = self.folders.get(batch.file).map(|(name, _)| name.clone()).unwrap_or_default();
                        told.push(Skipped { file, row: batch.first_row + row as u64 + 1, why: error.to_string() });
                        keep_row &= self.options.on_error != OnError::Skip;
                        cells.null();
                    }
                }
            }
            kept.push(keep_row);
            if keep_row {
                out_row += 1;
            } else {
                large.truncate(large_before);
                builders.iter_mut().for_each(|cells| cells.truncate(out_row as usize));
            }
            row += 1;
            self.progress.advance(1);
        }
        self.skipped.extend(told);
        let left_before = self.left_out.get(&batch.file).copied().unwrap_or(0);
        let left_here = kept.iter().filter(|k| !**k).count() as u64;
        let rows = batch.rows.slice(start, row - start);
        let mask = NullBuffer::from(kept);
        let built = self.media.iter().zip(builders).map(|(column, cells)| Ok((column.at, Arc::new(cells.finish()?) as ArrayRef)));
        let mut built = built.collect::<Result<HashMap<_, _>, ArrowError>>().map_err(FileError::usage)?;
        let mut columns = Vec::with_capacity(rows.num_columns());
        for (at, array) in rows.columns().iter().enumerate() {
            let column = match built.remove(&at) {
                Some(files) => files,
                None if left_here == 0 => array.clone(),
                None => keep(array, &mask).map_err(|clash| FileError::usage(format!("{} {}", clash.misfit.value, clash.misfit.why)))?,
            };
            columns.push(column);
        }
        let done = RecordBatch::try_new(self.schema.clone(), columns).map_err(FileError::usage)?;
        let (file, first_row) = (batch.file, (batch.first_row + start as u64).saturating_sub(left_before));
        *self.left_out.entry(file).or_default() += left_here;
        let mut held = vec![];
        if row < total {
            self.waiting = Some((batch, row));
        } else {
            held = std::mem::take(&mut batch.held);
        }
        Ok((done.num_rows() > 0).then_some(Batch { rows: done, large, held, file, first_row }))
    }
}

impl Batches for Attached {
    fn columns(&self) -> &[(String, Type)] {
        &self.columns
    }

    fn next(&mut self) -> Result<Option<Batch>, FileError> {
        if !self.started {
            self.started = true;
            self.progress.start(self.options.stage, self.rows, Unit::Rows);
        }
        loop {
            if self.progress.interrupted() {
                return Err(FileError::Interrupted);
            }
            let (batch, start) = match self.waiting.take() {
                Some(waiting) => waiting,
                None => match self.inner.next()? {
                    Some(batch) => (batch, 0),
                    None => return Ok(None),
                },
            };
            if let Some(part) = self.part(batch, start)? {
                return Ok(Some(part));
            }
        }
    }

    fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}
