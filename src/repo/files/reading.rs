//! From sources to batches: each format is a [`Reader`], which first tells its columns and then hands out parts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};

use super::csv::Csv;
use super::csv::guess::TextGuess;
use super::error::{FileError, Place};
use super::json::Json;
use super::json::shape::Shape;
use super::source::Source;
use super::temp::TempFile;
use super::unify::unify;
use super::{Batch, Batches, FileFormat, LargeCell, ReadOptions, Skipped};
use crate::base::Progress;
use crate::base::name::nearest;
use crate::base::progress::{Muted, Unit};
use crate::format::Type;

/// What one file says about the type of a column.
#[derive(Debug, Clone)]
pub(super) enum Guess {
    /// Its format has types.
    Fixed(Type),
    /// It holds texts.
    Texts(TextGuess),
    /// It holds JSON values.
    Shape(Shape),
}

impl Guess {
    /// `None`: it holds nothing that has a type.
    pub fn resolve(&self) -> Option<Type> {
        match self {
            Guess::Fixed(ty) => Some(ty.clone()),
            Guess::Texts(guess) => guess.resolve(),
            Guess::Shape(shape) => shape.resolve(),
        }
    }
}

/// The columns of one file.
pub(super) struct Found {
    pub columns: Vec<(String, Guess)>,
    /// A column that is not here is all null; otherwise it is missing.
    pub open: bool,
}

/// Rows of one file, as the columns that were asked for.
pub(super) struct Part {
    pub columns: Vec<ArrayRef>,
    pub rows: usize,
    pub large: Vec<LargeCell>,
    pub held: Vec<TempFile>,
}

impl Part {
    pub fn new(columns: Vec<ArrayRef>, rows: usize) -> Part {
        Part { columns, rows, large: vec![], held: vec![] }
    }
}

/// The rows of one file in order.
pub(super) trait Parts: Send {
    /// At least one row, or `None` at the end. The arrays have the data types of their columns' fields.
    fn next(&mut self) -> Result<Option<Part>, FileError>;
    /// Takes the rows that were left out since the last call: their number in the file, from 1, or 0 for the file as a whole, and why.
    fn skipped(&mut self) -> Vec<(u64, String)> {
        Vec::new()
    }
}

/// One file of some format.
pub(super) trait Reader: Send + Sync {
    /// The bytes that reading goes through, where these are not those of the source itself.
    fn length(&self) -> Option<u64> {
        None
    }
    /// The columns. May read the whole file; the type of a column for which `skip` is true is of no interest.
    fn find(&self, options: &ReadOptions, skip: &dyn Fn(&str) -> bool, progress: &Arc<dyn Progress>) -> Result<Found, FileError>;
    /// The rows from the start. `columns` are among those found, or, where more may be, null.
    fn parts(&self, columns: &[(String, Type)], options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Box<dyn Parts>, FileError>;
}

fn reader(source: Arc<Source>, options: &ReadOptions) -> Result<Box<dyn Reader>, FileError> {
    Ok(match source.format {
        FileFormat::Csv | FileFormat::Tsv => Box::new(Csv::open(source, options)?),
        FileFormat::Json | FileFormat::JsonLines => Box::new(Json::open(source)),
        FileFormat::Parquet => Box::new(super::parquet::Parquet::open(source)?),
        FileFormat::Arrow => Box::new(super::ipc::Arrow::open(source)?),
        FileFormat::Npy => Box::new(super::npy::Npy::open(source, options)?),
        FileFormat::Images => Box::new(super::images::Images::open(source)?),
        FileFormat::WebDataset => Box::new(super::webdataset::WebDataset::open(source)),
        FileFormat::Video => super::video::reader(source, options)?,
    })
}

/// The type of each column of all files together.
struct Columns {
    order: Vec<String>,
    guesses: HashMap<String, Guess>,
    /// The file that first had the column.
    from: HashMap<String, String>,
    open: bool,
}

impl Columns {
    fn add(&mut self, source: &Source, found: Found, first: bool, said: &dyn Fn(&str) -> bool) -> Result<(), FileError> {
        let missing = |what: &str, file: &str, has: &str| {
            FileError::bad(file, Place::File, format!("has no column '{what}', which {has} has")).with_hint("files of one import have the same columns")
        };
        if !first {
            let names: HashSet<&str> = found.columns.iter().map(|(name, _)| name.as_str()).collect();
            if !found.open
                && let Some(name) = self.order.iter().find(|name| !names.contains(name.as_str()))
            {
                return Err(missing(name, &source.name, self.from.get(name).map_or("another", String::as_str)));
            }
            if !self.open
                && let Some((name, _)) = found.columns.iter().find(|(name, _)| !self.guesses.contains_key(name))
            {
                let other = self.order.first().and_then(|name| self.from.get(name)).map_or("another file", String::as_str);
                return Err(missing(name, other, &source.name));
            }
        }
        self.open = found.open && (first || self.open);
        for (name, guess) in found.columns {
            match self.guesses.get_mut(&name) {
                None => {
                    self.order.push(name.clone());
                    self.from.insert(name.clone(), source.name.clone());
                    self.guesses.insert(name, guess);
                }
                // Each file is read as what was said.
                Some(_) if said(&name) => {}
                Some(known) => {
                    let merged = match (&mut *known, &guess) {
                        (Guess::Texts(a), Guess::Texts(b)) => {
                            a.merge(b);
                            continue;
                        }
                        (Guess::Shape(a), Guess::Shape(b)) => {
                            a.merge(b.clone());
                            continue;
                        }
                        (a, b) => match (a.resolve(), b.resolve()) {
                            (None, _) => guess.clone(),
                            (_, None) => continue,
                            (Some(a), Some(b)) => match unify(&a, &b) {
                                Some(ty) => Guess::Fixed(ty),
                                None => {
                                    let other = self.from.get(&name).cloned().unwrap_or_default();
                                    return Err(source
                                        .bad(Place::File, format!("column '{name}' is {b}, but {a} in {other}"))
                                        .with_hint(format!("say which: --types '{name}={a}'")));
                                }
                            },
                        },
                    };
                    *known = merged;
                }
            }
        }
        Ok(())
    }

    /// The columns of the import, with what the options say.
    fn resolve(self, options: &ReadOptions) -> Result<Vec<(String, Type)>, FileError> {
        let unknown = |name: &str| {
            let error = FileError::usage(format!("there is no column '{name}' in the input"));
            match nearest(name, self.order.iter().map(String::as_str)).as_slice() {
                [] => error.with_hint(format!("its columns: {}", self.order.join(", "))),
                near => error.with_hint(format!("is it '{}'?", near.join("' or '"))),
            }
        };
        for (name, _) in &options.types {
            if !self.guesses.contains_key(name) {
                return Err(unknown(name));
            }
        }
        for name in &options.media {
            if !self.guesses.contains_key(name) {
                return Err(unknown(name));
            }
        }
        if let Some(schema) = &options.schema {
            for (name, _) in schema {
                if !self.open && !self.guesses.contains_key(name) {
                    return Err(unknown(name));
                }
            }
            if let Some(name) = self.order.iter().find(|name| !schema.iter().any(|(n, _)| n == *name)) {
                return Err(FileError::usage(format!("the schema has no column '{name}', which the input has")));
            }
            return Ok(schema.clone());
        }
        let mut columns = Vec::with_capacity(self.order.len());
        for name in &self.order {
            let said = options.types.iter().chain(&options.hints).find(|(n, _)| n == name).map(|(_, ty)| ty.clone());
            let ty = said.or_else(|| self.guesses.get(name).and_then(Guess::resolve)).unwrap_or(Type::TEXT);
            columns.push((name.clone(), ty));
        }
        Ok(columns)
    }
}

pub(super) struct Files {
    sources: Vec<(Arc<Source>, Box<dyn Reader>)>,
    columns: Vec<(String, Type)>,
    schema: SchemaRef,
    options: ReadOptions,
    progress: Arc<dyn Progress>,
    current: Option<(usize, Box<dyn Parts>, u64)>,
    next: usize,
    skipped: Vec<Skipped>,
    started: bool,
}

impl Files {
    /// Opens the sources and finds the columns, reading everything once where types must be inferred.
    pub fn open(sources: Vec<Arc<Source>>, options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Files, FileError> {
        let mut readers = Vec::with_capacity(sources.len());
        for source in sources {
            let reader = reader(source.clone(), options)?;
            readers.push((source, reader));
        }
        let total = length(&readers);
        let said = |name: &str| match &options.schema {
            Some(schema) => schema.iter().any(|(n, _)| n == name),
            // A column of paths is text until the files are read.
            None => options.types.iter().chain(&options.hints).any(|(n, _)| n == name),
        };
        let mut columns = Columns { order: vec![], guesses: HashMap::new(), from: HashMap::new(), open: false };
        // Formats that have types of their own are not read for them: there is nothing to show.
        let inferred = |format| matches!(format, FileFormat::Csv | FileFormat::Tsv | FileFormat::Json | FileFormat::JsonLines | FileFormat::WebDataset);
        let shown: Arc<dyn Progress> =
            if readers.iter().any(|(source, _)| inferred(source.format)) { progress.clone() } else { Arc::new(Muted(progress.clone())) };
        shown.start("inferring types", Some(total), Unit::Bytes);
        let mut outcome = Ok(());
        for (i, (source, reader)) in readers.iter().enumerate() {
            outcome = reader.find(options, &said, &shown).and_then(|found| columns.add(source, found, i == 0, &said));
            if outcome.is_err() {
                break;
            }
        }
        shown.finish();
        outcome?;
        let columns = columns.resolve(options)?;
        if columns.is_empty() {
            let name = readers.first().map_or("the input", |(source, _)| source.name.as_str());
            return Err(FileError::bad(name, Place::File, "there are no columns"));
        }
        let fields: Vec<_> = columns.iter().map(|(name, ty)| ty.field(name, true)).collect();
        Ok(Files {
            sources: readers,
            columns,
            schema: Arc::new(Schema::new(fields)),
            options: options.clone(),
            progress: progress.clone(),
            current: None,
            next: 0,
            skipped: vec![],
            started: false,
        })
    }

    pub fn sources(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.sources.iter().map(|(source, _)| source)
    }

    /// Reads without a stage of its own.
    pub fn muted(mut self) -> Files {
        self.progress = Arc::new(Muted(self.progress));
        self
    }
}

fn length(readers: &[(Arc<Source>, Box<dyn Reader>)]) -> u64 {
    readers.iter().map(|(source, reader)| reader.length().unwrap_or(source.length)).sum()
}

impl Batches for Files {
    fn columns(&self) -> &[(String, Type)] {
        &self.columns
    }

    fn next(&mut self) -> Result<Option<Batch>, FileError> {
        if !self.started {
            self.started = true;
            self.progress.start(self.options.stage, Some(length(&self.sources)), Unit::Bytes);
        }
        loop {
            if self.progress.interrupted() {
                return Err(FileError::Interrupted);
            }
            let Some((at, parts, row)) = &mut self.current else {
                let Some((_, reader)) = self.sources.get(self.next) else { return Ok(None) };
                self.current = Some((self.next, reader.parts(&self.columns, &self.options, &self.progress)?, 0));
                self.next += 1;
                continue;
            };
            let part = parts.next()?;
            let name = self.sources.get(*at).map(|(source, _)| source.name.clone()).unwrap_or_default();
            self.skipped.extend(parts.skipped().into_iter().map(|(row, why)| Skipped { file: name.clone(), row, why }));
            let Some(part) = part else {
                self.current = None;
                continue;
            };
            let first_row = *row;
            *row += part.rows as u64;
            let options = RecordBatchOptions::new().with_row_count(Some(part.rows));
            let rows = RecordBatch::try_new_with_options(self.schema.clone(), part.columns, &options)
                .map_err(|e| FileError::bad(&name, Place::Row(first_row + 1), e))?;
            return Ok(Some(Batch { rows, large: part.large, held: part.held, file: *at, first_row }));
        }
    }

    fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}
