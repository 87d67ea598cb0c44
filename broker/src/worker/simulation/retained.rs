//! What is retained: at rest the broker keeps the last message of each topic, and has shown it to those subscribed.

use super::book::{Book, How, Message, Sub};
use super::copies::is_shared;
use super::deeds::{RETAINED, WILLS};
use super::party::Party;
use super::wills::Fate;
use millrace_codec::QoS;
use std::collections::BTreeMap;

impl Book {
    /// A message without payload came, which does not say which one it is. Returns a number that stands for all of its
    /// topic.
    pub(super) fn emptied(&self, topic: &str, how: How) -> Result<u64, String> {
        if how.retain || !self.messages.iter().any(|message| message.clears && message.topic == topic) {
            return Err(format!("nothing on {topic}, {how:?}"));
        }
        Ok(u64::MAX - topic.bytes().map(u64::from).sum::<u64>())
    }

    /// At rest: the broker keeps (topic and number) what was published last, no more and no less.
    pub(super) fn check_kept(&self, kept: &[(String, u64)]) -> Result<(), String> {
        let mut of_topic: BTreeMap<&str, u64> = BTreeMap::new();
        for (topic, number) in kept {
            if of_topic.insert(topic, *number).is_some() {
                return Err(format!("{topic} is retained twice"));
            }
        }
        for topic in RETAINED.iter().chain(&WILLS) {
            let found = of_topic.remove(topic);
            let may = self.may_be_kept(topic);
            if !may.contains(&found) {
                return Err(format!("{found:?} is retained on {topic}, not one of {may:?}"));
            }
        }
        match of_topic.first_key_value() {
            Some(found) => Err(format!("retained and never published to be: {found:?}")),
            None => Ok(()),
        }
    }

    /// The last one that was surely published, or one after it that was perhaps.
    fn may_be_kept(&self, topic: &str) -> Vec<Option<u64>> {
        let mut may = Vec::new();
        for (number, message) in self.messages.iter().enumerate().rev() {
            if message.topic != topic || message.past || self.was_never_published(message) {
                continue;
            }
            may.push((!message.clears).then_some(number as u64));
            if self.arrived_surely(message) {
                return may;
            }
        }
        may.push(None);
        may
    }

    fn was_never_published(&self, message: &Message) -> bool {
        message.will && self.fate(message.link) == Fate::Unsent
    }

    /// Of each topic that is retained, the last message has come to all that are subscribed to it, live or retained.
    pub(super) fn check_retained(&self, at: usize, party: &Party) -> Result<(), String> {
        let retained =
            self.messages.iter().enumerate().filter(|(_, message)| message.topic.starts_with("r/"));
        for (number, message) in retained {
            if message.past {
                continue;
            }
            // What was ended is for nobody who came later.
            let ended =
                self.messages[number..].iter().any(|later| later.clears && later.topic == message.topic);
            if ended || !self.arrived_surely(message) {
                continue;
            }
            let granted = |sub: &&Sub| sub.granted.is_some() && !sub.end_asked && sub.ended.is_none();
            // In its place there may be a later one with QoS 0 that was never sure to arrive; it is lost with a connection.
            let later = &self.messages[number..];
            let least =
                later.iter().filter(|later| later.topic == message.topic).map(|later| later.qos).min();
            let waits =
                |sub: &Sub| sub.link == at || sub.qos.min(least.unwrap_or(message.qos)) > QoS::AtMostOnce;
            let mut subs = party.subs.iter().filter(granted);
            let must = subs.find(|sub| {
                !is_shared(sub.filter) && millrace_router::matches(sub.filter, message.topic) && waits(sub)
            });
            let newest = party.last.get(message.topic);
            if let Some(sub) = must
                && newest.is_none_or(|newest| *newest < number as u64)
            {
                return Err(format!(
                    "link {at}: {newest:?} is the last on {}, not {number} of {message:?}; {sub:?}",
                    message.topic
                ));
            }
        }
        Ok(())
    }
}
