//! Wills: publishes that cannot be refused.

use super::retain::Keep;
use super::seen::{Matches, Seen};
use super::{Core, ParkedWill};
use crate::delivery::{Message, Stored};
use crate::hook::{Hooks, Who};
use crate::sys::RESERVED;
use millrace_kafka_sink::EventData;

impl Core {
    /// A will is a publish that cannot be refused. One that is to be retained waits until that is possible.
    pub(super) fn publish_will(&mut self, who: Who<'_>, will: Stored) {
        if will.topic().starts_with(RESERVED) {
            return;
        }
        let will = match self.will_topic(who, will.topic()) {
            Some(topic) => Stored::new(&Message { topic: &topic, ..will.message() }, 0),
            None => will,
        };
        let parked = ParkedWill {
            client_id: who.client_id.into(),
            username: (!who.username.is_empty()).then(|| who.username.into()),
            message: will,
        };
        self.parked_wills.push_back(parked);
        self.publish_parked_wills();
    }

    /// Publishes wills in their order, as far as those that are to be retained can be.
    pub(super) fn publish_parked_wills(&mut self) {
        while let Some(ParkedWill { client_id, username, message: will }) = self.parked_wills.pop_front() {
            let mut message = will.message();
            let topic = message.topic;
            let (mut cores, seen) = Seen::of(&mut self.cache, &self.shared.routes, &mut self.hooks, topic);
            message.verdict = seen.verdict;
            if self.is_to_be_kept(message.retain) {
                match self.retain(&message) {
                    (Keep::Done(order), anew) => (message.order, cores) = (order, anew),
                    (Keep::Full, _) => {
                        return self.parked_wills.push_front(ParkedWill {
                            client_id,
                            username,
                            message: will,
                        });
                    }
                }
            }
            let Message { topic, payload, qos, .. } = message;
            self.counters.published += 1;
            self.counters.published_bytes += payload.len() as u64;
            let event = EventData::Publish { topic, payload, qos: qos as u8, packet_id: 0 };
            let taken = Hooks::publish(message.verdict);
            let who = Who { client_id: &client_id, username: username.as_deref().unwrap_or_default() };
            self.counters.records_too_large += self.hooks.record(taken, self.now, who, event);
            self.route(cores, &message, Matches::Unknown);
        }
    }
}
