//! Messages that cross from one core to another: all of a turn for one target in one allocation. Small messages lie
//! as bytes inside the batch, so that no core frees what another one allocated; large ones travel as a shared
//! `Bytes` of their own. The emptied batch goes back to its sender.

use super::Message;
use super::message::text;
use crate::hook::Verdict;
use bytes::Bytes;
use millrace_codec::QoS;
use millrace_router::Member;

/// Messages of at least this many bytes are not copied into the batch.
const OWN_BYTES: usize = 1 << 10;
/// A batch whose buffers grew beyond this is not used again.
const KEEP_BYTES: usize = 256 << 10;

/// What a message crosses for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be delivered to whoever subscribes.
    Deliver,
    /// To be kept as the retained message of its topic, or with an empty payload to end that.
    Keep,
    /// A retained message for this scan.
    Answer(ScanId),
    /// The end of an answer: the payload is where to go on, a byte and a text; without one there is no more.
    End(ScanId),
    /// For one member of a shared subscription.
    Member(ToMember),
    /// It was for this member, which has left or cannot take it.
    Return(ToMember),
}

/// A message's way to one member of a shared subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToMember {
    /// The member.
    pub member: Member,
    /// The group's position and generation on the core that keeps it.
    pub group: (u32, u32),
    /// Nobody else is there: it waits for the member if that is away.
    pub if_away: bool,
}

/// Names one walk through the retained messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanId {
    /// Position and generation of the session that it is for, on the core that asks.
    pub session: (u32, u32),
    /// Which of that core's scans.
    pub number: u32,
}

/// What few messages have.
struct Aside {
    position: u32,
    order: u64,
    purpose: Purpose,
}

struct Item {
    large: Option<Bytes>,
    start: u32,
    topic: u16,
    from: u16,
    properties: u32,
    payload: u32,
    qos: QoS,
    retain: bool,
    /// It has an entry in `asides`.
    aside: bool,
}

/// One crossing.
#[derive(Default)]
pub struct Batch {
    /// The core that filled it and gets it back.
    pub sender: usize,
    items: Vec<Item>,
    bytes: Vec<u8>,
    large_bytes: usize,
    /// By position.
    asides: Vec<Aside>,
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
    #[inline]
    pub fn push(&mut self, message: &Message<'_>, purpose: Purpose, large: &mut Option<Bytes>) {
        let Message { topic, from, properties, payload, qos, retain, order, .. } = *message;
        let aside = order != 0 || purpose != Purpose::Deliver;
        if aside {
            self.asides.push(Aside { position: self.items.len() as u32, order, purpose });
        }
        let len = message.len();
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
            aside,
        });
    }

    /// Takes the last message out again.
    pub fn pop(&mut self) {
        let Some(item) = self.items.pop() else { return };
        match item.large {
            Some(large) => self.large_bytes -= large.len(),
            None => self.bytes.truncate(item.start as usize),
        }
        if item.aside {
            self.asides.pop();
        }
    }

    fn aside(&self, position: usize) -> Option<&Aside> {
        let is_its = |aside: &&Aside| aside.position as usize == position;
        // Between cores that share a subscription every message has one.
        self.asides.get(position).filter(is_its).or_else(|| {
            let found = self.asides.binary_search_by_key(&(position as u32), |aside| aside.position);
            self.asides.get(found.ok()?)
        })
    }

    /// The message at a position, and what it crosses for; the receiving core adds its own verdict.
    pub fn get(&self, position: usize) -> Option<(Message<'_>, Purpose)> {
        let item = self.items.get(position)?;
        let aside = if item.aside { self.aside(position) } else { None };
        let bytes = match &item.large {
            Some(large) => &large[..],
            None => &self.bytes[item.start as usize..],
        };
        let (topic, rest) = bytes.split_at(usize::from(item.topic));
        let (from, rest) = rest.split_at(usize::from(item.from));
        let (properties, rest) = rest.split_at(item.properties as usize);
        let message = Message {
            topic: text(topic),
            from: text(from),
            properties,
            payload: &rest[..item.payload as usize],
            qos: item.qos,
            retain: item.retain,
            verdict: Verdict::default(),
            order: aside.map_or(0, |aside| aside.order),
            share: 0,
        };
        Some((message, aside.map_or(Purpose::Deliver, |aside| aside.purpose)))
    }

    /// Empties it for the next use; `false` when it grew too large to be kept.
    pub fn recycle(&mut self) -> bool {
        self.items.clear();
        self.bytes.clear();
        self.large_bytes = 0;
        self.asides.clear();
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
            order: 0,
            share: 0,
        };
        let messages = [make("a", &small[..]), make("b/c", &big[..]), make("d", &[][..])];
        let mut batch = Batch::new(3);
        for message in &messages {
            batch.push(message, Purpose::Deliver, &mut None);
        }
        assert_eq!(batch.len(), 3);
        for (position, sent) in messages.iter().enumerate() {
            let (got, _) = batch.get(position).expect("is there");
            assert_eq!((got.topic, got.from, got.payload), (sent.topic, sent.from, sent.payload));
            assert_eq!((got.properties, got.qos, got.retain), (sent.properties, sent.qos, sent.retain));
        }
        assert!(batch.get(3).is_none());
        assert!(batch.recycle() && batch.len() == 0 && batch.bytes() == 0);
    }

    #[test]
    fn what_was_put_in_last_comes_out_again() {
        let payload = [1u8; 2_000];
        let message = |payload, order| Message {
            topic: "t",
            from: "",
            properties: &[],
            payload,
            qos: QoS::AtMostOnce,
            retain: true,
            verdict: Verdict::default(),
            order,
            share: 0,
        };
        let scan = ScanId { session: (3, 4), number: 5 };
        let mut batch = Batch::new(0);
        batch.push(&message(&payload[..9], 0), Purpose::Deliver, &mut None);
        batch.push(&message(&payload[..8], 7), Purpose::Deliver, &mut None);
        batch.push(&message(&payload, 8), Purpose::Keep, &mut None);
        assert_eq!(batch.bytes(), 10 + 9 + 2_001);
        batch.pop();
        assert_eq!((batch.len(), batch.bytes()), (2, 10 + 9));
        batch.push(&message(&payload[..7], 9), Purpose::Answer(scan), &mut None);
        batch.pop();
        batch.push(&message(&payload[..6], 0), Purpose::End(scan), &mut None);
        let seen: Vec<_> = (0..batch.len())
            .map(|at| batch.get(at).map(|(message, purpose)| (purpose, message.order, message.payload.len())))
            .collect();
        let expected = [
            Some((Purpose::Deliver, 0, 9)),
            Some((Purpose::Deliver, 7, 8)),
            Some((Purpose::End(scan), 0, 6)),
        ];
        assert_eq!(seen, expected);
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
            order: 0,
            share: 0,
        };
        let mut large = None;
        let mut batches = [Batch::new(0), Batch::new(0)];
        for batch in &mut batches {
            batch.push(&message, Purpose::Deliver, &mut large);
        }
        let [a, b] = &batches;
        let ((a, _), (b, _)) = (a.get(0).expect("first"), b.get(0).expect("second"));
        assert_eq!(a.payload.as_ptr(), b.payload.as_ptr());
    }
}
