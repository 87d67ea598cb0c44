//! The graphs of one kind of work, its runs laid over each other: over time from the first measured second, and the
//! curve of quantiles.

use std::fmt::Write;

use super::{Run, Work};
use crate::outcome::{Latency, Sample};
use crate::plot::{Axis, Chart, Line, Series, Unit, colour_class, escape};

/// Of each graph, in the units of its own; the page scales it.
const SIZE: (u32, u32) = (480, 280);
/// A line has at most so many points: more than pixels would only make the page large.
const POINTS_MAX: usize = 240;
/// Points of the curve of quantiles in each power of ten.
const CURVE_STEPS: u32 = 32;
/// With more runs than this in a graph each has one line only.
const RUNS_IN_FULL_MAX: usize = 6;
/// The curve ends at 99.999 %.
const TAIL_MAX: f64 = 100_000.0;

/// All graphs that have something to show.
pub(super) fn graphs(work: &Work<'_>) -> Result<String, String> {
    let mut out = "<div class=\"graphs\">\n".to_owned();
    let mut charts = vec![rate(work), latency(work), curve(work), cpu(work), memory(work)];
    if !work.flows() {
        charts.insert(0, connections(work));
    }
    for (chart, sub) in charts {
        let has_points = chart.series.iter().any(|series| series.points.iter().any(|point| point.1 > 0.0));
        if has_points {
            out.push_str(&figure(work, &chart, &sub)?);
        }
    }
    out.push_str("</div>\n");
    Ok(out)
}

fn figure(work: &Work<'_>, chart: &Chart, sub: &str) -> Result<String, String> {
    let mut out =
        format!("<figure><figcaption><b>{}</b> {}</figcaption>\n", escape(&chart.title), escape(sub));
    out.push_str(&chart.inline(SIZE.0, SIZE.1)?);
    out.push_str("<p class=\"legend\">");
    for (colour, name) in work.legend() {
        let _ = write!(out, "<span><i class=\"{}\"></i>{}</span> ", colour_class(colour), escape(name));
    }
    out.push_str("</p></figure>\n");
    Ok(out)
}

/// A chart over time with a line for each run and each way to see a sample, and what these lines are. The first is
/// the one that matters.
fn over_time(work: &Work<'_>, title: &str, y: Axis, lines: &[(&str, Line, Value)]) -> (Chart, String) {
    let lines = if work.runs.len() > RUNS_IN_FULL_MAX { &lines[..1] } else { lines };
    let words =
        if work.flows() { "seconds since measuring began" } else { "seconds since the first connection" };
    let x = Axis { label: words.to_owned(), ..Axis::default() };
    let mut chart = Chart { title: title.to_owned(), x, y, ..Chart::default() };
    for run in &work.runs {
        let samples = samples(work, run);
        for (name, line, value) in lines {
            let points = samples.iter().map(|(at, sample)| (*at, value(run, sample).unwrap_or(f64::NAN)));
            let name = if name.is_empty() { run.name.clone() } else { format!("{}: {name}", run.name) };
            chart.series.push(Series {
                name,
                points: thin(points.collect()),
                colour: run.colour,
                line: *line,
            });
        }
    }
    let end = work.runs.iter().map(|run| run.outcome.totals.seconds).fold(0.0, f64::max);
    if work.flows() {
        chart.shades = vec![(f64::MIN, 0.0), (end, f64::MAX)];
    }
    let words = lines.iter().filter(|(name, ..)| !name.is_empty()).map(|(name, line, _)| match line {
        Line::Solid | Line::Pointed => format!("line: {name}"),
        Line::Dashed => format!("dashed: {name}"),
        Line::Dots => format!("dots: {name}"),
    });
    (chart, words.collect::<Vec<_>>().join("; "))
}

type Value = fn(&Run<'_>, &Sample) -> Option<f64>;

/// A run's samples by the middle of their interval. Where messages flow they count from the first measured second, and
/// the time in which connections are opened is left out, for it would push the rest together, and the end when
/// nothing comes any more.
fn samples<'a>(work: &Work<'_>, run: &Run<'a>) -> Vec<(f64, &'a Sample)> {
    let began = measuring_began(run).filter(|_| work.flows()).unwrap_or(0.0);
    let wanted = |sample: &&Sample| match sample.phase.as_str() {
        _ if !work.flows() => true,
        "connect" => false,
        "drain" => sample.delivered + sample.acknowledged > 0,
        _ => true,
    };
    let samples = run.outcome.samples.iter().filter(wanted);
    samples.map(|sample| (sample.at_s - sample.seconds / 2.0 - began, sample)).collect()
}

fn measuring_began(run: &Run<'_>) -> Option<f64> {
    let first = run.outcome.samples.iter().find(|sample| sample.phase == "measure")?;
    Some(first.at_s - first.seconds)
}

/// Of neighbours that would not be told apart only the greatest stays: what stands out must not get lost.
fn thin(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= POINTS_MAX {
        return points;
    }
    let each = points.len().div_ceil(POINTS_MAX);
    let greatest = |some: &[(f64, f64)]| some.iter().copied().max_by(|one, other| one.1.total_cmp(&other.1));
    points.chunks(each).filter_map(greatest).collect()
}

fn a_second(count: u64, sample: &Sample) -> Option<f64> {
    (sample.seconds > 0.0).then(|| count as f64 / sample.seconds)
}

fn rate(work: &Work<'_>) -> (Chart, String) {
    let y = Axis { label: "messages a second".to_owned(), ..Axis::default() };
    let came: Value = |run, sample| {
        let delivers = run.outcome.totals.delivered > 0;
        a_second(if delivers { sample.delivered } else { sample.acknowledged }, sample)
    };
    let sent: Value = |_, sample| a_second(sample.sent, sample);
    let name = if work.runs.iter().any(|run| run.outcome.totals.delivered > 0) {
        "delivered"
    } else {
        "acknowledged"
    };
    let lines = [(name, Line::Solid, came), ("sent", Line::Dashed, sent)];
    let (mut chart, mut words) = over_time(work, "Rate", y, &lines);
    for run in &work.runs {
        for (at, sample) in samples(work, run).iter().filter(|(_, sample)| sample.errors > 0) {
            chart.marks.push((*at, format!("{}: {} errors", run.name, sample.errors)));
        }
    }
    if !chart.marks.is_empty() {
        words.push_str("; ✕: errors");
    }
    (chart, words)
}

fn latency(work: &Work<'_>) -> (Chart, String) {
    let y = Axis { label: "latency".to_owned(), unit: Unit::Micros, log: true, ..Axis::default() };
    let lines: [(&str, Line, Value); 3] = [
        ("p99", Line::Solid, |_, sample| Some(sample.p99_us as f64)),
        ("p50", Line::Dashed, |_, sample| Some(sample.p50_us as f64)),
        ("max", Line::Dots, |_, sample| Some(sample.max_us as f64)),
    ];
    over_time(work, "Latency", y, &lines)
}

fn cpu(work: &Work<'_>) -> (Chart, String) {
    let y = Axis { label: "cores".to_owned(), ..Axis::default() };
    let lines: [(&str, Line, Value); 2] = [
        ("broker", Line::Solid, |run, sample| run.outcome.broker.is_some().then_some(sample.broker_cores)),
        ("generator", Line::Dashed, |_, sample| Some(sample.generator_cores)),
    ];
    over_time(work, "CPU", y, &lines)
}

fn memory(work: &Work<'_>) -> (Chart, String) {
    let y = Axis { label: "resident memory".to_owned(), unit: Unit::Bytes, ..Axis::default() };
    let lines: [(&str, Line, Value); 1] = [("", Line::Solid, |run, sample| {
        run.outcome.broker.is_some().then_some(sample.broker_rss as f64).filter(|bytes| *bytes > 0.0)
    })];
    over_time(work, "Memory of the broker", y, &lines)
}

/// Only where connections are what it is about.
fn connections(work: &Work<'_>) -> (Chart, String) {
    let y = Axis { label: "connections".to_owned(), ..Axis::default() };
    let lines: [(&str, Line, Value); 1] = [("", Line::Solid, |_, sample| Some(sample.connections as f64))];
    over_time(work, "Connections", y, &lines)
}

fn curve(work: &Work<'_>) -> (Chart, String) {
    let x = Axis {
        label: "share of all that was not slower".to_owned(),
        unit: Unit::Tail,
        log: true,
        range: Some((2.0, TAIL_MAX)),
        ..Axis::default()
    };
    let y = Axis { label: "latency".to_owned(), unit: Unit::Micros, log: true, ..Axis::default() };
    let title = if work.flows() { "Latency by quantile" } else { "Connect latency by quantile" };
    let mut chart = Chart { title: title.to_owned(), x, y, ..Chart::default() };
    for run in &work.runs {
        let latency = if work.flows() { &run.outcome.latency } else { &run.outcome.connect_latency };
        let (name, points) = (run.name.clone(), quantiles(latency));
        chart.series.push(Series { name, points, colour: run.colour, line: Line::Solid });
    }
    (chart, String::new())
}

/// `(1/(1 − q), value)` in even steps of a logarithmic axis from the median on, in one pass. It ends where less than
/// one of all would be left: beyond that there is nothing but the maximum.
fn quantiles(latency: &Latency) -> Vec<(f64, f64)> {
    let all = latency.count();
    let end = (all as f64).min(TAIL_MAX);
    let mut out = Vec::new();
    let (mut values, mut sum, mut value) = (latency.counts.iter(), 0, 0);
    for step in 0.. {
        let tail = 2.0 * 10f64.powf(f64::from(step) / f64::from(CURVE_STEPS));
        if tail > end * 1.000_001 {
            break;
        }
        let rank = ((all as f64 * (1.0 - 1.0 / tail)).ceil() as u64).max(1);
        while sum < rank {
            let Some(&(next, count)) = values.next() else { break };
            (value, sum) = (next, sum + count);
        }
        out.push((tail, value as f64));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::report::made_up::tailed;

    #[test]
    fn the_curve_has_the_quantiles() {
        let mut random = Random::new(5);
        for size in [1, 2, 3, 10, 99, 1_000, 54_321, 3_000_000] {
            let typical = 10.0 + 5_000.0 * random.fraction();
            let latency = tailed(typical, size);
            let curve = quantiles(&latency);
            for &(tail, value) in &curve {
                assert_eq!(value, latency.quantile(1.0 - 1.0 / tail) as f64, "{tail} of {size}");
            }
            // It reaches as far as there is more than the maximum to know.
            let end = (size as f64).min(TAIL_MAX);
            let last = curve.last().map_or(0.0, |point| point.0);
            assert!(last <= end * 1.001 && (size < 2 || last > end / 1.2), "{last} of {size}");
        }
        assert_eq!(quantiles(&Latency::default()), []);
    }

    #[test]
    fn long_series_are_thinned_and_keep_what_stands_out() {
        let points =
            |count: usize| (0..count).map(|at| (at as f64, if at == 777 { 9.0 } else { 1.0 })).collect();
        let short: Vec<(f64, f64)> = points(POINTS_MAX);
        assert_eq!(thin(short.clone()), short);
        let long = thin(points(5_000));
        assert!((POINTS_MAX / 2..=POINTS_MAX).contains(&long.len()), "{}", long.len());
        assert!(long.contains(&(777.0, 9.0)));
    }
}
