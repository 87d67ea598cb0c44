//! Writing a property list.
//!
//! Used by whoever sends packets; keeps its buffer, so that building a list per packet allocates once.

use super::table::{self, Raw};
use super::{Properties, Property, PropertyId};
use crate::read::Reader;
use crate::{Error, write};

/// A property list being built. Which packet it is for, and that each property is there once, is up to
/// the caller; the types of the values are kept by [`Property`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PropertyBuf {
    bytes: Vec<u8>,
    present: u64,
}

impl PropertyBuf {
    /// An empty list, without memory of its own yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), present: 0 }
    }

    /// Empties the list and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.present = 0;
    }

    /// The list so far.
    #[must_use]
    pub fn as_properties(&self) -> Properties<'_> {
        Properties { bytes: &self.bytes, present: self.present }
    }

    /// Appends one property.
    ///
    /// # Errors
    /// NotEncodable: text or data above 65,535 bytes, a subscription identifier above 268,435,455, a
    /// maximum QoS of 2 (which is said by leaving it out). The list is as before then.
    pub fn push(&mut self, property: Property<'_>) -> Result<(), Error> {
        let start = self.bytes.len();
        let id = property.id();
        self.bytes.push(id as u8);
        let result = self.push_value(property);
        match result {
            Ok(()) => self.present |= id.bit(),
            Err(_) => self.bytes.truncate(start),
        }
        result
    }

    /// Appends those properties of a list whose identifier `keep` wants, in their order. This is how a
    /// message is forwarded without its topic alias and with another expiry.
    pub fn push_where(&mut self, from: Properties<'_>, mut keep: impl FnMut(PropertyId) -> bool) {
        let mut reader = Reader::new(from.raw());
        let mut rest = from.raw();
        while let Ok((id, _)) = table::read(&mut reader) {
            let len = rest.len().saturating_sub(reader.rest().len());
            let Some((property, after)) = rest.split_at_checked(len) else {
                return;
            };
            if keep(id) {
                self.bytes.extend_from_slice(property);
                self.present |= id.bit();
            }
            rest = after;
        }
    }

    fn push_value(&mut self, property: Property<'_>) -> Result<(), Error> {
        let out = &mut self.bytes;
        match raw(property) {
            Raw::Byte(2..) => return Err(Error::not_encodable("maximum QoS 2")),
            Raw::Byte(byte) => out.push(byte),
            Raw::Two(number) => out.extend_from_slice(&number.to_be_bytes()),
            Raw::Four(number) => out.extend_from_slice(&number.to_be_bytes()),
            Raw::Varint(number) => {
                usize::try_from(number)
                    .ok()
                    .and_then(|number| write::push_varint(number, out).ok())
                    .ok_or(Error::not_encodable("subscription identifier above 268,435,455"))?;
            }
            Raw::Text(bytes) | Raw::Binary(bytes) => write::binary(bytes, out)?,
            Raw::Pair(name, value) => {
                write::binary(name, out)?;
                write::binary(value, out)?;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for PropertyBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_properties().fmt(f)
    }
}

/// A property's value as it goes onto the wire.
fn raw(property: Property<'_>) -> Raw<'_> {
    match property {
        Property::PayloadFormatIndicator(flag)
        | Property::RequestProblemInformation(flag)
        | Property::RequestResponseInformation(flag)
        | Property::RetainAvailable(flag)
        | Property::WildcardSubscriptionAvailable(flag)
        | Property::SubscriptionIdentifierAvailable(flag)
        | Property::SharedSubscriptionAvailable(flag) => Raw::Byte(u8::from(flag)),
        Property::MaximumQoS(qos) => Raw::Byte(qos as u8),
        Property::ServerKeepAlive(number)
        | Property::ReceiveMaximum(number)
        | Property::TopicAliasMaximum(number)
        | Property::TopicAlias(number) => Raw::Two(number),
        Property::MessageExpiryInterval(number)
        | Property::SessionExpiryInterval(number)
        | Property::WillDelayInterval(number)
        | Property::MaximumPacketSize(number) => Raw::Four(number),
        Property::SubscriptionIdentifier(number) => Raw::Varint(number),
        Property::ContentType(text)
        | Property::ResponseTopic(text)
        | Property::AssignedClientIdentifier(text)
        | Property::AuthenticationMethod(text)
        | Property::ResponseInformation(text)
        | Property::ServerReference(text)
        | Property::ReasonString(text) => Raw::Text(text.as_bytes()),
        Property::CorrelationData(data) | Property::AuthenticationData(data) => Raw::Binary(data),
        Property::UserProperty(name, value) => Raw::Pair(name.as_bytes(), value.as_bytes()),
    }
}
