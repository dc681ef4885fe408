//! The envelope of a message that has none: Kombu's JSON object around what AMQP keeps in frames.
//!
//! Everything behind a transport reads envelopes, and dead letters are kept as such.

use std::borrow::Cow;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use super::properties::Properties;
use super::table::{from_json, members_to_json, Members, Value};
use crate::error::Error;
use crate::json::Scanner;
use crate::text::JsonText;

/// A message as it was delivered.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // named as the protocol names them
pub struct Delivered<'a> {
    pub exchange: &'a str,
    pub routing_key: &'a str,
    pub redelivered: bool,
    pub properties: &'a [u8],
    pub body: &'a [u8],
}

/// The envelope of what was delivered, and what is wrong with its properties, which it lacks then.
///
/// # Errors
/// When there is not enough memory for it.
pub fn envelope_of(delivered: &Delivered<'_>) -> Result<(Vec<u8>, Option<Error>), Error> {
    let (properties, wrong) = match Properties::read(delivered.properties) {
        Ok(properties) => (properties, None),
        Err(error) => (Properties::default(), Some(error)),
    };
    let room = delivered.body.len() / 3 * 4 + delivered.properties.len() * 2 + 512;
    let mut out = JsonText::with_room(room);
    out.raw("{\"body\": \"");
    out.base64(delivered.body);
    out.raw("\", \"content-encoding\": ");
    text_or_null(&mut out, properties.content_encoding.as_deref());
    out.raw(", \"content-type\": ");
    text_or_null(&mut out, properties.content_type.as_deref());
    out.raw(", \"headers\": ");
    members_to_json(properties.headers.as_ref().unwrap_or(&Members::new()), &mut out);
    out.raw(", \"properties\": {");
    write_properties(&mut out, &properties);
    out.raw("\"delivery_info\": {\"exchange\": ");
    out.string(delivered.exchange);
    out.raw(", \"routing_key\": ");
    out.string(delivered.routing_key);
    out.raw(if delivered.redelivered {
        ", \"redelivered\": true}"
    } else {
        "}"
    });
    out.raw(", \"body_encoding\": \"base64\", \"delivery_tag\": \"\"}}");
    Ok((out.finish()?.into_bytes(), wrong))
}

fn text_or_null(out: &mut JsonText, text: Option<&[u8]>) {
    match text {
        Some(text) => out.string(&String::from_utf8_lossy(text)),
        None => out.raw("null"),
    }
}

/// Those there are, each with a comma behind it.
fn write_properties(out: &mut JsonText, properties: &Properties<'_>) {
    let texts = [
        ("correlation_id", &properties.correlation_id),
        ("reply_to", &properties.reply_to),
        ("expiration", &properties.expiration),
        ("message_id", &properties.message_id),
        ("type", &properties.kind),
        ("user_id", &properties.user_id),
        ("app_id", &properties.app_id),
        ("cluster_id", &properties.cluster_id),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            member(out, name);
            out.string(&String::from_utf8_lossy(text));
            out.raw(", ");
        }
    }
    let numbers = [
        ("delivery_mode", properties.delivery_mode.map(u64::from)),
        ("priority", properties.priority.map(u64::from)),
        ("timestamp", properties.timestamp),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            member(out, name);
            out.raw(&number.to_string());
            out.raw(", ");
        }
    }
}

fn member(out: &mut JsonText, name: &str) {
    out.raw("\"");
    out.raw(name);
    out.raw("\": ");
}

/// An envelope as AMQP carries it: the properties as they stand in a content header, and the body.
///
/// # Errors
/// When it is not an envelope.
pub fn content_of(raw: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
    if let Err(error) = std::str::from_utf8(raw) {
        return Err(Error::NotUtf8 {
            at: error.valid_up_to(),
        });
    }
    let mut scanner = Scanner::new(raw);
    let mut envelope = Found(object(from_json(raw, &mut scanner, 0)?, "an envelope")?);
    scanner.finish()?;
    let mut given = Found(match envelope.take("properties") {
        Some(properties) => object(properties, "properties")?,
        None => Members::new(),
    });
    let Some(Value::Text(body)) = envelope.take("body") else {
        return Err(Error::Field {
            name: "body",
            expected: "text",
            got: "something else".into(),
        });
    };
    let body = match given.take("body_encoding") {
        Some(Value::Text(encoding)) if &*encoding == b"base64" => {
            STANDARD.decode(&*body).map_err(|error| Error::Base64 {
                reason: error.to_string(),
            })?
        }
        _ => body.into_owned(),
    };
    let properties = Properties {
        content_type: envelope.text("content-type"),
        content_encoding: envelope.text("content-encoding"),
        headers: match envelope.take("headers") {
            Some(Value::Table(headers)) => Some(headers),
            _ => Some(Members::new()),
        },
        delivery_mode: given.byte("delivery_mode"),
        priority: given.byte("priority"),
        correlation_id: given.text("correlation_id"),
        reply_to: given.text("reply_to"),
        expiration: given.text("expiration"),
        message_id: given.text("message_id"),
        timestamp: match given.take("timestamp") {
            Some(Value::Int(seconds)) => u64::try_from(seconds).ok(),
            _ => None,
        },
        kind: given.text("type"),
        user_id: None,
        app_id: given.text("app_id"),
        cluster_id: given.text("cluster_id"),
    };
    let mut out = Vec::with_capacity(raw.len());
    properties.write(&mut out)?;
    Ok((out, body))
}

fn object<'a>(value: Value<'a>, name: &'static str) -> Result<Members<'a>, Error> {
    match value {
        Value::Table(members) => Ok(members),
        _ => Err(Error::Field {
            name,
            expected: "an object",
            got: "something else".into(),
        }),
    }
}

/// The members of an object, to be taken by name.
struct Found<'a>(Members<'a>);

impl<'a> Found<'a> {
    fn take(&mut self, name: &str) -> Option<Value<'a>> {
        let place = self.0.iter().position(|(known, _)| &**known == name.as_bytes())?;
        Some(self.0.swap_remove(place).1)
    }

    fn text(&mut self, name: &str) -> Option<Cow<'a, [u8]>> {
        match self.take(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn byte(&mut self, name: &str) -> Option<u8> {
        match self.take(name) {
            Some(Value::Int(value)) => u8::try_from(value).ok(),
            _ => None,
        }
    }
}
