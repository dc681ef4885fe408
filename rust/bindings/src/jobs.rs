//! `pack_jobs`: what a worker hands to a child.

use celery_core::Marshal;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyString, PyTuple};

use crate::envelope::Envelope;

/// What a job takes beside the bytes of its message, about.
const FRAME: usize = 160;

/// `(first, [fields of a Work, …])`, marshalled.
///
/// Raises `TypeError` or `ValueError` for what is no job.
#[pyfunction]
pub fn pack_jobs<'py>(py: Python<'py>, first: i64, jobs: Vec<Bound<'py, PyTuple>>) -> PyResult<Bound<'py, PyBytes>> {
    let count = u32::try_from(jobs.len()).map_err(|_| PyValueError::new_err("too many jobs"))?;
    let mut out = Marshal::with_capacity(jobs.len() * (1024 + FRAME));
    out.tuple(2);
    out.number(first);
    out.list(count);
    for job in &jobs {
        write(py, &mut out, job)?;
    }
    Ok(PyBytes::new(py, &out.into_bytes()))
}

/// `job` is (tag, envelope, queue, redelivered, announce, late).
fn write(py: Python<'_>, out: &mut Marshal, job: &Bound<'_, PyTuple>) -> PyResult<()> {
    let (tag, held, queue) = (job.get_item(0)?, job.get_item(1)?, job.get_item(2)?);
    let envelope = held.cast::<Envelope>()?.get();
    out.tuple(18);
    out.text(tag.cast::<PyString>()?.to_str()?);
    out.text(&envelope.task(py));
    out.text(&envelope.id(py));
    out.bytes(envelope.headers_of(py));
    out.bytes(envelope.properties_of(py));
    out.bytes(&envelope.body_of(py));
    out.text(&envelope.content_type(py));
    out.text(&envelope.content_encoding(py));
    out.text(queue.cast::<PyString>()?.to_str()?);
    for place in 3..6 {
        out.flag(job.get_item(place)?.cast::<PyBool>()?.is_true());
    }
    out.number(envelope.retries());
    out.text_or_none(envelope.root_id(py).as_deref());
    out.text_or_none(envelope.parent_id(py).as_deref());
    out.text_or_none(envelope.group(py).as_deref());
    match envelope.ignore_result() {
        Some(ignored) => out.flag(ignored),
        None => out.none(),
    }
    out.text_or_none(envelope.compression(py).as_deref());
    Ok(())
}
