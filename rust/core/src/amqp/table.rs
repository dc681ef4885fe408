//! Header tables: names, and values of nineteen types.
//!
//! Written as py-amqp writes them, which is what Celery's workers read; read as `RabbitMQ` may send them.

use std::borrow::Cow;
use std::collections::HashMap;

use super::cursor::{put_long_string, put_short_string, Cursor};
use crate::error::Error;
use crate::json::Scanner;
use crate::text::JsonText;

/// Deeper nesting than this is refused.
const MAX_DEPTH: u32 = 100;

/// One value of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `V`
    Null,
    /// `t`
    Bool(bool),
    /// `b`, `B`, `s`, `u`, `I`, `i`, `l` and `L`, which `RabbitMQ` takes for signed
    Int(i64),
    /// `f`, `d`
    Float(f64),
    /// `D`: the scale and the digits
    Decimal(u8, i32),
    /// `T`: seconds since the epoch
    Time(u64),
    /// `S`
    Text(Cow<'a, [u8]>),
    /// `x`
    Bytes(&'a [u8]),
    /// `A`
    List(Vec<Value<'a>>),
    /// `F`
    Table(Vec<(Cow<'a, [u8]>, Value<'a>)>),
}

/// The members of a table, in their order.
pub(super) type Members<'a> = Vec<(Cow<'a, [u8]>, Value<'a>)>;

/// Read the inside of a table.
pub(super) fn read_table(bytes: &[u8], depth: u32) -> Result<Members<'_>, Error> {
    if depth > MAX_DEPTH {
        return Err(Error::NotAmqp {
            reason: format!("a table nested deeper than {MAX_DEPTH} levels"),
        });
    }
    let mut cursor = Cursor::new(bytes, "a header table");
    let mut members = Vec::new();
    while !cursor.is_empty() {
        let name = cursor.short_string()?;
        members.push((Cow::Borrowed(name), read_value(&mut cursor, depth)?));
    }
    Ok(members)
}

fn read_value<'a>(cursor: &mut Cursor<'a>, depth: u32) -> Result<Value<'a>, Error> {
    let kind = cursor.u8()?;
    Ok(match kind {
        b'V' => Value::Null,
        b't' => Value::Bool(cursor.u8()? != 0),
        b'b' => Value::Int(i64::from(cursor.i8()?)),
        b'B' => Value::Int(i64::from(cursor.u8()?)),
        b's' => Value::Int(i64::from(cursor.i16()?)),
        b'u' => Value::Int(i64::from(cursor.u16()?)),
        b'I' => Value::Int(i64::from(cursor.i32()?)),
        b'i' => Value::Int(i64::from(cursor.u32()?)),
        b'l' | b'L' => Value::Int(cursor.i64()?),
        b'f' => Value::Float(f64::from(f32::from_bits(cursor.u32()?))),
        b'd' => Value::Float(f64::from_bits(cursor.u64()?)),
        b'D' => Value::Decimal(cursor.u8()?, cursor.i32()?),
        b'T' => Value::Time(cursor.u64()?),
        b'S' => Value::Text(Cow::Borrowed(cursor.long_string()?)),
        b'x' => Value::Bytes(cursor.long_string()?),
        b'F' => Value::Table(read_table(cursor.long_string()?, depth + 1)?),
        b'A' => Value::List(read_list(cursor.long_string()?, depth + 1)?),
        other => {
            return Err(Error::NotAmqp {
                reason: format!("a field of type {:?} in a header table", char::from(other)),
            })
        }
    })
}

fn read_list(bytes: &[u8], depth: u32) -> Result<Vec<Value<'_>>, Error> {
    if depth > MAX_DEPTH {
        return Err(Error::NotAmqp {
            reason: format!("a list nested deeper than {MAX_DEPTH} levels"),
        });
    }
    let mut cursor = Cursor::new(bytes, "a list in a header table");
    let mut values = Vec::new();
    while !cursor.is_empty() {
        values.push(read_value(&mut cursor, depth)?);
    }
    Ok(values)
}

/// Append a table with its length.
pub(super) fn put_table(out: &mut Vec<u8>, members: &Members<'_>) -> Result<(), Error> {
    nested(out, |out| {
        for (name, value) in members {
            put_short_string(out, "a header's name", name)?;
            put_value(out, value)?;
        }
        Ok(())
    })
}

fn put_value(out: &mut Vec<u8>, value: &Value<'_>) -> Result<(), Error> {
    match value {
        Value::Null => out.push(b'V'),
        Value::Bool(value) => out.extend([b't', u8::from(*value)]),
        Value::Int(value) => put_integer(out, *value),
        Value::Float(value) => put(out, b'd', &value.to_be_bytes()),
        Value::Decimal(scale, digits) => {
            put(out, b'D', &[*scale]);
            out.extend(digits.to_be_bytes());
        }
        Value::Time(value) => put(out, b'T', &value.to_be_bytes()),
        Value::Text(text) => {
            out.push(b'S');
            put_long_string(out, text)?;
        }
        Value::Bytes(bytes) => {
            out.push(b'x');
            put_long_string(out, bytes)?;
        }
        Value::List(values) => {
            out.push(b'A');
            nested(out, |out| values.iter().try_for_each(|value| put_value(out, value)))?;
        }
        Value::Table(members) => {
            out.push(b'F');
            put_table(out, members)?;
        }
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend_from_slice(bytes);
}

/// As py-amqp does: 32 bits where they suffice, but for the least number that they hold.
fn put_integer(out: &mut Vec<u8>, value: i64) {
    match i32::try_from(value) {
        Ok(short) if short != i32::MIN => put(out, b'I', &short.to_be_bytes()),
        _ => put(out, b'L', &value.to_be_bytes()),
    }
}

/// Append what `inside` writes, behind its length.
fn nested(out: &mut Vec<u8>, inside: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>) -> Result<(), Error> {
    let start = out.len();
    out.extend([0; 4]);
    inside(out)?;
    let length = out.len() - start - 4;
    let Ok(written) = u32::try_from(length) else {
        return Err(Error::TooLong {
            length,
            limit: u32::MAX as usize,
        });
    };
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&written.to_be_bytes());
    }
    Ok(())
}

impl Value<'_> {
    /// Write it as JSON; what JSON lacks becomes the text or number that comes nearest.
    pub(super) fn to_json(&self, out: &mut JsonText) {
        match self {
            Value::Null => out.raw("null"),
            Value::Bool(value) => out.raw(if *value { "true" } else { "false" }),
            Value::Int(value) => out.integer(*value),
            Value::Float(value) => out.float(*value),
            Value::Decimal(..) => out.float(self.decimal()),
            Value::Time(value) => out.raw(&value.to_string()),
            Value::Text(text) => out.string(&String::from_utf8_lossy(text)),
            Value::Bytes(bytes) => out.string(&String::from_utf8_lossy(bytes)),
            Value::List(values) => {
                out.raw("[");
                for (index, value) in values.iter().enumerate() {
                    out.raw(if index > 0 { ", " } else { "" });
                    value.to_json(out);
                }
                out.raw("]");
            }
            Value::Table(members) => members_to_json(members, out),
        }
    }

    /// The number that a decimal is nearest to.
    #[must_use]
    pub fn decimal(&self) -> f64 {
        match self {
            Value::Decimal(scale, digits) => f64::from(*digits) / 10f64.powi(i32::from(*scale)),
            _ => f64::NAN,
        }
    }
}

/// Write a table as a JSON object.
pub(super) fn members_to_json(members: &Members<'_>, out: &mut JsonText) {
    out.raw("{");
    for (index, (name, value)) in members.iter().enumerate() {
        out.raw(if index > 0 { ", " } else { "" });
        out.string(&String::from_utf8_lossy(name));
        out.raw(": ");
        value.to_json(out);
    }
    out.raw("}");
}

/// Read a JSON value as a table's value; `raw` is all that the scanner reads from.
///
/// `depth` counts from the envelope, whose members the headers are: 0 for all of it, 1 for headers alone.
pub(super) fn from_json<'a>(raw: &'a [u8], scanner: &mut Scanner<'a>, depth: u32) -> Result<Value<'a>, Error> {
    // The envelope itself is no table.
    let limit = MAX_DEPTH + 1;
    if depth > limit && matches!(scanner.peek(), Some(b'{' | b'[')) {
        return Err(Error::TooDeep {
            at: scanner.mark(),
            limit,
        });
    }
    match scanner.peek() {
        Some(b'{') => {
            let mut found = Distinct::default();
            let mut members = scanner.enter("an object")?;
            while let Some(key) = members.next(scanner)? {
                let name = into_bytes(key.of(raw));
                found.put(name, from_json(raw, scanner, depth + 1)?);
            }
            Ok(Value::Table(found.members))
        }
        Some(b'[') => {
            let mut values = Vec::new();
            scanner.take(b'[');
            while !scanner.take(b']') {
                if !values.is_empty() && !scanner.take(b',') {
                    scanner.value()?;
                }
                values.push(from_json(raw, scanner, depth + 1)?);
            }
            Ok(Value::List(values))
        }
        Some(b'"') => Ok(Value::Text(into_bytes(scanner.string()?.of(raw)))),
        _ => {
            let span = scanner.value()?;
            Ok(scalar(span.of(raw)))
        }
    }
}

/// The members of an object, each name once: of one that comes twice the last value counts, in the
/// first one's place, as in Python.
#[derive(Default)]
struct Distinct<'a> {
    members: Members<'a>,
    /// Where each name stands; empty while there are so few that looking through them is faster.
    places: HashMap<Cow<'a, [u8]>, usize>,
}

impl<'a> Distinct<'a> {
    const FEW: usize = 64;

    fn put(&mut self, name: Cow<'a, [u8]>, value: Value<'a>) {
        match self.place(&name).and_then(|at| self.members.get_mut(at)) {
            Some(member) => member.1 = value,
            None => self.add(name, value),
        }
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        if self.places.is_empty() {
            return self.members.iter().position(|(known, _)| &**known == name);
        }
        self.places.get(name).copied()
    }

    fn add(&mut self, name: Cow<'a, [u8]>, value: Value<'a>) {
        self.members.push((name, value));
        let unplaced = match self.members.len() {
            few if few < Self::FEW => return,
            Self::FEW => 0,
            many => many - 1,
        };
        for (at, (name, _)) in self.members.iter().enumerate().skip(unplaced) {
            self.places.insert(name.clone(), at);
        }
    }
}

/// A word or a number; one beyond 64 bits stays text.
fn scalar(text: &[u8]) -> Value<'_> {
    match text {
        b"null" => return Value::Null,
        b"true" => return Value::Bool(true),
        b"false" => return Value::Bool(false),
        b"NaN" => return Value::Float(f64::NAN),
        b"Infinity" => return Value::Float(f64::INFINITY),
        b"-Infinity" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let digits = std::str::from_utf8(text).unwrap_or_default();
    if let Ok(value) = digits.parse() {
        return Value::Int(value);
    }
    if digits.contains(['.', 'e', 'E']) {
        if let Ok(value) = digits.parse() {
            return Value::Float(value);
        }
    }
    Value::Text(Cow::Borrowed(text))
}

pub(super) fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}
