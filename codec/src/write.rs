//! Appending to a packet: lengths, strings, and the frame around a body.
//!
//! Used by property.rs and packet/. Everything fails before or undoes what it wrote, so that a caller's
//! buffer never holds half a packet.

use crate::{Error, MAX_BODY_LEN, Properties};

/// Bytes of `value` as a variable byte integer, 1 to 4 (section 1.5.5); 4 for anything larger.
#[inline]
#[must_use]
pub const fn varint_len(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

/// Appends `value` as a variable byte integer (section 1.5.5).
///
/// # Errors
/// TooLarge above 268,435,455; nothing is written then.
#[inline]
pub fn push_varint(value: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    if value > MAX_BODY_LEN {
        return Err(Error::too_large("length above 268,435,455"));
    }
    let mut rest = value;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low);
            return Ok(());
        }
        out.push(low | 0x80);
    }
}

/// The length of a string or of binary data, as its two bytes.
#[inline]
pub(crate) fn len_u16(bytes: &[u8]) -> Result<u16, Error> {
    u16::try_from(bytes.len()).map_err(|_| Error::not_encodable("field of more than 65,535 bytes"))
}

/// Binary data or a string: two bytes of length, then the bytes.
pub(crate) fn binary(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    out.extend_from_slice(&len_u16(bytes)?.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

pub(crate) fn properties(properties: Properties<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    push_varint(properties.raw().len(), out)?;
    out.extend_from_slice(properties.raw());
    Ok(())
}

/// A whole packet: fixed header and what `body` appends. The length is written behind the
/// body and turned round to its front, which moves the body once; PUBLISH, where that would matter,
/// does not come here.
pub(crate) fn packet(
    first: u8,
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    let start = out.len();
    out.push(first);
    let result = framed(out, body);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn framed(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>) -> Result<(), Error> {
    let start = out.len();
    body(out)?;
    let body_len = out.len().saturating_sub(start);
    let end = out.len();
    push_varint(body_len, out)?;
    let header_len = out.len().saturating_sub(end);
    // `start` is not beyond the end of what was just written, so there is always a slice.
    if let Some(written) = out.get_mut(start..) {
        written.rotate_right(header_len);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
