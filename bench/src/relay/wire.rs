//! As much of MQTT's wire format as a relay needs: where a packet ends, and where in a PUBLISH the packet id stands.
//!
//! Not the project's codec, on purpose: the relay is what that codec's cost is compared with.

/// What is on the wire makes no sense (or is a DISCONNECT): the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Close;

/// Packet types, as the first byte's upper half has them.
pub(super) const CONNECT: u8 = 1;
pub(super) const PUBLISH: u8 = 3;
pub(super) const PUBACK: u8 = 4;
pub(super) const PUBREC: u8 = 5;
pub(super) const PUBREL: u8 = 6;
pub(super) const PUBCOMP: u8 = 7;
pub(super) const SUBSCRIBE: u8 = 8;
pub(super) const UNSUBSCRIBE: u8 = 10;
pub(super) const PINGREQ: u8 = 12;

/// The first packet of these bytes: where its variable header begins and where it ends. `None`: more is needed.
#[inline]
pub(super) fn frame(bytes: &[u8]) -> Result<Option<(usize, usize)>, Close> {
    let Some(rest) = bytes.get(1..) else { return Ok(None) };
    let Some((length, used)) = varint(rest)? else { return Ok(None) };
    let end = 1 + used + length;
    Ok((bytes.len() >= end).then_some((1 + used, end)))
}

/// A variable byte integer and how many bytes it has. `None`: more are needed.
#[inline]
pub(super) fn varint(bytes: &[u8]) -> Result<Option<(usize, usize)>, Close> {
    let mut value = 0;
    for at in 0..4 {
        let Some(&byte) = bytes.get(at) else { return Ok(None) };
        value |= usize::from(byte & 127) << (7 * at);
        if byte < 128 {
            return Ok(Some((value, at + 1)));
        }
    }
    Err(Close)
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value > 127 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A reader over the variable header and payload of one packet.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Close> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Close)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Close> {
        Ok(self.bytes(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Close> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A text with its length before it.
    pub(super) fn text(&mut self) -> Result<&'a [u8], Close> {
        let length = self.u16()?;
        self.bytes(length.into())
    }

    /// Passes over the properties of a 5.0 packet.
    pub(super) fn properties(&mut self) -> Result<(), Close> {
        let (length, used) = varint(self.0)?.ok_or(Close)?;
        self.bytes(used + length)?;
        Ok(())
    }
}

/// A whole PUBLISH and where its parts are.
#[derive(Clone, Copy)]
pub(super) struct Publish<'a> {
    pub frame: &'a [u8],
    /// Where the topic's length begins.
    pub body: usize,
    /// Where the topic ends; with QoS above 0 the packet id is between here and `tail`.
    pub topic_end: usize,
    /// Where properties (5.0) or payload begin.
    pub tail: usize,
}

impl<'a> Publish<'a> {
    #[inline]
    pub(super) fn read(frame: &'a [u8], body: usize) -> Result<Publish<'a>, Close> {
        let &[high, low, ..] = &frame[body..] else { return Err(Close) };
        let topic_end = body + 2 + usize::from(u16::from_be_bytes([high, low]));
        let tail = topic_end + if frame[0] & 0x06 > 0 { 2 } else { 0 };
        if tail <= frame.len() { Ok(Publish { frame, body, topic_end, tail }) } else { Err(Close) }
    }

    pub(super) fn qos(&self) -> u8 {
        self.frame[0] >> 1 & 3
    }

    pub(super) fn topic(&self) -> &'a [u8] {
        &self.frame[self.body + 2..self.topic_end]
    }

    /// Appends it as a subscriber gets it, at the lower of both QoS, with the subscriber's next packet id.
    #[inline]
    pub(super) fn put(&self, out: &mut Vec<u8>, granted: u8, last_id: &mut u16) {
        let qos = self.qos().min(granted);
        if qos == 0 && self.topic_end == self.tail {
            out.extend_from_slice(self.frame);
            return;
        }
        let id_bytes = if qos > 0 { 2 } else { 0 };
        out.reserve(self.frame.len());
        out.push(0x30 | qos << 1);
        put_varint(out, self.topic_end - self.body + id_bytes + self.frame.len() - self.tail);
        out.extend_from_slice(&self.frame[self.body..self.topic_end]);
        if qos > 0 {
            *last_id = if *last_id == u16::MAX { 1 } else { *last_id + 1 };
            out.extend_from_slice(&last_id.to_be_bytes());
        }
        out.extend_from_slice(&self.frame[self.tail..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (&'static str, &'static [u8], Result<Option<(usize, usize)>, Close>);

    #[test]
    fn frames_end_where_their_length_says() {
        let cases: [Case; 7] = [
            ("nothing", &[], Ok(None)),
            ("one byte", &[0xc0], Ok(None)),
            ("empty body", &[0xc0, 0], Ok(Some((2, 2)))),
            ("half a body", &[0x40, 2, 0], Ok(None)),
            ("with the next behind it", &[0x40, 2, 0, 1, 0xc0], Ok(Some((2, 4)))),
            ("half a length", &[0x30, 0x80], Ok(None)),
            ("five bytes of length", &[0x30, 0x80, 0x80, 0x80, 0x80, 1], Err(Close)),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(frame(bytes), expected, "{name}");
        }
    }

    #[test]
    fn lengths_come_back() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(varint(&bytes), Ok(Some((value, bytes.len()))));
        }
    }

    #[test]
    fn a_subscriber_gets_the_lower_qos_and_its_own_packet_ids() {
        let one = [0x32, 7, 0, 1, b't', 0x12, 0x34, b'p', b'q'];
        let publish = Publish::read(&one, 2).expect("a PUBLISH");
        let (mut last_id, mut out) = (u16::MAX - 1, Vec::new());
        for granted in [2, 0, 1] {
            publish.put(&mut out, granted, &mut last_id);
        }
        let expected: [&[u8]; 3] = [
            &[0x32, 7, 0, 1, b't', 0xff, 0xff, b'p', b'q'],
            &[0x30, 5, 0, 1, b't', b'p', b'q'],
            &[0x32, 7, 0, 1, b't', 0, 1, b'p', b'q'],
        ];
        assert_eq!(out, expected.concat());
        assert_eq!(publish.topic(), b"t");
    }

    #[test]
    fn what_does_not_fit_closes() {
        let cases: [&[u8]; 4] =
            [&[0x30, 0], &[0x30, 1, 0], &[0x30, 3, 0, 2, b't'], &[0x32, 4, 0, 1, b't', 0]];
        for bytes in cases {
            assert!(Publish::read(bytes, 2).is_err(), "{bytes:?}");
        }
        assert!(Fields(&[0, 3, b'a']).text().is_err());
        assert!(Fields(&[3, 0]).properties().is_err());
    }
}
