//! What each client may and must see. Kept from the clients' side only: what was sent, and what came. A session ends
//! with its connection, so expectations belong to connections; those of a kept session would belong to its client id.

use millrace_codec::QoS;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One subscription of one connection. Times are stamps of the book.
pub struct Sub {
    pub filter: &'static str,
    pub qos: QoS,
    pub granted: Option<u64>,
    /// An UNSUBSCRIBE, or a SUBSCRIBE in its place, was sent.
    pub end_asked: bool,
    pub ended: Option<u64>,
}

/// What the answer to a SUBSCRIBE or UNSUBSCRIBE is for: positions in `subs`.
pub struct Asked {
    pub packet_id: u16,
    pub begins: Option<usize>,
    pub ends: Vec<usize>,
}

/// One connection, from the client's side.
pub struct Link {
    pub client: usize,
    /// CONNACK seen.
    pub open: bool,
    pub over: bool,
    pub subs: Vec<Sub>,
    pub asked: VecDeque<Asked>,
    pub pubacks: VecDeque<(u16, u64)>,
    pub pubrecs: VecDeque<(u16, u64)>,
    /// Between PUBREC and PUBCOMP; whether it was repeated.
    pub unreleased: BTreeMap<u16, u64>,
    pub pings: u64,
    seen: BTreeSet<u64>,
    order: BTreeMap<(usize, &'static str, u8), u64>,
}

/// One published message; its number is its position.
pub struct Message {
    pub link: usize,
    pub topic: &'static str,
    pub qos: QoS,
    pub sent: u64,
    pub acknowledged: bool,
}

/// Everything that clients did and saw.
#[derive(Default)]
pub struct Book {
    pub links: Vec<Link>,
    pub messages: Vec<Message>,
    pub stamp: u64,
    pub deliveries: u64,
}

impl Book {
    pub fn tick(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    pub fn link(&mut self, client: usize) -> usize {
        self.links.push(Link {
            client,
            open: false,
            over: false,
            subs: Vec::new(),
            asked: VecDeque::new(),
            pubacks: VecDeque::new(),
            pubrecs: VecDeque::new(),
            unreleased: BTreeMap::new(),
            pings: 0,
            seen: BTreeSet::new(),
            order: BTreeMap::new(),
        });
        self.links.len() - 1
    }

    pub fn publish(&mut self, link: usize, topic: &'static str, qos: QoS) -> u64 {
        let sent = self.tick();
        self.messages.push(Message { link, topic, qos, sent, acknowledged: false });
        self.messages.len() as u64 - 1
    }

    /// PUBACK or PUBREC: in the order of the publishes.
    pub fn acknowledged(&mut self, link: usize, qos: QoS, packet_id: u16) -> Result<(), String> {
        let Book { links, messages, .. } = self;
        let one = &mut links[link];
        if qos == QoS::ExactlyOnce && one.unreleased.contains_key(&packet_id) {
            return Ok(()); // the answer to a repetition
        }
        let owed = if qos == QoS::ExactlyOnce { &mut one.pubrecs } else { &mut one.pubacks };
        let Some((expected, number)) = owed.pop_front() else {
            return Err(format!("link {link}: acknowledgement {packet_id} for nothing"));
        };
        if expected != packet_id {
            return Err(format!("link {link}: acknowledgement {packet_id} before that of {expected}"));
        }
        messages[number as usize].acknowledged = true;
        if qos == QoS::ExactlyOnce {
            one.unreleased.insert(packet_id, number);
        }
        Ok(())
    }

    /// A message came.
    pub fn arrived(&mut self, link: usize, number: u64, topic: &str, qos: QoS) -> Result<(), String> {
        self.deliveries += 1;
        let fail = |what: &str| Err(format!("link {link}: message {number} on {topic}, {qos:?}: {what}"));
        let Book { links, messages, .. } = self;
        let Some(message) = messages.get(number as usize) else { return fail("nobody sent it") };
        if message.topic != topic {
            return fail("was published on another topic");
        }
        let one = &mut links[link];
        let may = one
            .subs
            .iter()
            .filter(|sub| millrace_router::matches(sub.filter, topic))
            .filter(|sub| sub.ended.is_none_or(|ended| ended > message.sent))
            .map(|sub| sub.qos.min(message.qos))
            .max();
        match may {
            None => return fail("no subscription for it"),
            Some(most) if qos > most => return fail("with more than what was granted"),
            _ => {}
        }
        if !one.seen.insert(number) {
            return fail("twice");
        }
        let last = one.order.insert((message.link, message.topic, qos as u8), number);
        match last {
            Some(last) if last > number => fail(&format!("after {last} of the same publisher")),
            _ => Ok(()),
        }
    }

    /// At rest: whether each link that is still open has seen what it must.
    pub fn check(&self, nothing_dropped: bool) -> Result<(), String> {
        for (at, link) in self.links.iter().enumerate().filter(|(_, link)| link.open && !link.over) {
            if !link.pubacks.is_empty() || !link.pubrecs.is_empty() || !link.unreleased.is_empty() {
                return Err(format!("link {at}: acknowledgements were never sent"));
            }
            if !link.asked.is_empty() || link.pings > 0 {
                return Err(format!("link {at}: requests were never answered"));
            }
            if nothing_dropped {
                self.check_complete(at, link)?;
            }
        }
        Ok(())
    }

    fn check_complete(&self, at: usize, link: &Link) -> Result<(), String> {
        for (number, message) in self.messages.iter().enumerate() {
            let arrived_surely = message.acknowledged || {
                let from = &self.links[message.link];
                from.open && !from.over
            };
            let must = link.subs.iter().any(|sub| {
                sub.granted.is_some_and(|granted| granted < message.sent)
                    && !sub.end_asked
                    && millrace_router::matches(sub.filter, message.topic)
            });
            if arrived_surely && must && !link.seen.contains(&(number as u64)) {
                return Err(format!(
                    "link {at} (client {}): message {number} of link {} on {} with {:?} was lost",
                    link.client, message.link, message.topic, message.qos
                ));
            }
        }
        Ok(())
    }
}

impl Link {
    /// Whether a packet id of this client is in use.
    pub fn uses(&self, id: u16) -> bool {
        self.pubacks.iter().chain(&self.pubrecs).any(|&(used, _)| used == id)
            || self.unreleased.contains_key(&id)
            || self.asked.iter().any(|asked| asked.packet_id == id)
    }

    /// What is subscribed to with this filter is to end, or to be replaced.
    pub fn end(&mut self, filter: &str) -> Vec<usize> {
        let mut ends = Vec::new();
        for (at, sub) in self.subs.iter_mut().enumerate() {
            if sub.filter == filter && !sub.end_asked {
                sub.end_asked = true;
                ends.push(at);
            }
        }
        ends
    }

    /// SUBACK or UNSUBACK: in the order of the requests, at this stamp.
    pub fn answered(&mut self, packet_id: u16, begins: bool, now: u64) -> Result<(), String> {
        let Some(asked) = self.asked.pop_front() else { return Err("an answer to no request".into()) };
        if asked.packet_id != packet_id || asked.begins.is_some() != begins {
            return Err(format!("answer {packet_id} before that to {}", asked.packet_id));
        }
        asked.ends.into_iter().for_each(|at| self.subs[at].ended = Some(now));
        if let Some(at) = asked.begins {
            self.subs[at].granted = Some(now);
        }
        Ok(())
    }

    /// Filters that are subscribed to, once all requests are answered.
    pub fn filters(&self) -> BTreeSet<&'static str> {
        self.subs.iter().filter(|sub| !sub.end_asked).map(|sub| sub.filter).collect()
    }
}
