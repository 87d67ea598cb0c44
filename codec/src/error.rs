//! What was wrong with some bytes: whose fault, and what the peer is to be told.
//!
//! Made here, acted on by the broker, which closes the connection with `reason` (5.0) or without a word
//! (3.x, apart from CONNACK). No state, no allocation: an error is three words and a name for the log.

use crate::ReasonCode;

/// Why a packet is refused, by guilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guilt {
    /// The bytes are not a packet (section 1.2, Malformed Packet).
    Malformed,
    /// The bytes parse but say something this packet may not say (section 1.2, Protocol Error).
    ProtocolError,
    /// The packet is longer than MQTT (or the caller's limit) allows.
    TooLarge,
    /// CONNECT with a known protocol name and a level that is not served ([MQTT-3.1.2-2]).
    UnsupportedVersion,
    /// Our own side: the caller asked to encode what this version of MQTT has no bytes for.
    NotEncodable,
}

/// A refusal to decode or encode a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Error {
    /// Whose fault, and of which kind.
    pub guilt: Guilt,
    /// What to put into a CONNACK or DISCONNECT of MQTT 5.0; always an error (0x80 or above).
    pub reason: ReasonCode,
    /// The cause in a few words, for logs. Never contains what the peer sent.
    pub what: &'static str,
}

impl Error {
    /// A Malformed Packet, reason 0x81.
    #[must_use]
    pub const fn malformed(what: &'static str) -> Self {
        Self { guilt: Guilt::Malformed, reason: ReasonCode::MalformedPacket, what }
    }

    /// A Malformed Packet for which the specification has a more exact reason code than 0x81.
    #[must_use]
    pub const fn malformed_as(reason: ReasonCode, what: &'static str) -> Self {
        Self { guilt: Guilt::Malformed, reason, what }
    }

    /// A Protocol Error, reason 0x82.
    #[must_use]
    pub const fn protocol(what: &'static str) -> Self {
        Self::protocol_as(ReasonCode::ProtocolError, what)
    }

    /// A Protocol Error for which the specification has a reason code of its own (section 4.13.1).
    #[must_use]
    pub const fn protocol_as(reason: ReasonCode, what: &'static str) -> Self {
        Self { guilt: Guilt::ProtocolError, reason, what }
    }

    /// A packet over a size limit, reason 0x95.
    #[must_use]
    pub const fn too_large(what: &'static str) -> Self {
        Self { guilt: Guilt::TooLarge, reason: ReasonCode::PacketTooLarge, what }
    }

    /// A CONNECT of a version that is not served, reason 0x84.
    #[must_use]
    pub const fn unsupported_version(what: &'static str) -> Self {
        Self { guilt: Guilt::UnsupportedVersion, reason: ReasonCode::UnsupportedProtocolVersion, what }
    }

    /// A packet that cannot be written in the version asked for, reason 0x83.
    #[must_use]
    pub const fn not_encodable(what: &'static str) -> Self {
        Self { guilt: Guilt::NotEncodable, reason: ReasonCode::ImplementationSpecificError, what }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let guilt = match self.guilt {
            Guilt::Malformed => "malformed packet",
            Guilt::ProtocolError => "protocol error",
            Guilt::TooLarge => "packet too large",
            Guilt::UnsupportedVersion => "unsupported protocol version",
            Guilt::NotEncodable => "not encodable",
        };
        write!(f, "{guilt} (0x{:02X}): {}", self.reason as u8, self.what)
    }
}

impl std::error::Error for Error {}
