//! JSON: one object a line, or a document with an array of objects.
//!
//! Where the array is not the document itself, `records` names it: `features`, or `data.items` for one further in. Everything
//! around the array is left behind. A name that an object lacks is null. [`shape`] tells how types are found.

pub(super) mod node;
mod scan;
pub(super) mod shape;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::build::{self, Build};
use super::error::{FileError, Place};
use super::reading::{Found, Guess, Part, Parts, Reader};
use super::source::Source;
use super::{FileFormat, ReadOptions};
use crate::base::Progress;
use crate::format::Type;
use node::{Node, Value};
use scan::Values;
use shape::Shape;

/// More columns are taken for data in the place of names.
const COLUMNS_MAX: usize = 10_000;

pub(super) struct Json {
    source: Arc<Source>,
}

impl Json {
    pub fn open(source: Arc<Source>) -> Json {
        Json { source }
    }

    fn values(&self, options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Values, FileError> {
        let stream = self.source.open(progress)?;
        match self.source.format {
            FileFormat::JsonLines if options.records.is_none() => Values::lines(stream),
            _ => Values::array(stream, options.records.as_deref()),
        }
    }
}

/// Names and values of an object.
type Fields<'a> = Vec<(Cow<'a, str>, Node<'a>)>;

/// The next object's fields, and the line it starts on.
fn record<'a>(values: &'a mut Values, source: &Source) -> Result<Option<(Fields<'a>, u64)>, FileError> {
    let Some((text, line)) = values.next()? else { return Ok(None) };
    let node = node::parse(text).map_err(|fault| {
        let breaks = text.as_bytes().iter().take(fault.at).filter(|b| **b == b'\n').count() as u64;
        source.bad(Place::Line(line + breaks), format!("is not JSON: {}, at byte {} of the value", fault.what, fault.at))
    })?;
    match node.value {
        Value::Object(fields) => Ok(Some((fields, line))),
        _ => Err(source.bad(Place::Line(line), format!("holds {}, where a row should be an object with names", node.kind()))),
    }
}

impl Reader for Json {
    fn find(&self, options: &ReadOptions, skip: &dyn Fn(&str) -> bool, progress: &Arc<dyn Progress>) -> Result<Found, FileError> {
        let mut values = self.values(options, progress)?;
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut columns: Vec<(String, Shape)> = Vec::new();
        while let Some((fields, line)) = record(&mut values, &self.source)? {
            for (i, (name, node)) in fields.iter().enumerate() {
                // Most rows have the names in one order.
                let at = match columns.get(i) {
                    Some((known, _)) if known == name => i,
                    _ => match places.get(name.as_ref()) {
                        Some(at) => *at,
                        None => {
                            if columns.len() == COLUMNS_MAX {
                                return Err(self.source.bad(Place::Line(line), format!("more than {COLUMNS_MAX} different names: are they data?")));
                            }
                            places.insert(name.to_string(), columns.len());
                            columns.push((name.to_string(), Shape::Nothing));
                            columns.len() - 1
                        }
                    },
                };
                if let Some((name, shape)) = columns.get_mut(at)
                    && !skip(name)
                {
                    shape.see(node);
                }
            }
        }
        Ok(Found { columns: columns.into_iter().map(|(name, shape)| (name, Guess::Shape(shape))).collect(), open: true })
    }

    fn parts(&self, columns: &[(String, Type)], options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Box<dyn Parts>, FileError> {
        let builders = columns.iter().map(|(name, ty)| build::builder(ty).map_err(|misfit| misfit.at(&self.source.name, Place::File, name)));
        Ok(Box::new(JsonParts {
            values: self.values(options, progress)?,
            source: self.source.clone(),
            builders: builders.collect::<Result<_, _>>()?,
            places: columns.iter().enumerate().map(|(i, (name, _))| (name.clone(), i)).collect(),
            names: columns.iter().map(|(name, _)| name.clone()).collect(),
            row_bytes: build::row_bytes(columns),
            limits: (options.batch_rows, options.batch_bytes),
        }))
    }
}

struct JsonParts {
    values: Values,
    source: Arc<Source>,
    builders: Vec<Box<dyn Build>>,
    places: HashMap<String, usize>,
    names: Vec<String>,
    row_bytes: usize,
    limits: (usize, usize),
}

impl Parts for JsonParts {
    fn next(&mut self) -> Result<Option<Part>, FileError> {
        let (mut rows, mut bytes) = (0, 0);
        let mut row: Vec<Option<Node<'_>>> = Vec::new();
        while rows < self.limits.0 && bytes < self.limits.1 {
            row.clear();
            row.resize(self.names.len(), None);
            let Some((fields, line)) = record(&mut self.values, &self.source)? else { break };
            rows += 1;
            bytes += self.row_bytes;
            for (i, (name, node)) in fields.into_iter().enumerate() {
                let at = match self.names.get(i) {
                    Some(known) if *known == name => Some(i),
                    _ => self.places.get(name.as_ref()).copied(),
                };
                // Columns may have been left out by a schema only where the file lacks them.
                let Some(cell) = at.and_then(|at| row.get_mut(at)) else {
                    return Err(self.source.bad(Place::Line(line), format!("has the name '{name}', which was not there before: did the file change?")));
                };
                bytes += node.raw.len();
                *cell = Some(node);
            }
            for ((cell, builder), name) in row.iter().zip(&mut self.builders).zip(&self.names) {
                match cell {
                    None => builder.null(),
                    Some(node) => builder.json(node).map_err(|misfit| misfit.at(&self.source.name, Place::Line(line), name))?,
                }
            }
            row = Vec::new();
        }
        if rows == 0 {
            return Ok(None);
        }
        Ok(Some(Part::new(self.builders.iter_mut().map(|b| b.finish()).collect(), rows)))
    }
}
