//! What people get to see of runs: a block for the terminal, a table of rounds, CSV, a page, and the comparison of
//! two files. All of it is made from [`Outcome`](crate::outcome::Outcome)s alone, so that a recorded run can be shown
//! again; nothing here measures, connects or looks at a clock.

mod compare;
mod csv;
mod html;
mod metric;
mod rounds;
mod summary;
pub(crate) mod text;
mod verdict;

#[cfg(test)]
mod made_up;
#[cfg(test)]
mod tests;

pub(crate) use compare::{CompareArgs, run as run_compare};
pub(crate) use csv::csv;
pub(crate) use html::html;
pub(crate) use metric::Spread;
pub(crate) use rounds::rounds;
pub(crate) use summary::summary;
