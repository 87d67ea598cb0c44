//! The tables of one kind of work: a line for each run, and where there are rounds their medians before.

use std::fmt::Write;

use super::Work;
use crate::outcome::{Latency, Outcome};
use crate::plot::{colour_class, escape};
use crate::report::metric::{METRICS, Spread, connection_bytes};
use crate::report::text::{bytes, micros, number, ratio};
use crate::report::verdict::account;

/// Metrics that the table of runs begins with; its other columns say more than medians would.
const FIRST_METRICS: usize = 4;
/// Shown of the latencies, of connecting where nothing is sent.
const SHARES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

/// A column's heading and its cells; none where a run has no such figure.
type Column = (String, Vec<Option<String>>);

pub(super) fn tables(work: &Work<'_>) -> String {
    let runs = runs(work);
    let mut labels: Vec<&str> = Vec::new();
    for run in &work.runs {
        if !labels.contains(&run.outcome.label.as_str()) {
            labels.push(&run.outcome.label);
        }
    }
    if labels.len() == work.runs.len() {
        return runs;
    }
    let medians = medians(work, &labels);
    format!("{medians}<details><summary>each round</summary>\n{runs}</details>\n")
}

/// A line for each label: medians of its rounds, their ranges, and ratios to the first.
fn medians(work: &Work<'_>, labels: &[&str]) -> String {
    let outcomes: Vec<&Outcome> = work.runs.iter().map(|run| run.outcome).collect();
    let of_label = |label| outcomes.iter().filter(|run| run.label == label).copied().collect();
    let groups: Vec<Vec<&Outcome>> = labels.iter().copied().map(of_label).collect();
    let mut out =
        "<div class=\"wide\"><table>\n<thead><tr><th>median of rounds</th><th>rounds</th>".to_owned();
    let mut columns = Vec::new();
    for metric in METRICS {
        let spreads: Vec<Option<Spread>> =
            groups.iter().map(|group| Spread::of_rounds(metric, group)).collect();
        if spreads.iter().any(Option::is_some) {
            let _ = write!(out, "<th>{}</th>", escape(metric.name));
            columns.push((metric, spreads));
        }
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (index, group) in groups.iter().enumerate() {
        let name = if labels[index].is_empty() { "run" } else { labels[index] };
        // Rounds of one label alone are told apart by colour in the graphs, so none stands for all of them.
        let colour =
            work.runs.iter().find(|run| run.outcome.label == labels[index]).map_or(0, |run| run.colour);
        let sign = if groups.len() > 1 { sign(colour) } else { String::new() };
        let bad = group.iter().filter(|run| !run.is_good()).count();
        let _ = write!(out, "<tr><th>{sign}{}</th>", escape(name));
        let _ = match bad {
            0 => write!(out, "<td>{}</td>", group.len()),
            bad => write!(out, "<td class=\"bad\">{}, {bad} BAD</td>", group.len()),
        };
        for (metric, spreads) in &columns {
            let Some(spread) = spreads[index] else {
                out.push_str("<td>–</td>");
                continue;
            };
            let _ = write!(out, "<td>{}", escape(&(metric.show)(spread.median)));
            if let Some(first) = spreads[0].filter(|_| index > 0) {
                let _ = write!(out, " <b>{}</b>", ratio(spread.median / first.median));
            }
            let _ = write!(out, "<small>{}</small></td>", escape(&spread.range(metric)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// A line for each run; columns that no run has are left out.
fn runs(work: &Work<'_>) -> String {
    let columns = columns(work);
    let mut out = "<div class=\"wide\"><table>\n<thead><tr><th>run</th><th>account</th>".to_owned();
    for (name, _) in &columns {
        let _ = write!(out, "<th>{}</th>", escape(name));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (index, run) in work.runs.iter().enumerate() {
        let words = account(run.outcome);
        let (class, short) = if run.outcome.is_good() { ("ok", "good") } else { ("bad", "BAD") };
        let _ = write!(out, "<tr><th>{}{}</th>", sign(run.colour), escape(&run.name));
        let _ = write!(out, "<td class=\"{class}\" title=\"{}\">{short}</td>", escape(&words));
        for (_, cells) in &columns {
            let _ = write!(out, "<td>{}</td>", cells[index].as_deref().map_or("–".to_owned(), escape));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

fn columns(work: &Work<'_>) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    let mut column = |name: &str, show: &dyn Fn(&Outcome) -> Option<String>| {
        let cells: Vec<Option<String>> = work.runs.iter().map(|run| show(run.outcome)).collect();
        if cells.iter().any(Option::is_some) {
            columns.push((name.to_owned(), cells));
        }
    };
    for metric in METRICS.iter().take(FIRST_METRICS) {
        column(metric.name, &|run| (metric.value)(run).map(metric.show));
    }
    let (words, which): (&str, fn(&Outcome) -> &Latency) =
        if work.flows() { ("latency", |run| &run.latency) } else { ("connect", |run| &run.connect_latency) };
    for (name, share) in SHARES {
        column(&format!("{words} {name}"), &|run| {
            let latency = which(run);
            (latency.count() > 0).then(|| micros(latency.quantile(share) as f64))
        });
    }
    column("broker memory", &|run| {
        run.broker.as_ref().filter(|usage| usage.rss > 0).map(|usage| bytes(usage.rss as f64))
    });
    column("memory a connection", &|run| connection_bytes(run).map(bytes));
    column("generator CPU, cores", &|run| {
        let usage = &run.generator;
        let cores = (usage.user_s + usage.system_s) / run.totals.seconds;
        (cores > 0.0 && cores.is_finite()).then(|| number(cores))
    });
    columns
}

fn sign(colour: usize) -> String {
    format!("<i class=\"{}\"></i>", colour_class(colour))
}
