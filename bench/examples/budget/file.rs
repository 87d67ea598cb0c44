//! The file of the budget, and the table in ARCHITECTURE.md that is made from it. Also part of `bench/tests/budget.rs`.

use serde::Deserialize;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the table begins and ends.
const BEGIN: &str = "<!-- made by: cargo run -p millrace-bench --example budget -- --table -->\n";
const END: &str = "<!-- end -->";

/// `bench/benches/budget.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// What `rustc --version` said when the figures were taken.
    pub compiler: String,
    /// How far a figure may be from its budget, as a share of it.
    pub tolerance: f64,
    /// One a bench.
    pub rows: Vec<Row>,
    /// Rows that may cost only a share of another.
    pub shares: Vec<Share>,
}

/// What one bench may cost.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The bench: function and case.
    pub name: String,
    /// What part of a message's way this is.
    pub step: String,
    /// What is done once.
    pub what: String,
    /// Instructions for doing it once.
    pub instructions: f64,
}

/// A bound that no budget may be raised beyond.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// A row.
    pub name: String,
    /// Another row.
    pub of: String,
    /// The first may cost so much of the second.
    pub most: f64,
}

/// The top of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// The file of the budget.
pub fn budget_path() -> PathBuf {
    root().join("bench/benches/budget.toml")
}

/// The file with the table.
pub fn architecture_path() -> PathBuf {
    root().join("ARCHITECTURE.md")
}

/// Reads the budget.
///
/// # Errors
/// The file cannot be read, or is not what it should be.
pub fn read() -> io::Result<Budget> {
    let text = fs::read_to_string(budget_path())?;
    toml::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The table, between its marks.
pub fn table(budget: &Budget) -> String {
    let mut table = String::from("\n| step | what | instructions |\n|---|---|---:|\n");
    for Row { step, what, instructions, .. } in &budget.rows {
        // A String takes all that is written to it.
        let _ = writeln!(table, "| {step} | {what} | {instructions} |");
    }
    table.push('\n');
    table
}

/// The table that stands in a text: from where to where. `None`: there is none.
pub fn place_of_table(text: &str) -> Option<std::ops::Range<usize>> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text[begin..].find(END)?;
    Some(begin..end)
}
