//! AUTH (section 3.15), 5.0 only.

use crate::read::Reader;
use crate::{Error, PacketType, Properties, PropertyId, PropertyPlace, ReasonCode, Version, write};

/// A step of enhanced authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Success, Continue authentication or Re-authenticate. Who may send which is the receiver's to
    /// check (table 3-12).
    pub reason: ReasonCode,
    /// Has an authentication method, but for the short form, which is Success without properties.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<Self, Error> {
        if version != Version::V5 {
            return Err(Error::malformed("packet type 15 in 3.x"));
        }
        let mut reader = Reader::new(body);
        let mut auth = Self { reason: ReasonCode::Success, properties: Properties::EMPTY };
        if reader.is_empty() {
            return Ok(auth); // Section 3.15.2.1.
        }
        auth.reason = super::reason(PacketType::Auth, reader.u8()?)?;
        auth.properties = Properties::read(&mut reader, PropertyPlace::In(PacketType::Auth))?;
        reader.finish()?;
        let plain = auth.reason == ReasonCode::Success && auth.properties.is_empty();
        if !plain && !auth.properties.contains(PropertyId::AuthenticationMethod) {
            // Section 3.15.2.2.2.
            return Err(Error::protocol("AUTH without an authentication method"));
        }
        Ok(auth)
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), Error> {
        if version != Version::V5 {
            return Err(Error::not_encodable("AUTH in 3.x"));
        }
        write::packet(PacketType::Auth.first_byte(), out, |out| {
            if self.reason == ReasonCode::Success && self.properties.is_empty() {
                return Ok(());
            }
            out.push(self.reason as u8);
            write::properties(self.properties, out)
        })
    }
}
