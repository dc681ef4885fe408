//! `parse_rate` and `RateLimiter`.

use celery_core::{checked_rate, Error, Limiter};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};
use pyo3::Borrowed;

use crate::error::value_error;

/// A rate in any of the forms that users write, as tokens per second.
pub struct Rate(f64);

impl<'a, 'py> FromPyObject<'a, 'py> for Rate {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let refused = || {
            value.repr().map_or_else(
                |error| error,
                |shown| value_error(Error::Rate { got: shown.to_string() }),
            )
        };
        if value.is_none() {
            return Ok(Self(0.0));
        }
        if let Ok(text) = value.cast::<PyString>() {
            return celery_core::parse_rate(&text.to_string_lossy())
                .map(Self)
                .map_err(value_error);
        }
        // True is an integer to Python and a mistake here.
        let is_number = value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>();
        if !is_number || value.is_instance_of::<PyBool>() {
            return Err(refused());
        }
        let number = value.extract().map_err(|_| refused())?;
        checked_rate(number).map(Self).map_err(|_| refused())
    }
}

/// `"10/m"`, `"2/s"`, `"5/h"`, `"1/d"`, a number per second → tokens per second; None, 0, "" → 0.0, no limit.
///
/// Raises `ValueError` naming the text and what was expected.
#[pyfunction]
pub fn parse_rate(rate: Rate) -> f64 {
    rate.0
}

/// Token buckets by task name: capacity 1, start full. `now` is monotonic seconds.
#[pyclass(module = "celery_rs._core")]
pub struct RateLimiter {
    limiter: Limiter,
}

#[pymethods]
impl RateLimiter {
    #[new]
    fn new() -> Self {
        Self {
            limiter: Limiter::default(),
        }
    }

    /// Change the rate; tokens already taken or booked stay owed. Raises `ValueError`.
    fn set(&mut self, task: &str, rate: Rate, now: f64) {
        self.limiter.set(task, rate.0, now);
    }

    /// Tokens per second; 0.0 means no limit.
    fn rate(&self, task: &str) -> f64 {
        self.limiter.rate(task)
    }

    /// Take a token: 0.0 when taken, else seconds until there is one (nothing taken).
    fn take(&mut self, task: &str, now: f64) -> f64 {
        self.limiter.take(task, now)
    }

    /// Take the next free token, if need be a future one; returns the time at which it is due.
    fn book(&mut self, task: &str, now: f64) -> f64 {
        self.limiter.book(task, now)
    }
}
