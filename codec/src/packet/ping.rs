//! PINGREQ and PINGRESP (sections 3.12 and 3.13): a fixed header and nothing else.

use crate::read::Reader;
use crate::{Error, PacketType};

pub(super) fn decode(body: &[u8]) -> Result<(), Error> {
    Reader::new(body).finish()
}

pub(super) fn encode(packet_type: PacketType, out: &mut Vec<u8>) {
    out.extend_from_slice(&[packet_type.first_byte(), 0]);
}

/// Appends a PINGRESP, the same in all versions.
#[inline]
pub fn encode_pingresp(out: &mut Vec<u8>) {
    encode(PacketType::PingResp, out);
}
