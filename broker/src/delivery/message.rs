//! One application message, borrowed or stored.

use crate::hook::Verdict;
use millrace_codec::QoS;

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
}

impl Stored {
    /// Copies a message.
    pub fn new(message: &Message<'_>) -> Stored {
        let Message { topic, from, properties, payload, qos, retain, verdict } = *message;
        let mut bytes = Vec::with_capacity(topic.len() + from.len() + properties.len() + payload.len());
        bytes.extend_from_slice(topic.as_bytes());
        let topic_end = bytes.len() as u32;
        bytes.extend_from_slice(from.as_bytes());
        let from_end = bytes.len() as u32;
        bytes.extend_from_slice(properties);
        let properties_end = bytes.len() as u32;
        bytes.extend_from_slice(payload);
        Stored { bytes: bytes.into(), topic_end, from_end, properties_end, qos, retain, verdict }
    }

    /// The message again.
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
        }
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
        };
        let stored = Stored::new(&message);
        let again = stored.message();
        assert_eq!((again.topic, again.from), (message.topic, message.from));
        assert_eq!((again.properties, again.payload), (message.properties, message.payload));
        assert_eq!((again.qos, again.retain), (message.qos, message.retain));
        assert_eq!(stored.len(), "devices/ü/state".len() + 4 + 2 + 2);
    }
}
