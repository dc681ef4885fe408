//! JSON text as Python's `json` writes it, one piece at a time.
//!
//! ASCII only, floats as `repr` shows them, `NaN` and infinities by their names. Memory that cannot be
//! had makes the text incomplete, which `finish` reports, instead of ending the process.

use std::fmt::Write as _;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use crate::error::Error;

/// Growing JSON text. Brackets and separators are the caller's.
#[derive(Debug, Default)]
pub struct JsonText {
    text: String,
    full: bool,
}

impl JsonText {
    /// Empty, with room for this many bytes.
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        let mut text = Self::default();
        text.full = text.text.try_reserve(bytes).is_err();
        text
    }

    /// Whether something did not fit into memory: nothing more needs to be written then.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// The whole text.
    ///
    /// # Errors
    /// When it did not fit into memory.
    pub fn finish(self) -> Result<String, Error> {
        if self.full {
            return Err(Error::NoMemory);
        }
        Ok(self.text)
    }

    /// Whether this many bytes more fit, as everything before did.
    fn has_room(&mut self, bytes: usize) -> bool {
        self.full = self.full || self.text.try_reserve(bytes).is_err();
        !self.full
    }

    /// Text that is JSON already.
    pub fn raw(&mut self, text: &str) {
        if self.has_room(text.len()) {
            self.text.push_str(text);
        }
    }

    /// Bytes as base64, without quotes.
    pub(crate) fn base64(&mut self, bytes: &[u8]) {
        if self.has_room(bytes.len() / 3 * 4 + 4) {
            STANDARD.encode_string(bytes, &mut self.text);
        }
    }

    /// A string, with its quotes.
    pub fn string(&mut self, value: &str) {
        self.raw("\"");
        self.letters(value);
        self.raw("\"");
    }

    /// A string that holds single surrogates: the bytes that Python's `surrogatepass` makes of it.
    pub fn string_with_surrogates(&mut self, mut value: &[u8]) {
        self.raw("\"");
        loop {
            match std::str::from_utf8(value) {
                Ok(rest) => {
                    self.letters(rest);
                    break;
                }
                Err(error) => {
                    let (sound, rest) = value.split_at_checked(error.valid_up_to()).unwrap_or_default();
                    self.letters(std::str::from_utf8(sound).unwrap_or_default());
                    value = self.surrogate(rest);
                }
            }
        }
        self.raw("\"");
    }

    /// Three bytes that stand for a surrogate; returns what follows them. Anything else becomes U+FFFD.
    fn surrogate<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match bytes {
            [0xED, middle @ 0xA0..=0xBF, last @ 0x80..=0xBF, rest @ ..] => {
                let unit = 0xD000 | (u16::from(middle & 0x3F) << 6) | u16::from(last & 0x3F);
                self.format(format_args!("\\u{unit:04x}"));
                rest
            }
            [_, rest @ ..] => {
                self.raw("\\ufffd");
                rest
            }
            [] => bytes,
        }
    }

    /// The inside of a string: runs of plain letters as they are, all others escaped.
    fn letters(&mut self, mut value: &str) {
        while let Some(at) = value.bytes().position(|byte| !is_plain(byte)) {
            let (plain, rest) = value.split_at_checked(at).unwrap_or((value, ""));
            self.raw(plain);
            let mut letters = rest.chars();
            if let Some(letter) = letters.next() {
                self.escaped(letter);
            }
            value = letters.as_str();
        }
        self.raw(value);
    }

    fn escaped(&mut self, letter: char) {
        match letter {
            '"' => self.raw("\\\""),
            '\\' => self.raw("\\\\"),
            '\n' => self.raw("\\n"),
            '\r' => self.raw("\\r"),
            '\t' => self.raw("\\t"),
            '\u{8}' => self.raw("\\b"),
            '\u{c}' => self.raw("\\f"),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    self.unit(*unit);
                }
            }
        }
    }

    fn unit(&mut self, unit: u16) {
        const DIGITS: [char; 16] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
        ];
        self.raw("\\u");
        if self.has_room(4) {
            for shift in [12, 8, 4, 0] {
                self.text.extend(DIGITS.get(usize::from((unit >> shift) & 0xF)));
            }
        }
    }

    /// An integer.
    pub fn integer(&mut self, value: i64) {
        match value {
            0..10 => self.digit(value.unsigned_abs()),
            _ => self.format(format_args!("{value}")),
        }
    }

    fn digit(&mut self, value: u64) {
        const DIGITS: &str = "0123456789";
        let at = usize::try_from(value).unwrap_or_default();
        self.raw(DIGITS.get(at..=at).unwrap_or_default());
    }

    /// The shortest digits that read back as the same number, laid out as Python's `repr` does.
    pub fn float(&mut self, value: f64) {
        if !value.is_finite() {
            self.raw(if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            });
            return;
        }
        let shortest = nearest(value);
        let (digits, exponent) = shortest.parts();
        let count = digits.bytes().filter(u8::is_ascii_digit).count();
        if (-4..16).contains(&exponent) {
            self.positional(digits, exponent, count);
        } else {
            let sign = if exponent < 0 { '-' } else { '+' };
            self.format(format_args!("{digits}e{sign}{:02}", exponent.unsigned_abs()));
        }
    }

    /// `1.25` and 1 as `12.5`, `5` and -3 as `0.005`.
    fn positional(&mut self, digits: &str, exponent: isize, count: usize) {
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", digits),
        };
        let (first, rest) = digits.split_once('.').unwrap_or((digits, ""));
        self.raw(sign);
        if exponent < 0 {
            let zeros = exponent.unsigned_abs().saturating_sub(1);
            self.raw("0.");
            self.raw("000".get(..zeros).unwrap_or_default());
            self.raw(first);
            self.raw(rest);
            return;
        }
        let whole = exponent.unsigned_abs();
        self.raw(first);
        if let Some((before, after)) = rest.split_at_checked(whole) {
            self.raw(before);
            self.raw(".");
            self.raw(if after.is_empty() { "0" } else { after });
        } else {
            let zeros = (whole + 1).saturating_sub(count);
            self.raw(rest);
            self.raw("000000000000000".get(..zeros).unwrap_or_default());
            self.raw(".0");
        }
    }

    fn format(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Numbers take at most 30 bytes; writing to a String cannot fail.
        if self.has_room(32) {
            let _ = self.text.write_fmt(arguments);
        }
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// The shortest digits that read back as `value`; of several the nearest, of two equally near the one that ends even.
fn nearest(value: f64) -> Short {
    let mut shortest = Short::default();
    let _ = write!(shortest, "{value:e}");
    let count = shortest.parts().0.bytes().filter(u8::is_ascii_digit).count();
    // No other text of up to fifteen digits reads back as the same number.
    if count < 16 {
        return shortest;
    }
    let mut even = Short::default();
    let _ = write!(even, "{value:.*e}", count.saturating_sub(1));
    // Beside a power of two the nearest text of this length may belong to the next number.
    if even.number() == Some(value) {
        even
    } else {
        shortest
    }
}

/// A number's text on the stack.
struct Short {
    bytes: [u8; 40],
    length: usize,
}

impl Default for Short {
    fn default() -> Self {
        Self {
            bytes: [0; 40],
            length: 0,
        }
    }
}

impl Short {
    fn text(&self) -> &str {
        std::str::from_utf8(self.bytes.get(..self.length).unwrap_or_default()).unwrap_or_default()
    }

    fn number(&self) -> Option<f64> {
        self.text().parse().ok()
    }

    /// The digits with their point, and the exponent.
    fn parts(&self) -> (&str, isize) {
        let text = self.text();
        let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
        (digits, exponent.parse().unwrap_or_default())
    }
}

impl std::fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes
            .get_mut(self.length..end)
            .ok_or(std::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut JsonText)) -> String {
        let mut text = JsonText::default();
        write(&mut text);
        text.finish().expect("memory")
    }

    #[test]
    fn floats_are_laid_out_as_python_shows_them() {
        for (value, shown) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (100.0, "100.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e16, "1.5e+16"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(written(|text| text.float(value)), shown);
        }
    }

    #[test]
    fn of_two_equally_near_texts_the_even_one_is_taken() {
        assert_eq!(written(|text| text.float(2f64.powi(-44))), "5.684341886080802e-14");
        assert_eq!(written(|text| text.float(2f64.powi(-24))), "5.960464477539063e-08");
        assert_eq!(written(|text| text.float(5e-324)), "5e-324");
        assert_eq!(written(|text| text.float(-1_234.5)), "-1234.5");
    }

    #[test]
    fn strings_are_ascii() {
        assert_eq!(
            written(|text| text.string("a\"\\\n\r\t\u{8}\u{c}\u{1}\u{7f}é😀")),
            r#""a\"\\\n\r\t\b\f\u0001\u007f\u00e9\ud83d\ude00""#
        );
        assert_eq!(written(|text| text.string("")), r#""""#);
    }

    #[test]
    fn single_surrogates_are_escaped_and_no_bytes_stop_the_writer() {
        let write = |bytes: &[u8]| written(|text| text.string_with_surrogates(bytes));

        assert_eq!(write(b"a\xed\xa0\x80b"), r#""a\ud800b""#);
        assert_eq!(write(b"\xed\xbf\xbf\xed\xa0\xbd"), r#""\udfff\ud83d""#);
        assert_eq!(write(b"\xff\xedx"), r#""\ufffd\ufffdx""#);
    }

    #[test]
    fn integers_are_written_whole() {
        for value in [0, 7, 10, -1, i64::MIN, i64::MAX] {
            assert_eq!(written(|text| text.integer(value)), value.to_string());
        }
    }
}
