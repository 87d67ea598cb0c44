//! Counts the instructions of the bench `instructions` and holds them against `bench/benches/budget.toml`.
//!
//! `cargo run --release -p millrace-bench --example budget` fails when a figure is further from its budget than the
//! tolerance: a regression, or an improvement whose budget is to be lowered so that it stays one. With `--write` the
//! figures become the budget, and the table in ARCHITECTURE.md is made from it; with `--table` only the latter.
//! It needs valgrind, and gungraun-runner in the version of gungraun in `Cargo.lock`.

mod file;

use file::Budget;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::process::{Command, ExitCode, Stdio};

/// As in the benches: how often each does its work.
const ROUNDS: f64 = 100.0;

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

/// Runs the benches: instructions by name, each for doing its work once.
fn count() -> io::Result<BTreeMap<String, f64>> {
    #[cfg(target_arch = "x86_64")]
    if !is_x86_feature_detected!("avx2") {
        return Err(io::Error::other("counts are comparable only between processors with AVX2"));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(file::root())
        .args(
            "bench --quiet --locked -p millrace-bench --bench instructions -- --output-format=json"
                .split(' '),
        )
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stdout));
        return Err(io::Error::other(format!("the benches failed: {}", output.status)));
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.lines().filter(|line| line.starts_with('{')).map(counted).collect()
}

/// One line of gungraun's output.
fn counted(line: &str) -> io::Result<(String, f64)> {
    let summary: Value = serde_json::from_str(line)?;
    let values = &summary["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"];
    // Without an earlier run "new", with one "both": new and old.
    let count = values["new"].as_f64().or_else(|| values["both"][0].as_f64());
    let name = summary["function_name"].as_str().zip(summary["id"].as_str());
    let (Some(count), Some((function, case))) = (count, name) else {
        return Err(io::Error::other(format!("not a count of instructions: {line}")));
    };
    Ok((format!("{function}.{case}"), count / ROUNDS))
}

fn check() -> io::Result<bool> {
    let budget = file::read()?;
    let mut counts = count()?;
    let mut wrong = shares(&budget, &counts);
    for row in &budget.rows {
        let Some(count) = counts.remove(&row.name) else {
            wrong.push(format!("{}: no such bench", row.name));
            continue;
        };
        let change = count / row.instructions - 1.0;
        println!("{:32} {count:9.1} of {:7}  {:+.1} %", row.name, row.instructions, change * 100.0);
        if change > budget.tolerance {
            wrong.push(format!("{}: {count:.1} instructions, {} allowed", row.name, row.instructions));
        } else if change < -budget.tolerance {
            wrong.push(format!(
                "{}: only {count:.1} instructions; lower the budget of {}",
                row.name, row.instructions
            ));
        }
    }
    wrong.extend(counts.keys().map(|name| format!("{name}: has no budget")));
    if !wrong.is_empty() {
        eprintln!("\n{}", wrong.join("\n"));
        eprintln!("--write makes these figures the budget; the change that raises one says why.");
        let compiler = compiler()?;
        if compiler != budget.compiler {
            eprintln!(
                "The budget is that of {}, this is {compiler}: compare with the commit before.",
                budget.compiler
            );
        }
    }
    Ok(wrong.is_empty())
}

/// What is not to be had by raising a budget.
fn shares(budget: &Budget, counts: &BTreeMap<String, f64>) -> Vec<String> {
    let mut wrong = Vec::new();
    for share in &budget.shares {
        let (Some(count), Some(other)) = (counts.get(&share.name), counts.get(&share.of)) else {
            wrong.push(format!("{} and {}: no such benches", share.name, share.of));
            continue;
        };
        println!("{:32} {:9.2} of {}, at most {}", share.name, count / other, share.of, share.most);
        if *count > other * share.most {
            wrong.push(format!(
                "{}: {count:.1} instructions, more than {} of {}",
                share.name, share.most, share.of
            ));
        }
    }
    wrong
}

fn compiler() -> io::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
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
