//! A client: does what a random client does, reads what comes, and tells the book of both.

use super::book::{Asked, Book, Sub};
use super::world::World;
use crate::net::network::Line;
use millrace_codec::{
    Ack, Connect, Disconnect, FilterBuf, Packet, PacketType, Properties, Property, PropertyBuf, Publish, QoS,
    ReasonCode, Subscribe, SubscribeOptions, Unsubscribe, UnsubscribeFilterBuf, Version, decode, encode_ack,
    frame_header,
};
use std::collections::VecDeque;

const TOPICS: [&str; 7] = ["a/b", "a/c", "a/b/c", "b", "h/a", "h/b", "h/a/b"];
const FILTERS: [&str; 10] = ["a/b", "a/+", "a/#", "#", "+/b", "b", "h/#", "h/a", "+/+/c", "h/+/b"];
const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Messages that one client has under way, at most: below the broker's receive maximum.
const UNDER_WAY: usize = 6;

struct Open {
    number: u32,
    link: usize,
    version: Version,
    out: VecDeque<u8>,
    input: Vec<u8>,
    /// Answers that it owes, in order.
    late: VecDeque<(PacketType, u16)>,
    next_id: u16,
    /// Said DISCONNECT or closed its half.
    leaving: bool,
}

/// One client. Several have the same client id, so that they take over each other's connections.
pub struct Actor {
    client: usize,
    open: Option<Open>,
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
        Actor { client, open: None, stalled: false }
    }

    /// One random deed.
    pub fn act(&mut self, world: &World, book: &mut Book) -> Result<(), String> {
        if self.open.is_none() {
            self.connect(world, book);
            return Ok(());
        }
        match world.below(100) {
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
        self.read(world, book)?;
        self.answer(usize::MAX);
        let had = self.open.as_ref().is_some_and(|open| !open.out.is_empty());
        self.send(world);
        Ok(had || world.hash() != before)
    }

    /// Ends without a word.
    pub fn vanish(&mut self, world: &World, book: &mut Book) {
        if let Some(open) = self.open.take() {
            world.note("reset", open.number.into(), 0);
            world.network().reset(open.number);
            book.links[open.link].over = true;
        }
    }

    fn connect(&mut self, world: &World, book: &mut Book) {
        let version = VERSIONS[world.below(3) as usize];
        let number = world.connect();
        world.note("connect", number.into(), self.client as u64);
        let link = book.link(self.client);
        let mut open = Open {
            number,
            link,
            version,
            out: VecDeque::new(),
            input: Vec::new(),
            late: VecDeque::new(),
            next_id: 0,
            leaving: false,
        };
        let mut properties = PropertyBuf::new();
        if version == Version::V5 && world.one_in(2) {
            // Fails only for long texts.
            let _ = properties.push(Property::ReceiveMaximum(1 + world.below(4) as u16));
        }
        let connect = Connect {
            version,
            clean_start: world.one_in(2),
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

        let link = &mut book.links[open.link];
        let packet_id = open.id(link);
        let ends = link.end(filter);
        link.subs.push(Sub { filter, qos, granted: None, end_asked: false, ended: None });
        link.asked.push_back(Asked { packet_id, begins: Some(link.subs.len() - 1), ends });
        let mut filters = FilterBuf::new();
        let _ = filters.push(filter, SubscribeOptions { qos, ..SubscribeOptions::default() });
        let properties = Properties::default();
        open.push(&Packet::Subscribe(Subscribe { packet_id, properties, filters: filters.as_filters() }));
    }

    fn unsubscribe(&mut self, world: &World, book: &mut Book) {
        let Some(open) = self.usable() else { return };
        let filter = FILTERS[world.below(FILTERS.len() as u64) as usize];
        let link = &mut book.links[open.link];
        let packet_id = open.id(link);
        let ends = link.end(filter);
        link.asked.push_back(Asked { packet_id, begins: None, ends });
        let mut filters = UnsubscribeFilterBuf::new();
        let _ = filters.push(filter);
        let properties = Properties::default();
        open.push(&Packet::Unsubscribe(Unsubscribe { packet_id, properties, filters: filters.as_filters() }));
    }

    fn publish(&mut self, world: &World, book: &mut Book) {
        let Some(open) = self.usable() else { return };
        let topic = TOPICS[world.below(TOPICS.len() as u64) as usize];
        let mut qos = qos_of(world.below(3));
        let link = &book.links[open.link];
        let v5 = open.version == Version::V5;
        // Nothing but what was promised; a 3.x client may send more of QoS 1, and waits then.
        let under_way = link.pubacks.len() + link.pubrecs.len() + link.unreleased.len();
        if under_way >= UNDER_WAY && (v5 || link.pubrecs.len() + link.unreleased.len() >= UNDER_WAY) {
            qos = QoS::AtMostOnce;
        }
        if v5 && !link.open {
            qos = QoS::AtMostOnce;
        }
        let packet_id = if qos == QoS::AtMostOnce { 0 } else { open.id(link) };
        let number = book.publish(open.link, topic, qos);
        let link = &mut book.links[open.link];
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => link.pubacks.push_back((packet_id, number)),
            QoS::ExactlyOnce => link.pubrecs.push_back((packet_id, number)),
        }
        let padding = if world.one_in(8) { world.below(3_000) } else { world.below(30) };
        let payload = format!("{number}:{}", "x".repeat(padding as usize));
        open.publish(topic, qos, packet_id, payload.as_bytes(), false);
        world.note("publish", number, open.link as u64);
    }

    /// Sends a QoS 2 message again that it has not released.
    fn repeat(&mut self, world: &World, book: &mut Book) {
        let Some(open) = self.usable() else { return };
        let link = &book.links[open.link];
        let late = |id: &u16| open.late.contains(&(PacketType::PubRel, *id));
        let Some((&id, &number)) = link.unreleased.iter().find(|(id, _)| late(id)) else { return };
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
            open.take(&packet, book)?;
        }
        if line != Line::Open {
            // Perhaps in the middle of a packet: a client that is slow loses the last words of a closing connection.
            let link = open.link;
            world.network().reset(open.number);
            world.note("closed", open.number.into(), 0);
            book.links[link].over = true;
            self.open = None;
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
            retain: false,
            topic,
            packet_id,
            properties,
            payload,
        }));
    }

    /// A packet id that is not in use.
    fn id(&mut self, link: &super::book::Link) -> u16 {
        loop {
            self.next_id = self.next_id % 200 + 1;
            if !link.uses(self.next_id) {
                return self.next_id;
            }
        }
    }

    fn take(&mut self, packet: &Packet<'_>, book: &mut Book) -> Result<(), String> {
        let (at, now) = (self.link, book.tick());
        let fail = |what: &str| Err(format!("link {at}: {what}"));
        let link = &mut book.links[at];
        match packet {
            Packet::ConnAck(ack) if !link.open && ack.reason == ReasonCode::Success => link.open = true,
            Packet::Disconnect(_) => {}
            _ if !link.open => return fail("a packet before CONNACK"),
            Packet::Publish(publish) => {
                match publish.qos {
                    QoS::AtMostOnce => {}
                    QoS::AtLeastOnce => self.late.push_back((PacketType::PubAck, publish.packet_id)),
                    QoS::ExactlyOnce => self.late.push_back((PacketType::PubRec, publish.packet_id)),
                }
                let text = std::str::from_utf8(publish.payload).unwrap_or_default();
                let number = text.split(':').next().and_then(|number| number.parse().ok());
                book.arrived(at, number.unwrap_or(u64::MAX), publish.topic, publish.qos)?;
            }
            Packet::PubAck(Ack { packet_id, .. }) => {
                book.acknowledged(at, QoS::AtLeastOnce, *packet_id)?;
            }
            Packet::PubRec(Ack { packet_id, .. }) => {
                let owed = (PacketType::PubRel, *packet_id);
                let repeated = link.unreleased.contains_key(packet_id);
                book.acknowledged(at, QoS::ExactlyOnce, *packet_id)?;
                if !repeated {
                    self.late.push_back(owed);
                }
            }
            Packet::PubRel(ack) => self.late.push_back((PacketType::PubComp, ack.packet_id)),
            Packet::PubComp(ack) if link.unreleased.remove(&ack.packet_id).is_some() => {}
            Packet::PingResp if link.pings > 0 => link.pings -= 1,
            Packet::SubAck(ack) => return link.answered(ack.packet_id, true, now),
            Packet::UnsubAck(ack) => return link.answered(ack.packet_id, false, now),
            _ => return fail("a packet that nobody asked for"),
        }
        Ok(())
    }
}
