//! `millrace status`: asks the broker that runs on the data directory for its numbers and prints them.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;

use super::{Failure, SourceArgs, print};
use crate::status::{Report, socket};

/// Between two pages of `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// Cursor to the top left, and the screen empty.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Print the numbers of the broker that runs on the data directory
///
/// Connections, the log, Kafka, and for each hook what became of its records: taken from clients, durable in the log,
/// delivered to Kafka, waiting for it, refused by it (set aside), sent again, possibly there twice. They add up: taken
/// is durable and what is still in memory; backlog (what earlier runs left) and durable are delivered, set aside and
/// waiting. Exit code 1 if no broker runs there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace status
  millrace status --data /var/lib/millrace --watch
  millrace status --json | jq '.hooks[] | {name, waiting}'")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    sources: SourceArgs,
    /// Print the numbers as one line of JSON
    #[arg(long)]
    json: bool,
    /// Print them again every two seconds, until the broker ends or Ctrl-C
    #[arg(long)]
    watch: bool,
}

pub(super) fn status(args: &StatusArgs) -> Result<(), Failure> {
    let data = args.sources.load()?.config.node.data;
    loop {
        let answer = socket::ask(&data).map_err(Failure::new)?;
        print(&if args.json { answer } else { page(&answer, args.watch)? })?;
        if !args.watch {
            return Ok(());
        }
        std::thread::sleep(WATCH_EVERY);
    }
}

fn page(answer: &str, watch: bool) -> Result<String, Failure> {
    let report: Report = serde_json::from_str(answer)
        .map_err(|error| Failure::new(format!("the broker's answer is not understood: {error}")))?;
    let clear = if watch && std::io::stdout().is_terminal() { CLEAR } else { "" };
    Ok(format!("{clear}{}", report.page()))
}
