//! Messages that cross from one core to another: all of a turn for one target in one allocation. Small messages lie
//! as bytes inside the batch, so that no core frees what another one allocated; large ones travel as a shared
//! `Bytes` of their own. The emptied batch goes back to its sender.

use super::Message;
use super::message::text;
use crate::hook::Verdict;
use bytes::Bytes;
use millrace_codec::QoS;

/// Messages of at least this many bytes are not copied into the batch.
const OWN_BYTES: usize = 1 << 10;
/// A batch whose buffers grew beyond this is not used again.
const KEEP_BYTES: usize = 256 << 10;

struct Item {
    large: Option<Bytes>,
    start: u32,
    topic: u16,
    from: u16,
    properties: u32,
    payload: u32,
    qos: QoS,
    retain: bool,
}

/// One crossing.
#[derive(Default)]
pub struct Batch {
    /// The core that filled it and gets it back.
    pub sender: usize,
    items: Vec<Item>,
    bytes: Vec<u8>,
    large_bytes: usize,
}

impl Batch {
    /// An empty batch of this sender.
    pub fn new(sender: usize) -> Batch {
        Batch { sender, ..Batch::default() }
    }

    /// How many messages cross.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Bytes that cross.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.large_bytes
    }

    /// Appends a message. `large` is the copy of a large message that batches for several cores share.
    pub fn push(&mut self, message: &Message<'_>, large: &mut Option<Bytes>) {
        let Message { topic, from, properties, payload, qos, retain, .. } = *message;
        let len = topic.len() + from.len() + properties.len() + payload.len();
        let parts = [topic.as_bytes(), from.as_bytes(), properties, payload];
        let start = self.bytes.len() as u32;
        let own =
            (len >= OWN_BYTES).then(|| large.get_or_insert_with(|| Bytes::from(parts.concat())).clone());
        if own.is_none() {
            parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        } else {
            self.large_bytes += len;
        }
        self.items.push(Item {
            large: own,
            start,
            topic: topic.len() as u16,
            from: from.len() as u16,
            properties: properties.len() as u32,
            payload: payload.len() as u32,
            qos,
            retain,
        });
    }

    /// The message at a position; the receiving core adds its own verdict.
    pub fn get(&self, position: usize) -> Option<Message<'_>> {
        let item = self.items.get(position)?;
        let bytes = match &item.large {
            Some(large) => &large[..],
            None => &self.bytes[item.start as usize..],
        };
        let (topic, rest) = bytes.split_at(usize::from(item.topic));
        let (from, rest) = rest.split_at(usize::from(item.from));
        let (properties, rest) = rest.split_at(item.properties as usize);
        Some(Message {
            topic: text(topic),
            from: text(from),
            properties,
            payload: &rest[..item.payload as usize],
            qos: item.qos,
            retain: item.retain,
            verdict: Verdict::default(),
        })
    }

    /// Empties it for the next use; `false` when it grew too large to be kept.
    pub fn recycle(&mut self) -> bool {
        self.items.clear();
        self.bytes.clear();
        self.large_bytes = 0;
        self.bytes.capacity() <= KEEP_BYTES && self.items.capacity() * size_of::<Item>() <= KEEP_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_cross_as_they_are() {
        let small = [1u8; 100];
        let big = [2u8; 5_000];
        let make = |topic, payload| Message {
            topic,
            from: "pub",
            properties: &[9],
            payload,
            qos: QoS::AtLeastOnce,
            retain: true,
            verdict: Verdict::default(),
        };
        let messages = [make("a", &small[..]), make("b/c", &big[..]), make("d", &[][..])];
        let mut batch = Batch::new(3);
        for message in &messages {
            batch.push(message, &mut None);
        }
        assert_eq!(batch.len(), 3);
        for (position, sent) in messages.iter().enumerate() {
            let got = batch.get(position).expect("is there");
            assert_eq!((got.topic, got.from, got.payload), (sent.topic, sent.from, sent.payload));
            assert_eq!((got.properties, got.qos, got.retain), (sent.properties, sent.qos, sent.retain));
        }
        assert!(batch.get(3).is_none());
        assert!(batch.recycle() && batch.len() == 0 && batch.bytes() == 0);
    }

    #[test]
    fn a_large_message_for_several_cores_is_copied_once() {
        let payload = vec![5u8; 2_000];
        let message = Message {
            topic: "t",
            from: "",
            properties: &[],
            payload: &payload,
            qos: QoS::AtMostOnce,
            retain: false,
            verdict: Verdict::default(),
        };
        let mut large = None;
        let mut batches = [Batch::new(0), Batch::new(0)];
        for batch in &mut batches {
            batch.push(&message, &mut large);
        }
        let [a, b] = &batches;
        let (a, b) = (a.get(0).expect("first"), b.get(0).expect("second"));
        assert_eq!(a.payload.as_ptr(), b.payload.as_ptr());
    }
}
