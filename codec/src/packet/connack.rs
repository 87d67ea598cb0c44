//! CONNACK (section 3.2).

use crate::read::Reader;
use crate::{ConnectReturnCode, Error, PacketType, Properties, PropertyPlace, ReasonCode, Version, write};

/// The answer to a CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// Whether the server has a session for the client; false with any failure ([MQTT-3.2.2-6]), and in
    /// 3.1, which has no such flag.
    pub session_present: bool,
    /// Success or why not; in 3.x to and from the return code.
    pub reason: ReasonCode,
    /// 5.0 only.
    pub properties: Properties<'a>,
}

impl<'a> ConnAck<'a> {
    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let flags = reader.u8()?;
        let number = reader.u8()?;
        let (reason, properties) = match version {
            Version::V5 => (
                super::reason(PacketType::ConnAck, number)?,
                Properties::read(&mut reader, PropertyPlace::In(PacketType::ConnAck))?,
            ),
            Version::V31 | Version::V311 => (
                ConnectReturnCode::from_number(number)
                    .ok_or(Error::malformed("reserved CONNACK return code"))?
                    .reason(),
                Properties::EMPTY,
            ),
        };
        reader.finish()?;
        // In 3.1 the whole byte is unused.
        let session_present = version != Version::V31 && flags & 1 != 0;
        if version != Version::V31 && flags & !1 != 0 {
            return Err(Error::malformed("reserved CONNACK flags")); // [MQTT-3.2.2-1]
        }
        if session_present && reason != ReasonCode::Success {
            return Err(Error::protocol("session present in a refusal")); // [MQTT-3.2.2-6]
        }
        Ok(Self { session_present, reason, properties })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), Error> {
        let code = match version {
            Version::V5 => self.reason as u8,
            Version::V31 | Version::V311 => self
                .reason
                .connect_return_code()
                .ok_or(Error::not_encodable("no CONNACK return code for this reason in 3.x"))?
                as u8,
        };
        let session_present = self.session_present && code == 0 && version != Version::V31;
        write::packet(PacketType::ConnAck.first_byte(), out, |out| {
            out.extend_from_slice(&[u8::from(session_present), code]);
            match version {
                Version::V5 => write::properties(self.properties, out),
                Version::V31 | Version::V311 => Ok(()),
            }
        })
    }
}
