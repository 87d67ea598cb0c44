//! Plays histories of a whole node in one thread, one seed after the other, until one fails or all are done.
//!
//! `cargo run --release -p millrace --features simulation --example simulate -- --seeds 1000000 [--from 0]`

use millrace::simulation::run;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let setting = |name: &str| -> Option<u64> {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse().ok()
    };
    let (from, seeds) = (setting("--from").unwrap_or(0), setting("--seeds").unwrap_or(1_000));
    let (mut messages, mut deliveries) = (0, 0);
    for seed in from..from.saturating_add(seeds) {
        match run(seed) {
            Ok(outcome) => {
                messages += outcome.messages;
                deliveries += outcome.deliveries;
                // A tenth is played twice: the same seed has to give the same history.
                if seed % 10 == 0 && run(seed).as_ref() != Ok(&outcome) {
                    println!("\nseed {seed}: a second run went another way");
                    return ExitCode::FAILURE;
                }
            }
            Err(failure) => {
                println!("\n{failure}");
                return ExitCode::FAILURE;
            }
        }
        if seed % 100 == 99 {
            print!("\r{} seeds, {messages} messages, {deliveries} deliveries", seed + 1 - from);
            // Only a progress line.
            let _ = std::io::stdout().flush();
        }
    }
    println!(
        "\rseeds {from} to {}: {messages} messages, {deliveries} deliveries, all as promised",
        from + seeds
    );
    ExitCode::SUCCESS
}
