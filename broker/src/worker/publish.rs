//! PUBLISH: everything it needs is reserved, then all of it is done. A packet that cannot be admitted has changed
//! nothing and is tried again as a whole.

use super::retain::Keep;
use super::seen::{Matches, Seen};
use super::{Core, Next, SlotId};
use crate::delivery::{Message, Purpose};
use crate::hook::{Hooks, Room, Verdict};
use crate::seam::{Branch, mark};
use crate::session::Arrival;
use crate::sys::{is_reserved, is_state_of_bridge};
use millrace_codec::{
    Error, PacketType, Properties, PropertyBuf, PropertyId, Publish, QoS, ReasonCode, Version,
};
use millrace_kafka_sink::{AckToken, EventData};
use millrace_router::{CoreSet, MAX_LEVELS};
use std::sync::atomic::Ordering;

/// Marks the position in an ack token as that of a PUBREC.
pub(super) const PUBREC_BIT: u32 = 1 << 31;
/// Fan-outs that may wait before publishers do.
const FAN_OUTS: usize = 64;

/// How a PUBLISH goes on.
enum Way {
    /// Route it.
    Route,
    /// Answer it with this and route nothing.
    Answer(ReasonCode),
    /// Publish it later.
    Delay,
    /// Send its PUBREC again.
    Again,
    /// Neither answer nor route: its answer is under way.
    Nothing,
}

impl Core {
    /// A PUBLISH from a client.
    pub(super) fn publish(&mut self, index: u32, publish: &Publish<'_>) -> Next {
        if publish.properties.contains(PropertyId::TopicAlias) {
            return self.publish_by_alias(index, publish);
        }
        self.publish_as_sent(index, publish)
    }

    /// With a topic alias: as if it had come with the topic that the alias stands for (5.0, 3.3.2.3.4).
    #[cold]
    fn publish_by_alias(&mut self, index: u32, publish: &Publish<'_>) -> Next {
        let Some(id) = self.session_id(index) else { return Next::Gone };
        let maximum = self.shared.limits.topic_alias_maximum;
        let Some(session) = self.sessions.at_mut(id.index) else { return Next::Gone };
        let alias = publish.properties.topic_alias().unwrap_or_default();
        let mut topic = std::mem::take(&mut self.scratch.topic);
        topic.clear();
        match session.extra().taken.resolve(alias, publish.topic, maximum) {
            Ok(meant) => topic.push_str(meant),
            Err(error) => {
                self.scratch.topic = topic;
                return self.illegal(index, error);
            }
        }
        // The alias is between this client and us.
        let mut list = PropertyBuf::new();
        list.push_where(publish.properties, |id| id != PropertyId::TopicAlias);
        let plain = Publish { topic: &topic, properties: list.as_properties(), ..*publish };
        let next = self.publish_as_sent(index, &plain);
        self.scratch.topic = topic;
        next
    }

    #[inline]
    pub(super) fn publish_plain(&mut self, index: u32, publish: &Publish<'_>) -> Next {
        let Some(session_id) = self.session_id(index) else { return Next::Gone };
        if let Err(error) = self.permitted(publish) {
            return self.illegal(index, error);
        }
        let way = match self.arrival(session_id, publish) {
            Ok(way) => way,
            Err(next) => return next.unwrap_or_else(|error| self.illegal(index, error)),
        };
        match way {
            Way::Nothing => Next::Go,
            Way::Again => {
                self.ack(index, PacketType::PubRec, publish.packet_id, ReasonCode::Success);
                Next::Go
            }
            Way::Answer(reason) => {
                self.answer(index, session_id, publish, 0, reason);
                Next::Go
            }
            Way::Delay => self.delay(index, session_id, publish),
            Way::Route => self.admit(index, session_id, publish),
        }
    }

    /// What no client may publish here.
    #[inline]
    fn permitted(&self, publish: &Publish<'_>) -> Result<(), Error> {
        // A topic has at most as many slashes as bytes, and is shorter than the limit almost always.
        let short = publish.topic.len() < usize::from(self.shared.limits.max_topic_levels);
        if short && publish.properties.is_empty() && !self.strict {
            return Ok(());
        }
        self.permitted_after_all(publish)
    }

    #[inline(never)]
    fn permitted_after_all(&self, publish: &Publish<'_>) -> Result<(), Error> {
        let limits = &self.shared.limits;
        let properties = &publish.properties;
        if publish.qos > limits.max_qos {
            // [MQTT-3.2.2-11]
            return Err(Error::protocol_as(ReasonCode::QoSNotSupported, "above max_qos"));
        }
        if publish.payload.len() > limits.max_payload_size as usize {
            return Err(Error::too_large("larger than max_payload_size"));
        }
        if !properties.is_empty() {
            if properties.contains(PropertyId::SubscriptionIdentifier) {
                return Err(Error::protocol("a subscription identifier in a client's PUBLISH")); // [MQTT-3.3.4-6]
            }
            if properties.user_properties().count() > usize::from(limits.max_user_properties) {
                return Err(Error::protocol_as(ReasonCode::QuotaExceeded, "more than max_user_properties"));
            }
        }
        let levels_max = usize::from(limits.max_topic_levels);
        let slashes = publish.topic.bytes().filter(|&byte| byte == b'/').count();
        if slashes >= MAX_LEVELS {
            return Err(Error::malformed("a topic that no subscription can have"));
        }
        if slashes >= levels_max {
            return Err(Error::protocol_as(ReasonCode::TopicNameInvalid, "more than max_topic_levels"));
        }
        Ok(())
    }

    /// Whether this is a new message. `Err`: the packet waits, or its sender has broken the rules.
    fn arrival(&mut self, session: SlotId, publish: &Publish<'_>) -> Result<Way, Result<Next, Error>> {
        let Some(session) = self.sessions.at_mut(session.index) else { return Err(Ok(Next::Gone)) };
        if publish.retain && session.version == Version::V5 && !self.shared.limits.retain_available {
            // The CONNACK said that there are no retained messages [MQTT-3.2.2-14].
            return Err(Err(Error::protocol_as(
                ReasonCode::RetainNotSupported,
                "retained messages are not kept",
            )));
        }
        if publish.qos != QoS::AtMostOnce {
            match session.flow().inbound.classify(publish.qos, publish.packet_id) {
                Arrival::New => {}
                Arrival::Pending => return Ok(Way::Nothing),
                Arrival::Repeated => {
                    mark(Branch::Duplicate);
                    return Ok(Way::Again);
                }
                Arrival::OverLimit if session.version == Version::V5 => {
                    let reason = ReasonCode::ReceiveMaximumExceeded;
                    return Err(Err(Error::protocol_as(reason, "more than receive_maximum unacknowledged")));
                }
                // 3.x knows no such limit: the client waits until acknowledgements have gone out.
                Arrival::OverLimit => return Err(Ok(Next::Hold)),
            }
        }
        if self.strict
            && self.shared.limits.check_payload_format
            && !is_text_as_said(publish.properties, publish.payload)
        {
            let reason = ReasonCode::PayloadFormatInvalid;
            return match publish.qos {
                QoS::AtMostOnce => {
                    Err(Err(Error::protocol_as(reason, "a payload that is not the text it is said to be")))
                }
                _ => Ok(Way::Answer(reason)),
            };
        }
        if is_reserved(publish.topic) {
            return Ok(Way::Answer(match is_state_of_bridge(publish.topic) {
                true => unheard(publish.qos),
                false if session.version == Version::V5 => ReasonCode::NotAuthorized,
                false => ReasonCode::Success,
            }));
        }
        if self.is_delayed(publish.topic) {
            return Ok(Way::Delay);
        }
        Ok(Way::Route)
    }

    /// Whether a held connection waits for nothing but its own client: for a PUBREL of 3.x, which knows no receive
    /// maximum. Nothing that happens here would ever try it again.
    pub(super) fn waits_for_its_client(&mut self, index: u32) -> bool {
        let held = self.connections.at(index).filter(|connection| connection.held);
        let first = held.and_then(|connection| connection.input.first().copied()).unwrap_or_default();
        if first >> 4 != PacketType::Publish as u8 || first & 0b110 == 0 {
            return false;
        }
        let Some(id) = self.session_id(index) else { return false };
        let flow = self.sessions.at_mut(id.index).and_then(|session| session.flow_if_any());
        flow.is_some_and(|flow| flow.inbound.is_unreleased())
    }

    /// Reserves, then commits.
    fn admit(&mut self, index: u32, session_id: SlotId, publish: &Publish<'_>) -> Next {
        let topic = publish.topic;
        let (cores, seen) = Seen::of(&mut self.cache, &self.shared.routes, &mut self.hooks, topic);
        let verdict = seen.verdict;
        let matches = match cores.interested & (1 << self.me) {
            0 => Matches::Unknown,
            _ => seen.matches(&self.subscriptions, topic),
        };
        let Some(session) = self.sessions.at(session_id.index) else { return Next::Gone };
        let event = event_of(publish);
        let taken = Hooks::publish(verdict);
        // The ring's next room is for deliveries that wait; more messages would only lengthen their queues.
        let recorded = !taken.is_none() || !Hooks::deliver(verdict).is_none();
        if recorded && !self.starved.is_empty() {
            return Next::Hold;
        }
        if !taken.is_none() {
            match self.hooks.room(taken, self.now, session.who(), event) {
                Room::Free => {}
                Room::Full => {
                    mark(Branch::RingFull);
                    return Next::Hold;
                }
                Room::TooLarge => return self.too_large(index, session_id, publish),
            }
        }
        if !self.has_room(cores) {
            return Next::Hold;
        }
        let (mut cores, mut order) = (cores, 0);
        if self.is_to_be_kept(publish.retain) {
            match self.keep_publish(session_id, publish) {
                Some(kept) => (order, cores) = kept,
                None => return Next::Hold,
            }
        }
        // Committed from here on: nothing below may fail.
        self.counters.published += 1;
        self.counters.published_bytes += publish.payload.len() as u64;
        let mut waiting = 0;
        if !taken.is_none() {
            let token = self.ack_token(session_id, publish.qos);
            let Some(session) = self.sessions.at(session_id.index) else { return Next::Gone };
            waiting = self.hooks.append(taken, self.now, session.who(), event, token);
        }
        let Some(session) = self.sessions.at(session_id.index) else { return Next::Gone };
        let mut from = std::mem::take(&mut self.scratch.from);
        if cores.interested != 0 {
            from.clear();
            from.push_str(&session.client_id);
        }
        if publish.qos != QoS::AtMostOnce {
            let nobody = cores.interested == 0 && taken.is_none();
            let reason = if nobody { unheard(publish.qos) } else { ReasonCode::Success };
            self.answer(index, session_id, publish, waiting, reason);
        }
        if cores.interested != 0 {
            let Publish { topic, payload, qos, retain, .. } = *publish;
            let properties = publish.properties.raw();
            let message =
                Message { topic, from: &from, properties, payload, qos, retain, verdict, order, share: 0 };
            self.route(cores, &message, matches);
        }
        self.scratch.from = from;
        Next::Go
    }

    /// Sends a message to where it is retained. Returns its place in the order and the cores that want it, or nothing if
    /// it has to wait.
    #[cold]
    fn keep_publish(&mut self, session_id: SlotId, publish: &Publish<'_>) -> Option<(u64, CoreSet)> {
        let mut from = std::mem::take(&mut self.scratch.from);
        from.clear();
        from.push_str(&self.sessions.at(session_id.index)?.client_id);
        let Publish { topic, payload, qos, retain, .. } = *publish;
        let properties = publish.properties.raw();
        let verdict = Verdict::default();
        let message =
            Message { topic, from: &from, properties, payload, qos, retain, verdict, order: 0, share: 0 };
        let kept = self.retain(&message);
        self.scratch.from = from;
        match kept {
            (Keep::Done(order), cores) => Some((order, cores)),
            (Keep::Full, _) => None,
        }
    }

    /// Whether all cores that want the message can take it.
    #[inline]
    pub(super) fn has_room(&self, cores: CoreSet) -> bool {
        if self.fan_outs.len() >= FAN_OUTS {
            return false;
        }
        let mut others = cores.interested & !(1 << self.me);
        while others != 0 {
            let core = others.trailing_zeros() as usize;
            others &= others - 1;
            if !self.outboxes[core].has_room() {
                return false;
            }
        }
        let congested = self.shared.congested.load(Ordering::Relaxed) & cores.interested;
        congested == 0 || !self.waits_for(congested)
    }

    /// Asks congested cores to say when they are not any more. `false`: none of them is by now.
    #[cold]
    fn waits_for(&self, congested: u64) -> bool {
        let mut left = congested & !(1 << self.me);
        while left != 0 {
            self.shared.mailboxes[left.trailing_zeros() as usize].want_room(self.me);
            left &= left - 1;
        }
        self.shared.congested.load(Ordering::SeqCst) & congested != 0
    }

    /// Names the acknowledgement of the message that is being admitted, for those who confirm it.
    #[inline]
    fn ack_token(&mut self, session: SlotId, qos: QoS) -> Option<AckToken> {
        if qos == QoS::AtMostOnce {
            return None;
        }
        let SlotId { index: position, generation } = session;
        let sequence = self.sessions.at_mut(position)?.flow().inbound.queue_mut(qos).next_sequence();
        let bit = if qos == QoS::ExactlyOnce { PUBREC_BIT } else { 0 };
        Some(AckToken { slot: position | bit, generation, sequence })
    }

    /// Owes, or at once sends, the acknowledgement of a QoS 1 or 2 message.
    pub(super) fn answer(
        &mut self,
        index: u32,
        session: SlotId,
        publish: &Publish<'_>,
        waiting: u16,
        reason: ReasonCode,
    ) {
        let Some(session) = self.sessions.at_mut(session.index) else { return };
        let packet_type = match publish.qos {
            QoS::AtMostOnce => return,
            QoS::AtLeastOnce => PacketType::PubAck,
            QoS::ExactlyOnce => PacketType::PubRec,
        };
        if session.flow().inbound.take(publish.qos, publish.packet_id, waiting, reason) {
            self.ack(index, packet_type, publish.packet_id, reason);
        }
    }

    /// A record of this message would be larger than a hook allows: refused at the door.
    fn too_large(&mut self, index: u32, session_id: SlotId, publish: &Publish<'_>) -> Next {
        self.counters.refused_too_large += 1;
        let v5 = self.sessions.at(session_id.index).is_some_and(|session| session.version == Version::V5);
        if v5 && publish.qos != QoS::AtMostOnce {
            self.answer(index, session_id, publish, 0, ReasonCode::QuotaExceeded);
            return Next::Go;
        }
        self.illegal(
            index,
            Error::protocol_as(ReasonCode::PacketTooLarge, "larger than a hook's max_record_bytes"),
        )
    }

    /// Brings an admitted message to all cores that want it.
    pub(super) fn route(&mut self, cores: CoreSet, message: &Message<'_>, matches: Matches) {
        let mut others = cores.interested & !(1 << self.me);
        let mut large = None;
        while others != 0 {
            let core = others.trailing_zeros() as usize;
            others &= others - 1;
            let mailboxes = &self.shared.mailboxes;
            let (own, target) = (&mailboxes[self.me], &mailboxes[core]);
            self.outboxes[core].push(self.me, own, target, message, Purpose::Deliver, &mut large);
        }
        if cores.interested & (1 << self.me) != 0 {
            self.deliver(message, matches);
        }
    }
}

/// What the publisher of a message is told that nobody has subscribed to and no rule records (5.0, 3.4.2.1). A PUBREC
/// speaks of the first half of a delivery only.
fn unheard(qos: QoS) -> ReasonCode {
    if qos == QoS::AtLeastOnce { ReasonCode::NoMatchingSubscribers } else { ReasonCode::Success }
}

/// Whether a payload is UTF-8 if its format indicator says so (5.0, 3.3.2.3.2).
pub(super) fn is_text_as_said(properties: Properties<'_>, payload: &[u8]) -> bool {
    properties.payload_format_indicator() != Some(true) || std::str::from_utf8(payload).is_ok()
}

fn event_of<'a>(publish: &Publish<'a>) -> EventData<'a> {
    // Only a QoS 2 message can be recognised again, by its packet id.
    let packet_id = if publish.qos == QoS::ExactlyOnce { publish.packet_id } else { 0 };
    EventData::Publish { topic: publish.topic, payload: publish.payload, qos: publish.qos as u8, packet_id }
}
