//! Wills, and other publishes whose publisher has gone on: they cannot be refused.

use super::retain::Keep;
use super::seen::{Matches, Seen};
use super::{Core, Parked};
use crate::delivery::{Message, Stored};
use crate::hook::{Hooks, Who};
use crate::sys::is_reserved;
use millrace_kafka_sink::EventData;

impl Parked {
    /// In whose name it is published.
    pub(super) fn who(&self) -> Who<'_> {
        Who { client_id: &self.client_id, username: self.username.as_deref().unwrap_or_default() }
    }
}

impl Core {
    /// A will is a publish that cannot be refused. One that is to be retained waits until that is possible.
    pub(super) fn publish_will(&mut self, mut will: Parked) {
        if is_reserved(will.message.topic()) {
            return;
        }
        if let Some(topic) = self.will_topic(will.who(), will.message.topic()) {
            will.message = Stored::new(&Message { topic: &topic, ..will.message.message() }, 0);
        }
        self.parked.push_back(will);
        self.publish_parked();
    }

    /// Publishes what is parked in its order, as far as those that are to be retained can be.
    pub(super) fn publish_parked(&mut self) {
        while let Some(parked) = self.parked.pop_front() {
            let mut message = parked.message.message();
            let topic = message.topic;
            let (mut cores, seen) = Seen::of(&mut self.cache, &self.shared.routes, &mut self.hooks, topic);
            message.verdict = seen.verdict;
            if self.is_to_be_kept(message.retain) {
                match self.retain(&message) {
                    (Keep::Done(order), anew) => (message.order, cores) = (order, anew),
                    (Keep::Full, _) => return self.parked.push_front(parked),
                }
            }
            let Message { topic, payload, qos, .. } = message;
            self.counters.published += 1;
            self.counters.published_bytes += payload.len() as u64;
            let event = EventData::Publish { topic, payload, qos: qos as u8, packet_id: 0 };
            let taken = Hooks::publish(message.verdict);
            self.counters.records_too_large += self.hooks.record(taken, self.now, parked.who(), event);
            self.route(cores, &message, Matches::Unknown);
        }
    }
}
