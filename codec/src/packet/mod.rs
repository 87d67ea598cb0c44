//! Packets: one file each, all versions in one tree.
//!
//! [`decode`] is called with a whole body; what it returns borrows from it. It is strict: what it lets
//! through is a packet of that version, except for what depends on the state of the session or on the
//! direction, which the caller checks.

mod ack;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod ping;
mod publish;
mod suback;
mod subscribe;
mod unsubscribe;

pub use ack::{Ack, encode_ack};
pub use auth::Auth;
pub use connack::ConnAck;
pub use connect::{Connect, Will, connect_level};
pub use disconnect::Disconnect;
pub use ping::encode_pingresp;
pub use publish::{Publish, encode_publish, publish_first_byte};
pub use suback::{SubAck, UnsubAck};
pub use subscribe::{FilterBuf, Filters, FiltersIter, RetainHandling, Subscribe, SubscribeOptions};
pub use unsubscribe::{Unsubscribe, UnsubscribeFilterBuf, UnsubscribeFilters, UnsubscribeFiltersIter};

use crate::frame::check_flags;
use crate::{Error, PacketType, ReasonCode, Version};

/// A control packet of any version and direction; borrows from the bytes it was decoded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Client requests a connection (section 3.1).
    Connect(Connect<'a>),
    /// Answer to CONNECT (section 3.2).
    ConnAck(ConnAck<'a>),
    /// A message (section 3.3).
    Publish(Publish<'a>),
    /// QoS 1 acknowledged (section 3.4).
    PubAck(Ack<'a>),
    /// QoS 2 received (section 3.5).
    PubRec(Ack<'a>),
    /// QoS 2 released (section 3.6).
    PubRel(Ack<'a>),
    /// QoS 2 complete (section 3.7).
    PubComp(Ack<'a>),
    /// Client subscribes (section 3.8).
    Subscribe(Subscribe<'a>),
    /// Answer to SUBSCRIBE (section 3.9).
    SubAck(SubAck<'a>),
    /// Client unsubscribes (section 3.10).
    Unsubscribe(Unsubscribe<'a>),
    /// Answer to UNSUBSCRIBE (section 3.11).
    UnsubAck(UnsubAck<'a>),
    /// Client asks for a sign of life (section 3.12).
    PingReq,
    /// Answer to PINGREQ (section 3.13).
    PingResp,
    /// The last packet (section 3.14); in 3.x from the client only.
    Disconnect(Disconnect<'a>),
    /// Enhanced authentication (section 3.15); 5.0 only.
    Auth(Auth<'a>),
}

/// Decodes one packet: `first` and the body that [`frame_header`](crate::frame_header) found.
///
/// `version` is that of the connection. For CONNECT it is ignored: the packet has its own. Never
/// allocates.
///
/// # Errors
/// By guilt and reason code as in [`Error`]; whatever it is, the connection must be closed
/// ([MQTT-4.13.1-1]).
#[inline]
pub fn decode<'a>(version: Version, first: u8, body: &'a [u8]) -> Result<Packet<'a>, Error> {
    // What comes most often has a short way, on which nothing is moved from one result to another.
    const PUBLISH: u8 = PacketType::Publish as u8;
    const PUBACK: u8 = PacketType::PubAck.first_byte();
    if first >> 4 == PUBLISH {
        return match Publish::decode(version, first, body) {
            Ok(publish) => Ok(Packet::Publish(publish)),
            Err(error) => Err(error),
        };
    }
    if let (PUBACK, Some(ack)) = (first, Ack::decode_short(body)) {
        return Ok(Packet::PubAck(ack));
    }
    decode_other(version, first, body)
}

#[inline(never)]
fn decode_other<'a>(version: Version, first: u8, body: &'a [u8]) -> Result<Packet<'a>, Error> {
    let packet_type = PacketType::from_first(first).ok_or(Error::protocol("packet type 0"))?;
    if packet_type == PacketType::Connect {
        let connect = Connect::decode(body)?;
        check_flags(connect.version, packet_type, first)?;
        return Ok(Packet::Connect(connect));
    }
    check_flags(version, packet_type, first)?;
    Ok(match packet_type {
        PacketType::Connect => Packet::Connect(Connect::decode(body)?),
        PacketType::ConnAck => Packet::ConnAck(ConnAck::decode(version, body)?),
        PacketType::Publish => Packet::Publish(Publish::decode(version, first, body)?),
        PacketType::PubAck => Packet::PubAck(Ack::decode(version, packet_type, body)?),
        PacketType::PubRec => Packet::PubRec(Ack::decode(version, packet_type, body)?),
        PacketType::PubRel => Packet::PubRel(Ack::decode(version, packet_type, body)?),
        PacketType::PubComp => Packet::PubComp(Ack::decode(version, packet_type, body)?),
        PacketType::Subscribe => Packet::Subscribe(Subscribe::decode(version, body)?),
        PacketType::SubAck => Packet::SubAck(SubAck::decode(version, body)?),
        PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe::decode(version, body)?),
        PacketType::UnsubAck => Packet::UnsubAck(UnsubAck::decode(version, body)?),
        PacketType::PingReq => ping::decode(body).map(|()| Packet::PingReq)?,
        PacketType::PingResp => ping::decode(body).map(|()| Packet::PingResp)?,
        PacketType::Disconnect => Packet::Disconnect(Disconnect::decode(version, body)?),
        PacketType::Auth => Packet::Auth(Auth::decode(version, body)?),
    })
}

impl Packet<'_> {
    /// Appends the packet in `version`; CONNECT is written in its own version instead.
    ///
    /// What 3.x has no place for is left out: properties, the reason of an acknowledgement, subscribe
    /// options but the QoS. Whether the packet makes sense (an identifier of 0, a reason code that the
    /// packet must not have) is not looked at: the broker does not send such, and the load tool may want
    /// to.
    ///
    /// # Errors
    /// NotEncodable or TooLarge: a field above 65,535 bytes, a packet above 268,435,455, a packet or a
    /// reason that `version` does not have. `out` is unchanged then.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Connect(connect) => connect.encode(out),
            Self::ConnAck(connack) => connack.encode(version, out),
            Self::Publish(publish) => encode_publish(version, publish, out).map(drop),
            Self::PubAck(ack) | Self::PubRec(ack) | Self::PubRel(ack) | Self::PubComp(ack) => {
                ack.encode(self.packet_type(), version, out)
            }
            Self::Subscribe(subscribe) => subscribe.encode(version, out),
            Self::SubAck(suback) => suback.encode(version, out),
            Self::Unsubscribe(unsubscribe) => unsubscribe.encode(version, out),
            Self::UnsubAck(unsuback) => unsuback.encode(version, out),
            Self::PingReq => {
                ping::encode(PacketType::PingReq, out);
                Ok(())
            }
            Self::PingResp => {
                encode_pingresp(out);
                Ok(())
            }
            Self::Disconnect(disconnect) => disconnect.encode(version, out),
            Self::Auth(auth) => auth.encode(version, out),
        }
    }

    /// The type of the packet.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }
}

/// A reason code byte, if this packet may have it (section 2.4).
fn reason(packet_type: PacketType, number: u8) -> Result<ReasonCode, Error> {
    match ReasonCode::from_number(number) {
        Some(reason) if reason.allowed_in(packet_type) => Ok(reason),
        _ => Err(Error::protocol("reason code not of this packet")),
    }
}

#[cfg(test)]
mod tests;
