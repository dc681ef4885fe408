//! `celery_rs._core`: the Python face of `celery-core`. Translation only.
//!
//! `python/celery_rs/_core.pyi` documents every name for its users; stubtest keeps the two in step.
// Arguments of Python functions arrive by value.
#![allow(clippy::needless_pass_by_value)]

mod amqp;
mod command;
mod compose;
mod envelope;
mod error;
mod jobs;
mod json;
mod limiter;
mod message;
mod page;
mod process;
mod router;
mod scan;
#[cfg(unix)]
mod spin;
mod timestamp;

use pyo3::prelude::*;

/// The extension module `celery_rs._core`.
#[pymodule(gil_used = false)]
mod _core {
    /// Of the workspace. Python spells a pre-release of it in a way of its own.
    #[pymodule_export]
    const RELEASE: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    use super::amqp::{
        amqp_changed, amqp_content, amqp_headers, amqp_of_envelope, amqp_publishes, open_amqp, FrameReader,
    };
    #[pymodule_export]
    use super::command::{pack_command, pack_pushes};
    #[pymodule_export]
    use super::compose::{messages_like, new_id};
    #[pymodule_export]
    use super::envelope::parse_timestamp;
    #[pymodule_export]
    use super::envelope::{open_envelopes, Envelope};
    #[pymodule_export]
    use super::error::DecodeError;
    #[pymodule_export]
    use super::jobs::pack_jobs;
    #[pymodule_export]
    use super::json::{write_json, NotJson};
    #[pymodule_export]
    use super::limiter::{parse_rate, RateLimiter};
    #[pymodule_export]
    use super::message::seal_envelopes;
    #[pymodule_export]
    use super::page::PoolPage;
    #[pymodule_export]
    use super::process::die_with_parent;
    #[pymodule_export]
    use super::router::{topic_matches, RouteTable};
    #[pymodule_export]
    use super::scan::is_plain_json;
    #[cfg(unix)]
    #[pymodule_export]
    use super::spin::SpinWait;
    #[pymodule_export]
    use super::timestamp::write_timestamp;
}
