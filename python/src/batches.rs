//! Batches for training, and pictures.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::Schema;
use dsv::loader::random::{Draws, Use};
use dsv::loader::{BadRows, Channels, Data, Fit, Images, LastBatch, Layout, Lists, Loader, Normalize, Nulls, Options, Selection, State, images};
use dsv::repo::Repo;
use dsv::table::{Table, TableError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::error::Fault;
use crate::objects::{Numbers, list};
use crate::run::{Bridge, run};

/// What is asked of a loader.
pub struct Wanted {
    pub at: Option<String>,
    pub columns: Option<Vec<String>>,
    options: Options,
}

/// A named option of a dict, if it is there and not None.
fn option<'py, T: for<'a> FromPyObject<'a, 'py>>(dict: &Bound<'py, PyDict>, name: &str) -> Result<Option<T>, Fault> {
    match dict.get_item(name)?.filter(|value| !value.is_none()) {
        Some(value) => match value.extract::<T>() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Fault::usage(format!("{name} cannot be {}", value.repr()?))),
        },
        None => Ok(None),
    }
}

fn one_of<T: Copy>(what: &str, given: &str, known: &[(&str, T)]) -> Result<T, Fault> {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    known
        .iter()
        .find(|(name, _)| *name == given)
        .map(|(_, value)| *value)
        .ok_or_else(|| Fault::usage(format!("{what} '{given}' is none of {}", names.join(", "))))
}

impl Wanted {
    /// Reads the options; a name that is none of them is refused.
    pub fn of(dict: &Bound<'_, PyDict>) -> Result<Wanted, Fault> {
        const KNOWN: [&str; 19] = [
            "at",
            "columns",
            "batch",
            "seed",
            "epochs",
            "threads",
            "nice",
            "read_ahead_bytes",
            "lists",
            "length",
            "last",
            "rank",
            "world",
            "bad_rows",
            "state",
            "size",
            "fit",
            "images",
            "normalize",
        ];
        const MORE: [&str; 7] = ["layout", "channels", "flip", "area", "ratio", "colour", "nulls"];
        for name in dict.keys() {
            let name: String = name.extract()?;
            if !KNOWN.contains(&&*name) && !MORE.contains(&&*name) {
                return Err(Fault::usage(format!("there is no option '{name}'")));
            }
        }
        let plain = Options::default();
        let lists = match (option::<usize>(dict, "length")?, option::<String>(dict, "lists")?) {
            (Some(length), _) => Lists::Length(length),
            (None, Some(name)) => one_of("lists", &name, &[("ragged", Lists::Ragged), ("pad", Lists::Longest)])?,
            (None, None) => Lists::Ragged,
        };
        let state = option::<String>(dict, "state")?.map(|text| State::from_json(&text)).transpose()?;
        let options = Options {
            batch: option(dict, "batch")?.unwrap_or(plain.batch),
            seed: option(dict, "seed")?,
            epochs: option(dict, "epochs")?.unwrap_or(1),
            threads: option(dict, "threads")?.unwrap_or(plain.threads),
            nice: option(dict, "nice")?.unwrap_or(0),
            read_ahead_bytes: option(dict, "read_ahead_bytes")?.unwrap_or(plain.read_ahead_bytes),
            images: images_of(dict)?,
            lists,
            last: match option::<String>(dict, "last")? {
                Some(name) => one_of("last", &name, &[("short", LastBatch::Short), ("drop", LastBatch::Drop), ("pad", LastBatch::Pad)])?,
                None => LastBatch::Short,
            },
            rank: option(dict, "rank")?.unwrap_or(0),
            world: option(dict, "world")?.unwrap_or(1),
            bad_rows: match option::<String>(dict, "bad_rows")? {
                Some(name) => one_of("bad_rows", &name, &[("stop", BadRows::Stop), ("skip", BadRows::Skip), ("null", BadRows::Null)])?,
                None => BadRows::Stop,
            },
            nulls: match option::<String>(dict, "nulls")? {
                Some(name) => one_of("nulls", &name, &[("bad", Nulls::Bad), ("mask", Nulls::Mask)])?,
                None => Nulls::Mask,
            },
            shape: None,
            resume: state,
        };
        Ok(Wanted { at: option(dict, "at")?, columns: option(dict, "columns")?, options })
    }
}

fn images_of(dict: &Bound<'_, PyDict>) -> Result<Option<Images>, Fault> {
    if !option::<bool>(dict, "images")?.unwrap_or(false) {
        return Ok(None);
    }
    let fit = match option::<String>(dict, "fit")?.as_deref() {
        None | Some("centre" | "center") => Fit::Centre,
        Some("stretch") => Fit::Stretch,
        Some("random") => {
            let (area, ratio) = (option(dict, "area")?.unwrap_or((0.08, 1.0)), option(dict, "ratio")?.unwrap_or((3.0 / 4.0, 4.0 / 3.0)));
            Fit::Random { area, ratio }
        }
        Some("pad") => {
            let (red, green, blue) = option(dict, "colour")?.unwrap_or((0, 0, 0));
            Fit::Pad([red, green, blue])
        }
        Some(other) => return Err(Fault::usage(format!("fit '{other}' is none of centre, stretch, random, pad"))),
    };
    let normalize = option::<([f32; 3], [f32; 3])>(dict, "normalize")?.map(|(mean, std)| Normalize { mean, std });
    Ok(Some(Images {
        size: option(dict, "size")?,
        fit,
        flip: option(dict, "flip")?.unwrap_or(false),
        channels: match option::<String>(dict, "channels")? {
            Some(name) => one_of("channels", &name, &[("rgb", Channels::Rgb), ("gray", Channels::Gray)])?,
            None => Channels::Rgb,
        },
        layout: match option::<String>(dict, "layout")? {
            Some(name) => one_of("layout", &name, &[("chw", Layout::Chw), ("hwc", Layout::Hwc)])?,
            None => Layout::Chw,
        },
        normalize,
    }))
}

/// Batches of a selection, made ahead by threads of the library. It belongs to the process that it was made in.
#[pyclass(module = "dsv._dsv", frozen)]
pub struct Batches {
    loader: Mutex<Option<Loader>>,
    process: u32,
    bridge: Arc<Bridge>,
    rows: u64,
    commit: String,
    batches: u64,
    columns: Vec<(String, String)>,
}

impl Batches {
    pub fn start(py: Python<'_>, selection: Selection, wanted: Wanted, bridge: Arc<Bridge>) -> Result<Batches, Fault> {
        let loader = run(py, &bridge, || Loader::new(selection, wanted.options))?;
        let selection = loader.selection();
        let columns = selection.columns().iter().map(|column| (column.name.clone(), column.ty.to_string())).collect();
        let (rows, commit, batches) = (selection.rows(), selection.commit().to_string(), loader.batches_an_epoch());
        Ok(Batches { loader: Mutex::new(Some(loader)), process: std::process::id(), bridge, rows, commit, batches, columns })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Loader) -> T) -> Result<T, Fault> {
        if self.process != std::process::id() {
            return Err(Fault::usage("this loader belongs to the process that made it: make one in each process, or load with num_workers, which are threads"));
        }
        let mut loader = self.loader.lock().unwrap_or_else(PoisonError::into_inner);
        loader.as_mut().map(work).ok_or_else(|| Fault::usage("this loader was closed"))
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        // Its threads stayed behind in the process that made it: their end cannot be waited for here.
        if self.process != std::process::id() {
            std::mem::forget(self.loader.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

#[pymethods]
impl Batches {
    /// The next batch: its epoch, whether it is that one's last, how many samples are valid, the rows, and the columns: a name, a kind (tensor, lists, list), the values, what goes with them, and a
    /// mask. None after the last epoch.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let next = run(py, &self.bridge, || self.with(|loader| loader.next())?.transpose().map_err(Fault::from))?;
        let Some(batch) = next else { return Ok(None) };
        let fields = PyDict::new(py);
        for field in batch.fields {
            let mask = match &field.mask {
                Some(mask) => Some(PyList::new(py, mask.iter())?),
                None => None,
            };
            let told: (&str, Py<PyAny>, Option<Vec<usize>>) = match field.data {
                Data::Tensor { values, shape, lengths } => {
                    let numbers = Numbers::new(values, shape).ok_or_else(|| Fault::usage(format!("column '{}' has no numbers", field.name)))?;
                    // Pictures are decoded into the batch's own buffer; other numbers may stand where the store has them.
                    let is_picture = self.columns.iter().any(|(name, ty)| *name == field.name && ty == "image");
                    let numbers = if is_picture { numbers.own() } else { numbers };
                    ("tensor", Py::new(py, numbers)?.into_any(), lengths)
                }
                Data::Lists { values, offsets } => {
                    let count = values.len();
                    let numbers = Numbers::new(values, vec![count]).ok_or_else(|| Fault::usage(format!("column '{}' has no numbers", field.name)))?;
                    ("lists", Py::new(py, numbers)?.into_any(), Some(offsets))
                }
                Data::Text(texts) => ("list", list(py, &(Arc::new(texts) as ArrayRef), None)?.into_any().unbind(), None),
                Data::Bytes(bytes) => ("list", list(py, &(Arc::new(bytes) as ArrayRef), None)?.into_any().unbind(), None),
            };
            fields.set_item(&field.name, (told.0, told.1, told.2, mask))?;
        }
        let dict = PyDict::new(py);
        dict.set_item("epoch", batch.epoch)?;
        dict.set_item("is_last", batch.is_last)?;
        dict.set_item("valid", batch.valid)?;
        dict.set_item("rows", batch.rows)?;
        dict.set_item("fields", fields)?;
        Ok(Some(dict))
    }

    /// Where it stands, as JSON.
    fn state(&self) -> PyResult<String> {
        Ok(self.with(|loader| loader.state().to_json())?)
    }

    /// How fast it was so far, in a line.
    fn report(&self) -> PyResult<String> {
        Ok(self.with(|loader| loader.report().to_string())?)
    }

    /// The share of the time so far that was spent waiting for data.
    fn waited_share(&self) -> PyResult<f64> {
        Ok(self.with(|loader| loader.report().waited_share())?)
    }

    /// The labels of a column that comes as their numbers.
    fn labels(&self, column: &str) -> PyResult<Option<Vec<String>>> {
        Ok(self.with(|loader| loader.labels(column).map(<[String]>::to_vec))?)
    }

    /// Ends its threads.
    fn close(&self, py: Python<'_>) {
        if self.process == std::process::id() {
            let loader = self.loader.lock().unwrap_or_else(PoisonError::into_inner).take();
            py.detach(|| drop(loader));
        }
    }

    /// Rows that are loaded in an epoch, on all ranks.
    #[getter]
    fn rows(&self) -> u64 {
        self.rows
    }

    /// The commit that they are of.
    #[getter]
    fn commit(&self) -> String {
        self.commit.clone()
    }

    /// Batches of an epoch, on each rank.
    #[getter]
    fn batches_an_epoch(&self) -> u64 {
        self.batches
    }

    /// The columns by name and type.
    #[getter]
    fn columns(&self) -> Vec<(String, String)> {
        self.columns.clone()
    }
}

/// Rows of a table by their number, in that order; one may come more than once.
pub fn rows(repo: &Repo, table: &Table, columns: &[usize], rows: &[u64]) -> Result<RecordBatch, Fault> {
    let objects = repo.objects();
    let mut sorted = rows.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let slots = slots(repo, table, &sorted)?;
    let places = UInt32Array::from_iter_values(rows.iter().map(|row| sorted.partition_point(|other| other < row) as u32));
    let (mut arrays, mut fields) = (Vec::new(), Vec::new());
    for column in columns {
        let known = table.schema.columns.get(*column).ok_or_else(|| Fault::usage(format!("there is no column {column}")))?;
        let field = known.ty.field(&known.name, true);
        let parts = table.reader(objects, *column)?.take(&slots)?;
        let values = dsv::table::scan::retype(&take(&parts, &places, None).map_err(TableError::from)?, field.data_type())?;
        arrays.push(values);
        fields.push(field);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(TableError::from)?)
}

/// The slots of rows, which go up.
fn slots(repo: &Repo, table: &Table, rows: &[u64]) -> Result<Vec<u64>, Fault> {
    let objects = &**repo.objects();
    let live = table.live.get(objects).map_err(TableError::from)?;
    let (mut slots, mut before, mut next) = (Vec::with_capacity(rows.len()), 0, 0);
    for run in live.items(objects, 0, live.rows()).map_err(TableError::from)? {
        let (start, run) = run.map_err(TableError::from)?;
        if !run.live {
            continue;
        }
        while let Some(row) = rows.get(next).filter(|row| **row < before + run.rows) {
            slots.push(start + (row - before));
            next += 1;
        }
        before += run.rows;
        if next == rows.len() {
            break;
        }
    }
    Ok(slots)
}

/// Pixels as a PNG file.
pub fn png<'py>(py: Python<'py>, pixels: &[u8], (height, width): (u32, u32), channels: u8) -> PyResult<Bound<'py, PyBytes>> {
    let file = py.detach(|| images::png(pixels, (height, width), channels)).map_err(Fault::usage)?;
    Ok(PyBytes::new(py, &file))
}

/// The pixels of a picture: rows of red, green and blue.
pub fn pixels(py: Python<'_>, file: &[u8]) -> PyResult<Numbers> {
    let decoded = py.detach(|| -> Result<_, String> {
        let pixels = images::decode(file, Channels::Rgb)?;
        let plain = Images { layout: Layout::Hwc, ..Images::default() };
        let shape = plain.shape(&pixels);
        let mut values = vec![0u8; shape.iter().product()];
        plain.write(&pixels, &mut Default::default(), &Draws::new(0, 0, Use::Augment), 0, &mut values)?;
        Ok((values, shape))
    });
    let (values, shape) = decoded.map_err(|why| Fault::usage(format!("this is no picture: {why}")))?;
    let array: ArrayRef = Arc::new(arrow::array::UInt8Array::from(values));
    Ok(Numbers::new(array, shape.to_vec()).ok_or_else(|| Fault::usage("there are no pixels"))?)
}
