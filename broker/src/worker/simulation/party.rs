//! One client id, from the client's side, over all its connections: what it remembers as MQTT demands of a client whose
//! session is kept (section 4.1), and what follows from that for the broker.

use super::book::Sub;
use millrace_codec::QoS;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Whether the broker has a session for a client id that is not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// None.
    No,
    /// For at least so many seconds after this time, milliseconds.
    For(u64, u32),
    /// A CONNECT that was not answered may have begun or ended one.
    Perhaps,
}

/// What a client id has done, and what it has under way. Packet ids with the numbers of their messages.
pub struct Party {
    /// Its connection, if it has one.
    pub link: Option<usize>,
    pub kept: Kept,
    /// A CONNECT that was to end the session was not answered: the next one has to end it too.
    pub unclean: bool,
    pub subs: Vec<Sub>,
    /// Filters of requests that were cut off with their connection: carried out or not.
    pub unsure: BTreeSet<&'static str>,
    /// Messages that it has sent with QoS 1 and that are not acknowledged.
    pub pubacks: VecDeque<(u16, u64)>,
    /// Those of QoS 2 without PUBREC.
    pub pubrecs: VecDeque<(u16, u64)>,
    /// Those of QoS 2 between PUBREC and PUBCOMP.
    pub unreleased: BTreeMap<u16, u64>,
    /// Messages that it has received with QoS 2 and that are not released.
    received: BTreeMap<u16, u64>,
    /// What last came with each packet id in this session.
    known: BTreeMap<u16, u64>,
    pub seen: BTreeSet<u64>,
    pub repetitions: u64,
    /// The newest message of each topic and QoS that has surely come for its own subscriptions, live or retained.
    pub newest: BTreeMap<(&'static str, u8), u64>,
    /// The newest of each topic, whatever it came for.
    pub last: BTreeMap<&'static str, u64>,
    /// When it was told of a new session.
    pub began: u64,
}

impl Party {
    pub fn new() -> Party {
        Party {
            link: None,
            kept: Kept::No,
            unclean: false,
            subs: Vec::new(),
            unsure: BTreeSet::new(),
            pubacks: VecDeque::new(),
            pubrecs: VecDeque::new(),
            unreleased: BTreeMap::new(),
            received: BTreeMap::new(),
            known: BTreeMap::new(),
            seen: BTreeSet::new(),
            repetitions: 0,
            newest: BTreeMap::new(),
            last: BTreeMap::new(),
            began: 0,
        }
    }

    /// Forgets what belongs to a session that ends.
    pub fn discard(&mut self) {
        self.pubacks.clear();
        self.pubrecs.clear();
        self.unreleased.clear();
        self.received.clear();
        self.known.clear();
    }

    /// Messages that it has sent and that are under way.
    pub fn under_way(&self) -> usize {
        self.pubacks.len() + self.pubrecs.len() + self.unreleased.len()
    }

    /// Whether a packet id is in use for a message that it has sent.
    pub fn uses(&self, id: u16) -> bool {
        self.pubacks.iter().chain(&self.pubrecs).any(|&(used, _)| used == id)
            || self.unreleased.contains_key(&id)
    }

    /// What is subscribed to with this filter is to be replaced, or to end: `revoked`. Returns positions in `subs`.
    pub fn end(&mut self, filter: &str, revoked: bool) -> Vec<usize> {
        let living = self.subs.iter_mut().enumerate();
        let living = living.filter(|(_, sub)| sub.filter == filter && sub.ended.is_none());
        let end = |(at, sub): (usize, &mut Sub)| {
            sub.end_asked = true;
            sub.revoked |= revoked;
            at
        };
        living.map(end).collect()
    }

    /// The session has ended: subscriptions are those that this connection has made.
    pub fn begin(&mut self, link: usize, now: u64) {
        for sub in self.subs.iter_mut().filter(|sub| sub.link != link) {
            sub.end_asked = true;
            sub.ended.get_or_insert(now);
        }
        self.unsure.clear();
        self.began = now;
    }

    /// A message has come. Returns whether it is a repetition, which the client answers and does not use.
    ///
    /// # Errors
    /// What no client would understand.
    pub fn takes(&mut self, id: u16, number: u64, qos: QoS, dup: bool) -> Result<bool, &'static str> {
        if qos == QoS::AtMostOnce {
            return if dup { Err("QoS 0 and a repetition") } else { Ok(false) };
        }
        let before = self.known.insert(id, number);
        let same = before == Some(number);
        if qos == QoS::ExactlyOnce {
            match self.received.insert(id, number) {
                Some(received) if received != number || !dup => return Err("its packet id is in use"),
                None if same => return Err("sent again after its PUBREL"),
                _ => {}
            }
        }
        let repetition = dup && same;
        self.repetitions += u64::from(repetition);
        Ok(repetition)
    }

    /// PUBREL.
    pub fn released(&mut self, id: u16) {
        self.received.remove(&id);
    }

    /// Filters that are subscribed to, once all requests are answered.
    pub fn filters(&self) -> BTreeSet<&'static str> {
        self.subs.iter().filter(|sub| !sub.end_asked && sub.ended.is_none()).map(|sub| sub.filter).collect()
    }
}
