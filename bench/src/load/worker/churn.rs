//! Connections that end and are opened again. A client leaves when nothing is under way from it or to it alone, so that
//! whatever is missing then is the broker's doing: what it would send and what would be sent to it pauses, it waits,
//! sends DISCONNECT, and waits until the broker closes (a close with unread bytes would be a reset, which may
//! overtake what was sent).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use millrace_codec::{Disconnect, Packet, ReasonCode};

use super::*;
use crate::load::Phase;
use crate::load::client::NONE;
use crate::load::clock::SECOND;

/// How long one who leaves waits for what is under way, and then for the broker to close.
const PATIENCE: u64 = 5 * SECOND;
/// How often it is looked whether somebody can leave.
const TICK: u64 = 2_000_000;

#[derive(Default)]
pub(super) struct Churn {
    /// When who has to leave, or to try again.
    plans: BinaryHeap<Reverse<(u64, u32)>>,
    /// Those who leave.
    leaving: Vec<u32>,
}

impl Churn {
    pub(super) fn plan(&mut self, at: usize, time: u64) {
        self.plans.push(Reverse((time, at as u32)));
    }
}

impl Worker<'_> {
    pub(super) fn begin_churn(&mut self) {
        for at in 0..self.clients.len() {
            if self.clients[at].state == State::Ready {
                self.plan_leave(at);
            }
        }
    }

    fn plan_leave(&mut self, at: usize) {
        let group = &self.layout.plan.groups[usize::from(self.clients[at].group)];
        if let Some(mean) = group.reconnect_s.filter(|mean| *mean > 0.0) {
            let seconds = -(1.0 - self.random.fraction()).ln() * mean;
            self.churn.plan(at, self.now.saturating_add((seconds * 1e9) as u64));
        }
    }

    /// Lets those leave whose time has come; returns when to look again.
    pub(super) fn churn(&mut self, phase: Phase) -> u64 {
        while let Some(&Reverse((_, at))) = self.churn.plans.peek().filter(|plan| plan.0.0 <= self.now) {
            self.churn.plans.pop();
            match self.clients[at as usize].state {
                State::Ready if phase != Phase::Drain => self.begin_to_leave(at as usize),
                State::Closed if !self.finished => self.open(at as usize),
                _ => {}
            }
        }
        let mut leaving = std::mem::take(&mut self.churn.leaving);
        leaving.retain(|&at| !self.try_to_leave(at as usize));
        // Nobody begins to leave while this list is out.
        self.churn.leaving = leaving;
        let next = self.churn.plans.peek().map_or(u64::MAX, |plan| plan.0.0);
        if self.churn.leaving.is_empty() { next } else { next.min(self.now + TICK) }
    }

    fn begin_to_leave(&mut self, at: usize) {
        let client = &mut self.clients[at];
        client.state = State::Leaving;
        client.since = self.now;
        self.each_stream(at, Publisher::pause);
        self.churn.leaving.push(at as u32);
    }

    /// Whether it needs no more looking after.
    fn try_to_leave(&mut self, at: usize) -> bool {
        let now = self.now;
        let patient = self.clients[at].since + PATIENCE > now;
        let state = self.clients[at].state;
        match state {
            State::Leaving if patient && self.is_under_way(at) => false,
            State::Leaving => {
                let client = &mut self.clients[at];
                client.state = State::Left;
                client.since = now;
                self.connections -= 1;
                let goodbye = Packet::Disconnect(Disconnect::new(ReasonCode::Success));
                // Has no field that could be too long.
                let _ = goodbye.encode(self.layout.version, &mut client.output);
                self.mark(at);
                false
            }
            State::Left if patient => false,
            State::Left => {
                self.gone(at);
                true
            }
            // Lost, or closed by the broker and opened again.
            _ => true,
        }
    }

    /// The broker has closed the connection of one that left: it comes back.
    pub(super) fn gone(&mut self, at: usize) {
        self.clients[at].close(State::Closed);
        self.open(at);
    }

    /// Whether something is under way from it, or to it alone.
    fn is_under_way(&mut self, at: usize) -> bool {
        let client = &self.clients[at];
        if !client.output.is_empty() {
            return true;
        }
        if self.publishers.get(client.publisher as usize).is_some_and(|own| own.unacknowledged() > 0) {
            return true;
        }
        let mut under_way = false;
        let arrived = std::mem::take(&mut self.arrived);
        self.each_stream_to(at, |publisher, at| {
            let stream = &publisher.streams[at];
            let expected = stream.sequence * publisher.receivers;
            under_way |= expected > arrived[stream.index as usize];
        });
        self.arrived = arrived;
        under_way
    }

    /// It is ready again.
    pub(super) fn back(&mut self, at: usize) {
        let now = self.now;
        self.each_stream(at, |publisher, stream| publisher.resume(stream, now));
        let publisher = self.clients[at].publisher;
        if publisher != NONE {
            self.mark_publisher(publisher);
        }
        self.plan_leave(at);
        self.clockwork.next = 0;
    }

    /// Every stream that it sends, and every one that comes to it alone.
    fn each_stream(&mut self, at: usize, mut each: impl FnMut(&mut Publisher, usize)) {
        if let Some(own) = self.publishers.get_mut(self.clients[at].publisher as usize) {
            for stream in 0..own.streams.len() {
                each(own, stream);
            }
        }
        self.each_stream_to(at, each);
    }

    fn each_stream_to(&mut self, at: usize, mut each: impl FnMut(&mut Publisher, usize)) {
        let client = &self.clients[at];
        let (number, plan) = (client.number as usize, self.layout.plan);
        for subscription in &plan.groups[usize::from(client.group)].subscribe {
            let publish = plan.groups.get(subscription.of).and_then(|group| group.publish.as_ref());
            let Some(publish) = publish.filter(|_| subscription.hears == Hears::Same) else { continue };
            if number >= publish.streams {
                continue;
            }
            if let Owner::Mine(publisher) = self.owners[self.layout.first_stream[subscription.of] + number] {
                each(&mut self.publishers[publisher as usize], number / publish.of);
                self.mark_publisher(publisher);
            }
        }
    }
}
