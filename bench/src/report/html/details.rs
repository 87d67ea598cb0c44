//! What is needed to believe and repeat a run: the command, where it ran, what was asked, the whole account.

use std::fmt::Write;

use super::{Run, Work};
use crate::outcome::{Machine, Outcome, Usage};
use crate::plot::escape;
use crate::report::text::{bytes, count, micros, moment, number};
use crate::report::verdict::account;

/// A machine in a line: `2 cores, AMD EPYC, Linux 6.1, 7.75 GiB`; empty if unknown.
pub(super) fn machine(machine: &Machine) -> String {
    let cores = match machine.cores {
        0 => String::new(),
        1 => "1 core".to_owned(),
        cores => format!("{cores} cores"),
    };
    let memory = if machine.memory_bytes > 0 { bytes(machine.memory_bytes as f64) } else { String::new() };
    let parts = [cores, machine.cpu.clone(), machine.kernel.clone(), memory];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// More runs than this are folded together.
const RUNS_SHOWN_MAX: usize = 6;

/// A part to unfold for each run.
pub(super) fn details(work: &Work<'_>) -> String {
    let each: String = work.runs.iter().map(one).collect();
    if work.runs.len() <= RUNS_SHOWN_MAX {
        return each;
    }
    let runs = work.runs.len();
    format!("<details><summary>settings and accounts of all {runs} runs</summary>\n{each}</details>\n")
}

fn one(run: &Run<'_>) -> String {
    let outcome = run.outcome;
    let mut out = format!("<details><summary>{}: settings and account</summary>\n", escape(&run.name));
    if !outcome.command.is_empty() {
        let _ = writeln!(out, "<pre>{}</pre>", escape(&outcome.command));
    }
    out.push_str("<div class=\"lists\">\n");
    out.push_str(&list("run", &about(outcome)));
    out.push_str(&list("asked", &asked(outcome)));
    out.push_str(&list("account", &counted(outcome)));
    if let Some(broker) = &outcome.broker {
        out.push_str(&list("broker", &used(broker)));
    }
    out.push_str(&list("generator", &used(&outcome.generator)));
    out.push_str("</div>\n</details>\n");
    out
}

fn list(title: &str, entries: &[(&str, String)]) -> String {
    let mut out = format!("<table><caption>{title}</caption>\n");
    for (name, value) in entries.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(out, "<tr><th>{name}</th><td>{}</td></tr>", escape(value));
    }
    out.push_str("</table>\n");
    out
}

fn about(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let connects = &outcome.connect_latency;
    let share =
        |share| if connects.count() > 0 { micros(connects.quantile(share) as f64) } else { String::new() };
    vec![
        ("account", account(outcome)),
        ("error", outcome.error.clone()),
        ("measured from", moment(outcome.started_unix_ms)),
        ("machine", machine(&outcome.machine)),
        ("connect p50", share(0.5)),
        ("connect p99", share(0.99)),
        ("connect max", share(1.0)),
    ]
}

fn asked(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let settings = &outcome.settings;
    let whole = |number: usize| count(number as u64);
    vec![
        ("scenario", outcome.scenario.clone()),
        ("MQTT", settings.version.clone()),
        ("QoS", settings.qos.to_string()),
        ("subscribe QoS", settings.subscribe_qos.to_string()),
        ("retain", settings.retain.to_string()),
        ("payload bytes", whole(settings.size)),
        ("publishers", whole(settings.publishers)),
        ("subscribers", whole(settings.subscribers)),
        ("idle connections", whole(settings.idle)),
        ("window", count(settings.window.into())),
        ("rate", settings.rate.map_or("closed loop".to_owned(), |rate| format!("{}/s", number(rate)))),
        ("warm-up", format!("{} s", number(settings.warmup_s))),
        ("duration", format!("{} s", number(settings.duration_s))),
        ("threads", whole(settings.threads)),
        ("processes", whole(settings.processes)),
        ("seed", settings.seed.to_string()),
    ]
}

fn counted(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let totals = &outcome.totals;
    vec![
        ("seconds", number(totals.seconds)),
        ("sent", count(totals.sent)),
        ("acknowledged", count(totals.acknowledged)),
        ("delivered", count(totals.delivered)),
        ("lost", count(totals.lost)),
        ("repeated", count(totals.repeated)),
        ("reordered", count(totals.reordered)),
        ("foreign", count(totals.foreign)),
        ("stalls", count(totals.stalls)),
        ("refused", count(totals.refused)),
        ("unexpected", count(totals.unexpected)),
        ("behind the rate", count(totals.behind)),
        ("connected", format!("{} in {}", count(totals.connected), micros(totals.connect_seconds * 1e6))),
        ("connects failed", count(totals.connect_failed)),
        ("connections lost", count(totals.disconnects)),
    ]
}

fn used(usage: &Usage) -> Vec<(&'static str, String)> {
    let memory = |value: u64| if value > 0 { bytes(value as f64) } else { String::new() };
    vec![
        ("CPU user", format!("{} s", number(usage.user_s))),
        ("CPU system", format!("{} s", number(usage.system_s))),
        ("switches, voluntary", count(usage.voluntary_switches)),
        ("switches, involuntary", count(usage.involuntary_switches)),
        ("memory before", memory(usage.rss_before)),
        ("memory", memory(usage.rss)),
        ("memory peak", memory(usage.rss_peak)),
        ("memory after", memory(usage.rss_after)),
        ("threads", count(usage.threads)),
    ]
}
