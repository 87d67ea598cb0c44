//! The block that stands in the terminal after a run.

use super::metric::{connect_cpu, connect_rate, connection_bytes};
use super::text::{bytes, count, micros, number};
use super::verdict::{account, notes, warnings, workload};
use crate::outcome::{Latency, Outcome, Usage};

/// Shown of each distribution.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// One run as lines of a terminal: what was asked, figures by subject, the account, and warnings in words.
pub(crate) fn summary(outcome: &Outcome) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, parts: Vec<String>| {
        if !parts.is_empty() {
            lines.push(format!("  {name:<11}{}", parts.join("   ")));
        }
    };
    line("messages", messages(outcome));
    line("latency", distribution(&outcome.latency));
    line("connects", connects(outcome));
    if let Some(broker) = &outcome.broker {
        line("broker", cpu(outcome, broker));
        line("memory", memory(outcome, broker));
    }
    line("generator", cpu(outcome, &outcome.generator));
    line("account", vec![account(outcome)]);
    for warning in warnings(outcome) {
        lines.push(format!("  warning: {warning}"));
    }
    for note in notes(&[outcome]) {
        lines.push(format!("  note: {note}"));
    }
    let name = if outcome.label.is_empty() { String::new() } else { format!("{}: ", outcome.label) };
    format!("{name}{}\n{}\n", workload(outcome), lines.join("\n"))
}

fn messages(outcome: &Outcome) -> Vec<String> {
    let totals = &outcome.totals;
    if totals.sent + outcome.messages() == 0 {
        return Vec::new();
    }
    let (kind, payload) = if totals.delivered > 0 {
        ("delivered", totals.payload_delivered)
    } else {
        ("acknowledged", totals.payload_sent)
    };
    let mut parts = vec![format!("{}/s {kind}", number(outcome.rate()))];
    if totals.seconds > 0.0 && payload > 0 {
        parts.push(format!("{}/s", bytes(payload as f64 / totals.seconds)));
    }
    parts.push(format!("{} in {} s", count(outcome.messages()), number(totals.seconds)));
    if totals.sent > 0 {
        parts.push(format!("{} sent", count(totals.sent)));
    }
    if totals.delivered > 0 && totals.acknowledged > 0 {
        parts.push(format!("{} acknowledged", count(totals.acknowledged)));
    }
    parts
}

fn distribution(latency: &Latency) -> Vec<String> {
    if latency.count() == 0 {
        return Vec::new();
    }
    let mut parts: Vec<String> = QUANTILES
        .iter()
        .map(|&(name, share)| format!("{name} {}", micros(latency.quantile(share) as f64)))
        .collect();
    parts.push(format!("max {}", micros(latency.max() as f64)));
    parts
}

fn connects(outcome: &Outcome) -> Vec<String> {
    let (totals, latency) = (&outcome.totals, &outcome.connect_latency);
    if totals.connected + totals.connect_failed == 0 {
        return Vec::new();
    }
    let mut parts = vec![format!("{} in {}", count(totals.connected), micros(totals.connect_seconds * 1e6))];
    parts.extend(connect_rate(outcome).map(|rate| format!("{}/s", number(rate))));
    if latency.count() > 0 {
        let quantile = |name: &str, share| format!("{name} {}", micros(latency.quantile(share) as f64));
        parts.extend([quantile("p50", 0.5), quantile("p99", 0.99), quantile("max", 1.0)]);
    }
    parts
}

fn cpu(outcome: &Outcome, usage: &Usage) -> Vec<String> {
    let (totals, seconds) = (&outcome.totals, usage.user_s + usage.system_s);
    let mut parts = Vec::new();
    if outcome.messages() > 0 {
        parts.push(format!("{} µs CPU/message", number(outcome.cpu_us(usage))));
        if totals.seconds > 0.0 {
            parts.push(format!("{} cores", number(seconds / totals.seconds)));
        }
    } else if seconds > 0.0 {
        parts.push(format!("{} s CPU", number(seconds)));
        let is_broker = outcome.broker.as_ref().is_some_and(|broker| std::ptr::eq(broker, usage));
        parts.extend(
            connect_cpu(outcome).filter(|_| is_broker).map(|us| format!("{} µs/connection", number(us))),
        );
    }
    if seconds > 0.0 {
        parts.push(format!("{} % in the kernel", number(100.0 * usage.system_s / seconds)));
    }
    let switches = usage.voluntary_switches + usage.involuntary_switches;
    if outcome.messages() > 0 && switches > 0 {
        parts.push(format!("{} switches/message", number(switches as f64 / outcome.messages() as f64)));
    }
    if usage.threads > 0 {
        parts.push(format!("{} thread{}", usage.threads, if usage.threads == 1 { "" } else { "s" }));
    }
    parts
}

fn memory(outcome: &Outcome, broker: &Usage) -> Vec<String> {
    if broker.rss == 0 {
        return Vec::new();
    }
    let mut parts = vec![format!("{} resident", bytes(broker.rss as f64))];
    if broker.rss_before > 0 {
        parts.push(format!("{} before", bytes(broker.rss_before as f64)));
    }
    if broker.rss_peak > 0 {
        parts.push(format!("{} peak", bytes(broker.rss_peak as f64)));
    }
    if broker.rss_after > 0 {
        parts.push(format!("{} after", bytes(broker.rss_after as f64)));
    }
    parts.extend(connection_bytes(outcome).map(|each| format!("{}/connection", bytes(each))));
    parts
}
