//! PUBACK, PUBREC, PUBREL and PUBCOMP, either way.

use super::{Core, Next, SlotId};
use crate::hook::{Hooks, Room};
use crate::session::{Acked, Received};
use millrace_codec::{Ack, Error, PacketType, QoS, ReasonCode, encode_ack};
use millrace_kafka_sink::EventData;
use std::sync::Arc;

/// An acknowledgement of the other QoS, or of a step that has not come yet (section 4.3).
const MISPLACED: Error = Error::protocol("an acknowledgement that the message does not wait for");

impl Core {
    /// Sends an acknowledgement.
    #[inline]
    pub(super) fn ack(&mut self, index: u32, packet_type: PacketType, packet_id: u16, reason: ReasonCode) {
        if let Some(connection) = self.connections.at_mut(index) {
            let version = connection.version;
            let out = Core::output(connection, index, &mut self.dirty, &mut self.outputs).copied();
            encode_ack(packet_type, version, packet_id, reason, out);
        }
    }

    /// Something that a held packet of this connection may have waited for has happened.
    pub(super) fn retry_if_held(&mut self, index: u32) {
        let id = self.connections.id_at(index);
        if let Some(connection) = self.connections.at_mut(index)
            && connection.held
            && !std::mem::replace(&mut connection.retrying, true)
        {
            self.retry.extend(id);
        }
    }

    /// A QoS 1 message has arrived.
    pub(super) fn puback(&mut self, index: u32, ack: &Ack<'_>) -> Next {
        self.delivered(index, QoS::AtLeastOnce, ack)
    }

    /// A QoS 2 message has arrived for good.
    pub(super) fn pubcomp(&mut self, index: u32, ack: &Ack<'_>) -> Next {
        self.delivered(index, QoS::ExactlyOnce, ack)
    }

    fn delivered(&mut self, index: u32, qos: QoS, ack: &Ack<'_>) -> Next {
        let Some(id) = self.session_id(index) else { return Next::Gone };
        // A refusal (5.0) ends the delivery, but confirms nothing.
        let confirmed = self.hooks.follows_messages() && !ack.reason.is_error();
        if confirmed && self.record_acked(id, qos, ack.packet_id) == Room::Full {
            return Next::Hold;
        }
        let Some(flow) = self.sessions.at_mut(id.index).and_then(|session| session.flow_if_any()) else {
            return Next::Go;
        };
        let acked = match qos {
            QoS::ExactlyOnce => flow.outbound.pubcomp(ack.packet_id),
            _ => flow.outbound.puback(ack.packet_id),
        };
        let held = match acked {
            Acked::Released(held) => held,
            Acked::Unknown => return Next::Go,
            Acked::Misplaced => return self.illegal(index, MISPLACED),
        };
        let more = flow.outbound.has_more();
        if let Some(stored) = held {
            self.scratch.spares.give_back(stored);
        }
        if more {
            self.pump(index);
        }
        self.note_load(id.index);
        Next::Go
    }

    /// The record of `message.acked`, if a rule wants it and the message is still in flight.
    fn record_acked(&mut self, id: SlotId, qos: QoS, packet_id: u16) -> Room {
        let Some(session) = self.sessions.at_mut(id.index) else { return Room::Free };
        let Some(flow) = session.flow_if_any() else { return Room::Free };
        let Some(held) = flow.outbound.held(qos, packet_id) else { return Room::Free };
        let taken = Hooks::acked(held.verdict());
        if taken.is_none() {
            return Room::Free;
        }
        let held = Arc::clone(held);
        let message = held.message();
        let event = EventData::Acked {
            from: message.from,
            topic: message.topic,
            payload: message.payload,
            qos: qos as u8,
        };
        let room = self.hooks.room(taken, self.now, session.who(), event);
        match room {
            Room::Free => {
                self.hooks.append(taken, self.now, session.who(), event, None);
            }
            Room::TooLarge => self.counters.records_too_large += 1,
            Room::Full => {}
        }
        room
    }

    /// A QoS 2 message has been received by the client.
    pub(super) fn pubrec(&mut self, index: u32, ack: &Ack<'_>) -> Next {
        let Some(id) = self.session_id(index) else { return Next::Gone };
        let refused = ack.reason.is_error();
        let flow = self.sessions.at_mut(id.index).and_then(|session| session.flow_if_any());
        let received = flow.map_or(Received::Unknown, |flow| flow.outbound.pubrec(ack.packet_id, refused));
        match received {
            Received::SendPubRel => self.ack(index, PacketType::PubRel, ack.packet_id, ReasonCode::Success),
            Received::Refused => {
                self.pump(index);
                self.note_load(id.index);
            }
            Received::Misplaced => return self.illegal(index, MISPLACED),
            Received::Unknown if refused => {}
            Received::Unknown => {
                self.ack(index, PacketType::PubRel, ack.packet_id, ReasonCode::PacketIdentifierNotFound);
            }
        }
        Next::Go
    }

    /// The client releases the packet id of a QoS 2 message that it sent.
    pub(super) fn pubrel(&mut self, index: u32, ack: &Ack<'_>) -> Next {
        let Some(id) = self.session_id(index) else { return Next::Gone };
        let flow = self.sessions.at_mut(id.index).and_then(|session| session.flow_if_any());
        let known = flow.is_some_and(|flow| flow.inbound.release(ack.packet_id));
        // The PUBCOMP may have been lost with the connection before: no error during recovery (5.0, 3.7.2.1).
        let recovers = self.connections.at(index).is_some_and(|connection| connection.resumed);
        let reason = match known || recovers {
            true => ReasonCode::Success,
            false => ReasonCode::PacketIdentifierNotFound,
        };
        self.ack(index, PacketType::PubComp, ack.packet_id, reason);
        // A 3.x client's next PUBLISH may have waited for this.
        self.retry_if_held(index);
        Next::Go
    }
}
