//! The hot path of celery-rs: bytes to fields and back, rates, routes, the pool page.
//!
//! Nothing in here knows Python, reads a clock, draws a random number or keeps global state: time
//! is a parameter, input is untrusted, and no input makes a function panic.
#![forbid(unsafe_code)]

pub mod amqp;
mod bucket;
mod calendar;
mod command;
mod envelope;
mod error;
mod header;
mod json;
mod limiter;
mod marshal;
mod page;
mod pattern;
mod rate;
mod router;
mod scan;
mod seal;
mod spin;
mod text;
mod timestamp;
mod uuid;

pub use bucket::Bucket;
pub use calendar::write_timestamp;
pub use command::write_command;
pub use envelope::{Envelope, MAX_ENVELOPE};
pub use error::{Error, Quoted};
pub use header::Header;
pub use json::{Span, Text};
pub use limiter::Limiter;
pub use marshal::Marshal;
pub use page::{Page, PAGE_WORDS};
pub use pattern::{topic_matches, Glob};
pub use rate::{checked_rate, parse_rate};
pub use router::{Router, Rule};
pub use scan::is_plain;
pub use seal::{seal, Message, Number};
pub use spin::Spin;
pub use text::JsonText;
pub use timestamp::parse_timestamp;
pub use uuid::uuid4;
