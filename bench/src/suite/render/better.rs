//! What is promised and what came of it, and where others are better: by comparison, never by hand.

use super::super::figures::Figures;
use super::super::metric::Metric;
use super::super::rows::{Row, Section};
use super::tables::{NONE, table};
use crate::report::text;

/// What peers are compared in, by part of the document.
fn compared(section: Section) -> &'static [Metric] {
    match section {
        Section::Cpu => &[Metric::CpuUs, Metric::Rate],
        Section::Latency => &[Metric::CpuUs, Metric::P50, Metric::P99, Metric::P999],
        Section::Idle => &[Metric::BytesPerConnection, Metric::ConnectsPerSecond, Metric::ConnectP99],
        Section::Hooks | Section::Growth | Section::Generator => &[],
    }
}

pub(super) fn promises(figures: &Figures<'_>, rows: &[&Row]) -> String {
    let (mut kept, mut missed) = (0, Vec::new());
    for row in rows {
        for verdict in figures.verdicts(row) {
            if verdict.kept {
                kept += 1;
                continue;
            }
            let ratio = verdict.ratio.map_or_else(|| NONE.to_owned(), text::ratio);
            let value = verdict.metric.show(verdict.value);
            let what = format!("{} {}", row.name, verdict.metric.name());
            missed.push(vec![what, verdict.broker, verdict.promise, value, ratio]);
        }
    }
    let all = kept + missed.len();
    if all == 0 {
        return String::new();
    }
    let mut out = format!("\n## What is asked of Millrace\n\n{kept} of {all} comparisons are met.");
    if missed.is_empty() {
        out.push('\n');
    } else {
        out.push_str(" Not met:\n\n");
        out.push_str(&table(&["figure", "broker", "asked", "measured", "ratio"], &missed));
    }
    out
}

pub(super) fn others(figures: &Figures<'_>, rows: &[&Row]) -> String {
    let mut lines = Vec::new();
    let mut compared_with_any = false;
    for row in rows {
        compared_with_any |= !compared(row.section).is_empty();
        for better in figures.better(row, compared(row.section)) {
            let show = |value| better.metric.show(value);
            lines.push(vec![
                format!("{} {}", row.name, better.metric.name()),
                better.broker.clone(),
                show(better.theirs),
                format!("{} ({})", show(better.ours), better.our_name),
            ]);
        }
    }
    if !compared_with_any {
        return String::new();
    }
    let head = "\n## Where others are better\n\nThan Millrace with whichever number of cores is better in that figure.";
    if lines.is_empty() {
        return format!("{head} In none of those measured here.\n");
    }
    format!("{head}\n\n{}", table(&["figure", "broker", "theirs", "Millrace's"], &lines))
}
