//! Runs the benches and holds what they count against the budget.

use crate::file::{self, Budget};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::process::{Command, Stdio};

/// As in the benches: how often each does its work.
const ROUNDS: f64 = 100.0;

/// Runs the benches: instructions by name, each for doing its work once.
///
/// # Errors
/// They failed, or this processor's counts cannot be compared.
pub fn count() -> io::Result<BTreeMap<String, f64>> {
    #[cfg(target_arch = "x86_64")]
    if !is_x86_feature_detected!("avx2") {
        return Err(io::Error::other("counts are comparable only between processors with AVX2"));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(file::root())
        // Of the workspace: with the features of its release build, which then is compiled once for both.
        .args("bench --quiet --locked --workspace --bench instructions -- --output-format=json".split(' '))
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

/// Whether all figures are within the budget. Prints them, and what is wrong.
///
/// # Errors
/// The benches could not be run.
pub fn check() -> io::Result<bool> {
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

/// The compiler's name and version, as it says them.
///
/// # Errors
/// It could not be asked.
pub fn compiler() -> io::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
