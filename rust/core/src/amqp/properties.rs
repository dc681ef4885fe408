//! The properties of a message: which of fourteen there are, and their values.

use std::borrow::Cow;

use super::cursor::{put_short_string, Cursor};
use super::table::{put_table, read_table, Members, Value};
use crate::error::Error;

/// The properties, as bytes where they are text.
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(missing_docs)] // named as the protocol names them
pub struct Properties<'a> {
    pub content_type: Option<Cow<'a, [u8]>>,
    pub content_encoding: Option<Cow<'a, [u8]>>,
    pub headers: Option<Members<'a>>,
    pub delivery_mode: Option<u8>,
    pub priority: Option<u8>,
    pub correlation_id: Option<Cow<'a, [u8]>>,
    pub reply_to: Option<Cow<'a, [u8]>>,
    pub expiration: Option<Cow<'a, [u8]>>,
    pub message_id: Option<Cow<'a, [u8]>>,
    pub timestamp: Option<u64>,
    pub kind: Option<Cow<'a, [u8]>>,
    pub user_id: Option<Cow<'a, [u8]>>,
    pub app_id: Option<Cow<'a, [u8]>>,
    pub cluster_id: Option<Cow<'a, [u8]>>,
}

const MORE_FLAGS: u16 = 1;

impl<'a> Properties<'a> {
    /// Read what follows the size of the body in a content header.
    ///
    /// # Errors
    /// When they end too early, or hold a type that AMQP does not have.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes, "a message's properties");
        let flags = cursor.u16()?;
        if flags & MORE_FLAGS != 0 {
            return Err(Error::NotAmqp {
                reason: "properties of a kind that AMQP 0-9-1 does not have".into(),
            });
        }
        let has = |bit: u32| flags & (1 << bit) != 0;
        let text = |cursor: &mut Cursor<'a>, bit: u32| -> Result<Option<Cow<'a, [u8]>>, Error> {
            if has(bit) {
                cursor.short_string().map(|text| Some(Cow::Borrowed(text)))
            } else {
                Ok(None)
            }
        };
        Ok(Self {
            content_type: text(&mut cursor, 15)?,
            content_encoding: text(&mut cursor, 14)?,
            headers: if has(13) {
                Some(read_table(cursor.long_string()?, 0)?)
            } else {
                None
            },
            delivery_mode: if has(12) { Some(cursor.u8()?) } else { None },
            priority: if has(11) { Some(cursor.u8()?) } else { None },
            correlation_id: text(&mut cursor, 10)?,
            reply_to: text(&mut cursor, 9)?,
            expiration: text(&mut cursor, 8)?,
            message_id: text(&mut cursor, 7)?,
            timestamp: if has(6) { Some(cursor.u64()?) } else { None },
            kind: text(&mut cursor, 5)?,
            user_id: text(&mut cursor, 4)?,
            app_id: text(&mut cursor, 3)?,
            cluster_id: text(&mut cursor, 2)?,
        })
    }

    /// Append them, as they stand in a content header.
    ///
    /// # Errors
    /// When a text is longer than the protocol allows.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        out.extend([0; 2]);
        let mut flags = 0u16;
        put_text(out, &mut flags, 15, "content type", self.content_type.as_ref())?;
        put_text(out, &mut flags, 14, "content encoding", self.content_encoding.as_ref())?;
        if let Some(headers) = &self.headers {
            flags |= 1 << 13;
            put_table(out, headers)?;
        }
        put_byte(out, &mut flags, 12, self.delivery_mode);
        put_byte(out, &mut flags, 11, self.priority);
        put_text(out, &mut flags, 10, "correlation id", self.correlation_id.as_ref())?;
        put_text(out, &mut flags, 9, "reply_to", self.reply_to.as_ref())?;
        put_text(out, &mut flags, 8, "expiration", self.expiration.as_ref())?;
        put_text(out, &mut flags, 7, "message id", self.message_id.as_ref())?;
        if let Some(timestamp) = self.timestamp {
            flags |= 1 << 6;
            out.extend(timestamp.to_be_bytes());
        }
        put_text(out, &mut flags, 5, "type", self.kind.as_ref())?;
        put_text(out, &mut flags, 4, "user id", self.user_id.as_ref())?;
        put_text(out, &mut flags, 3, "app id", self.app_id.as_ref())?;
        put_text(out, &mut flags, 2, "cluster id", self.cluster_id.as_ref())?;
        if let Some(place) = out.get_mut(start..start + 2) {
            place.copy_from_slice(&flags.to_be_bytes());
        }
        Ok(())
    }
}

fn put_text(
    out: &mut Vec<u8>,
    flags: &mut u16,
    bit: u32,
    name: &'static str,
    text: Option<&Cow<'_, [u8]>>,
) -> Result<(), Error> {
    if let Some(text) = text {
        *flags |= 1 << bit;
        put_short_string(out, name, text)?;
    }
    Ok(())
}

fn put_byte(out: &mut Vec<u8>, flags: &mut u16, bit: u32, value: Option<u8>) {
    if let Some(value) = value {
        *flags |= 1 << bit;
        out.push(value);
    }
}

/// What is to be different; None keeps what there is.
#[derive(Debug, Default)]
pub struct Changes<'a> {
    /// Headers to set, in their places if they are there.
    pub headers: Vec<(&'a [u8], Value<'a>)>,
    /// Headers to take off.
    pub without: Vec<&'a [u8]>,
    /// `Some(None)` takes it off.
    pub expiration: Option<Option<&'a [u8]>>,
    /// 1 is transient, 2 persistent.
    pub delivery_mode: Option<Option<u8>>,
}

/// The properties with some things changed.
///
/// # Errors
/// As [`Properties::read`] and [`Properties::write`].
pub fn changed<'a>(bytes: &'a [u8], changes: Changes<'a>) -> Result<Vec<u8>, Error> {
    let mut properties = Properties::read(bytes)?;
    let mut headers = properties.headers.take().unwrap_or_default();
    headers.retain(|(name, _)| !changes.without.contains(&&**name));
    for (name, value) in changes.headers {
        match headers.iter_mut().find(|(known, _)| **known == *name) {
            Some(member) => member.1 = value,
            None => headers.push((Cow::Borrowed(name), value)),
        }
    }
    properties.headers = Some(headers);
    if let Some(expiration) = changes.expiration {
        properties.expiration = expiration.map(Cow::Borrowed);
    }
    if let Some(delivery_mode) = changes.delivery_mode {
        properties.delivery_mode = delivery_mode;
    }
    let mut out = Vec::with_capacity(bytes.len() + 128);
    properties.write(&mut out)?;
    Ok(out)
}
