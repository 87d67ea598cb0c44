//! One run of a scenario against one broker, from the plan to the [`Outcome`].

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::args::Scenario;
use super::draft::{Draft, draft};
use super::held::{Holding, Wanted};
use super::kafka::{self, Consumer};
use super::progress::Progress;
use super::split::split;
use super::watch::Watch;
use super::{interrupt, omb};
use crate::load::Tally;
use crate::load::plan::{Hears, Pace};
use crate::outcome::{Held, Outcome, Settings, Usage};
use crate::process::usage::Reading;
use crate::process::{crew, descriptors, machine, merge};

/// Time for a broker to give back what connections took.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Its memory has settled when it has not changed for so long.
const SETTLED: Duration = Duration::from_secs(2);

/// What is to be run.
pub(super) struct Run<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) address: SocketAddr,
    /// The broker's process, if known.
    pub(super) pid: Option<u32>,
    pub(super) label: &'a str,
    /// The command line that repeats it.
    pub(super) command: &'a str,
}

/// Runs it.
///
/// # Errors
/// Nothing could be measured.
pub(super) fn run(run: &Run<'_>) -> Result<Outcome, String> {
    let common = run.scenario.common();
    let number = getrandom::u32().map_err(|error| format!("no random number: {error}"))?;
    let seed = common.seed.unwrap_or(u64::from(number));
    let draft = draft(run.scenario, run.address, number, seed)?;
    let plans = split(&draft, common.processes as usize)?;
    descriptors::raise();
    let clients = |plan: &crate::load::plan::Plan| plan.groups.iter().map(|group| group.count).sum::<usize>();
    let held = common.held_clients() as usize;
    descriptors::check(plans.iter().map(clients).max().unwrap_or(0) + held, clients(&draft.plan) + held)?;
    let kafka = consumer(run.scenario, &draft)?;
    let progress = Progress::new(common.quiet, run.label, &draft.plan.phases);
    let holding = hold(run, &draft, &progress)?;
    let mut watch = Watch::new(run.pid, draft.connecting, progress, kafka);
    let started = SystemTime::now();
    let tallies = crew::run(&plans, &mut watch)?;
    watch.progress().end();
    let mut tally = merge::tallies(&draft.plan, &tallies);
    if let Some(consumer) = watch.kafka() {
        count_stream(consumer, common.drain, &mut tally);
    }
    let rss_after = if draft.connecting { memory_after(&watch) } else { 0 };
    let machine = machine::this();
    let threads = plans.len() * draft.plan.threads;
    let mut outcome = Outcome {
        format: 1,
        label: run.label.to_owned(),
        scenario: name(run.scenario),
        command: run.command.to_owned(),
        started_unix_ms: started_ms(started, &watch),
        settings: settings(run.scenario, &draft, plans.len()),
        latency: tally.latency,
        connect_latency: tally.connect_latency,
        generator: watch.generator_usage(threads, machine.cores),
        broker: watch.broker_usage().map(|usage| Usage { rss_after, ..usage }),
        totals: tally.totals,
        held: None,
        stolen: watch.stolen(machine.cores),
        error: tally.error,
        machine,
        samples: std::mem::take(&mut watch.samples),
    };
    if let Some((holding, mut held)) = holding {
        match holding.end() {
            Ok(seconds) => held.unsubscribe_s = seconds,
            Err(error) => watch.progress().say(&format!("they could not be ended: {error}")),
        }
        outcome.held = Some(held);
    }
    judge(&mut outcome);
    Ok(outcome)
}

/// What the account does not say by itself.
fn judge(outcome: &mut Outcome) {
    let dead = outcome.broker.as_ref().is_some_and(|broker| !broker.alive);
    let troubles =
        [(dead, "the broker's process has ended"), (interrupt::requested(), "ended early by the user")];
    for (_, trouble) in troubles.into_iter().filter(|(is, _)| *is) {
        outcome.error = match outcome.error.is_empty() {
            true => trouble.to_owned(),
            false => format!("{trouble}; {}", outcome.error),
        };
    }
}

fn name(scenario: &Scenario) -> String {
    match scenario {
        Scenario::Omb(args) => format!("omb {}", omb::name(args)),
        _ => scenario.name().to_owned(),
    }
}

fn consumer(scenario: &Scenario, draft: &Draft) -> Result<Option<Consumer>, String> {
    let Scenario::Stream(args) = scenario else { return Ok(None) };
    let groups = draft.plan.groups.iter().enumerate();
    let publish = groups.filter_map(|(group, of)| Some((group, of.publish.as_ref()?))).next();
    let Some((group, publish)) = publish else { return Ok(None) };
    let wanted = kafka::Wanted { run: draft.plan.run, group, streams: publish.streams, size: publish.size };
    Consumer::start(&args.kafka, &args.stream, wanted).map(Some)
}

/// Puts what came to Kafka in the place of what came to subscribers.
fn count_stream(consumer: Consumer, drain_s: f64, tally: &mut Tally) {
    let sent: u64 = tally.sent.iter().map(|&(_, _, count)| count).sum();
    consumer.wait(sent, Duration::from_secs_f64(drain_s));
    let seen = consumer.finish();
    let seen = kafka::lock(&seen);
    let missing =
        tally.sent.iter().map(|&(group, stream, count)| count.saturating_sub(seen.arrived(group, stream)));
    let totals = &mut tally.totals;
    // What was not acknowledged and did not come either is lost once.
    totals.lost = totals.lost.max(missing.sum());
    totals.delivered = seen.delivered;
    totals.payload_delivered = match totals.sent {
        0 => 0,
        sent => seen.delivered * (totals.payload_sent / sent),
    };
    totals.repeated += seen.repeated;
    totals.reordered += seen.reordered;
    totals.foreign += seen.foreign;
    tally.latency = seen.latency();
    if tally.error.is_empty() {
        tally.error.clone_from(&seen.error);
    }
}

fn hold<'a>(
    run: &Run<'a>,
    draft: &Draft,
    progress: &Progress,
) -> Result<Option<(Holding<'a>, Held)>, String> {
    let common = run.scenario.common();
    if common.held_subscriptions == 0 {
        return Ok(None);
    }
    let memory = || run.pid.map_or(0, |pid| Reading::of(&[pid]).rss);
    let rss_before = memory();
    let wanted = Wanted {
        address: run.address,
        version: common.version(),
        qos: common.subscribe_qos(),
        count: u64::from(common.held_subscriptions),
        clients: u64::from(common.held_clients()),
        filter: &common.held_filter,
        run: draft.plan.run,
    };
    let (holding, subscribe_s) = Holding::make(wanted)?;
    let held = Held {
        subscriptions: u64::from(common.held_subscriptions),
        subscribe_s,
        unsubscribe_s: 0.0,
        rss_before,
        rss: memory(),
    };
    progress.say(&format!("{} subscriptions held, made in {subscribe_s:.2} s", held.subscriptions));
    Ok(Some((holding, held)))
}

/// The broker's memory once the last connection has gone and it does not change any more.
fn memory_after(watch: &Watch) -> u64 {
    let deadline = Instant::now() + LEAVE_TIMEOUT;
    let mut rss = watch.broker_rss();
    let mut since = Instant::now();
    while Instant::now() < deadline && since.elapsed() < SETTLED {
        thread::sleep(Duration::from_millis(50));
        let now = watch.broker_rss();
        if now != rss {
            (rss, since) = (now, Instant::now());
        }
    }
    rss
}

/// When the measured seconds began, by the samples.
fn started_ms(started: SystemTime, watch: &Watch) -> u64 {
    let first = watch.samples.iter().find(|sample| sample.phase == "measure");
    let after = first.map_or(0.0, |sample| (sample.at_s - sample.seconds).max(0.0));
    let at = started.duration_since(UNIX_EPOCH).unwrap_or_default() + Duration::from_secs_f64(after);
    at.as_millis() as u64
}

fn settings(scenario: &Scenario, draft: &Draft, processes: usize) -> Settings {
    let plan = &draft.plan;
    let mut settings = Settings {
        version: millrace_codec::Version::ALL
            .iter()
            .find(|version| version.level() == plan.level)
            .map_or_else(String::new, ToString::to_string),
        qos: scenario.common().qos(),
        subscribe_qos: scenario.common().subscribe_qos(),
        retain: scenario.common().retain,
        size: 0,
        publishers: 0,
        subscribers: 0,
        idle: 0,
        window: 0,
        rate: None,
        warmup_s: plan.phases.warmup_s,
        duration_s: plan.phases.duration_s,
        threads: plan.threads,
        processes,
        seed: plan.seed,
    };
    for group in &plan.groups {
        let hears = group.subscribe.iter().any(|subscription| subscription.hears != Hears::Nobody);
        if hears {
            settings.subscribers += group.count;
        } else if group.publish.is_none() {
            settings.idle += group.count;
        }
        let Some(publish) = &group.publish else { continue };
        settings.publishers += group.count;
        (settings.size, settings.qos) = (publish.size, publish.qos);
        match publish.pace {
            Pace::Window(window) => settings.window = window,
            Pace::Rate { per_second, window } => {
                settings.window = window;
                settings.rate = Some(settings.rate.unwrap_or(0.0) + per_second);
            }
        }
    }
    settings
}
