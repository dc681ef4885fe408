//! Open a broker envelope: Kombu's JSON object around a message's headers, properties and body.
//!
//! An [`Envelope`] holds places in the text it was read from, not values: the caller keeps the
//! text, and pays only for the fields that it asks for.

use std::borrow::Cow;

use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::Engine;

use crate::error::{Error, Quoted};
use crate::header::{integer, text, Header};
use crate::json::{Scanner, Span, Text};

/// The longest envelope that is read: the longest value that Redis holds.
pub const MAX_ENVELOPE: usize = 512 << 20;

/// Bits after the last whole byte are ignored, as Python does.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// An opened envelope. Every accessor takes the bytes that [`Envelope::open`] was given.
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(clippy::struct_excessive_bools)] // each is one fact that was read, and no two make a state
pub struct Envelope {
    /// The header fields that a worker decides on.
    pub header: Header,
    /// The headers as they stand in the envelope: a JSON object.
    pub headers: Span,
    /// The properties as they stand in the envelope: a JSON object, or nothing.
    pub properties: Span,
    /// How the body is serialized.
    pub content_type: Option<Text>,
    /// Which text encoding the body has.
    pub content_encoding: Option<Text>,
    /// Where the caller waits for results that travel as messages.
    pub reply_to: Option<Text>,
    /// The exchange the message was sent to; a redelivery goes there.
    pub exchange: Option<Text>,
    /// The routing key it was sent with.
    pub routing_key: Option<Text>,
    /// The priority it was sent with.
    pub priority: i64,
    /// Whether the message says anything of its past: that it comes again, or (`crs_…`) how often it did.
    pub has_past: bool,
    /// Whether the body is an object, as senders of protocol 1 write it, and not a list of three.
    pub is_mapping: bool,
    body: Text,
    base64: bool,
    counted: bool,
    returned: bool,
}

impl Envelope {
    /// Read an envelope. `scratch` is room to try the body's base64 in; pass the same one again.
    ///
    /// # Errors
    /// When it is not JSON, not a protocol-2 message, or a field that is read has the wrong type.
    pub fn open(raw: &[u8], scratch: &mut Vec<u8>) -> Result<Self, Error> {
        if raw.len() > MAX_ENVELOPE {
            return Err(Error::TooLong {
                length: raw.len(),
                limit: MAX_ENVELOPE,
            });
        }
        if let Err(error) = std::str::from_utf8(raw) {
            return Err(Error::NotUtf8 {
                at: error.valid_up_to(),
            });
        }
        let mut envelope = Self::read(raw, &mut Scanner::new(raw))?;
        envelope.has_past = envelope.header.has_past || envelope.counted || envelope.returned;
        let text = envelope.body.of(raw);
        envelope.is_mapping = if envelope.base64 {
            scratch.clear();
            decode(&text, scratch)?;
            begins_an_object(scratch)
        } else {
            begins_an_object(text.as_bytes())
        };
        Ok(envelope)
    }

    fn read(raw: &[u8], scanner: &mut Scanner<'_>) -> Result<Self, Error> {
        let mut envelope = Self::default();
        let mut body = None;
        let mut header = None;
        let mut members = scanner.enter("an envelope, which begins with '{',")?;
        while let Some(key) = members.next(scanner)? {
            match &*key.bytes(raw) {
                b"body" => body = text(raw, scanner, "body")?,
                b"content-type" => envelope.content_type = text(raw, scanner, "content-type")?,
                b"content-encoding" => envelope.content_encoding = text(raw, scanner, "content-encoding")?,
                b"headers" => {
                    let start = scanner.mark();
                    header = Some(Header::read(raw, scanner)?);
                    envelope.headers = scanner.since(start);
                }
                b"properties" => {
                    let start = scanner.mark();
                    envelope.read_properties(raw, scanner)?;
                    envelope.properties = scanner.since(start);
                }
                _ => {
                    scanner.value()?;
                }
            }
        }
        scanner.finish()?;
        envelope.header = header.ok_or(Error::NoHeader { name: "task" })?;
        envelope.body = body.ok_or_else(|| Error::Field {
            name: "body",
            expected: "text",
            got: "nothing".into(),
        })?;
        Ok(envelope)
    }

    fn read_properties(&mut self, raw: &[u8], scanner: &mut Scanner<'_>) -> Result<(), Error> {
        (self.reply_to, self.exchange, self.routing_key) = (None, None, None);
        (self.priority, self.base64) = (0, false);
        (self.counted, self.returned) = (false, false);
        let mut members = scanner.enter("properties to be an object")?;
        while let Some(key) = members.next(scanner)? {
            match &*key.bytes(raw) {
                b"reply_to" => self.reply_to = text(raw, scanner, "properties.reply_to")?,
                b"priority" => self.priority = integer(raw, scanner, "properties.priority")?.unwrap_or(0),
                b"body_encoding" => self.base64 = is_base64(raw, scanner)?,
                b"delivery_info" => self.read_route(raw, scanner)?,
                other => {
                    self.counted |= other.starts_with(b"crs_");
                    scanner.value()?;
                }
            }
        }
        Ok(())
    }

    fn read_route(&mut self, raw: &[u8], scanner: &mut Scanner<'_>) -> Result<(), Error> {
        (self.exchange, self.routing_key, self.returned) = (None, None, false);
        if scanner.peek() != Some(b'{') {
            return scanner.value().map(drop);
        }
        let mut members = scanner.enter("delivery_info to be an object")?;
        while let Some(key) = members.next(scanner)? {
            match &*key.bytes(raw) {
                b"exchange" => self.exchange = text(raw, scanner, "delivery_info.exchange")?,
                b"routing_key" => self.routing_key = text(raw, scanner, "delivery_info.routing_key")?,
                other => {
                    self.returned |= other == b"redelivered";
                    scanner.value()?;
                }
            }
        }
        Ok(())
    }

    /// The body with base64 undone; still serialized and compressed.
    #[must_use]
    pub fn body<'a>(&self, raw: &'a [u8]) -> Cow<'a, [u8]> {
        let text = self.body.of(raw);
        if self.base64 {
            let mut body = Vec::new();
            // `open` has decoded it once.
            return decode(&text, &mut body).map_or(Cow::Borrowed(&[]), |()| Cow::Owned(body));
        }
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }
}

fn begins_an_object(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

fn is_base64(raw: &[u8], scanner: &mut Scanner<'_>) -> Result<bool, Error> {
    const NAME: &str = "properties.body_encoding";
    let Some(found) = text(raw, scanner, NAME)? else {
        return Ok(false);
    };
    match &*found.of(raw) {
        "base64" => Ok(true),
        "utf-8" | "" => Ok(false),
        other => Err(Error::Field {
            name: NAME,
            expected: "'base64' or 'utf-8'",
            got: Quoted(other).to_string(),
        }),
    }
}

/// Append what `text` stands for. Python also reads line breaks, and `=` after a body that needs none.
fn decode(text: &str, out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    if BASE64.decode_vec(text, out).is_ok() {
        return Ok(());
    }
    out.truncate(start);
    let joined: String = text.split_ascii_whitespace().collect();
    let unpadded = joined.trim_end_matches('=');
    let needs_none = unpadded.len() % 4 == 0;
    BASE64
        .decode_vec(if needs_none { unpadded } else { &joined }, out)
        .map_err(|error| Error::Base64 {
            reason: lower_first(&error.to_string()),
        })
}

fn lower_first(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
