//! The protocol-2 header fields that a worker decides on; all others are stepped over.

use crate::error::{Error, Quoted};
use crate::json::{Scanner, Span, Text};
use crate::timestamp::parse_timestamp;

/// The fields of a message's headers. Times are epoch seconds, limits seconds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Header {
    /// The task's id.
    pub id: Text,
    /// The task's name.
    pub task: Text,
    /// Not to start before.
    pub eta: Option<f64>,
    /// Not to start after.
    pub expires: Option<f64>,
    /// How often the task was retried before.
    pub retries: i64,
    /// Seconds until the task is asked to stop.
    pub soft_limit: Option<f64>,
    /// Seconds until the task is killed.
    pub hard_limit: Option<f64>,
    /// Whether the sender wants no result; None leaves it to the task.
    pub ignore_result: Option<bool>,
    /// The group the task belongs to.
    pub group: Option<Text>,
    /// The first task of the workflow.
    pub root_id: Option<Text>,
    /// The task that sent this one.
    pub parent_id: Option<Text>,
    /// A name to show instead of `task`.
    pub shadow: Option<Text>,
    /// The positional arguments, for people.
    pub argsrepr: Option<Text>,
    /// The keyword arguments, for people.
    pub kwargsrepr: Option<Text>,
    /// How the body is compressed.
    pub compression: Option<Text>,
    /// Whether they say anything of a redelivery.
    pub(crate) has_past: bool,
}

impl Header {
    /// Read a header object; of a key that comes twice the last counts, as in Python.
    pub(crate) fn read(raw: &[u8], scanner: &mut Scanner<'_>) -> Result<Self, Error> {
        let mut header = Self::default();
        let mut seen = (None, None);
        let mut members = scanner.enter("headers to be an object")?;
        while let Some(key) = members.next(scanner)? {
            match &*key.bytes(raw) {
                b"task" => seen.0 = text(raw, scanner, "headers.task")?,
                b"id" => seen.1 = text(raw, scanner, "headers.id")?,
                b"eta" => header.eta = time(raw, scanner, "headers.eta")?,
                b"expires" => header.expires = time(raw, scanner, "headers.expires")?,
                b"retries" => header.retries = integer(raw, scanner, "headers.retries")?.unwrap_or(0),
                b"timelimit" => (header.hard_limit, header.soft_limit) = limits(raw, scanner)?,
                b"ignore_result" => header.ignore_result = flag(raw, scanner, "headers.ignore_result")?,
                b"group" => header.group = text(raw, scanner, "headers.group")?,
                b"root_id" => header.root_id = text(raw, scanner, "headers.root_id")?,
                b"parent_id" => header.parent_id = text(raw, scanner, "headers.parent_id")?,
                b"shadow" => header.shadow = shown(raw, scanner, "headers.shadow")?,
                b"argsrepr" => header.argsrepr = shown(raw, scanner, "headers.argsrepr")?,
                b"kwargsrepr" => header.kwargsrepr = shown(raw, scanner, "headers.kwargsrepr")?,
                b"compression" => header.compression = text(raw, scanner, "headers.compression")?,
                other => {
                    header.has_past |= other == b"redelivered";
                    scanner.value()?;
                }
            }
        }
        header.task = seen.0.ok_or(Error::NoHeader { name: "task" })?;
        header.id = seen.1.ok_or(Error::NoHeader { name: "id" })?;
        Ok(header)
    }
}

/// Text that is only shown to people: anything readable will do.
fn shown(raw: &[u8], scanner: &mut Scanner<'_>, name: &'static str) -> Result<Option<Text>, Error> {
    if scanner.take_null() {
        return Ok(None);
    }
    if scanner.peek() == Some(b'"') {
        return scanner.string().map(Some);
    }
    refuse(raw, scanner, name, "text or null")
}

/// Text that is compared and stored.
pub(crate) fn text(raw: &[u8], scanner: &mut Scanner<'_>, name: &'static str) -> Result<Option<Text>, Error> {
    match shown(raw, scanner, name)? {
        Some(found) if !found.is_sound(raw) => Err(Error::Field {
            name,
            expected: "text without single surrogates",
            got: Quoted(&found.of(raw)).to_string(),
        }),
        found => Ok(found),
    }
}

fn time(raw: &[u8], scanner: &mut Scanner<'_>, name: &'static str) -> Result<Option<f64>, Error> {
    const EXPECTED: &str = "ISO 8601 text or null";
    if scanner.take_null() {
        return Ok(None);
    }
    if scanner.peek() != Some(b'"') {
        return refuse(raw, scanner, name, EXPECTED);
    }
    let found = scanner.string()?;
    let value = found.of(raw);
    // Celery takes an empty text for none.
    if value.is_empty() {
        return Ok(None);
    }
    match parse_timestamp(&value) {
        Ok(seconds) => Ok(Some(seconds)),
        Err(_) => Err(Error::Field {
            name,
            expected: EXPECTED,
            got: Quoted(&value).to_string(),
        }),
    }
}

pub(crate) fn integer(raw: &[u8], scanner: &mut Scanner<'_>, name: &'static str) -> Result<Option<i64>, Error> {
    const EXPECTED: &str = "an integer of 64 bits or null";
    if scanner.take_null() {
        return Ok(None);
    }
    let found = scanner.value()?;
    match as_str(found, raw).parse() {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(field(raw, found, name, EXPECTED)),
    }
}

fn flag(raw: &[u8], scanner: &mut Scanner<'_>, name: &'static str) -> Result<Option<bool>, Error> {
    let found = scanner.value()?;
    match found.of(raw) {
        b"null" => Ok(None),
        b"true" => Ok(Some(true)),
        b"false" => Ok(Some(false)),
        _ => Err(field(raw, found, name, "true, false or null")),
    }
}

type Limits = (Option<f64>, Option<f64>);

/// `[hard, soft]`, in seconds or null each; null or `[]` for neither.
fn limits(raw: &[u8], scanner: &mut Scanner<'_>) -> Result<Limits, Error> {
    const NAME: &str = "headers.timelimit";
    const EXPECTED: &str = "[hard, soft] in seconds or null each";
    let whole = scanner.value()?;
    let wrong = || field(raw, whole, NAME, EXPECTED);
    let text = as_str(whole, raw);
    if text == "null" {
        return Ok((None, None));
    }
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or_else(wrong)?;
    if inner.trim().is_empty() {
        return Ok((None, None));
    }
    let mut parts = inner.split(',').map(|part| limit(part.trim()));
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Some(hard)), Some(Some(soft)), None) => Ok((hard, soft)),
        _ => Err(wrong()),
    }
}

/// One limit; None when the text is no limit at all.
#[allow(clippy::option_option)] // outer: is it a limit; inner: is there one
fn limit(part: &str) -> Option<Option<f64>> {
    if part == "null" {
        return Some(None);
    }
    let seconds: f64 = part.parse().ok()?;
    // Adding zero turns -0.0 into 0.0.
    (seconds.is_finite() && seconds >= 0.0).then_some(Some(seconds + 0.0))
}

const SHOWN: usize = 80;

fn as_str(span: Span, raw: &[u8]) -> &str {
    std::str::from_utf8(span.of(raw)).unwrap_or_default()
}

fn field(raw: &[u8], found: Span, name: &'static str, expected: &'static str) -> Error {
    let text = as_str(found, raw);
    let mut got: String = text.chars().take(SHOWN).collect();
    if got.len() < text.len() {
        got.push_str("...");
    }
    Error::Field { name, expected, got }
}

/// Take whatever stands here and say that it must not.
fn refuse<T>(raw: &[u8], scanner: &mut Scanner<'_>, name: &'static str, expected: &'static str) -> Result<T, Error> {
    let found = scanner.value()?;
    Err(field(raw, found, name, expected))
}
