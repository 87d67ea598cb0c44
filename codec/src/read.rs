//! A bounded reader over the body of one packet.
//!
//! Used by property.rs and packet/. Every inner length is taken from what is left, so nothing can reach
//! beyond its packet, and a property list nothing beyond its own length.

use crate::{Error, utf8};

const TRUNCATED: Error = Error::malformed("packet ends inside a field");

#[derive(Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read yet.
    #[inline]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The end of a packet: a longer remaining length than its fields need is malformed.
    #[inline]
    pub(crate) fn finish(&self) -> Result<(), Error> {
        if self.is_empty() { Ok(()) } else { Err(Error::malformed("bytes after the last field")) }
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        let (&byte, rest) = self.rest.split_first().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    /// A packet identifier, which is never 0 ([MQTT-2.2.1-3]).
    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<u16, Error> {
        match self.u16()? {
            0 => Err(Error::protocol("packet identifier 0")),
            id => Ok(id),
        }
    }

    /// The same of SUBSCRIBE and UNSUBSCRIBE, whose answers name nothing else than this identifier: without it they
    /// are no requests.
    pub(crate) fn packet_id_of_request(&mut self) -> Result<u16, Error> {
        self.packet_id().map_err(|error| Error::malformed(error.what))
    }

    /// A variable byte integer inside a 5.0 packet: at most four bytes (section 1.5.5) and no more than
    /// the value needs ([MQTT-1.5.5-1]).
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u32, Error> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(Error::malformed("variable byte integer longer than needed"));
                }
                return Ok(value);
            }
        }
        Err(Error::malformed("variable byte integer of more than four bytes"))
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Binary data: two bytes of length and that many bytes (section 1.5.6).
    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], Error> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// A UTF-8 encoded string (section 1.5.4).
    #[inline]
    pub(crate) fn string(&mut self) -> Result<&'a str, Error> {
        utf8::string(self.binary()?)
    }
}

#[cfg(test)]
mod tests;
