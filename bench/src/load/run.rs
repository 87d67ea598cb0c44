//! Starts the workers, tells them when what begins, asks whether it is over, and puts together what they counted. Runs
//! in the thread that asked for the run and sleeps nearly always.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::account::Once;
use super::clock::{SECOND, now_ns, ns};
use super::latency::Times;
use super::layout::Layout;
use super::link::{Account, Counters, Link, Order, Part, Report};
use super::plan::Plan;
use super::worker::Worker;
use super::{Control, Phase, Tally};
use crate::outcome::Sample;

/// How often it is asked whether to end.
const TICK: u64 = 20_000_000;
/// How long to listen, once everything has come, for what comes again.
const QUIET: u64 = 200_000_000;
/// What other processes send is taken to have come when nothing has for so long.
const SILENCE: u64 = 2 * SECOND;
/// A run of a fixed number ends when nothing has come for so long.
const STUCK: u64 = 3 * SECOND;
/// File descriptors that are not connections: standard streams, polls, timers, files of the one who asked.
const DESCRIPTORS: u64 = 64;

pub(super) fn run(plan: &Plan, control: &mut dyn Control) -> Result<Tally, String> {
    let layout = Layout::new(plan)?;
    check_descriptors(plan)?;
    let began = now_ns();
    let (mut polls, mut links) = (Vec::new(), Vec::new());
    for _ in 0..plan.threads {
        let (poll, waker) = Worker::poll().map_err(|error| format!("a poll: {error}"))?;
        polls.push(poll);
        links.push(Arc::new(Link::new(waker)));
    }
    let (sender, reports) = mpsc::channel();
    let workers = polls
        .into_iter()
        .enumerate()
        .map(|(number, poll)| Worker::new(&layout, number, poll, &links, sender.clone(), began));
    let workers = workers.collect::<Result<Vec<_>, _>>()?;
    drop(sender);
    thread::scope(|scope| {
        for worker in workers {
            let builder = thread::Builder::new().name("load".to_owned());
            if let Err(error) = builder.spawn_scoped(scope, move || worker.run()) {
                order(&links, Order::Finish);
                return Err(format!("a thread: {error}"));
            }
        }
        let samples = Samples { began, parts: BTreeMap::new(), threads: plan.threads };
        Lead { plan, layout: &layout, links: &links, reports, control, samples, accounts: Vec::new() }.run()
    })
}

fn order(links: &[Arc<Link>], order: Order) {
    links.iter().for_each(|link| link.order(order));
}

struct Lead<'a> {
    plan: &'a Plan,
    layout: &'a Layout<'a>,
    links: &'a [Arc<Link>],
    reports: Receiver<Report>,
    control: &'a mut dyn Control,
    samples: Samples,
    accounts: Vec<Account>,
}

impl Lead<'_> {
    fn run(mut self) -> Result<Tally, String> {
        self.control.phase(Phase::Connect);
        let (ready, failed) = self.connect();
        if ready > 0 || self.plan.groups.iter().all(|group| group.count == 0) {
            self.control.connected(ready, failed);
            if !self.control.interrupted() {
                self.flow();
            }
        }
        if ready > 0 {
            self.control.phase(Phase::Drain);
            order(self.links, Order::Drain);
            self.drain();
        }
        order(self.links, Order::Finish);
        while self.accounts.len() < self.links.len() {
            match self.reports.recv() {
                Ok(report) => self.take(report),
                Err(_) => return Err("a thread of the engine has died".to_owned()),
            }
        }
        let tally = self.tally();
        if ready == 0 && failed > 0 {
            return Err(if tally.error.is_empty() {
                "no connection got ready".to_owned()
            } else {
                tally.error
            });
        }
        Ok(tally)
    }

    /// Until all connections are ready or have failed, or it is interrupted.
    fn connect(&mut self) -> (u64, u64) {
        let (mut sum, mut missing, mut interrupted) = ((0, 0), self.links.len(), false);
        while missing > 0 {
            match self.reports.recv_timeout(Duration::from_nanos(TICK)) {
                Ok(Report::Connected { ready, failed }) => {
                    sum = (sum.0 + ready, sum.1 + failed);
                    missing -= 1;
                }
                Ok(report) => self.take(report),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if !interrupted && self.control.interrupted() {
                interrupted = true;
                order(self.links, Order::Drain);
            }
        }
        sum
    }

    /// Warm-up and measured seconds.
    fn flow(&mut self) {
        let phases = &self.plan.phases;
        let start = now_ns() + ns(phases.settle_s);
        let (measure, end) = match phases.count {
            Some(_) => (start, u64::MAX),
            None => {
                let measure = start.saturating_add(ns(phases.warmup_s));
                (measure, measure.saturating_add(ns(phases.duration_s)))
            }
        };
        order(self.links, Order::Start { start, measure, end });
        let mut edges = vec![(measure, Phase::Measure), (end, Phase::Drain)];
        if measure > start {
            edges.insert(0, (start, Phase::Warmup));
        }
        for (at, phase) in edges {
            loop {
                let now = now_ns();
                if now >= at {
                    break;
                }
                if self.control.interrupted()
                    || (phase == Phase::Drain && end == u64::MAX && self.is_counted(now))
                {
                    return;
                }
                // A run of a fixed number is over when it is, not at the next tick.
                let tick = if end == u64::MAX { TICK / 10 } else { TICK };
                self.listen((at - now).min(tick));
            }
            if phase != Phase::Drain {
                self.control.phase(phase);
            }
        }
    }

    /// Waits for what is under way.
    fn drain(&mut self) {
        let begin = now_ns();
        loop {
            let waited = now_ns() - begin;
            // Who interrupts wants to see the end.
            let most = ns(self.plan.phases.drain_s);
            let most = if self.control.interrupted() { most.min(SECOND) } else { most };
            if waited >= most || self.is_complete(begin + waited) {
                break;
            }
            self.listen(TICK / 4);
        }
        let quiet = now_ns() + QUIET;
        while now_ns() < quiet {
            self.listen(TICK);
        }
    }

    /// Whether a run of a fixed number is over.
    fn is_counted(&self, now: u64) -> bool {
        let last = self.links.iter().map(|link| link.progress.last.load(Relaxed)).max().unwrap_or(0);
        self.is_complete(now) || (last > 0 && now > last + STUCK)
    }

    /// Whether nothing is under way, as far as this process can know.
    fn is_complete(&self, now: u64) -> bool {
        let (mut open, mut expected, mut came, mut last) = (0, 0, 0, 0);
        for link in self.links {
            let progress = &link.progress;
            if progress.turns.load(Acquire) == 0 {
                return false;
            }
            open += progress.open.load(Relaxed);
            expected += progress.expected.load(Relaxed);
            came += progress.came.load(Relaxed);
            last = last.max(progress.last.load(Relaxed));
        }
        open == 0 && came >= expected && (!self.layout.hears_others() || now > last + SILENCE)
    }

    /// Takes reports for so many ns.
    fn listen(&mut self, wait: u64) {
        if let Ok(report) = self.reports.recv_timeout(Duration::from_nanos(wait)) {
            self.take(report);
        }
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Connected { .. } => {}
            Report::Sample(part) => self.samples.add(part, self.control),
            Report::Done(account) => self.accounts.push(*account),
        }
    }

    /// Puts the accounts together.
    fn tally(&mut self) -> Tally {
        self.samples.end(self.control);
        let mut sum = Tally::default();
        let mut arrived = vec![0; self.layout.streams];
        let mut shared: BTreeMap<(usize, usize), Once> = BTreeMap::new();
        let (mut first, mut last) = (u64::MAX, 0);
        for account in &mut self.accounts {
            add(&mut sum, &account.tally);
            arrived.iter_mut().zip(&account.arrived).for_each(|(sum, came)| *sum += came);
            for (once, key) in account.once.drain(..).zip(&account.once_keys) {
                sum.totals.repeated += shared.entry(*key).or_default().merge(&once);
            }
            if account.first_connect > 0 {
                first = first.min(account.first_connect);
            }
            last = last.max(account.last_ready);
        }
        for ((_, stream), once) in &shared {
            arrived[*stream] += once.came();
        }
        for (group, &first) in self.layout.first_stream.iter().enumerate() {
            let streams = self.plan.groups[group].publish.as_ref().map_or(0, |publish| publish.streams);
            let came = arrived[first..first + streams].iter().enumerate().filter(|&(_, &came)| came > 0);
            sum.arrived.extend(came.map(|(stream, &came)| (group, stream, came)));
        }
        sum.sent.sort_unstable();
        sum.totals.connect_seconds = last.saturating_sub(first) as f64 / 1e9;
        sum
    }
}

/// Adds one thread's tally to another's.
fn add(sum: &mut Tally, tally: &Tally) {
    let (totals, more) = (&mut sum.totals, &tally.totals);
    totals.seconds = totals.seconds.max(more.seconds);
    totals.sent += more.sent;
    totals.acknowledged += more.acknowledged;
    totals.delivered += more.delivered;
    totals.repeated += more.repeated;
    totals.reordered += more.reordered;
    totals.foreign += more.foreign;
    totals.stalls += more.stalls;
    totals.refused += more.refused;
    totals.unexpected += more.unexpected;
    totals.disconnects += more.disconnects;
    totals.connect_failed += more.connect_failed;
    totals.connected += more.connected;
    totals.behind += more.behind;
    totals.payload_sent += more.payload_sent;
    totals.payload_delivered += more.payload_delivered;
    sum.latency.add(&tally.latency);
    sum.connect_latency.add(&tally.connect_latency);
    sum.sent.extend(&tally.sent);
    sum.unacknowledged += tally.unacknowledged;
    if sum.error.is_empty() {
        sum.error.clone_from(&tally.error);
    }
}

/// Samples of which some workers' parts are missing.
struct Samples {
    began: u64,
    threads: usize,
    parts: BTreeMap<(u8, u64), (Part, usize)>,
}

impl Samples {
    fn add(&mut self, part: Part, control: &mut dyn Control) {
        let key = (part.phase as u8, part.number);
        let parts = match self.parts.remove(&key) {
            None => (part, 1),
            Some((mut sum, parts)) => {
                sum.began = sum.began.min(part.began);
                sum.ended = sum.ended.max(part.ended);
                sum.connections += part.connections;
                sum.counters.add(&part.counters);
                sum.times.add(&part.times);
                (sum, parts + 1)
            }
        };
        self.parts.insert(key, parts);
        // In order of time: an earlier one that is not whole holds back a later one.
        while let Some(first) = self.parts.first_entry().filter(|first| first.get().1 == self.threads) {
            let (part, _) = first.remove();
            self.show(&part, control);
        }
    }

    /// What is left was an interval in some threads only.
    fn end(&mut self, control: &mut dyn Control) {
        for (part, _) in std::mem::take(&mut self.parts).into_values() {
            self.show(&part, control);
        }
    }

    fn show(&self, part: &Part, control: &mut dyn Control) {
        let Part { began, ended, counters, .. } = part;
        let Counters { sent, acknowledged, delivered, errors, .. } = *counters;
        let latency = Times::latency(&part.times);
        let sample = Sample {
            at_s: ended.saturating_sub(self.began) as f64 / 1e9,
            seconds: ended.saturating_sub(*began) as f64 / 1e9,
            phase: part.phase.name().to_owned(),
            sent,
            acknowledged,
            delivered,
            p50_us: latency.quantile(0.5),
            p99_us: latency.quantile(0.99),
            max_us: latency.max(),
            connections: part.connections,
            errors,
            ..Sample::default()
        };
        control.sample(&sample, &latency);
    }
}

/// Raises the limit of file descriptors as far as it may be, and says what to do if that is not enough.
fn check_descriptors(plan: &Plan) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    // What is refused here shows below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let clients: usize = plan.groups.iter().map(|group| group.count).sum();
    let needed = clients as u64 + 3 * plan.threads as u64 + DESCRIPTORS;
    if needed <= limit {
        return Ok(());
    }
    let each = limit.saturating_sub(3 * plan.threads as u64 + DESCRIPTORS).max(1);
    let processes = (clients as u64).div_ceil(each);
    Err(format!(
        "{clients} connections in one process need {needed} file descriptors, and the hard limit is {limit}: raise it \
         (ulimit -Hn), or use at least {processes} times as many processes"
    ))
}
