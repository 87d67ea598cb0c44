//! SUBSCRIBE and UNSUBSCRIBE.

use super::{Core, Next, SlotId};
use crate::hook::Room;
use crate::session::Options;
use millrace_codec::{
    Error, Packet, ReasonCode, RetainHandling, SubAck, Subscribe, SubscribeOptions, UnsubAck, Unsubscribe,
    Version,
};
use millrace_kafka_sink::EventData;
use millrace_router::{Filter, FilterError, FilterId};
use smallvec::SmallVec;
use std::borrow::Cow;

impl Core {
    pub(super) fn subscribe(&mut self, index: u32, subscribe: &Subscribe<'_>) -> Next {
        let Some(id) = self.session_id(index) else { return Next::Gone };
        let Some(version) = self.sessions.at(id.index).map(|session| session.version) else {
            return Next::Gone;
        };
        let limits = &self.shared.limits;
        let subscription_id = subscribe.properties.subscription_identifiers().next().unwrap_or_default();
        if subscription_id > 0 && !limits.subscription_ids_available {
            // The CONNACK said that there are none (5.0, 3.2.2.3.12).
            let reason = ReasonCode::SubscriptionIdentifiersNotSupported;
            return self
                .illegal(index, Error::protocol_as(reason, "subscription identifiers are not available"));
        }
        if subscribe.properties.user_properties().count() > usize::from(limits.max_user_properties)
            || subscribe.filters.len() > usize::from(limits.max_filters_per_packet)
        {
            return self.illegal(
                index,
                Error::protocol_as(ReasonCode::QuotaExceeded, "too many filters or user properties"),
            );
        }
        // All filters are looked at before one of them takes effect.
        for (text, _) in subscribe.filters.iter() {
            match Filter::parse(text) {
                Ok(_) => {}
                // To 3.x these are texts like any other; here they name groups in every version.
                Err(FilterError::BadShare(_)) if version != Version::V5 => {}
                // [MQTT-4.8.2-1, 4.8.2-2]
                Err(FilterError::BadShare(_))
                    if Filter::parse(text.trim_start_matches("$share/")).is_ok() =>
                {
                    return self.illegal(index, Error::protocol("shared subscription"));
                }
                // [MQTT-4.7.1-1, 4.7.1-2]; or more levels than any topic here
                Err(_) => return self.illegal(index, Error::malformed("topic filter")),
            }
        }
        let records = subscribe
            .filters
            .iter()
            .map(|(filter, options)| EventData::Subscribed { filter, qos: options.qos as u8 });
        if !self.has_room_for_filters(id, records) {
            return Next::Hold;
        }
        let meant: SmallVec<[(Cow<'_, str>, SubscribeOptions); 2]> =
            subscribe.filters.iter().map(|(text, options)| (self.meant_filter(id, text), options)).collect();
        if !self.join_all(id, &meant, subscription_id) {
            return Next::Hold;
        }
        let codes: Vec<u8> = meant
            .iter()
            .map(|(text, options)| self.grant(id, version, text, *options, subscription_id))
            .collect();
        let answer = SubAck { packet_id: subscribe.packet_id, properties: Default::default(), codes: &codes };
        self.answer_or_close(index, version, &Packet::SubAck(answer))
    }

    /// Whether there is room for the record of each filter. Together they may exceed it, by one packet's filters.
    fn has_room_for_filters<'a>(&mut self, id: SlotId, records: impl Iterator<Item = EventData<'a>>) -> bool {
        for data in records {
            let taken = self.hooks.taken(&data);
            let Some(session) = self.sessions.at(id.index) else { return true };
            if self.hooks.room(taken, self.now, session.who(), data) == Room::Full {
                return false;
            }
        }
        true
    }

    /// Joins the groups of shared subscriptions. `false`: not all of them have taken the session in yet.
    fn join_all(
        &mut self,
        id: SlotId,
        filters: &[(Cow<'_, str>, SubscribeOptions)],
        subscription_id: u32,
    ) -> bool {
        let mut joined = true;
        for (text, asked) in filters {
            if text.starts_with("$share/") && self.permitted_filter(id, text).is_ok() {
                let qos = asked.qos.min(self.shared.limits.max_qos);
                let options =
                    Options::new(qos, subscription_id).with_retain_as_published(asked.retain_as_published);
                joined &= self.join(id, text, options);
            }
        }
        joined
    }

    /// What a session may subscribe to.
    fn permitted_filter<'a>(&mut self, id: SlotId, text: &'a str) -> Result<Filter<'a>, ReasonCode> {
        let filter = Filter::parse(text).map_err(|_| ReasonCode::TopicFilterInvalid)?;
        let limits = &self.shared.limits;
        let shared = filter.share_group().is_some();
        if shared && !limits.shared_available {
            return Err(ReasonCode::SharedSubscriptionsNotSupported);
        }
        if !limits.wildcard_available && filter.has_wildcard() {
            return Err(ReasonCode::WildcardSubscriptionsNotSupported);
        }
        if filter.text().split('/').count() > usize::from(limits.max_topic_levels) {
            return Err(ReasonCode::TopicFilterInvalid);
        }
        let max = limits.max_subscriptions as usize;
        let known = match shared {
            true => self.is_member(id, text),
            false => self.subscriptions.find(text, id.index).is_some(),
        };
        let held = self.sessions.at(id.index).map_or(0, |session| session.subscriptions());
        if known || held < max { Ok(filter) } else { Err(ReasonCode::QuotaExceeded) }
    }

    /// Subscribes to one filter; the code for the SUBACK.
    pub(super) fn grant(
        &mut self,
        id: SlotId,
        version: Version,
        text: &str,
        asked: SubscribeOptions,
        subscription_id: u32,
    ) -> u8 {
        let filter = match self.permitted_filter(id, text) {
            Ok(filter) => filter,
            // 3.x has one code for all refusals [MQTT-3.9.3-2].
            Err(reason) => return if version == Version::V5 { reason as u8 } else { 0x80 },
        };
        let qos = asked.qos.min(self.shared.limits.max_qos);
        if filter.share_group().is_some() {
            // It has joined already, and gets no retained messages (5.0, 4.8.2).
            self.record_filter(id, EventData::Subscribed { filter: text, qos: qos as u8 });
            return qos as u8;
        }
        let options = Options::new(qos, subscription_id)
            .with_no_local(asked.no_local)
            .with_retain_as_published(asked.retain_as_published);
        let subscribed = self.subscriptions.subscribe(text, id.index, options);
        if subscribed.replaced.is_none()
            && let Some(session) = self.sessions.at_mut(id.index)
        {
            session.filters.add(subscribed.id);
            self.counters.subscribed += 1;
        }
        if subscribed.first {
            // Before the SUBACK: what is published after it is seen finds the route.
            self.shared.routes.add(text, self.me, false);
            crate::seam::reach();
        }
        let wants_retained = match asked.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => subscribed.replaced.is_none(),
            RetainHandling::DoNotSend => false,
        };
        if wants_retained {
            // After the route, and so that answers come after the SUBACK.
            self.begin_scan(id, &filter, options);
        }
        self.record_filter(id, EventData::Subscribed { filter: text, qos: qos as u8 });
        qos as u8
    }

    /// Records what became of a filter; only a record that is too large is left out.
    fn record_filter(&mut self, id: SlotId, data: EventData<'_>) {
        let taken = self.hooks.taken(&data);
        let Some(session) = self.sessions.at(id.index) else { return };
        self.counters.records_too_large += self.hooks.record(taken, self.now, session.who(), data);
    }

    pub(super) fn unsubscribe(&mut self, index: u32, unsubscribe: &Unsubscribe<'_>) -> Next {
        let Some(id) = self.session_id(index) else { return Next::Gone };
        let Some(version) = self.sessions.at(id.index).map(|session| session.version) else {
            return Next::Gone;
        };
        let limits = &self.shared.limits;
        if unsubscribe.filters.len() > usize::from(limits.max_filters_per_packet) {
            return self.illegal(index, Error::protocol_as(ReasonCode::QuotaExceeded, "too many filters"));
        }
        let records = unsubscribe.filters.iter().map(|filter| EventData::Unsubscribed { filter, qos: 0 });
        if !self.has_room_for_filters(id, records) {
            return Next::Hold;
        }
        let codes: Vec<u8> = unsubscribe
            .filters
            .iter()
            .map(|text| {
                let text = self.meant_filter(id, text);
                self.revoke(id, &text) as u8
            })
            .collect();
        let answer =
            UnsubAck { packet_id: unsubscribe.packet_id, properties: Default::default(), codes: &codes };
        self.answer_or_close(index, version, &Packet::UnsubAck(answer))
    }

    fn revoke(&mut self, id: SlotId, text: &str) -> ReasonCode {
        if let Some(options) = self.leave(id, text) {
            self.record_filter(id, EventData::Unsubscribed { filter: text, qos: options.qos() as u8 });
            return ReasonCode::Success;
        }
        let Some(removed) = self.subscriptions.unsubscribe(text, id.index) else {
            return ReasonCode::NoSubscriptionExisted;
        };
        self.counters.unsubscribed += 1;
        if removed.last {
            self.shared.routes.remove(text, self.me);
        }
        let Some(session) = self.sessions.at_mut(id.index) else { return ReasonCode::Success };
        session.filters.remove(removed.id);
        self.end_scan(id, text);
        self.record_filter(id, EventData::Unsubscribed { filter: text, qos: removed.options.qos() as u8 });
        ReasonCode::Success
    }

    /// Takes a subscription off a session that ends; no event, the client has said nothing.
    pub(super) fn drop_subscription(&mut self, filter: FilterId, position: u32) {
        let text = self.subscriptions.filter(filter).map(str::to_owned);
        let removed = self.subscriptions.unsubscribe_id(filter, position);
        self.counters.unsubscribed += u64::from(removed.is_some());
        if let (Some(text), Some(true)) = (text, removed.map(|removed| removed.last)) {
            self.shared.routes.remove(&text, self.me);
        }
    }
}
