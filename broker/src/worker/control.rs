//! What other cores, the log and the process say to this core.

use super::close::Cause;
use super::publish::PUBREC_BIT;
use super::slots::SlotId;
use super::{Control, Core, Stop};
use millrace_codec::{PacketType, QoS, encode_ack};
use millrace_kafka_sink::AckToken;

/// Controls taken in one turn.
const CONTROLS: usize = 1_024;

impl Core {
    pub(super) fn take_control(&mut self) {
        for _ in 0..CONTROLS {
            let Some(control) = self.shared.mailboxes[self.me].next_control() else { return };
            match control {
                Control::Adopt(handoff) => self.adopt(*handoff),
                Control::Durable(tokens) => self.confirm(&tokens),
                Control::Room => {
                    self.flush_outboxes();
                    self.retry_all_held();
                    self.feed = true;
                    self.publish_parked();
                }
                Control::Ask(ask) => self.take_ask(ask),
                Control::Share(note) => self.take_share_note(*note),
                Control::Count(asker) => self.tell_count(asker),
                Control::Counted(counters) => self.take_count(&counters),
                Control::Stop(step) => self.stop(step),
            }
        }
    }

    /// One of the things that each of these acknowledgements waits for has happened. Those of one connection often
    /// follow each other: it is looked up once for all of them.
    fn confirm(&mut self, tokens: &[AckToken]) {
        for run in tokens.chunk_by(|one, next| (one.slot, one.generation) == (next.slot, next.generation)) {
            self.confirm_run(run);
        }
    }

    /// The same for tokens that differ in nothing but their sequences.
    fn confirm_run(&mut self, run: &[AckToken]) {
        let Some(&AckToken { slot, generation, .. }) = run.first() else { return };
        let (position, qos2) = (slot & !PUBREC_BIT, slot & PUBREC_BIT != 0);
        // A session that is gone is owed nothing; its generation tells it from the one that has its place now.
        if !self.sessions.contains(SlotId { index: position, generation }) {
            return;
        }
        let (qos, packet_type) = if qos2 {
            (QoS::ExactlyOnce, PacketType::PubRec)
        } else {
            (QoS::AtLeastOnce, PacketType::PubAck)
        };
        let Some(session) = self.sessions.at_mut(position) else { return };
        let (index, version) = (session.connection, session.version);
        let owed = session.flow().inbound.queue_mut(qos);
        run.iter().for_each(|token| owed.confirm(token.sequence));
        while let Some((packet_id, reason)) = owed.pop_ready() {
            // Whoever is away asks again when he is back.
            let Some(connection) = self.connections.at_mut(index) else { continue };
            let out = Core::output(connection, index, &mut self.dirty, &mut self.outputs).copied();
            encode_ack(packet_type, version, packet_id, reason, out);
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
        self.note_congestion();
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

    /// With the broker all sessions end, those of clients that are away as well.
    fn publish_all_wills(&mut self) {
        for position in self.sessions.indexes() {
            self.publish_will_of(position);
        }
    }
}
