//! A message as the frames that publish it.

use std::borrow::Cow;

use super::cursor::put_short_string;
use super::properties::Properties;
use super::table::{from_json, Value};
use crate::error::Error;
use crate::json::Scanner;
use crate::seal::{headers_of, Message};

pub(super) const METHOD: u8 = 1;
pub(super) const HEADER: u8 = 2;
pub(super) const BODY: u8 = 3;
pub(super) const END: u8 = 0xCE;
const BASIC: [u8; 2] = 60u16.to_be_bytes();
const PUBLISH: [u8; 2] = 40u16.to_be_bytes();
/// What a frame takes besides its payload.
const AROUND: usize = 8;

/// Where a message goes, and how.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // named as the protocol names them
pub struct Target<'a> {
    pub channel: u16,
    pub frame_max: usize,
    pub exchange: &'a str,
    pub routing_key: &'a str,
    pub mandatory: bool,
}

/// Publish any content; `properties` are as they stand in a content header.
///
/// # Errors
/// When a name is longer than 255 bytes, or the content header than a frame.
pub fn content_frames(target: &Target<'_>, properties: &[u8], body: &[u8]) -> Result<Vec<u8>, Error> {
    let most = target.frame_max.max(4096) - AROUND;
    if properties.len() + 12 > most {
        return Err(Error::TooLong {
            length: properties.len(),
            limit: most - 12,
        });
    }
    let frames = body.len() / most + 3;
    let mut out = Vec::with_capacity(properties.len() + body.len() + frames * AROUND + 600);
    frame(&mut out, METHOD, target.channel, |out| {
        out.extend(BASIC);
        out.extend(PUBLISH);
        out.extend([0; 2]);
        put_short_string(out, "the exchange", target.exchange.as_bytes())?;
        put_short_string(out, "the routing key", target.routing_key.as_bytes())?;
        out.push(u8::from(target.mandatory));
        Ok(())
    })?;
    frame(&mut out, HEADER, target.channel, |out| {
        out.extend(BASIC);
        out.extend([0; 2]);
        out.extend((body.len() as u64).to_be_bytes());
        out.extend_from_slice(properties);
        Ok(())
    })?;
    for part in body.chunks(most) {
        frame(&mut out, BODY, target.channel, |out| {
            out.extend_from_slice(part);
            Ok(())
        })?;
    }
    Ok(out)
}

fn frame(
    out: &mut Vec<u8>,
    kind: u8,
    channel: u16,
    payload: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    out.push(kind);
    out.extend(channel.to_be_bytes());
    let start = out.len();
    out.extend([0; 4]);
    payload(out)?;
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    out.push(END);
    Ok(())
}

/// Publish a task message, as Celery does.
///
/// # Errors
/// As [`content_frames`], and when `headers` or `stamps` is not a JSON object.
pub fn publish_frames(message: &Message<'_>, target: &Target<'_>) -> Result<Vec<u8>, Error> {
    let headers = headers_of(message)?;
    let raw = headers.as_bytes();
    let Value::Table(members) = from_json(raw, &mut Scanner::new(raw), 1)? else {
        return Err(Error::NoHeader { name: "task" });
    };
    let text = |text: &'_ str| -> Option<Cow<'_, [u8]>> { Some(Cow::Owned(text.as_bytes().to_vec())) };
    let byte = |value: i64| Some(u8::try_from(value.clamp(0, 255)).unwrap_or(0));
    let properties = Properties {
        content_type: text(message.content_type),
        content_encoding: text(message.content_encoding),
        headers: Some(members),
        delivery_mode: byte(message.delivery_mode),
        priority: byte(message.priority),
        correlation_id: text(message.id),
        reply_to: text(message.reply_to),
        expiration: message.expiration.and_then(text),
        ..Properties::default()
    };
    let mut packed = Vec::with_capacity(raw.len() + 256);
    properties.write(&mut packed)?;
    content_frames(target, &packed, message.body)
}
