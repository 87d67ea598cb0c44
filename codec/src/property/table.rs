//! THE table: number, type and packets of every property (table 2-4), and how to read one by it.
//!
//! Used by the other files of `property` only. To know a property means to have a row here.

use crate::read::Reader;
use crate::{Error, PacketType};

/// The type of a property's value (section 2.2.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Byte,
    TwoByte,
    FourByte,
    Varint,
    Text,
    Binary,
    TextPair,
}

/// A value as it stands on the wire, text not yet checked.
#[derive(Clone, Copy)]
pub(super) enum Raw<'a> {
    Byte(u8),
    Two(u16),
    Four(u32),
    Varint(u32),
    Text(&'a [u8]),
    Binary(&'a [u8]),
    Pair(&'a [u8], &'a [u8]),
}

/// Where a property list stands: in a packet, or before the will in the payload of CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PropertyPlace {
    /// The will properties of CONNECT (section 3.1.3.2).
    Will,
    /// The properties of a packet of this type.
    In(PacketType),
}

impl PropertyPlace {
    /// The bit of type 0, which no packet has, stands for the will.
    const fn bit(self) -> u16 {
        match self {
            Self::Will => WILL,
            Self::In(packet) => packet.bit(),
        }
    }
}

const WILL: u16 = 1;
const CONNECT: u16 = PacketType::Connect.bit();
const CONNACK: u16 = PacketType::ConnAck.bit();
const PUBLISH: u16 = PacketType::Publish.bit();
const SUBSCRIBE: u16 = PacketType::Subscribe.bit();
const DISCONNECT: u16 = PacketType::Disconnect.bit();
const AUTH: u16 = PacketType::Auth.bit();
/// The answers, which have a reason string: PUBACK to PUBCOMP, SUBACK, UNSUBACK.
const ACKS: u16 = PacketType::PubAck.bit()
    | PacketType::PubRec.bit()
    | PacketType::PubRel.bit()
    | PacketType::PubComp.bit()
    | PacketType::SubAck.bit()
    | PacketType::UnsubAck.bit();
const EVERYWHERE: u16 =
    WILL | CONNECT | CONNACK | PUBLISH | ACKS | SUBSCRIBE | PacketType::Unsubscribe.bit() | DISCONNECT | AUTH;

macro_rules! properties {
    ($($variant:ident = $number:literal, $kind:ident, $places:expr;)*) => {
        /// The 27 properties, by their identifier on the wire (table 2-4).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum PropertyId {
            $(#[doc = concat!("Identifier ", stringify!($number), ".")] $variant = $number,)*
        }

        impl PropertyId {
            /// Every property, by identifier.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The property with this identifier; all are below 0x80, so one byte is enough.
            #[inline]
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            #[inline]
            pub(super) const fn kind(self) -> Kind {
                match self {
                    $(Self::$variant => Kind::$kind,)*
                }
            }

            #[inline]
            const fn places(self) -> u16 {
                match self {
                    $(Self::$variant => $places,)*
                }
            }
        }
    };
}

properties! {
    PayloadFormatIndicator = 0x01, Byte, PUBLISH | WILL;
    MessageExpiryInterval = 0x02, FourByte, PUBLISH | WILL;
    ContentType = 0x03, Text, PUBLISH | WILL;
    ResponseTopic = 0x08, Text, PUBLISH | WILL;
    CorrelationData = 0x09, Binary, PUBLISH | WILL;
    SubscriptionIdentifier = 0x0B, Varint, PUBLISH | SUBSCRIBE;
    SessionExpiryInterval = 0x11, FourByte, CONNECT | CONNACK | DISCONNECT;
    AssignedClientIdentifier = 0x12, Text, CONNACK;
    ServerKeepAlive = 0x13, TwoByte, CONNACK;
    AuthenticationMethod = 0x15, Text, CONNECT | CONNACK | AUTH;
    AuthenticationData = 0x16, Binary, CONNECT | CONNACK | AUTH;
    RequestProblemInformation = 0x17, Byte, CONNECT;
    WillDelayInterval = 0x18, FourByte, WILL;
    RequestResponseInformation = 0x19, Byte, CONNECT;
    ResponseInformation = 0x1A, Text, CONNACK;
    ServerReference = 0x1C, Text, CONNACK | DISCONNECT;
    ReasonString = 0x1F, Text, CONNACK | ACKS | DISCONNECT | AUTH;
    ReceiveMaximum = 0x21, TwoByte, CONNECT | CONNACK;
    TopicAliasMaximum = 0x22, TwoByte, CONNECT | CONNACK;
    TopicAlias = 0x23, TwoByte, PUBLISH;
    MaximumQoS = 0x24, Byte, CONNACK;
    RetainAvailable = 0x25, Byte, CONNACK;
    UserProperty = 0x26, TextPair, EVERYWHERE;
    MaximumPacketSize = 0x27, FourByte, CONNECT | CONNACK;
    WildcardSubscriptionAvailable = 0x28, Byte, CONNACK;
    SubscriptionIdentifierAvailable = 0x29, Byte, CONNACK;
    SharedSubscriptionAvailable = 0x2A, Byte, CONNACK;
}

impl PropertyId {
    /// Whether a list in this place may have the property (table 2-4).
    #[inline]
    #[must_use]
    pub const fn allowed_in(self, place: PropertyPlace) -> bool {
        self.places() & place.bit() != 0
    }

    /// Whether a list in this place may have the property more than once: user properties everywhere,
    /// subscription identifiers in a PUBLISH to a client (section 3.3.2.3.8).
    #[inline]
    #[must_use]
    pub fn may_repeat_in(self, place: PropertyPlace) -> bool {
        self == Self::UserProperty
            || self == Self::SubscriptionIdentifier && place == PropertyPlace::In(PacketType::Publish)
    }

    /// One bit per property, at its number (the highest is 42).
    #[inline]
    pub(super) const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// Reads one property: identifier and value, the bounds checked, nothing else.
#[inline]
pub(super) fn read<'a>(reader: &mut Reader<'a>) -> Result<(PropertyId, Raw<'a>), Error> {
    // The identifier is a variable byte integer that never needs a second byte, so one that has it is
    // either unknown or longer than needed: malformed in both cases.
    let id = PropertyId::from_number(reader.u8()?).ok_or(Error::malformed("unknown property"))?;
    let raw = match id.kind() {
        Kind::Byte => Raw::Byte(reader.u8()?),
        Kind::TwoByte => Raw::Two(reader.u16()?),
        Kind::FourByte => Raw::Four(reader.u32()?),
        Kind::Varint => Raw::Varint(reader.varint()?),
        Kind::Text => Raw::Text(reader.binary()?),
        Kind::Binary => Raw::Binary(reader.binary()?),
        Kind::TextPair => Raw::Pair(reader.binary()?, reader.binary()?),
    };
    Ok((id, raw))
}
