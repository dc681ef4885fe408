//! A reader of JSON text that hands out places instead of values.
//!
//! It reads what Python's `json` writes, which is more than JSON: `NaN`, `Infinity`, `-Infinity`,
//! integers of any size, and `\u` escapes of single surrogates. Values that nobody asks for are
//! checked and stepped over without recursion, so that nesting costs no stack.

use std::borrow::Cow;

use crate::error::Error;

/// Deeper nesting than this is refused. Canvas lives in the body, which is not read here; headers
/// hold user headers and stamps.
pub(crate) const MAX_DEPTH: u32 = 128;

/// A piece of the text: the bytes from `start` up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        let clip = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        Self {
            start: clip(start),
            end: clip(end),
        }
    }

    /// The bytes, out of the text that was read.
    #[must_use]
    pub fn of<'a>(&self, raw: &'a [u8]) -> &'a [u8] {
        raw.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A JSON string: where it stands between its quotes, and whether it has escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Text {
    span: Span,
    escaped: bool,
}

impl Text {
    /// The string's value, out of the text that was read; a single surrogate becomes U+FFFD.
    #[must_use]
    pub fn of<'a>(&self, raw: &'a [u8]) -> Cow<'a, str> {
        let text = std::str::from_utf8(self.span.of(raw)).unwrap_or_default();
        if self.escaped {
            Cow::Owned(unescape(text).0)
        } else {
            Cow::Borrowed(text)
        }
    }

    /// The same as bytes, which cost no look at their encoding where nothing is escaped.
    pub(crate) fn bytes<'a>(&self, raw: &'a [u8]) -> Cow<'a, [u8]> {
        if !self.escaped {
            return Cow::Borrowed(self.span.of(raw));
        }
        match self.of(raw) {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }

    /// The string with its quotes.
    pub(crate) fn quoted(self) -> Span {
        Span {
            start: self.span.start.saturating_sub(1),
            end: self.span.end.saturating_add(1),
        }
    }

    /// Whether the value is text that can be stored and compared: no single surrogates.
    pub(crate) fn is_sound(&self, raw: &[u8]) -> bool {
        !self.escaped || std::str::from_utf8(self.span.of(raw)).is_ok_and(|text| unescape(text).1)
    }
}

/// The value of a string that the scanner accepted, and whether no surrogate stood alone in it.
fn unescape(text: &str) -> (String, bool) {
    let mut value = String::with_capacity(text.len());
    let mut sound = true;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        value.push_str(before);
        let mut letters = after.chars();
        let (letter, taken) = match letters.next() {
            Some('b') => ('\u{8}', 1),
            Some('f') => ('\u{c}', 1),
            Some('n') => ('\n', 1),
            Some('r') => ('\r', 1),
            Some('t') => ('\t', 1),
            Some('u') => escaped_letter(after).unwrap_or_else(|| {
                sound = false;
                (char::REPLACEMENT_CHARACTER, 5)
            }),
            Some(other) => (other, other.len_utf8()),
            None => break,
        };
        value.push(letter);
        rest = after.get(taken..).unwrap_or_default();
    }
    value.push_str(rest);
    (value, sound)
}

/// The letter that `uXXXX` or `uXXXX\uXXXX` stands for, and how many bytes that takes.
fn escaped_letter(after: &str) -> Option<(char, usize)> {
    let unit = |from: usize| u32::from_str_radix(after.get(from..from + 4)?, 16).ok();
    let first = unit(1)?;
    if let Some(letter) = char::from_u32(first) {
        return Some((letter, 5));
    }
    let low = (after.get(5..7) == Some("\\u")).then(|| unit(7)).flatten()?;
    if !(0xD800..0xDC00).contains(&first) || !(0xDC00..0xE000).contains(&low) {
        return None;
    }
    let letter = char::from_u32(0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00))?;
    Some((letter, 11))
}

/// Reads a text from its start to its end, one value at a time.
pub(crate) struct Scanner<'a> {
    raw: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Over the whole of a text that the caller knows to be UTF-8 and shorter than 4 GiB.
    pub(crate) fn new(raw: &'a [u8]) -> Self {
        Self { raw, at: 0 }
    }

    /// The place where the next value begins.
    pub(crate) fn mark(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// What was read since a mark.
    pub(crate) fn since(&self, mark: usize) -> Span {
        Span::new(mark, self.at)
    }

    fn fault<T>(&self, expected: &'static str) -> Result<T, Error> {
        Err(Error::Json { at: self.at, expected })
    }

    /// The next byte that is not white space, without taking it.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.raw.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Take `byte` if it comes next.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn take_word(&mut self, word: &[u8]) -> bool {
        let there = self.raw.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        self.at += if there { word.len() } else { 0 };
        there
    }

    /// Take `null` if it comes next.
    pub(crate) fn take_null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.take_word(b"null")
    }

    /// Take the `{` of an object; `expected` names the object for the error.
    pub(crate) fn enter(&mut self, expected: &'static str) -> Result<Members, Error> {
        if self.take(b'{') {
            Ok(Members { first: true })
        } else {
            self.fault(expected)
        }
    }

    /// The end of the text: nothing but white space is left.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.fault("nothing more"),
        }
    }

    /// Take a string.
    pub(crate) fn string(&mut self) -> Result<Text, Error> {
        if !self.take(b'"') {
            return self.fault("a string");
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.raw.get(self.at..).unwrap_or_default();
            self.at += plain_letters(rest);
            match self.raw.get(self.at) {
                Some(b'"') => {
                    let span = Span::new(start, self.at);
                    self.at += 1;
                    return Ok(Text { span, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.fault("no control character in a string"),
                None => return self.fault("the end of a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Error> {
        match self.raw.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u')
                if self
                    .raw
                    .get(self.at + 2..self.at + 6)
                    .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) =>
            {
                self.at += 6;
            }
            _ => return self.fault("an escape such as \\n or \\u00e9"),
        }
        Ok(())
    }

    /// Take a value of any kind and return its text.
    pub(crate) fn value(&mut self) -> Result<Span, Error> {
        let start = self.mark();
        let mut nesting = Nesting::default();
        loop {
            if self.opens(&mut nesting)? {
                continue;
            }
            if self.closes(&mut nesting)? {
                return Ok(self.since(start));
            }
        }
    }

    /// Take a scalar, or go into a container; true when a value must follow at once.
    fn opens(&mut self, nesting: &mut Nesting) -> Result<bool, Error> {
        match self.peek() {
            Some(b'"') => {
                self.string()?;
            }
            Some(b'{') => {
                nesting.push(true, self.at)?;
                self.at += 1;
                if self.peek() != Some(b'}') {
                    self.key_and_colon()?;
                    return Ok(true);
                }
            }
            Some(b'[') => {
                nesting.push(false, self.at)?;
                self.at += 1;
                return Ok(self.peek() != Some(b']'));
            }
            Some(_) => self.scalar()?,
            None => return self.fault("a value"),
        }
        Ok(false)
    }

    /// Leave the containers that end here; true when the outermost value is complete.
    fn closes(&mut self, nesting: &mut Nesting) -> Result<bool, Error> {
        while let Some(object) = nesting.top() {
            if self.take(if object { b'}' } else { b']' }) {
                nesting.pop();
                continue;
            }
            if !self.take(b',') {
                return self.fault(if object { "',' or '}'" } else { "',' or ']'" });
            }
            if object {
                self.key_and_colon()?;
            }
            return Ok(false);
        }
        Ok(true)
    }

    fn key_and_colon(&mut self) -> Result<Text, Error> {
        if self.peek() != Some(b'"') {
            return self.fault("a key");
        }
        let key = self.string()?;
        if self.take(b':') {
            Ok(key)
        } else {
            self.fault("':'")
        }
    }

    fn scalar(&mut self) -> Result<(), Error> {
        const WORDS: [&[u8]; 6] = [b"null", b"true", b"false", b"NaN", b"Infinity", b"-Infinity"];
        if WORDS.iter().any(|word| self.take_word(word)) {
            return Ok(());
        }
        self.number()
    }

    fn number(&mut self) -> Result<(), Error> {
        self.take_word(b"-");
        if !self.take_word(b"0") {
            self.digits("a value")?;
        }
        if self.take_word(b".") {
            self.digits("a digit")?;
        }
        if self.take_word(b"e") || self.take_word(b"E") {
            if !self.take_word(b"-") {
                self.take_word(b"+");
            }
            self.digits("a digit")?;
        }
        Ok(())
    }

    fn digits(&mut self, expected: &'static str) -> Result<(), Error> {
        let rest = self.raw.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return self.fault(expected);
        }
        self.at += count;
        Ok(())
    }
}

/// How many bytes from the start on end no string and are no control characters: eight at a time.
fn plain_letters(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    /// The highest bit of the first byte below `limit` is set, and of no byte before it.
    const fn below(word: u64, limit: u64) -> u64 {
        word.wrapping_sub(ONES * limit) & !word & HIGHS
    }
    let mut count = 0;
    let words = text.chunks_exact(8);
    let rest = words.remainder();
    for word in words {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        let quote = below(word ^ (ONES * 0x22), 1);
        let backslash = below(word ^ (ONES * 0x5c), 1);
        let found = quote | backslash | below(word, 0x20);
        if found != 0 {
            return count + found.trailing_zeros() as usize / 8;
        }
        count += 8;
    }
    count
        + rest
            .iter()
            .take_while(|&&byte| byte != b'"' && byte != b'\\' && byte >= 0x20)
            .count()
}

/// Where we are among the members of an object.
pub(crate) struct Members {
    first: bool,
}

impl Members {
    /// The key of the next member, its colon taken; the caller takes the value. None after the last.
    pub(crate) fn next(&mut self, scanner: &mut Scanner<'_>) -> Result<Option<Text>, Error> {
        if scanner.take(b'}') {
            return Ok(None);
        }
        if !self.first && !scanner.take(b',') {
            return scanner.fault("',' or '}'");
        }
        self.first = false;
        scanner.key_and_colon().map(Some)
    }
}

/// Which containers are open, innermost last: one bit each, set for an object.
#[derive(Default)]
struct Nesting {
    kinds: u128,
    depth: u32,
}

impl Nesting {
    fn push(&mut self, object: bool, at: usize) -> Result<(), Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::TooDeep { at, limit: MAX_DEPTH });
        }
        self.kinds = (self.kinds << 1) | u128::from(object);
        self.depth += 1;
        Ok(())
    }

    fn pop(&mut self) {
        self.kinds >>= 1;
        self.depth = self.depth.saturating_sub(1);
    }

    fn top(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.kinds & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Result<Span, Error> {
        let mut scanner = Scanner::new(text.as_bytes());
        let span = scanner.value()?;
        scanner.finish()?;
        Ok(span)
    }

    #[test]
    fn what_python_writes_is_read() {
        for text in [
            "null",
            "[]",
            "{}",
            " [1, -0.5e+3 , {\"a\": [true, false]}, \"x\"] ",
            "[NaN, Infinity, -Infinity]",
            "123456789012345678901234567890",
            r#"{"\ud800": "\u00e9\n\/"}"#,
        ] {
            assert!(whole(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            "[",
            "]",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{a: 1}",
            "[1 2]",
            "01",
            "1.",
            "-",
            ".5",
            "1e",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"a",
            "\"\u{1}\"",
            "nul",
            "[}",
            "{]",
            "1 1",
            "{\"a\": 1,}",
        ] {
            assert!(whole(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(whole(&deep(MAX_DEPTH as usize)).is_ok());
        assert_eq!(
            whole(&deep(MAX_DEPTH as usize + 1)),
            Err(Error::TooDeep {
                at: MAX_DEPTH as usize,
                limit: MAX_DEPTH
            })
        );
        assert!(whole(&"[{\"a\":".repeat(1_000_000)).is_err());
    }

    #[test]
    fn escapes_become_letters_and_single_surrogates_the_replacement() {
        let raw = r#""a\u00e9\ud83d\ude00\n\/\ud800x\udc00""#.as_bytes();
        let text = Scanner::new(raw).string().expect("a string");
        assert_eq!(text.of(raw), "aé😀\n/\u{fffd}x\u{fffd}");
        assert!(!text.is_sound(raw));
    }
}
