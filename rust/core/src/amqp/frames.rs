//! Splits what a broker sends into methods and whole messages.

use std::collections::HashMap;

use super::cursor::Cursor;
use super::publish::{BODY, END, HEADER, METHOD};
use crate::error::{Error, Quoted};

const HEARTBEAT: u8 = 8;
/// More than any broker agrees to.
const LONGEST_FRAME: usize = 16 << 20;
const BASIC: u16 = 60;
const RETURN: u16 = 50;
const DELIVER: u16 = 60;
const GET_OK: u16 = 71;
const ACK: u16 = 80;
const NACK: u16 = 120;

/// One thing that a broker said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // named as the protocol names them
pub enum Item {
    Deliver {
        channel: u16,
        consumer_tag: String,
        delivery_tag: u64,
        redelivered: bool,
        content: Content,
    },
    Get {
        channel: u16,
        delivery_tag: u64,
        redelivered: bool,
        content: Content,
    },
    Return {
        channel: u16,
        reply_code: u16,
        reply_text: String,
        content: Content,
    },
    /// The broker confirms, or with `nack` refuses, what was published.
    Confirm {
        channel: u16,
        delivery_tag: u64,
        multiple: bool,
        nack: bool,
    },
    Method {
        channel: u16,
        class_id: u16,
        method_id: u16,
        arguments: Vec<u8>,
    },
    Heartbeat,
}

/// A message: where it was sent to, its properties as they came, and its body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)] // named as the protocol names them
pub struct Content {
    pub exchange: String,
    pub routing_key: String,
    pub properties: Vec<u8>,
    pub body: Vec<u8>,
}

/// A message whose frames have not all come.
struct Partial {
    item: Item,
    /// How long the body will be, once the content header has come.
    length: Option<usize>,
}

/// Keeps what is incomplete from one call to the next.
pub struct FrameReader {
    rest: Vec<u8>,
    partial: HashMap<u16, Partial>,
    most: usize,
}

impl FrameReader {
    /// Messages with a body of more than `most` bytes are refused.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            rest: Vec::new(),
            partial: HashMap::new(),
            most,
        }
    }

    /// What is complete by now, in its order.
    ///
    /// # Errors
    /// When it is not AMQP 0-9-1: then nothing that follows can be read either.
    pub fn feed(&mut self, data: &[u8]) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        if self.rest.is_empty() {
            let taken = self.read(data, &mut items)?;
            self.rest.extend_from_slice(data.get(taken..).unwrap_or_default());
        } else {
            let mut all = std::mem::take(&mut self.rest);
            all.extend_from_slice(data);
            let taken = self.read(&all, &mut items)?;
            all.drain(..taken);
            self.rest = all;
        }
        Ok(items)
    }

    /// Take every whole frame; how many bytes that were.
    fn read(&mut self, data: &[u8], items: &mut Vec<Item>) -> Result<usize, Error> {
        let mut taken = 0;
        while let Some((kind, channel, payload, length)) = whole_frame(data.get(taken..).unwrap_or_default())? {
            self.frame(kind, channel, payload, items)?;
            taken += length;
        }
        Ok(taken)
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8], items: &mut Vec<Item>) -> Result<(), Error> {
        match kind {
            METHOD => self.method(channel, payload, items),
            HEADER => self.header(channel, payload, items),
            BODY => self.body(channel, payload, items),
            _ => {
                items.push(Item::Heartbeat);
                Ok(())
            }
        }
    }

    fn method(&mut self, channel: u16, payload: &[u8], items: &mut Vec<Item>) -> Result<(), Error> {
        let mut cursor = Cursor::new(payload, "a method");
        let (class_id, method_id) = (cursor.u16()?, cursor.u16()?);
        let item = match (class_id, method_id) {
            (BASIC, DELIVER) => {
                let consumer_tag = text(cursor.short_string()?);
                let (delivery_tag, redelivered) = (cursor.u64()?, cursor.u8()? & 1 == 1);
                Item::Deliver {
                    channel,
                    consumer_tag,
                    delivery_tag,
                    redelivered,
                    content: content(&mut cursor)?,
                }
            }
            (BASIC, GET_OK) => {
                let (delivery_tag, redelivered) = (cursor.u64()?, cursor.u8()? & 1 == 1);
                Item::Get {
                    channel,
                    delivery_tag,
                    redelivered,
                    content: content(&mut cursor)?,
                }
            }
            (BASIC, RETURN) => {
                let (reply_code, reply_text) = (cursor.u16()?, text(cursor.short_string()?));
                Item::Return {
                    channel,
                    reply_code,
                    reply_text,
                    content: content(&mut cursor)?,
                }
            }
            (BASIC, ACK | NACK) => {
                items.push(Item::Confirm {
                    channel,
                    delivery_tag: cursor.u64()?,
                    multiple: cursor.u8()? & 1 == 1,
                    nack: method_id == NACK,
                });
                return Ok(());
            }
            _ => {
                items.push(Item::Method {
                    channel,
                    class_id,
                    method_id,
                    arguments: cursor.rest().to_vec(),
                });
                return Ok(());
            }
        };
        self.partial.insert(channel, Partial { item, length: None });
        Ok(())
    }

    fn header(&mut self, channel: u16, payload: &[u8], items: &mut Vec<Item>) -> Result<(), Error> {
        let most = self.most;
        let partial = self.waiting(channel)?;
        let mut cursor = Cursor::new(payload, "a content header");
        let (_class, _weight, length) = (cursor.u16()?, cursor.u16()?, cursor.u64()?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > most {
            return Err(Error::TooLong { length, limit: most });
        }
        if let Some(content) = partial.item.content() {
            content.properties = cursor.rest().to_vec();
        }
        partial.length = Some(length);
        self.complete(channel, items);
        Ok(())
    }

    fn body(&mut self, channel: u16, payload: &[u8], items: &mut Vec<Item>) -> Result<(), Error> {
        let partial = self.waiting(channel)?;
        let length = partial.length.unwrap_or(0);
        if let Some(content) = partial.item.content() {
            if content.body.len() + payload.len() > length {
                return Err(Error::NotAmqp {
                    reason: format!("a body longer than the {length} bytes that were announced"),
                });
            }
            content.body.extend_from_slice(payload);
        }
        self.complete(channel, items);
        Ok(())
    }

    fn waiting(&mut self, channel: u16) -> Result<&mut Partial, Error> {
        self.partial.get_mut(&channel).ok_or_else(|| Error::NotAmqp {
            reason: "a piece of a message that nothing announced".into(),
        })
    }

    fn complete(&mut self, channel: u16, items: &mut Vec<Item>) {
        let whole = self.partial.get_mut(&channel).is_some_and(|partial| {
            let length = partial.length;
            partial
                .item
                .content()
                .is_some_and(|content| Some(content.body.len()) == length)
        });
        if whole {
            items.extend(self.partial.remove(&channel).map(|partial| partial.item));
        }
    }
}

impl Item {
    fn content(&mut self) -> Option<&mut Content> {
        match self {
            Item::Deliver { content, .. } | Item::Get { content, .. } | Item::Return { content, .. } => Some(content),
            _ => None,
        }
    }
}

type Frame<'a> = (u8, u16, &'a [u8], usize);

/// Kind, channel, payload and whole length of the first frame; None if it has not come completely.
fn whole_frame(data: &[u8]) -> Result<Option<Frame<'_>>, Error> {
    let Some(&kind) = data.first() else {
        return Ok(None);
    };
    if !matches!(kind, METHOD | HEADER | BODY | HEARTBEAT) {
        let shown = data.get(..data.len().min(8)).unwrap_or_default();
        let reason = format!("expected a frame, got {}", Quoted(&String::from_utf8_lossy(shown)));
        return Err(Error::NotAmqp { reason });
    }
    let Some(head) = data.get(..7) else {
        return Ok(None);
    };
    let mut cursor = Cursor::new(head, "a frame");
    let (_, channel, size) = (cursor.u8()?, cursor.u16()?, cursor.u32()?);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > LONGEST_FRAME {
        return Err(Error::TooLong {
            length: size,
            limit: LONGEST_FRAME,
        });
    }
    let (Some(payload), Some(&end)) = (data.get(7..7 + size), data.get(7 + size)) else {
        return Ok(None);
    };
    if end != END {
        return Err(Error::NotAmqp {
            reason: "a frame without its end".into(),
        });
    }
    Ok(Some((kind, channel, payload, size + 8)))
}

fn content(cursor: &mut Cursor<'_>) -> Result<Content, Error> {
    Ok(Content {
        exchange: text(cursor.short_string()?),
        routing_key: text(cursor.short_string()?),
        ..Content::default()
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
