//! CSV and TSV files.
//!
//! A first line of names, then records; blank lines are passed over. An empty field is null, except in the columns named by
//! `text_keys`; a quoted empty one is an empty text in columns of text and null in others. Nothing else is null: `NA` is a text.
//! A column without a name becomes `column_N`, N counting from 1.

pub(super) mod guess;
pub(super) mod record;

use std::collections::HashSet;
use std::sync::Arc;

use super::build::{self, Build};
use super::error::{FileError, Place};
use super::reading::{Found, Guess, Part, Parts, Reader};
use super::source::Source;
use super::{FileFormat, ReadOptions};
use crate::base::{NoProgress, Progress};
use crate::format::Type;
use guess::TextGuess;
use record::{Record, Records};

pub(super) struct Csv {
    source: Arc<Source>,
    delimiter: u8,
    names: Vec<String>,
}

impl Csv {
    /// Looks at the first lines.
    pub fn open(source: Arc<Source>, options: &ReadOptions) -> Result<Csv, FileError> {
        let quiet: Arc<dyn Progress> = Arc::new(NoProgress);
        let delimiter = match options.delimiter {
            Some(delimiter) => delimiter,
            None => sniff(&source, &quiet)?,
        };
        let mut records = Records::new(source.open(&quiet)?, delimiter)?;
        let mut first = Record::default();
        if !records.next(&mut first)? {
            return Err(source.bad(Place::File, "is empty: there is no line of column names"));
        }
        let names: Vec<String> = match (&options.schema, options.header) {
            (Some(schema), false) => schema.iter().map(|(name, _)| name.clone()).collect(),
            (None, false) => (1..=first.len()).map(|n| format!("column_{n}")).collect(),
            (_, true) => first.fields().enumerate().map(|(i, (name, _))| if name.is_empty() { format!("column_{}", i + 1) } else { name.to_owned() }).collect(),
        };
        if names.len() != first.len() {
            return Err(source.bad(Place::Line(first.line), format!("has {} fields, the schema {}", first.len(), names.len())));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(source.bad(Place::Line(first.line), format!("two columns are named '{twice}'")).with_hint("rename one in the file"));
        }
        Ok(Csv { source, delimiter, names })
    }

    /// The records after the names.
    fn records(&self, options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Rows, FileError> {
        let mut records = Records::new(self.source.open(progress)?, self.delimiter)?;
        let mut record = Record::default();
        if options.header {
            records.next(&mut record)?;
        }
        Ok(Rows { records, record, columns: self.names.len(), source: self.source.clone() })
    }
}

/// Records of equal length.
struct Rows {
    records: Records,
    record: Record,
    columns: usize,
    source: Arc<Source>,
}

impl Rows {
    fn next(&mut self) -> Result<Option<&Record>, FileError> {
        loop {
            if !self.records.next(&mut self.record)? {
                return Ok(None);
            }
            let fields = self.record.len();
            if fields == self.columns {
                return Ok(Some(&self.record));
            }
            // White space alone is a blank line too, where it could not be a record.
            if fields == 1 && self.record.fields().all(|(text, quoted)| !quoted && text.trim().is_empty()) {
                continue;
            }
            let plural = if fields == 1 { "field" } else { "fields" };
            return Err(self
                .source
                .bad(Place::Line(self.record.line), format!("has {fields} {plural}, the first line has {}", self.columns))
                .with_hint("a field that holds a delimiter, a quote or a line break must be quoted; --delimiter says which delimiter it is"));
        }
    }
}

impl Reader for Csv {
    fn find(&self, options: &ReadOptions, skip: &dyn Fn(&str) -> bool, progress: &Arc<dyn Progress>) -> Result<Found, FileError> {
        let mut guesses: Vec<Option<TextGuess>> = self.names.iter().map(|name| (!skip(name)).then(TextGuess::default)).collect();
        if guesses.iter().any(Option::is_some) {
            let mut rows = self.records(options, progress)?;
            while let Some(record) = rows.next()? {
                for ((text, quoted), guess) in record.fields().zip(&mut guesses) {
                    if let Some(guess) = guess
                        && (quoted || !options.null_values.iter().any(|null| null == text))
                    {
                        guess.see(text);
                    }
                }
            }
        }
        let columns = self.names.iter().zip(guesses).map(|(name, guess)| (name.clone(), Guess::Texts(guess.unwrap_or_default())));
        Ok(Found { columns: columns.collect(), open: false })
    }

    fn parts(&self, columns: &[(String, Type)], options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Box<dyn Parts>, FileError> {
        // Position in the file of each column wanted, and the other way round.
        let mut slots: Vec<Option<Slot>> = self.names.iter().map(|_| None).collect();
        let mut order = Vec::with_capacity(columns.len());
        for (name, ty) in columns {
            let at = self.names.iter().position(|n| n == name).ok_or_else(|| self.source.bad(Place::File, format!("has no column '{name}'")))?;
            let builder = build::builder(ty).map_err(|misfit| misfit.at(&self.source.name, Place::File, name))?;
            let empty = build::empty_is_value(ty);
            let keyed = empty && options.text_keys.contains(name);
            if let Some(slot) = slots.get_mut(at) {
                *slot = Some(Slot { builder, empty, keyed });
            }
            order.push(at);
        }
        Ok(Box::new(CsvParts {
            rows: self.records(options, progress)?,
            slots,
            order,
            names: self.names.clone(),
            nulls: options.null_values.clone(),
            row_bytes: build::row_bytes(columns),
            limits: (options.batch_rows, options.batch_bytes),
        }))
    }
}

struct Slot {
    builder: Box<dyn Build>,
    /// A quoted empty field is an empty text.
    empty: bool,
    /// An empty field without quotes is one too.
    keyed: bool,
}

struct CsvParts {
    rows: Rows,
    slots: Vec<Option<Slot>>,
    order: Vec<usize>,
    names: Vec<String>,
    nulls: Vec<String>,
    row_bytes: usize,
    limits: (usize, usize),
}

impl Parts for CsvParts {
    fn next(&mut self) -> Result<Option<Part>, FileError> {
        let source = self.rows.source.clone();
        let (mut rows, mut bytes) = (0, 0);
        while rows < self.limits.0 && bytes < self.limits.1 {
            let Some(record) = self.rows.next()? else { break };
            rows += 1;
            bytes += record.bytes() + self.row_bytes;
            for (((text, quoted), slot), name) in record.fields().zip(&mut self.slots).zip(&self.names) {
                let Some(Slot { builder, empty, keyed }) = slot else { continue };
                let absent = if text.is_empty() { !(*keyed || quoted && *empty) } else { !quoted && self.nulls.iter().any(|null| null == text) };
                if absent {
                    builder.null();
                } else {
                    builder.text(text).map_err(|misfit| misfit.at(&source.name, Place::Line(record.line), name))?;
                }
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let mut built: Vec<_> = self.slots.iter_mut().map(|slot| slot.as_mut().map(|s| s.builder.finish())).collect();
        let columns = self.order.iter().filter_map(|at| built.get_mut(*at).and_then(Option::take)).collect();
        Ok(Some(Part::new(columns, rows)))
    }
}

/// The delimiter: the one that the name promises, unless the first records are equally long only with another.
fn sniff(source: &Arc<Source>, quiet: &Arc<dyn Progress>) -> Result<u8, FileError> {
    let usual = if source.format == FileFormat::Tsv { b'\t' } else { b',' };
    let mut best = (usual, 0, false);
    for (i, delimiter) in [usual, b',', b'\t', b';', b'|'].into_iter().enumerate() {
        if i > 0 && delimiter == usual {
            continue;
        }
        let Ok(mut records) = Records::new(source.open(quiet)?, delimiter) else { continue };
        let mut record = Record::default();
        let (mut width, mut even) = (0, true);
        for n in 0..20 {
            match records.next(&mut record) {
                Ok(true) if n == 0 => width = record.len(),
                Ok(true) => even &= record.len() == width,
                Ok(false) => break,
                // What is wrong is told by the reading proper.
                Err(_) => even = false,
            }
            if !even {
                break;
            }
        }
        if delimiter == usual {
            best = (usual, width, even);
            if width > 1 && even {
                break;
            }
        } else if even && width > best.1 && !(best.2 && best.1 > 1) {
            best = (delimiter, width, even);
        }
    }
    Ok(best.0)
}
