//! What a client does once it is connected: subscribes, publishes, answers.

use super::actor::Actor;
use super::book::{Asked, Book, Sub};
use super::copies::is_shared;
use super::world::World;
use millrace_codec::{
    FilterBuf, Packet, PacketType, Property, PropertyBuf, QoS, ReasonCode, Subscribe, SubscribeOptions,
    Version, encode_ack,
};

const TOPICS: [&str; 7] = ["a/b", "a/c", "a/b/c", "b", "h/a", "h/b", "h/a/b"];
/// What is retained: each topic has one publisher, the client of its position.
pub const RETAINED: [&str; 4] = ["r/a", "r/b", "r/c", "r/d"];
/// Topics of retained wills, each of the client of its position.
pub const WILLS: [&str; 4] = ["w/a", "w/b", "w/c", "w/d"];
const FILTERS: [&str; 15] =
    ["w/+", "w/a", "r/a", "r/+", "r/#", "a/b", "a/+", "a/#", "#", "+/b", "b", "h/#", "h/a", "+/+/c", "h/+/b"];
const SHARED: [&str; 5] =
    ["$share/g/a/+", "$share/g/#", "$share/other/a/#", "$share/other/h/b", "$share/other/r/+"];
/// From this one on, clients mostly share.
const SHARERS: usize = 4;
/// Messages that one client has under way, at most: below the broker's receive maximum.
pub const UNDER_WAY: usize = 6;

/// A QoS for a number.
pub fn qos_of(number: u64) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number as usize % 3]
}

/// Where a client's will goes, and whether it is retained there.
pub fn will_topic(client: usize, world: &World) -> (&'static str, bool) {
    match WILLS.get(client).filter(|_| world.one_in(2)) {
        Some(own) => (own, true),
        None => (TOPICS[world.below(TOPICS.len() as u64) as usize], false),
    }
}

/// A filter for this client, and the identifier that it may go by.
fn filter_for(client: usize, world: &World) -> (&'static str, u32) {
    let shares = if client < SHARERS { world.one_in(6) } else { !world.one_in(6) };
    let all = if shares { &SHARED[..] } else { &FILTERS[..] };
    let at = world.below(all.len() as u64) as usize;
    (all[at], if shares { 100 } else { 1 } + at as u32)
}

impl Actor {
    pub(super) fn ping(&mut self, book: &mut Book) {
        let Some(open) = self.usable() else { return };
        open.push(&Packet::PingReq);
        let link = &mut book.links[open.link];
        link.pings.push_back(link.said);
    }

    pub(super) fn subscribe(&mut self, world: &World, book: &mut Book) {
        let Some(open) = self.usable() else { return };
        let (filter, id) = filter_for(open.client, world);
        // A member that takes everything with QoS 0 may lose what would be another's.
        let qos = qos_of(world.below(3).max(u64::from(is_shared(filter) && !world.one_in(6))));
        let id = if open.version == Version::V5 && world.one_in(2) { id } else { 0 };
        let packet_id = open.id(book);
        let party = &mut book.parties[open.client];
        let ends = party.end(filter, false);
        let begins = Some(party.subs.len());
        party.subs.push(Sub {
            link: open.link,
            filter,
            qos,
            id,
            granted: None,
            revoked: false,
            end_asked: false,
            ended: None,
        });
        book.links[open.link].asked.push_back(Asked { packet_id, filter, begins, ends });
        let mut filters = FilterBuf::new();
        let _ = filters.push(filter, SubscribeOptions { qos, ..SubscribeOptions::default() });
        let mut properties = PropertyBuf::new();
        if id > 0 {
            let _ = properties.push(Property::SubscriptionIdentifier(id));
        }
        let properties = properties.as_properties();
        open.push(&Packet::Subscribe(Subscribe { packet_id, properties, filters: filters.as_filters() }));
    }

    pub(super) fn unsubscribe(&mut self, world: &World, book: &mut Book) {
        let Some(open) = self.usable() else { return };
        let (filter, _) = filter_for(open.client, world);
        open.unsubscribe(filter, book);
    }

    pub(super) fn publish(&mut self, world: &World, book: &mut Book) {
        let Some(open) = self.usable() else { return };
        // What a session that goes on sends again comes first.
        let opened = book.links[open.link].opened.is_some();
        let own = RETAINED.get(open.client).filter(|_| opened && world.one_in(3));
        let topic = own.copied().unwrap_or_else(|| TOPICS[world.below(TOPICS.len() as u64) as usize]);
        let mut qos = qos_of(world.below(3));
        // QoS 1 and 2 on one topic would be taken in another order than they were sent, once some are sent again.
        if own.is_some() && qos != QoS::AtMostOnce {
            qos = qos_of(1 + open.client as u64 % 2);
        }
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
        let mut payload = format!("{number}:{}", "x".repeat(padding as usize));
        if own.is_some() && world.one_in(4) {
            payload.clear();
            book.messages[number as usize].clears = true;
        }
        open.publish(topic, qos, packet_id, payload.as_bytes(), false);
        world.note("publish", number, open.link as u64);
    }

    /// Sends a QoS 2 message again that it has not released.
    pub(super) fn repeat(&mut self, world: &World, book: &mut Book) {
        // In a session that goes on, the PUBREL may have been sent before.
        let Some(open) = self.usable().filter(|open| !book.links[open.link].resumed) else { return };
        let party = &book.parties[open.client];
        let late = |id: &u16| open.late.contains(&(PacketType::PubRel, *id));
        let Some((&id, &number)) = party.unreleased.iter().find(|(id, _)| late(id)) else { return };
        let message = &book.messages[number as usize];
        world.note("repeat", number, id.into());
        let topic = message.topic;
        let payload = if message.clears { String::new() } else { format!("{number}:again") };
        open.publish(topic, QoS::ExactlyOnce, id, payload.as_bytes(), true);
    }

    /// Sends some of the answers that it owes.
    pub(super) fn answer(&mut self, most: usize, book: &mut Book) {
        let Some(open) = self.usable() else { return };
        for _ in 0..most {
            let Some((packet_type, id)) = open.late.pop_front() else { return };
            let mut bytes = Vec::new();
            encode_ack(packet_type, open.version, id, ReasonCode::Success, &mut bytes);
            open.out.extend(bytes);
            let link = &mut book.links[open.link];
            link.said += 1;
            if packet_type == PacketType::PubAck
                && let Some(copy) = link.unsettled.remove(&id)
            {
                link.settling.push_back((link.said - 1, copy));
            }
        }
    }
}
