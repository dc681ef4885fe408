//! Errors of the core as Python exceptions.

use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

create_exception!(
    celery_rs._core,
    DecodeError,
    PyValueError,
    "An envelope that cannot be read. `reason` says where and why, in one line; `raw` is what came."
);

/// A `ValueError` with the core's message.
pub fn value_error(error: celery_core::Error) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A `DecodeError`, to be raised or to lie in a list of results.
pub fn decode_error<'py>(
    py: Python<'py>,
    error: &celery_core::Error,
    raw: &Bound<'py, PyBytes>,
) -> PyResult<Bound<'py, PyAny>> {
    let reason = error.to_string();
    let exception = py.get_type::<DecodeError>().call1((&reason,))?;
    exception.setattr("reason", reason)?;
    exception.setattr("raw", raw)?;
    Ok(exception)
}
