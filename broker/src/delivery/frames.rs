//! Encodings of one message, made when first needed: one for each (version, QoS > 0, retain). Receivers of a kind
//! share it and differ only in the packet id and, between QoS 1 and 2, in the first byte. Used by a core for one
//! message after the other; the buffers are kept.

use super::Message;
use crate::connection::Output;
use bytes::Bytes;
use millrace_codec::{
    Properties, Property, PropertyBuf, Publish, QoS, Version, encode_publish, publish_first_byte,
};

/// Frames of at least this many bytes are shared between receivers, smaller ones copied.
const SHARE_BYTES: usize = 8 << 10;
/// A frame buffer that grew beyond this is given back after its message.
const KEEP_BYTES: usize = 64 << 10;

#[derive(Default)]
struct Frame {
    bytes: Vec<u8>,
    shared: Bytes,
    /// Where the packet id is, if the frame has one.
    packet_id_at: Option<usize>,
    len: usize,
}

impl Frame {
    fn clear(&mut self) {
        self.len = 0;
        self.shared = Bytes::new();
        if self.bytes.capacity() > KEEP_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
    }

    fn bytes(&self) -> &[u8] {
        if self.shared.is_empty() { &self.bytes } else { &self.shared }
    }
}

/// How a topic is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alias {
    /// As itself.
    None,
    /// As itself, with this alias, which stands for it from now on.
    New(u16),
    /// Only by this alias.
    Known(u16),
}

/// What a packet has that is for one receiver alone.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Sent before, perhaps.
    pub dup: bool,
    /// The subscription's identifier; 0 for none (5.0).
    pub subscription_id: u32,
    /// How the topic is written (5.0).
    pub alias: Alias,
}

/// The encodings of the current message.
#[derive(Default)]
pub struct Frames {
    // [version 5][QoS > 0]
    frames: [[Frame; 2]; 2],
    used: bool,
    /// The current message has one receiver: its packet is written where it goes, not copied there.
    single: bool,
    /// Properties of a receiver's own packet.
    list: PropertyBuf,
}

impl Frames {
    /// Forgets the encodings of the message before. `single`: the next one has one receiver.
    #[inline]
    pub fn next_message(&mut self, single: bool) {
        self.single = single;
        if self.used {
            self.frames.iter_mut().flatten().filter(|frame| frame.len > 0).for_each(Frame::clear);
            self.used = false;
        }
    }

    fn frame(&mut self, message: &Message<'_>, version: Version, qos: QoS) -> Option<&Frame> {
        let v5 = version == Version::V5;
        let frame = &mut self.frames[usize::from(v5)][usize::from(qos > QoS::AtMostOnce)];
        if frame.len == 0 {
            let publish = publish(message, version, qos, false, 0);
            // Fails only for what no packet can carry; what came in as one packet can go out as one.
            frame.packet_id_at = encode_publish(version, &publish, &mut frame.bytes).ok()?;
            frame.len = frame.bytes.len();
            if frame.len >= SHARE_BYTES {
                frame.shared = Bytes::from(std::mem::take(&mut frame.bytes));
            }
            self.used = true;
        }
        Some(frame)
    }

    /// Length of the packet that a receiver gets, bytes.
    pub fn len(&mut self, message: &Message<'_>, version: Version, qos: QoS) -> Option<usize> {
        self.frame(message, version, qos).map(|frame| frame.len)
    }

    /// Appends the packet for one receiver. `packet_id` is 0 for QoS 0.
    #[inline]
    pub fn write(
        &mut self,
        message: &Message<'_>,
        version: Version,
        qos: QoS,
        retain: bool,
        packet_id: u16,
        output: &mut Output,
    ) {
        if self.single && !self.used && message.payload.len() + message.properties.len() < SHARE_BYTES {
            let publish = publish(message, version, qos, retain, packet_id);
            // Leaves nothing behind when it fails, which only what no packet can carry does.
            let _ = encode_publish(version, &publish, output.copied());
            return;
        }
        self.write_shared(message, version, qos, retain, packet_id, output);
    }

    /// Appends the packet for one receiver that shares it with no other.
    #[expect(clippy::too_many_arguments, reason = "a PUBLISH has as many parts")]
    pub fn write_own(
        &mut self,
        message: &Message<'_>,
        version: Version,
        qos: QoS,
        retain: bool,
        packet_id: u16,
        own: Own,
        output: &mut Output,
    ) {
        let mut publish = publish(message, version, qos, retain, packet_id);
        publish.dup = own.dup;
        if version == Version::V5 {
            self.list.clear();
            self.list.push_where(publish.properties, |_| true);
            if own.subscription_id > 0 {
                // Fails for no identifier that was received.
                let _ = self.list.push(Property::SubscriptionIdentifier(own.subscription_id));
            }
            match own.alias {
                Alias::None => {}
                Alias::New(alias) => {
                    let _ = self.list.push(Property::TopicAlias(alias));
                }
                Alias::Known(alias) => {
                    let _ = self.list.push(Property::TopicAlias(alias));
                    publish.topic = "";
                }
            }
            publish.properties = self.list.as_properties();
        }
        let _ = encode_publish(version, &publish, output.copied());
    }

    fn write_shared(
        &mut self,
        message: &Message<'_>,
        version: Version,
        qos: QoS,
        retain: bool,
        packet_id: u16,
        output: &mut Output,
    ) {
        let Some(frame) = self.frame(message, version, qos) else { return };
        let bytes = frame.bytes();
        let out = output.copied();
        let start = out.len();
        let head_end = frame.packet_id_at.map_or(0, |at| at + 2);
        if frame.shared.is_empty() {
            out.extend_from_slice(bytes);
        } else {
            // Only the part that differs is copied; a frame without a packet id differs in its first byte.
            out.extend_from_slice(&bytes[..head_end.max(1)]);
        }
        out[start] = publish_first_byte(false, qos, retain);
        if let Some(at) = frame.packet_id_at {
            out[start + at..start + at + 2].copy_from_slice(&packet_id.to_be_bytes());
        }
        if !frame.shared.is_empty() {
            let rest = frame.shared.slice(head_end.max(1)..);
            output.share(rest);
        }
    }
}

fn publish<'a>(
    message: &Message<'a>,
    version: Version,
    qos: QoS,
    retain: bool,
    packet_id: u16,
) -> Publish<'a> {
    let properties = match version {
        Version::V5 => Properties::from_validated(message.properties),
        _ => Properties::default(),
    };
    let Message { topic, payload, .. } = *message;
    Publish { dup: false, qos, retain, topic, packet_id, properties, payload }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::Verdict;
    use millrace_codec::{Packet, decode, frame_header};

    fn check(payload_len: usize, single: bool) {
        let payload = vec![7u8; payload_len];
        let message = Message {
            topic: "a/b",
            from: "",
            properties: &[],
            payload: &payload,
            qos: QoS::ExactlyOnce,
            retain: false,
            verdict: Verdict::default(),
            order: 0,
        };
        let mut frames = Frames::default();
        for (version, qos, retain, id) in [
            (Version::V311, QoS::AtMostOnce, false, 0),
            (Version::V5, QoS::AtLeastOnce, true, 9),
            (Version::V5, QoS::ExactlyOnce, false, 0x1234),
            (Version::V311, QoS::ExactlyOnce, false, 65_535),
            (Version::V5, QoS::AtMostOnce, true, 0),
        ] {
            let mut output = Output::default();
            if single {
                frames.next_message(true);
            }
            frames.write(&message, version, qos, retain, id, &mut output);
            let mut bytes = Vec::new();
            assert!(output.write_to(&mut bytes).expect("a Vec takes all"));
            let header = frame_header(&bytes).expect("a frame").expect("whole");
            assert_eq!(header.total_len(), bytes.len());
            let packet = decode(version, header.first, &bytes[header.header_len..]).expect("a packet");
            let Packet::Publish(publish) = packet else { panic!("not a PUBLISH") };
            assert_eq!((publish.qos, publish.retain, publish.packet_id), (qos, retain, id));
            assert_eq!((publish.topic, publish.payload), ("a/b", &payload[..]));
        }
        frames.next_message(false);
        let short = Message { topic: "x", payload: b"y", ..message };
        assert_eq!(frames.len(&short, Version::V311, QoS::AtMostOnce), Some(6));
    }

    #[test]
    fn copied_frames_are_whole_packets_for_each_kind_of_receiver() {
        check(10, false);
    }

    #[test]
    fn the_frame_of_a_single_receiver_is_the_same_packet() {
        check(10, true);
        check(20_000, true);
    }

    #[test]
    fn shared_frames_are_whole_packets_for_each_kind_of_receiver() {
        check(20_000, false);
    }
}
