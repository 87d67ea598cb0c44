//! Grouped horizontal bars: a row for each kind of work, in it a bar for each broker.

use std::fmt::Write;

use super::scale::{Axis, Ends, Scale, Unit};
use super::svg;

/// A graph of bars. On a logarithmic axis a bar begins at the axis's round lower end: its length says less than its
/// number, which stands beside it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bars {
    pub(crate) title: String,
    pub(crate) axis: Axis,
    /// Names of the bars in each row, such as brokers.
    pub(crate) names: Vec<String>,
    pub(crate) rows: Vec<BarRow>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct BarRow {
    pub(crate) label: String,
    /// One for each name; none: left empty, with a dash.
    pub(crate) bars: Vec<Option<Bar>>,
}

/// A value, and the spread of its rounds (all the same: no whisker).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    pub(crate) value: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl From<f64> for Bar {
    fn from(value: f64) -> Bar {
        Bar { value, min: value, max: value }
    }
}

const BAR: f64 = 12.0;
const GAP: f64 = 2.0;
const ROW_GAP: f64 = 12.0;
/// Room for the number at the end of the longest bar.
const NUMBER: f64 = 64.0;
const WIDTH_MIN: u32 = 240;

impl Bars {
    /// The graph as a file of its own; its height follows from the rows.
    ///
    /// # Errors
    /// Nothing to draw, a width below 240, an axis that cannot be, or a row with more bars than names.
    pub(crate) fn svg(&self, width: u32) -> Result<String, String> {
        let failed = |error: String| format!("graph \"{}\": {error}", self.title);
        if width < WIDTH_MIN {
            return Err(failed(format!("a width of {width} is too small")));
        }
        if let Some(row) = self.rows.iter().find(|row| row.bars.len() > self.names.len()) {
            return Err(failed(format!("row \"{}\" has more bars than there are names", row.label)));
        }
        let mut out = String::new();
        svg::text(&mut out, (8.0, 20.0), "start", "title", &self.title);
        let across = (8.0, f64::from(width) - 8.0);
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let legend = svg::legend(&mut out, across, 28.0, &names, |out, index, (x, y)| {
            let class = svg::colour_class(index);
            let _ = writeln!(
                out,
                "<rect class=\"{class}\" fill=\"currentColor\" x=\"{x:.1}\" y=\"{:.1}\" width=\"18\" height=\"10\"/>",
                y - 5.0
            );
        });
        let top = 28.0 + legend + 8.0;
        let each = self.names.len() as f64 * (BAR + GAP) + ROW_GAP;
        let foot = top + each * self.rows.len() as f64;
        let height = foot + if self.axis.label.is_empty() { 24.0 } else { 40.0 };

        let widest = self.rows.iter().map(|row| svg::width(&row.label)).fold(20.0, f64::max);
        let (left, right) = (widest + 16.0, f64::from(width) - NUMBER);
        let bars = self.rows.iter().flat_map(|row| row.bars.iter().flatten());
        let values = bars.flat_map(|bar| [bar.value, bar.min, bar.max]);
        let scale = Scale::new(&self.axis, values, Ends::Round, (left, right)).map_err(failed)?;
        for (value, label) in &scale.ticks {
            let Some(at) = scale.at(*value) else { continue };
            svg::line(&mut out, "grid", (at, top - 4.0), (at, foot));
            svg::text(&mut out, (at, foot + 16.0), "middle", "", label);
        }
        svg::text(&mut out, ((left + right) / 2.0, foot + 32.0), "middle", "", &self.axis.label);
        for (index, row) in self.rows.iter().enumerate() {
            let y = top + each * index as f64;
            let middle = y + (each - ROW_GAP) / 2.0 + 4.0;
            svg::text(&mut out, (left - 8.0, middle), "end", "", &row.label);
            for (place, name) in self.names.iter().enumerate() {
                let at = (left, y + place as f64 * (BAR + GAP));
                let bar = row.bars.get(place).copied().flatten();
                self.bar(&mut out, &scale, at, place, name, bar);
            }
        }
        svg::line(&mut out, "axis", (left, top - 4.0), (left, foot));
        Ok(svg::file(width, height.ceil() as u32, &self.title, &out))
    }

    fn bar(
        &self,
        out: &mut String,
        scale: &Scale,
        (left, y): (f64, f64),
        place: usize,
        name: &str,
        bar: Option<Bar>,
    ) {
        let Some(bar) = bar.filter(|bar| bar.value.is_finite()) else {
            svg::text(out, (left + 4.0, y + BAR - 2.0), "start", "", "–");
            return;
        };
        // What lies beyond an end of the axis, such as 0 on a logarithmic one, is drawn at that end: its number says
        // what it is.
        let pixel = |value: f64| scale.at(value).unwrap_or(if value > scale.high { scale.to } else { left });
        let (end, class, name) = (pixel(bar.value), svg::colour_class(place), svg::escape(name));
        let wide = (end - left).max(1.0);
        let number = number(self.axis.unit, bar.value);
        let _ = writeln!(
            out,
            "<rect class=\"{class}\" fill=\"currentColor\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" \
             height=\"{BAR}\"><title>{name}: {number}</title></rect>"
        );
        let mut beside = end;
        if bar.min < bar.max {
            let (from, to, middle) = (pixel(bar.min), pixel(bar.max), y + BAR / 2.0);
            svg::line(out, "inside", (from, middle), (end, middle));
            svg::line(out, "axis", (end, middle), (to, middle));
            beside = beside.max(to);
        }
        svg::text(out, (beside + 5.0, y + BAR - 2.0), "start", "", &number);
    }
}

/// A measured number: three digits that matter, in the axis's unit.
fn number(unit: Unit, value: f64) -> String {
    use crate::report::text;
    match unit {
        Unit::Plain => text::number(value),
        Unit::Micros => text::micros(value),
        Unit::Bytes => text::bytes(value),
        Unit::Tail => unit.show(value),
    }
}
