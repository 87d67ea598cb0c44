//! DISCONNECT (section 3.14).

use crate::read::Reader;
use crate::{Error, PacketType, Properties, PropertyPlace, ReasonCode, Version, write};

/// The last packet of a connection. In 3.x only clients send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Why; always Success (Normal disconnection) in 3.x.
    pub reason: ReasonCode,
    /// 5.0 only. Only a client may send a session expiry interval ([MQTT-3.14.2-2]), and none but 0 if
    /// that of its CONNECT was 0 (section 3.14.2.2.2): the receiver checks.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    /// One without properties.
    #[must_use]
    pub const fn new(reason: ReasonCode) -> Self {
        Self { reason, properties: Properties::EMPTY }
    }

    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let mut disconnect = Self::new(ReasonCode::Success);
        if version == Version::V5 && !reader.is_empty() {
            disconnect.reason = super::reason(PacketType::Disconnect, reader.u8()?)?;
            // Below a remaining length of 2 there is no property length (section 3.14.2.2.1).
            if !reader.is_empty() {
                let place = PropertyPlace::In(PacketType::Disconnect);
                disconnect.properties = Properties::read(&mut reader, place)?;
            }
        }
        reader.finish()?;
        Ok(disconnect)
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), Error> {
        if version != Version::V5 && self.reason != ReasonCode::Success {
            return Err(Error::not_encodable("DISCONNECT with a reason in 3.x"));
        }
        write::packet(PacketType::Disconnect.first_byte(), out, |out| {
            let with_properties = version == Version::V5 && !self.properties.is_empty();
            if with_properties || self.reason != ReasonCode::Success {
                out.push(self.reason as u8);
            }
            match with_properties {
                true => write::properties(self.properties, out),
                false => Ok(()),
            }
        })
    }
}
