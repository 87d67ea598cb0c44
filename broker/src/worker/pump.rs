//! From a session's window and queue to its connection: what a client that is back gets again, then what waits.

use super::deliver::{Sent, Terms, fits};
use super::{Core, SlotId};
use crate::delivery::{Alias, Own};
use crate::session::{Queued, Resend};
use millrace_codec::{PacketType, ReasonCode};
use std::sync::Arc;

impl Core {
    /// Sends what waits for this connection's session, as far as window and socket allow: first again what a client
    /// that is back has not acknowledged, then the queue.
    pub(super) fn pump(&mut self, index: u32) {
        let Some(SlotId { index: position, .. }) = self.session_id(index) else { return };
        let flow = self.sessions.at_mut(position).and_then(|session| session.flow_if_any());
        if !flow.is_some_and(|flow| flow.outbound.has_more()) || !self.resend(index, position) {
            return;
        }
        let mut list = std::mem::take(&mut self.scratch.list);
        while let Some(flow) = self.sessions.at_mut(position).and_then(|session| session.flow_if_any())
            && let Some(Queued { message, qos, retain, subscription_id }) = flow.outbound.front()
        {
            let (qos, retain, subscription_id) = (*qos, *retain, *subscription_id);
            let terms = Terms { qos, retain, subscription_id, patient: false };
            let stored = Arc::clone(message);
            self.begin_message(true);
            self.scratch.stored = Some(Arc::clone(&stored));
            let sent = match stored.message_at(self.now.mono_ms, &mut list) {
                Some(message) => self.send(position, &message, terms, true),
                None => {
                    self.counters.dropped_expired += 1;
                    Sent::Dropped
                }
            };
            match sent {
                Sent::Yes | Sent::Dropped => {}
                Sent::NotNow => break,
                Sent::NoRoom => {
                    self.starve(position);
                    break;
                }
            }
            if let Some(flow) = self.sessions.at_mut(position).and_then(|session| session.flow_if_any()) {
                flow.outbound.dequeue();
            }
            self.scratch.stored = None;
            self.scratch.spares.give_back(stored);
        }
        self.scratch.list = list;
        self.ask(position);
    }

    /// Sends again what a client that is back has not acknowledged, with the packet ids it knows. `false`: there is
    /// more of it than may be sent now, and nothing new goes before it.
    fn resend(&mut self, index: u32, position: u32) -> bool {
        let output_max = self.shared.limits.max_output_bytes;
        loop {
            let Core { sessions, connections, scratch, counters, .. } = self;
            let Some(session) = sessions.at_mut(position) else { return false };
            let Some(connection) = connections.at_mut(index) else { return false };
            if connection.output_len() as u64 > output_max {
                return false;
            }
            let (version, limit) = (session.version, session.packet_bytes_max);
            let outbound = &mut session.flow().outbound;
            let (packet_id, queued) = match outbound.resend() {
                None => return outbound.is_caught_up(),
                Some(Resend::PubRel(packet_id)) => {
                    self.ack(index, PacketType::PubRel, packet_id, ReasonCode::Success);
                    continue;
                }
                Some(Resend::Publish(packet_id, queued)) => (packet_id, queued),
            };
            // Begun before it expired, so it is sent again whatever its age is, with the last second of its expiry.
            let at_ms = self.now.mono_ms.min(queued.message.expires_ms().saturating_sub(1));
            let message = queued.message.message_at(at_ms, &mut scratch.list);
            let message = message.unwrap_or_else(|| queued.message.message());
            let Queued { qos, retain, subscription_id, .. } = queued;
            let terms = Terms { qos, retain, subscription_id, patient: false };
            scratch.frames.next_message(true);
            if fits(&mut scratch.frames, &message, terms, version, limit).is_none() {
                counters.dropped_too_large += 1;
                outbound.give_up(packet_id);
                continue;
            }
            let output = Core::output(connection, index, &mut self.dirty, &mut self.outputs);
            let own = Own { dup: true, subscription_id, alias: Alias::None };
            scratch.frames.write_own(&message, version, qos, retain, packet_id, own, output);
        }
    }
}
