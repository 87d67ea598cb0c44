//! PUBLISH (section 3.3), the packet that must be fast.

use crate::frame::check_first;
use crate::read::Reader;
use crate::{
    Error, MAX_BODY_LEN, PacketType, Properties, PropertyId, PropertyPlace, QoS, Version, utf8, write,
};

/// A message on its way to the server or to a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Whether this may be a repetition ([MQTT-3.3.1-1]); never with QoS 0 ([MQTT-3.3.1-2]).
    pub dup: bool,
    /// Quality of service of this transmission.
    pub qos: QoS,
    /// To the server: keep the message. To a subscriber: it was kept (section 3.3.1.3).
    pub retain: bool,
    /// A valid topic name; empty only in 5.0 and with a topic alias (section 3.3.2.1).
    pub topic: &'a str,
    /// The packet identifier; 0 with QoS 0, which has none ([MQTT-2.2.1-2]).
    pub packet_id: u16,
    /// 5.0 only. A client may not send a subscription identifier ([MQTT-3.3.4-6]): the server checks
    /// that with [`Properties::contains`], since decoding does not know the direction.
    pub properties: Properties<'a>,
    /// The application message.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    /// Decodes a PUBLISH, for a caller that has already looked at the type in `first`.
    ///
    /// # Errors
    /// As [`decode`](crate::decode).
    #[expect(
        clippy::inline_always,
        reason = "has two callers; moving the result costs as much as finding it"
    )]
    #[inline(always)]
    pub fn decode(version: Version, first: u8, body: &'a [u8]) -> Result<Self, Error> {
        check_first(first)?;
        let qos = match first >> 1 & 3 {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        };
        let mut reader = Reader::new(body);
        let topic = utf8::topic_name(reader.binary()?)?;
        let packet_id = if qos == QoS::AtMostOnce { 0 } else { reader.packet_id()? };
        let properties = if version == Version::V5 {
            Properties::read(&mut reader, PropertyPlace::In(PacketType::Publish))?
        } else {
            Properties::EMPTY
        };
        if topic.is_empty() && !properties.contains(PropertyId::TopicAlias) {
            return Err(no_topic(version));
        }
        Ok(Self {
            dup: first & 0b1000 != 0,
            qos,
            retain: first & 1 != 0,
            topic,
            packet_id,
            properties,
            payload: reader.rest(),
        })
    }
}

/// In 3.x the bytes are wrong (3.1.1: [MQTT-4.7.3-1]), in 5.0 the missing alias is (section 3.3.2.1).
#[cold]
fn no_topic(version: Version) -> Error {
    if version == Version::V5 {
        Error::protocol("neither topic nor topic alias")
    } else {
        Error::malformed("empty topic")
    }
}

/// The first byte of a PUBLISH; encodings of QoS 1 and QoS 2 differ in nothing else.
#[inline]
#[must_use]
pub const fn publish_first_byte(dup: bool, qos: QoS, retain: bool) -> u8 {
    PacketType::Publish.first_byte() | (dup as u8) << 3 | (qos as u8) << 1 | retain as u8
}

/// Appends a PUBLISH. With QoS 1 or 2, returns where its packet identifier stands, in bytes from the
/// start of the packet: one encoding serves all receivers of one version, each with its own identifier
/// (and first byte, see [`publish_first_byte`]) patched in. So the identifier may be 0 here.
///
/// In 3.x the properties are left out.
///
/// # Errors
/// NotEncodable: a topic above 65,535 bytes, or an empty one in 3.x; TooLarge: a packet above
/// 268,435,455. `out` is unchanged then.
#[inline]
pub fn encode_publish(
    version: Version,
    publish: &Publish<'_>,
    out: &mut Vec<u8>,
) -> Result<Option<usize>, Error> {
    let (topic, payload) = (publish.topic.as_bytes(), publish.payload);
    let with_id = publish.qos != QoS::AtMostOnce;
    // Neither sum can wrap: slices are in memory, and both together are less than all there can be.
    let text_len = topic.len().wrapping_add(payload.len());
    if text_len > SHORT_MAX || topic.is_empty() || !publish.properties.is_empty() {
        return encode_long(version, publish, out);
    }
    // Few and short pieces, because each one asks for room again.
    let v5 = version == Version::V5;
    let middle_len = if with_id { 2_usize } else { 0 }.wrapping_add(usize::from(v5));
    let body_len = text_len.wrapping_add(2).wrapping_add(middle_len);
    out.reserve(body_len.wrapping_add(crate::MAX_HEADER_LEN));
    let first = publish_first_byte(publish.dup, publish.qos, publish.retain);
    let [.., topic_high, topic_low] = topic.len().to_be_bytes();
    let [low, high, ..] = body_len.to_le_bytes();
    let header_len: usize = if body_len < 0x80 {
        out.extend_from_slice(&[first, low, topic_high, topic_low]);
        2
    } else {
        out.extend_from_slice(&[first, low | 0x80, high << 1 | low >> 7, topic_high, topic_low]);
        3
    };
    out.extend_from_slice(topic);
    if with_id {
        // A property length of 0 behind it, which only 5.0 has.
        let [id_high, id_low] = publish.packet_id.to_be_bytes();
        out.extend_from_slice(&[id_high, id_low, 0]);
        out.truncate(out.len().wrapping_sub(usize::from(!v5)));
    } else if v5 {
        out.push(0);
    }
    out.extend_from_slice(payload);
    Ok(with_id.then(|| header_len.wrapping_add(2).wrapping_add(topic.len())))
}

/// Topic and payload of a PUBLISH that is encoded on the short way, in bytes: its remaining length has two bytes at
/// most.
const SHORT_MAX: usize = 0x3FFF - 5;

/// Any PUBLISH: large, with properties, or not to be encoded at all.
#[inline(never)]
fn encode_long(version: Version, publish: &Publish<'_>, out: &mut Vec<u8>) -> Result<Option<usize>, Error> {
    let topic = publish.topic.as_bytes();
    let topic_len = write::len_u16(topic)?;
    let raw = publish.properties.raw();
    let with_id = publish.qos != QoS::AtMostOnce;
    let mut body_len =
        topic.len().saturating_add(publish.payload.len()).saturating_add(if with_id { 4 } else { 2 });
    if version == Version::V5 {
        body_len = body_len.saturating_add(raw.len()).saturating_add(crate::varint_len(raw.len()));
    } else if topic.is_empty() {
        return Err(Error::not_encodable("empty topic in 3.x"));
    }
    if body_len > MAX_BODY_LEN {
        return Err(Error::too_large("PUBLISH above 268,435,455 bytes"));
    }

    let start = out.len();
    out.reserve(body_len.saturating_add(crate::MAX_HEADER_LEN));
    out.push(publish_first_byte(publish.dup, publish.qos, publish.retain));
    write::push_varint(body_len, out)?;
    out.extend_from_slice(&topic_len.to_be_bytes());
    out.extend_from_slice(topic);
    let id_at = with_id.then(|| out.len().saturating_sub(start));
    if with_id {
        out.extend_from_slice(&publish.packet_id.to_be_bytes());
    }
    if version == Version::V5 {
        write::push_varint(raw.len(), out)?;
        out.extend_from_slice(raw);
    }
    out.extend_from_slice(publish.payload);
    Ok(id_at)
}
