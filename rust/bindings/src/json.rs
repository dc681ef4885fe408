//! `write_json`: Python values as the JSON that Kombu's codec writes.
//!
//! The walk keeps its own stack, so nesting costs none of the thread's. Code of the user's may run in the
//! middle of it (what `default` calls, `items` of a dict of his own), raise, change what is being written, and
//! write JSON itself: nothing is borrowed across such a call.

use std::mem::take;
use std::vec::IntoIter;

use celery_core::{Error, JsonText};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyMemoryError, PyRecursionError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple};
use pyo3::PyTypeInfo;

create_exception!(
    celery_rs._core,
    NotJson,
    PyValueError,
    "A value that JSON cannot carry. Its text goes right behind the name of the whole: `[1]['when']: complex is not JSON`."
);

/// Deeper values are refused: Celery on Python 3.11, whose reader stops at 1,000 levels less its own calls, could
/// not read them.
const MAX_DEPTH: usize = 900;

/// Enough for most bodies.
const ROOM: usize = 256;

/// The longest key that is shown in full.
const SHOWN: usize = 80;

type Value<'py> = Bound<'py, PyAny>;

/// A value as Kombu's JSON; `default` says what to write for one that JSON lacks.
///
/// Raises `NotJson`, and what user code raises that is no `Exception`.
#[pyfunction]
#[pyo3(signature = (value, default, /))]
pub fn write_json<'py>(value: Value<'py>, default: Value<'py>) -> PyResult<Bound<'py, PyBytes>> {
    let py = value.py();
    let mut text = JsonText::with_room(ROOM);
    write_value(&mut text, &value, &default)?;
    let text = text.finish().map_err(no_memory)?;
    PyBytes::new_with(py, text.len(), |bytes| {
        bytes.copy_from_slice(text.as_bytes());
        Ok(())
    })
}

/// The same at the end of `text`.
pub fn write_value<'py>(text: &mut JsonText, value: &Value<'py>, default: &Value<'py>) -> PyResult<()> {
    let mut walk = Walk {
        text: take(text),
        path: Vec::new(),
        default: default.clone(),
    };
    walk.whole(value.clone())
        .map_err(|fault| walk.explained(value.py(), fault))?;
    *text = walk.text;
    Ok(())
}

/// What to raise for a text that does not fit into memory.
pub fn no_memory(error: Error) -> PyErr {
    PyMemoryError::new_err(error.to_string())
}

/// Why a value cannot be written.
enum Fault<'py> {
    /// What `default` or a number raised.
    Value(PyErr),
    /// Neither a string nor a number.
    Key(Value<'py>),
    /// A container of the user's own raised this when it was read.
    Container(PyErr),
    Itself,
    TooDeep,
    NoMemory,
}

/// What is being written of a value that holds others. `whole` is the value itself.
enum Level<'py> {
    List {
        whole: Value<'py>,
        items: Bound<'py, PyList>,
        next: usize,
    },
    Tuple {
        items: Bound<'py, PyTuple>,
        next: usize,
    },
    Dict {
        whole: Value<'py>,
        items: IntoIter<(Value<'py>, Value<'py>)>,
        key: Option<Value<'py>>,
    },
    /// What `default` has put in the place of `whole`.
    Replaced {
        whole: Value<'py>,
        by: Option<Value<'py>>,
    },
}

impl<'py> Level<'py> {
    fn whole(&self) -> &Value<'py> {
        match self {
            Self::List { whole, .. } | Self::Dict { whole, .. } | Self::Replaced { whole, .. } => whole,
            Self::Tuple { items, .. } => items.as_any(),
        }
    }
}

struct Walk<'py> {
    text: JsonText,
    /// From the outermost value to the one that is being written.
    path: Vec<Level<'py>>,
    default: Value<'py>,
}

impl<'py> Walk<'py> {
    fn whole(&mut self, value: Value<'py>) -> Result<(), Fault<'py>> {
        self.value(value)?;
        while !self.path.is_empty() {
            if self.text.is_full() {
                return Err(Fault::NoMemory);
            }
            match self.next()? {
                Some(value) => self.value(value)?,
                None => {
                    self.path.pop();
                }
            }
        }
        Ok(())
    }

    /// The next value of the innermost level, with what stands before it written; None at its end.
    fn next(&mut self) -> Result<Option<Value<'py>>, Fault<'py>> {
        let Some(level) = self.path.last_mut() else {
            return Ok(None);
        };
        match level {
            Level::List { items, next, .. } => {
                // A list may have become shorter or longer since.
                let item = if *next < items.len() {
                    items.get_item(*next).ok()
                } else {
                    None
                };
                Ok(element(&mut self.text, next, item))
            }
            Level::Tuple { items, next } => {
                let item = if *next < items.len() {
                    items.get_item(*next).ok()
                } else {
                    None
                };
                Ok(element(&mut self.text, next, item))
            }
            Level::Dict { items, key, .. } => {
                let first = key.take().is_none();
                let Some((name, item)) = items.next() else {
                    self.text.raw("}");
                    return Ok(None);
                };
                self.text.raw(if first { "{" } else { ", " });
                write_key(&mut self.text, &name)?;
                self.text.raw(": ");
                *key = Some(name);
                Ok(Some(item))
            }
            Level::Replaced { by, .. } => Ok(by.take()),
        }
    }

    /// Write a value, or begin with one that holds others.
    fn value(&mut self, value: Value<'py>) -> Result<(), Fault<'py>> {
        if let Ok(text) = value.cast_exact::<PyString>() {
            write_string(&mut self.text, text)
        } else if let Ok(number) = value.cast_exact::<PyInt>() {
            write_integer(&mut self.text, number)
        } else if value.is_none() {
            self.text.raw("null");
            Ok(())
        } else if let Ok(flag) = value.cast_exact::<PyBool>() {
            self.text.raw(if flag.is_true() { "true" } else { "false" });
            Ok(())
        } else if let Ok(number) = value.cast_exact::<PyFloat>() {
            self.text.float(number.value());
            Ok(())
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            let items = members(dict);
            self.dict(value, items)
        } else if let Ok(list) = value.cast_exact::<PyList>() {
            let items = list.clone();
            self.list(value, items)
        } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            if tuple.is_empty() {
                self.text.raw("[]");
                return Ok(());
            }
            let items = tuple.clone();
            self.enter(&value, Level::Tuple { items, next: 0 })
        } else {
            self.unusual(value)
        }
    }

    /// Subclasses count as what they extend, as in Python's `json`; the rest is `default`'s.
    fn unusual(&mut self, value: Value<'py>) -> Result<(), Fault<'py>> {
        if let Ok(text) = value.cast::<PyString>() {
            write_string(&mut self.text, text)
        } else if let Ok(number) = value.cast::<PyInt>() {
            write_integer(&mut self.text, number)
        } else if let Ok(number) = value.cast::<PyFloat>() {
            self.text.float(number.value());
            Ok(())
        } else if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
            let items = value
                .cast::<PySequence>()
                .map_err(PyErr::from)
                .and_then(PySequenceMethods::to_list);
            self.list(value, items.map_err(Fault::Container)?)
        } else if let Ok(dict) = value.cast::<PyDict>() {
            if dict.is_empty() {
                self.text.raw("{}");
                return Ok(());
            }
            let items = own_items(dict).map_err(Fault::Container)?;
            self.dict(value, items)
        } else {
            self.enter(
                &value,
                Level::Replaced {
                    whole: value.clone(),
                    by: None,
                },
            )?;
            let replaced = self.default.call1((value,)).map_err(Fault::Value)?;
            if let Some(Level::Replaced { by, .. }) = self.path.last_mut() {
                *by = Some(replaced);
            }
            Ok(())
        }
    }

    fn list(&mut self, whole: Value<'py>, items: Bound<'py, PyList>) -> Result<(), Fault<'py>> {
        if items.is_empty() {
            self.text.raw("[]");
            return Ok(());
        }
        self.enter(&whole.clone(), Level::List { whole, items, next: 0 })
    }

    fn dict(&mut self, whole: Value<'py>, items: Vec<(Value<'py>, Value<'py>)>) -> Result<(), Fault<'py>> {
        if items.is_empty() {
            self.text.raw("{}");
            return Ok(());
        }
        let items = items.into_iter();
        self.enter(
            &whole.clone(),
            Level::Dict {
                whole,
                items,
                key: None,
            },
        )
    }

    fn enter(&mut self, whole: &Value<'py>, level: Level<'py>) -> Result<(), Fault<'py>> {
        if self.path.iter().any(|level| level.whole().is(whole)) {
            return Err(Fault::Itself);
        }
        if self.path.len() == MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        self.path.push(level);
        Ok(())
    }

    fn explained(&self, py: Python<'py>, fault: Fault<'py>) -> PyErr {
        match fault {
            Fault::Itself => NotJson::new_err(" contains itself; JSON cannot"),
            Fault::TooDeep => NotJson::new_err(" is nested too deeply for JSON"),
            Fault::NoMemory => no_memory(Error::NoMemory),
            Fault::Value(error) | Fault::Container(error) if !error.is_instance_of::<PyException>(py) => error,
            Fault::Value(error) | Fault::Container(error) if error.is_instance_of::<PyRecursionError>(py) => {
                NotJson::new_err(" is nested too deeply for JSON")
            }
            Fault::Value(error) => NotJson::new_err(format!("{}: {}", self.place(), text_of(py, &error))),
            Fault::Container(error) => {
                let text = format!(
                    " cannot be read for JSON: {}: {}",
                    kind_of(error.value(py)),
                    text_of(py, &error)
                );
                let told = NotJson::new_err(text);
                told.set_cause(py, Some(error));
                told
            }
            Fault::Key(key) => NotJson::new_err(format!("{}: {}", self.place(), bad_key(&key))),
        }
    }

    /// Where the value is that is being written: `[1]['when']`.
    fn place(&self) -> String {
        let step = |level: &Level<'py>| match level {
            Level::List { next, .. } | Level::Tuple { next, .. } => format!("[{}]", next.saturating_sub(1)),
            Level::Dict { key: Some(key), .. } => format!("[{}]", shown(key).unwrap_or_else(|| "?".into())),
            Level::Dict { key: None, .. } | Level::Replaced { .. } => String::new(),
        };
        self.path.iter().map(step).collect()
    }
}

/// Write what stands before the element at `next`, or the end.
fn element<'py>(out: &mut JsonText, next: &mut usize, item: Option<Value<'py>>) -> Option<Value<'py>> {
    out.raw(match item {
        None => "]",
        Some(_) if *next == 0 => "[",
        Some(_) => ", ",
    });
    *next += 1;
    item
}

/// The members of a plain dict as they are now.
fn members<'py>(dict: &Bound<'py, PyDict>) -> Vec<(Value<'py>, Value<'py>)> {
    // All at once: what runs later may change it.
    dict.iter().collect()
}

/// What `items()` of a dict of the user's own says.
fn own_items<'py>(dict: &Bound<'py, PyDict>) -> PyResult<Vec<(Value<'py>, Value<'py>)>> {
    let pair = |item: Value<'py>| {
        item.extract()
            .map_err(|_| PyValueError::new_err("items must return 2-tuples"))
    };
    let items = dict.cast::<PyMapping>()?.items()?;
    items.iter().map(pair).collect()
}

fn write_string<'py>(out: &mut JsonText, text: &Bound<'py, PyString>) -> Result<(), Fault<'py>> {
    if let Ok(sound) = text.to_str() {
        out.string(sound);
        return Ok(());
    }
    let bytes = text.call_method1("encode", ("utf-8", "surrogatepass"));
    let bytes = bytes.and_then(|bytes| bytes.cast_into::<PyBytes>().map_err(PyErr::from));
    out.string_with_surrogates(bytes.map_err(Fault::Value)?.as_bytes());
    Ok(())
}

fn write_integer<'py>(out: &mut JsonText, number: &Bound<'py, PyInt>) -> Result<(), Fault<'py>> {
    if let Ok(small) = number.extract::<i64>() {
        out.integer(small);
        return Ok(());
    }
    // Past the `__repr__` of a subclass, as Python's `json` does.
    let digits = PyInt::type_object(number.py()).call_method1("__repr__", (number,));
    out.raw(digits.map_err(Fault::Value)?.to_string().as_str());
    Ok(())
}

fn write_key<'py>(out: &mut JsonText, key: &Value<'py>) -> Result<(), Fault<'py>> {
    if let Ok(text) = key.cast::<PyString>() {
        return write_string(out, text);
    }
    out.raw("\"");
    if let Ok(number) = key.cast::<PyFloat>() {
        out.float(number.value());
    } else if let Ok(flag) = key.cast_exact::<PyBool>() {
        out.raw(if flag.is_true() { "true" } else { "false" });
    } else if key.is_none() {
        out.raw("null");
    } else if let Ok(number) = key.cast::<PyInt>() {
        write_integer(out, number)?;
    } else {
        return Err(Fault::Key(key.clone()));
    }
    out.raw("\"");
    Ok(())
}

fn bad_key(key: &Value<'_>) -> String {
    let kind = kind_of(key);
    match shown(key) {
        Some(shown) => format!("key {shown} is a {kind}, and keys must be strings or numbers"),
        None => format!("keys must be str, int, float, bool or None, not {kind}"),
    }
}

/// The repr, cut; None where it raises.
fn shown(value: &Value<'_>) -> Option<String> {
    let text = value.repr().ok()?.to_string_lossy().into_owned();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => Some(format!("{}...", text.get(..end).unwrap_or_default())),
        None => Some(text),
    }
}

fn kind_of(value: &Value<'_>) -> String {
    value
        .get_type()
        .name()
        .map_or_else(|_| "value".into(), |name| name.to_string_lossy().into_owned())
}

/// What an exception says of itself; its kind where it cannot.
fn text_of(py: Python<'_>, error: &PyErr) -> String {
    let value = error.value(py);
    value
        .str()
        .map_or_else(|_| kind_of(value), |text| text.to_string_lossy().into_owned())
}
