//! Counts the instructions of the bench `instructions` and holds them against `bench/benches/budget.toml`.
//!
//! `cargo run -p millrace-bench --example budget` fails when a figure is further from its budget than the
//! tolerance: a regression, or an improvement whose budget is to be lowered so that it stays one. With `--write` the
//! figures become the budget, and the table in ARCHITECTURE.md is made from it; with `--table` only the latter.
//! It needs valgrind, and gungraun-runner in the version of gungraun in `Cargo.lock`.

mod check;
mod file;

use check::{check, compiler, count};
use std::fs;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let asked = std::env::args().nth(1);
    let done = match asked.as_deref() {
        None => check(),
        Some("--write") => write().and_then(|()| make_table()).map(|()| true),
        Some("--table") => make_table().map(|()| true),
        Some(other) => {
            Err(io::Error::other(format!("unknown argument {other}; --write, --table or nothing")))
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("budget: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes what is counted into the file, line by line, so that its comments stay.
fn write() -> io::Result<()> {
    let counts = count()?;
    let mut lines = Vec::new();
    for line in fs::read_to_string(file::budget_path())?.lines() {
        let name = line.trim().strip_prefix("{ name = \"").and_then(|rest| rest.split('"').next());
        let place = line.find("instructions = ").map(|at| at + "instructions = ".len());
        lines.push(match (name.and_then(|name| counts.get(name)), place) {
            (Some(count), Some(at)) => format!("{}{} }},", &line[..at], count.round()),
            _ if line.starts_with("compiler = ") => format!("compiler = \"{}\"", compiler()?),
            _ => line.to_owned(),
        });
    }
    fs::write(file::budget_path(), lines.join("\n") + "\n")
}

fn make_table() -> io::Result<()> {
    let mut text = fs::read_to_string(file::architecture_path())?;
    let place = file::place_of_table(&text);
    let place = place.ok_or_else(|| io::Error::other("ARCHITECTURE.md has no place for the table"))?;
    text.replace_range(place, &file::table(&file::read()?));
    fs::write(file::architecture_path(), text)
}
