//! The fixed header: packet type, flags, remaining length (section 2.1).
//!
//! The first look at bytes from the network, before anything is kept: the caller compares `body_len`
//! with its limit and only then waits for the rest.

use crate::{Error, Version};

/// The largest remaining length four bytes can say (section 2.1.4), in bytes.
pub const MAX_BODY_LEN: usize = 268_435_455;

/// The longest fixed header, in bytes: type and four bytes of length.
pub const MAX_HEADER_LEN: usize = 5;

/// MQTT control packet types (table 2-1), by their number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// Client requests a connection.
    Connect = 1,
    /// Connect acknowledgement.
    ConnAck = 2,
    /// Publish message.
    Publish = 3,
    /// Publish acknowledgement (QoS 1).
    PubAck = 4,
    /// Publish received (QoS 2, part 1).
    PubRec = 5,
    /// Publish release (QoS 2, part 2).
    PubRel = 6,
    /// Publish complete (QoS 2, part 3).
    PubComp = 7,
    /// Subscribe request.
    Subscribe = 8,
    /// Subscribe acknowledgement.
    SubAck = 9,
    /// Unsubscribe request.
    Unsubscribe = 10,
    /// Unsubscribe acknowledgement.
    UnsubAck = 11,
    /// PING request.
    PingReq = 12,
    /// PING response.
    PingResp = 13,
    /// Disconnect notification.
    Disconnect = 14,
    /// Authentication exchange (5.0 only).
    Auth = 15,
}

impl PacketType {
    /// The type named by the first byte of a packet; `None` for type 0, which is forbidden.
    #[inline]
    #[must_use]
    pub const fn from_first(first: u8) -> Option<Self> {
        Some(match first >> 4 {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// The first byte of a packet of this type: the number and the fixed flags (table 2-2). For PUBLISH,
    /// whose flags are not fixed, QoS 0 without DUP or RETAIN.
    #[inline]
    #[must_use]
    pub const fn first_byte(self) -> u8 {
        let flags = match self {
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => 0b0010,
            _ => 0,
        };
        (self as u8) << 4 | flags
    }

    /// The name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }

    /// One bit per type, for the tables of properties and reason codes.
    pub(crate) const fn bit(self) -> u16 {
        1 << self as u8
    }
}

impl std::fmt::Display for PacketType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The fixed header of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The first byte: type and flags, to be given to [`decode`](crate::decode).
    pub first: u8,
    /// Bytes of the fixed header, 2 to 5.
    pub header_len: usize,
    /// Bytes of the rest of the packet (the remaining length), at most [`MAX_BODY_LEN`].
    pub body_len: usize,
}

impl FrameHeader {
    /// Bytes of the whole packet; what MQTT 5.0 compares with Maximum Packet Size.
    #[inline]
    #[must_use]
    pub const fn total_len(&self) -> usize {
        self.header_len.saturating_add(self.body_len)
    }

    /// Whether the remaining length has no more bytes than it needs. 3.x allows more; 5.0 does not
    /// ([MQTT-1.5.5-1]), so a 5.0 connection refuses a header for which this is false.
    #[inline]
    #[must_use]
    pub const fn is_minimal(&self) -> bool {
        self.header_len == crate::varint_len(self.body_len).saturating_add(1)
    }
}

/// Reads the fixed header at the start of `bytes`; `None`: more bytes are needed.
///
/// Flags are checked as far as all versions agree, so that rubbish is refused at its first byte; the
/// rest is up to [`decode`](crate::decode), which knows the version.
///
/// # Errors
/// Protocol error: packet type 0, which is forbidden. Malformed: flags that no version has ([MQTT-2.1.3-1],
/// [MQTT-3.3.1-4]); a remaining length of more than four bytes (section 2.1.4). Each as soon as the byte
/// that shows it is there.
#[inline]
pub fn frame_header(bytes: &[u8]) -> Result<Option<FrameHeader>, Error> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    check_first(first)?;
    // Nearly all packets are shorter than 128 bytes, and nearly all others than 16 KiB.
    match *rest {
        [] => Ok(None),
        [len @ ..0x80, ..] => Ok(Some(FrameHeader { first, header_len: 2, body_len: usize::from(len) })),
        [low, high @ ..0x80, ..] => {
            let body_len = usize::from(low & 0x7F) | usize::from(high) << 7;
            Ok(Some(FrameHeader { first, header_len: 3, body_len }))
        }
        _ => long_header(first, rest),
    }
}

#[inline(never)]
fn long_header(first: u8, rest: &[u8]) -> Result<Option<FrameHeader>, Error> {
    let mut body_len = 0;
    for ((&byte, shift), header_len) in rest.iter().zip([0, 7, 14, 21]).zip(2..) {
        body_len |= usize::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok(Some(FrameHeader { first, header_len, body_len }));
        }
    }
    if rest.len() >= 4 {
        return Err(Error::malformed("remaining length of more than four bytes"));
    }
    Ok(None)
}

/// What can be said of the first byte without knowing the version; of PUBLISH, whose flags are the same in all of
/// them, everything.
#[inline]
pub(crate) fn check_first(first: u8) -> Result<(), Error> {
    /// Which pass, by first byte.
    const KNOWN: [bool; 256] = {
        let mut known = [false; 256];
        let mut rest = known.as_mut_slice();
        let mut first = 0_u8;
        while let Some((place, after)) = rest.split_first_mut() {
            *place = judge_first(first).is_ok();
            first = first.wrapping_add(1);
            rest = after;
        }
        known
    };
    if KNOWN.get(usize::from(first)) == Some(&true) { Ok(()) } else { unknown_first(first) }
}

/// Says what is wrong with a first byte that no version has.
#[cold]
#[inline(never)]
fn unknown_first(first: u8) -> Result<(), Error> {
    judge_first(first)
}

const fn judge_first(first: u8) -> Result<(), Error> {
    match PacketType::from_first(first) {
        // 3.1 is the version that allows most.
        Some(packet_type) => check_flags(Version::V31, packet_type, first),
        None => Err(Error::protocol("packet type 0")),
    }
}

/// The flags in the first byte against table 2-2, for every type but PUBLISH exactly; of PUBLISH what
/// can be said of flags alone.
#[inline]
pub(crate) const fn check_flags(version: Version, packet_type: PacketType, first: u8) -> Result<(), Error> {
    const DUP: u8 = 0b1000;
    match packet_type {
        PacketType::Publish => match (first & DUP != 0, first >> 1 & 3) {
            (_, 3) => Err(Error::malformed("QoS 3 in PUBLISH")),
            (true, 0) => Err(Error::malformed("DUP with QoS 0")),
            _ => Ok(()),
        },
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe
            if matches!(version, Version::V31) && first & !DUP == packet_type.first_byte() =>
        {
            Ok(())
        }
        // "Not used" (3.1, section 3.1), and not said to be 0.
        PacketType::Connect if matches!(version, Version::V31) => Ok(()),
        _ if first == packet_type.first_byte() => Ok(()),
        _ => Err(Error::malformed("fixed header flags")),
    }
}

#[cfg(test)]
mod tests;
