//! The loop of a core. One turn: wait, take what came (sockets, other cores, the log), carry on what was left over,
//! then send everything this turn produced: one batch to each core, one to the log, one write to each connection.

use super::seen::{Matches, Seen};
use super::{Core, Stop};
use crate::delivery::Purpose;
use crate::seam::reach;
use crate::time::Now;
use mio::{Events, Token};
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Events taken from the kernel at once.
const EVENTS: usize = 1_024;
/// Deliveries in one turn; what is left goes on in the next.
pub(super) const DELIVERIES: usize = 8_192;
/// Batches taken from other cores in one turn.
const BATCHES: usize = 64;
/// Held connections tried again in one turn.
const RETRIES: usize = 512;

/// The mailbox's waker.
pub const WAKER: Token = Token(usize::MAX);
/// Listeners are `LISTENERS + position`; above all connections' generations and positions.
pub const LISTENERS: usize = usize::MAX - 4_096;

impl Core {
    /// Runs until the clean stop has ended.
    ///
    /// # Errors
    /// The poll failed, which leaves this core without work to do: the process has to end.
    pub fn run(&mut self) -> io::Result<()> {
        let Some(mut poll) = self.poll.take() else { return Ok(()) };
        let mut events = Events::with_capacity(EVENTS);
        self.read_clock();
        self.register_listeners()?;
        while self.stop != Some(Stop::Now) {
            let timeout = self.timeout();
            match poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            self.shared.mailboxes[self.me].awake();
            self.read_clock();
            self.turn(&events);
        }
        Ok(())
    }

    fn read_clock(&mut self) {
        let mono_ms = self.started.elapsed().as_millis() as u64;
        let unix_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        self.now = Now { mono_ms, unix_ms };
    }

    /// How long this core may sleep.
    pub(super) fn timeout(&mut self) -> Option<Duration> {
        let work = !self.ready.is_empty()
            || !self.retry.is_empty()
            || !self.fan_outs.is_empty()
            || self.has_asks()
            || !self.dirty.is_empty()
            || (self.accepting && self.accept_again_ms == u64::MAX);
        if work || !self.shared.mailboxes[self.me].fall_asleep() {
            return Some(Duration::ZERO);
        }
        let timers = [
            self.timers.next_ms(),
            self.session_timers.next_ms(),
            self.sweep_ms(),
            self.sys_ms(),
            self.delayed_ms(),
        ];
        let next_ms = timers.into_iter().flatten().min().unwrap_or(u64::MAX).min(self.accept_again_ms);
        // Deadlines are compared with the clock after the sleep; a little too long is better than once too often.
        (next_ms != u64::MAX).then(|| Duration::from_millis(next_ms.saturating_sub(self.now.mono_ms) + 1))
    }

    /// One turn, at the time last read.
    pub(super) fn turn(&mut self, events: &Events) {
        self.begin_turn();
        for event in events {
            match event.token() {
                WAKER => {}
                Token(token) if token >= LISTENERS => self.accepting = true,
                token => {
                    let over = event.is_read_closed() || event.is_error();
                    self.on_event(token, event.is_readable(), event.is_writable(), over);
                }
            }
        }
        self.end_turn();
    }

    /// What comes before the sockets' events.
    pub(super) fn begin_turn(&mut self) {
        self.budget.deliveries = self.deliveries_a_turn;
        self.take_control();
        reach();
        self.feed_starved();
        self.continue_fan_outs();
        self.take_batches();
        self.answer_asks();
    }

    /// What comes after them.
    pub(super) fn end_turn(&mut self) {
        self.accept();
        self.read_ready();
        self.retry_held();
        self.fire_timers();
        self.finish_turn();
    }

    /// Sends what this turn produced.
    fn finish_turn(&mut self) {
        self.report_loads();
        self.flush_outboxes();
        self.hooks.flush();
        reach();
        self.flush_dirty();
        // A write that failed has ended a session: its will and its record.
        self.flush_outboxes();
        self.hooks.flush();
        self.step_stop();
    }

    fn take_batches(&mut self) {
        for _ in 0..BATCHES {
            if self.budget.deliveries == 0 || !self.fan_outs.is_empty() {
                // The lane fills up meanwhile and holds back those that feed it. If it is empty by now, nothing may
                // wake this core again before they have been told.
                break;
            }
            if !self.take_batch() {
                break;
            }
        }
        self.tell_room();
    }

    /// Tells cores that found this one's lane full, or it congested, to try again.
    pub(super) fn tell_room(&mut self) {
        if self.is_congested() {
            return;
        }
        let mut waiting = self.shared.mailboxes[self.me].take_wants_room();
        while waiting != 0 {
            let core = waiting.trailing_zeros() as usize;
            waiting &= waiting - 1;
            self.shared.mailboxes[core].control(super::Control::Room);
        }
    }

    /// Without a budget: at a clean stop.
    pub(super) fn take_all_batches(&mut self) {
        self.budget.deliveries = usize::MAX;
        self.continue_fan_outs();
        while self.take_batch() {}
    }

    /// Delivers what one batch brings. `false`: there is none.
    fn take_batch(&mut self) -> bool {
        let Some(mut batch) = self.shared.mailboxes[self.me].next_batch() else { return false };
        self.count_batch();
        for position in 0..batch.len() {
            let Some((mut message, purpose)) = batch.get(position) else { break };
            match purpose {
                Purpose::Keep => {
                    self.keep_here(&message);
                    continue;
                }
                Purpose::End(scan) => {
                    self.end_answer(scan, message.payload);
                    continue;
                }
                Purpose::Deliver | Purpose::Answer(_) | Purpose::Member(_) | Purpose::Return(_) => {}
            }
            // What goes to sessions of this core may be for its hooks.
            if self.hooks.follows_messages() {
                let topic = message.topic;
                let (_, seen) = Seen::of(&mut self.cache, &self.shared.routes, &mut self.hooks, topic);
                message.verdict = seen.verdict;
            }
            match purpose {
                Purpose::Answer(scan) => self.deliver_retained(scan, &message),
                Purpose::Member(to) => {
                    self.begin_message(true);
                    self.deliver_to_member(batch.sender, to, &message);
                }
                Purpose::Return(to) => self.redispatch(to, &message),
                // Topics of other cores would push this core's own out of its cache: matched as they come.
                _ => self.deliver(&message, Matches::Unknown),
            }
        }
        if batch.recycle() {
            let sender = batch.sender;
            self.shared.mailboxes[sender].give_back(batch);
        }
        true
    }

    fn retry_held(&mut self) {
        for _ in 0..RETRIES {
            let Some(id) = self.retry.pop_front() else { return };
            if self.connections.contains(id) {
                if let Some(connection) = self.connections.at_mut(id.index) {
                    connection.retrying = false;
                }
                self.resume(id.index);
            }
        }
    }

    fn fire_timers(&mut self) {
        let mut fired = Vec::new();
        self.timers.expire(self.now.mono_ms, &mut fired);
        for id in fired {
            if self.connections.contains(id) {
                self.on_timer(id.index);
            }
        }
        self.fire_session_timers();
        self.sweep_retained();
        self.tick_sys();
        self.release_delayed();
        if self.accept_again_ms <= self.now.mono_ms {
            self.accept_again_ms = u64::MAX;
        }
    }

    /// Goes on with the clean stop, if one is under way.
    fn step_stop(&mut self) {
        let quiet = self.outboxes.iter().all(super::outbox::Outbox::is_empty)
            && self.fan_outs.is_empty()
            && self.parked.is_empty();
        let done = match self.stop {
            Some(Stop::Listeners) => quiet,
            Some(Stop::Clients) => quiet && self.connections.len() == 0,
            _ => return,
        };
        if done && !self.stop_reported {
            self.stop_reported = true;
            self.shared.stopped.fetch_add(1, Ordering::SeqCst);
        }
    }
}
