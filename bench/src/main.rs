//! `millrace-bench`: load and drills against a broker that it sees only as a process and over the network, as its users
//! do.
//!
//! A run: `scenario` makes a plan of the command line, `process` starts brokers and workers, `load` carries the plan out,
//! `outcome` is what it leaves, `report` and `plot` show it. `suite` runs many of them beside the `relay` and `peers`.
//! `drill` kills.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod drill;
mod kafka;
mod load;
mod outcome;
mod peers;
mod plot;
mod process;
mod random;
mod relay;
mod report;
mod scenario;
mod suite;

/// What `millrace-bench` understands.
#[derive(Debug, Parser)]
#[command(
    name = "millrace-bench",
    version,
    about = "Load for any MQTT broker, comparisons of brokers, and crash drills for Millrace",
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it lives as long as the program")]
enum Command {
    #[command(flatten)]
    Scenario(scenario::Scenario),
    Drill(drill::DrillArgs),
    Relay(relay::RelayArgs),
    Peers(peers::PeersArgs),
    Results(suite::ResultsArgs),
    Compare(report::CompareArgs),
    /// One of several processes of a scenario; started by it, not by people
    #[command(hide = true)]
    Worker,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Scenario(scenario) => return ExitCode::from(scenario::run(&scenario)),
        Command::Worker => return process::worker::run(),
        Command::Drill(args) => drill::run(&args),
        Command::Relay(args) => relay::run(&args).map(|()| true),
        Command::Peers(args) => peers::run(&args),
        Command::Results(args) => suite::run(&args),
        Command::Compare(args) => return ExitCode::from(report::run_compare(&args)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn usage() {
        Cli::command().debug_assert();
        let cases = [
            ("drill", true),
            ("p2p --pairs 5 --qos 2", true),
            ("worker", true),
            ("worker 1", false),
            ("drill --broker target/release/millrace --kills 10 --publishers 4", true),
            ("drill --seconds-between 0.5 --qos 2 --window 1 --rate 0 --data d --seed 7", true),
            ("drill --kills 0", true),
            ("relay", true),
            ("relay --bind 127.0.0.1:24000 --cores 64", true),
            ("relay --cores 0", false),
            ("relay --cores 65", false),
            ("relay --bind 24000", false),
            ("peers list", true),
            ("peers install mosquitto aedes --dir /tmp/p", true),
            ("peers run mosquitto 24000 --version 5.0", true),
            ("peers run mosquitto", false),
            ("peers run mosquitto 24000 --version 4", false),
            ("peers", false),
            ("results", true),
            ("results --quick --out /tmp/r/RESULTS.md", true),
            ("results --rounds 5 --duration 3 --only p2p_q1,rate --brokers relay-1,millrace-1", true),
            ("results --from runs.jsonl", true),
            ("results --from runs.jsonl --rounds 3", false),
            ("results --rounds 0", false),
            ("results --duration nan", false),
            ("", false),
            ("load", false),
            ("drill --qos 0", false),
            ("drill --qos 3", false),
            ("drill --publishers 0", false),
            ("drill --window 0", false),
            ("drill --window 1025", false),
            ("drill --seconds-between 0", false),
            ("drill --seconds-between -1", false),
            ("drill --seconds-between nan", false),
            ("compare a.json b.json", true),
            ("compare --fail-above 1.05 - b.json", true),
            ("compare a.json", false),
            ("compare a.json b.json c.json", false),
            ("compare --fail-above 0 a.json b.json", false),
            ("compare --fail-above nan a.json b.json", false),
        ];
        for (line, ok) in cases {
            let words = std::iter::once("millrace-bench").chain(line.split_whitespace());
            let parsed = Cli::try_parse_from(words);
            assert_eq!(parsed.is_ok(), ok, "{line}: {parsed:?}");
        }
    }
}
