//! What happens by the clock: phases, samples, keep-alive, windows that are stuck; and the end.

use std::sync::atomic::Ordering::{Relaxed, Release};

use millrace_codec::{Packet, ReasonCode};

use super::*;
use crate::load::clock::{SECOND, ns};
use crate::load::link::{Account, Order, Part};
use crate::load::plan::Plan;
use crate::load::publisher::write_ping;
use crate::load::{Phase, Tally};
use crate::outcome::Latency;

/// How often it is looked whose PINGREQ is due.
const PING_TICK: u64 = 50_000_000;

/// When what has to be done.
pub(super) struct Clockwork {
    /// The next time at which anything has.
    pub(super) next: u64,
    phase: Phase,
    /// When messages flow, are measured, and end; never: as long as nobody has said so.
    start: u64,
    measure: u64,
    end: u64,
    interval: u64,
    sample_at: u64,
    sample_began: u64,
    sample_number: u64,
    /// Counters when the sample began.
    sample_base: Counters,
    /// Each second it is looked whether a window is stuck.
    look_at: u64,
    ping_at: u64,
    /// In so many ns each connection gets a PINGREQ; 0: none does.
    ping_period: u64,
    ping_next: usize,
    /// Counters and time when the measured seconds began.
    measure_base: Counters,
    measure_began: u64,
    measured: Counters,
    measured_times: Option<Times>,
    seconds: f64,
    behind: u64,
    /// Somebody waits until nothing is under way.
    pub(super) watched: bool,
    counted: bool,
}

impl Clockwork {
    pub(super) fn new(plan: &Plan, began: u64) -> Clockwork {
        let interval = ns(plan.sample_s).max(1);
        let counted = plan.phases.count.is_some();
        let mut clockwork = Clockwork {
            next: 0,
            phase: Phase::Connect,
            start: u64::MAX,
            measure: u64::MAX,
            end: u64::MAX,
            interval,
            sample_at: began + interval,
            sample_began: began,
            sample_number: 0,
            sample_base: Counters::default(),
            look_at: u64::MAX,
            ping_at: u64::MAX,
            ping_period: 0,
            ping_next: 0,
            measure_base: Counters::default(),
            measure_began: 0,
            measured: Counters::default(),
            measured_times: None,
            seconds: 0.0,
            behind: 0,
            watched: counted,
            counted,
        };
        if plan.connect.keep_alive_s > 0 {
            clockwork.keep_alive(plan.connect.keep_alive_s, began);
        }
        clockwork
    }

    /// Every connection sends PINGREQ in half of these seconds; the shortest that was said counts.
    pub(super) fn keep_alive(&mut self, seconds: u16, now: u64) {
        let period = u64::from(seconds) * SECOND / 2;
        if self.ping_period == 0 || period < self.ping_period {
            self.ping_period = period;
            self.ping_at = self.ping_at.min(now + PING_TICK);
            self.next = self.next.min(self.ping_at);
        }
    }

    /// The phase that begins next, and when.
    fn edge(&self) -> Option<(u64, Phase)> {
        match self.phase {
            Phase::Connect if self.measure > self.start => Some((self.start, Phase::Warmup)),
            Phase::Connect if self.start < u64::MAX => Some((self.start, Phase::Measure)),
            Phase::Warmup => Some((self.measure, Phase::Measure)),
            Phase::Measure => Some((self.end, Phase::Drain)),
            Phase::Connect | Phase::Drain => None,
        }
    }
}

impl Worker<'_> {
    /// Does all that is due, and finds out when the next is.
    pub(super) fn timers(&mut self) {
        let now = self.now;
        while let Some((_, phase)) = self.clockwork.edge().filter(|&(at, _)| at <= now) {
            self.enter(phase);
        }
        if now >= self.clockwork.sample_at {
            self.sample();
        }
        if self.flowing && now >= self.clockwork.look_at {
            self.clockwork.look_at = now + SECOND;
            self.look();
        }
        if now >= self.clockwork.ping_at {
            self.clockwork.ping_at = now + PING_TICK;
            self.ping();
        }
        self.time_out();
        let churns = self.churn(self.clockwork.phase);
        let clockwork = &self.clockwork;
        let edge = clockwork.edge().map_or(u64::MAX, |(at, _)| at);
        let look = if self.flowing { clockwork.look_at } else { u64::MAX };
        let opens = self.opening.wakes_at(self.clients.len());
        let all = [edge, clockwork.sample_at, look, clockwork.ping_at, opens, churns];
        self.clockwork.next = all.into_iter().min().unwrap_or(u64::MAX);
    }

    /// A phase begins. All counters are taken here, between two turns' messages.
    fn enter(&mut self, phase: Phase) {
        self.sample();
        let was = std::mem::replace(&mut self.clockwork.phase, phase);
        self.clockwork.sample_number = 0;
        if was == Phase::Connect {
            self.begin();
        }
        let (now, clockwork) = (self.now, &mut self.clockwork);
        match phase {
            Phase::Measure => {
                // Threads begin one after the other, and of a fixed number nothing may be missing.
                clockwork.measure_base = if clockwork.counted { Counters::default() } else { self.counters };
                clockwork.measure_began = now;
            }
            Phase::Drain => {
                self.flowing = false;
                clockwork.watched = true;
                if was == Phase::Measure {
                    clockwork.measured = self.counters.since(&clockwork.measure_base);
                    let end = if clockwork.counted { self.last } else { now };
                    clockwork.seconds = end.saturating_sub(clockwork.measure_began) as f64 / 1e9;
                    clockwork.behind = self.publishers.iter().map(Publisher::behind).sum();
                }
            }
            Phase::Connect | Phase::Warmup => {}
        }
    }

    /// Messages flow.
    fn begin(&mut self) {
        self.flowing = true;
        self.last = self.now;
        let start = self.clockwork.start;
        self.clockwork.look_at = self.now + SECOND;
        for timetable in &mut self.timetables {
            timetable.schedule.start = start;
            for entry in &timetable.entries {
                self.publishers[entry.publisher as usize].schedule = Some(timetable.schedule);
            }
        }
        for at in 0..self.publishers.len() as u32 {
            self.mark_publisher(at);
        }
        self.begin_churn();
    }

    pub(super) fn fall_due(&mut self) {
        for at in 0..self.timetables.len() {
            while let Some(entry) = self.timetables[at].take(self.now) {
                self.publishers[entry.publisher as usize].fall_due(entry.index);
                self.mark_publisher(entry.publisher);
            }
        }
    }

    /// Ends an interval and tells what was in it.
    fn sample(&mut self) {
        let now = self.now;
        let clockwork = &mut self.clockwork;
        let on_time = now >= clockwork.sample_at && now < clockwork.sample_at + clockwork.interval;
        clockwork.sample_at = if on_time { clockwork.sample_at } else { now } + clockwork.interval;
        if now == clockwork.sample_began {
            return;
        }
        let mut times = Times::new();
        times.take(&mut self.times);
        if clockwork.phase == Phase::Measure || clockwork.counted {
            clockwork.measured_times.get_or_insert_with(Times::new).add(&times);
        }
        let part = Part {
            phase: clockwork.phase,
            number: clockwork.sample_number,
            began: clockwork.sample_began,
            ended: now,
            counters: self.counters.since(&clockwork.sample_base),
            connections: self.connections,
            times,
        };
        clockwork.sample_number += 1;
        clockwork.sample_base = self.counters;
        clockwork.sample_began = now;
        self.report(Report::Sample(part));
    }

    /// Opens windows that are stuck.
    fn look(&mut self) {
        for at in 0..self.publishers.len() {
            let client = self.publishers[at].client as usize;
            if self.clients[client].state == State::Ready && self.publishers[at].look() {
                self.totals.stalls += 1;
                self.counters.errors += 1;
                let name = self.name(client);
                self.note(|| format!("{name}: what its window waits for did not come"));
                self.mark_publisher(at as u32);
            }
        }
    }

    /// PINGREQ to those whose turn it is: connections are spread evenly over the period.
    fn ping(&mut self) {
        let many = self.clients.len();
        let period = self.clockwork.ping_period.max(1);
        let until = (u128::from(self.now % period) * many as u128 / u128::from(period)) as usize;
        while self.clockwork.ping_next != until && many > 0 {
            let at = self.clockwork.ping_next;
            self.clockwork.ping_next = (at + 1) % many;
            let client = &mut self.clients[at];
            if client.state == State::Ready {
                write_ping(&mut client.output);
                if let Some(publisher) = self.publishers.get_mut(client.publisher as usize) {
                    publisher.pinged();
                }
                self.mark(at);
            }
        }
    }

    pub(super) fn take_orders(&mut self) {
        for order in self.links[self.number].take_orders() {
            self.now = now_ns();
            match order {
                Order::Start { start, measure, end } => {
                    let clockwork = &mut self.clockwork;
                    (clockwork.start, clockwork.measure, clockwork.end) = (start, measure, end);
                    clockwork.next = 0;
                }
                Order::Drain => {
                    self.stop_opening();
                    if self.clockwork.phase != Phase::Drain {
                        self.enter(Phase::Drain);
                    }
                    self.flowing = false;
                    self.clockwork.next = 0;
                }
                Order::Finish => self.finished = true,
            }
        }
    }

    pub(super) fn show_progress(&mut self) {
        let progress = &self.links[self.number].progress;
        let sum = |of: fn(&Publisher) -> u64| self.publishers.iter().map(of).sum::<u64>();
        let unsent =
            if self.flowing || self.clockwork.phase == Phase::Connect { sum(Publisher::unsent) } else { 0 };
        progress.expected.store(sum(Publisher::expected), Relaxed);
        progress.came.store(self.came, Relaxed);
        progress.open.store(sum(Publisher::unacknowledged) + unsent, Relaxed);
        progress.last.store(self.last, Relaxed);
        progress.turns.fetch_add(1, Release);
    }

    pub(super) fn report(&self, report: Report) {
        // The one who listens outlives the workers.
        let _ = self.reports.send(report);
    }

    /// Says goodbye on all connections and tells what was counted.
    pub(super) fn finish(mut self) {
        self.sample();
        let mut goodbye = Vec::new();
        let disconnect = millrace_codec::Disconnect::new(ReasonCode::Success);
        // Has no field that could be too long.
        let _ = Packet::Disconnect(disconnect).encode(self.layout.version, &mut goodbye);
        for client in &mut self.clients {
            if client.is_ready() {
                client.output.extend_from_slice(&goodbye);
                // A broker that takes no more sees the connection close.
                let _ = client.flush();
            }
            client.close(State::Dead);
        }
        let clockwork = &mut self.clockwork;
        let mut totals = self.totals.clone();
        totals.seconds = clockwork.seconds;
        totals.sent = clockwork.measured.sent;
        totals.acknowledged = clockwork.measured.acknowledged;
        totals.delivered = clockwork.measured.delivered;
        totals.payload_sent = clockwork.measured.payload_sent;
        totals.payload_delivered = clockwork.measured.payload_delivered;
        totals.behind = clockwork.behind;
        let unfollowed = self.unfollowed + self.ordered.forgotten;
        if unfollowed > 0 {
            let why = "messages too far out of order for the account count as lost";
            self.error = format!("{unfollowed} {why}. {}", self.error).trim_end().to_owned();
        }
        let tally = Tally {
            totals,
            latency: clockwork.measured_times.as_ref().map_or(Latency::default(), Times::latency),
            connect_latency: self.connect_times.latency(),
            sent: self.sent(),
            arrived: Vec::new(),
            unacknowledged: self.unacknowledged(),
            error: std::mem::take(&mut self.error),
        };
        let account = Account {
            tally,
            arrived: std::mem::take(&mut self.arrived),
            once: std::mem::take(&mut self.once),
            once_keys: std::mem::take(&mut self.once_keys),
            first_connect: self.opening.first_connect,
            last_ready: self.opening.last_ready,
        };
        self.report(Report::Done(Box::new(account)));
    }

    fn sent(&self) -> Vec<(usize, usize, u64)> {
        let publishers = self.publishers.iter();
        let streams = publishers.flat_map(|one| one.streams.iter().map(|stream| (one.group, stream)));
        let sent = streams.filter(|(_, stream)| stream.sequence > 0);
        sent.map(|(group, stream)| (usize::from(group), stream.number as usize, stream.sequence)).collect()
    }

    /// Messages of groups that nobody hears and whose acknowledgement did not come.
    fn unacknowledged(&self) -> u64 {
        let groups = &self.layout.plan.groups;
        let nobody = |publisher: &&Publisher| {
            groups[usize::from(publisher.group)]
                .publish
                .as_ref()
                .is_some_and(|publish| publish.receivers == 0)
        };
        self.publishers.iter().filter(nobody).map(Publisher::unacknowledged).sum()
    }
}
