//! Reads big-endian numbers and strings from the front of some bytes.

use crate::error::Error;

/// What is left to read, and the name of what it is, for errors.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(Error::Cut { what: self.what });
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let what = self.what;
        self.take(N)?.try_into().map_err(|_| Error::Cut { what })
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn i8(&mut self) -> Result<i8, Error> {
        self.array().map(i8::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, Error> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Error> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Error> {
        self.array().map(i64::from_be_bytes)
    }

    /// At most 255 bytes.
    pub(super) fn short_string(&mut self) -> Result<&'a [u8], Error> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// At most what there is: a length is not believed before its bytes are there.
    pub(super) fn long_string(&mut self) -> Result<&'a [u8], Error> {
        let length = self.u32()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }
}

/// Append a string of at most 255 bytes.
pub(super) fn put_short_string(out: &mut Vec<u8>, name: &'static str, text: &[u8]) -> Result<(), Error> {
    let Ok(length) = u8::try_from(text.len()) else {
        return Err(Error::Field {
            name,
            expected: "at most 255 bytes long",
            got: format!("{} bytes", text.len()),
        });
    };
    out.push(length);
    out.extend_from_slice(text);
    Ok(())
}

/// Append bytes behind their length.
pub(super) fn put_long_string(out: &mut Vec<u8>, text: &[u8]) -> Result<(), Error> {
    let Ok(length) = u32::try_from(text.len()) else {
        return Err(Error::TooLong {
            length: text.len(),
            limit: u32::MAX as usize,
        });
    };
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text);
    Ok(())
}
