//! Properties of MQTT 5.0: THE table (property × packet), and the view over validated bytes.
//!
//! [`table`] says for each property its number, its type and the packets that may carry it (table 2-4);
//! decoding, iteration and building all follow it. A [`Properties`] is only ever made from bytes that
//! passed [`Properties::parse`] or were written by a [`PropertyBuf`], so reading it again cannot fail.
//! How many user properties are too many is the broker's decision ([`Properties::raw`] has the bytes).

mod build;
mod getters;
mod table;
mod validate;

pub use build::PropertyBuf;
pub use table::{PropertyId, PropertyPlace};

use crate::QoS;
use crate::read::Reader;
use table::Raw;

/// One property with its value (section 2.2.2.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Property<'a> {
    /// 0x01: whether the payload is UTF-8 text (1) or unspecified bytes (0).
    PayloadFormatIndicator(bool),
    /// 0x02: lifetime of the message, in seconds.
    MessageExpiryInterval(u32),
    /// 0x03: what the payload is, in the application's words.
    ContentType(&'a str),
    /// 0x08: topic name for the response; never empty, without wildcards.
    ResponseTopic(&'a str),
    /// 0x09: by which the requester knows its request again.
    CorrelationData(&'a [u8]),
    /// 0x0B: 1 to 268,435,455.
    SubscriptionIdentifier(u32),
    /// 0x11: seconds; 0xFFFFFFFF: never.
    SessionExpiryInterval(u32),
    /// 0x12: the client identifier the server chose.
    AssignedClientIdentifier(&'a str),
    /// 0x13: the keep alive the server uses instead, in seconds.
    ServerKeepAlive(u16),
    /// 0x15: name of the authentication method.
    AuthenticationMethod(&'a str),
    /// 0x16: data of the authentication method; secret, kept out of `Debug`.
    AuthenticationData(&'a [u8]),
    /// 0x17: whether reason strings and user properties may come with failures.
    RequestProblemInformation(bool),
    /// 0x18: seconds between the end of the connection and the will.
    WillDelayInterval(u32),
    /// 0x19: whether CONNACK may have response information.
    RequestResponseInformation(bool),
    /// 0x1A: basis of response topics.
    ResponseInformation(&'a str),
    /// 0x1C: another server to use.
    ServerReference(&'a str),
    /// 0x1F: for people and logs.
    ReasonString(&'a str),
    /// 0x21: how many QoS 1 and 2 messages may be unacknowledged; never 0.
    ReceiveMaximum(u16),
    /// 0x22: the highest topic alias accepted.
    TopicAliasMaximum(u16),
    /// 0x23: stands for the topic name; never 0.
    TopicAlias(u16),
    /// 0x24: the highest QoS the server takes: 0 or 1.
    MaximumQoS(QoS),
    /// 0x25: whether the server keeps retained messages.
    RetainAvailable(bool),
    /// 0x26: name and value; may be repeated, order kept.
    UserProperty(&'a str, &'a str),
    /// 0x27: largest packet accepted, in bytes, fixed header included; never 0.
    MaximumPacketSize(u32),
    /// 0x28: whether the server takes wildcard subscriptions.
    WildcardSubscriptionAvailable(bool),
    /// 0x29: whether the server takes subscription identifiers.
    SubscriptionIdentifierAvailable(bool),
    /// 0x2A: whether the server takes shared subscriptions.
    SharedSubscriptionAvailable(bool),
}

impl Property<'_> {
    /// Which property this is.
    #[must_use]
    pub const fn id(&self) -> PropertyId {
        match self {
            Self::PayloadFormatIndicator(_) => PropertyId::PayloadFormatIndicator,
            Self::MessageExpiryInterval(_) => PropertyId::MessageExpiryInterval,
            Self::ContentType(_) => PropertyId::ContentType,
            Self::ResponseTopic(_) => PropertyId::ResponseTopic,
            Self::CorrelationData(_) => PropertyId::CorrelationData,
            Self::SubscriptionIdentifier(_) => PropertyId::SubscriptionIdentifier,
            Self::SessionExpiryInterval(_) => PropertyId::SessionExpiryInterval,
            Self::AssignedClientIdentifier(_) => PropertyId::AssignedClientIdentifier,
            Self::ServerKeepAlive(_) => PropertyId::ServerKeepAlive,
            Self::AuthenticationMethod(_) => PropertyId::AuthenticationMethod,
            Self::AuthenticationData(_) => PropertyId::AuthenticationData,
            Self::RequestProblemInformation(_) => PropertyId::RequestProblemInformation,
            Self::WillDelayInterval(_) => PropertyId::WillDelayInterval,
            Self::RequestResponseInformation(_) => PropertyId::RequestResponseInformation,
            Self::ResponseInformation(_) => PropertyId::ResponseInformation,
            Self::ServerReference(_) => PropertyId::ServerReference,
            Self::ReasonString(_) => PropertyId::ReasonString,
            Self::ReceiveMaximum(_) => PropertyId::ReceiveMaximum,
            Self::TopicAliasMaximum(_) => PropertyId::TopicAliasMaximum,
            Self::TopicAlias(_) => PropertyId::TopicAlias,
            Self::MaximumQoS(_) => PropertyId::MaximumQoS,
            Self::RetainAvailable(_) => PropertyId::RetainAvailable,
            Self::UserProperty(..) => PropertyId::UserProperty,
            Self::MaximumPacketSize(_) => PropertyId::MaximumPacketSize,
            Self::WildcardSubscriptionAvailable(_) => PropertyId::WildcardSubscriptionAvailable,
            Self::SubscriptionIdentifierAvailable(_) => PropertyId::SubscriptionIdentifierAvailable,
            Self::SharedSubscriptionAvailable(_) => PropertyId::SharedSubscriptionAvailable,
        }
    }
}

/// A property list, as a view over validated bytes; empty in 3.x. Copying it copies a slice.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Properties<'a> {
    /// The list without its length.
    bytes: &'a [u8],
    /// One bit per property in the list, at its number: asking for one that is not there is free.
    present: u64,
}

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Self = Self { bytes: &[], present: 0 };

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes on the wire, without the length before them.
    #[inline]
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.bytes
    }

    /// The list whose `raw` bytes these are: for sending on what was received, without a second look. Bytes that
    /// are no such list make a list that ends early, and a packet that its receiver refuses.
    #[inline]
    #[must_use]
    pub const fn from_validated(raw: &'a [u8]) -> Self {
        Self { bytes: raw, present: u64::MAX }
    }

    /// Whether the property is in the list (of `from_validated`: may be).
    #[inline]
    #[must_use]
    pub const fn contains(&self, id: PropertyId) -> bool {
        self.present & id.bit() != 0
    }

    /// All properties in the order of the wire.
    #[inline]
    #[must_use]
    pub const fn iter(&self) -> PropertiesIter<'a> {
        PropertiesIter { reader: Reader::new(self.bytes) }
    }
}

impl<'a> IntoIterator for Properties<'a> {
    type Item = Property<'a>;
    type IntoIter = PropertiesIter<'a>;

    fn into_iter(self) -> PropertiesIter<'a> {
        self.iter()
    }
}

/// The properties of a list, in the order of the wire.
#[derive(Clone)]
pub struct PropertiesIter<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for PropertiesIter<'a> {
    type Item = Property<'a>;

    /// The bytes were validated, so the list only ever ends at its end.
    fn next(&mut self) -> Option<Property<'a>> {
        let (id, raw) = table::read(&mut self.reader).ok()?;
        Property::from_raw(id, raw)
    }
}

impl<'a> Property<'a> {
    /// The value of a validated list; `None` for what validation would have refused.
    fn from_raw(id: PropertyId, raw: Raw<'a>) -> Option<Self> {
        use PropertyId as Id;
        let text = |bytes| std::str::from_utf8(bytes).ok();
        Some(match (id, raw) {
            (Id::PayloadFormatIndicator, Raw::Byte(b)) => Self::PayloadFormatIndicator(b != 0),
            (Id::MessageExpiryInterval, Raw::Four(n)) => Self::MessageExpiryInterval(n),
            (Id::ContentType, Raw::Text(t)) => Self::ContentType(text(t)?),
            (Id::ResponseTopic, Raw::Text(t)) => Self::ResponseTopic(text(t)?),
            (Id::CorrelationData, Raw::Binary(b)) => Self::CorrelationData(b),
            (Id::SubscriptionIdentifier, Raw::Varint(n)) => Self::SubscriptionIdentifier(n),
            (Id::SessionExpiryInterval, Raw::Four(n)) => Self::SessionExpiryInterval(n),
            (Id::AssignedClientIdentifier, Raw::Text(t)) => Self::AssignedClientIdentifier(text(t)?),
            (Id::ServerKeepAlive, Raw::Two(n)) => Self::ServerKeepAlive(n),
            (Id::AuthenticationMethod, Raw::Text(t)) => Self::AuthenticationMethod(text(t)?),
            (Id::AuthenticationData, Raw::Binary(b)) => Self::AuthenticationData(b),
            (Id::RequestProblemInformation, Raw::Byte(b)) => Self::RequestProblemInformation(b != 0),
            (Id::WillDelayInterval, Raw::Four(n)) => Self::WillDelayInterval(n),
            (Id::RequestResponseInformation, Raw::Byte(b)) => Self::RequestResponseInformation(b != 0),
            (Id::ResponseInformation, Raw::Text(t)) => Self::ResponseInformation(text(t)?),
            (Id::ServerReference, Raw::Text(t)) => Self::ServerReference(text(t)?),
            (Id::ReasonString, Raw::Text(t)) => Self::ReasonString(text(t)?),
            (Id::ReceiveMaximum, Raw::Two(n)) => Self::ReceiveMaximum(n),
            (Id::TopicAliasMaximum, Raw::Two(n)) => Self::TopicAliasMaximum(n),
            (Id::TopicAlias, Raw::Two(n)) => Self::TopicAlias(n),
            (Id::MaximumQoS, Raw::Byte(b)) => Self::MaximumQoS(QoS::from_number(b)?),
            (Id::RetainAvailable, Raw::Byte(b)) => Self::RetainAvailable(b != 0),
            (Id::UserProperty, Raw::Pair(k, v)) => Self::UserProperty(text(k)?, text(v)?),
            (Id::MaximumPacketSize, Raw::Four(n)) => Self::MaximumPacketSize(n),
            (Id::WildcardSubscriptionAvailable, Raw::Byte(b)) => Self::WildcardSubscriptionAvailable(b != 0),
            (Id::SubscriptionIdentifierAvailable, Raw::Byte(b)) => {
                Self::SubscriptionIdentifierAvailable(b != 0)
            }
            (Id::SharedSubscriptionAvailable, Raw::Byte(b)) => Self::SharedSubscriptionAvailable(b != 0),
            _ => return None,
        })
    }
}

impl std::fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
