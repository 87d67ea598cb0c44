//! Tables in Markdown: a line for each broker.

use super::super::figures::Figures;
use super::super::metric::Metric;
use super::super::record::{Contestant, DISTURBED, Kind};
use super::super::rows::{ROWS, Row, Section};
use crate::report::{Spread, text};

/// No figure.
pub(super) const NONE: &str = "–";

/// A table of which the first column is words and the others are figures.
pub(super) fn table(head: &[&str], lines: &[Vec<String>]) -> String {
    let mut out = format!("| {} |\n|---|{}\n", head.join(" | "), "---:|".repeat(head.len() - 1));
    for line in lines {
        out.push_str(&format!("| {} |\n", line.join(" | ")));
    }
    out
}

/// CPU time a message of everybody in every row, and Millrace's ratios to the relay.
pub(super) fn glance(figures: &Figures<'_>, rows: &[&Row]) -> String {
    let brokers: Vec<_> = figures
        .header
        .brokers
        .iter()
        .filter(|broker| rows.iter().any(|row| !figures.records(row, &broker.name).is_empty()))
        .collect();
    let ours: Vec<_> = brokers.iter().filter(|broker| broker.kind == Kind::Millrace).collect();
    let ratios: Vec<_> = ours.iter().map(|broker| format!("{} ÷ relay", broker.name)).collect();
    let mut head = vec!["CPU µs a message"];
    head.extend(brokers.iter().map(|broker| broker.name.as_str()));
    head.extend(ratios.iter().map(String::as_str));
    let lines: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let mut line = vec![row.name.to_owned()];
            line.extend(brokers.iter().map(|broker| cell(figures, row, broker, Metric::CpuUs)));
            line.extend(ours.iter().map(|broker| ratio(figures, row, broker, Metric::CpuUs)));
            line
        })
        .collect();
    format!("\n## At a glance\n\nThe broker's CPU time for each message, in µs.\n\n{}", table(&head, &lines))
}

/// A median; where all runs failed, that.
fn cell(figures: &Figures<'_>, row: &Row, broker: &Contestant, metric: Metric) -> String {
    match figures.median(row, &broker.name, metric) {
        Some(median) => metric.show(median),
        None if figures.troubles(row, &broker.name).is_empty() => NONE.to_owned(),
        None => "failed".to_owned(),
    }
}

pub(super) fn range(metric: Metric, spread: Option<Spread>) -> String {
    spread.map_or_else(
        || NONE.to_owned(),
        |spread| format!("{}..{}", metric.show(spread.min), metric.show(spread.max)),
    )
}

fn ratio(figures: &Figures<'_>, row: &Row, broker: &Contestant, metric: Metric) -> String {
    let is_relay = broker.kind == Kind::Relay;
    let ratio = figures.ratio(row, broker, metric).filter(|_| !is_relay);
    ratio.map_or_else(|| NONE.to_owned(), text::ratio)
}

/// A column: the median, its range, or the ratio to the relay.
#[derive(Clone, Copy)]
enum Column {
    Median(Metric),
    Range(Metric),
    Ratio(Metric),
}

fn by_broker(figures: &Figures<'_>, row: &Row, sorted_by: Metric, columns: &[Column]) -> String {
    let mut brokers = figures.field(row);
    let key = |broker: &Contestant| figures.median(row, &broker.name, sorted_by).unwrap_or(f64::MAX);
    brokers.sort_by(|one, other| key(one).total_cmp(&key(other)));
    let mut head = vec!["broker"];
    head.extend(columns.iter().map(|column| match column {
        Column::Median(metric) => metric.name(),
        Column::Range(_) => "min..max",
        Column::Ratio(_) => "÷ relay",
    }));
    let lines: Vec<Vec<String>> = brokers
        .iter()
        .map(|broker| {
            let mut line = vec![broker.name.clone()];
            line.extend(columns.iter().map(|&column| match column {
                Column::Median(metric) => cell(figures, row, broker, metric),
                Column::Range(metric) => range(metric, figures.spread(row, &broker.name, metric)),
                Column::Ratio(metric) => ratio(figures, row, broker, metric),
            }));
            line
        })
        .collect();
    let mut out = format!("{}\n\n", command_of(figures, row));
    out.push_str(&table(&head, &lines));
    let saturated: Vec<&str> = brokers
        .iter()
        .filter(|broker| {
            let runs = figures.records(row, &broker.name);
            runs.iter().any(|run| run.outcome.generator.saturated)
        })
        .map(|broker| broker.name.as_str())
        .collect();
    if !saturated.is_empty() && row.section == Section::Cpu {
        let names = saturated.join(", ");
        out.push_str(&format!(
            "\nThe generator was at its own limit with {names}: they may be faster than this.\n"
        ));
    }
    out
}

/// The command line that repeats a row.
pub(super) fn command_of(figures: &Figures<'_>, row: &Row) -> String {
    let args = if figures.header.quick { row.quick } else { row.args };
    format!("`millrace-bench {args}`")
}

pub(super) fn cpu(figures: &Figures<'_>, row: &Row) -> String {
    use Column::{Median, Range, Ratio};
    let columns = [
        Median(Metric::CpuUs),
        Range(Metric::CpuUs),
        Ratio(Metric::CpuUs),
        Median(Metric::Rate),
        Range(Metric::Rate),
        Median(Metric::Switches),
        Median(Metric::Memory),
        Median(Metric::LoadUs),
        Median(Metric::OtherCores),
    ];
    by_broker(figures, row, Metric::CpuUs, &columns)
}

pub(super) fn latency(figures: &Figures<'_>, row: &Row) -> String {
    use Column::{Median, Range, Ratio};
    let mut columns = vec![
        Median(Metric::P50),
        Range(Metric::P50),
        Ratio(Metric::P50),
        Median(Metric::P99),
        Range(Metric::P99),
        Ratio(Metric::P99),
        Median(Metric::P999),
        Range(Metric::P999),
        Ratio(Metric::P999),
        Median(Metric::CpuUs),
        Ratio(Metric::CpuUs),
        Median(Metric::Rate),
        Median(Metric::OtherCores),
    ];
    let mut field = figures.field(row).into_iter();
    if field.any(|broker| figures.median(row, &broker.name, Metric::Stolen).is_some()) {
        columns.extend([Median(Metric::Stolen), Range(Metric::Stolen)]);
    }
    by_broker(figures, row, Metric::P99, &columns)
}

pub(super) fn idle(figures: &Figures<'_>, row: &Row) -> String {
    use Column::{Median, Range};
    let columns = [
        Median(Metric::BytesPerConnection),
        Range(Metric::BytesPerConnection),
        Median(Metric::BytesLeft),
        Median(Metric::ConnectsPerSecond),
        Range(Metric::ConnectsPerSecond),
        Median(Metric::ConnectP99),
        Median(Metric::Memory),
        Median(Metric::OtherCores),
    ];
    by_broker(figures, row, Metric::BytesPerConnection, &columns)
}

pub(super) fn hooks(figures: &Figures<'_>, row: &Row) -> String {
    use Column::{Median, Range};
    let columns = [
        Median(Metric::Rate),
        Range(Metric::Rate),
        Median(Metric::CpuUs),
        Median(Metric::P50),
        Median(Metric::P99),
        Median(Metric::OtherCores),
    ];
    let mut out = by_broker(figures, row, Metric::CpuUs, &columns);
    let lines: Vec<Vec<String>> = figures
        .field(row)
        .into_iter()
        .filter_map(|broker| {
            let runs = figures.records(row, &broker.name);
            let syncs: Vec<_> = runs.iter().filter_map(|run| run.sync.as_ref()).collect();
            let of = |value: &dyn Fn(usize) -> f64| Spread::of((0..syncs.len()).map(value));
            let records = of(&|at| syncs[at].records as f64 / syncs[at].groups.max(1) as f64)?;
            let micros = |spread: Option<Spread>| spread.map_or(String::new(), |s| text::micros(s.median));
            Some(vec![
                broker.name.clone(),
                text::number(records.median),
                micros(of(&|at| syncs[at].p50_us as f64)),
                micros(of(&|at| syncs[at].p99_us as f64)),
                micros(of(&|at| syncs[at].max_us as f64)),
            ])
        })
        .collect();
    if !lines.is_empty() {
        out.push_str(
            "\n`fdatasync` of the log, as `millrace status --json` tells it; medians of the rounds.\n\n",
        );
        out.push_str(&table(&["broker", "records a sync", "p50", "p99", "longest"], &lines));
    }
    out
}

/// The broker's CPU time a message in `p2p_q1`, and by how much it differs with more of the generator.
pub(super) fn agreement(figures: &Figures<'_>, rows: &[&Row]) -> String {
    let Some(base) = ROWS.iter().find(|row| row.name == "p2p_q1") else { return String::new() };
    let lines: Vec<Vec<String>> = figures
        .field(base)
        .into_iter()
        .filter_map(|broker| {
            let one = figures.median(base, &broker.name, Metric::CpuUs)?;
            let mut line = vec![broker.name.clone(), Metric::CpuUs.show(one)];
            for row in rows {
                line.push(text::ratio(figures.median(row, &broker.name, Metric::CpuUs)? / one));
            }
            Some(line)
        })
        .collect();
    if rows.is_empty() || lines.is_empty() {
        return String::new();
    }
    let mut head = vec!["broker", "p2p_q1"];
    head.extend(rows.iter().map(|row| row.name));
    format!("\nThe broker's CPU time a message, as a ratio to that of `p2p_q1`:\n\n{}", table(&head, &lines))
}

/// A row's name, and where on its curve.
fn place(row: &Row) -> String {
    if row.section == Section::Growth {
        format!("{} {}", row.name, text::count(row.at))
    } else {
        row.name.to_owned()
    }
}

/// Which runs of whom are not counted, and why.
pub(super) fn failures(figures: &Figures<'_>, rows: &[&Row]) -> String {
    let mut out = String::from("\n## What failed\n\n");
    let mut lines = Vec::new();
    for row in rows {
        for broker in figures.field(row) {
            for (reason, count, of) in figures.troubles(row, &broker.name) {
                let reason = reason.replace(['|', '\n'], " ");
                lines.push(vec![broker.name.clone(), place(row), format!("{count} of {of}"), reason]);
            }
        }
    }
    if lines.is_empty() {
        out.push_str("Nothing: in every run each message came once, in order and in time.\n");
        return out;
    }
    out.push_str("Runs that are not counted.\n\n| broker | row | runs | why |\n|---|---|---:|---|\n");
    for line in lines {
        out.push_str(&format!("| {} |\n", line.join(" | ")));
    }
    out
}

/// Measurements during which something else used the machine.
pub(super) fn disturbed(figures: &Figures<'_>, rows: &[&Row]) -> String {
    let mut lines = Vec::new();
    let mut all = 0;
    for row in rows {
        let field = figures.field(row);
        let runs: Vec<_> = field.iter().flat_map(|broker| figures.records(row, &broker.name)).collect();
        let others = runs.iter().filter(|run| run.is_disturbed()).map(|run| run.other_cores);
        all += runs.len();
        if let Some(spread) = Spread::of(others) {
            let cores = |value| Metric::OtherCores.show(value);
            lines.push(vec![
                place(row),
                format!("{} of {}", spread.rounds, runs.len()),
                cores(spread.median),
                cores(spread.max),
            ]);
        }
    }
    let head = "\n## Other load on the machine\n\n";
    if lines.is_empty() {
        return format!(
            "{head}In none of {all} measurements did anything else use more than {DISTURBED} cores.\n"
        );
    }
    let table = table(&["row", "measurements", "cores, median", "at most"], &lines);
    format!(
        "{head}Something else used more than {DISTURBED} cores meanwhile (of {all} measurements):\n\n{table}"
    )
}
