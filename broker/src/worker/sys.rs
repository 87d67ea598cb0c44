//! `$SYS`: when the time comes, core 0 asks all cores for their counters, and publishes what has changed once all have
//! answered. That is one wake-up of a core an interval, whoever is interested; no counter is shared.

use super::retain::Keep;
use super::seen::{Matches, Seen};
use super::{Control, Core, Counters};
use crate::delivery::Message;
use crate::hook::Verdict;
use crate::sys::{Totals, Tree};
use millrace_codec::QoS;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;

/// Who asked a core for its counters.
pub enum Asker {
    /// Core 0, for `$SYS`.
    Core,
    /// Another thread, for `millrace status`.
    Thread(Sender<Counters>),
}

/// What core 0 has for `$SYS`; the other cores have it empty.
#[derive(Default)]
pub(super) struct Sys {
    tree: Tree,
    /// When it is time again; 0 at first.
    next_ms: u64,
    /// Cores that have not answered yet, and the sum of the others.
    missing: usize,
    sum: Counters,
}

impl Core {
    /// When `$SYS` is to be published.
    pub(super) fn sys_ms(&self) -> Option<u64> {
        (self.me == 0 && self.shared.sys_interval_ms > 0 && self.stop.is_none()).then_some(self.sys.next_ms)
    }

    /// Asks all cores for their counters, if it is time.
    pub(super) fn tick_sys(&mut self) {
        let now_ms = self.now.mono_ms;
        if self.sys_ms().is_none_or(|at| at > now_ms) {
            return;
        }
        self.sys.next_ms = now_ms + self.shared.sys_interval_ms;
        if self.sys.missing > 0 {
            return; // a core is slower than the interval
        }
        self.sys.missing = self.shared.mailboxes.len();
        self.sys.sum = Counters::default();
        for mailbox in self.shared.mailboxes.iter().skip(1) {
            mailbox.control(Control::Count(Asker::Core));
        }
        let own = self.counters();
        self.take_count(&own);
    }

    /// Somebody wants this core's counters.
    pub(super) fn tell_count(&mut self, asker: Asker) {
        let counters = self.counters();
        match asker {
            Asker::Core => self.shared.mailboxes[0].control(Control::Counted(Box::new(counters))),
            // Who does not wait any more has no use for it.
            Asker::Thread(sender) => drop(sender.send(counters)),
        }
    }

    /// A core's counters; the last ones complete the sum.
    pub(super) fn take_count(&mut self, counters: &Counters) {
        self.sys.sum.add(counters);
        self.sys.missing = self.sys.missing.saturating_sub(1);
        if self.sys.missing > 0 || self.stop.is_some() {
            return;
        }
        let totals = Totals {
            uptime_ms: self.now.mono_ms,
            counters: self.sys.sum,
            sessions: self.shared.sessions.load(Relaxed) as u64,
            retained: self.shared.retained.count() as u64,
        };
        let values = self.sys.tree.values(&totals);
        // Where nothing is retained, a new subscriber has to wait for the next value.
        let all = !self.shared.limits.retain_available;
        for (topic, value) in values {
            // What has no room now is published with the next round.
            if (all || !self.sys.tree.is_said(&topic, &value))
                && self.publish_as_broker(&topic, value.as_bytes())
            {
                self.sys.tree.say(topic, value);
            }
        }
    }

    /// Publishes a message of the broker's own, retained; no hook sees it. `false`: there is no room now.
    ///
    /// With QoS 1: each value replaces the last, so receiving one twice does no harm, and two packets more for each of
    /// mosquitto's QoS 2 would bring nothing.
    fn publish_as_broker(&mut self, topic: &str, payload: &[u8]) -> bool {
        let mut message = Message {
            topic,
            from: "",
            properties: &[],
            payload,
            qos: QoS::AtLeastOnce,
            retain: true,
            verdict: Verdict::default(),
            order: 0,
            share: 0,
        };
        let (mut cores, _) = Seen::of(&mut self.cache, &self.shared.routes, &mut self.hooks, topic);
        if !self.has_room(cores) {
            return false;
        }
        if self.is_to_be_kept(message.retain) {
            match self.retain(&message) {
                (Keep::Done(order), anew) => (message.order, cores) = (order, anew),
                (Keep::Full, _) => return false,
            }
        }
        self.route(cores, &message, Matches::Unknown);
        true
    }
}
