//! Packets made once and sent often: the PUBLISH of a stream, which differs from message to message in its packet
//! identifier and its stamp only; and the few that a client sends to get ready.

use std::sync::Arc;

use millrace_codec::{
    Connect, Error, FilterBuf, Packet, Property, PropertyBuf, Publish, QoS, Subscribe, SubscribeOptions,
    Version, encode_publish,
};

use super::payload::{self, FILLER, Stamp};

/// Payloads up to this size lie in the template; what is above is shared by the streams of a group.
const WHOLE_MAX: usize = 512;

/// The encoded PUBLISH of one stream.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// The packet, up to the end of the stamp at least.
    bytes: Box<[u8]>,
    /// Where its packet identifier stands; 0: QoS 0 has none.
    id_at: u32,
    stamp_at: u32,
    /// What follows `bytes`.
    filler: Arc<[u8]>,
}

/// What all streams of a group have in common.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) version: Version,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// Payload bytes.
    pub(super) size: usize,
    filler: Arc<[u8]>,
}

impl Form {
    pub(super) fn new(version: Version, qos: QoS, retain: bool, size: usize) -> Form {
        let shared = if size > WHOLE_MAX { size - payload::BYTES } else { 0 };
        Form { version, qos, retain, size, filler: vec![FILLER; shared].into() }
    }
}

impl Template {
    /// # Errors
    /// A topic that cannot be sent, a packet that is too large.
    pub(super) fn new(form: &Form, topic: &str) -> Result<Template, Error> {
        let payload = vec![FILLER; form.size];
        let publish = Publish {
            dup: false,
            qos: form.qos,
            retain: form.retain,
            topic,
            packet_id: 0,
            properties: Default::default(),
            payload: &payload,
        };
        let mut bytes = Vec::new();
        let id_at = encode_publish(form.version, &publish, &mut bytes)?.unwrap_or(0);
        let stamp_at = bytes.len() - form.size;
        bytes.truncate(bytes.len() - form.filler.len());
        Ok(Template {
            bytes: bytes.into(),
            id_at: id_at as u32,
            stamp_at: stamp_at as u32,
            filler: form.filler.clone(),
        })
    }

    /// Bytes of the whole packet.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.filler.len()
    }

    /// Appends the message; `packet_id` is left out with QoS 0.
    #[inline]
    pub(super) fn write(&self, packet_id: u16, stamp: Stamp, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let packet = &mut out[start..];
        if self.id_at != 0 {
            let at = self.id_at as usize;
            packet[at..at + 2].copy_from_slice(&packet_id.to_be_bytes());
        }
        let at = self.stamp_at as usize;
        packet[at..at + payload::BYTES].copy_from_slice(&stamp.to_bytes());
        if !self.filler.is_empty() {
            out.extend_from_slice(&self.filler);
        }
    }
}

/// Appends a client's CONNECT. In 5.0 it takes as many messages at once as there are packet identifiers.
pub(super) fn connect(
    version: Version,
    client_id: &str,
    clean: bool,
    keep_alive_s: u16,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut properties = PropertyBuf::new();
    if version == Version::V5 {
        properties.push(Property::ReceiveMaximum(u16::MAX))?;
    }
    let connect = Connect {
        version,
        clean_start: clean,
        keep_alive: keep_alive_s,
        client_id,
        will: None,
        username: None,
        password: None,
        properties: properties.as_properties(),
    };
    Packet::Connect(connect).encode(version, out)
}

/// The packet identifier of the SUBSCRIBE; a connection sends only one.
pub(super) const SUBSCRIBE_ID: u16 = 1;

/// Appends a client's SUBSCRIBE with all its filters.
pub(super) fn subscribe(
    version: Version,
    filters: impl Iterator<Item = (String, QoS)>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut list = FilterBuf::new();
    for (filter, qos) in filters {
        list.push(&filter, SubscribeOptions::with_qos(qos))?;
    }
    let subscribe =
        Subscribe { packet_id: SUBSCRIBE_ID, properties: Default::default(), filters: list.as_filters() };
    Packet::Subscribe(subscribe).encode(version, out)
}

/// Fills in a topic's or filter's number, its number divided by another, and run.
pub(super) fn fill_in(pattern: &str, number: usize, run: u32) -> String {
    let mut text = pattern.replace("{n}", &number.to_string()).replace("{run}", &run.to_string());
    while let Some((before, rest)) = text.split_once("{n/")
        && let Some((by, after)) = rest.split_once('}')
        && let Some(block) = by.parse().ok().and_then(|by| number.checked_div(by))
    {
        text = format!("{before}{block}{after}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patched_template_is_what_the_codec_encodes() {
        for version in Version::ALL {
            for qos in QoS::ALL {
                for (size, retain) in [(24, false), (128, true), (512, false), (513, true), (70_000, false)] {
                    let form = Form::new(version, qos, retain, size);
                    let template = Template::new(&form, "devices/7/state").expect("a template");
                    let packet_id = if qos == QoS::AtMostOnce { 0 } else { 0x1234 };
                    let stamp =
                        Stamp { sent_ns: u64::MAX / 3, run: 5, group: 1, stream: 7, sequence: 1 << 40 };
                    let mut payload = stamp.to_bytes().to_vec();
                    payload.resize(size, FILLER);
                    let publish = Publish {
                        dup: false,
                        qos,
                        retain,
                        topic: "devices/7/state",
                        packet_id,
                        properties: Default::default(),
                        payload: &payload,
                    };
                    let mut expected = b"before".to_vec();
                    let mut out = expected.clone();
                    encode_publish(version, &publish, &mut expected).expect("a packet");
                    template.write(packet_id, stamp, &mut out);
                    assert!(out == expected, "{version} {qos:?} {size}");
                    assert_eq!(template.len(), expected.len() - b"before".len());
                }
            }
        }
        let form = Form::new(Version::V311, QoS::AtMostOnce, false, 24);
        assert!(Template::new(&form, "").is_err() && Template::new(&form, &"t".repeat(65_536)).is_err());
    }

    #[test]
    fn patterns_know_their_number_and_run() {
        let cases = [
            ("devices/{n}/state", "devices/12/state"),
            ("{run}/{n}/{n}", "7/12/12"),
            ("a/{n/5}/{n}/{n/1}", "a/2/12/12"),
            ("{n/13}", "0"),
            ("{n/0}/{n/x}/{n/", "{n/0}/{n/x}/{n/"),
            ("plain", "plain"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(fill_in(pattern, 12, 7), expected);
        }
    }
}
