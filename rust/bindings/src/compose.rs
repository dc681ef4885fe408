//! `messages_like` and `new_id`: many messages that differ in their ids and arguments only.

use celery_core::{uuid4, JsonText};
use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyString, PyTuple};

use crate::json::{no_memory, write_value};
use crate::message::{place_of, FIELDS};

/// Arguments of more items are shown by Python.
const SHOWN_ITEMS: usize = 8;
/// So are longer strings,
const SHOWN_LETTERS: usize = 64;
/// and longer texts.
const SHOWN: usize = 1024;

const ID_BYTES: usize = 16;

/// A random UUID (version 4) as text.
#[pyfunction]
pub fn new_id() -> PyResult<String> {
    let mut bytes = [0; ID_BYTES];
    fill(&mut bytes)?;
    Ok(uuid4(u128::from_ne_bytes(bytes)))
}

fn fill(bytes: &mut [u8]) -> PyResult<()> {
    getrandom::fill(bytes).map_err(|error| PyOSError::new_err(error.to_string()))
}

/// Messages like `like`, one for each (args, kwargs).
///
/// Raises `NotJson`, and what `replace` and `show` raise.
#[pyfunction]
#[pyo3(signature = (like, calls, embed, replace, show, /, *, ids = None, bodies = None))]
#[allow(clippy::too_many_arguments)] // keywords of a Python function
pub fn messages_like<'py>(
    py: Python<'py>,
    like: &Bound<'py, PyTuple>,
    calls: Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    embed: &str,
    replace: &Bound<'py, PyAny>,
    show: &Bound<'py, PyAny>,
    ids: Option<Vec<Option<Bound<'py, PyString>>>>,
    bodies: Option<Vec<Bound<'py, PyBytes>>>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    check_lengths(like.len(), calls.len(), ids.as_deref(), bodies.as_deref())?;
    let places = Places::new()?;
    let common: Vec<Bound<'py, PyAny>> = like.iter().collect();
    let is_open = |place: usize| common.get(place).is_some_and(|item| !item.is_truthy().unwrap_or(true));
    let open = [places.root_id, places.argsrepr, places.kwargsrepr].map(is_open);
    let [names_root, shows_args, shows_kwargs] = open;
    // All at once: asking the system costs more than writing an id.
    let mut random = vec![0; 2 * ID_BYTES * calls.len()];
    fill(&mut random)?;
    let mut random = random.chunks_exact(ID_BYTES);
    let mut fresh = || {
        let bytes = random.next().and_then(|bytes| bytes.try_into().ok());
        PyString::new(py, &uuid4(u128::from_ne_bytes(bytes.unwrap_or_default())))
    };
    let make = py.get_type::<PyTuple>().getattr("__new__")?;
    let kind = like.get_type();
    let mut messages = Vec::with_capacity(calls.len());
    for (index, (args, kwargs)) in calls.iter().enumerate() {
        let given = ids.as_ref().and_then(|ids| ids.get(index).cloned()).flatten();
        let id = given.unwrap_or_else(&mut fresh);
        let body = match bodies.as_ref().and_then(|bodies| bodies.get(index)) {
            Some(body) => body.clone(),
            None => body_of(py, args, kwargs, embed, replace)?,
        };
        let mut fields = common.clone();
        let mut put = |place: usize, value: Bound<'py, PyAny>| {
            if let Some(field) = fields.get_mut(place) {
                *field = value;
            }
        };
        if names_root {
            put(places.root_id, id.clone().into_any());
        }
        put(places.id, id.into_any());
        put(places.body, body.into_any());
        put(places.delivery_tag, fresh().into_any());
        if shows_args {
            put(places.argsrepr, shown(args, show)?);
        }
        if shows_kwargs {
            put(places.kwargsrepr, shown(kwargs, show)?);
        }
        messages.push(make.call1((&kind, PyTuple::new(py, fields)?))?);
    }
    Ok(messages)
}

fn check_lengths<A, B>(fields: usize, calls: usize, ids: Option<&[A]>, bodies: Option<&[B]>) -> PyResult<()> {
    if fields != FIELDS.len() {
        let text = format!("a Message has {} fields, got a tuple of {fields}", FIELDS.len());
        return Err(PyTypeError::new_err(text));
    }
    for (name, length) in [("ids", ids.map(<[A]>::len)), ("bodies", bodies.map(<[B]>::len))] {
        if let Some(length) = length.filter(|length| *length != calls) {
            let text = format!("calls and {name} must be of one length, got {calls} and {length}");
            return Err(PyValueError::new_err(text));
        }
    }
    Ok(())
}

/// Where the fields stand that are each message's own.
struct Places {
    id: usize,
    body: usize,
    delivery_tag: usize,
    root_id: usize,
    argsrepr: usize,
    kwargsrepr: usize,
}

impl Places {
    fn new() -> PyResult<Self> {
        Ok(Self {
            id: place_of("id")?,
            body: place_of("body")?,
            delivery_tag: place_of("delivery_tag")?,
            root_id: place_of("root_id")?,
            argsrepr: place_of("argsrepr")?,
            kwargsrepr: place_of("kwargsrepr")?,
        })
    }
}

fn body_of<'py>(
    py: Python<'py>,
    args: &Bound<'py, PyAny>,
    kwargs: &Bound<'py, PyAny>,
    embed: &str,
    replace: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut text = JsonText::with_room(embed.len() + 64);
    text.raw("[");
    write_value(&mut text, args, replace)?;
    text.raw(", ");
    write_value(&mut text, kwargs, replace)?;
    text.raw(", ");
    text.raw(embed);
    text.raw("]");
    let text = text.finish().map_err(no_memory)?;
    Ok(PyBytes::new(py, text.as_bytes()))
}

/// What logs show of a value: most calls pass a few numbers and short words, the rest is `show`'s.
fn shown<'py>(value: &Bound<'py, PyAny>, show: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let text = if let Ok(items) = value.cast_exact::<PyTuple>() {
        plain_tuple(items)
    } else if value.cast_exact::<PyDict>().is_ok_and(PyDictMethods::is_empty) {
        Some("{}".into())
    } else {
        None
    };
    match text {
        Some(text) => Ok(PyString::new(value.py(), &text).into_any()),
        None => show.call1((value,)),
    }
}

fn plain_tuple(items: &Bound<'_, PyTuple>) -> Option<String> {
    if items.len() > SHOWN_ITEMS {
        return None;
    }
    let mut text = String::from("(");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        plain(&item, &mut text)?;
    }
    if text.chars().count() > SHOWN {
        return None;
    }
    text.push_str(if items.len() == 1 { ",)" } else { ")" });
    Some(text)
}

/// Write a plain value; None for any other, and for numbers that are longer than most.
fn plain(item: &Bound<'_, PyAny>, text: &mut String) -> Option<()> {
    if let Ok(number) = item.cast_exact::<PyInt>() {
        text.push_str(&number.extract::<i64>().ok()?.to_string());
    } else if let Ok(word) = item.cast_exact::<PyString>() {
        let word = word.to_str().ok()?;
        if word.chars().count() >= SHOWN_LETTERS {
            return None;
        }
        text.push('\'');
        text.push_str(&word.replace('\'', "\\'"));
        text.push('\'');
    } else if let Ok(flag) = item.cast_exact::<PyBool>() {
        text.push_str(if flag.is_true() { "True" } else { "False" });
    } else if item.is_none() {
        text.push_str("None");
    } else if item.cast_exact::<PyFloat>().is_ok() {
        text.push_str(item.repr().ok()?.to_str().ok()?);
    } else {
        return None;
    }
    Some(())
}
