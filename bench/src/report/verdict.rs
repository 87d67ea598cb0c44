//! What a run's figures are worth, in words: the account, and what has to be known before one believes the rest.

use super::text::{count, micros, number};
use crate::outcome::{Outcome, Settings};

/// Share of the machine's CPU time that its host may take before one has to know it.
const STOLEN: f64 = 0.005;

/// What was asked, in a line: `p2p, MQTT 3.1.1, QoS 1, 250 → 250, 128 B, window 8`.
pub(super) fn workload(outcome: &Outcome) -> String {
    let Settings {
        version,
        qos,
        subscribe_qos,
        retain,
        size,
        publishers,
        subscribers,
        idle,
        window,
        rate,
        ..
    } = &outcome.settings;
    let mut parts = vec![outcome.scenario.clone()];
    if !version.is_empty() {
        parts.push(format!("MQTT {version}"));
    }
    if *publishers > 0 {
        let qos = if qos == subscribe_qos || *subscribers == 0 {
            format!("QoS {qos}")
        } else {
            format!("QoS {qos} → {subscribe_qos}")
        };
        parts.push(format!("{qos}{}", if *retain { " retained" } else { "" }));
    }
    match (*publishers, *subscribers) {
        (0, 0) => {}
        (0, subscribers) => parts.push(format!("{} subscribers", count(subscribers as u64))),
        (publishers, 0) => parts.push(format!("{} publishers", count(publishers as u64))),
        (publishers, subscribers) => {
            parts.push(format!("{} → {}", count(publishers as u64), count(subscribers as u64)));
        }
    }
    if *idle > 0 {
        parts.push(format!("{} idle", count(*idle as u64)));
    }
    if *publishers > 0 {
        parts.push(format!("{} B", count(*size as u64)));
        parts.push(match rate {
            Some(rate) => format!("{}/s offered", number(*rate)),
            None => format!("window {window}"),
        });
    }
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

/// The account's entries that are not as they should be: name and number.
pub(super) fn faults(outcome: &Outcome) -> Vec<(&'static str, u64)> {
    let totals = &outcome.totals;
    let all = [
        ("lost", totals.lost),
        ("repeated", totals.repeated),
        ("reordered", totals.reordered),
        ("foreign", totals.foreign),
        ("stalls", totals.stalls),
        ("refused", totals.refused),
        ("unexpected acknowledgements", totals.unexpected),
        ("connections lost", totals.disconnects),
        ("connections failed", totals.connect_failed),
    ];
    all.into_iter().filter(|&(_, number)| number > 0).collect()
}

/// The account in a few words.
pub(super) fn account(outcome: &Outcome) -> String {
    let faults = faults(outcome);
    if !faults.is_empty() {
        let words: Vec<String> =
            faults.iter().map(|(name, number)| format!("{name} {}", count(*number))).collect();
        return format!("BAD: {}", words.join(", "));
    }
    if !outcome.error.is_empty() {
        return "BAD: the run failed".to_owned();
    }
    match (outcome.totals.delivered, outcome.messages()) {
        (0, 0) => "good: no connection failed or was lost".to_owned(),
        (0, _) => "good: every message was acknowledged once".to_owned(),
        _ => "good: every message came once and in order".to_owned(),
    }
}

/// Why the figures may not mean what they seem to: what went wrong, and what was not the broker's doing.
pub(super) fn warnings(outcome: &Outcome) -> Vec<String> {
    let (totals, settings) = (&outcome.totals, &outcome.settings);
    let mut out = Vec::new();
    if !outcome.error.is_empty() {
        out.push(outcome.error.clone());
    }
    if totals.lost > 0 && settings.qos.min(settings.subscribe_qos) == 0 {
        out.push(
            "messages were lost; QoS 0 allows it, but the rate is then not one that the broker holds"
                .to_owned(),
        );
    } else if totals.lost > 0 {
        out.push(format!("messages were lost at QoS {}: the broker broke its promise", settings.qos));
    }
    if totals.stalls > 0 {
        let again = count(totals.stalls);
        out.push(format!(
            "a window was opened again by force {again} times: the broker owed answers that never came"
        ));
    }
    if outcome.broker.as_ref().is_some_and(|broker| !broker.alive) {
        out.push("the broker's process was gone at the end".to_owned());
    }
    if outcome.generator.saturated {
        out.push(
            "the generator used all the CPU it could get: rate and latency may be its own (more --threads or \
             --processes, or fewer messages)"
                .to_owned(),
        );
    }
    if let Some(stolen) = outcome.stolen.filter(|&stolen| stolen > STOLEN) {
        out.push(format!(
            "the host of this virtual machine gave {} % of its CPU time to others meanwhile: latencies beyond the median, \
             and CPU times too, are the host's as much as the broker's",
            number(100.0 * stolen)
        ));
    }
    if let Some(rate) = settings.rate.filter(|_| totals.behind > 0) {
        let asked = (rate * totals.seconds).max(1.0);
        let share = 100.0 * totals.behind as f64 / asked;
        out.push(format!(
            "the rate was not held: {} messages ({} % of what was asked) were still unsent at the end; latencies \
             count from when they were due, so they grow with the time of the run",
            count(totals.behind),
            number(share)
        ));
    }
    out
}

/// Why not to believe the figures of one of several runs: a bad account, and every warning.
pub(super) fn troubles(outcome: &Outcome) -> Vec<String> {
    let mut out = warnings(outcome);
    if !outcome.is_good() {
        out.insert(0, account(outcome));
    }
    out
}

/// Of a closed loop: how many messages it keeps in flight, and how long one takes, in µs, because of the others alone.
pub(super) fn queueing(outcome: &Outcome) -> Option<(u64, f64)> {
    let (totals, settings) = (&outcome.totals, &outcome.settings);
    let in_flight = u64::from(settings.window) * settings.publishers as u64;
    let is_closed = settings.rate.is_none() && in_flight > 1 && totals.sent > 0 && totals.seconds > 0.0;
    is_closed.then(|| (in_flight, in_flight as f64 * totals.seconds / totals.sent as f64 * 1e6))
}

/// What one should know to read the figures of runs with which nothing is wrong.
pub(super) fn notes(runs: &[&Outcome]) -> Vec<String> {
    let mut out = Vec::new();
    let mut closed: Vec<(u64, f64)> = runs.iter().filter_map(|run| queueing(run)).collect();
    closed.sort_by(|one, other| one.1.total_cmp(&other.1));
    if let (Some(&(in_flight, least)), Some(&(_, most))) = (closed.first(), closed.last()) {
        let (in_flight, least, most) = (count(in_flight), micros(least), micros(most));
        let range = if least == most { least } else { format!("{least} to {most}") };
        out.push(format!(
            "closed loop: {in_flight} in flight take {range} to pass at this rate; latency is queueing, \
             measure it with --rate"
        ));
    }
    if runs.iter().any(|run| run.broker.is_none()) {
        out.push("a broker's process is not known (--pid): nothing about its CPU time and memory".to_owned());
    }
    out
}
