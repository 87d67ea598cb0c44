//! What each client may and must see. Kept from the clients' side only: what was sent, and what came. Expectations belong
//! to client ids ([`Party`]), because a session may outlive its connection. A QoS 1 message that is sent again on another
//! connection is a message of its own here: the broker has to treat it so, and what it is to be is as strict then.

use super::copies::Copy;
use super::party::{Kept, Party};
use millrace_codec::QoS;
use std::collections::{BTreeMap, VecDeque};

/// One subscription of one client id. Times are stamps of the book.
#[derive(Debug)]
pub struct Sub {
    /// The connection that asked for it.
    pub link: usize,
    pub filter: &'static str,
    pub qos: QoS,
    /// The identifier that it was asked with; 0 for none.
    pub id: u32,
    pub granted: Option<u64>,
    /// An UNSUBSCRIBE was sent for it.
    pub revoked: bool,
    /// An UNSUBSCRIBE, or a SUBSCRIBE in its place, was sent, or its session may end.
    pub end_asked: bool,
    pub ended: Option<u64>,
}

impl Sub {
    /// Whether it has been there all the time since then.
    pub fn lasts_since(&self, stamp: u64) -> bool {
        self.granted.is_some_and(|granted| granted < stamp) && !self.end_asked && self.ended.is_none()
    }
}

/// What the answer to a SUBSCRIBE or UNSUBSCRIBE is for: positions in `subs`.
#[derive(Debug)]
pub struct Asked {
    pub packet_id: u16,
    pub filter: &'static str,
    pub begins: Option<usize>,
    pub ends: Vec<usize>,
}

/// Whether a client has taken its leave by a DISCONNECT that keeps its will unsent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    No,
    /// It may have been lost.
    Said,
    /// The broker has taken it.
    Heard,
}

/// One connection, from the client's side.
#[derive(Debug)]
pub struct Link {
    pub client: usize,
    /// When its CONNECT was sent, stamp and milliseconds.
    pub born: (u64, u64),
    pub clean: bool,
    /// Seconds; 0 for none.
    pub keep_alive: u16,
    /// When the network last took something from the client, and the longest time without that.
    pub spoke_ms: u64,
    pub silence_ms: u64,
    /// Seconds that its session outlives it.
    pub expiry_s: u32,
    /// CONNACK seen, at this stamp.
    pub opened: Option<u64>,
    /// It goes on with a session.
    pub resumed: bool,
    pub over: bool,
    pub over_ms: u64,
    pub opened_ms: u64,
    /// From when on it was ending, stamp and milliseconds; nothing: the broker may have ended it at any time.
    pub ends_from: Option<(u64, u64)>,
    pub goodbye: Goodbye,
    /// The number of its will, and the delay in seconds.
    pub will: Option<(u64, u32)>,
    pub asked: VecDeque<Asked>,
    /// Packets said so far.
    pub said: u64,
    /// What was said before each PINGREQ that is not answered.
    pub pings: VecDeque<u64>,
    /// Copies of QoS 1 without PUBACK, by packet id.
    pub unsettled: BTreeMap<u16, usize>,
    /// Those whose PUBACK was said as this packet.
    pub settling: VecDeque<(u64, usize)>,
}

impl Link {
    /// Whether the broker may have closed it because its client was silent.
    pub fn may_be_given_up(&self) -> bool {
        self.keep_alive > 0 && self.silence_ms >= u64::from(self.keep_alive) * 1_500
    }
}

/// One published message; its number is its position.
#[derive(Debug)]
pub struct Message {
    pub link: usize,
    pub topic: &'static str,
    pub qos: QoS,
    pub sent: u64,
    pub acknowledged: bool,
    /// It is the will of its connection, whose CONNECT was sent then.
    pub will: bool,
    /// It was sent to a node that has crashed: only the log remembers it.
    pub past: bool,
    /// It has no payload, which ends what is retained.
    pub clears: bool,
}

/// How a message came.
#[derive(Clone, Copy, Debug)]
pub struct How {
    pub qos: QoS,
    pub packet_id: u16,
    pub dup: bool,
    pub retain: bool,
}

/// Everything that clients did and saw.
#[derive(Default)]
pub struct Book {
    pub links: Vec<Link>,
    pub parties: Vec<Party>,
    pub messages: Vec<Message>,
    pub stamp: u64,
    /// The time, milliseconds.
    pub now_ms: u64,
    /// Times from which and to which nothing stood still but clients.
    pub pauses: Vec<(u64, u64)>,
    pub deliveries: u64,
    /// What came.
    pub copies: Vec<Copy>,
    /// The last number that a client got: of each connection and topic, and of each client, topic and QoS it was
    /// published with; both for each QoS it came with.
    pub order: BTreeMap<(usize, bool, usize, &'static str, u8), u64>,
}

impl Book {
    pub fn new(parties: usize) -> Book {
        Book { parties: (0..parties).map(|_| Party::new()).collect(), ..Book::default() }
    }

    /// The node has crashed: sessions and retained messages are gone, the log is not.
    pub fn crashed(&mut self) {
        self.messages.iter_mut().for_each(|message| message.past = true);
        self.links.iter_mut().for_each(|link| link.over = true);
        self.parties.iter_mut().for_each(|party| *party = Party::new());
        self.copies.clear();
    }

    pub fn tick(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    /// A CONNECT is sent at this time.
    pub fn link(&mut self, client: usize, clean: bool, expiry_s: u32) -> usize {
        let at = self.links.len();
        let born = (self.tick(), self.now_ms);
        self.links.push(Link {
            client,
            born,
            clean,
            keep_alive: 0,
            spoke_ms: self.now_ms,
            silence_ms: 0,
            expiry_s,
            opened: None,
            resumed: false,
            over: false,
            over_ms: 0,
            opened_ms: 0,
            ends_from: None,
            goodbye: Goodbye::No,
            will: None,
            asked: VecDeque::new(),
            said: 0,
            pings: VecDeque::new(),
            unsettled: BTreeMap::new(),
            settling: VecDeque::new(),
        });
        let party = &mut self.parties[client];
        party.link = Some(at);
        if clean {
            party.discard();
            party.subs.iter_mut().for_each(|sub| sub.end_asked = true);
        }
        at
    }

    /// CONNACK; `present`: as it says, or nothing for a client of MQTT 3.1, which is not told.
    pub fn opened(&mut self, at: usize, present: Option<bool>) -> Result<(), String> {
        let (now, now_ms) = (self.tick(), self.now_ms);
        let link = &mut self.links[at];
        let party = &mut self.parties[link.client];
        let expected = match party.kept {
            _ if link.clean => Some(false),
            Kept::No => Some(false),
            Kept::For(since_ms, seconds) if now_ms - since_ms < u64::from(seconds) * 1_000 => Some(true),
            _ => None,
        };
        let present = present.or(expected).unwrap_or_default();
        if expected.is_some_and(|expected| expected != present) {
            return Err(format!("link {at}: session present {present} after {:?}", party.kept));
        }
        link.opened = Some(now);
        link.opened_ms = now_ms;
        link.resumed = present;
        party.unclean = false;
        if !present {
            // Those of a clean start are what was sent since then.
            if !link.clean {
                party.discard();
            }
            party.begin(at, now);
        }
        Ok(())
    }

    /// The client has begun to end a connection.
    pub fn ends(&mut self, at: usize) {
        let mut now = (self.tick(), self.now_ms);
        self.was_silent(at);
        let link = &mut self.links[at];
        if link.may_be_given_up() {
            now = link.born;
        }
        link.ends_from.get_or_insert(now);
    }

    /// PINGRESP: everything that was said before that PINGREQ has been taken.
    pub fn ponged(&mut self, at: usize) -> Result<(), String> {
        let link = &mut self.links[at];
        let Some(said) = link.pings.pop_front() else {
            return Err(format!("link {at}: PINGRESP for nothing"));
        };
        while let Some(&(_, copy)) = link.settling.front().filter(|(position, _)| *position < said) {
            link.settling.pop_front();
            self.copies[copy].settled = true;
        }
        Ok(())
    }

    /// The network has taken something from a client.
    pub fn spoke(&mut self, at: usize) {
        self.was_silent(at);
        self.links[at].spoke_ms = self.now_ms;
    }

    fn was_silent(&mut self, at: usize) {
        let link = &mut self.links[at];
        link.silence_ms = link.silence_ms.max(self.now_ms - link.spoke_ms);
    }

    /// The broker has closed a connection: only if its client was silent, perhaps some time ago: last words are slow.
    pub fn closed_in_time(&mut self, at: usize) -> Result<(), String> {
        self.was_silent(at);
        let link = &self.links[at];
        if link.may_be_given_up() || link.ends_from.is_some() || link.opened.is_none() {
            return Ok(());
        }
        Err(format!("link {at}: closed at {} for nothing, {link:?}", self.now_ms))
    }

    /// A connection has ended, or its client turns away from it.
    pub fn over(&mut self, at: usize) {
        let link = &mut self.links[at];
        link.over = true;
        link.over_ms = self.now_ms;
        let party = &mut self.parties[link.client];
        party.link = None;
        party.unsure.extend(link.asked.iter().map(|asked| asked.filter));
        let (kept, known) = (link.expiry_s > 0, link.opened.is_some());
        // Without a CONNACK it does not know whether this was still the session that it remembers; what says that a
        // session is present later may speak of another one.
        let same = !link.clean && kept && matches!(party.kept, Kept::For(_, super::actor::EXPIRY_S));
        party.unclean |= !known && !same;
        party.kept = match party.kept {
            _ if known && !kept => Kept::No,
            _ if known => Kept::For(link.born.1, link.expiry_s),
            Kept::No if !kept => Kept::No,
            Kept::For(since_ms, before) if kept && !link.clean => {
                Kept::For(since_ms, before.min(link.expiry_s))
            }
            _ => Kept::Perhaps,
        };
        if !kept || (link.clean && !known) {
            for sub in party.subs.iter_mut().filter(|sub| sub.ended.is_none()) {
                sub.end_asked = true;
                party.unsure.insert(sub.filter);
            }
        }
    }

    pub fn publish(&mut self, link: usize, topic: &'static str, qos: QoS) -> u64 {
        let sent = self.tick();
        self.messages.push(Message {
            link,
            topic,
            qos,
            sent,
            acknowledged: false,
            will: false,
            past: false,
            clears: false,
        });
        self.messages.len() as u64 - 1
    }

    /// A CONNECT leaves a message behind. Returns its number.
    pub fn bequeath(&mut self, link: usize, topic: &'static str, qos: QoS, delay_s: u32) -> u64 {
        let number = self.publish(link, topic, qos);
        self.messages[number as usize].will = true;
        self.links[link].will = Some((number, delay_s));
        number
    }

    /// PUBACK or PUBREC: in the order of the publishes.
    pub fn acknowledged(&mut self, link: usize, qos: QoS, packet_id: u16) -> Result<(), String> {
        let Book { links, parties, messages, .. } = self;
        let one = &mut parties[links[link].client];
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

    /// At rest: whether each client that is connected has seen what it must.
    pub fn check(&self, nothing_dropped: bool) -> Result<(), String> {
        for party in &self.parties {
            let Some(at) = party.link else { continue };
            let link = &self.links[at];
            if link.opened.is_none() {
                return Err(format!("link {at}: never answered"));
            }
            if party.under_way() > 0 {
                return Err(format!("link {at}: acknowledgements were never sent"));
            }
            if !link.asked.is_empty() || !link.pings.is_empty() {
                return Err(format!("link {at}: requests were never answered"));
            }
            if nothing_dropped {
                self.check_retained(at, party)?;
            }
        }
        self.check_copies(!nothing_dropped)
    }

    /// SUBACK or UNSUBACK: in the order of the requests.
    pub fn answered(&mut self, at: usize, packet_id: u16, begins: bool) -> Result<(), String> {
        let now = self.tick();
        let link = &mut self.links[at];
        let Some(asked) = link.asked.pop_front() else { return Err("an answer to no request".into()) };
        if asked.packet_id != packet_id || asked.begins.is_some() != begins {
            return Err(format!("answer {packet_id} before that to {}", asked.packet_id));
        }
        let party = &mut self.parties[link.client];
        party.unsure.remove(asked.filter);
        for at in asked.ends {
            party.subs[at].ended.get_or_insert(now);
        }
        if let Some(at) = asked.begins {
            party.subs[at].granted = Some(now);
        }
        Ok(())
    }

    /// Whether a packet id of this connection's client is in use.
    pub fn uses(&self, link: usize, id: u16) -> bool {
        let link = &self.links[link];
        self.parties[link.client].uses(id) || link.asked.iter().any(|asked| asked.packet_id == id)
    }
}
