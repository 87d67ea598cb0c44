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
}

/// A message that has to wait: one allocation, shared by all sessions of a core that wait for it.
#[derive(Debug)]
pub struct Stored {
    bytes: Box<[u8]>,
    topic_end: u32,
    from_end: u32,
    properties_end: u32,
    qos: QoS,
    retain: bool,
    verdict: Verdict,
    /// When nobody may be sent it any more, monotonic milliseconds; `u64::MAX` for never (5.0, 3.3.2.3.3).
    expires_ms: u64,
    order: u64,
}

impl Stored {
    /// Copies a message that begins to wait at this time.
    pub fn new(message: &Message<'_>, now_ms: u64) -> Stored {
        let Message { topic, from, properties, payload, qos, retain, verdict, order } = *message;
        let expiry_s = match properties {
            [] => None,
            raw => Properties::from_validated(raw).message_expiry_interval(),
        };
        let expires_ms =
            expiry_s.map_or(u64::MAX, |seconds| now_ms.saturating_add(u64::from(seconds) * 1_000));
        let mut bytes = Vec::with_capacity(topic.len() + from.len() + properties.len() + payload.len());
        bytes.extend_from_slice(topic.as_bytes());
        let topic_end = bytes.len() as u32;
        bytes.extend_from_slice(from.as_bytes());
        let from_end = bytes.len() as u32;
        bytes.extend_from_slice(properties);
        let properties_end = bytes.len() as u32;
        bytes.extend_from_slice(payload);
        let bytes = bytes.into();
        Stored { bytes, topic_end, from_end, properties_end, qos, retain, verdict, expires_ms, order }
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
        let (topic, rest) = self.bytes.split_at(self.topic_end as usize);
        let (from, rest) = rest.split_at((self.from_end - self.topic_end) as usize);
        let (properties, payload) = rest.split_at((self.properties_end - self.from_end) as usize);
        Message {
            topic: text(topic),
            from: text(from),
            properties,
            payload,
            qos: self.qos,
            retain: self.retain,
            verdict: self.verdict,
            order: self.order,
        }
    }

    /// Its topic.
    pub fn topic(&self) -> &str {
        text(self.bytes.get(..self.topic_end as usize).unwrap_or_default())
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
