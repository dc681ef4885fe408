//! `is_plain_json`.

use pyo3::prelude::*;

/// Whether orjson reads these bytes exactly as Python's json and Kombu's type tags would.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn is_plain_json(data: &[u8]) -> bool {
    celery_core::is_plain(data)
}
