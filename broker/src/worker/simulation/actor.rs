//! A client: does what a random client does, reads what comes, and tells the book of both.

use super::book::{Asked, Book, How, Sub};
use super::party::Kept;
use super::world::World;
use crate::net::network::Line;
use millrace_codec::{
    Ack, Connect, Disconnect, FilterBuf, Packet, PacketType, Properties, Property, PropertyBuf, Publish, QoS,
    ReasonCode, Subscribe, SubscribeOptions, Unsubscribe, UnsubscribeFilterBuf, Version, decode, encode_ack,
    frame_header,
};
use std::collections::VecDeque;

const TOPICS: [&str; 7] = ["a/b", "a/c", "a/b/c", "b", "h/a", "h/b", "h/a/b"];
/// What is retained: each topic has one publisher, the client of its position.
const RETAINED: [&str; 4] = ["r/a", "r/b", "r/c", "r/d"];
const FILTERS: [&str; 13] =
    ["r/a", "r/+", "r/#", "a/b", "a/+", "a/#", "#", "+/b", "b", "h/#", "h/a", "+/+/c", "h/+/b"];
const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Messages that one client has under way, at most: below the broker's receive maximum.
const UNDER_WAY: usize = 6;

struct Open {
    number: u32,
    link: usize,
    client: usize,
    version: Version,
    out: VecDeque<u8>,
    input: Vec<u8>,
    /// Answers that it owes, in order.
    late: VecDeque<(PacketType, u16)>,
    next_id: u16,
    /// Said DISCONNECT or closed its half.
    leaving: bool,
}

/// Seconds that sessions are kept at most.
pub const EXPIRY_S: u32 = 7_200;

/// One client id. Its client may open a connection while an older one is still there, and looks no more at that one.
pub struct Actor {
    client: usize,
    open: Option<Open>,
    /// Connections that it has turned away from.
    ghosts: Vec<u32>,
    /// One that was cut before its CONNACK: the next CONNECT waits until the broker has let go of it, so that it cannot
    /// be overtaken by the next one.
    fading: Option<u32>,
    /// Does not read for the time being.
    stalled: bool,
}

fn qos_of(number: u64) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number as usize % 3]
}

/// The client id of a client.
pub fn name(client: usize) -> String {
    format!("client-{client}")
}

impl Actor {
    pub fn new(client: usize) -> Actor {
        Actor { client, open: None, ghosts: Vec::new(), fading: None, stalled: false }
    }

    /// One random deed.
    pub fn act(&mut self, world: &World, book: &mut Book) -> Result<(), String> {
        if self.open.is_none() {
            self.connect(world, book);
            return Ok(());
        }
        match world.below(100) {
            17 if world.one_in(2) => self.turn_away(world, book),
            18 => self.lay_ghosts(world),
            0 if world.one_in(2) => self.vanish(world, book),
            1 if world.one_in(2) => self.leave(world),
            2 if world.one_in(2) => self.say_goodbye(),
            3 => self.stalled = !self.stalled,
            4..=12 => self.subscribe(world, book),
            13..=16 => self.unsubscribe(world, book),
            19..=20 => self.ping(book),
            21..=22 => self.repeat(world, book),
            23..=40 => {
                for _ in 0..=world.below(2) {
                    self.publish(world, book);
                }
            }
            41..=55 => self.answer(1 + world.below(8) as usize),
            56..=74 => self.send(world),
            _ if self.stalled => {}
            _ => self.read(world, book)?,
        }
        Ok(())
    }

    /// The end of the play: answers everything, sends everything, starts nothing. Returns whether it did anything.
    pub fn finish(&mut self, world: &World, book: &mut Book) -> Result<bool, String> {
        self.stalled = false;
        let before = world.hash();
        self.lay_ghosts(world);
        if self.open.is_none() {
            self.connect(world, book);
        }
        self.make_sure(book);
        self.read(world, book)?;
        self.answer(usize::MAX);
        let had = self.open.as_ref().is_some_and(|open| !open.out.is_empty());
        self.send(world);
        Ok(had || world.hash() != before)
    }

    /// Ends without a word.
    pub fn vanish(&mut self, world: &World, book: &mut Book) {
        self.lay_ghosts(world);
        if let Some(open) = self.open.take() {
            world.note("reset", open.number.into(), 0);
            self.gone(&open, world, book);
        }
    }

    /// Connects anew while the old connection is still there.
    fn turn_away(&mut self, world: &World, book: &mut Book) {
        let Some(open) = self.open.take_if(|open| book.links[open.link].opened.is_some()) else { return };
        world.note("turn away", open.number.into(), 0);
        book.over(open.link);
        self.ghosts.push(open.number);
        self.connect(world, book);
    }

    fn lay_ghosts(&mut self, world: &World) {
        self.ghosts.drain(..).for_each(|number| world.network().reset(number));
    }

    fn gone(&mut self, open: &Open, world: &World, book: &mut Book) {
        world.network().reset(open.number);
        if book.links[open.link].opened.is_none() {
            self.fading = Some(open.number);
        }
        book.over(open.link);
    }

    fn connect(&mut self, world: &World, book: &mut Book) {
        if self.fading.is_some_and(|number| !world.network().is_gone(number)) {
            return;
        }
        self.fading = None;
        let party = &book.parties[self.client];
        let mut version = VERSIONS[world.below(3) as usize];
        let mut clean = party.unclean || world.one_in(4);
        if version == Version::V5 && party.under_way() > UNDER_WAY && !clean {
            version = Version::V311; // more than it may send again
        }
        if version == Version::V31 {
            // It is not told whether the session goes on, so it has to know.
            clean |= match party.kept {
                Kept::No => false,
                Kept::For(_, seconds) => seconds < EXPIRY_S,
                Kept::Perhaps => true,
            };
        }
        let expiry_s = match version {
            Version::V5 => [0, 1, EXPIRY_S, EXPIRY_S][world.below(4) as usize],
            _ if clean => 0,
            _ => EXPIRY_S,
        };
        let number = world.connect();
        world.note("connect", number.into(), self.client as u64);
        let link = book.link(self.client, world.now_ms(), clean, expiry_s);
        let mut open = Open {
            number,
            link,
            client: self.client,
            version,
            out: VecDeque::new(),
            input: Vec::new(),
            late: VecDeque::new(),
            next_id: world.below(200) as u16,
            leaving: false,
        };
        let mut properties = PropertyBuf::new();
        if version == Version::V5 {
            // Fails only for long texts.
            if expiry_s > 0 {
                let _ = properties.push(Property::SessionExpiryInterval(expiry_s));
            }
            if world.one_in(2) {
                let _ = properties.push(Property::ReceiveMaximum(1 + world.below(4) as u16));
            }
        }
        let connect = Connect {
            version,
            clean_start: clean,
            keep_alive: 0,
            client_id: &name(self.client),
            will: None,
            username: None,
            password: None,
            properties: properties.as_properties(),
        };
        open.push(&Packet::Connect(connect));
        self.open = Some(open);
        self.stalled = false;
        self.send(world);
    }

    /// Unsubscribes from what it does not know whether it is subscribed to.
    fn make_sure(&mut self, book: &mut Book) {
        let Some(open) = self.usable().filter(|open| book.links[open.link].opened.is_some()) else { return };
        let unsure = std::mem::take(&mut book.parties[open.client].unsure);
        unsure.into_iter().for_each(|filter| open.unsubscribe(filter, book));
    }

    /// Says that it sends no more, and goes on reading.
    fn leave(&mut self, world: &World) {
        let Some(open) = self.open.as_mut().filter(|open| open.out.is_empty()) else { return };
        open.leaving = true;
        world.network().finish(open.number);
    }

    fn say_goodbye(&mut self) {
        let Some(open) = self.usable() else { return };
        open.push(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
        open.leaving = true;
    }

    fn usable(&mut self) -> Option<&mut Open> {
        self.open.as_mut().filter(|open| !open.leaving)
    }

    fn ping(&mut self, book: &mut Book) {
        let Some(open) = self.usable() else { return };
        open.push(&Packet::PingReq);
        book.links[open.link].pings += 1;
    }

    fn subscribe(&mut self, world: &World, book: &mut Book) {
        let Some(open) = self.usable() else { return };
        let filter = FILTERS[world.below(FILTERS.len() as u64) as usize];
        let qos = qos_of(world.below(3));

        let packet_id = open.id(book);
        let party = &mut book.parties[open.client];
        let ends = party.end(filter);
        let begins = Some(party.subs.len());
        party.subs.push(Sub { link: open.link, filter, qos, granted: None, end_asked: false, ended: None });
        book.links[open.link].asked.push_back(Asked { packet_id, filter, begins, ends });
        let mut filters = FilterBuf::new();
        let _ = filters.push(filter, SubscribeOptions { qos, ..SubscribeOptions::default() });
        let properties = Properties::default();
        open.push(&Packet::Subscribe(Subscribe { packet_id, properties, filters: filters.as_filters() }));
    }

    fn unsubscribe(&mut self, world: &World, book: &mut Book) {
        let Some(open) = self.usable() else { return };
        let filter = FILTERS[world.below(FILTERS.len() as u64) as usize];
        open.unsubscribe(filter, book);
    }

    fn publish(&mut self, world: &World, book: &mut Book) {
        let Some(open) = self.usable() else { return };
        let own = RETAINED.get(open.client).filter(|_| world.one_in(3));
        let topic = own.copied().unwrap_or_else(|| TOPICS[world.below(TOPICS.len() as u64) as usize]);
        // Of QoS 2 the last one sent may be another than the last one taken, once some are sent again.
        let mut qos = qos_of(world.below(if own.is_some() { 2 } else { 3 }));
        let link = &book.links[open.link];
        let party = &book.parties[open.client];
        let v5 = open.version == Version::V5;
        // Nothing but what was promised; a 3.x client may send more of QoS 1, and waits then.
        let of_qos_2 = party.pubrecs.len() + party.unreleased.len();
        if party.under_way() >= UNDER_WAY && (v5 || of_qos_2 >= UNDER_WAY) {
            qos = QoS::AtMostOnce;
        }
        // What is under way in a session that goes on comes first.
        if link.opened.is_none() && (v5 || !link.clean) {
            qos = QoS::AtMostOnce;
        }
        let packet_id = if qos == QoS::AtMostOnce { 0 } else { open.id(book) };
        let number = book.publish(open.link, topic, qos);
        let party = &mut book.parties[open.client];
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => party.pubacks.push_back((packet_id, number)),
            QoS::ExactlyOnce => party.pubrecs.push_back((packet_id, number)),
        }
        let padding = if world.one_in(8) { world.below(3_000) } else { world.below(30) };
        let payload = format!("{number}:{}", "x".repeat(padding as usize));
        open.publish(topic, qos, packet_id, payload.as_bytes(), false);
        world.note("publish", number, open.link as u64);
    }

    /// Sends a QoS 2 message again that it has not released.
    fn repeat(&mut self, world: &World, book: &mut Book) {
        // In a session that goes on, the PUBREL may have been sent before.
        let Some(open) = self.usable().filter(|open| !book.links[open.link].resumed) else { return };
        let party = &book.parties[open.client];
        let late = |id: &u16| open.late.contains(&(PacketType::PubRel, *id));
        let Some((&id, &number)) = party.unreleased.iter().find(|(id, _)| late(id)) else { return };
        let message = &book.messages[number as usize];
        world.note("repeat", number, id.into());
        let (topic, payload) = (message.topic, format!("{number}:again"));
        open.publish(topic, QoS::ExactlyOnce, id, payload.as_bytes(), true);
    }

    /// Sends some of the answers that it owes.
    fn answer(&mut self, most: usize) {
        let Some(open) = self.usable() else { return };
        for _ in 0..most {
            let Some((packet_type, id)) = open.late.pop_front() else { return };
            let mut bytes = Vec::new();
            encode_ack(packet_type, open.version, id, ReasonCode::Success, &mut bytes);
            open.out.extend(bytes);
        }
    }

    fn send(&mut self, world: &World) {
        let Some(open) = &mut self.open else { return };
        let bytes = open.out.make_contiguous();
        if !bytes.is_empty() {
            let sent = world.network().send(open.number, bytes);
            open.out.drain(..sent);
            world.note("send", open.number.into(), sent as u64);
        }
    }

    fn read(&mut self, world: &World, book: &mut Book) -> Result<(), String> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let before = open.input.len();
        let line = world.network().take(open.number, &mut open.input);
        if open.input.len() > before {
            world.note("read", open.number.into(), (open.input.len() - before) as u64);
        }
        while let Some(header) = frame_header(&open.input).map_err(|error| error.to_string())? {
            if open.input.len() < header.total_len() {
                break;
            }
            let packet: Vec<u8> = open.input.drain(..header.total_len()).collect();
            let packet = decode(open.version, header.first, &packet[header.header_len..])
                .map_err(|error| format!("link {}: {error}", open.link))?;
            open.take(&packet, world.now_ms(), book)?;
        }
        if line != Line::Open
            && let Some(open) = self.open.take()
        {
            // Perhaps in the middle of a packet: a client that is slow loses the last words of a closing connection.
            world.note("closed", open.number.into(), 0);
            self.gone(&open, world, book);
        }
        Ok(())
    }
}

impl Open {
    fn push(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        // What actors say has a form in every version.
        if packet.encode(self.version, &mut bytes).is_ok() {
            self.out.extend(bytes);
        }
    }

    fn publish(&mut self, topic: &str, qos: QoS, packet_id: u16, payload: &[u8], dup: bool) {
        let properties = Properties::default();
        self.push(&Packet::Publish(Publish {
            dup,
            qos,
            retain: RETAINED.contains(&topic),
            topic,
            packet_id,
            properties,
            payload,
        }));
    }

    /// A packet id that is not in use.
    fn id(&mut self, book: &Book) -> u16 {
        loop {
            self.next_id = self.next_id % 200 + 1;
            if !book.uses(self.link, self.next_id) {
                return self.next_id;
            }
        }
    }

    fn unsubscribe(&mut self, filter: &'static str, book: &mut Book) {
        let packet_id = self.id(book);
        let ends = book.parties[self.client].end(filter);
        book.links[self.link].asked.push_back(Asked { packet_id, filter, begins: None, ends });
        let mut filters = UnsubscribeFilterBuf::new();
        let _ = filters.push(filter);
        let properties = Properties::default();
        self.push(&Packet::Unsubscribe(Unsubscribe { packet_id, properties, filters: filters.as_filters() }));
    }

    /// The session goes on: sends again what is not acknowledged, in its order [MQTT-4.4.0-1].
    fn send_again(&mut self, book: &mut Book) {
        let party = &mut book.parties[self.client];
        self.late.extend(party.unreleased.keys().map(|id| (PacketType::PubRel, *id)));
        let pubacks = std::mem::take(&mut party.pubacks);
        let mut all: Vec<_> =
            pubacks.into_iter().map(|(id, number)| (number, id, QoS::AtLeastOnce)).collect();
        all.extend(party.pubrecs.iter().map(|&(id, number)| (number, id, QoS::ExactlyOnce)));
        all.sort_unstable_by_key(|(number, ..)| *number);
        for (mut number, id, qos) in all {
            let topic = book.messages[number as usize].topic;
            if qos == QoS::AtLeastOnce {
                number = book.publish(self.link, topic, qos);
                book.parties[self.client].pubacks.push_back((id, number));
            }
            self.publish(topic, qos, id, format!("{number}:again").as_bytes(), true);
        }
    }

    fn take(&mut self, packet: &Packet<'_>, now_ms: u64, book: &mut Book) -> Result<(), String> {
        let at = self.link;
        let fail = |what: &str| Err(format!("link {at}: {what}"));
        let link = &mut book.links[at];
        let party = &mut book.parties[self.client];
        match packet {
            Packet::ConnAck(ack) if link.opened.is_none() && ack.reason == ReasonCode::Success => {
                let present = Some(ack.session_present).filter(|_| self.version != Version::V31);
                book.opened(at, present, now_ms)?;
                if book.links[at].resumed && !self.leaving {
                    self.send_again(book);
                }
            }
            Packet::Disconnect(_) => {}
            _ if link.opened.is_none() => return fail("a packet before CONNACK"),
            Packet::Publish(publish) => {
                let Publish { qos, packet_id, dup, .. } = *publish;
                match qos {
                    QoS::AtMostOnce => {}
                    QoS::AtLeastOnce => self.late.push_back((PacketType::PubAck, packet_id)),
                    QoS::ExactlyOnce => self.late.push_back((PacketType::PubRec, packet_id)),
                }
                let text = std::str::from_utf8(publish.payload).unwrap_or_default();
                let number = text.split(':').next().and_then(|number| number.parse().ok());
                let how = How { qos, packet_id, dup, retain: publish.retain };
                book.arrived(at, number.unwrap_or(u64::MAX), publish.topic, how)?;
            }
            Packet::PubAck(Ack { packet_id, .. }) => {
                book.acknowledged(at, QoS::AtLeastOnce, *packet_id)?;
            }
            Packet::PubRec(Ack { packet_id, .. }) => {
                let owed = (PacketType::PubRel, *packet_id);
                let repeated = party.unreleased.contains_key(packet_id);
                book.acknowledged(at, QoS::ExactlyOnce, *packet_id)?;
                if !repeated {
                    self.late.push_back(owed);
                }
            }
            Packet::PubRel(ack) => {
                party.released(ack.packet_id);
                self.late.push_back((PacketType::PubComp, ack.packet_id));
            }
            Packet::PubComp(ack) if party.unreleased.remove(&ack.packet_id).is_some() => {}
            Packet::PingResp if link.pings > 0 => link.pings -= 1,
            Packet::SubAck(ack) => return book.answered(at, ack.packet_id, true),
            Packet::UnsubAck(ack) => return book.answered(at, ack.packet_id, false),
            _ => return fail("a packet that nobody asked for"),
        }
        Ok(())
    }
}
