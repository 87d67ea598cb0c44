//! Axes: from values to pixels, and where the ticks stand.

/// An axis. Without a range it takes in all values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Axis {
    pub(crate) label: String,
    pub(crate) unit: Unit,
    /// Logarithmic; values of 0 and below have no place on it.
    pub(crate) log: bool,
    pub(crate) range: Option<(f64, f64)>,
    /// Ticks with these values and texts instead of round ones.
    pub(crate) ticks: Vec<(f64, String)>,
}

/// How an axis writes its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unit {
    /// `1.5k`
    #[default]
    Plain,
    /// Of µs: `1.5 ms`
    Micros,
    /// `1.5 MiB`
    Bytes,
    /// Of 1/(1 − q): `99.9 %`
    Tail,
}

/// More ticks than this are never drawn.
const TICKS_MAX: usize = 40;

impl Unit {
    pub(super) fn show(self, value: f64) -> String {
        let scaled = |base: f64, first: &str, units: &[&str], space: &str| {
            let (mut value, mut unit) = (value, first);
            for next in units {
                if value.abs() < base * 0.999_999 {
                    break;
                }
                (value, unit) = (value / base, next);
            }
            // A step of a tenth a few times is not what it says; six decimals are more than a tick has.
            let value = (value * 1e6).round() / 1e6;
            if unit.is_empty() { format!("{value}") } else { format!("{value}{space}{unit}") }
        };
        match self {
            Unit::Plain => scaled(1e3, "", &["k", "M", "G"], ""),
            Unit::Micros if value == 0.0 => "0".to_owned(),
            Unit::Micros => scaled(1e3, "µs", &["ms", "s"], " "),
            Unit::Bytes => scaled(1_024.0, "B", &["KiB", "MiB", "GiB", "TiB"], " "),
            // Not a share of anything.
            Unit::Tail if value < 1.0 => String::new(),
            Unit::Tail => format!("{} %", ((1.0 - 1.0 / value) * 1e8).round() / 1e6),
        }
    }

    /// For the page's script.
    pub(super) fn name(self) -> &'static str {
        match self {
            Unit::Plain => "plain",
            Unit::Micros => "micros",
            Unit::Bytes => "bytes",
            Unit::Tail => "tail",
        }
    }
}

/// Where an axis's range ends if it is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// At the least and the greatest value.
    Tight,
    /// At round values beyond them; a linear axis begins at 0.
    Round,
}

/// An axis laid over pixels.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) log: bool,
    pub(super) from: f64,
    pub(super) to: f64,
    /// Value and text.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// # Errors
    /// No value, or a range that is empty, infinite or, on a logarithmic axis, not above 0.
    pub(super) fn new(
        axis: &Axis,
        values: impl Iterator<Item = f64>,
        ends: Ends,
        (from, to): (f64, f64),
    ) -> Result<Scale, String> {
        let has_place = |value: &f64| value.is_finite() && (!axis.log || *value > 0.0);
        let (low, high) = match axis.range {
            Some(range) => range,
            None => extent(values.filter(has_place)).ok_or("nothing to draw")?,
        };
        if !has_place(&low) || !has_place(&high) || low > high {
            return Err(format!("no axis from {low} to {high}"));
        }
        // About one tick in 60 pixels across, 45 upwards.
        let wanted = ((to - from).abs() / if to > from { 60.0 } else { 45.0 }).clamp(2.0, 10.0);
        let (low, high) = match ends {
            // Some room below, so that the least bar has a length.
            Ends::Round if axis.range.is_none() && axis.log => {
                (round_log(low * 0.9, false), round_log(high, true))
            }
            Ends::Round if axis.range.is_none() => apart(low.min(0.0), high.max(0.0), false),
            Ends::Round | Ends::Tight => apart(low, high, axis.log),
        };
        // Chosen before the ends are rounded: afterwards it might be another, with none of its ticks at the end.
        let step = step((high - low) / wanted, axis.unit);
        let (low, high) = if ends == Ends::Round && axis.range.is_none() && !axis.log {
            ((low / step).floor() * step, (high / step).ceil() * step)
        } else {
            (low, high)
        };
        let ticks = if axis.ticks.is_empty() {
            let ticks =
                if axis.log { log_ticks(low, high, axis.unit, wanted) } else { linear(low, high, step) };
            ticks.into_iter().map(|at| (at, axis.unit.show(at))).collect()
        } else {
            axis.ticks.iter().filter(|(at, _)| (low..=high).contains(at)).cloned().collect()
        };
        Ok(Scale { low, high, log: axis.log, from, to, ticks })
    }

    /// The pixel of a value; none if it has no place on the axis.
    pub(super) fn at(&self, value: f64) -> Option<f64> {
        let share = if self.log {
            (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (value - self.low) / (self.high - self.low)
        };
        // A rounding error beyond the end is no reason to leave an end point out.
        (-1e-9..=1.0 + 1e-9).contains(&share).then_some(self.from + share * (self.to - self.from))
    }
}

fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |extent, value| {
        let (low, high) = extent.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

/// A range of one value gets some room.
fn apart(low: f64, high: f64, log: bool) -> (f64, f64) {
    match (low < high, log) {
        (true, _) => (low, high),
        (false, true) => (low / 2.0, high * 2.0),
        (false, false) if low == 0.0 => (0.0, 1.0),
        (false, false) => (low - low.abs() / 2.0, high + high.abs() / 2.0),
    }
}

/// The next 1, 2 or 5 times a power of ten, above or below.
fn round_log(value: f64, up: bool) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    let fraction = value / decade;
    let steps = [1.0, 2.0, 5.0, 10.0];
    let found = if up {
        steps.iter().find(|step| **step >= fraction * 0.999_999)
    } else {
        steps.iter().rfind(|step| **step <= fraction)
    };
    decade * found.unwrap_or(&1.0)
}

/// A round step of at least this: 1, 2 or 5 times a power of ten; of bytes a power of two, for nothing else is round in
/// KiB and in MiB.
fn step(least: f64, unit: Unit) -> f64 {
    // Rounding errors do not choose the next step.
    let least = least * 0.999_99;
    if unit == Unit::Bytes {
        return least.log2().ceil().exp2();
    }
    let decade = 10f64.powf(least.log10().floor());
    decade * [1.0, 2.0, 5.0].into_iter().find(|factor| factor * decade >= least).unwrap_or(10.0)
}

fn linear(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step - 1e-9).ceil();
    (0..TICKS_MAX)
        .map(|index| (first + index as f64) * step)
        .take_while(|tick| *tick <= high + step * 1e-9)
        .collect()
}

fn log_ticks(low: f64, high: f64, unit: Unit, wanted: f64) -> Vec<f64> {
    let base: f64 = if unit == Unit::Bytes { 2.0 } else { 10.0 };
    let powers = (high / low).log(base);
    // Every so many powers; and between them 2 and 5, where there is room.
    let every = (powers / wanted).ceil().max(1.0);
    let between: &[f64] = if base == 10.0 && powers * 3.0 <= wanted { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let first = (low.log(base) / every).floor() * every;
    let powers = (0..TICKS_MAX).map(|index| base.powf(first + index as f64 * every));
    let mut ticks: Vec<f64> =
        powers.flat_map(|power| between.iter().map(move |factor| power * factor)).collect();
    ticks.retain(|tick| (low * 0.999_99..=high * 1.000_01).contains(tick));
    // The median belongs to an axis of quantiles.
    if unit == Unit::Tail && low <= 2.0 && !ticks.contains(&2.0) {
        ticks.insert(ticks.partition_point(|tick| *tick < 2.0), 2.0);
    }
    ticks
}
