//! PUBACK, PUBREC, PUBREL, PUBCOMP (sections 3.4 to 3.7), which differ in their type and in the reason
//! codes they may carry.

use crate::read::Reader;
use crate::{Error, PacketType, Properties, PropertyPlace, ReasonCode, Version, write};

/// One step in the acknowledgement of a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The packet identifier of the PUBLISH; never 0.
    pub packet_id: u16,
    /// How it went; always Success in 3.x.
    pub reason: ReasonCode,
    /// 5.0 only.
    pub properties: Properties<'a>,
}

impl<'a> Ack<'a> {
    /// A plain acknowledgement.
    #[must_use]
    pub const fn success(packet_id: u16) -> Self {
        Self { packet_id, reason: ReasonCode::Success, properties: Properties::EMPTY }
    }

    /// Without reason and properties, as nearly all are, in 5.0 too; `None`: look closer.
    #[inline]
    pub(super) fn decode_short(body: &[u8]) -> Option<Self> {
        let packet_id = u16::from_be_bytes(body.try_into().ok()?);
        (packet_id != 0).then(|| Self::success(packet_id))
    }

    pub(super) fn decode(version: Version, packet_type: PacketType, body: &'a [u8]) -> Result<Self, Error> {
        Self::decode_short(body).map_or_else(|| Self::decode_long(version, packet_type, body), Ok)
    }

    fn decode_long(version: Version, packet_type: PacketType, body: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let mut ack = Self::success(reader.packet_id()?);
        if version == Version::V5 && !reader.is_empty() {
            ack.reason = super::reason(packet_type, reader.u8()?)?;
            // Below a remaining length of 4 there is no property length (section 3.4.2.2.1).
            if !reader.is_empty() {
                ack.properties = Properties::read(&mut reader, PropertyPlace::In(packet_type))?;
            }
        }
        reader.finish()?;
        Ok(ack)
    }

    pub(super) fn encode(
        &self,
        packet_type: PacketType,
        version: Version,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if version != Version::V5 || self.properties.is_empty() {
            encode_ack(packet_type, version, self.packet_id, self.reason, out);
            return Ok(());
        }
        write::packet(packet_type.first_byte(), out, |out| {
            out.extend_from_slice(&self.packet_id.to_be_bytes());
            out.push(self.reason as u8);
            write::properties(self.properties, out)
        })
    }
}

/// Appends an acknowledgement without properties; `packet_type` is one of PUBACK, PUBREC, PUBREL and
/// PUBCOMP. 5.0 leaves the reason out when it is Success (section 3.4.2.1); 3.x has no place for it.
#[inline]
pub fn encode_ack(
    packet_type: PacketType,
    version: Version,
    packet_id: u16,
    reason: ReasonCode,
    out: &mut Vec<u8>,
) {
    debug_assert!(matches!(
        packet_type,
        PacketType::PubAck | PacketType::PubRec | PacketType::PubRel | PacketType::PubComp
    ));
    let [high, low] = packet_id.to_be_bytes();
    let first = packet_type.first_byte();
    if version != Version::V5 || reason == ReasonCode::Success {
        out.extend_from_slice(&[first, 2, high, low]);
    } else {
        out.extend_from_slice(&[first, 3, high, low, reason as u8]);
    }
}
