//! From bytes to [`Properties`]: everything a list can get wrong.
//!
//! Called by the decoders of packet/ and by whoever kept the raw bytes of a list.

use super::table::{self, PropertyId, PropertyPlace, Raw};
use super::{Properties, Property};
use crate::read::Reader;
use crate::{Error, utf8};

impl<'a> Properties<'a> {
    /// Validates a list (without its length) that stands in `place`.
    ///
    /// # Errors
    /// Malformed: an unknown property, one that `place` may not have (section 2.2.2.2), a value cut
    /// short, text that is not UTF-8. Protocol Error: a property twice, a value out of its range,
    /// authentication data without a method.
    pub fn parse(bytes: &'a [u8], place: PropertyPlace) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let mut present = 0;
        while !reader.is_empty() {
            let (id, raw) = table::read(&mut reader)?;
            if !id.allowed_in(place) {
                return Err(Error::malformed("property not allowed in this packet"));
            }
            if present & id.bit() != 0 && !id.may_repeat_in(place) {
                return Err(Error::protocol("property twice"));
            }
            check(id, raw)?;
            present |= id.bit();
        }
        let properties = Self { bytes, present };
        if properties.contains(PropertyId::AuthenticationData)
            && !properties.contains(PropertyId::AuthenticationMethod)
        {
            return Err(Error::protocol("authentication data without a method"));
        }
        Ok(properties)
    }

    /// Reads a list with its length before it, as it stands in a packet.
    #[inline]
    pub(crate) fn read(reader: &mut Reader<'a>, place: PropertyPlace) -> Result<Self, Error> {
        match reader.varint()? {
            0 => Ok(Self::EMPTY),
            len => {
                let len =
                    usize::try_from(len).map_err(|_| Error::malformed("property length beyond memory"))?;
                Self::parse(reader.take(len)?, place)
            }
        }
    }
}

/// The value of one property: text, and the ranges of sections 3.1.2.11, 3.2.2.3, 3.3.2.3 and 3.8.2.1.
fn check(id: PropertyId, raw: Raw<'_>) -> Result<(), Error> {
    use crate::ReasonCode::TopicAliasInvalid;
    match (id, raw) {
        (PropertyId::TopicAlias, Raw::Two(0)) => Err(Error::protocol_as(TopicAliasInvalid, "topic alias 0")),
        (PropertyId::ReceiveMaximum, Raw::Two(0)) => Err(Error::protocol("receive maximum 0")),
        (PropertyId::MaximumPacketSize, Raw::Four(0)) => Err(Error::protocol("maximum packet size 0")),
        (PropertyId::SubscriptionIdentifier, Raw::Varint(0)) => {
            Err(Error::protocol("subscription identifier 0"))
        }
        (PropertyId::ResponseTopic, Raw::Text(bytes)) => match utf8::topic_name(bytes) {
            Ok("") => Err(Error::protocol("empty response topic")),
            Ok(_) => Ok(()),
            Err(error) if error.guilt == crate::Guilt::Malformed => Err(error),
            Err(_) => Err(Error::protocol("wildcard in the response topic")),
        },
        // Every property of one byte is a yes or a no, Maximum QoS included.
        (_, Raw::Byte(2..)) => Err(Error::protocol("property value neither 0 nor 1")),
        (_, Raw::Text(bytes)) => utf8::string(bytes).map(drop),
        (_, Raw::Pair(name, value)) => {
            utf8::string(name)?;
            utf8::string(value).map(drop)
        }
        (_, Raw::Byte(_) | Raw::Two(_) | Raw::Four(_) | Raw::Varint(_) | Raw::Binary(_)) => Ok(()),
    }
}

impl std::fmt::Debug for Property<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.id();
        match self {
            Self::AuthenticationData(data) => write!(f, "{name:?}({} bytes)", data.len()),
            Self::PayloadFormatIndicator(flag)
            | Self::RequestProblemInformation(flag)
            | Self::RequestResponseInformation(flag)
            | Self::RetainAvailable(flag)
            | Self::WildcardSubscriptionAvailable(flag)
            | Self::SubscriptionIdentifierAvailable(flag)
            | Self::SharedSubscriptionAvailable(flag) => write!(f, "{name:?}({flag})"),
            Self::MessageExpiryInterval(number)
            | Self::SubscriptionIdentifier(number)
            | Self::SessionExpiryInterval(number)
            | Self::WillDelayInterval(number)
            | Self::MaximumPacketSize(number) => write!(f, "{name:?}({number})"),
            Self::ServerKeepAlive(number)
            | Self::ReceiveMaximum(number)
            | Self::TopicAliasMaximum(number)
            | Self::TopicAlias(number) => write!(f, "{name:?}({number})"),
            Self::MaximumQoS(qos) => write!(f, "{name:?}({qos:?})"),
            Self::CorrelationData(data) => write!(f, "{name:?}({data:?})"),
            Self::UserProperty(key, value) => write!(f, "{name:?}({key:?}, {value:?})"),
            Self::ContentType(text)
            | Self::ResponseTopic(text)
            | Self::AssignedClientIdentifier(text)
            | Self::AuthenticationMethod(text)
            | Self::ResponseInformation(text)
            | Self::ServerReference(text)
            | Self::ReasonString(text) => write!(f, "{name:?}({text:?})"),
        }
    }
}
