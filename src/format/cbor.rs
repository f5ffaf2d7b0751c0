//! Deterministic CBOR, a thin layer over minicbor: a writer that cannot fail and a reader whose errors name the structure.

use minicbor::data::Type as CborType;
use minicbor::{Decoder, Encoder};

use super::FormatError;

/// Writes CBOR into memory.
#[derive(Debug)]
pub struct Writer(Encoder<Vec<u8>>);

impl Default for Writer {
    fn default() -> Self {
        Writer(Encoder::new(Vec::new()))
    }
}

macro_rules! write {
    ($($(#[$doc:meta])* $name:ident($($x:ident: $t:ty)?);)*) => {$(
        $(#[$doc])*
        pub fn $name(&mut self $(, $x: $t)?) -> &mut Self {
            // Writing to a Vec cannot fail.
            let _ = self.0.$name($($x)?);
            self
        }
    )*};
}

impl Writer {
    write! {
        /// Starts an array of so many items.
        array(items: u64);
        /// Starts a map of so many pairs.
        map(pairs: u64);
        /// An unsigned integer.
        u64(x: u64);
        /// An integer.
        i64(x: i64);
        /// A 64-bit float.
        f64(x: f64);
        /// A boolean.
        bool(x: bool);
        /// A byte string.
        bytes(x: &[u8]);
        /// Text.
        str(x: &str);
        /// Nothing.
        null();
    }

    /// Bytes that are CBOR already.
    pub fn raw(&mut self, cbor: &[u8]) -> &mut Self {
        self.0.writer_mut().extend_from_slice(cbor);
        self
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.0.into_writer()
    }
}

/// Reads one structure from CBOR.
#[derive(Debug)]
pub struct Reader<'a> {
    decoder: Decoder<'a>,
    what: &'static str,
}

macro_rules! read {
    ($($(#[$doc:meta])* $name:ident -> $t:ty;)*) => {$(
        $(#[$doc])*
        pub fn $name(&mut self) -> Result<$t, FormatError> {
            self.decoder.$name().map_err(|e| FormatError::malformed(self.what, e))
        }
    )*};
}

impl<'a> Reader<'a> {
    /// Reads the structure named `what` in `bytes`.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Reader { decoder: Decoder::new(bytes), what }
    }

    read! {
        /// An unsigned integer.
        u64 -> u64;
        /// An integer.
        i64 -> i64;
        /// A 64-bit float.
        f64 -> f64;
        /// A boolean.
        bool -> bool;
        /// A byte string.
        bytes -> &'a [u8];
        /// Text.
        str -> &'a str;
    }

    /// The error of a structure that does not fit the format.
    pub fn fail(&self, why: impl ToString) -> FormatError {
        FormatError::malformed(self.what, why)
    }

    /// Starts an array of at least `least` items; returns how many there are. No more than there are bytes left.
    pub fn array(&mut self, least: usize) -> Result<usize, FormatError> {
        let items = self.decoder.array().map_err(|e| FormatError::malformed(self.what, e))?;
        let left = self.decoder.input().len() - self.decoder.position();
        match items.and_then(|n| usize::try_from(n).ok()) {
            Some(n) if n < least => Err(self.fail(format!("{n} items where {least} are expected"))),
            Some(n) if n <= left => Ok(n),
            _ => Err(self.fail("an array without a length, or a length beyond its bytes")),
        }
    }

    /// Starts a map; returns how many pairs there are.
    pub fn map(&mut self) -> Result<usize, FormatError> {
        let pairs = self.decoder.map().map_err(|e| FormatError::malformed(self.what, e))?;
        let left = self.decoder.input().len() - self.decoder.position();
        pairs.and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= left).ok_or_else(|| self.fail("a map without a length, or a length beyond its bytes"))
    }

    /// The items of an array of anything.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, FormatError>) -> Result<Vec<T>, FormatError> {
        let n = self.array(0)?;
        let mut items = Vec::with_capacity(n.min(4096));
        for _ in 0..n {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// One structure that is an array of at least `least` items; those beyond are skipped, as a later writer may have added them.
    pub fn record<T>(&mut self, least: usize, fields: impl FnOnce(&mut Self) -> Result<T, FormatError>) -> Result<T, FormatError> {
        let n = self.array(least)?;
        let value = fields(self)?;
        for _ in least..n {
            self.skip()?;
        }
        Ok(value)
    }

    /// A byte string of exactly `N` bytes.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let bytes = self.bytes()?;
        bytes.try_into().map_err(|_| self.fail(format!("{} bytes where {N} are expected", bytes.len())))
    }

    /// `None` for null, which is then passed; otherwise what `read` reads.
    pub fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, FormatError>) -> Result<Option<T>, FormatError> {
        if self.peek()? == CborType::Null {
            self.skip()?;
            return Ok(None);
        }
        read(self).map(Some)
    }

    /// The kind of the next item.
    pub fn peek(&self) -> Result<CborType, FormatError> {
        self.decoder.datatype().map_err(|e| FormatError::malformed(self.what, e))
    }

    /// Passes one item.
    pub fn skip(&mut self) -> Result<(), FormatError> {
        self.decoder.skip().map_err(|e| FormatError::malformed(self.what, e))
    }

    /// One item as it stands, with all that is in it.
    pub fn item(&mut self) -> Result<&'a [u8], FormatError> {
        let from = self.decoder.position();
        self.skip()?;
        Ok(&self.decoder.input()[from..self.decoder.position()])
    }

    /// Fails where bytes are left over.
    pub fn end(&self) -> Result<(), FormatError> {
        if self.decoder.position() == self.decoder.input().len() { Ok(()) } else { Err(self.fail("bytes left over")) }
    }
}

/// Appends an unsigned LEB128 number.
pub fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// How many bytes [`put_varint`] writes for `n`.
pub fn varint_len(n: u64) -> usize {
    (64 - (n | 1).leading_zeros() as usize).div_ceil(7)
}

/// Takes an unsigned LEB128 number off the front of `bytes`; `None` where they end within it or it passes 64 bits.
pub fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let low = u64::from(byte & 0x7f);
        if shift == 63 && low > 1 {
            return None;
        }
        n |= low << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints() {
        for n in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, n);
            assert_eq!(out.len(), varint_len(n));
            let mut rest = &out[..];
            assert_eq!(take_varint(&mut rest), Some(n));
            assert!(rest.is_empty());
            assert_eq!(take_varint(&mut &out[..out.len() - 1]), None);
        }
        assert_eq!(take_varint(&mut &[0xff; 11][..]), None);
    }

    #[test]
    fn lengths_beyond_the_bytes_are_refused() {
        // An array that claims 2^32 items in 5 bytes.
        let bytes = [0x9a, 0xff, 0xff, 0xff, 0xff];
        assert!(Reader::new("test", &bytes).array(0).is_err());
    }
}
