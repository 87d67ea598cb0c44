//! From a routed message to the sessions of this core that want it.

use super::seen::Matches;
use super::{Core, FanOut, SlotId, Target};
use crate::connection::Phase;
use crate::delivery::{Message, Stored};
use crate::hook::{Hooks, Room};
use crate::session::{Options, Queued};
use millrace_codec::{QoS, Version};
use millrace_kafka_sink::EventData;
use millrace_router::Subscriber;
use std::sync::Arc;

/// Payloads from this size on might not fit a packet of another version or QoS.
const HUGE_BYTES: usize = 200 << 20;

/// What became of a message for one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Yes,
    /// It has to wait in the session's queue.
    NotNow,
    /// It waits for room for its record.
    NoRoom,
    Dropped,
}

impl Core {
    /// Delivers to all subscriptions of this core that match, or begins to when they are many.
    pub(super) fn deliver(&mut self, message: &Message<'_>, matches: Matches) {
        let mut targets = std::mem::take(&mut self.scratch.targets);
        targets.clear();
        let mut filters = 0;
        let mut add = |subscribers: &[Subscriber<Options>]| {
            filters += 1;
            targets
                .extend(subscribers.iter().map(|one| Target { session: one.client, options: one.options }));
        };
        match matches {
            Matches::Unknown => self.subscriptions.for_each_match(message.topic, |_, found| add(found)),
            Matches::Known(ids) => {
                ids.into_iter().flatten().for_each(|id| add(self.subscriptions.subscribers(id)));
            }
        }
        if filters > 1 {
            merge(&mut targets);
        }
        self.begin_message(targets.len() == 1);
        if targets.len() > self.budget.deliveries || !self.fan_outs.is_empty() {
            crate::seam::mark(crate::seam::Branch::FanOutLater);
            self.deliver_later(message, &targets);
        } else {
            self.budget.deliveries -= targets.len();
            for target in &targets {
                self.deliver_one(*target, message);
            }
        }
        self.scratch.targets = targets;
    }

    fn begin_message(&mut self, single: bool) {
        self.scratch.frames.next_message(single);
        self.scratch.stored = None;
    }

    /// Later messages go behind this one: order.
    fn deliver_later(&mut self, message: &Message<'_>, targets: &[Target]) {
        let named = |target: &Target| Some((self.sessions.id_at(target.session)?, target.options));
        let targets: Vec<_> = targets.iter().filter_map(named).collect();
        if !targets.is_empty() {
            self.fan_outs.push_back(FanOut { message: Arc::new(Stored::new(message)), targets, next: 0 });
        }
    }

    /// Goes on with deliveries to many, up to this turn's budget.
    pub(super) fn continue_fan_outs(&mut self) {
        let waited = !self.fan_outs.is_empty();
        while let Some(mut fan_out) = self.fan_outs.pop_front() {
            self.begin_message(false);
            self.scratch.stored = Some(Arc::clone(&fan_out.message));
            let message = fan_out.message.message();
            while let Some(&(session, options)) = fan_out.targets.get(fan_out.next) {
                if self.budget.deliveries == 0 {
                    break;
                }
                self.budget.deliveries -= 1;
                fan_out.next += 1;
                if self.sessions.contains(session) {
                    self.deliver_one(Target { session: session.index, options }, &message);
                }
            }
            if fan_out.next < fan_out.targets.len() {
                self.fan_outs.push_front(fan_out);
                return;
            }
        }
        if waited {
            self.retry_all_held();
        }
    }

    fn deliver_one(&mut self, target: Target, message: &Message<'_>) {
        let Some(session) = self.sessions.at(target.session) else { return };
        if target.options.no_local && *session.client_id == *message.from {
            return;
        }
        let qos = message.qos.min(target.options.qos);
        let retain = message.retain && target.options.retain_as_published;
        match self.send(target.session, message, qos, retain, false) {
            Sent::Yes | Sent::Dropped => {}
            Sent::NotNow => self.enqueue(target.session, message, qos, retain),
            Sent::NoRoom => {
                self.enqueue(target.session, message, qos, retain);
                self.starve(target.session);
            }
        }
    }

    /// Sends a message to one session now if that is possible. `queued`: it comes from the front of the session's
    /// queue, so it does not go behind it.
    fn send(&mut self, position: u32, message: &Message<'_>, qos: QoS, retain: bool, queued: bool) -> Sent {
        let Core { sessions, connections, scratch, hooks, counters, .. } = self;
        let Some(session) = sessions.at_mut(position) else { return Sent::Dropped };
        let index = session.connection;
        let Some(connection) = connections.at_mut(index) else { return Sent::Dropped };
        if connection.phase != Phase::Open {
            return Sent::Dropped;
        }
        let version = session.version;
        let limit = session.packet_bytes_max;
        // A few bytes more than came in (packet id, property length) may be more than any packet can carry.
        let unlimited = limit == u32::MAX && message.payload.len() < HUGE_BYTES;
        if !unlimited && scratch.frames.len(message, version, qos).is_none_or(|len| len > limit as usize) {
            counters.dropped_too_large += 1;
            return Sent::Dropped; // [MQTT-3.1.2-24, 3.1.2-25]
        }
        let slow = connection.output_len() as u64 > self.shared.limits.max_output_bytes;
        if qos == QoS::AtMostOnce {
            if slow && !queued {
                counters.dropped_slow += 1;
                return Sent::Dropped;
            }
        } else {
            let outbound = &session.flow().outbound;
            if slow || !outbound.has_room() || (!queued && outbound.has_queue()) {
                return Sent::NotNow;
            }
        }
        let deliver = Hooks::deliver(message.verdict);
        if !deliver.is_none() {
            if !queued && session.flow_if_any().is_some_and(|flow| flow.outbound.has_queue()) {
                return Sent::NotNow; // behind those that wait for room for their records
            }
            let Message { from, topic, payload, .. } = *message;
            let event = EventData::Deliver { from, topic, payload, qos: qos as u8 };
            match hooks.room(deliver, self.now, session.who(), event) {
                Room::Full => return Sent::NoRoom,
                Room::TooLarge => counters.records_too_large += 1,
                Room::Free => {
                    hooks.append(deliver, self.now, session.who(), event, None);
                }
            }
        }
        let mut packet_id = 0;
        if qos != QoS::AtMostOnce {
            let keep = !Hooks::acked(message.verdict).is_none();
            let stored = keep
                .then(|| Arc::clone(scratch.stored.get_or_insert_with(|| Arc::new(Stored::new(message)))));
            packet_id = session.flow().outbound.send(qos, stored);
        }
        counters.delivered += 1;
        let output = Core::output(connection, index, &mut self.dirty, &mut self.outputs);
        scratch.frames.write(message, version, qos, retain && version == Version::V5, packet_id, output);
        Sent::Yes
    }

    /// Remembers a session whose queue waits for room in the ring.
    fn starve(&mut self, position: u32) {
        let Some(id) = self.sessions.id_at(position) else { return };
        let Some(session) = self.sessions.at_mut(position) else { return };
        if std::mem::replace(&mut session.starved, true) {
            return;
        }
        self.starved.push(id);
        // Those that have gone leave their names behind.
        if self.starved.len() > 2 * self.sessions.len() + 64 {
            self.starved.retain(|&id| self.sessions.contains(id));
        }
    }

    fn enqueue(&mut self, position: u32, message: &Message<'_>, qos: QoS, retain: bool) {
        let limits = &self.shared.limits;
        let Some(session) = self.sessions.at_mut(position) else { return };
        let outbound = &mut session.flow().outbound;
        let (messages, bytes) = outbound.queued();
        // The newest is refused: what waits has been promised an order.
        if messages >= limits.max_queued_messages as usize || bytes as u64 >= limits.max_queued_bytes {
            crate::seam::mark(crate::seam::Branch::QueueFull);
            self.counters.dropped_queue_full += 1;
            return;
        }
        let stored = self.scratch.stored.get_or_insert_with(|| Arc::new(Stored::new(message)));
        outbound.enqueue(Queued { message: Arc::clone(stored), qos, retain });
    }

    /// Sends what waits for this connection's session, as far as window and socket allow.
    pub(super) fn pump(&mut self, index: u32) {
        let Some(SlotId { index: position, .. }) = self.session_id(index) else { return };
        loop {
            let flow = self.sessions.at_mut(position).and_then(|session| session.flow_if_any());
            let Some(queued) = flow.and_then(|flow| flow.outbound.front()) else { return };
            let (stored, qos, retain) = (Arc::clone(&queued.message), queued.qos, queued.retain);
            self.begin_message(true);
            self.scratch.stored = Some(Arc::clone(&stored));
            match self.send(position, &stored.message(), qos, retain, true) {
                Sent::Yes | Sent::Dropped => {}
                Sent::NotNow => return,
                Sent::NoRoom => {
                    self.starve(position);
                    return;
                }
            }
            if let Some(flow) = self.sessions.at_mut(position).and_then(|session| session.flow_if_any()) {
                flow.outbound.dequeue();
            }
        }
    }
}

/// One copy for each client: the best of what its overlapping subscriptions grant [MQTT-3.3.5-1].
fn merge(targets: &mut Vec<Target>) {
    targets.sort_unstable_by_key(|target| target.session);
    targets.dedup_by(|later, first| {
        let same = later.session == first.session;
        if same {
            first.options = first.options.merge(later.options);
        }
        same
    });
}
