//! `celery_rs._core`: the Python face of `celery-core`. Translation only.
use pyo3::prelude::*;

/// The extension module `celery_rs._core`.
#[pymodule(gil_used = false)]
fn _core(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
