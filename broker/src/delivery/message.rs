//! One application message, borrowed or stored.

use crate::hook::Verdict;
use millrace_codec::{Properties, Property, PropertyBuf, QoS};

/// A message as it is routed. Borrows from the read buffer, a batch or a `Stored`; nothing of it outlives the turn.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// Topic name.
    pub topic: &'a str,
    /// Client id of the publisher.
    pub from: &'a str,
    /// MQTT 5 properties as they go to receivers, without their length; empty for 3.x publishers.
    pub properties: &'a [u8],
    /// Application payload.
    pub payload: &'a [u8],
    /// QoS of the PUBLISH.
    pub qos: QoS,
    /// Retain flag of the PUBLISH.
    pub retain: bool,
    /// Which hooks take this topic, on the core that holds the message.
    pub verdict: Verdict,
    /// Its place among the messages that were published to be retained, of all topics and cores; 0 if it was not.
    pub order: u64,
    /// The membership of the receiver that it is for, of a shared subscription; 0 for none.
    pub share: u32,
}

impl Message<'_> {
    /// Bytes of its texts, properties and payload.
    pub fn len(&self) -> usize {
        self.topic.len() + self.from.len() + self.properties.len() + self.payload.len()
    }
}

/// A message that has to wait, shared by all sessions of a core that wait for it.
#[derive(Debug)]
pub struct Stored {
    /// Topic, publisher, properties, payload; then perhaps room that a message before it has left.
    bytes: Box<[u8]>,
    topic_len: u16,
    from_len: u16,
    properties_len: u32,
    payload_len: u32,
    qos: QoS,
    retain: bool,
    verdict: Verdict,
    /// When nobody may be sent it any more, monotonic milliseconds; `u64::MAX` for never (5.0, 3.3.2.3.3).
    expires_ms: u64,
    order: u64,
    share: u32,
}

impl Stored {
    /// Copies a message that begins to wait at this time.
    pub fn new(message: &Message<'_>, now_ms: u64) -> Stored {
        Stored::with_bytes(Vec::new(), message, now_ms)
    }

    /// Becomes another message, in the room of the one that it was unless that is too small, or far too large.
    pub fn replace(&mut self, message: &Message<'_>, now_ms: u64) {
        let bytes = std::mem::take(&mut self.bytes);
        let len = message.len();
        let bytes = if (len..=2 * len + 64).contains(&bytes.len()) { bytes.into_vec() } else { Vec::new() };
        *self = Stored::with_bytes(bytes, message, now_ms);
    }

    fn with_bytes(mut bytes: Vec<u8>, message: &Message<'_>, now_ms: u64) -> Stored {
        let Message { topic, from, properties, payload, qos, retain, verdict, order, share } = *message;
        let expiry_s = match properties {
            [] => None,
            raw => Properties::from_validated(raw).message_expiry_interval(),
        };
        let expires_ms =
            expiry_s.map_or(u64::MAX, |seconds| now_ms.saturating_add(u64::from(seconds) * 1_000));
        bytes.clear();
        bytes.reserve_exact(message.len());
        for part in [topic.as_bytes(), from.as_bytes(), properties, payload] {
            bytes.extend_from_slice(part);
        }
        // What has no room to spare becomes a box as it is.
        bytes.resize(bytes.capacity(), 0);
        Stored {
            bytes: bytes.into(),
            // No text of MQTT is longer than 65,535 bytes, no packet than 256 MiB.
            topic_len: topic.len() as u16,
            from_len: from.len() as u16,
            properties_len: properties.len() as u32,
            payload_len: payload.len() as u32,
            qos,
            retain,
            verdict,
            expires_ms,
            order,
            share,
        }
    }

    /// The message after it has waited until this time: with what is left of its expiry, which is written to `list`;
    /// `None` once it has expired [MQTT-3.3.2-5, MQTT-3.3.2-6].
    pub fn message_at<'a>(&'a self, now_ms: u64, list: &'a mut PropertyBuf) -> Option<Message<'a>> {
        let message = self.message();
        if self.expires_ms == u64::MAX {
            return Some(message);
        }
        let left_ms = self.expires_ms.checked_sub(now_ms).filter(|left| *left > 0)?;
        let left_s = u32::try_from(left_ms.div_ceil(1_000)).unwrap_or(u32::MAX);
        list.clear();
        for property in Properties::from_validated(message.properties) {
            // Fails for none that was received.
            let _ = list.push(match property {
                Property::MessageExpiryInterval(_) => Property::MessageExpiryInterval(left_s),
                other => other,
            });
        }
        Some(Message { properties: list.as_properties().raw(), ..message })
    }

    /// The message again, as it was.
    pub fn message(&self) -> Message<'_> {
        let (texts, rest) = self.bytes.split_at(usize::from(self.topic_len) + usize::from(self.from_len));
        let (topic, from) = text(texts).split_at_checked(usize::from(self.topic_len)).unwrap_or_default();
        let (properties, rest) = rest.split_at(self.properties_len as usize);
        Message {
            topic,
            from,
            properties,
            payload: rest.get(..self.payload_len as usize).unwrap_or_default(),
            qos: self.qos,
            retain: self.retain,
            verdict: self.verdict,
            order: self.order,
            share: self.share,
        }
    }

    /// Which hooks take its topic, on the core that stored it.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The membership of the receiver that it is for; 0 for none.
    pub fn share(&self) -> u32 {
        self.share
    }

    /// Its topic.
    pub fn topic(&self) -> &str {
        text(self.bytes.get(..usize::from(self.topic_len)).unwrap_or_default())
    }

    /// Its place among the messages that were published to be retained.
    pub fn order(&self) -> u64 {
        self.order
    }

    /// When nobody may be sent it any more, monotonic milliseconds; `u64::MAX` for never.
    pub fn expires_ms(&self) -> u64 {
        self.expires_ms
    }

    /// Nobody may be sent it any more at this time, if not before.
    pub fn expire_by(&mut self, latest_ms: u64) {
        self.expires_ms = self.expires_ms.min(latest_ms);
    }

    /// Bytes this message counts in a queue's limit.
    pub fn len(&self) -> usize {
        let texts = usize::from(self.topic_len) + usize::from(self.from_len);
        texts + self.properties_len as usize + self.payload_len as usize
    }

    /// Bytes that it occupies, without itself.
    pub fn room(&self) -> usize {
        self.bytes.len()
    }
}

/// Bytes that were copied from a `&str` of this process. An empty text instead of a panic, should that ever break.
pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_message_is_the_same_message() {
        let message = Message {
            topic: "devices/ü/state",
            from: "lock",
            properties: &[1, 0],
            payload: &[0xff, 0],
            qos: QoS::ExactlyOnce,
            retain: true,
            verdict: Verdict::default(),
            order: 0,
            share: 0,
        };
        let stored = Stored::new(&message, 5);
        let again = stored.message();
        assert_eq!((again.topic, again.from), (message.topic, message.from));
        assert_eq!((again.properties, again.payload), (message.properties, message.payload));
        assert_eq!((again.qos, again.retain), (message.qos, message.retain));
        assert_eq!(stored.len(), "devices/ü/state".len() + 4 + 2 + 2);
    }

    #[test]
    fn an_expiry_counts_down_while_a_message_waits() {
        let mut list = PropertyBuf::new();
        for property in [
            Property::UserProperty("a", "1"),
            Property::MessageExpiryInterval(3),
            Property::ContentType("text"),
            Property::UserProperty("a", "2"),
        ] {
            list.push(property).expect("a property");
        }
        let message = Message {
            topic: "t",
            from: "",
            properties: list.as_properties().raw(),
            payload: b"",
            qos: QoS::AtLeastOnce,
            retain: false,
            verdict: Verdict::default(),
            order: 0,
            share: 0,
        };
        let stored = Stored::new(&message, 10_000);
        let mut scratch = PropertyBuf::new();
        for (now_ms, left) in [(10_000, 3), (10_999, 3), (11_000, 2), (12_999, 1)] {
            let later = stored.message_at(now_ms, &mut scratch).expect("not expired");
            let found: Vec<Property<'_>> = Properties::from_validated(later.properties).iter().collect();
            let expected = [
                Property::UserProperty("a", "1"),
                Property::MessageExpiryInterval(left),
                Property::ContentType("text"),
                Property::UserProperty("a", "2"),
            ];
            assert_eq!(found, expected, "at {now_ms}");
        }
        assert!(stored.message_at(13_000, &mut scratch).is_none());
        let without = Stored::new(&Message { properties: &[], ..message }, 10_000);
        assert!(without.message_at(u64::MAX, &mut scratch).is_some());
    }
}
