//! The small modules where they meet packets: topics and filters that are rewritten, and subscriptions that a new
//! session begins with. Off unless configured.

use super::{Core, Next, SlotId};
use crate::hook::Who;
use crate::rewrite::{self, Outcome};
use millrace_codec::{Publish, SubscribeOptions};
use millrace_router::Filter;
use std::borrow::Cow;

impl Core {
    /// A PUBLISH with its own topic, no alias.
    #[inline]
    pub(super) fn publish_as_sent(&mut self, index: u32, publish: &Publish<'_>) -> Next {
        if !self.shared.modules.rewrite.is_empty() {
            return self.publish_rewritten(index, publish);
        }
        self.publish_plain(index, publish)
    }

    #[cold]
    fn publish_rewritten(&mut self, index: u32, publish: &Publish<'_>) -> Next {
        let Some(id) = self.session_id(index) else { return Next::Gone };
        let Some(session) = self.sessions.at(id.index) else { return Next::Gone };
        let outcome = rewrite::topic(&self.shared.modules.rewrite, publish.topic, session.who());
        match self.take_outcome(outcome) {
            Some(topic) => self.publish_plain(index, &Publish { topic: &topic, ..*publish }),
            None => self.publish_plain(index, publish),
        }
    }

    /// The topic that a will goes to instead of its own.
    pub(super) fn will_topic(&mut self, who: Who<'_>, topic: &str) -> Option<String> {
        let outcome = rewrite::topic(&self.shared.modules.rewrite, topic, who);
        self.take_outcome(outcome)
    }

    /// The filter that a client's SUBSCRIBE or UNSUBSCRIBE means.
    pub(super) fn meant_filter<'t>(&mut self, id: SlotId, filter: &'t str) -> Cow<'t, str> {
        if self.shared.modules.rewrite.is_empty() {
            return Cow::Borrowed(filter);
        }
        let Some(session) = self.sessions.at(id.index) else { return Cow::Borrowed(filter) };
        let outcome = rewrite::filter(&self.shared.modules.rewrite, filter, session.who());
        self.take_outcome(outcome).map_or(Cow::Borrowed(filter), Cow::Owned)
    }

    fn take_outcome(&mut self, outcome: Outcome) -> Option<String> {
        match outcome {
            Outcome::Unchanged => None,
            Outcome::Changed(text) => Some(text),
            Outcome::Refused => {
                self.counters.not_rewritten += 1;
                None
            }
        }
    }

    /// A session has begun: makes the subscriptions that each has from its start.
    pub(super) fn subscribe_from_the_start(&mut self, position: u32) {
        let Some(id) = self.sessions.id_at(position) else { return };
        let shared = std::sync::Arc::clone(&self.shared);
        for one in &shared.modules.subscribe {
            let Some(session) = self.sessions.at(position) else { return };
            let version = session.version;
            let filter = rewrite::fill(&one.filter, &[], session.who());
            let options = SubscribeOptions {
                qos: one.qos,
                no_local: one.no_local,
                retain_as_published: one.retain_as_published,
                retain_handling: one.retain_handling,
            };
            // What a client could not subscribe to is not subscribed to for it.
            let made = filter
                .filter(|filter| Filter::parse(filter).is_ok())
                .is_some_and(|filter| self.grant(id, version, &filter, options, 0) < 0x80);
            self.counters.not_subscribed += u64::from(!made);
        }
    }
}
