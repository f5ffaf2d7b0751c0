//! Cells as objects of Python, and numbers as memory that NumPy looks at without a copy.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use dsv::format::Type;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::error::Fault;

/// All cells of a column, as a list. `ty` is the column's type where dsv has it.
pub fn list<'py>(py: Python<'py>, array: &ArrayRef, ty: Option<&Type>) -> Result<Bound<'py, PyList>, Fault> {
    let cells = (0..array.len()).map(|row| cell(py, array, ty, row)).collect::<Result<Vec<_>, _>>()?;
    Ok(PyList::new(py, cells)?)
}

fn number<T: ArrowPrimitiveType<Native: for<'py> IntoPyObject<'py>>>(py: Python<'_>, array: &ArrayRef, row: usize) -> Result<Py<PyAny>, Fault> {
    Ok(array.as_primitive::<T>().value(row).into_py_any(py)?)
}

/// One cell.
pub fn cell(py: Python<'_>, array: &ArrayRef, ty: Option<&Type>, row: usize) -> Result<Py<PyAny>, Fault> {
    if array.is_null(row) {
        return Ok(py.None());
    }
    let inner = |ty: Option<&Type>| match ty {
        Some(Type::List(item)) => Some((**item).clone()),
        Some(Type::Map(key, value)) => Some(Type::Struct(vec![("key".to_owned(), (**key).clone()), ("value".to_owned(), (**value).clone())])),
        _ => None,
    };
    Ok(match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).into_py_any(py)?,
        DataType::Int8 => number::<Int8Type>(py, array, row)?,
        DataType::Int16 => number::<Int16Type>(py, array, row)?,
        DataType::Int32 => number::<Int32Type>(py, array, row)?,
        DataType::Int64 => number::<Int64Type>(py, array, row)?,
        DataType::UInt8 => number::<UInt8Type>(py, array, row)?,
        DataType::UInt16 => number::<UInt16Type>(py, array, row)?,
        DataType::UInt32 => number::<UInt32Type>(py, array, row)?,
        DataType::UInt64 => number::<UInt64Type>(py, array, row)?,
        DataType::Float16 => f64::from(array.as_primitive::<Float16Type>().value(row)).into_py_any(py)?,
        DataType::Float32 => number::<Float32Type>(py, array, row)?,
        DataType::Float64 => number::<Float64Type>(py, array, row)?,
        DataType::Utf8 if ty == Some(&Type::Json) => {
            let text = array.as_string::<i32>().value(row);
            py.import("json")?.call_method1("loads", (text,))?.unbind()
        }
        DataType::Utf8 => PyString::new(py, array.as_string::<i32>().value(row)).into_any().unbind(),
        DataType::LargeUtf8 => PyString::new(py, array.as_string::<i64>().value(row)).into_any().unbind(),
        DataType::Utf8View => PyString::new(py, array.as_string_view().value(row)).into_any().unbind(),
        DataType::Binary => PyBytes::new(py, array.as_binary::<i32>().value(row)).into_any().unbind(),
        DataType::LargeBinary => PyBytes::new(py, array.as_binary::<i64>().value(row)).into_any().unbind(),
        DataType::BinaryView => PyBytes::new(py, array.as_binary_view().value(row)).into_any().unbind(),
        DataType::FixedSizeBinary(_) => {
            let bytes = PyBytes::new(py, array.as_fixed_size_binary().value(row));
            if ty == Some(&Type::Uuid) {
                let options = PyDict::new(py);
                options.set_item("bytes", bytes)?;
                py.import("uuid")?.getattr("UUID")?.call((), Some(&options))?.unbind()
            } else {
                bytes.into_any().unbind()
            }
        }
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            let day = py.import("datetime")?.getattr("date")?;
            // Day 1 of Python's calendar is 0001-01-01.
            match day.call_method1("fromordinal", (i64::from(days) + 719_163,)) {
                Ok(day) => day.unbind(),
                Err(_) => printed(py, array, row)?,
            }
        }
        DataType::Timestamp(unit, zone) => timestamp(py, array, row, *unit, zone.is_some())?,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            py.import("decimal")?.getattr("Decimal")?.call1((printed(py, array, row)?,))?.unbind()
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let inner = inner(ty);
            if let Some(Type::Map(..)) = ty {
                let pairs = items.as_struct();
                let types = match &inner {
                    Some(Type::Struct(fields)) => fields.iter().map(|(_, ty)| Some(ty)).collect(),
                    _ => vec![None, None],
                };
                let dict = PyDict::new(py);
                for pair in 0..items.len() {
                    let part = |at: usize| cell(py, pairs.column(at), types.get(at).copied().flatten(), pair);
                    dict.set_item(part(0)?, part(1)?)?;
                }
                return Ok(dict.into_any().unbind());
            }
            list(py, &items, inner.as_ref())?.into_any().unbind()
        }
        DataType::LargeList(_) => list(py, &array.as_list::<i64>().value(row), inner(ty).as_ref())?.into_any().unbind(),
        DataType::FixedSizeList(..) => list(py, &array.as_fixed_size_list().value(row), None)?.into_any().unbind(),
        DataType::Struct(fields) => {
            let dict = PyDict::new(py);
            let known = match ty {
                Some(Type::Struct(fields)) => fields.as_slice(),
                _ => &[],
            };
            for (at, field) in fields.iter().enumerate() {
                dict.set_item(field.name(), cell(py, array.as_struct().column(at), known.get(at).map(|(_, ty)| ty), row)?)?;
            }
            dict.into_any().unbind()
        }
        DataType::Dictionary(..) => {
            let plain = arrow::compute::cast(&array.slice(row, 1), &DataType::Utf8).map_err(dsv::table::TableError::from)?;
            cell(py, &plain, ty, 0)?
        }
        _ => printed(py, array, row)?,
    })
}

/// As text, where Python has nothing nearer.
fn printed(py: Python<'_>, array: &ArrayRef, row: usize) -> Result<Py<PyAny>, Fault> {
    let options = FormatOptions::default();
    let text = ArrayFormatter::try_new(array, &options).map_err(dsv::table::TableError::from)?.value(row).to_string();
    Ok(text.into_py_any(py)?)
}

/// A `datetime`, to the microsecond; as text where it is finer or out of its range.
fn timestamp(py: Python<'_>, array: &ArrayRef, row: usize, unit: TimeUnit, has_zone: bool) -> Result<Py<PyAny>, Fault> {
    let ticks = arrow::compute::cast(&array.slice(row, 1), &DataType::Int64).map_err(dsv::table::TableError::from)?;
    let ticks = ticks.as_primitive::<Int64Type>().value(0);
    let micros = match unit {
        TimeUnit::Second => ticks.checked_mul(1_000_000),
        TimeUnit::Millisecond => ticks.checked_mul(1000),
        TimeUnit::Microsecond => Some(ticks),
        TimeUnit::Nanosecond => (ticks % 1000 == 0).then_some(ticks / 1000),
    };
    let datetime = py.import("datetime")?;
    let zone = if has_zone { datetime.getattr("timezone")?.getattr("utc")?.unbind() } else { py.None() };
    let epoch = datetime.getattr("datetime")?.call1((1970, 1, 1, 0, 0, 0, 0, zone))?;
    let Some(micros) = micros else { return printed(py, array, row) };
    let Ok(since) = datetime.getattr("timedelta")?.call1((0, 0, micros)) else { return printed(py, array, row) };
    epoch.add(since).map_or_else(|_| printed(py, array, row), |found| Ok(found.unbind()))
}

/// Numbers of one shape, as memory that `numpy.asarray` takes without a copy.
#[pyclass(module = "dsv._dsv", frozen)]
pub struct Numbers {
    array: ArrayRef,
    shape: Vec<usize>,
    /// Nobody else has the memory: it may be written into.
    is_own: bool,
}

/// NumPy's name of a type.
fn typestr(ty: &DataType) -> Option<&'static str> {
    Some(match ty {
        DataType::Int8 => "|i1",
        DataType::Int16 => "<i2",
        DataType::Int32 | DataType::Date32 | DataType::Time32(_) => "<i4",
        DataType::Int64 | DataType::Timestamp(..) | DataType::Duration(_) | DataType::Time64(_) | DataType::Date64 => "<i8",
        DataType::UInt8 => "|u1",
        DataType::UInt16 => "<u2",
        DataType::UInt32 => "<u4",
        DataType::UInt64 => "<u8",
        DataType::Float16 => "<f2",
        DataType::Float32 => "<f4",
        DataType::Float64 => "<f8",
        _ => return None,
    })
}

impl Numbers {
    /// `array` is of a primitive type and has no nulls; other arrays have no such memory.
    pub fn new(array: ArrayRef, shape: Vec<usize>) -> Option<Numbers> {
        let count: usize = shape.iter().product();
        (typestr(array.data_type()).is_some() && array.null_count() == 0 && count == array.len()).then_some(Numbers { array, shape, is_own: false })
    }

    /// Says that nobody else has the memory.
    pub fn own(self) -> Numbers {
        Numbers { is_own: true, ..self }
    }

    /// A column of numbers, vectors or tensors without nulls.
    pub fn of_column(array: &ArrayRef, ty: Option<&Type>) -> Option<Numbers> {
        if array.null_count() > 0 {
            return None;
        }
        match array.data_type() {
            DataType::FixedSizeList(_, length) => {
                let inner = array.as_fixed_size_list();
                let inner = inner.values().slice(inner.value_offset(0) as usize, array.len() * *length as usize);
                let mut shape = vec![array.len()];
                match ty {
                    Some(Type::Tensor { shape: own, .. }) => shape.extend(own.iter().map(|n| *n as usize)),
                    _ => shape.push(*length as usize),
                }
                Numbers::new(inner, shape)
            }
            DataType::Boolean => Numbers::new(arrow::compute::cast(array, &DataType::UInt8).ok()?, vec![array.len()]),
            _ => Numbers::new(array.clone(), vec![array.len()]),
        }
    }

    fn address(&self) -> usize {
        let data = self.array.to_data();
        let width = self.array.data_type().primitive_width().unwrap_or(1);
        data.buffers().first().map_or(0, |buffer| buffer.as_ptr() as usize + data.offset() * width)
    }
}

#[pymethods]
impl Numbers {
    /// NumPy's protocol for memory: read-only where it may be another's as well.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("version", 3)?;
        dict.set_item("shape", pyo3::types::PyTuple::new(py, &self.shape)?)?;
        dict.set_item("typestr", typestr(self.array.data_type()))?;
        dict.set_item("data", (self.address(), !self.is_own))?;
        Ok(dict)
    }

    /// Copies the numbers to memory at an address, off the interpreter's lock: into pinned memory of PyTorch.
    fn copy_to(&self, py: Python<'_>, address: usize, bytes: usize) -> PyResult<()> {
        let data = self.array.to_data();
        let width = self.array.data_type().primitive_width().unwrap_or(1);
        let from =
            data.buffers().first().map(|buffer| &buffer.as_slice()[data.offset() * width..(data.offset() + self.array.len()) * width]).unwrap_or_default();
        if from.len() != bytes || (address == 0 && bytes > 0) {
            return Err(Fault::usage(format!("there is room for {bytes} bytes, and {} are to be copied", from.len())).into());
        }
        py.detach(|| {
            // SAFETY: the caller owns so many bytes of writable memory there, and nobody else has it.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), address as *mut u8, bytes) }
        });
        Ok(())
    }
}
