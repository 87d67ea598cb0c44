//! Lines over two axes.

use std::fmt::Write;

use super::scale::{Axis, Ends, Scale, Unit};
use super::svg;

/// A graph of lines. Series with the same name share an entry of the legend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chart {
    pub(crate) title: String,
    /// Its range ends at the values if it is not given.
    pub(crate) x: Axis,
    /// Its range ends at round values if it is not given; a linear one begins at 0.
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
    /// Spans of x with a shade behind them.
    pub(crate) shades: Vec<(f64, f64)>,
    /// Values of x marked at the foot, with a word on each.
    pub(crate) marks: Vec<(f64, String)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    /// For the legend; empty: not in it.
    pub(crate) name: String,
    /// In the order in which they are joined. A point without a place (not a number, beyond the range, or not above 0
    /// on a logarithmic axis) leaves a gap.
    pub(crate) points: Vec<(f64, f64)>,
    /// Index of its colour.
    pub(crate) colour: usize,
    pub(crate) line: Line,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Line {
    #[default]
    Solid,
    Dashed,
    /// Points that are not joined.
    Dots,
    /// A line with its points, for few measured values.
    Pointed,
}

/// The least size at which a graph is one.
const SIZE_MIN: (u32, u32) = (160, 100);
/// A point apart from others is drawn as a line of no length, which round caps make a dot.
const DOT: &str = "h0";

impl Chart {
    /// The graph as a file of its own.
    ///
    /// # Errors
    /// Nothing to draw, a size below 160 × 100, or an axis that cannot be: the text says which.
    pub(crate) fn svg(&self, width: u32, height: u32) -> Result<String, String> {
        let mut content = String::new();
        svg::text(&mut content, (8.0, 20.0), "start", "title", &self.title);
        let mut named: Vec<&Series> = Vec::new();
        for series in self.series.iter().filter(|series| !series.name.is_empty()) {
            if named.iter().all(|other| other.name != series.name) {
                named.push(series);
            }
        }
        let names: Vec<&str> = named.iter().map(|series| series.name.as_str()).collect();
        let mut bottom = f64::from(height);
        if !names.is_empty() {
            let across = (8.0, f64::from(width) - 8.0);
            bottom -= svg::legend(&mut String::new(), across, 0.0, &names, |_, _, _| {}) + 6.0;
            svg::legend(&mut content, across, bottom, &names, |out, index, (x, y)| {
                let (line, middle) = (named[index].line, x + 9.0);
                let around = if line == Line::Dots {
                    String::new()
                } else {
                    format!("M{x:.1} {y:.1}H{:.1}", x + 18.0)
                };
                let dot = if matches!(line, Line::Dots | Line::Pointed) {
                    format!("M{middle:.1} {y:.1}{DOT}")
                } else {
                    String::new()
                };
                stroke(out, named[index], &around, &dot);
            });
        }
        self.draw(&mut content, (width, height), 30.0, bottom)?;
        Ok(svg::file(width, height, &self.title, &content))
    }

    /// The graph as a part of a page, without title and legend. The attributes `data-x` and `data-y` tell a script how
    /// to get from pixels to values: first and last pixel, their values, `log` or `linear`, the unit.
    ///
    /// # Errors
    /// As [`svg`](Self::svg).
    pub(crate) fn inline(&self, width: u32, height: u32) -> Result<String, String> {
        let mut content = String::new();
        let (x, y) = self.draw(&mut content, (width, height), 6.0, f64::from(height))?;
        let data = |scale: &Scale, unit: Unit| {
            let kind = if scale.log { "log" } else { "linear" };
            format!("{:.1} {:.1} {} {} {kind} {}", scale.from, scale.to, scale.low, scale.high, unit.name())
        };
        Ok(format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\" data-x=\"{}\" data-y=\"{}\">\n{content}</svg>\n",
            svg::escape(&self.title),
            data(&x, self.x.unit),
            data(&y, self.y.unit)
        ))
    }

    fn draw(
        &self,
        out: &mut String,
        (width, height): (u32, u32),
        top: f64,
        bottom: f64,
    ) -> Result<(Scale, Scale), String> {
        let failed = |error: String| format!("graph \"{}\": {error}", self.title);
        if width < SIZE_MIN.0 || height < SIZE_MIN.1 {
            return Err(failed(format!("{width} × {height} is too small")));
        }
        // The label of y stands above its axis, that of x below its ticks.
        let top = top + if self.y.label.is_empty() { 6.0 } else { 18.0 };
        let foot = bottom - if self.x.label.is_empty() { 22.0 } else { 38.0 };
        if foot - top < 30.0 {
            return Err(failed(format!("{width} × {height} leaves no room beside the legend")));
        }
        let points = || self.series.iter().flat_map(|series| series.points.iter());
        let ys = points().map(|point| point.1);
        let y = Scale::new(&self.y, ys, Ends::Round, (foot, top)).map_err(failed)?;
        let widest = y.ticks.iter().map(|(_, label)| svg::width(label)).fold(20.0, f64::max);
        let (left, right) = (widest + 10.0, f64::from(width) - 20.0);
        let marks = self.marks.iter().map(|mark| mark.0);
        let xs = points().map(|point| point.0).chain(marks);
        let x = Scale::new(&self.x, xs, Ends::Tight, (left, right)).map_err(failed)?;

        for &(from, to) in &self.shades {
            let (from, to) = (from.max(x.low), to.min(x.high));
            if let (true, Some(from), Some(to)) = (from < to, x.at(from), x.at(to)) {
                let (wide, high) = (to - from, foot - top);
                let _ = writeln!(
                    out,
                    "<rect class=\"shade\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\"/>"
                );
            }
        }
        for (value, label) in &y.ticks {
            let Some(at) = y.at(*value) else { continue };
            svg::line(out, "grid", (left, at), (right, at));
            svg::text(out, (left - 6.0, at + 4.0), "end", "", label);
        }
        // Ticks that would run into the one before are drawn without their text.
        let mut free = 0.0;
        for (value, label) in &x.ticks {
            let Some(at) = x.at(*value) else { continue };
            svg::line(out, "grid", (at, top), (at, foot));
            let half = svg::width(label) / 2.0;
            let middle = at.min(f64::from(width) - half);
            if middle - half >= free {
                svg::text(out, (middle, foot + 16.0), "middle", "", label);
                free = middle + half + 4.0;
            }
        }
        svg::line(out, "axis", (left, foot), (right, foot));
        svg::text(out, (left, top - 7.0), "start", "", &self.y.label);
        svg::text(out, ((left + right) / 2.0, foot + 32.0), "middle", "", &self.x.label);
        for series in &self.series {
            let (line, dots) = join(series, &x, &y);
            stroke(out, series, &line, &dots);
        }
        for (value, word) in &self.marks {
            if let Some(at) = x.at(*value) {
                let (word, y) = (svg::escape(word), foot - 6.0);
                let (a, b, c, d) = (at - 4.0, y - 4.0, at + 4.0, y + 4.0);
                let _ = writeln!(
                    out,
                    "<path class=\"mark\" d=\"M{a:.1} {b:.1}L{c:.1} {d:.1}M{a:.1} {d:.1}L{c:.1} {b:.1}\"><title>{word}</title></path>"
                );
            }
        }
        Ok((x, y))
    }
}

/// The points as path commands: those of the line (`M` begins a piece, `L` goes on) and those of the dots. A point
/// without neighbours on a line is a dot.
fn join(series: &Series, x: &Scale, y: &Scale) -> (String, String) {
    let (mut line, mut dots) = (String::new(), String::new());
    let pixels: Vec<_> = series.points.iter().map(|point| Some((x.at(point.0)?, y.at(point.1)?))).collect();
    for (index, pixel) in pixels.iter().enumerate() {
        let Some((px, py)) = pixel else { continue };
        let is_joined = |neighbour: Option<&Option<_>>| neighbour.is_some_and(Option::is_some);
        let before = index > 0 && is_joined(pixels.get(index - 1));
        let is_alone = !before && !is_joined(pixels.get(index + 1));
        if series.line != Line::Dots && !is_alone {
            let _ = write!(line, "{}{px:.1} {py:.1}", if before { 'L' } else { 'M' });
        }
        if matches!(series.line, Line::Dots | Line::Pointed) || is_alone {
            let _ = write!(dots, "M{px:.1} {py:.1}{DOT}");
        }
    }
    (line, dots)
}

/// Draws what [`join`] gave, in the colour and the manner of the series.
fn stroke(out: &mut String, series: &Series, line: &str, dots: &str) {
    let (class, title) = (svg::colour_class(series.colour), svg::escape(&series.name));
    let mut path = |joined: &str, style: &str| {
        if !joined.is_empty() {
            let _ = writeln!(
                out,
                "<path class=\"{class}\" fill=\"none\" stroke=\"currentColor\" {style} stroke-linecap=\"round\" \
                 stroke-linejoin=\"round\" d=\"{joined}\"><title>{title}</title></path>"
            );
        }
    };
    path(
        line,
        match series.line {
            Line::Dashed => "stroke-width=\"1.5\" stroke-dasharray=\"5 4\"",
            Line::Solid | Line::Dots | Line::Pointed => "stroke-width=\"2\"",
        },
    );
    path(dots, if series.line == Line::Pointed { "stroke-width=\"6\"" } else { "stroke-width=\"4\"" });
}
