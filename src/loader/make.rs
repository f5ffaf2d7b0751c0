//! Makes a batch: reads the cells of its rows, decodes pictures each into its own part of the batch's buffer, and finds others for rows that cannot be loaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, UInt8Array};
use arrow::buffer::{BooleanBuffer, Buffer, ScalarBuffer};
use arrow::compute::{concat, interleave};
use bytes::Bytes;
use fast_image_resize::Resizer;

use crate::store::Recycled;

use super::batch::Batch;
use super::field::{Data, Field, Kind, no_picture, pictures};
use super::images::{Images, decode};
use super::options::{BadRows, Nulls, Options};
use super::random::{Draws, Use};
use super::selection::{Cells, Selection};
use super::{LastBatch, LoaderError};

/// Rows that are tried in the place of a bad one.
const TRIES: u64 = 64;

/// What the loader's threads count.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub skipped: AtomicU64,
    pub bytes: AtomicU64,
    pub read_nanos: AtomicU64,
    pub decode_nanos: AtomicU64,
}

impl Counters {
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    fn read(&self, since: Instant, cells: &[ArrayRef]) {
        Counters::add(&self.read_nanos, since.elapsed().as_nanos() as u64);
        let bytes: usize = cells.iter().map(|cells| cells.to_data().get_slice_memory_size().unwrap_or_default()).sum();
        Counters::add(&self.bytes, bytes as u64);
    }
}

/// Rows that were read together: those of this rank in a window of the order.
#[derive(Debug)]
pub(super) struct Window {
    /// The rows, in the order in which they are loaded.
    pub rows: Vec<u64>,
    /// Their cells in the columns that are read so; none where each batch reads its own.
    pub cells: Vec<Cells>,
    /// Says that it is gone.
    pub _held: Option<super::pool::Held>,
}

/// A batch that is to be made.
pub(super) struct Task {
    pub sequence: u64,
    pub epoch: u64,
    /// Its rows, as parts of windows.
    pub pieces: Vec<(Arc<Window>, std::ops::Range<usize>)>,
    /// The place of its first sample in the epoch.
    pub place: u64,
    /// Samples of the epoch that are delivered with it, on all ranks.
    pub delivered: u64,
    pub is_last: bool,
}

impl Task {
    /// Its rows, in order.
    pub fn rows(&self) -> Vec<u64> {
        let parts = self.pieces.iter().filter_map(|(window, range)| window.rows.get(range.clone()));
        parts.flatten().copied().collect()
    }
}

/// How batches are made of a selection.
pub(super) struct Maker {
    pub selection: Selection,
    pub options: Options,
    pub kinds: Vec<Kind>,
    /// Columns that are read for each batch; the others are read for each window.
    pub direct: Vec<usize>,
    pub windowed: Vec<usize>,
    pub floats: Option<Box<[[f32; 256]; 3]>>,
    pub counters: Arc<Counters>,
}

/// What a thread keeps from picture to picture.
#[derive(Default)]
pub(super) struct Tools {
    resizer: Resizer,
    pixels: Vec<u8>,
}

/// The pictures of one column of a batch.
struct Pictures {
    column: usize,
    shape: Option<[usize; 3]>,
    rows: usize,
    is_float: bool,
    numbers: Numbers,
}

enum Numbers {
    /// Until the shape of one picture is known.
    None,
    Bytes(Recycled),
    Floats(Recycled),
}

/// A cell that cannot be loaded.
struct Bad {
    row: usize,
    column: usize,
    why: String,
}

impl Maker {
    /// The labels of a column that comes as their numbers.
    pub fn labels(&self, column: &str) -> Option<&[String]> {
        let at = self.selection.columns().iter().position(|known| known.name == column)?;
        match self.kinds.get(at)? {
            Kind::Codes(labels) => Some(labels),
            _ => None,
        }
    }

    /// Batches of a whole epoch, on each rank.
    pub fn batches_an_epoch(&self) -> u64 {
        self.options.share().steps(self.selection.rows(), 0)
    }

    /// Makes a batch.
    pub fn make(&self, task: &Task, tools: &mut Tools) -> Result<Batch, LoaderError> {
        let mut rows = task.rows();
        let started = Instant::now();
        let mut cells = self.cells(task, &rows)?;
        self.counters.read(started, &cells);

        let started = Instant::now();
        let mut bad: Vec<Bad> = Vec::new();
        let mut missing: Vec<Vec<usize>> = vec![Vec::new(); self.kinds.len()];
        for ((column, (kind, cells)), missing) in self.kinds.iter().zip(&cells).enumerate().zip(&mut missing) {
            for (row, why) in kind.bad(cells, self.options.lists) {
                if self.is_masked(cells, row) { missing.push(row) } else { bad.push(Bad { row, column, why }) }
            }
        }
        let padding = if self.options.last == LastBatch::Pad { (self.options.batch as usize).saturating_sub(rows.len()) } else { 0 };
        let augment = Draws::new(self.options.seed.unwrap_or(0), task.epoch, Use::Augment);
        let mut decoded = Vec::new();
        if let Some(images) = &self.options.images {
            for (column, _) in self.kinds.iter().enumerate().filter(|(_, kind)| **kind == Kind::Pixels) {
                let mut pictures = Pictures::new(column, images, rows.len() + padding, self.floats.is_some());
                let files = cells.get(column).and_then(|cells| cells.as_binary_opt::<i32>());
                for (row, file) in files.into_iter().flat_map(|files| files.iter().enumerate()) {
                    let Some(file) = file else { continue };
                    if let Err(why) = self.decode(&mut pictures, images, file, row, (&augment, task.place), tools, &rows)? {
                        bad.push(Bad { row, column, why });
                    }
                }
                decoded.push(pictures);
            }
        }
        match self.options.bad_rows {
            BadRows::Stop => {
                if let Some(first) = bad.iter().min_by_key(|bad| bad.row) {
                    let row = rows.get(first.row).map_or_else(String::new, |row| self.selection.name(*row));
                    return Err(LoaderError::BadCell { column: self.name(first.column), row, why: first.why.clone() });
                }
            }
            BadRows::Null => {
                for bad in &bad {
                    if let Some(rows) = missing.get_mut(bad.column) {
                        rows.push(bad.row);
                    }
                }
            }
            BadRows::Skip => {
                bad.sort_by_key(|bad| bad.row);
                bad.dedup_by_key(|bad| bad.row);
                let mut substitutes = Vec::with_capacity(bad.len());
                for bad in &bad {
                    let (row, cells) = self.substitute(bad, task, &mut decoded, tools, &rows)?;
                    for ((missing, cells), kind) in missing.iter_mut().zip(&cells).zip(&self.kinds) {
                        missing.retain(|row| *row != bad.row);
                        if self.is_masked(cells, 0) && !matches!(kind, Kind::Text | Kind::Bytes) {
                            missing.push(bad.row);
                        }
                    }
                    substitutes.push((bad.row, cells));
                    if let Some(known) = rows.get_mut(bad.row) {
                        *known = row;
                    }
                }
                Counters::add(&self.counters.skipped, bad.len() as u64);
                cells = self.replaced(cells, &substitutes)?;
            }
        }
        let valid = rows.len();
        let mut fields = Vec::with_capacity(self.kinds.len());
        for (column, (kind, cells)) in self.kinds.iter().zip(cells).enumerate() {
            let missing = missing.get(column).map(Vec::as_slice).unwrap_or_default();
            let data = match decoded.iter_mut().find(|pictures| pictures.column == column) {
                Some(pictures) => pictures.finish(missing, valid, self.options.images.as_ref())?,
                None => kind.collate(cells, missing, padding, self.options.lists)?,
            };
            let mask = (!missing.is_empty()).then(|| BooleanBuffer::collect_bool(valid + padding, |row| row < valid && !missing.contains(&row)));
            fields.push(Field { name: self.name(column), data, mask });
        }
        Counters::add(&self.counters.decode_nanos, started.elapsed().as_nanos() as u64);
        Ok(Batch { epoch: task.epoch, is_last: task.is_last, delivered: task.delivered, valid, rows, fields })
    }

    /// A null that a mask tells of.
    fn is_masked(&self, cells: &ArrayRef, row: usize) -> bool {
        self.options.nulls == Nulls::Mask && cells.is_null(row)
    }

    fn name(&self, column: usize) -> String {
        self.selection.columns().get(column).map_or_else(String::new, |column| column.name.clone())
    }

    /// Starts to bring what holds these rows in the columns that are read for each batch. What fails is told when they are read.
    pub fn bring(&self, rows: &[u64]) {
        let _ = self.selection.bring(&self.direct, rows);
    }

    /// The cells of a batch's rows, by column.
    fn cells(&self, task: &Task, rows: &[u64]) -> Result<Vec<ArrayRef>, LoaderError> {
        let mut found: Vec<Option<ArrayRef>> = vec![None; self.kinds.len()];
        let is_early = task.pieces.iter().any(|(window, _)| window.cells.is_empty());
        for (at, column) in self.windowed.iter().enumerate().filter(|_| !is_early) {
            let parts = task.pieces.iter().filter_map(|(window, range)| Some(window.cells.get(at)?.slice(range.start, range.len())));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            let whole = match parts.as_slice() {
                [one] => one.clone(),
                [] => arrow::array::new_empty_array(&self.storage(*column)),
                many => concat(&many.iter().map(|part| &**part).collect::<Vec<_>>())?,
            };
            found.get_mut(*column).map(|found| found.replace(whole));
        }
        let all: Vec<usize> = (0..self.kinds.len()).collect();
        let direct = if is_early { &all } else { &self.direct };
        for (column, cells) in direct.iter().zip(self.selection.gather(direct, rows)?) {
            let whole = cells.in_order()?;
            found.get_mut(*column).map(|found| found.replace(whole));
        }
        Ok(found.into_iter().enumerate().map(|(column, cells)| cells.unwrap_or_else(|| arrow::array::new_empty_array(&self.storage(column)))).collect())
    }

    fn storage(&self, column: usize) -> arrow::datatypes::DataType {
        self.selection.columns().get(column).map_or(arrow::datatypes::DataType::Null, |column| column.ty.storage())
    }

    /// Decodes a picture into its place. The inner error is of the picture, the outer one of the whole.
    #[allow(clippy::too_many_arguments)]
    fn decode(
        &self,
        pictures: &mut Pictures,
        images: &Images,
        file: &[u8],
        row: usize,
        (draws, place): (&Draws, u64),
        tools: &mut Tools,
        rows: &[u64],
    ) -> Result<Result<(), String>, LoaderError> {
        let pixels = match decode(file, images.channels) {
            Ok(pixels) => pixels,
            Err(why) => return Ok(Err(why)),
        };
        let shape = images.shape(&pixels);
        let known = *pictures.shape.get_or_insert(shape);
        if shape != known {
            let why = format!("its pixels are {shape:?}, those of the pictures before it {known:?}: give a size that all are made to fit");
            let row = rows.get(row).map_or_else(String::new, |row| self.selection.name(*row));
            return Err(LoaderError::BadCell { column: self.name(pictures.column), row, why });
        }
        let count: usize = shape.iter().product();
        let range = row * count..(row + 1) * count;
        let place = place + row as u64;
        pictures.make_room();
        Ok(match (&mut pictures.numbers, &self.floats) {
            (Numbers::Bytes(bytes), _) => match bytes.bytes_mut().get_mut(range) {
                Some(to) => images.write(&pixels, &mut tools.resizer, draws, place, to),
                None => Err("there is no room for it".into()),
            },
            (Numbers::Floats(numbers), Some(floats)) => {
                tools.pixels.resize(count, 0);
                let written = images.write(&pixels, &mut tools.resizer, draws, place, &mut tools.pixels);
                if let Some(to) = numbers.floats_mut().get_mut(range) {
                    images.write_floats(floats, &tools.pixels, to);
                }
                written
            }
            _ => Err("there is no room for it".into()),
        })
    }

    /// A row that can be loaded in the place of one that cannot: drawn by seed, epoch and place, so it is the same on all ranks and threads.
    fn substitute(&self, bad: &Bad, task: &Task, decoded: &mut [Pictures], tools: &mut Tools, rows: &[u64]) -> Result<(u64, Vec<ArrayRef>), LoaderError> {
        let seed = self.options.seed.unwrap_or(0);
        let (draws, augment) = (Draws::new(seed, task.epoch, Use::Substitutes), Draws::new(seed, task.epoch, Use::Augment));
        let place = task.place + bad.row as u64;
        let all: Vec<usize> = (0..self.kinds.len()).collect();
        let mut last = (bad.column, bad.why.clone());
        'tries: for attempt in 0..TRIES {
            let row = draws.below(place.wrapping_mul(TRIES).wrapping_add(attempt), self.selection.rows().max(1));
            let cells = self.selection.gather(&all, &[row])?;
            let cells = cells.into_iter().map(Cells::in_order).collect::<Result<Vec<_>, _>>()?;
            for (column, (kind, cells)) in self.kinds.iter().zip(&cells).enumerate() {
                if let Some((_, why)) = kind.bad(cells, self.options.lists).into_iter().find(|(row, _)| !self.is_masked(cells, *row)) {
                    last = (column, why);
                    continue 'tries;
                }
            }
            if let Some(images) = &self.options.images {
                for pictures in decoded.iter_mut() {
                    let file = cells.get(pictures.column).and_then(|cells| cells.as_binary_opt::<i32>()).filter(|files| !files.is_empty() && files.is_valid(0));
                    let Some(file) = file else { continue };
                    if let Err(why) = self.decode(pictures, images, file.value(0), bad.row, (&augment, task.place), tools, rows)? {
                        last = (pictures.column, why);
                        continue 'tries;
                    }
                }
            }
            return Ok((row, cells));
        }
        Err(LoaderError::AllBad { tried: TRIES + 1, column: self.name(last.0), why: last.1 })
    }

    /// The cells with those of other rows in the place of some.
    fn replaced(&self, cells: Vec<ArrayRef>, substitutes: &[(usize, Vec<ArrayRef>)]) -> Result<Vec<ArrayRef>, LoaderError> {
        if substitutes.is_empty() {
            return Ok(cells);
        }
        let mut out = Vec::with_capacity(cells.len());
        for (column, (cells, kind)) in cells.into_iter().zip(&self.kinds).enumerate() {
            if *kind == Kind::Pixels {
                out.push(cells);
                continue;
            }
            let mut places: Vec<(usize, usize)> = (0..cells.len()).map(|row| (0, row)).collect();
            let mut from: Vec<&dyn Array> = vec![&*cells];
            for (row, others) in substitutes {
                if let (Some(place), Some(other)) = (places.get_mut(*row), others.get(column)) {
                    *place = (from.len(), 0);
                    from.push(&**other);
                }
            }
            out.push(interleave(&from, &places)?);
        }
        Ok(out)
    }
}

impl Pictures {
    fn new(column: usize, images: &Images, rows: usize, is_float: bool) -> Pictures {
        let channels = images.channels.count();
        let shape = images.size.map(|(height, width)| match no_picture(channels, images.layout) {
            [0, 0, n] => [height as usize, width as usize, n],
            [n, ..] => [n, height as usize, width as usize],
        });
        Pictures { column, shape, rows, is_float, numbers: Numbers::None }
    }

    /// Room for all pictures of the batch, once the shape of one is known.
    fn make_room(&mut self) {
        if let Numbers::None = self.numbers {
            let count = self.rows * self.shape.map_or(0, |shape| shape.iter().product());
            let is_float = self.is_float;
            self.numbers = if is_float { Numbers::Floats(Recycled::new(count * 4)) } else { Numbers::Bytes(Recycled::new(count)) };
        }
    }

    /// The numbers of all pictures; zeros for those that are missing, and behind the last.
    fn finish(&mut self, missing: &[usize], valid: usize, images: Option<&Images>) -> Result<Data, LoaderError> {
        let images = images.ok_or_else(|| LoaderError::Options("pictures are not decoded".into()))?;
        let channels = images.channels.count();
        let shape = self.shape.unwrap_or_else(|| no_picture(channels, images.layout));
        let count: usize = shape.iter().product();
        self.shape = Some(shape);
        self.make_room();
        let blank = missing.iter().copied().chain(valid..self.rows);
        let total = count * self.rows;
        let values: ArrayRef = match std::mem::replace(&mut self.numbers, Numbers::None) {
            Numbers::None => Arc::new(UInt8Array::from(Vec::<u8>::new())),
            Numbers::Bytes(mut bytes) => {
                for row in blank {
                    if let Some(to) = bytes.bytes_mut().get_mut(row * count..(row + 1) * count) {
                        to.fill(0);
                    }
                }
                Arc::new(UInt8Array::new(ScalarBuffer::new(Buffer::from(Bytes::from_owner(bytes)), 0, total), None))
            }
            Numbers::Floats(mut numbers) => {
                for row in blank {
                    if let Some(to) = numbers.floats_mut().get_mut(row * count..(row + 1) * count) {
                        to.fill(0.0);
                    }
                }
                Arc::new(Float32Array::new(ScalarBuffer::new(Buffer::from(Bytes::from_owner(numbers)), 0, total), None))
            }
        };
        Ok(Data::Tensor { values, shape: pictures(self.rows, shape), lengths: None })
    }
}
