//! Axes by table, drawings by what a reader of the SVG finds in them.

use super::markup::elements;
use super::scale::{Ends, Scale};
use super::*;
use crate::random::Random;

fn axis(unit: Unit, log: bool) -> Axis {
    Axis { unit, log, ..Axis::default() }
}

fn scale(axis: &Axis, values: &[f64], ends: Ends) -> Result<Scale, String> {
    Scale::new(axis, values.iter().copied(), ends, (240.0, 0.0))
}

#[test]
fn ticks_are_round() {
    use Ends::{Round, Tight};
    let cases: &[(Axis, &[f64], Ends, &[&str])] = &[
        (axis(Unit::Plain, false), &[135_000.0], Round, &["0", "50k", "100k", "150k"]),
        (axis(Unit::Plain, false), &[0.7, 0.93], Round, &["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (axis(Unit::Plain, false), &[41.0], Round, &["0", "10", "20", "30", "40", "50"]),
        (axis(Unit::Plain, false), &[0.0], Round, &["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (axis(Unit::Plain, false), &[-2.5, 10.5], Tight, &["0", "5", "10"]),
        (axis(Unit::Micros, false), &[1_700.0], Round, &["0", "500 µs", "1 ms", "1.5 ms", "2 ms"]),
        (axis(Unit::Micros, true), &[412.0, 38_000.0], Round, &["1 ms", "10 ms"]),
        (axis(Unit::Micros, true), &[1_000.0, 5_000.0], Round, &["500 µs", "1 ms", "2 ms", "5 ms"]),
        (axis(Unit::Plain, true), &[7.0], Round, &["5", "10"]),
        (axis(Unit::Bytes, false), &[9e6], Round, &["0 B", "2 MiB", "4 MiB", "6 MiB", "8 MiB", "10 MiB"]),
        (axis(Unit::Bytes, false), &[4_000.0], Round, &["0 B", "1 KiB", "2 KiB", "3 KiB", "4 KiB"]),
        (
            axis(Unit::Bytes, false),
            &[2.1e6],
            Round,
            &["0 B", "512 KiB", "1 MiB", "1.5 MiB", "2 MiB", "2.5 MiB"],
        ),
        (axis(Unit::Bytes, true), &[1_024.0, 65_536.0], Tight, &["1 KiB", "4 KiB", "16 KiB", "64 KiB"]),
        (
            axis(Unit::Tail, true),
            &[2.0, 1e5],
            Tight,
            &["50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"],
        ),
        (axis(Unit::Plain, true), &[1e-3, 1e9], Tight, &["0.001", "1", "1k", "1M", "1G"]),
    ];
    for (axis, values, ends, expected) in cases {
        let scale = scale(axis, values, *ends).expect("an axis");
        let texts: Vec<&str> = scale.ticks.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, *expected, "{values:?} on {axis:?}");
    }
}

#[test]
fn values_have_their_place() {
    let linear = Axis { range: Some((10.0, 20.0)), ..Axis::default() };
    let log = Axis { range: Some((10.0, 1_000.0)), log: true, ..Axis::default() };
    let cases = [
        (&linear, 10.0, Some(240.0)),
        (&linear, 12.5, Some(180.0)),
        (&linear, 20.0, Some(0.0)),
        (&linear, 9.9, None),
        (&linear, f64::NAN, None),
        (&log, 10.0, Some(240.0)),
        (&log, 100.0, Some(120.0)),
        (&log, 1_000.0, Some(0.0)),
        (&log, 0.0, None),
        (&log, -100.0, None),
        (&log, f64::INFINITY, None),
    ];
    for (axis, value, expected) in cases {
        let found = scale(axis, &[], Ends::Round).expect("an axis").at(value);
        let is_same = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < 1e-6,
            (found, expected) => found == expected,
        };
        assert!(is_same, "{value} on {axis:?}: {found:?}, not {expected:?}");
    }
}

#[test]
fn ticks_given_are_kept_where_they_are_in_range() {
    let ticks = [5.0, 10.0, 18_000.0, 20_000.0].map(|at| (at, format!("n={at}"))).to_vec();
    let axis = Axis { log: true, range: Some((10.0, 18_000.0)), ticks: ticks.clone(), ..Axis::default() };
    assert_eq!(scale(&axis, &[], Ends::Tight).expect("an axis").ticks, ticks[1..3]);
}

fn chart(points: &[(f64, f64)], line: Line) -> Chart {
    let series = Series { name: "a".to_owned(), points: points.to_vec(), colour: 9, line };
    Chart { title: "t".to_owned(), series: vec![series], ..Chart::default() }
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let good = chart(&[(1.0, 1.0), (2.0, 2.0)], Line::Solid);
    let with = |change: fn(&mut Chart)| {
        let mut chart = good.clone();
        change(&mut chart);
        chart
    };
    let cases = [
        (good.clone(), (480, 280), ""),
        (good.clone(), (100, 280), "too small"),
        (with(|chart| chart.series[0].name = "name ".repeat(300)), (480, 100), "beside the legend"),
        (Chart::default(), (480, 280), "nothing to draw"),
        (chart(&[(f64::NAN, f64::NAN)], Line::Solid), (480, 280), "nothing to draw"),
        (with(|chart| chart.y.range = Some((0.0, f64::NAN))), (480, 280), "no axis from 0 to NaN"),
        (with(|chart| chart.x.range = Some((2.0, 1.0))), (480, 280), "no axis from 2 to 1"),
        (
            with(|chart| (chart.x.range, chart.x.log) = (Some((0.0, 1.0)), true)),
            (480, 280),
            "no axis from 0 to 1",
        ),
    ];
    for (index, (chart, (width, height), expected)) in cases.iter().enumerate() {
        match chart.svg(*width, *height) {
            Ok(_) => assert_eq!(*expected, "", "case {index}"),
            Err(error) => assert!(!expected.is_empty() && error.contains(expected), "case {index}: {error}"),
        }
    }
}

#[test]
fn lines_break_at_points_without_a_place() {
    const NONE: f64 = f64::NAN;
    // Commands of the line, then those of the dots.
    let cases: &[(&[f64], Line, &str, &str)] = &[
        (&[1.0, 2.0, 3.0], Line::Solid, "MLL", ""),
        (&[1.0, 2.0, NONE, 3.0, 4.0, 5.0], Line::Dashed, "MLMLL", ""),
        (&[1.0, NONE, 3.0, 4.0], Line::Solid, "ML", "Mh"),
        (&[NONE, 2.0, NONE], Line::Solid, "", "Mh"),
        (&[1.0, 2.0], Line::Dots, "", "MhMh"),
        (&[1.0, 2.0, NONE, 3.0], Line::Pointed, "ML", "MhMhMh"),
    ];
    for (values, line, lines, dots) in cases {
        let points: Vec<(f64, f64)> =
            values.iter().enumerate().map(|(at, value)| (at as f64, *value)).collect();
        let svg = chart(&points, *line).inline(480, 280).expect("a graph");
        let drawn: Vec<String> = elements(&svg)
            .expect("markup")
            .into_iter()
            .filter(|(name, _)| name == "path")
            .filter_map(|(_, attributes)| attributes.into_iter().find(|(name, _)| name == "d"))
            .map(|(_, path)| path.chars().filter(char::is_ascii_alphabetic).collect())
            .collect();
        let expected: Vec<&str> = [*lines, *dots].into_iter().filter(|path| !path.is_empty()).collect();
        assert_eq!(drawn, expected, "{values:?} {line:?}");
    }
}

#[test]
fn any_graph_is_well_formed_and_within_its_size() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut below = |limit: u64| random.next() % limit;
        let units = [Unit::Plain, Unit::Micros, Unit::Bytes, Unit::Tail];
        let lines = [Line::Solid, Line::Dashed, Line::Dots, Line::Pointed];
        let mut chart = Chart {
            title: "</svg><script>&\"'\u{1}".to_owned(),
            x: Axis { label: "<x>".to_owned(), log: below(2) == 0, ..Axis::default() },
            y: Axis { unit: units[below(4) as usize], log: below(2) == 0, ..Axis::default() },
            shades: vec![(f64::MIN, 3.0), (4.0, 5.0), (9.0, f64::MAX)],
            marks: vec![(2.0, "<b>".to_owned())],
            ..Chart::default()
        };
        for index in 0..=below(10) {
            let magnitude = 10f64.powi(below(16) as i32 - 4);
            let mut value = |odd: u64| match below(odd) {
                0 => f64::NAN,
                1 => 0.0,
                2 => -magnitude,
                _ => magnitude * below(1_000) as f64,
            };
            let points = (0..20).map(|_| (value(30), value(12))).chain([(1.0, 7.0)]).collect();
            let (name, colour) = (format!("series <{index}>"), index as usize);
            chart.series.push(Series { name, points, colour, line: lines[index as usize % 4] });
        }
        for svg in [chart.svg(640, 400), chart.inline(480, 280)] {
            let svg = svg.expect("a graph");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "seed {seed}: {svg}");
            for (name, attributes) in elements(&svg).unwrap_or_else(|error| panic!("seed {seed}: {error}")) {
                for (attribute, value) in attributes {
                    let is_place = matches!(attribute.as_str(), "x" | "y" | "x1" | "x2" | "y1" | "y2");
                    let place: f64 = if is_place { value.parse().expect("a number") } else { 0.0 };
                    assert!((0.0..=640.0).contains(&place), "seed {seed}: <{name}> {attribute} is {place}");
                }
            }
        }
    }
}

fn bars(log: bool, rows: &[&[Option<f64>]]) -> Bars {
    Bars {
        title: "CPU".to_owned(),
        axis: Axis { label: "µs".to_owned(), log, ..Axis::default() },
        names: vec!["one".to_owned(), "two & three".to_owned()],
        rows: rows
            .iter()
            .map(|bars| BarRow {
                label: "row".to_owned(),
                bars: bars.iter().map(|value| value.map(Bar::from)).collect(),
            })
            .collect(),
    }
}

#[test]
fn bars_are_as_long_as_their_values() {
    let svg = bars(false, &[&[Some(5.0), Some(10.0)], &[None, Some(2.5)]]).svg(600).expect("a graph");
    let widths: Vec<f64> = elements(&svg)
        .expect("markup")
        .into_iter()
        .filter(|(name, _)| name == "rect")
        .filter_map(|(_, attributes)| attributes.iter().find(|(name, _)| name == "width")?.1.parse().ok())
        .filter(|width| *width != 18.0)
        .collect();
    let ratios: Vec<f64> = widths.iter().map(|width| (width / widths[1] * 100.0).round()).collect();
    assert_eq!(ratios, [50.0, 100.0, 25.0], "{widths:?}");
    for text in [">5.00<", ">10.0<", ">2.50<", ">–<", ">two &amp; three<", ">µs<"] {
        assert!(svg.contains(text), "{text} in {svg}");
    }
}

#[test]
fn bars_that_cannot_be_are_said() {
    let cases = [
        (bars(true, &[&[Some(1.0)]]), 600, ""),
        (bars(false, &[&[Some(1.0)]]), 200, "too small"),
        (bars(false, &[&[None, None]]), 600, "nothing to draw"),
        (bars(true, &[&[Some(0.0), Some(-1.0)]]), 600, "nothing to draw"),
        (bars(true, &[&[Some(1.0), Some(0.0), None][..2], &[Some(f64::NAN)]]), 600, ""),
        (bars(false, &[&[Some(1.0), None, None]]), 600, "more bars than there are names"),
    ];
    for (index, (bars, width, expected)) in cases.iter().enumerate() {
        match bars.svg(*width) {
            Ok(_) => assert_eq!(*expected, "", "case {index}"),
            Err(error) => assert!(!expected.is_empty() && error.contains(expected), "case {index}: {error}"),
        }
    }
}

#[test]
fn more_series_than_colours_are_told_apart() {
    let classes: Vec<String> = (0..16).map(colour_class).collect();
    for (index, class) in classes.iter().enumerate() {
        assert!(!classes[..index].contains(class), "{classes:?}");
    }
    let series = |colour| Series { points: vec![(1.0, 1.0), (2.0, 2.0)], colour, ..Series::default() };
    let chart = Chart { series: vec![series(1), series(9)], ..Chart::default() };
    let svg = chart.svg(480, 280).expect("a graph");
    assert!(
        svg.contains("class=\"s1\"") && svg.contains("class=\"s1 pale\"") && svg.contains(".pale{"),
        "{svg}"
    );
}
