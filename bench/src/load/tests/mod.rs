//! Whole runs against a broker of the tests' own, which knows what it has done wrong: every counter counts exactly that.

mod broker;
mod faults;
mod paces;
mod shapes;

use std::time::{Duration, Instant};

use broker::{Broker, Done, Faults};

use super::plan::{Connect, Group, Hears, Pace, Phases, Plan, Publish, Subscription};
use super::*;

/// One who watches a run.
#[derive(Default)]
pub(super) struct Watcher {
    phases: Vec<Phase>,
    connected: Option<(u64, u64)>,
    samples: Vec<Sample>,
    /// When it interrupts.
    end: Option<Instant>,
}

impl Control for Watcher {
    fn connected(&mut self, ready: u64, failed: u64) {
        assert_eq!(self.connected.replace((ready, failed)), None);
    }
    fn phase(&mut self, phase: Phase) {
        self.phases.push(phase);
    }
    fn sample(&mut self, sample: &Sample, latency: &Latency) {
        assert_eq!(latency.max(), sample.max_us);
        self.samples.push(sample.clone());
    }
    fn interrupted(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() > end)
    }
}

/// `count` pairs of publisher and subscriber.
fn p2p(count: usize, qos: u8) -> Plan {
    let subscription = Subscription { filter: "p/{n}/{run}".to_owned(), qos, of: 1, hears: Hears::Same };
    plan(count, subscription, count, qos, 1)
}

fn plan(subscribers: usize, subscription: Subscription, publishers: usize, qos: u8, receivers: u64) -> Plan {
    let group = |name: &str, count, subscribe, publish| Group {
        name: name.to_owned(),
        first: 0,
        count,
        subscribe,
        publish,
        reconnect_s: None,
    };
    let publish = Publish {
        streams: publishers,
        of: publishers,
        topic: "p/{n}/{run}".to_owned(),
        qos,
        retain: false,
        size: 40,
        pace: Pace::Window(8),
        receivers,
        receivers_here: receivers > 0,
    };
    Plan {
        broker: ([127, 0, 0, 1], 1).into(),
        sources: Vec::new(),
        level: 4,
        run: 77,
        seed: 3,
        threads: 1,
        connect: Connect { at_once: 10, rate: None, timeout_s: 5.0, keep_alive_s: 0, clean: true },
        groups: vec![
            group("sub", subscribers, vec![subscription], None),
            group("pub", publishers, Vec::new(), Some(publish)),
        ],
        phases: Phases { settle_s: 0.0, warmup_s: 0.1, duration_s: 0.2, count: None, drain_s: 0.3 },
        sample_s: 0.05,
    }
}

fn publish(plan: &mut Plan) -> &mut Publish {
    plan.groups[1].publish.as_mut().expect("publishes")
}

/// Nobody listens: acknowledgements count.
fn unheard(publishers: usize, qos: u8) -> Plan {
    let nobody = Subscription { filter: "none".to_owned(), qos, of: 1, hears: Hears::Nobody };
    plan(1, nobody, publishers, qos, 0)
}

/// Runs a plan against a broker with these faults.
fn load(plan: &Plan, faults: Faults) -> (Result<Tally, String>, Done, Watcher) {
    let broker = Broker::start(faults);
    let plan = Plan { broker: broker.address, ..plan.clone() };
    let mut watcher = Watcher::default();
    let tally = run(&plan, &mut watcher);
    // What was written last is being read.
    std::thread::sleep(Duration::from_millis(50));
    (tally, broker.done(), watcher)
}

/// What the one who has all tallies makes of them.
fn lost(plan: &Plan, tally: &Tally) -> u64 {
    let receivers = |group: usize| plan.groups[group].publish.as_ref().map_or(0, |publish| publish.receivers);
    let expected: u64 = tally.sent.iter().map(|&(group, _, sent)| sent * receivers(group)).sum();
    expected - tally.arrived.iter().map(|&(_, _, came)| came).sum::<u64>() + tally.unacknowledged
}

/// Every counter of what may be wrong, by name.
fn wrong(plan: &Plan, tally: &Tally) -> Vec<(&'static str, u64)> {
    let totals = &tally.totals;
    let all = [
        ("lost", lost(plan, tally)),
        ("repeated", totals.repeated),
        ("reordered", totals.reordered),
        ("foreign", totals.foreign),
        ("stalls", totals.stalls),
        ("refused", totals.refused),
        ("unexpected", totals.unexpected),
        ("disconnects", totals.disconnects),
        ("connect_failed", totals.connect_failed),
    ];
    all.into_iter().filter(|&(_, count)| count > 0).collect()
}
