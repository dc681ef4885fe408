//! `write_timestamp`.

use pyo3::prelude::*;

/// Epoch seconds → ISO 8601 in UTC, as Python's `datetime` writes it.
#[pyfunction]
#[pyo3(signature = (seconds, /))]
pub fn write_timestamp(seconds: f64) -> String {
    celery_core::write_timestamp(seconds)
}
