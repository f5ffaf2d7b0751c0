//! Answers to queries, as Arrow streams and as Python's own values.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchReader, StructArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, SchemaRef};
use arrow::error::ArrowError;
use dsv::format::Type;
use dsv::query::Answer as Running;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyTuple};
use pyo3_arrow::ffi::{ArrayIterator, to_array_pycapsules, to_schema_pycapsule, to_stream_pycapsule};

use crate::error::Fault;
use crate::objects::{Numbers, list};
use crate::run::{Bridge, run};

/// An answer as it arrives: batches, in order, each once.
#[pyclass(module = "dsv._dsv", frozen)]
pub struct Answer {
    running: Mutex<Option<Running>>,
    schema: SchemaRef,
    hints: Vec<String>,
    bridge: Arc<Bridge>,
}

impl Answer {
    pub fn new(running: Running, bridge: Arc<Bridge>) -> Answer {
        let (schema, hints) = (running.schema(), running.hints().to_vec());
        Answer { running: Mutex::new(Some(running)), schema, hints, bridge }
    }

    fn take(&self) -> Option<Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The answer for whoever reads Arrow streams; they call it on any thread, without Python.
struct Stream {
    running: Running,
    schema: SchemaRef,
}

impl Iterator for Stream {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.running.next()?.map_err(|e| ArrowError::ExternalError(Box::new(e))))
    }
}

impl RecordBatchReader for Stream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

#[pymethods]
impl Answer {
    /// The next batch, or None after the last.
    fn next_batch(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let next = run(py, &self.bridge, || -> Result<_, Fault> {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(running.as_mut().and_then(Iterator::next).transpose()?)
        })?;
        Ok(next.map(Batch::new))
    }

    /// All batches that are left, as one.
    fn rest(&self, py: Python<'_>) -> PyResult<Batch> {
        let all = run(py, &self.bridge, || -> Result<_, Fault> {
            let batches: Vec<RecordBatch> = self.take().into_iter().flatten().collect::<Result<_, _>>()?;
            Ok(concat_batches(&self.schema, &batches).map_err(dsv::table::TableError::from)?)
        })?;
        Ok(Batch::new(all))
    }

    /// The columns' names.
    #[getter]
    fn columns(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The columns' types, as dsv or else Arrow writes them.
    #[getter]
    fn types(&self) -> Vec<String> {
        types(&self.schema)
            .into_iter()
            .zip(self.schema.fields())
            .map(|(ty, field)| ty.map_or_else(|| field.data_type().to_string(), |ty| ty.to_string()))
            .collect()
    }

    /// What whoever asked may want to know of the query itself, a line each.
    #[getter]
    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }

    /// Arrow's protocol for the schema.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, self.schema.as_ref())?)
    }

    /// Arrow's protocol for streams: batches go over without a copy, and each once.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(&self, py: Python<'py>, requested_schema: Option<Bound<'py, PyCapsule>>) -> PyResult<Bound<'py, PyCapsule>> {
        let Some(running) = self.take() else { return Err(Fault::usage("this answer was read already: ask again").into()) };
        let stream = Stream { running, schema: self.schema.clone() };
        let field = Arc::new(Field::new_struct("", self.schema.fields().clone(), false).with_metadata(self.schema.metadata().clone()));
        let arrays = stream.map(|batch| batch.map(|batch| Arc::new(StructArray::from(batch)) as ArrayRef));
        Ok(to_stream_pycapsule(py, Box::new(ArrayIterator::new(arrays, field)), requested_schema)?)
    }
}

/// The types of a schema's fields, where dsv has them.
pub fn types(schema: &SchemaRef) -> Vec<Option<Type>> {
    schema.fields().iter().map(|field| Type::from_field(field).ok()).collect()
}

/// Rows at hand.
#[pyclass(module = "dsv._dsv", frozen)]
pub struct Batch {
    batch: RecordBatch,
    types: Vec<Option<Type>>,
}

impl Batch {
    pub fn new(batch: RecordBatch) -> Batch {
        let types = types(&batch.schema());
        Batch { batch, types }
    }
}

#[pymethods]
impl Batch {
    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    /// The columns' names.
    #[getter]
    fn columns(&self) -> Vec<String> {
        self.batch.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The columns' types, as dsv or else Arrow writes them.
    #[getter]
    fn types(&self) -> Vec<String> {
        let schema = self.batch.schema();
        self.types.iter().zip(schema.fields()).map(|(ty, field)| ty.as_ref().map_or_else(|| field.data_type().to_string(), ToString::to_string)).collect()
    }

    /// A column's cells, by its place.
    fn cells<'py>(&self, py: Python<'py>, column: usize) -> PyResult<Bound<'py, PyList>> {
        let found = self.batch.columns().get(column).zip(self.types.get(column));
        let (array, ty) = found.ok_or_else(|| Fault::usage(format!("there is no column {column}")))?;
        Ok(list(py, array, ty.as_ref())?)
    }

    /// A column's numbers as memory, by its place; None where it has none, or nulls.
    fn numbers(&self, column: usize) -> Option<Numbers> {
        let (array, ty) = self.batch.columns().get(column).zip(self.types.get(column))?;
        Numbers::of_column(array, ty.as_ref())
    }

    /// All rows, a dict each.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let names = self.columns();
        let columns = (0..names.len()).map(|at| self.cells(py, at)).collect::<PyResult<Vec<_>>>()?;
        let rows = PyList::empty(py);
        for row in 0..self.batch.num_rows() {
            let dict = PyDict::new(py);
            for (name, column) in names.iter().zip(&columns) {
                dict.set_item(name, column.get_item(row)?)?;
            }
            rows.append(dict)?;
        }
        Ok(rows)
    }

    /// Arrow's protocol for the schema.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, self.batch.schema().as_ref())?)
    }

    /// Arrow's protocol for a batch.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_array__<'py>(&self, py: Python<'py>, requested_schema: Option<Bound<'py, PyCapsule>>) -> PyResult<Bound<'py, PyTuple>> {
        let field = Arc::new(Field::new_struct("", self.batch.schema().fields().clone(), false));
        Ok(to_array_pycapsules(py, field, &StructArray::from(self.batch.clone()), requested_schema)?)
    }
}
