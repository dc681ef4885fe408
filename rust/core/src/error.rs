//! Everything that can be wrong with an input, in one enum.
//!
//! A message says what was expected and what came, in one line and without a full stop; text that
//! came from outside is quoted as Python would and cut.

use std::fmt;

/// Why an input was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The text is not JSON from this byte on.
    Json {
        /// Offset of the first byte that does not fit.
        at: usize,
        /// What would have fitted there.
        expected: &'static str,
    },
    /// The JSON is nested too deeply.
    TooDeep {
        /// Offset of the bracket that went too far.
        at: usize,
        /// How many levels are read.
        limit: u32,
    },
    /// The input is longer than anything a broker delivers.
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The most that is read.
        limit: usize,
    },
    /// The input is not UTF-8 from this byte on.
    NotUtf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// The envelope has no headers that protocol 2 asks for.
    NoHeader {
        /// The name of the missing header.
        name: &'static str,
    },
    /// A field holds something that it must not.
    Field {
        /// Where it stands, such as `headers.eta`.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What stands there: JSON text, cut.
        got: String,
    },
    /// The body is not base64.
    Base64 {
        /// What the decoder found.
        reason: String,
    },
    /// The text is not ISO 8601.
    Timestamp {
        /// The text, cut.
        got: String,
    },
    /// The text or number is not a rate.
    Rate {
        /// The text as it came, quoted.
        got: String,
    },
    /// A JSON object was expected as a whole.
    NotAnObject {
        /// Which field of the message.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// What a broker sent ends before it is complete.
    Cut {
        /// What was being read.
        what: &'static str,
    },
    /// What a broker sent is not AMQP 0-9-1.
    NotAmqp {
        /// What stands there instead, and what was expected.
        reason: String,
    },
    /// A text does not fit into memory.
    NoMemory,
    /// A regular expression that cannot be compiled, or that Python would read differently.
    Regex {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A pool page was asked to let jobs start that cannot exist.
    JobNumber {
        /// The number.
        got: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { at, expected } => write!(f, "not JSON: expected {expected} at byte {at}"),
            Self::TooDeep { at, limit } => write!(f, "JSON nested deeper than {limit} levels at byte {at}"),
            Self::TooLong { length, limit } => write!(f, "{length} bytes long, at most {limit} are read"),
            Self::NotUtf8 { at } => write!(f, "not UTF-8 at byte {at}"),
            Self::NoHeader { name } => write!(f, "no '{name}' header: not a protocol 2 message"),
            Self::Field { name, expected, got } => write!(f, "{name} must be {expected}, got {got}"),
            Self::Base64 { reason } => write!(f, "body is not base64: {reason}"),
            Self::Timestamp { got } => {
                write!(
                    f,
                    "time must look like '2030-01-02T03:04:05+00:00' (ISO 8601), got {}",
                    Quoted(got)
                )
            }
            Self::Rate { got } => {
                write!(
                    f,
                    "rate_limit must look like '10/m' (per s, m, h or d) or a number per second, got {got}"
                )
            }
            Self::NotAnObject { name, reason } => write!(f, "{name} must be a JSON object: {reason}"),
            Self::Cut { what } => write!(f, "{what} ends too early"),
            Self::NotAmqp { reason } => write!(f, "not AMQP 0-9-1: {reason}"),
            Self::NoMemory => f.write_str("there is not enough memory for the text"),
            Self::Regex { pattern, reason } => {
                write!(f, "regex {} cannot be used here: {reason}", Quoted(pattern))
            }
            Self::JobNumber { got } => write!(f, "job numbers end at {}, got {got}", crate::page::LAST_JOB),
        }
    }
}

impl std::error::Error for Error {}

/// Text from outside as Python's `repr` shows it, cut after 80 characters.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub &'a str);

const SHOWN: usize = 80;

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        for (shown, letter) in self.0.chars().enumerate() {
            if shown == SHOWN {
                return f.write_str("...'");
            }
            match letter {
                '\'' => f.write_str("\\'")?,
                '"' => f.write_str("\"")?,
                _ => write!(f, "{}", letter.escape_debug())?,
            }
        }
        f.write_str("'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_was_expected_and_what_came() {
        let error = Error::Rate {
            got: Quoted("5/x").to_string(),
        };
        assert_eq!(
            error.to_string(),
            "rate_limit must look like '10/m' (per s, m, h or d) or a number per second, got '5/x'"
        );
        assert_eq!(
            Error::NoHeader { name: "task" }.to_string(),
            "no 'task' header: not a protocol 2 message"
        );
    }

    #[test]
    fn quoted_text_stays_on_one_short_line() {
        assert_eq!(Quoted("it's\n\"so\"").to_string(), r#"'it\'s\n"so"'"#);
        assert_eq!(Quoted(&"x".repeat(500)).to_string().len(), SHOWN + 5);
    }
}
