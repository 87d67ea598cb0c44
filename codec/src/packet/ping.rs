//! PINGREQ and PINGRESP (sections 3.12 and 3.13): a fixed header and nothing else.

use crate::{Error, PacketType};

pub(super) fn decode(body: &[u8]) -> Result<(), Error> {
    // The length is wrong, and with it perhaps where the next packet begins.
    if body.is_empty() { Ok(()) } else { Err(Error::unanswered("PINGREQ or PINGRESP with a body")) }
}

pub(super) fn encode(packet_type: PacketType, out: &mut Vec<u8>) {
    out.extend_from_slice(&[packet_type.first_byte(), 0]);
}

/// Appends a PINGRESP, the same in all versions.
#[inline]
pub fn encode_pingresp(out: &mut Vec<u8>) {
    encode(PacketType::PingResp, out);
}
