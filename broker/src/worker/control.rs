//! What other cores, the log and the process say to this core.

use super::close::Cause;
use super::publish::PUBREC_BIT;
use super::slots::SlotId;
use super::{Control, Core, Stop};
use millrace_codec::{PacketType, QoS};
use millrace_kafka_sink::AckToken;

/// Controls taken in one turn.
const CONTROLS: usize = 1_024;

impl Core {
    pub(super) fn take_control(&mut self) {
        for _ in 0..CONTROLS {
            let Some(control) = self.shared.mailboxes[self.me].next_control() else { return };
            match control {
                Control::Adopt(handoff) => self.adopt(*handoff),
                Control::Durable(tokens) => tokens.iter().for_each(|&token| self.confirm(token)),
                Control::Room => {
                    self.flush_outboxes();
                    self.retry_all_held();
                    self.feed = true;
                }
                Control::Stop(step) => self.stop(step),
            }
        }
    }

    /// One of the things that an acknowledgement waits for has happened.
    fn confirm(&mut self, token: AckToken) {
        let (index, qos2) = (token.slot & !PUBREC_BIT, token.slot & PUBREC_BIT != 0);
        // A connection that is gone is owed nothing; its generation tells it from the one that has its place now.
        if !self.connections.contains(SlotId { index, generation: token.generation }) {
            return;
        }
        let Some(id) = self.session_id(index) else { return };
        let (qos, packet_type) = if qos2 {
            (QoS::ExactlyOnce, PacketType::PubRec)
        } else {
            (QoS::AtLeastOnce, PacketType::PubAck)
        };
        let Some(session) = self.sessions.at_mut(id.index) else { return };
        session.flow().inbound.queue_mut(qos).confirm(token.sequence);
        loop {
            let Some(session) = self.sessions.at_mut(id.index) else { return };
            let Some((packet_id, reason)) = session.flow().inbound.queue_mut(qos).pop_ready() else { break };
            self.ack(index, packet_type, packet_id, reason);
        }
        // A 3.x client that waited for room in this queue.
        self.retry_if_held(index);
    }

    /// Sends to other cores what did not fit before.
    pub(super) fn flush_outboxes(&mut self) {
        for target in 0..self.outboxes.len() {
            if !self.outboxes[target].is_empty() {
                self.outboxes[target].flush(self.me, &self.shared.mailboxes[target]);
            }
        }
    }

    /// The ring has room: sessions that waited for it to record their deliveries go on, before held publishers are
    /// tried again. Those would fill it up each time, and the queues here would only grow.
    pub(super) fn feed_starved(&mut self) {
        if !std::mem::take(&mut self.feed) {
            return;
        }
        for id in std::mem::take(&mut self.starved) {
            if self.sessions.contains(id)
                && let Some(session) = self.sessions.at_mut(id.index)
            {
                session.starved = false;
                let connection = session.connection;
                self.pump(connection);
            }
        }
    }

    /// A step of the clean stop. All cores finish one before the next begins, so wills still reach everybody.
    fn stop(&mut self, step: Stop) {
        self.stop = Some(step);
        self.stop_reported = false;
        match step {
            Stop::Listeners => {
                self.listeners.clear();
                self.accepting = false;
                self.publish_all_wills();
            }
            Stop::Clients => {
                // Every core has sent its wills by now; what of them lies here goes out before the goodbyes.
                self.take_all_batches();
                for index in self.connections.indexes() {
                    self.close(index, Cause::ServerShutdown);
                }
            }
            Stop::Now => {}
        }
    }

    fn publish_all_wills(&mut self) {
        for position in self.sessions.indexes() {
            let Some(will) = self.sessions.at_mut(position).and_then(|session| session.will.take()) else {
                continue;
            };
            // The will speaks in its session's name, which routing must be free to change meanwhile.
            if let Some(session) = self.sessions.at(position) {
                let name = crate::session::Session::new(
                    &session.client_id,
                    session.username.as_deref(),
                    session.version,
                    0,
                    0,
                );
                self.publish_will(&name, &will);
            }
        }
    }
}
