//! Little-endian fields: written into a `Vec`, read by a bounded reader that never panics.

#![deny(clippy::arithmetic_side_effects)]

pub(crate) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Writes over what stands at `at`; nothing if it does not fit, which callers rule out.
pub(crate) fn put_at(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len())) {
        place.copy_from_slice(bytes);
    }
}

/// The bytes from `at` on.
pub(crate) fn from(bytes: &[u8], at: usize) -> &[u8] {
    bytes.get(at..).unwrap_or_default()
}

/// A text of at most 255 bytes behind its length.
pub(crate) fn put_str8(out: &mut Vec<u8>, text: &str) {
    let text = clip(text, usize::from(u8::MAX));
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

/// The longest start of `text` that has at most `bytes_max` bytes.
#[inline]
pub(crate) fn clip(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        // Almost always, and on the way of every record.
        return text;
    }
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

/// Reads fields from a slice; `None` where the slice ends too early.
#[derive(Clone)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input { rest: bytes }
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// UTF-8 of `len` bytes.
    pub(crate) fn str(&mut self, len: usize) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(len)?).ok()
    }

    pub(crate) fn str8(&mut self) -> Option<&'a str> {
        let len = usize::from(self.u8()?);
        self.str(len)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }
}
