//! A table of named wire vectors, valid and invalid, each with the statement it stands for.
//!
//! For tests only (feature `vectors`): this crate decodes, cuts and flips them, the broker's tests send
//! the invalid ones to a live server, and the seeds of the fuzz targets are made from them. The bytes
//! are written in the small language of [`wire`].
//!
//! In `statement`, `MQTT-…` is a numbered statement of 5.0, `3.1.1: …` and `3.1: …` are of those
//! versions, a bare number is a section of 5.0; `; ` stands between two. What the broker's `coverage` test counts.

mod ack;
mod connack;
mod connect;
mod control;
mod fields;
mod frame;
mod generate;
mod language;
mod property;
mod publish;
mod subscribe;

pub use fields::{CODE_POINTS, FieldCase, string_cases, varint_cases};
pub use generate::with_packet;
pub use language::wire;

use crate::{PacketType, ReasonCode, Version};

/// One packet on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Vector {
    /// Short and unique in its table.
    pub name: &'static str,
    /// Where the specification says so.
    pub statement: &'static str,
    /// The versions of the connection in which this holds; of a CONNECT, its own.
    pub versions: &'static [Version],
    /// The bytes, in the language of [`wire`].
    pub wire: &'static str,
    /// What decoding makes of them.
    pub expect: Expect,
}

/// What a decoder makes of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// A packet, which is encoded as the same bytes again.
    Packet,
    /// A packet, which is encoded as these bytes.
    PacketAs(&'static str),
    /// A refusal with this reason code.
    Refused(ReasonCode),
}

impl Vector {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        wire(self.wire)
    }

    /// The type in the first byte; `None` for type 0.
    #[must_use]
    pub fn packet_type(&self) -> Option<PacketType> {
        self.bytes().first().copied().and_then(PacketType::from_first)
    }

    /// The reason code of the refusal, if the bytes are invalid. A server refuses what only servers send
    /// (CONNACK, SUBACK, UNSUBACK, PINGRESP) whatever is in it, so for those it may give another one; and
    /// it can answer 5.0 only, or a CONNECT.
    #[must_use]
    pub const fn refused(&self) -> Option<ReasonCode> {
        match self.expect {
            Expect::Refused(reason) => Some(reason),
            Expect::Packet | Expect::PacketAs(_) => None,
        }
    }
}

/// Every vector of every table.
pub fn all() -> impl Iterator<Item = &'static Vector> {
    [
        frame::TABLE,
        connect::TABLE,
        connack::TABLE,
        publish::TABLE,
        ack::TABLE,
        subscribe::TABLE,
        control::TABLE,
        property::TABLE,
    ]
    .into_iter()
    .flatten()
}

const V31: &[Version] = &[Version::V31];
const V311: &[Version] = &[Version::V311];
const V5: &[Version] = &[Version::V5];
const V3: &[Version] = &[Version::V31, Version::V311];
const SINCE_V311: &[Version] = &[Version::V311, Version::V5];
const ALL: &[Version] = &Version::ALL;

const MALFORMED: ReasonCode = ReasonCode::MalformedPacket;
const PROTOCOL: ReasonCode = ReasonCode::ProtocolError;

/// A valid packet in its canonical form.
const fn ok(
    versions: &'static [Version],
    name: &'static str,
    statement: &'static str,
    wire: &'static str,
) -> Vector {
    Vector { name, statement, versions, wire, expect: Expect::Packet }
}

/// A valid packet that is encoded in another form.
const fn ok_as(
    versions: &'static [Version],
    name: &'static str,
    statement: &'static str,
    wire: &'static str,
    canonical: &'static str,
) -> Vector {
    Vector { name, statement, versions, wire, expect: Expect::PacketAs(canonical) }
}

/// An invalid packet.
const fn bad(
    versions: &'static [Version],
    reason: ReasonCode,
    name: &'static str,
    statement: &'static str,
    wire: &'static str,
) -> Vector {
    Vector { name, statement, versions, wire, expect: Expect::Refused(reason) }
}
