//! One connection of a client: packets that it sends, and what it makes of those that come.

use super::book::{Asked, Book, How, Message};
use super::deeds::RETAINED;
use millrace_codec::{
    Ack, Packet, PacketType, Properties, Publish, QoS, ReasonCode, Unsubscribe, UnsubscribeFilterBuf, Version,
};
use std::collections::VecDeque;

/// A connection, from the client's side.
pub(super) struct Open {
    pub number: u32,
    pub link: usize,
    pub client: usize,
    pub version: Version,
    pub out: VecDeque<u8>,
    pub input: Vec<u8>,
    /// Answers that it owes, in order.
    pub late: VecDeque<(PacketType, u16)>,
    pub next_id: u16,
    /// Said DISCONNECT or closed its half.
    pub leaving: bool,
}

impl Open {
    pub fn push(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        // What actors say has a form in every version.
        if packet.encode(self.version, &mut bytes).is_ok() {
            self.out.extend(bytes);
        }
    }

    pub fn publish(&mut self, topic: &str, qos: QoS, packet_id: u16, payload: &[u8], dup: bool) {
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
    pub fn id(&mut self, book: &Book) -> u16 {
        loop {
            self.next_id = self.next_id % 200 + 1;
            if !book.uses(self.link, self.next_id) {
                return self.next_id;
            }
        }
    }

    pub fn unsubscribe(&mut self, filter: &'static str, book: &mut Book) {
        let packet_id = self.id(book);
        let ends = book.parties[self.client].end(filter, true);
        book.links[self.link].asked.push_back(Asked { packet_id, filter, begins: None, ends });
        let mut filters = UnsubscribeFilterBuf::new();
        let _ = filters.push(filter);
        let properties = Properties::default();
        self.push(&Packet::Unsubscribe(Unsubscribe { packet_id, properties, filters: filters.as_filters() }));
    }

    /// The session goes on: sends again what is not acknowledged, in its order [MQTT-4.4.0-1].
    pub fn send_again(&mut self, book: &mut Book) {
        let party = &mut book.parties[self.client];
        self.late.extend(party.unreleased.keys().map(|id| (PacketType::PubRel, *id)));
        let pubacks = std::mem::take(&mut party.pubacks);
        let mut all: Vec<_> =
            pubacks.into_iter().map(|(id, number)| (number, id, QoS::AtLeastOnce)).collect();
        all.extend(party.pubrecs.iter().map(|&(id, number)| (number, id, QoS::ExactlyOnce)));
        all.sort_unstable_by_key(|(number, ..)| *number);
        for (mut number, id, qos) in all {
            let Message { topic, clears, .. } = book.messages[number as usize];
            if qos == QoS::AtLeastOnce {
                number = book.publish(self.link, topic, qos);
                book.messages[number as usize].clears = clears;
                book.parties[self.client].pubacks.push_back((id, number));
            }
            let payload = if clears { String::new() } else { format!("{number}:again") };
            self.publish(topic, qos, id, payload.as_bytes(), true);
        }
    }

    pub fn take(&mut self, packet: &Packet<'_>, book: &mut Book) -> Result<(), String> {
        let at = self.link;
        let fail = |what: &str| Err(format!("link {at}: {what}"));
        let link = &mut book.links[at];
        let party = &mut book.parties[self.client];
        match packet {
            Packet::ConnAck(ack) if link.opened.is_none() && ack.reason == ReasonCode::Success => {
                let present = Some(ack.session_present).filter(|_| self.version != Version::V31);
                book.opened(at, present)?;
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
                if publish.payload.is_empty() {
                    let number = book.emptied(publish.topic, how)?;
                    book.parties[self.client].takes(packet_id, number, qos, dup)?;
                    return Ok(());
                }
                let ids: Vec<u32> = publish.properties.subscription_identifiers().collect();
                let ids = Some(&ids[..]).filter(|_| self.version == Version::V5);
                book.arrived(at, number.unwrap_or(u64::MAX), publish.topic, how, ids)?;
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
            Packet::PingResp => return book.ponged(at),
            Packet::SubAck(ack) => return book.answered(at, ack.packet_id, true),
            Packet::UnsubAck(ack) => return book.answered(at, ack.packet_id, false),
            _ => return fail("a packet that nobody asked for"),
        }
        Ok(())
    }
}
