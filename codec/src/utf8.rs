//! UTF-8 encoded strings and topic names (sections 1.5.4 and 4.7).
//!
//! Used by read.rs and packet/. Filters are only checked as strings here: their wildcards are the
//! router's business.

use crate::read::Reader;
use crate::{Error, ReasonCode};

/// Bytes as a string that MQTT allows: well-formed UTF-8, so no surrogates ([MQTT-1.5.4-1]), and no
/// U+0000 ([MQTT-1.5.4-2]). U+FEFF is data ([MQTT-1.5.4-3]), other control characters as [`name`] says.
#[inline]
pub(crate) fn string(bytes: &[u8]) -> Result<&str, Error> {
    if any_byte(bytes, |byte| byte == 0) {
        return Err(Error::malformed("U+0000 in a string"));
    }
    std::str::from_utf8(bytes).map_err(|_| Error::malformed("string is not UTF-8"))
}

/// A string that names something: a client, a user, topics. No control characters (U+0001 to U+001F, U+007F to U+009F),
/// which no sender should put into a string and a receiver may refuse (section 1.5.4): in names they only serve to
/// mislead those who read them. Texts, as those of user properties, may have them.
pub(crate) fn name(bytes: &[u8]) -> Result<&str, Error> {
    if any_byte(bytes, is_suspicious) && string(bytes)?.chars().any(char::is_control) {
        return Err(Error::malformed("control character in a name"));
    }
    std::str::from_utf8(bytes).map_err(|_| Error::malformed("name is not UTF-8"))
}

/// A string that can name a topic: no wildcards ([MQTT-3.3.2-2]), no control characters. May be empty, which only
/// PUBLISH with a topic alias may say; the caller decides.
#[expect(clippy::inline_always, reason = "in each PUBLISH; a call would cost a tenth of its decoding")]
#[inline(always)]
pub(crate) fn topic_name(bytes: &[u8]) -> Result<&str, Error> {
    if any_byte(bytes, suspicious_in_topic_name) {
        return unusual_topic_name(bytes);
    }
    std::str::from_utf8(bytes).map_err(|_| Error::malformed("topic name is not UTF-8"))
}

/// A topic name that is not ASCII, or none. Why it is refused: not being a string comes first.
#[cold]
#[inline(never)]
fn unusual_topic_name(bytes: &[u8]) -> Result<&str, Error> {
    let topic = string(bytes)?;
    if topic.chars().any(char::is_control) {
        return Err(Error::malformed("control character in a topic name"));
    }
    if topic.contains(['+', '#']) {
        return Err(Error::protocol_as(ReasonCode::TopicNameInvalid, "wildcard in a topic name"));
    }
    Ok(topic)
}

/// A topic filter: a name that is not empty ([MQTT-4.7.3-1]).
pub(crate) fn topic_filter<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Error> {
    match name(reader.binary()?)? {
        "" => Err(Error::malformed("empty topic filter")),
        filter => Ok(filter),
    }
}

/// Whether a message may be published to `topic`: not empty ([MQTT-4.7.3-1]), no `+` or `#`
/// ([MQTT-3.3.2-2]), no control characters, among them U+0000 ([MQTT-4.7.3-2]), at most 65,535 bytes
/// ([MQTT-4.7.3-3]).
#[must_use]
pub fn is_valid_topic_name(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= usize::from(u16::MAX) && topic_name(topic.as_bytes()).is_ok()
}

/// A control character, or a byte of what is not ASCII, which may be one.
#[inline]
const fn is_suspicious(byte: u8) -> bool {
    byte.wrapping_sub(b' ') >= 0x7F - b' '
}

/// Without short cuts: a branch per byte would cost more than the compares it may save. `+` is 0x2B and `#` is
/// 0x23: without their one different bit they are one compare.
#[inline]
const fn suspicious_in_topic_name(byte: u8) -> bool {
    is_suspicious(byte) | (byte & !(b'+' ^ b'#') == b'#')
}

/// Whether some byte is forbidden, sixteen at a time, each sixteen without a branch, which the compiler
/// turns into vector compares. The last sixteen overlap those before them rather than go one by one.
#[inline]
fn any_byte(bytes: &[u8], forbidden: impl Fn(u8) -> bool) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().any(|&byte| forbidden(byte));
    };
    let (chunks, _) = bytes.as_chunks();
    chunks.iter().any(|chunk| any_of_16(chunk, &forbidden)) || any_of_16(last, &forbidden)
}

#[inline]
fn any_of_16(chunk: &[u8; 16], forbidden: impl Fn(u8) -> bool) -> bool {
    chunk.iter().fold(false, |found, &byte| found | forbidden(byte))
}

#[cfg(test)]
mod tests;
