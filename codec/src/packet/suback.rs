//! SUBACK and UNSUBACK (sections 3.9 and 3.11): an identifier and one code per filter.

use crate::read::Reader;
use crate::{Error, PacketType, Properties, PropertyPlace, ReasonCode, Version, write};

/// The failure code of a 3.1.1 SUBACK (3.1.1: section 3.9.3); 3.1 has none, and gets this one too.
const FAILURE_3X: u8 = ReasonCode::UnspecifiedError as u8;

/// The answer to a SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// That of the SUBSCRIBE; never 0.
    pub packet_id: u16,
    /// 5.0 only.
    pub properties: Properties<'a>,
    /// One per filter, in their order: the granted QoS (0 to 2) or a reason code from 0x80 up. 3.x knows
    /// only 0x80, and any failure is written as that.
    pub codes: &'a [u8],
}

/// The answer to an UNSUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsubAck<'a> {
    /// That of the UNSUBSCRIBE; never 0.
    pub packet_id: u16,
    /// 5.0 only.
    pub properties: Properties<'a>,
    /// One reason code per filter, in their order; empty in 3.x, which has none.
    pub codes: &'a [u8],
}

impl<'a> SubAck<'a> {
    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<Self, Error> {
        let (packet_id, properties, codes) = decode(version, PacketType::SubAck, body)?;
        if codes.is_empty() {
            return Err(Error::malformed("SUBACK without a code"));
        }
        if version != Version::V5 && !codes.iter().all(|&code| code <= 2 || code == FAILURE_3X) {
            return Err(Error::malformed("reserved SUBACK code")); // 3.1.1: [MQTT-3.9.3-2]
        }
        Ok(Self { packet_id, properties, codes })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), Error> {
        write::packet(PacketType::SubAck.first_byte(), out, |out| {
            out.extend_from_slice(&self.packet_id.to_be_bytes());
            if version == Version::V5 {
                write::properties(self.properties, out)?;
                out.extend_from_slice(self.codes);
            } else {
                out.extend(self.codes.iter().map(|&code| code.min(FAILURE_3X)));
            }
            Ok(())
        })
    }
}

impl<'a> UnsubAck<'a> {
    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<Self, Error> {
        let (packet_id, properties, codes) = decode(version, PacketType::UnsubAck, body)?;
        match (version, codes.is_empty()) {
            (Version::V5, true) => Err(Error::malformed("UNSUBACK without a code")),
            (Version::V31 | Version::V311, false) => Err(Error::malformed("bytes after the last field")),
            _ => Ok(Self { packet_id, properties, codes }),
        }
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), Error> {
        write::packet(PacketType::UnsubAck.first_byte(), out, |out| {
            out.extend_from_slice(&self.packet_id.to_be_bytes());
            if version == Version::V5 {
                write::properties(self.properties, out)?;
                out.extend_from_slice(self.codes);
            }
            Ok(())
        })
    }
}

/// What the two have in common; codes are checked against the table of reason codes in 5.0.
fn decode<'a>(
    version: Version,
    packet_type: PacketType,
    body: &'a [u8],
) -> Result<(u16, Properties<'a>, &'a [u8]), Error> {
    let mut reader = Reader::new(body);
    let packet_id = reader.packet_id()?;
    let properties = match version {
        Version::V5 => Properties::read(&mut reader, PropertyPlace::In(packet_type))?,
        Version::V31 | Version::V311 => Properties::EMPTY,
    };
    let codes = reader.rest();
    if version == Version::V5 {
        for &code in codes {
            super::reason(packet_type, code)?;
        }
    }
    Ok((packet_id, properties, codes))
}
