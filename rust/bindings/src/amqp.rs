//! AMQP for Python: `FrameReader` and the functions that begin with `amqp_`.

use celery_core::amqp::{
    changed, content_frames, content_of, envelope_of, publish_frames, Changes, Delivered, Item, Properties, Target,
    Value,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::envelope::Envelope;
use crate::error::{decode_error, value_error};
use crate::message::each_message;

/// Batches of fewer bytes are read without giving the interpreter away: that would cost more.
const WORTH_DETACHING: usize = 16 << 10;
const MOST: usize = 512 << 20;

/// Splits what a server sends. One per connection.
#[pyclass(module = "celery_rs._core")]
pub struct FrameReader {
    reader: celery_core::amqp::FrameReader,
}

#[pymethods]
impl FrameReader {
    #[new]
    #[pyo3(signature = (most = MOST))]
    fn new(most: usize) -> Self {
        Self {
            reader: celery_core::amqp::FrameReader::new(most),
        }
    }

    /// Whole items in order; what is incomplete waits.
    fn feed<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyList>> {
        let items = self.reader.feed(data).map_err(value_error)?;
        let found = PyList::empty(py);
        for item in items {
            found.append(tuple_of(py, item)?)?;
        }
        Ok(found)
    }
}

fn tuple_of(py: Python<'_>, item: Item) -> PyResult<Bound<'_, PyTuple>> {
    match item {
        Item::Deliver {
            channel,
            consumer_tag,
            delivery_tag,
            redelivered,
            content,
        } => (
            "deliver",
            channel,
            consumer_tag,
            delivery_tag,
            redelivered,
            content.exchange,
            content.routing_key,
            PyBytes::new(py, &content.properties),
            PyBytes::new(py, &content.body),
        )
            .into_pyobject(py),
        Item::Get {
            channel,
            delivery_tag,
            redelivered,
            content,
        } => (
            "get",
            channel,
            "",
            delivery_tag,
            redelivered,
            content.exchange,
            content.routing_key,
            PyBytes::new(py, &content.properties),
            PyBytes::new(py, &content.body),
        )
            .into_pyobject(py),
        Item::Return {
            channel,
            reply_code,
            reply_text,
            content,
        } => (
            "return",
            channel,
            reply_code,
            reply_text,
            content.exchange,
            content.routing_key,
            PyBytes::new(py, &content.properties),
            PyBytes::new(py, &content.body),
        )
            .into_pyobject(py),
        Item::Confirm {
            channel,
            delivery_tag,
            multiple,
            nack,
        } => (if nack { "nack" } else { "ack" }, channel, delivery_tag, multiple).into_pyobject(py),
        Item::Method {
            channel,
            class_id,
            method_id,
            arguments,
        } => ("method", channel, class_id, method_id, PyBytes::new(py, &arguments)).into_pyobject(py),
        Item::Heartbeat => ("heartbeat",).into_pyobject(py),
    }
}

/// The frames that publish each message.
#[pyfunction]
pub fn amqp_publishes<'py>(
    py: Python<'py>,
    messages: Vec<Bound<'py, PyTuple>>,
    routes: Vec<(Bound<'py, PyString>, Bound<'py, PyString>)>,
    channel: u16,
    frame_max: usize,
    mandatory: bool,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let frames = each_message(py, &messages, &routes, |message, exchange, routing_key| {
        let target = Target {
            channel,
            frame_max,
            exchange,
            routing_key,
            mandatory,
        };
        publish_frames(message, &target)
    })?;
    Ok(frames.iter().map(|each| PyBytes::new(py, each)).collect())
}

/// The frames that publish any content.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // they are what a publish consists of
pub fn amqp_content<'py>(
    py: Python<'py>,
    channel: u16,
    frame_max: usize,
    exchange: &str,
    routing_key: &str,
    mandatory: bool,
    properties: &[u8],
    body: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let target = Target {
        channel,
        frame_max,
        exchange,
        routing_key,
        mandatory,
    };
    let frames = content_frames(&target, properties, body).map_err(value_error)?;
    Ok(PyBytes::new(py, &frames))
}

/// The properties with some headers set, some taken off, and other changes.
#[pyfunction]
#[pyo3(signature = (properties, *, headers = None, without = Vec::new(), expiration = None, delivery_mode = None))]
pub fn amqp_changed<'py>(
    py: Python<'py>,
    properties: &[u8],
    headers: Option<&Bound<'py, PyDict>>,
    without: Vec<String>,
    expiration: Option<&Bound<'py, PyAny>>,
    delivery_mode: Option<u8>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut set = Vec::new();
    for (name, value) in headers.into_iter().flatten() {
        set.push((name.extract::<String>()?, value_of(&value)?));
    }
    // Absent keeps it, and an empty text takes it off.
    let text: Option<String> = expiration.map(PyAnyMethods::extract).transpose()?;
    let changes = Changes {
        headers: set
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.clone()))
            .collect(),
        without: without.iter().map(String::as_bytes).collect(),
        expiration: text.as_ref().map(|text| (!text.is_empty()).then_some(text.as_bytes())),
        delivery_mode: delivery_mode.map(Some),
    };
    let found = changed(properties, changes).map_err(value_error)?;
    Ok(PyBytes::new(py, &found))
}

fn value_of(value: &Bound<'_, PyAny>) -> PyResult<Value<'static>> {
    if value.is_none() {
        return Ok(Value::Null);
    }
    if value.is_instance_of::<PyBool>() {
        return value.extract().map(Value::Bool);
    }
    if value.is_instance_of::<PyInt>() {
        return value.extract().map(Value::Int);
    }
    if value.is_instance_of::<PyFloat>() {
        return value.extract().map(Value::Float);
    }
    let Ok(text) = value.extract::<String>() else {
        return Err(PyTypeError::new_err(format!(
            "a header must be text, a number, a bool or None, got {}",
            value.repr()?
        )));
    };
    Ok(Value::Text(text.into_bytes().into()))
}

/// The header table as Python values.
#[pyfunction]
pub fn amqp_headers<'py>(py: Python<'py>, properties: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let found = Properties::read(properties).map_err(value_error)?;
    to_python(py, &Value::Table(found.headers.unwrap_or_default()))
}

fn to_python<'py>(py: Python<'py>, value: &Value<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Value::Int(value) => value.into_pyobject(py)?.into_any(),
        Value::Time(value) => value.into_pyobject(py)?.into_any(),
        Value::Float(value) => PyFloat::new(py, *value).into_any(),
        Value::Decimal(..) => PyFloat::new(py, value.decimal()).into_any(),
        Value::Text(text) => PyString::new(py, &String::from_utf8_lossy(text)).into_any(),
        Value::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Value::List(values) => {
            let list = PyList::empty(py);
            for value in values {
                list.append(to_python(py, value)?)?;
            }
            list.into_any()
        }
        Value::Table(members) => {
            let table = PyDict::new(py);
            for (name, value) in members {
                table.set_item(&*String::from_utf8_lossy(name), to_python(py, value)?)?;
            }
            table.into_any()
        }
    })
}

type Contents<'py> = (
    Bound<'py, PyString>,
    Bound<'py, PyString>,
    bool,
    Bound<'py, PyBytes>,
    Bound<'py, PyBytes>,
);

/// Open a batch of delivered messages, as `open_envelopes` does with envelopes.
#[pyfunction]
pub fn open_amqp<'py>(py: Python<'py>, contents: Vec<Contents<'py>>) -> PyResult<Bound<'py, PyList>> {
    let mut delivered = Vec::with_capacity(contents.len());
    for (exchange, routing_key, redelivered, properties, body) in &contents {
        delivered.push(Delivered {
            exchange: exchange.to_str()?,
            routing_key: routing_key.to_str()?,
            redelivered: *redelivered,
            properties: properties.as_bytes(),
            body: body.as_bytes(),
        });
    }
    let open = || {
        let mut scratch = Vec::new();
        delivered
            .iter()
            .map(|each| {
                let (raw, wrong) = envelope_of(each)?;
                let opened = match wrong {
                    Some(error) => Err(error),
                    None => celery_core::Envelope::open(&raw, &mut scratch),
                };
                Ok((raw, opened))
            })
            .collect::<Result<Vec<_>, celery_core::Error>>()
    };
    let size: usize = delivered
        .iter()
        .map(|each| each.body.len() + each.properties.len())
        .sum();
    let opened = if size < WORTH_DETACHING {
        open()
    } else {
        py.detach(open)
    };
    let results = PyList::empty(py);
    for (raw, result) in opened.map_err(value_error)? {
        let raw = PyBytes::new(py, &raw);
        match result {
            Ok(parts) => results.append(Envelope::of(raw.unbind(), parts))?,
            Err(error) => results.append(decode_error(py, &error, &raw)?)?,
        }
    }
    Ok(results)
}

/// An envelope as AMQP carries it: properties and body.
#[pyfunction]
pub fn amqp_of_envelope<'py>(py: Python<'py>, raw: &[u8]) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let (properties, body) = content_of(raw).map_err(value_error)?;
    Ok((PyBytes::new(py, &properties), PyBytes::new(py, &body)))
}
