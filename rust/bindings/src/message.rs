//! `seal_envelopes`: Python's `Message` tuples into the core's messages.

use std::borrow::Cow;
use std::iter::Enumerate;
use std::slice::Iter;

use celery_core::{seal, Error, Message, Number};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString, PyTuple};
use pyo3::Borrowed;

use crate::error::value_error;

/// Batches of fewer messages are written without giving the interpreter away: that would cost more.
const WORTH_DETACHING: usize = 16;

/// Whole protocol-2 envelopes in Celery's JSON; `routes` are (exchange, routing key).
///
/// Raises `ValueError` when `headers` or `stamps` is not a JSON object, or the lengths differ.
#[pyfunction]
pub fn seal_envelopes<'py>(
    py: Python<'py>,
    messages: Vec<Bound<'py, PyTuple>>,
    routes: Vec<(Bound<'py, PyString>, Bound<'py, PyString>)>,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    Ok(sealed(py, &messages, &routes)?
        .iter()
        .map(|envelope| PyBytes::new(py, envelope))
        .collect())
}

/// The envelopes of a batch.
pub fn sealed<'py>(
    py: Python<'py>,
    messages: &[Bound<'py, PyTuple>],
    routes: &[(Bound<'py, PyString>, Bound<'py, PyString>)],
) -> PyResult<Vec<Vec<u8>>> {
    each_message(py, messages, routes, seal)
}

/// What `write` makes of each message and its route, with the interpreter lock released for many.
pub fn each_message<'py>(
    py: Python<'py>,
    messages: &[Bound<'py, PyTuple>],
    routes: &[(Bound<'py, PyString>, Bound<'py, PyString>)],
    write: impl Fn(&Message<'_>, &str, &str) -> Result<Vec<u8>, Error> + Send + Sync,
) -> PyResult<Vec<Vec<u8>>> {
    if messages.len() != routes.len() {
        return Err(PyValueError::new_err(format!(
            "messages and routes must be of one length, got {} and {}",
            messages.len(),
            routes.len()
        )));
    }
    let mut work = Vec::with_capacity(messages.len());
    for (message, (exchange, routing_key)) in messages.iter().zip(routes) {
        work.push((read(message)?, exchange.to_str()?, routing_key.to_str()?));
    }
    let all = || -> Result<Vec<Vec<u8>>, Error> {
        work.iter()
            .map(|(message, exchange, routing_key)| write(message, exchange, routing_key))
            .collect()
    };
    if work.len() < WORTH_DETACHING {
        all()
    } else {
        py.detach(all)
    }
    .map_err(value_error)
}

/// The fields of `celery_rs.wire.message.Message`, in its order.
pub const FIELDS: [&str; 30] = [
    "task",
    "id",
    "body",
    "delivery_tag",
    "content_type",
    "content_encoding",
    "shadow",
    "eta",
    "expires",
    "group",
    "group_index",
    "retries",
    "hard_limit",
    "soft_limit",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "ignore_result",
    "replaced_task_nesting",
    "stamped_headers",
    "stamps",
    "compression",
    "headers",
    "reply_to",
    "priority",
    "delivery_mode",
    "expiration",
    "protocol",
];

/// Where a field stands.
pub fn place_of(field: &str) -> PyResult<usize> {
    FIELDS
        .iter()
        .position(|name| *name == field)
        .ok_or_else(|| PyTypeError::new_err(format!("a Message has no field {field}")))
}

/// Borrow a message's fields: a tuple keeps its strings and bytes alive and unchanged.
fn read<'a>(message: &'a Bound<'_, PyTuple>) -> PyResult<Message<'a>> {
    if message.len() != FIELDS.len() {
        let text = format!(
            "a Message has {} fields, got a tuple of {}",
            FIELDS.len(),
            message.len()
        );
        return Err(PyTypeError::new_err(text));
    }
    let mut fields = Fields {
        message,
        names: FIELDS.iter().enumerate(),
    };
    Ok(Message {
        task: fields.next()?,
        id: fields.next()?,
        body: fields.next()?,
        delivery_tag: fields.next()?,
        content_type: fields.next()?,
        content_encoding: fields.next()?,
        shadow: fields.next::<Option<Shown<'a>>>()?.map(|Shown(text)| text),
        eta: fields.next()?,
        expires: fields.next()?,
        group: fields.next()?,
        group_index: fields.next()?,
        retries: fields.next()?,
        hard_limit: fields.next::<Option<Seconds>>()?.map(|Seconds(number)| number),
        soft_limit: fields.next::<Option<Seconds>>()?.map(|Seconds(number)| number),
        root_id: fields.next()?,
        parent_id: fields.next()?,
        argsrepr: fields.next::<Shown<'a>>()?.0,
        kwargsrepr: fields.next::<Shown<'a>>()?.0,
        origin: fields.next()?,
        ignore_result: fields.next()?,
        replaced_task_nesting: fields.next()?,
        stamped_headers: fields.next()?,
        stamps: fields.next()?,
        compression: fields.next()?,
        headers: fields.next()?,
        reply_to: fields.next()?,
        priority: fields.next()?,
        delivery_mode: fields.next()?,
        expiration: fields.next()?,
        protocol: fields.next()?,
    })
}

/// A message's items and their names, for errors.
struct Fields<'a, 'py> {
    message: &'a Bound<'py, PyTuple>,
    names: Enumerate<Iter<'static, &'static str>>,
}

impl<'a, 'py> Fields<'a, 'py> {
    fn next<T: FromPyObject<'a, 'py>>(&mut self) -> PyResult<T> {
        let (index, name) = self
            .names
            .next()
            .ok_or_else(|| PyTypeError::new_err("a Message has no more fields"))?;
        let item = self.message.get_borrowed_item(index)?;
        item.extract()
            .map_err(|error: T::Error| misfit(item.py(), name, &error.into()))
    }
}

/// The error of a field, with its name in front.
fn misfit(py: Python<'_>, name: &str, error: &PyErr) -> PyErr {
    let text = format!("Message.{name}: {}", error.value(py));
    if error.is_instance_of::<PyTypeError>(py) {
        PyTypeError::new_err(text)
    } else {
        PyValueError::new_err(text)
    }
}

/// Text for people, in which a single surrogate is replaced instead of refused.
struct Shown<'a>(Cow<'a, str>);

impl<'a, 'py> FromPyObject<'a, 'py> for Shown<'a> {
    type Error = PyErr;

    fn extract(item: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let text = item.cast::<PyString>()?;
        let shown = item
            .extract::<&'a str>()
            .map_or_else(|_| Cow::Owned(text.to_string_lossy().into_owned()), Cow::Borrowed);
        Ok(Self(shown))
    }
}

/// A number that keeps its kind: `30` and `30.0` are written differently.
struct Seconds(Number);

impl<'a, 'py> FromPyObject<'a, 'py> for Seconds {
    type Error = PyErr;

    fn extract(item: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if item.is_instance_of::<PyInt>() {
            return item.extract().map(|value| Self(Number::Int(value)));
        }
        item.extract().map(|value| Self(Number::Float(value)))
    }
}
