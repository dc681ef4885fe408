//! `Envelope`, `open_envelopes` and `parse_timestamp`.

use std::borrow::Cow;

use celery_core::Text;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyBytesMethods, PyList};

use crate::error::{decode_error, value_error};

/// Batches of fewer bytes are read without giving the interpreter away: that would cost more.
const WORTH_DETACHING: usize = 8 << 10;

/// An opened broker envelope: the header fields a worker decides on; the rest stays bytes.
#[pyclass(frozen, module = "celery_rs._core")]
pub struct Envelope {
    raw: Py<PyBytes>,
    parts: celery_core::Envelope,
}

impl Envelope {
    /// What was read, with the text it was read from.
    pub fn of(raw: Py<PyBytes>, parts: celery_core::Envelope) -> Self {
        Self { raw, parts }
    }

    /// The headers as they stand in it.
    pub fn headers_of<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        self.parts.headers.of(self.raw.as_bytes(py))
    }

    /// The properties as they stand in it; an empty object where it has none.
    pub fn properties_of<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        let properties = self.parts.properties.of(self.raw.as_bytes(py));
        if properties.is_empty() {
            b"{}"
        } else {
            properties
        }
    }

    /// The body, its transfer encoding undone.
    pub fn body_of<'a>(&'a self, py: Python<'a>) -> Cow<'a, [u8]> {
        self.parts.body(self.raw.as_bytes(py))
    }

    fn text<'a>(&'a self, py: Python<'a>, text: Option<Text>) -> Option<Cow<'a, str>> {
        text.map(|text| text.of(self.raw.as_bytes(py)))
    }
}

#[pymethods]
impl Envelope {
    #[getter]
    pub fn id<'a>(&'a self, py: Python<'a>) -> Cow<'a, str> {
        self.parts.header.id.of(self.raw.as_bytes(py))
    }

    #[getter]
    pub fn task<'a>(&'a self, py: Python<'a>) -> Cow<'a, str> {
        self.parts.header.task.of(self.raw.as_bytes(py))
    }

    #[getter]
    fn eta(&self) -> Option<f64> {
        self.parts.header.eta
    }

    #[getter]
    fn expires(&self) -> Option<f64> {
        self.parts.header.expires
    }

    #[getter]
    pub fn retries(&self) -> i64 {
        self.parts.header.retries
    }

    #[getter]
    fn soft_limit(&self) -> Option<f64> {
        self.parts.header.soft_limit
    }

    #[getter]
    fn hard_limit(&self) -> Option<f64> {
        self.parts.header.hard_limit
    }

    /// Whether it names a time or a limit: `eta`, `expires`, `soft_limit` or `hard_limit`.
    #[getter]
    fn is_timed(&self) -> bool {
        let header = &self.parts.header;
        [header.eta, header.expires, header.soft_limit, header.hard_limit]
            .iter()
            .any(Option::is_some)
    }

    #[getter]
    fn has_past(&self) -> bool {
        self.parts.has_past
    }

    #[getter]
    fn priority(&self) -> i64 {
        self.parts.priority
    }

    #[getter]
    fn is_mapping(&self) -> bool {
        self.parts.is_mapping
    }

    #[getter]
    pub fn ignore_result(&self) -> Option<bool> {
        self.parts.header.ignore_result
    }

    #[getter]
    pub fn group<'a>(&'a self, py: Python<'a>) -> Option<Cow<'a, str>> {
        self.text(py, self.parts.header.group)
    }

    #[getter]
    pub fn root_id<'a>(&'a self, py: Python<'a>) -> Option<Cow<'a, str>> {
        self.text(py, self.parts.header.root_id)
    }

    #[getter]
    pub fn parent_id<'a>(&'a self, py: Python<'a>) -> Option<Cow<'a, str>> {
        self.text(py, self.parts.header.parent_id)
    }

    #[getter]
    fn shadow<'a>(&'a self, py: Python<'a>) -> Option<Cow<'a, str>> {
        self.text(py, self.parts.header.shadow)
    }

    #[getter]
    fn argsrepr<'a>(&'a self, py: Python<'a>) -> Cow<'a, str> {
        self.text(py, self.parts.header.argsrepr).unwrap_or_default()
    }

    #[getter]
    fn kwargsrepr<'a>(&'a self, py: Python<'a>) -> Cow<'a, str> {
        self.text(py, self.parts.header.kwargsrepr).unwrap_or_default()
    }

    #[getter]
    fn reply_to<'a>(&'a self, py: Python<'a>) -> Option<Cow<'a, str>> {
        self.text(py, self.parts.reply_to)
    }

    #[getter]
    pub fn content_type<'a>(&'a self, py: Python<'a>) -> Cow<'a, str> {
        // As kombu takes a message that does not say.
        self.text(py, self.parts.content_type)
            .filter(|text| !text.is_empty())
            .unwrap_or("application/data".into())
    }

    #[getter]
    pub fn content_encoding<'a>(&'a self, py: Python<'a>) -> Cow<'a, str> {
        self.text(py, self.parts.content_encoding)
            .filter(|text| !text.is_empty())
            .unwrap_or("utf-8".into())
    }

    #[getter]
    pub fn compression<'a>(&'a self, py: Python<'a>) -> Option<Cow<'a, str>> {
        self.text(py, self.parts.header.compression)
    }

    #[getter]
    fn exchange<'a>(&'a self, py: Python<'a>) -> Cow<'a, str> {
        self.text(py, self.parts.exchange).unwrap_or_default()
    }

    #[getter]
    fn routing_key<'a>(&'a self, py: Python<'a>) -> Cow<'a, str> {
        self.text(py, self.parts.routing_key).unwrap_or_default()
    }

    /// The envelope as it came.
    #[getter]
    fn raw(&self, py: Python<'_>) -> Py<PyBytes> {
        self.raw.clone_ref(py)
    }

    /// The message headers: a JSON object as bytes.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.headers_of(py))
    }

    /// The message properties: a JSON object as bytes.
    #[getter]
    fn properties<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.properties_of(py))
    }

    /// The body, with the transfer encoding (base64) undone; still serialized and compressed.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.body_of(py))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<Envelope of {} {}>", self.task(py), self.id(py))
    }
}

/// Open a batch with the interpreter lock released. A bad one yields an error in its place.
#[pyfunction]
pub fn open_envelopes<'py>(py: Python<'py>, raw: Vec<Bound<'py, PyBytes>>) -> PyResult<Bound<'py, PyList>> {
    let texts: Vec<&[u8]> = raw.iter().map(PyBytesMethods::as_bytes).collect();
    let open = || {
        let mut scratch = Vec::new();
        texts
            .iter()
            .map(|text| celery_core::Envelope::open(text, &mut scratch))
            .collect::<Vec<_>>()
    };
    let opened = if texts.iter().map(|text| text.len()).sum::<usize>() < WORTH_DETACHING {
        open()
    } else {
        py.detach(open)
    };
    let results = PyList::empty(py);
    for (raw, result) in raw.into_iter().zip(opened) {
        match result {
            Ok(parts) => results.append(Envelope {
                raw: raw.unbind(),
                parts,
            })?,
            Err(error) => results.append(decode_error(py, &error, &raw)?)?,
        }
    }
    Ok(results)
}

/// ISO 8601 → epoch seconds; without an offset it is UTC. Raises `ValueError`.
#[pyfunction]
pub fn parse_timestamp(text: &str) -> PyResult<f64> {
    celery_core::parse_timestamp(text).map_err(value_error)
}
