//! What the log is told of how far everything is: cursors, the floor, and the last of them at a stop.

use std::time::Duration;

use super::partition::State;
use super::{Now, Sender};
use crate::log::control::Control;

/// How often cursors and the floor are written while something moves.
const CURSORS_EVERY: Duration = Duration::from_secs(1);

impl Sender {
    pub(super) fn poll_cursors(&mut self, now: Now) {
        if self.cursors_at.is_none_or(|at| at > now.mono) || self.last_ticket.is_some() {
            return;
        }
        self.cursors_at = None;
        self.write_cursors(now, false);
    }

    /// Cursors of partitions at rest (an intent says the same for the others), and the floor.
    fn write_cursors(&mut self, now: Now, all: bool) {
        let target = self.settings.target;
        for part in std::mem::take(&mut self.dirty) {
            let Some(partition) = self.part(part) else { continue };
            if all || partition.state == State::Idle {
                partition.dirty = false;
                let cursor = partition.cursor(target);
                self.controls.push(Control::Cursor(cursor));
            } else {
                self.dirty.push(part);
            }
        }
        let floor = self.undone();
        if floor > self.floor && self.floor_on_its_way.is_none() {
            let entry = self.cluster.entry(target, floor);
            self.controls.push(Control::Target(entry));
            self.floor_on_its_way = Some((self.ticket(), floor));
        }
        if !self.dirty.is_empty() || floor > self.floor {
            self.cursors_at = Some(now.mono.saturating_add(CURSORS_EVERY));
        }
    }

    /// The lowest sequence that is not done with.
    pub(super) fn undone(&self) -> u64 {
        let pending = self.topics.iter().filter_map(|topic| topic.pending.map(|(sequence, ..)| sequence));
        let parts = self.parts().filter_map(|(_, partition)| partition.first_undone());
        pending.chain(parts).fold(self.feed.main, u64::min)
    }

    /// Something was confirmed, or passed: the medium should know soon.
    pub(super) fn cursors_soon(&mut self, now: Now) {
        if self.last_ticket.is_some() {
            // The last ones are written; the next start finds out about the rest.
            return;
        }
        self.cursors_at.get_or_insert(now.mono.saturating_add(CURSORS_EVERY));
    }

    pub(super) fn poll_stop(&mut self, now: Now) {
        let Some(until) = self.stopping.filter(|_| self.last_ticket.is_none()) else { return };
        let idle = self.feed.is_at_end() && self.undone() >= self.feed.main;
        let hopeless = !self.cluster.is_reachable();
        if idle || hopeless || now.mono >= until {
            self.write_cursors(now, true);
            // Also when there is nothing to write: the ticket says that all before it is durable.
            if self.controls.is_empty() {
                self.submit_target();
            }
            self.last_ticket = Some(self.ticket());
            self.cursors_at = None;
            self.stopping = None;
        }
    }
}
