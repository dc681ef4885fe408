//! Plain values as Python's `marshal` reads them, in its format 2: no references, so each stands for itself.
//!
//! Writer and reader are one machine's processes of one Python; nothing of this is stored.

/// Writes one value after the other; whoever begins a list or tuple writes its members next.
#[derive(Debug, Default)]
pub struct Marshal {
    out: Vec<u8>,
}

impl Marshal {
    /// With room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            out: Vec::with_capacity(bytes),
        }
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// A tuple with so many members.
    pub fn tuple(&mut self, members: u32) {
        self.tagged(b'(', members);
    }

    /// A list with so many members.
    pub fn list(&mut self, members: u32) {
        self.tagged(b'[', members);
    }

    /// A text; one that is longer than Python's format can say is cut.
    pub fn text(&mut self, text: &str) {
        self.sized(b'u', text.as_bytes());
    }

    /// Bytes; with the same limit.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.sized(b's', bytes);
    }

    /// True or False.
    pub fn flag(&mut self, value: bool) {
        self.out.push(if value { b'T' } else { b'F' });
    }

    /// A text, or None.
    pub fn text_or_none(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.none(),
        }
    }

    /// None.
    pub fn none(&mut self) {
        self.out.push(b'N');
    }

    /// A whole number.
    pub fn number(&mut self, value: i64) {
        if let Ok(short) = i32::try_from(value) {
            self.out.push(b'i');
            self.out.extend_from_slice(&short.to_le_bytes());
            return;
        }
        // Digits of fifteen bits, as many as it has; their count has the sign.
        let mut left = value.unsigned_abs();
        let mut digits = Vec::with_capacity(10);
        let mut count = 0_i32;
        while left > 0 {
            digits.extend_from_slice(&((left & 0x7fff) as u16).to_le_bytes());
            left >>= 15;
            count += 1;
        }
        self.out.push(b'l');
        self.out
            .extend_from_slice(&(if value < 0 { -count } else { count }).to_le_bytes());
        self.out.extend_from_slice(&digits);
    }

    fn tagged(&mut self, kind: u8, value: u32) {
        self.out.push(kind);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    fn sized(&mut self, kind: u8, bytes: &[u8]) {
        let size = i32::try_from(bytes.len()).unwrap_or(i32::MAX).unsigned_abs();
        self.tagged(kind, size);
        self.out
            .extend_from_slice(bytes.get(..size as usize).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_too_large_for_a_word_are_written_in_digits_of_fifteen_bits() {
        let written = |value| {
            let mut out = Marshal::default();
            out.number(value);
            out.into_bytes()
        };

        assert_eq!(written(0x7fff_ffff), b"i\xff\xff\xff\x7f");
        assert_eq!(written(-1), b"i\xff\xff\xff\xff");
        assert_eq!(written(0x8000_0000), b"l\x03\0\0\0\0\0\0\0\x02\0");
        assert_eq!(written(-0x8000_0001), b"l\xfd\xff\xff\xff\x01\0\0\0\x02\0");
    }
}
