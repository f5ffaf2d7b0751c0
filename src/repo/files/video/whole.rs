//! Videos as they are, a row each: their bytes, how long they are and how large.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Float64Array, Int32Array, StringArray, new_null_array};
use arrow::datatypes::DataType;

use super::super::conform::conform;
use super::super::error::{FileError, Place};
use super::super::reading::{Found, Guess, Part, Parts, Reader};
use super::super::source::Source;
use super::super::{LargeCell, OnError, ReadOptions};
use super::VideoOptions;
use super::ffmpeg::{Ended, Item, Next, Run, Running, Task};
use crate::base::Progress;
use crate::format::Type;

pub struct Whole {
    source: Arc<Source>,
    video: VideoOptions,
}

impl Whole {
    pub fn new(source: Arc<Source>, video: VideoOptions) -> Whole {
        Whole { source, video }
    }
}

impl Reader for Whole {
    fn find(&self, _: &ReadOptions, _: &dyn Fn(&str) -> bool, _: &Arc<dyn Progress>) -> Result<Found, FileError> {
        let columns = [
            ("video_id", Type::TEXT),
            ("source", Type::TEXT),
            ("duration", Type::Plain(DataType::Float64)),
            ("fps", Type::Plain(DataType::Float64)),
            ("width", Type::Plain(DataType::Int32)),
            ("height", Type::Plain(DataType::Int32)),
            ("video", Type::Video),
        ];
        Ok(Found { columns: columns.into_iter().map(|(name, ty)| (name.to_owned(), Guess::Fixed(ty))).collect(), open: true })
    }

    fn parts(&self, columns: &[(String, Type)], options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Box<dyn Parts>, FileError> {
        Ok(Box::new(WholeParts {
            source: self.source.clone(),
            video: self.video.clone(),
            columns: columns.to_vec(),
            options: options.clone(),
            progress: progress.clone(),
            done: false,
            skipped: vec![],
        }))
    }
}

struct WholeParts {
    source: Arc<Source>,
    video: VideoOptions,
    columns: Vec<(String, Type)>,
    options: ReadOptions,
    progress: Arc<dyn Progress>,
    done: bool,
    skipped: Vec<(u64, String)>,
}

/// What the packets of a video tell of it.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Facts {
    size: Option<(i32, i32)>,
    /// Seconds from the start of the file to the end of the last frame.
    duration: Option<f64>,
    /// Frames a second, on the average.
    fps: Option<f64>,
}

impl WholeParts {
    /// Counts the packets: nothing is decoded.
    fn facts(&mut self) -> Result<Facts, FileError> {
        let mut facts = Facts::default();
        let run = Run { path: self.source.path.clone(), options: self.video.clone(), task: Task::Count, strict: self.options.on_error == OnError::Stop };
        let mut running = Running::start(run)?;
        let (mut count, mut first, mut last, mut end) = (0u64, i64::MAX, i64::MIN, i64::MIN);
        loop {
            match running.next(&*self.progress)? {
                Next::Item(Item::Size(width, height)) => facts.size = i32::try_from(width).ok().zip(i32::try_from(height).ok()),
                Next::Item(Item::Packet { micros, duration_micros, .. }) => {
                    count += 1;
                    (first, last, end) = (first.min(micros), last.max(micros), end.max(micros.saturating_add(duration_micros)));
                }
                Next::End(Ended::Whole(_)) => break,
                Next::End(Ended::Broken(why)) if self.options.on_error == OnError::Stop => return Err(self.source.bad(Place::File, why)),
                Next::End(Ended::Broken(why)) => {
                    self.skipped.push((0, format!("kept as it is: {why}")));
                    break;
                }
            }
        }
        let between = last.saturating_sub(first);
        facts.duration = (count > 0).then(|| end as f64 / 1e6);
        facts.fps = (count > 1 && between > 0).then(|| (count - 1) as f64 * 1e6 / between as f64);
        Ok(facts)
    }
}

impl Parts for WholeParts {
    fn next(&mut self) -> Result<Option<Part>, FileError> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let facts = self.facts()?;
        let is_large = self.source.length > self.options.large_bytes;
        let (mut columns, mut large) = (Vec::with_capacity(self.columns.len()), Vec::new());
        for (at, (name, ty)) in self.columns.iter().enumerate() {
            let (own, value): (Type, ArrayRef) = match name.as_str() {
                "video_id" => (Type::TEXT, Arc::new(StringArray::from(vec![self.video.id(&self.source.path)?]))),
                "source" => (Type::TEXT, Arc::new(StringArray::from(vec![self.video.source(&self.source.path)?]))),
                "duration" => (Type::Plain(DataType::Float64), Arc::new(Float64Array::from(vec![facts.duration]))),
                "fps" => (Type::Plain(DataType::Float64), Arc::new(Float64Array::from(vec![facts.fps]))),
                "width" => (Type::Plain(DataType::Int32), Arc::new(Int32Array::from(vec![facts.size.map(|size| size.0)]))),
                "height" => (Type::Plain(DataType::Int32), Arc::new(Int32Array::from(vec![facts.size.map(|size| size.1)]))),
                "video" if is_large => {
                    large.push(LargeCell { row: 0, column: at, source: self.source.path.clone() });
                    (Type::Video, Arc::new(BinaryArray::from(vec![None])))
                }
                "video" => {
                    let bytes = std::fs::read(&self.source.path).map_err(|e| FileError::io(&self.source.name, e))?;
                    (Type::Video, Arc::new(BinaryArray::from_vec(vec![&bytes])))
                }
                _ => (ty.clone(), new_null_array(ty.field(name, true).data_type(), 1)),
            };
            columns.push(conform(&value, &own, ty).map_err(|clash| clash.misfit.at(&self.source.name, Place::Row(1), name))?);
        }
        self.progress.advance(self.source.length);
        Ok(Some(Part { large, ..Part::new(columns, 1) }))
    }

    fn skipped(&mut self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.skipped)
    }
}
