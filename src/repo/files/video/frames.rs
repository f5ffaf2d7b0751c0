//! The frames of a video, a row each.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray, new_null_array};
use arrow::datatypes::DataType;

use super::super::attach::{Cells, MEDIA_BATCH_BYTES};
use super::super::conform::conform;
use super::super::error::{FileError, Place};
use super::super::media::{self, MediaKind};
use super::super::reading::{Found, Guess, Part, Parts, Reader};
use super::super::source::Source;
use super::super::{OnError, ReadOptions};
use super::captions::Captions;
use super::ffmpeg::{Ended, Item, Next, Run, Running, Task};
use super::{VideoOptions, read_captions};
use crate::base::Progress;
use crate::format::Type;

pub struct Frames {
    source: Arc<Source>,
    video: VideoOptions,
    subtitles: Option<PathBuf>,
}

impl Frames {
    pub fn new(source: Arc<Source>, video: VideoOptions) -> Frames {
        let subtitles = video.subtitles_of(&source.path);
        Frames { source, video, subtitles }
    }
}

impl Reader for Frames {
    fn find(&self, options: &ReadOptions, _: &dyn Fn(&str) -> bool, _: &Arc<dyn Progress>) -> Result<Found, FileError> {
        let mut columns = vec![
            ("video_id", Type::TEXT),
            ("frame_index", Type::Plain(DataType::Int64)),
            ("timestamp", Type::Plain(DataType::Float64)),
            ("frame", Type::Image),
            ("width", Type::Plain(DataType::Int32)),
            ("height", Type::Plain(DataType::Int32)),
        ];
        if let Some(file) = &self.subtitles {
            // Bad ones are told before an hour of frames.
            read_captions(file, options.on_error)?;
            columns.push(("caption", Type::TEXT));
        }
        columns.push(("source", Type::TEXT));
        // Other videos of the import may have captions.
        Ok(Found { columns: columns.into_iter().map(|(name, ty)| (name.to_owned(), Guess::Fixed(ty))).collect(), open: true })
    }

    fn parts(&self, columns: &[(String, Type)], options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Box<dyn Parts>, FileError> {
        let (captions, left_out) = match &self.subtitles {
            Some(file) => read_captions(file, options.on_error)?,
            None => Default::default(),
        };
        let run = Run { path: self.source.path.clone(), options: self.video.clone(), task: Task::Frames, strict: options.on_error == OnError::Stop };
        Ok(Box::new(FrameParts {
            id: self.video.id(&self.source.path)?,
            link: self.video.source(&self.source.path)?,
            running: Some(Running::start(run)?),
            captions: self.subtitles.is_some().then_some(captions),
            source: self.source.clone(),
            columns: columns.to_vec(),
            options: options.clone(),
            progress: progress.clone(),
            rows: 0,
            told: 0,
            skipped: left_out.into_iter().map(|why| (0, why)).collect(),
        }))
    }
}

struct FrameParts {
    source: Arc<Source>,
    id: String,
    link: String,
    captions: Option<Captions>,
    /// None once the video has ended.
    running: Option<Running>,
    columns: Vec<(String, Type)>,
    options: ReadOptions,
    progress: Arc<dyn Progress>,
    /// Frames so far.
    rows: u64,
    /// Bytes that progress was told of.
    told: u64,
    skipped: Vec<(u64, String)>,
}

/// Frames of one part.
struct Taken {
    micros: Vec<i64>,
    sizes: Vec<(i32, i32)>,
    cells: Cells,
}

impl FrameParts {
    /// The next frame's time and bytes; `None` at the end.
    fn frame(&mut self) -> Result<Option<(i64, Vec<u8>)>, FileError> {
        loop {
            let Some(running) = &mut self.running else { return Ok(None) };
            match running.next(&*self.progress)? {
                Next::Item(Item::Packet { micros, bytes, .. }) => {
                    // As far into the file as into the time that it plays.
                    if let Some(duration) = running.duration_micros() {
                        let done = u128::from(self.source.length) * u128::from(micros.max(0).unsigned_abs().min(duration)) / u128::from(duration);
                        self.advance(u64::try_from(done).unwrap_or(0));
                    }
                    return Ok(Some((micros, bytes)));
                }
                Next::Item(Item::Size(..)) => {}
                Next::End(ended) => {
                    self.running = None;
                    self.end(ended)?;
                }
            }
        }
    }

    fn end(&mut self, ended: Ended) -> Result<(), FileError> {
        self.advance(self.source.length);
        let stop = self.options.on_error == OnError::Stop;
        match ended {
            Ended::Whole(_) if stop && self.rows > 0 => Ok(()),
            Ended::Whole(None) if self.rows > 0 => Ok(()),
            Ended::Whole(Some(complaint)) if self.rows > 0 => {
                self.skipped.push((0, format!("damaged frames may be among those taken: {complaint}")));
                Ok(())
            }
            Ended::Whole(_) => self.broken("it has no frames".to_owned()),
            Ended::Broken(why) => self.broken(why),
        }
    }

    /// Something is wrong from here on.
    fn broken(&mut self, why: String) -> Result<(), FileError> {
        if self.options.on_error == OnError::Stop {
            let hint = "--on-error skip takes the frames that can be read, and goes on with the next video";
            return Err(self.source.bad(Place::File, why).with_hint(hint));
        }
        self.skipped.push((0, if self.rows == 0 { format!("left out: {why}") } else { format!("frames are missing after the first {}: {why}", self.rows) }));
        Ok(())
    }

    fn advance(&mut self, done: u64) {
        self.progress.advance(done.saturating_sub(self.told));
        self.told = self.told.max(done);
    }

    fn part(&self, taken: Taken) -> Result<Part, FileError> {
        let n = taken.micros.len();
        let first = self.rows - n as u64;
        let same = |text: &str| Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, n))) as ArrayRef;
        let mut frames = Some(taken.cells.finish().map_err(FileError::usage)?);
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, ty) in &self.columns {
            let (own, values): (Type, ArrayRef) = match (name.as_str(), &self.captions) {
                ("video_id", _) => (Type::TEXT, same(&self.id)),
                ("source", _) => (Type::TEXT, same(&self.link)),
                ("frame_index", _) => (Type::Plain(DataType::Int64), Arc::new(Int64Array::from_iter_values((first..self.rows).map(|i| i as i64)))),
                ("timestamp", _) => {
                    let seconds = taken.micros.iter().map(|micros| *micros as f64 / 1e6);
                    (Type::Plain(DataType::Float64), Arc::new(Float64Array::from_iter_values(seconds)))
                }
                ("frame", _) => match frames.take() {
                    Some(frames) => (Type::Image, Arc::new(frames)),
                    None => return Err(FileError::usage("two columns are named 'frame'")),
                },
                ("width", _) => (Type::Plain(DataType::Int32), Arc::new(taken.sizes.iter().map(|size| Some(size.0)).collect::<Int32Array>())),
                ("height", _) => (Type::Plain(DataType::Int32), Arc::new(taken.sizes.iter().map(|size| Some(size.1)).collect::<Int32Array>())),
                ("caption", Some(captions)) => (Type::TEXT, Arc::new(taken.micros.iter().map(|micros| captions.at(*micros)).collect::<StringArray>())),
                _ => (ty.clone(), new_null_array(ty.field(name, true).data_type(), n)),
            };
            columns.push(conform(&values, &own, ty).map_err(|clash| {
                let row = first + clash.row.map_or(0, |row| row as u64) + 1;
                clash.misfit.at(&self.source.name, Place::Row(row), name)
            })?);
        }
        Ok(Part::new(columns, n))
    }
}

impl Parts for FrameParts {
    fn next(&mut self) -> Result<Option<Part>, FileError> {
        let batch_bytes = self.options.batch_bytes.min(MEDIA_BATCH_BYTES);
        let mut taken = Taken { micros: vec![], sizes: vec![], cells: Cells::with_capacity(batch_bytes, &self.options) };
        while taken.micros.len() < self.options.batch_rows && taken.cells.bytes() < batch_bytes {
            let Some((micros, bytes)) = self.frame()? else { break };
            let size = media::sniff(&bytes).filter(|media| media.kind == MediaKind::Image).and_then(|media| {
                let side = |side: Option<u32>| i32::try_from(side?).ok();
                Some((side(media.width)?, side(media.height)?))
            });
            let Some(size) = size else {
                self.running = None;
                self.broken("ffmpeg gave something else than a picture".to_owned())?;
                break;
            };
            taken.micros.push(micros);
            taken.sizes.push(size);
            taken.cells.add(&bytes);
            self.rows += 1;
        }
        if taken.micros.is_empty() { Ok(None) } else { self.part(taken).map(Some) }
    }

    fn skipped(&mut self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.skipped)
    }
}
