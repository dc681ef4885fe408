//! `RouteTable` and `topic_matches`.

use celery_core::{Router, Rule};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::value_error;

/// Task name → index of the first matching rule: exact names first, then patterns in order.
#[pyclass(module = "celery_rs._core")]
pub struct RouteTable {
    router: Router,
}

#[pymethods]
impl RouteTable {
    #[new]
    fn new(rules: Vec<(String, String)>) -> PyResult<Self> {
        let rules = rules.iter().map(rule).collect::<PyResult<Vec<_>>>()?;
        Ok(Self {
            router: Router::new(rules).map_err(value_error)?,
        })
    }

    fn lookup(&mut self, task: &str) -> Option<usize> {
        self.router.lookup(task)
    }
}

fn rule((kind, pattern): &(String, String)) -> PyResult<Rule<'_>> {
    match kind.as_str() {
        "exact" => Ok(Rule::Exact(pattern)),
        "glob" => Ok(Rule::Glob(pattern)),
        "regex" => Ok(Rule::Regex(pattern)),
        _ => Err(PyValueError::new_err(format!(
            "a rule's kind must be 'exact', 'glob' or 'regex', got {}",
            celery_core::Quoted(kind)
        ))),
    }
}

/// AMQP topic match: `*` one word, `#` any number of words.
#[pyfunction]
pub fn topic_matches(pattern: &str, routing_key: &str) -> bool {
    celery_core::topic_matches(pattern, routing_key)
}
