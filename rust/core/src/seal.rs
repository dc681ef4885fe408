//! Write a message as the envelope that Celery would write, byte for byte.
//!
//! Kombu writes envelopes with Python's `json`: separators `", "` and `": "`, ASCII only, floats as
//! `repr` shows them. User headers and stamps come as JSON text and are copied as they are.

use std::borrow::Cow;

use crate::error::Error;
use crate::json::{Scanner, Span};
use crate::text::JsonText;

/// A number as it came: Python writes `30` and `30.0` differently.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
}

/// The fields of a message, in the order of Python's `Message`.
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(missing_docs)] // named and documented in the wire reference and in wire/message.py
pub struct Message<'a> {
    pub task: &'a str,
    pub id: &'a str,
    pub body: &'a [u8],
    pub delivery_tag: &'a str,
    pub content_type: &'a str,
    pub content_encoding: &'a str,
    pub shadow: Option<Cow<'a, str>>,
    pub eta: Option<&'a str>,
    pub expires: Option<&'a str>,
    pub group: Option<&'a str>,
    pub group_index: Option<i64>,
    pub retries: i64,
    pub hard_limit: Option<Number>,
    pub soft_limit: Option<Number>,
    pub root_id: Option<&'a str>,
    pub parent_id: Option<&'a str>,
    pub argsrepr: Cow<'a, str>,
    pub kwargsrepr: Cow<'a, str>,
    pub origin: &'a str,
    pub ignore_result: Option<bool>,
    pub replaced_task_nesting: i64,
    pub stamped_headers: Option<Vec<String>>,
    pub stamps: &'a [u8],
    pub compression: Option<&'a str>,
    pub headers: &'a [u8],
    pub reply_to: &'a str,
    pub priority: i64,
    pub delivery_mode: i64,
    pub expiration: Option<&'a str>,
    pub protocol: i64,
}

/// The envelope of `message` on its way to `exchange` by `routing_key`.
///
/// # Errors
/// When `headers` or `stamps` is not a JSON object, or the envelope does not fit into memory.
pub fn seal(message: &Message<'_>, exchange: &str, routing_key: &str) -> Result<Vec<u8>, Error> {
    let stamps = checked_object("stamps", message.stamps)?;
    let user = UserHeaders::read(message.headers)?;
    let mut out = JsonText::with_room_for(message);
    out.raw("{\"body\": \"");
    out.base64(message.body);
    out.raw("\", \"content-encoding\": ");
    out.string(message.content_encoding);
    out.raw(", \"content-type\": ");
    out.string(message.content_type);
    out.raw(", \"headers\": {");
    out.headers(message, stamps, &user);
    out.raw("}, \"properties\": {");
    out.properties(message, exchange, routing_key);
    out.raw("}}");
    out.finish().map(String::into_bytes)
}

/// The headers of `message` alone: a JSON object.
///
/// # Errors
/// As `seal`.
pub(crate) fn headers_of(message: &Message<'_>) -> Result<String, Error> {
    let stamps = checked_object("stamps", message.stamps)?;
    let user = UserHeaders::read(message.headers)?;
    let mut out = JsonText::with_room(FRAME + message.argsrepr.len() + message.kwargsrepr.len());
    out.raw("{");
    out.headers(message, stamps, &user);
    out.raw("}");
    out.finish()
}

/// Room for everything but the body and the fields whose length varies much.
const FRAME: usize = 1000;

impl JsonText {
    fn with_room_for(message: &Message<'_>) -> Self {
        let varying = [
            message.argsrepr.len(),
            message.kwargsrepr.len(),
            message.headers.len(),
            message.stamps.len(),
        ];
        let room = FRAME + message.body.len() / 3 * 4 + varying.iter().sum::<usize>();
        Self::with_room(room)
    }

    fn headers(&mut self, message: &Message<'_>, stamps: &str, user: &UserHeaders<'_>) {
        let mut list = Members {
            writer: self,
            user,
            first: true,
        };
        if message.protocol == 1 {
            return list.all(message.compression);
        }
        list.member("lang", |out| out.raw("\"py\""));
        list.member("task", |out| out.string(message.task));
        list.member("id", |out| out.string(message.id));
        list.member("shadow", |out| out.string_or_null(message.shadow.as_deref()));
        list.member("eta", |out| out.string_or_null(message.eta));
        list.member("expires", |out| out.string_or_null(message.expires));
        list.member("group", |out| out.string_or_null(message.group));
        list.member("group_index", |out| match message.group_index {
            Some(index) => out.integer(index),
            None => out.raw("null"),
        });
        list.member("retries", |out| out.integer(message.retries));
        list.member("timelimit", |out| {
            out.raw("[");
            out.number_or_null(message.hard_limit);
            out.raw(", ");
            out.number_or_null(message.soft_limit);
            out.raw("]");
        });
        list.member("root_id", |out| out.string_or_null(message.root_id));
        list.member("parent_id", |out| out.string_or_null(message.parent_id));
        list.member("argsrepr", |out| out.string(&message.argsrepr));
        list.member("kwargsrepr", |out| out.string(&message.kwargsrepr));
        list.member("origin", |out| out.string(message.origin));
        list.member("ignore_result", |out| {
            out.raw(match message.ignore_result {
                Some(true) => "true",
                Some(false) => "false",
                None => "null",
            });
        });
        list.member("replaced_task_nesting", |out| {
            out.integer(message.replaced_task_nesting);
        });
        list.member("stamped_headers", |out| match &message.stamped_headers {
            Some(names) => out.strings(names),
            None => out.raw("null"),
        });
        list.member("stamps", |out| out.raw(stamps));
        list.rest(message.compression);
    }

    fn properties(&mut self, message: &Message<'_>, exchange: &str, routing_key: &str) {
        self.raw("\"correlation_id\": ");
        self.string(message.id);
        self.raw(", \"reply_to\": ");
        self.string(message.reply_to);
        self.raw(", \"delivery_mode\": ");
        self.integer(message.delivery_mode);
        if let Some(expiration) = message.expiration {
            self.raw(", \"expiration\": ");
            self.string(expiration);
        }
        self.raw(", \"delivery_info\": {\"exchange\": ");
        self.string(exchange);
        self.raw(", \"routing_key\": ");
        self.string(routing_key);
        self.raw("}, \"priority\": ");
        self.integer(message.priority);
        self.raw(", \"body_encoding\": \"base64\", \"delivery_tag\": ");
        self.string(message.delivery_tag);
    }

    fn string_or_null(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.raw("null"),
        }
    }

    fn strings(&mut self, values: &[String]) {
        self.raw("[");
        for (index, value) in values.iter().enumerate() {
            self.raw(if index > 0 { ", " } else { "" });
            self.string(value);
        }
        self.raw("]");
    }

    fn number_or_null(&mut self, value: Option<Number>) {
        match value {
            Some(Number::Int(value)) => self.integer(value),
            Some(Number::Float(value)) => self.float(value),
            None => self.raw("null"),
        }
    }
}

/// The members of the headers as they are written: a user's header takes the place of ours.
struct Members<'w, 'u> {
    writer: &'w mut JsonText,
    user: &'u UserHeaders<'u>,
    first: bool,
}

impl Members<'_, '_> {
    fn member(&mut self, name: &str, write: impl FnOnce(&mut JsonText)) {
        self.key(name);
        match self.user.get(name) {
            Some(value) => self.writer.raw(value),
            None => write(self.writer),
        }
    }

    fn key(&mut self, name: &str) {
        self.writer.raw(if self.first { "\"" } else { ", \"" });
        self.writer.raw(name);
        self.writer.raw("\": ");
        self.first = false;
    }

    /// The user's headers alone, and the compression: the body says the rest.
    fn all(&mut self, compression: Option<&str>) {
        for header in &self.user.all {
            if compression.is_none() || header.name != COMPRESSION {
                self.writer.raw(if self.first { "" } else { ", " });
                self.writer.raw(header.key);
                self.writer.raw(": ");
                self.writer.raw(header.value);
                self.first = false;
            }
        }
        if let Some(compression) = compression {
            self.key(COMPRESSION);
            self.writer.string(compression);
        }
    }

    /// What is not ours, then the compression: it tells of this body, whatever the user's headers say.
    fn rest(&mut self, compression: Option<&str>) {
        for header in &self.user.all {
            if OURS.contains(&&*header.name) || (compression.is_some() && header.name == COMPRESSION) {
                continue;
            }
            self.writer.raw(", ");
            self.writer.raw(header.key);
            self.writer.raw(": ");
            self.writer.raw(header.value);
        }
        if let Some(compression) = compression {
            self.key(COMPRESSION);
            self.writer.string(compression);
        }
    }
}

const COMPRESSION: &str = "compression";

const OURS: [&str; 19] = [
    "lang",
    "task",
    "id",
    "shadow",
    "eta",
    "expires",
    "group",
    "group_index",
    "retries",
    "timelimit",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "ignore_result",
    "replaced_task_nesting",
    "stamped_headers",
    "stamps",
];

/// One header of the user's: its name, and the JSON text of its key and value.
struct UserHeader<'a> {
    name: String,
    key: &'a str,
    value: &'a str,
}

/// The user's headers, each name once.
struct UserHeaders<'a> {
    all: Vec<UserHeader<'a>>,
}

impl<'a> UserHeaders<'a> {
    fn read(raw: &'a [u8]) -> Result<Self, Error> {
        let mut headers = Self { all: Vec::new() };
        if raw.is_empty() {
            return Ok(headers);
        }
        read_object("headers", raw, |name, key, value| headers.put(name, key, value))?;
        Ok(headers)
    }

    /// Of a name that comes twice the last value counts, in the first one's place, as in Python.
    fn put(&mut self, name: String, key: &'a str, value: &'a str) {
        match self.all.iter_mut().find(|header| header.name == name) {
            Some(header) => header.value = value,
            None => self.all.push(UserHeader { name, key, value }),
        }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.all
            .iter()
            .find(|header| header.name == name)
            .map(|header| header.value)
    }
}

/// `raw` without the white space around it, when it is a JSON object.
fn checked_object<'a>(name: &'static str, raw: &'a [u8]) -> Result<&'a str, Error> {
    if raw == b"{}" {
        return Ok("{}");
    }
    let text = read_object(name, raw, |_, _, _| ())?;
    Ok(text.trim_matches([' ', '\t', '\r', '\n']))
}

/// Give `member` each member's name, and the text of its key and value; return all as text.
fn read_object<'a>(
    name: &'static str,
    raw: &'a [u8],
    mut member: impl FnMut(String, &'a str, &'a str),
) -> Result<&'a str, Error> {
    let refused = |reason: String| Error::NotAnObject { name, reason };
    let text =
        std::str::from_utf8(raw).map_err(|error| refused(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    let mut read = || {
        let mut scanner = Scanner::new(raw);
        let mut members = scanner.enter("'{'")?;
        loop {
            let Some(key) = members.next(&mut scanner)? else {
                return scanner.finish();
            };
            let value = scanner.value()?;
            member(
                key.of(raw).into_owned(),
                text_of(key.quoted(), raw),
                text_of(value, raw),
            );
        }
    };
    read().map_err(|error| refused(error.to_string()))?;
    Ok(text)
}

fn text_of(span: Span, raw: &[u8]) -> &str {
    std::str::from_utf8(span.of(raw)).unwrap_or_default()
}
