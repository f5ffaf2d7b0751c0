//! WebDataset: a tar whose files of one name up to the first point, one after another, are a row.
//!
//! Columns: `__key__`, and one for each ending. An ending of several parts is named without its last if that tells the type:
//! `mask.png` is the column `mask`; `jpg` is `jpg`. Files for which the row has no match are null.
//!
//! | ending | column |
//! |---|---|
//! | of images, sounds, videos | image, audio, video if all are of one kind, else binary |
//! | txt, and other text | text if all is UTF-8, else binary |
//! | json | as in JSON files |
//! | cls, class, index, id, count | int64 if all are plain integers, else text |
//! | npy | embedding or tensor if all are of one shape and type, else binary |
//! | any other | binary |

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;

use arrow::array::builder::{BinaryBuilder, StringBuilder};
use arrow::array::{Array, ArrayRef, new_null_array};

use super::build::{self, Build};
use super::conform::conform;
use super::csv::guess::TextGuess;
use super::error::{FileError, Misfit, Place};
use super::json::node;
use super::json::shape::Shape;
use super::media;
use super::npy::Header;
use super::reading::{Found, Guess, Part, Parts, Reader};
use super::source::{Source, Stream};
use super::{LargeCell, OnError, ReadOptions, TempFile};
use crate::base::Progress;
use crate::format::Type;

/// What an ending says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Class {
    Media,
    Text,
    Json,
    Integer,
    Npy,
    Bytes,
}

/// The class of the last part of an ending.
pub(super) fn class_of(ending: &str) -> Class {
    match ending.rsplit('.').next().unwrap_or(ending).to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" | "png" | "gif" | "webp" | "bmp" | "tif" | "tiff" | "avif" | "heic" => Class::Media,
        "wav" | "flac" | "mp3" | "ogg" | "m4a" | "weba" | "mp4" | "webm" | "mov" | "mkv" | "avi" | "ogv" | "mka" => Class::Media,
        "txt" | "text" | "caption" | "md" | "xml" | "html" | "csv" | "srt" | "vtt" => Class::Text,
        "json" => Class::Json,
        "cls" | "cls2" | "class" | "index" | "inx" | "id" | "count" => Class::Integer,
        "npy" => Class::Npy,
        _ => Class::Bytes,
    }
}

/// Files of text and the like are held whole, up to this.
const CELL_MAX: u64 = 256 << 20;
const COLUMNS_MAX: usize = 1000;

/// The files of the tar, in order.
struct Entries {
    tar: tar::Archive<Stream>,
    source: Arc<Source>,
}

/// A file's place: the sample's key, and its ending.
fn split(path: &str) -> Option<(&str, &str)> {
    let start = path.rfind('/').map_or(0, |at| at + 1);
    let point = path.get(start..)?.find('.')? + start;
    let (key, ending) = (path.get(..point)?, path.get(point + 1..)?);
    (point > start && !ending.is_empty()).then_some((key, ending))
}

impl Entries {
    fn new(source: &Arc<Source>, progress: &Arc<dyn Progress>) -> Result<Entries, FileError> {
        Ok(Entries { tar: tar::Archive::new(source.open(progress)?), source: source.clone() })
    }

    /// Calls `each` with key, ending, length and content of each file, until it returns false.
    fn each(mut self, progress: &Arc<dyn Progress>, mut each: impl FnMut(&str, &str, u64, &mut dyn Read) -> Result<bool, FileError>) -> Result<(), FileError> {
        let source = self.source.clone();
        let torn = |e: std::io::Error| {
            if progress.interrupted() {
                return FileError::Interrupted;
            }
            match source.read_error(e) {
                FileError::Io { source: error, .. } if error.raw_os_error().is_none() => {
                    source.bad(Place::File, format!("the tar is cut short or damaged: {error}")).with_hint("fetch or write it again")
                }
                other => other,
            }
        };
        for entry in self.tar.entries().map_err(torn)? {
            let mut entry = entry.map_err(torn)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path_bytes().into_owned();
            let path = std::str::from_utf8(&path).map_err(|_| source.bad(Place::File, "a file in the tar has a name that is not UTF-8"))?;
            let path = path.strip_prefix("./").unwrap_or(path).to_owned();
            // As other readers do: what has no ending, or is hidden, is no sample's.
            let Some((key, ending)) = split(&path) else { continue };
            let length = entry.size();
            if !each(key, ending, length, &mut entry)? {
                break;
            }
        }
        Ok(())
    }
}

/// What the files of one ending have in common.
struct Ending {
    name: String,
    class: Class,
    kind: Option<Type>,
    mixed: bool,
    texts: TextGuess,
    shape: Shape,
}

impl Ending {
    fn see(&mut self, content: &[u8]) {
        let text = std::str::from_utf8(content);
        let seen = match self.class {
            Class::Media => media::sniff(content).map(|m| m.kind.column_type()),
            Class::Npy => Header::parse(content).ok().and_then(|h| h.cell()),
            Class::Text | Class::Integer => {
                if let (Class::Integer, Ok(text)) = (self.class, text) {
                    self.texts.see(text);
                }
                text.ok().map(|_| Type::TEXT)
            }
            Class::Json => match text.ok().and_then(|t| node::parse(t).ok()) {
                Some(node) => {
                    self.shape.see(&node);
                    Some(Type::Json)
                }
                None => None,
            },
            Class::Bytes => Some(Type::BINARY),
        };
        match (&self.kind, seen) {
            (None, Some(ty)) => self.kind = Some(ty),
            (Some(known), Some(ty)) if *known == ty => {}
            _ => self.mixed = true,
        }
    }

    fn guess(self) -> Guess {
        match (self.class, self.kind) {
            (_, None) => Guess::Fixed(Type::BINARY),
            _ if self.mixed => Guess::Fixed(Type::BINARY),
            (Class::Json, _) => Guess::Shape(self.shape),
            (Class::Integer, _) => Guess::Fixed(self.texts.resolve().filter(|t| *t == Type::INT64).unwrap_or(Type::TEXT)),
            (_, Some(ty)) => Guess::Fixed(ty),
        }
    }
}

pub(super) struct WebDataset {
    source: Arc<Source>,
}

impl WebDataset {
    pub fn open(source: Arc<Source>) -> WebDataset {
        WebDataset { source }
    }

    /// The column of each ending, found from all endings: the same for the same set.
    fn names(endings: &[String]) -> HashMap<String, String> {
        let stem = |ending: &str| match ending.rsplit_once('.') {
            Some((stem, _)) if class_of(ending) != Class::Bytes => stem.to_owned(),
            _ => ending.to_owned(),
        };
        let mut classes: HashMap<String, Vec<Class>> = HashMap::new();
        for ending in endings {
            classes.entry(stem(ending)).or_default().push(class_of(ending));
        }
        // Two kinds of files of one stem need their whole names, and so do those that would take another's.
        let whole = |ending: &str| {
            let classes = classes.get(&stem(ending)).map(Vec::as_slice).unwrap_or_default();
            let one_kind = classes.windows(2).all(|pair| matches!(pair, [a, b] if a == b && *a == Class::Media));
            if one_kind { stem(ending) } else { ending.to_owned() }
        };
        endings.iter().map(|ending| (ending.clone(), whole(ending))).collect()
    }

    fn endings(&self, progress: &Arc<dyn Progress>) -> Result<Vec<String>, FileError> {
        let mut endings: Vec<String> = Vec::new();
        Entries::new(&self.source, progress)?.each(progress, |_, ending, _, _| {
            if !endings.iter().any(|known| known == ending) {
                if endings.len() == COLUMNS_MAX {
                    return Err(self.source.bad(Place::File, format!("the tar has more than {COLUMNS_MAX} different endings: is it a WebDataset?")));
                }
                endings.push(ending.to_owned());
            }
            Ok(true)
        })?;
        Ok(endings)
    }
}

impl Reader for WebDataset {
    fn find(&self, options: &ReadOptions, _: &dyn Fn(&str) -> bool, progress: &Arc<dyn Progress>) -> Result<Found, FileError> {
        let quiet: Arc<dyn Progress> = Arc::new(crate::base::NoProgress);
        let names = Self::names(&self.endings(&quiet)?);
        let mut found: Vec<Ending> = Vec::new();
        let large = options.large_bytes;
        Entries::new(&self.source, progress)?.each(progress, |_, ending, length, content| {
            let name = names.get(ending).map_or(ending, String::as_str);
            let at = match found.iter().position(|e| e.name == name) {
                Some(at) => at,
                None => {
                    let kind =
                        Ending { name: name.to_owned(), class: class_of(ending), kind: None, mixed: false, texts: TextGuess::default(), shape: Shape::Nothing };
                    found.push(kind);
                    found.len() - 1
                }
            };
            let Some(known) = found.get_mut(at) else { return Ok(true) };
            // The start of a large one says what it is.
            let limit = if matches!(known.class, Class::Media | Class::Bytes) { large.min(1 << 20) } else { CELL_MAX };
            let mut bytes = Vec::new();
            content.take(limit.min(length)).read_to_end(&mut bytes).map_err(|e| self.source.read_error(e))?;
            known.see(&bytes);
            Ok(true)
        })?;
        if found.is_empty() {
            return Err(self.source.bad(Place::File, "the tar has no samples: files named KEY.ENDING"));
        }
        let mut columns = vec![("__key__".to_owned(), Guess::Fixed(Type::TEXT))];
        columns.extend(found.into_iter().map(|ending| (ending.name.clone(), ending.guess())));
        Ok(Found { columns, open: true })
    }

    fn parts(&self, columns: &[(String, Type)], options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Box<dyn Parts>, FileError> {
        let quiet: Arc<dyn Progress> = Arc::new(crate::base::NoProgress);
        let names = Self::names(&self.endings(&quiet)?);
        // The tar's iterator borrows its archive, so it lives on a thread of its own, which hands over finished parts.
        let (sender, parts) = std::sync::mpsc::sync_channel(1);
        let (source, columns, options, progress) = (self.source.clone(), columns.to_vec(), options.clone(), progress.clone());
        let entries = Entries::new(&source, &progress)?;
        let run = move || {
            let mut samples = match Samples::new(source, columns, options, names) {
                Ok(samples) => samples,
                Err(error) => return drop(sender.send(Err(error))),
            };
            let told = &sender;
            let outcome = entries.each(&progress, |key, ending, length, content| match samples.file(key, ending, length, content)? {
                Some(part) => Ok(told.send(Ok(part)).is_ok()),
                None => Ok(true),
            });
            let last = outcome.and_then(|()| samples.finish());
            match last {
                Ok(Some(part)) => drop(sender.send(Ok(part))),
                Ok(None) => {}
                Err(error) => drop(sender.send(Err(error))),
            }
        };
        let thread = std::thread::Builder::new().name("dsv-tar".to_owned()).spawn(run).map_err(|e| FileError::io(&self.source.name, e))?;
        Ok(Box::new(TarParts { parts: Some(parts), thread: Some(thread), skipped: vec![], source: self.source.clone() }))
    }
}

type Told = (Option<Part>, Vec<(u64, String)>);

struct TarParts {
    parts: Option<std::sync::mpsc::Receiver<Result<Told, FileError>>>,
    thread: Option<std::thread::JoinHandle<()>>,
    skipped: Vec<(u64, String)>,
    source: Arc<Source>,
}

impl Parts for TarParts {
    fn next(&mut self) -> Result<Option<Part>, FileError> {
        loop {
            let Some(parts) = &self.parts else { return Ok(None) };
            match parts.recv() {
                Ok(Ok((part, skipped))) => {
                    self.skipped.extend(skipped);
                    if part.is_some() {
                        return Ok(part);
                    }
                }
                Ok(Err(error)) => {
                    self.parts = None;
                    return Err(error);
                }
                Err(_) => {
                    self.parts = None;
                    let ended = self.thread.take().map(std::thread::JoinHandle::join);
                    if matches!(ended, Some(Err(_))) {
                        return Err(self.source.bad(Place::File, "the tar reader gave up"));
                    }
                }
            }
        }
    }

    fn skipped(&mut self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.skipped)
    }
}

impl Drop for TarParts {
    fn drop(&mut self) {
        self.parts = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How a column's cells are made of files.
enum Cells {
    Key(StringBuilder),
    /// Media and bytes.
    Bytes(BinaryBuilder),
    /// Text, and what is told by it.
    Built {
        builder: Box<dyn Build>,
        json: bool,
    },
    /// Arrays of NumPy.
    Arrays(Vec<Option<ArrayRef>>),
}

enum Cell {
    Bytes(Vec<u8>),
    Large(TempFile),
    Broken,
}

struct Samples {
    source: Arc<Source>,
    columns: Vec<(String, Type)>,
    options: ReadOptions,
    names: HashMap<String, String>,
    cells: Vec<Cells>,
    /// The sample that is being gathered.
    key: Option<String>,
    sample: HashMap<usize, (Cell, Class)>,
    number: u64,
    rows: usize,
    bytes: usize,
    large: Vec<LargeCell>,
    held: Vec<TempFile>,
    skipped: Vec<(u64, String)>,
    drop_sample: bool,
}

impl Samples {
    fn new(source: Arc<Source>, columns: Vec<(String, Type)>, options: ReadOptions, names: HashMap<String, String>) -> Result<Samples, FileError> {
        let json = |name: &str| names.iter().any(|(ending, column)| column == name && class_of(ending) == Class::Json);
        let mut cells = Vec::with_capacity(columns.len());
        for (name, ty) in &columns {
            cells.push(match ty {
                Type::Plain(arrow::datatypes::DataType::Utf8) if name == "__key__" => Cells::Key(StringBuilder::new()),
                Type::Embedding { .. } | Type::Tensor { .. } if !json(name) => Cells::Arrays(vec![]),
                ty if ty.is_media() || *ty == Type::BINARY => Cells::Bytes(BinaryBuilder::new()),
                ty => Cells::Built { builder: build::builder(ty).map_err(|misfit| misfit.at(&source.name, Place::File, name))?, json: json(name) },
            });
        }
        Ok(Samples {
            source,
            columns,
            options,
            names,
            cells,
            key: None,
            sample: HashMap::new(),
            number: 0,
            rows: 0,
            bytes: 0,
            large: vec![],
            held: vec![],
            skipped: vec![],
            drop_sample: false,
        })
    }

    /// Takes a file; returns a part when there is enough.
    fn file(&mut self, key: &str, ending: &str, length: u64, content: &mut dyn Read) -> Result<Option<Told>, FileError> {
        let mut full = None;
        if self.key.as_deref() != Some(key) {
            self.close()?;
            if self.rows >= self.options.batch_rows || self.bytes >= self.options.batch_bytes {
                full = self.part()?;
            }
            self.key = Some(key.to_owned());
            self.number += 1;
        }
        let name = self.names.get(ending).cloned().unwrap_or_else(|| ending.to_owned());
        // A schema may leave columns out only where the file lacks them; media alone may be asked for.
        let Some(at) = self.columns.iter().position(|(n, _)| *n == name) else { return Ok(full) };
        if self.sample.contains_key(&at) {
            return Err(self.source.bad(Place::Row(self.number), format!("sample '{key}' has '{name}' twice")));
        }
        let ty = self.columns.get(at).map(|(_, ty)| ty.clone()).unwrap_or(Type::BINARY);
        let binary = ty.is_media() || ty == Type::BINARY;
        let cell = if binary && length > self.options.large_bytes {
            let (temp, mut file) = self.source.spool()?;
            std::io::copy(content, &mut file).map_err(|e| self.source.read_error(e))?;
            file.flush().map_err(|e| FileError::io(temp.path().display(), e))?;
            Cell::Large(temp)
        } else {
            if length > CELL_MAX {
                return Err(self.source.bad(Place::Row(self.number), format!("'{key}.{ending}' is larger than 256 MiB")));
            }
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(|e| self.source.read_error(e))?;
            let broken = if ty.is_media() {
                match media::check(&bytes, self.options.check) {
                    Err(why) => Some(why),
                    Ok(media) if media.kind.column_type() != ty => Some(format!("it is {}, not {ty}", media.media_type)),
                    Ok(_) => None,
                }
            } else {
                None
            };
            match broken {
                None => Cell::Bytes(bytes),
                Some(why) if self.options.on_error == OnError::Stop => {
                    let misfit = Misfit { value: format!("'{key}.{ending}'"), why: format!("is broken: {why}") };
                    let hint = "--on-error skip leaves such rows out, --on-error null their cells";
                    return Err(misfit.at(&self.source.name, Place::Row(self.number), &name).with_hint(hint));
                }
                Some(why) => {
                    self.skipped.push((self.number, format!("'{key}.{ending}' is broken: {why}")));
                    self.drop_sample |= self.options.on_error == OnError::Skip;
                    Cell::Broken
                }
            }
        };
        self.sample.insert(at, (cell, class_of(ending)));
        Ok(full)
    }

    /// Makes a row of the sample that was gathered.
    fn close(&mut self) -> Result<(), FileError> {
        let Some(key) = self.key.take() else { return Ok(()) };
        let mut sample = std::mem::take(&mut self.sample);
        if std::mem::take(&mut self.drop_sample) {
            return Ok(());
        }
        for (at, (cells, (name, ty))) in self.cells.iter_mut().zip(&self.columns).enumerate() {
            let misfit = |misfit: Misfit| misfit.at(&self.source.name, Place::Row(self.number), name);
            let cell = sample.remove(&at);
            let bytes = match cell {
                Some((Cell::Bytes(bytes), _)) => Some(bytes),
                Some((Cell::Large(temp), _)) => {
                    self.large.push(LargeCell { row: self.rows as u64, column: at, source: temp.path().to_path_buf() });
                    self.held.push(temp);
                    None
                }
                Some((Cell::Broken, _)) | None => None,
            };
            self.bytes += bytes.as_ref().map_or(0, Vec::len);
            match (cells, bytes) {
                (Cells::Key(keys), _) => keys.append_value(&key),
                (Cells::Bytes(builder), Some(bytes)) => builder.append_value(bytes),
                (Cells::Bytes(builder), None) => builder.append_null(),
                (Cells::Built { builder, .. }, None) => builder.null(),
                (Cells::Built { builder, json }, Some(bytes)) => {
                    let text =
                        String::from_utf8(bytes).map_err(|_| misfit(Misfit { value: "a file".to_owned(), why: format!("is not UTF-8, so not {ty}") }))?;
                    if *json {
                        let node = node::parse(&text).map_err(|fault| misfit(Misfit::new(&text, format!("is not JSON: {}", fault.what))))?;
                        builder.json(&node).map_err(misfit)?;
                    } else {
                        builder.text(&text).map_err(misfit)?;
                    }
                }
                (Cells::Arrays(arrays), None) => arrays.push(None),
                (Cells::Arrays(arrays), Some(bytes)) => {
                    let array = Header::parse(&bytes).and_then(|header| {
                        let from = header.cell().ok_or("it is no tensor")?;
                        Ok((header.whole(bytes.get(header.start..).unwrap_or_default())?, from))
                    });
                    let (array, from) = array.map_err(|why| misfit(Misfit { value: "a file".to_owned(), why: format!("is not {ty}: {why}") }))?;
                    arrays.push(Some(conform(&array, &from, ty).map_err(|clash| misfit(clash.misfit))?));
                }
            }
        }
        self.rows += 1;
        self.bytes += build::row_bytes(&self.columns);
        Ok(())
    }

    fn part(&mut self) -> Result<Option<Told>, FileError> {
        let skipped = std::mem::take(&mut self.skipped);
        if self.rows == 0 {
            return Ok((!skipped.is_empty()).then_some((None, skipped)));
        }
        let mut columns = Vec::with_capacity(self.cells.len());
        for (cells, (_, ty)) in self.cells.iter_mut().zip(&self.columns) {
            columns.push(match cells {
                Cells::Key(builder) => Arc::new(builder.finish()) as ArrayRef,
                Cells::Bytes(builder) => Arc::new(builder.finish()),
                Cells::Built { builder, .. } => builder.finish(),
                Cells::Arrays(arrays) => {
                    let null = new_null_array(ty.field("", true).data_type(), 1);
                    let all = std::mem::take(arrays);
                    let all: Vec<&dyn Array> = all.iter().map(|a| a.as_ref().map_or(null.as_ref(), |a| a.as_ref())).collect();
                    arrow::compute::concat(&all).map_err(|e| self.source.bad(Place::File, e))?
                }
            });
        }
        let mut part = Part::new(columns, self.rows);
        part.large = std::mem::take(&mut self.large);
        part.held = std::mem::take(&mut self.held);
        (self.rows, self.bytes) = (0, 0);
        Ok(Some((Some(part), skipped)))
    }

    fn finish(mut self) -> Result<Option<Told>, FileError> {
        self.close()?;
        self.part()
    }
}
