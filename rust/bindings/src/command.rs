//! `pack_command` and `pack_pushes`: what is written to a Redis.

use celery_core::write_command;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyInt, PyString, PyTuple};

use crate::message::sealed;

/// A word of a command: bytes as they are, or the text of a string or number.
enum Word<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
}

impl Word<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

fn word<'a>(item: &'a Bound<'_, PyAny>) -> PyResult<Word<'a>> {
    if let Ok(bytes) = item.cast::<PyBytes>() {
        return Ok(Word::Borrowed(bytes.as_bytes()));
    }
    if let Ok(text) = item.cast::<PyString>() {
        return Ok(Word::Borrowed(text.to_str()?.as_bytes()));
    }
    if item.is_instance_of::<PyInt>() || item.is_instance_of::<PyFloat>() {
        return Ok(Word::Owned(item.repr()?.to_str()?.as_bytes().to_vec()));
    }
    Err(PyTypeError::new_err(format!(
        "a word of a command must be bytes, str, int or float, got {}",
        item.get_type().name()?
    )))
}

/// One command for a Redis; numbers are written as Python shows them.
///
/// Raises `TypeError` for anything else than bytes, strings and numbers.
#[pyfunction]
#[pyo3(signature = (*words))]
pub fn pack_command<'py>(py: Python<'py>, words: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyBytes>> {
    let items: Vec<Bound<'py, PyAny>> = words.iter().collect();
    let words = items.iter().map(word).collect::<PyResult<Vec<_>>>()?;
    let mut out =
        Vec::with_capacity(16 * words.len() + words.iter().map(|word| word.bytes().len()).sum::<usize>() + 16);
    write_command(&mut out, words.iter().map(Word::bytes));
    Ok(PyBytes::new(py, &out))
}

/// Seal a batch and push each envelope to its list, and the number of replies that this brings.
///
/// What goes to one list in a row is one command; more than one command is a transaction. Raises `ValueError` as
/// `seal_envelopes` does.
#[pyfunction]
pub fn pack_pushes<'py>(
    py: Python<'py>,
    messages: Vec<Bound<'py, PyTuple>>,
    routes: Vec<(Bound<'py, PyString>, Bound<'py, PyString>)>,
    lists: Vec<Bound<'py, PyBytes>>,
) -> PyResult<(Bound<'py, PyBytes>, usize)> {
    if lists.len() != messages.len() {
        return Err(PyValueError::new_err(format!(
            "messages and lists must be of one length, got {} and {}",
            messages.len(),
            lists.len()
        )));
    }
    let envelopes = sealed(py, &messages, &routes)?;
    let pairs: Vec<(&[u8], &[u8])> = lists
        .iter()
        .map(PyBytesMethods::as_bytes)
        .zip(envelopes.iter().map(Vec::as_slice))
        .collect();
    let (out, commands) = pushes(&pairs);
    Ok((
        PyBytes::new(py, &out),
        if commands > 1 { commands + 2 } else { commands },
    ))
}

/// The commands, in a transaction where there are several, and how many there are of them.
fn pushes(pairs: &[(&[u8], &[u8])]) -> (Vec<u8>, usize) {
    let length: usize = pairs.iter().map(|(_, envelope)| envelope.len() + 16).sum();
    let mut out = Vec::with_capacity(length + 128);
    let rows: Vec<_> = pairs.chunk_by(|one, next| one.0 == next.0).collect();
    if rows.len() > 1 {
        write_command(&mut out, [b"MULTI".as_slice()].into_iter());
    }
    for row in &rows {
        let list = row.first().map_or(&[][..], |(list, _)| list);
        let mut words = vec![b"LPUSH".as_slice(), list];
        words.extend(row.iter().map(|(_, envelope)| *envelope));
        write_command(&mut out, words.into_iter());
    }
    if rows.len() > 1 {
        write_command(&mut out, [b"EXEC".as_slice()].into_iter());
    }
    (out, rows.len())
}
