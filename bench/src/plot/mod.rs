//! Graphs as SVG with text as text: lines over linear and logarithmic axes, and grouped bars. The page of a run and
//! RESULTS.md use it; it knows nothing of runs.
//!
//! Written here, and not with plotters, after a look at what its SVG backend does (0.3.7): whole pixels only, so that
//! curves are jagged; colours as attributes of each element, so that a page cannot choose them for dark and light;
//! no dashes, no titles to hover over; and legends laid out by 0.7 em a *byte* of text without its font features.
//!
//! A graph is drawn for one of two places. A *file* stands alone: title, legend and a fixed set of colours that reads
//! on white and on dark. *Inline* it is part of a page, which shows title and legend itself and sets these classes:
//! `s0` to `s7` (colour of a series), `pale` (beyond eight), `grid`, `axis`, `shade`, `mark`.

mod bars;
mod chart;
mod scale;
mod svg;

#[cfg(test)]
pub(crate) mod markup;
#[cfg(test)]
mod tests;

pub(crate) use bars::{Bar, BarRow, Bars};
pub(crate) use chart::{Chart, Line, Series};
pub(crate) use scale::{Axis, Unit};
pub(crate) use svg::{PALETTE, colour_class, escape};
