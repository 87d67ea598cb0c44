//! Curves: CPU time a message as something grows, for the relay and Millrace, and whether they are flat.

use super::super::figures::Figures;
use super::super::metric::Metric;
use super::super::record::Kind;
use super::super::rows::Row;
use super::tables::{NONE, command_of, range, table};
use super::{Plot, image, plots};
use crate::report::text;

/// A curve that rises by no more than this is flat.
const FLAT: f64 = 1.2;

const WORDS: &str = "From the first place to the last, a curve that stays within 20 % is flat; Millrace's has to be \
where the relay's is.";

pub(super) fn growth(
    figures: &Figures<'_>,
    rows: &[&Row],
    folder: &str,
    plots: &mut Vec<Plot>,
) -> Result<String, String> {
    if rows.is_empty() {
        return Ok(String::new());
    }
    let mut out = format!("\n## Growth\n\n{WORDS}\n");
    let mut at = 0;
    while let Some(first) = rows.get(at) {
        let count = rows[at..].iter().take_while(|row| row.name == first.name).count();
        let curve = &rows[at..at + count];
        at += count;
        let metric = Metric::CpuUs;
        out.push_str(&format!("\n### {}\n\n{}; {}.\n\n", first.name, first.title, metric.name()));
        for row in curve {
            out.push_str(&format!("- {}: {}\n", text::count(row.at), command_of(figures, row)));
        }
        out.push('\n');
        out.push_str(&lines(figures, curve, metric));
        out.push_str(&held(figures, curve));
        if curve.len() > 1 {
            image(&mut out, folder, plots::curve(figures, curve, metric)?, plots);
        }
    }
    Ok(out)
}

fn lines(figures: &Figures<'_>, curve: &[&Row], metric: Metric) -> String {
    let mut head = vec!["broker".to_owned()];
    head.extend(curve.iter().map(|row| text::count(row.at)));
    head.push("last ÷ first".to_owned());
    head.push("flat".to_owned());
    let brokers = figures.header.brokers.iter();
    let brokers =
        brokers.filter(|broker| curve.iter().any(|row| !figures.records(row, &broker.name).is_empty()));
    let rise = |name: &str| {
        let first = figures.median(curve.first()?, name, metric)?;
        Some(figures.median(curve.last()?, name, metric)? / first)
    };
    let lines: Vec<Vec<String>> = brokers
        .map(|broker| {
            let mut line = vec![broker.name.clone()];
            line.extend(curve.iter().map(|row| {
                let median = figures.median(row, &broker.name, metric);
                median.map_or_else(|| NONE.to_owned(), |median| metric.show(median))
            }));
            let own = rise(&broker.name);
            line.push(own.map_or_else(|| NONE.to_owned(), text::ratio));
            let relay = figures.relay_of(broker).and_then(|relay| rise(&relay.name));
            line.push(verdict(broker.kind, own, relay, metric).to_owned());
            line
        })
        .collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    table(&head, &lines)
}

/// How fast held subscriptions come and go, and what they take, where the most are held.
fn held(figures: &Figures<'_>, curve: &[&Row]) -> String {
    let metrics = [Metric::SubscribesPerSecond, Metric::UnsubscribesPerSecond, Metric::BytesPerSubscription];
    let Some(last) = curve.last() else { return String::new() };
    let lines: Vec<Vec<String>> = figures
        .field(last)
        .into_iter()
        .filter(|broker| figures.median(last, &broker.name, metrics[0]).is_some())
        .map(|broker| {
            let mut line = vec![broker.name.clone()];
            for metric in metrics {
                let spread = figures.spread(last, &broker.name, metric);
                line.push(spread.map_or_else(|| NONE.to_owned(), |spread| metric.show(spread.median)));
                line.push(range(metric, spread));
            }
            line
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let mut head = vec!["broker"];
    head.extend(metrics.iter().flat_map(|metric| [metric.name(), "min..max"]));
    format!("\nMaking and ending {} of them:\n\n{}", text::count(last.at), table(&head, &lines))
}

/// In words whether a curve is flat; `relay`: how the relay's goes.
fn verdict(kind: Kind, own: Option<f64>, relay: Option<f64>, metric: Metric) -> &'static str {
    let flat = |rise: f64| if metric.more_is_better() { rise >= 1.0 / FLAT } else { rise <= FLAT };
    match (own, relay) {
        (Some(own), _) if flat(own) => "yes",
        (Some(_), Some(relay)) if kind == Kind::Millrace && flat(relay) => "**no**, and the relay's is",
        (Some(_), Some(_)) if kind == Kind::Millrace => "no, nor is the relay's",
        (Some(_), _) => "no",
        (None, _) => NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_is_within_a_fifth() {
        let cases = [
            (Some(1.19), Some(1.0), Metric::CpuUs, "yes"),
            (Some(0.5), Some(1.0), Metric::CpuUs, "yes"),
            (Some(1.21), Some(1.0), Metric::CpuUs, "**no**, and the relay's is"),
            (Some(1.21), Some(1.5), Metric::CpuUs, "no, nor is the relay's"),
            (Some(1.21), None, Metric::CpuUs, "no"),
            (Some(0.8), Some(1.0), Metric::Rate, "**no**, and the relay's is"),
            (Some(0.9), Some(1.0), Metric::Rate, "yes"),
            (None, Some(1.0), Metric::CpuUs, NONE),
        ];
        for (own, relay, metric, expected) in cases {
            assert_eq!(verdict(Kind::Millrace, own, relay, metric), expected, "{own:?} {relay:?} {metric:?}");
        }
    }
}
