//! The graphs of the document, as SVG files.

use super::super::figures::Figures;
use super::super::metric::Metric;
use super::super::record::Contestant;
use super::super::rows::Row;
use super::Plot;
use crate::plot::{Axis, Bar, BarRow, Bars, Chart, Line, Series, Unit};
use crate::report::Spread;

const WIDTH: u32 = 820;
const HEIGHT: u32 = 360;

pub(super) fn cpu(figures: &Figures<'_>, rows: &[&Row]) -> Result<Option<Plot>, String> {
    let axis = Axis { label: "µs a message".to_owned(), log: true, ..Axis::default() };
    let title = "The broker's CPU time a message (less is better)";
    bars(figures, rows, &[Metric::CpuUs], ("cpu.svg", title, axis))
}

pub(super) fn latency(figures: &Figures<'_>, rows: &[&Row]) -> Result<Option<Plot>, String> {
    let axis = Axis { unit: Unit::Micros, log: true, ..Axis::default() };
    let metrics = [Metric::P50, Metric::P99, Metric::P999];
    let title = "Latency at a fixed rate, from the intended send time (less is better)";
    bars(figures, rows, &metrics, ("latency.svg", title, axis))
}

pub(super) fn idle(figures: &Figures<'_>, rows: &[&Row]) -> Result<Option<Plot>, String> {
    let axis = Axis { unit: Unit::Bytes, log: true, ..Axis::default() };
    let title = "Resident memory for each idle connection with one subscription (less is better)";
    bars(figures, rows, &[Metric::BytesPerConnection], ("idle.svg", title, axis))
}

/// Nothing is drawn where nobody has a figure.
fn bars(
    figures: &Figures<'_>,
    rows: &[&Row],
    metrics: &[Metric],
    (file, title, axis): (&str, &str, Axis),
) -> Result<Option<Plot>, String> {
    let has_figure = |broker: &&Contestant| {
        let mut pairs = rows.iter().flat_map(|row| metrics.iter().map(move |metric| (row, *metric)));
        pairs.any(|(row, metric)| figures.median(row, &broker.name, metric).is_some())
    };
    let brokers: Vec<_> = figures.header.brokers.iter().filter(has_figure).collect();
    if brokers.is_empty() {
        return Ok(None);
    }
    let mut bar_rows = Vec::new();
    for row in rows {
        for &metric in metrics {
            let bar = |broker: &&Contestant| figures.spread(row, &broker.name, metric).map(bar);
            let label = if metrics.len() > 1 {
                format!("{} {}", row.name, metric.name())
            } else {
                row.name.to_owned()
            };
            bar_rows.push(BarRow { label, bars: brokers.iter().map(bar).collect() });
        }
    }
    let names = brokers.iter().map(|broker| broker.name.clone()).collect();
    let bars = Bars { title: title.to_owned(), axis, names, rows: bar_rows };
    Ok(Some((file.to_owned(), bars.svg(WIDTH)?)))
}

fn bar(spread: Spread) -> Bar {
    Bar { value: spread.median, min: spread.min, max: spread.max }
}

/// A line for each broker.
pub(super) fn curve(figures: &Figures<'_>, curve: &[&Row], metric: Metric) -> Result<Option<Plot>, String> {
    let Some(first) = curve.first() else { return Ok(None) };
    let series: Vec<Series> = figures
        .header
        .brokers
        .iter()
        .enumerate()
        .filter_map(|(colour, broker)| {
            let point = |row: &&Row| Some((row.at as f64, figures.median(row, &broker.name, metric)?));
            let points: Vec<_> = curve.iter().filter_map(point).collect();
            let name = broker.name.clone();
            (!points.is_empty()).then_some(Series { name, points, colour, line: Line::Pointed })
        })
        .collect();
    if series.is_empty() {
        return Ok(None);
    }
    let x = Axis { label: first.name.to_owned(), log: true, ..Axis::default() };
    let y = Axis { label: metric.name().to_owned(), ..Axis::default() };
    let chart = Chart { title: first.title.to_owned(), x, y, series, ..Chart::default() };
    Ok(Some((format!("{}.svg", first.name), chart.svg(WIDTH, HEIGHT)?)))
}
