//! The samples of runs as CSV (RFC 4180), one line each, for spreadsheets and scripts.

use crate::outcome::{Outcome, Sample};

/// Columns, in their order. Each line carries what tells its run from others.
const HEADER: [&str; 27] = [
    "label",
    "scenario",
    "started_unix_ms",
    "version",
    "qos",
    "subscribe_qos",
    "size",
    "publishers",
    "subscribers",
    "idle",
    "window",
    "rate",
    "seed",
    "at_s",
    "seconds",
    "phase",
    "sent",
    "acknowledged",
    "delivered",
    "p50_us",
    "p99_us",
    "max_us",
    "connections",
    "errors",
    "broker_cores",
    "broker_rss",
    "generator_cores",
];

/// A header, and a line for each sample of each run.
pub(crate) fn csv(outcomes: &[Outcome]) -> String {
    let mut out = HEADER.join(",");
    out.push_str("\r\n");
    for outcome in outcomes {
        for sample in &outcome.samples {
            let fields = fields(outcome, sample);
            let quoted: Vec<String> = fields.iter().map(|field| quote(field)).collect();
            out.push_str(&quoted.join(","));
            out.push_str("\r\n");
        }
    }
    out
}

fn fields(outcome: &Outcome, sample: &Sample) -> [String; 27] {
    let settings = &outcome.settings;
    [
        outcome.label.clone(),
        outcome.scenario.clone(),
        outcome.started_unix_ms.to_string(),
        settings.version.clone(),
        settings.qos.to_string(),
        settings.subscribe_qos.to_string(),
        settings.size.to_string(),
        settings.publishers.to_string(),
        settings.subscribers.to_string(),
        settings.idle.to_string(),
        settings.window.to_string(),
        settings.rate.map(|rate| rate.to_string()).unwrap_or_default(),
        settings.seed.to_string(),
        sample.at_s.to_string(),
        sample.seconds.to_string(),
        sample.phase.clone(),
        sample.sent.to_string(),
        sample.acknowledged.to_string(),
        sample.delivered.to_string(),
        sample.p50_us.to_string(),
        sample.p99_us.to_string(),
        sample.max_us.to_string(),
        sample.connections.to_string(),
        sample.errors.to_string(),
        sample.broker_cores.to_string(),
        sample.broker_rss.to_string(),
        sample.generator_cores.to_string(),
    ]
}

fn quote(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
