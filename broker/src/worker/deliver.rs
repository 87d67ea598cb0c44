//! From a routed message to the sessions of this core that want it.

use super::seen::Matches;
use super::share::GROUP_BIT;
use super::{Core, FanOut, Target};
use crate::config::{Overlap, QueueFull};
use crate::connection::Phase;
use crate::delivery::{Alias, Frames, Message, Own};
use crate::hook::{Hooks, Room};
use crate::session::{Options, QueueLimits, Queued};
use millrace_codec::{Properties, Property, PropertyBuf, QoS, Version};
use millrace_kafka_sink::EventData;
use millrace_router::Subscriber;
use std::sync::Arc;

/// Payloads from this size on might not fit a packet of another version or QoS.
const HUGE_BYTES: usize = 200 << 20;

/// More than a subscription identifier adds to a packet: itself, and another byte for each of two lengths.
const ID_BYTES: usize = 7;
/// More than a topic alias adds.
const ALIAS_BYTES: usize = 5;

/// How one session gets a message.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// The QoS of the delivery.
    pub qos: QoS,
    /// Its retain flag.
    pub retain: bool,
    /// Of its subscription; 0 for none.
    pub subscription_id: u32,
    /// With QoS 0 as well it waits for a client that is slow or away.
    pub patient: bool,
}

impl Terms {
    /// What a subscription grants of a message.
    #[inline]
    pub fn of(options: Options, message: &Message<'_>) -> Terms {
        Terms {
            qos: message.qos.min(options.qos()),
            retain: message.retain && options.retain_as_published(),
            subscription_id: options.subscription_id(),
            patient: false,
        }
    }
}

/// What became of a message for one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Yes,
    /// It has to wait in the session's queue, for room or for the client to come back.
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
            targets.extend(subscribers.iter().map(|one| Target {
                session: one.client,
                options: one.options,
                several_ids: false,
            }));
        };
        match matches {
            Matches::Unknown => self.subscriptions.for_each_match(message.topic, |_, found| add(found)),
            Matches::Known(ids) => {
                ids.into_iter().flatten().for_each(|id| add(self.subscriptions.subscribers(id)));
            }
        }
        self.scratch.ids.clear();
        if !self.groups.is_empty() && targets.iter().any(|target| target.session & GROUP_BIT != 0) {
            self.begin_message(targets.len() == 1);
            self.deliver_to_groups(message, &mut targets);
            if targets.is_empty() {
                self.scratch.targets = targets;
                return;
            }
        }
        if filters > 1 && self.shared.limits.overlap == Overlap::One {
            // A subscription that grants its own client nothing has no part in what others grant.
            targets.retain(|target| !target.options.no_local() || !self.is_own(*target, message));
            merge(&mut targets, &mut self.scratch.ids);
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

    pub(super) fn begin_message(&mut self, single: bool) {
        self.scratch.frames.next_message(single);
        self.scratch.stored = None;
    }

    /// Later messages go behind this one: order.
    fn deliver_later(&mut self, message: &Message<'_>, targets: &[Target]) {
        let named = |target: &Target| Some((self.sessions.id_at(target.session)?, *target));
        let targets: Vec<_> = targets.iter().filter_map(named).collect();
        if !targets.is_empty() {
            let message = self.scratch.spares.store(message, self.now.mono_ms);
            let ids = std::mem::take(&mut self.scratch.ids);
            self.fan_outs.push_back(FanOut { message, targets, ids, next: 0 });
        }
    }

    fn is_own(&self, target: Target, message: &Message<'_>) -> bool {
        self.sessions.at(target.session).is_some_and(|session| *session.client_id == *message.from)
    }

    /// Goes on with deliveries to many, up to this turn's budget.
    pub(super) fn continue_fan_outs(&mut self) {
        let waited = !self.fan_outs.is_empty();
        while let Some(mut fan_out) = self.fan_outs.pop_front() {
            self.begin_message(false);
            self.scratch.stored = Some(Arc::clone(&fan_out.message));
            std::mem::swap(&mut self.scratch.ids, &mut fan_out.ids);
            let message = fan_out.message.message();
            while let Some(&(session, target)) = fan_out.targets.get(fan_out.next) {
                if self.budget.deliveries == 0 {
                    break;
                }
                self.budget.deliveries -= 1;
                fan_out.next += 1;
                if self.sessions.contains(session) {
                    self.deliver_one(target, &message);
                }
            }
            if fan_out.next < fan_out.targets.len() {
                std::mem::swap(&mut self.scratch.ids, &mut fan_out.ids);
                self.fan_outs.push_front(fan_out);
                return;
            }
        }
        if waited {
            self.retry_all_held();
        }
    }

    #[inline]
    fn deliver_one(&mut self, target: Target, message: &Message<'_>) {
        if target.several_ids || target.options.no_local() || message.order != 0 {
            return self.deliver_specially(target, message);
        }
        let terms = Terms::of(target.options, message);
        self.deliver_or_queue(target.session, message, terms);
    }

    /// What few deliveries need.
    #[cold]
    fn deliver_specially(&mut self, target: Target, message: &Message<'_>) {
        if target.options.no_local() && self.is_own(target, message) {
            return;
        }
        let taken = match target.several_ids {
            true => self.deliver_with_ids(target, message),
            false => self.deliver_or_queue(target.session, message, Terms::of(target.options, message)),
        };
        // What was dropped may still come as a retained message.
        if taken && message.order != 0 {
            self.saw_live(target.session, message);
        }
    }

    /// A message that was published to be retained is delivered: what a scan under way brings of its topic may be older.
    fn saw_live(&mut self, position: u32, message: &Message<'_>) {
        let extra = self.sessions.at_mut(position).and_then(|session| session.extra_if_any());
        if let Some(scan) = extra.and_then(|extra| extra.scans.front_mut()) {
            scan.saw(message.topic, message.order);
        }
    }

    /// To a client with several subscriptions that match, all their identifiers in one packet [MQTT-3.3.4-4]. They
    /// are made properties of a message of its own.
    fn deliver_with_ids(&mut self, target: Target, message: &Message<'_>) -> bool {
        let mut list = PropertyBuf::new();
        list.push_where(Properties::from_validated(message.properties), |_| true);
        let ids = &self.scratch.ids;
        let first = ids.partition_point(|(session, _)| *session < target.session);
        for (_, id) in ids.iter().skip(first).take_while(|(session, _)| *session == target.session) {
            // Fails for no identifier that was received.
            let _ = list.push(Property::SubscriptionIdentifier(*id));
        }
        let terms = Terms { subscription_id: 0, ..Terms::of(target.options, message) };
        let shared = self.scratch.stored.take();
        self.scratch.frames.next_message(true);
        let message = Message { properties: list.as_properties().raw(), ..*message };
        let taken = self.deliver_or_queue(target.session, &message, terms);
        self.begin_message(false);
        self.scratch.stored = shared;
        taken
    }

    /// Sends a message to one session now or later. `false`: neither, it is dropped.
    #[inline]
    pub(super) fn deliver_or_queue(&mut self, session: u32, message: &Message<'_>, terms: Terms) -> bool {
        match self.send(session, message, terms, false) {
            Sent::Yes => true,
            Sent::Dropped => false,
            waits => self.queue_up(session, message, terms, waits),
        }
    }

    /// A message that cannot be sent now.
    #[cold]
    fn queue_up(&mut self, session: u32, message: &Message<'_>, terms: Terms, waits: Sent) -> bool {
        let queued = self.enqueue(session, message, terms);
        if waits == Sent::NoRoom {
            self.starve(session);
        }
        queued
    }

    /// Sends a message to one session now if that is possible. `queued`: it comes from the front of the session's
    /// queue, so it does not go behind it.
    pub(super) fn send(&mut self, position: u32, message: &Message<'_>, terms: Terms, queued: bool) -> Sent {
        let Core { sessions, connections, scratch, hooks, counters, .. } = self;
        let Some(session) = sessions.at_mut(position) else { return Sent::Dropped };
        let index = session.connection;
        let Terms { qos, retain, subscription_id, patient } = terms;
        let limits = &self.shared.limits;
        let Some(connection) = connections.at_mut(index) else {
            // Its client is away.
            let waits = qos != QoS::AtMostOnce || patient || limits.queue_qos0;
            return if waits { Sent::NotNow } else { Sent::Dropped };
        };
        if connection.phase != Phase::Open {
            return Sent::Dropped;
        }
        let version = session.version;
        let limit = session.packet_bytes_max;
        let Some(len) = fits(&mut scratch.frames, message, terms, version, limit) else {
            counters.dropped_too_large += 1;
            return Sent::Dropped; // [MQTT-3.1.2-24, 3.1.2-25]
        };
        let slow = connection.output_len() as u64 > limits.max_output_bytes;
        if qos == QoS::AtMostOnce {
            if slow && (queued || patient) {
                return Sent::NotNow;
            }
            if slow {
                counters.dropped_slow += 1;
                return Sent::Dropped;
            }
            // Behind those that came while its client was away; and no older retained message comes after this one.
            let in_order = (patient || message.order != 0 || limits.queue_qos0) && !queued;
            if in_order && session.flow_if_any().is_some_and(|flow| flow.outbound.has_queue()) {
                return Sent::NotNow;
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
            let keep = session.is_kept() || message.share != 0 || !Hooks::acked(message.verdict).is_none();
            let now_ms = self.now.mono_ms;
            let stored = keep.then(|| Arc::clone(scratch.stored(message, now_ms)));
            packet_id = session.flow().outbound.send(qos, retain, subscription_id, stored);
        }
        counters.delivered += 1;
        counters.delivered_bytes += message.payload.len() as u64;
        let output = Core::output(connection, index, &mut self.dirty, &mut self.outputs);
        let mut alias = Alias::None;
        if version == Version::V5
            && let Some(extra) = session.extra_if_any()
            && len + ALIAS_BYTES <= limit as usize
        {
            alias = extra.given.give(message.topic);
        }
        if subscription_id == 0 && alias == Alias::None {
            scratch.frames.write(message, version, qos, retain, packet_id, output);
        } else {
            let own = Own { dup: false, subscription_id, alias };
            scratch.frames.write_own(message, version, qos, retain, packet_id, own, output);
        }
        Sent::Yes
    }

    /// Remembers a session whose queue waits for room in the ring.
    pub(super) fn starve(&mut self, position: u32) {
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

    fn enqueue(&mut self, position: u32, message: &Message<'_>, terms: Terms) -> bool {
        let limits = &self.shared.limits;
        let limits = QueueLimits {
            messages: limits.max_queued_messages,
            bytes: limits.max_queued_bytes,
            full: limits.queue_full,
        };
        let Some(session) = self.sessions.at_mut(position) else { return false };
        let now_ms = self.now.mono_ms;
        let stored = Arc::clone(self.scratch.stored(message, now_ms));
        let Terms { qos, retain, subscription_id, .. } = terms;
        let queued = Queued { message: stored, qos, retain, subscription_id };
        let dropped = session.flow().outbound.enqueue(queued, limits);
        if dropped > 0 {
            crate::seam::mark(crate::seam::Branch::QueueFull);
        }
        self.counters.dropped_queue_full += dropped;
        // The oldest may have made room for it.
        dropped == 0 || limits.full == QueueFull::DropOldest
    }
}

/// The most bytes that a packet for this receiver has, 0 if it takes any; nothing if it takes none so large.
#[inline]
pub(super) fn fits(
    frames: &mut Frames,
    message: &Message<'_>,
    terms: Terms,
    version: Version,
    limit: u32,
) -> Option<usize> {
    // A few bytes more than came in (packet id, property length) may be more than any packet can carry.
    if limit == u32::MAX && message.payload.len() < HUGE_BYTES {
        return Some(0);
    }
    fits_within(frames, message, terms, version, limit)
}

#[cold]
fn fits_within(
    frames: &mut Frames,
    message: &Message<'_>,
    terms: Terms,
    version: Version,
    limit: u32,
) -> Option<usize> {
    let own_bytes = if terms.subscription_id > 0 && version == Version::V5 { ID_BYTES } else { 0 };
    let len = frames.len(message, version, terms.qos)? + own_bytes;
    (len <= limit as usize).then_some(len)
}

/// One copy for each client: the best of what its overlapping subscriptions grant [MQTT-3.3.5-1].
/// `ids` gets those of clients with several subscription identifiers, by session.
fn merge(targets: &mut Vec<Target>, ids: &mut Vec<(u32, u32)>) {
    targets.sort_unstable_by_key(|target| target.session);
    for run in targets.chunk_by_mut(|one, next| one.session == next.session) {
        let with_id = || run.iter().filter(|target| target.options.subscription_id() > 0);
        if with_id().count() > 1 {
            ids.extend(with_id().map(|target| (target.session, target.options.subscription_id())));
            run[0].several_ids = true;
        }
    }
    targets.dedup_by(|later, first| {
        let same = later.session == first.session;
        if same {
            first.options = first.options.merge(later.options);
        }
        same
    });
}
