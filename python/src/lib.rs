//! The compiled part of dsv's Python package: a thin layer over the library. What people call is Python, in `dsv/`.

mod answer;
mod batches;
mod error;
mod objects;
mod repository;
mod run;
mod values;

use pyo3::prelude::*;

/// As the command line has it: blocks come and go by the thousand.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
mod _dsv {
    #[pymodule_export]
    use super::answer::{Answer, Batch};
    #[pymodule_export]
    use super::batches::Batches;
    #[pymodule_export]
    use super::objects::Numbers;
    #[pymodule_export]
    use super::repository::{Repository, is_repository};

    use pyo3::prelude::*;

    /// The version of the library.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// A type as dsv writes it; fails where it is none.
    #[pyfunction]
    fn type_text(text: &str) -> PyResult<String> {
        let ty: Result<dsv::format::Type, dsv::format::TypeError> = text.parse();
        Ok(ty.map_err(|e| super::error::Fault::usage(e.to_string()))?.to_string())
    }

    /// A query with that table where it names none.
    #[pyfunction]
    fn about(sql: &str, table: &str) -> PyResult<String> {
        Ok(dsv::query::about(sql, table).map_err(|error| super::repository::marked(error, sql))?)
    }

    /// Pixels, rows of 1, 3 or 4 channels, as a PNG file.
    #[pyfunction]
    fn png<'py>(py: Python<'py>, pixels: &[u8], height: u32, width: u32, channels: u8) -> PyResult<Bound<'py, pyo3::types::PyBytes>> {
        super::batches::png(py, pixels, (height, width), channels)
    }

    /// The pixels of a picture, as rows of red, green and blue.
    #[pyfunction]
    fn pixels(py: Python<'_>, file: &[u8]) -> PyResult<super::objects::Numbers> {
        super::batches::pixels(py, file)
    }

    /// The command line: its exit code.
    #[pyfunction]
    fn main(py: Python<'_>, words: Vec<String>) -> u8 {
        py.detach(|| dsv::cli::run(words))
    }
}
