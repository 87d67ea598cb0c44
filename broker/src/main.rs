//! The `millrace` program: the command line around the broker.

use millrace::config::Config;
use millrace::node::{Node, Reporter, Stopped};
use millrace::status::socket;
use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tracing::{info, warn};

fn main() -> ExitCode {
    millrace::cli::main(serve)
}

/// Serves until something is received or the sender is gone.
fn serve(config: Config, stop: Receiver<()>) -> Result<(), Box<dyn Error>> {
    let node = Node::start(&config)?;
    let recovery = node.recovery();
    for damage in &recovery.damage {
        warn!("log: {damage}");
    }
    for note in &recovery.notes {
        warn!("log: {note}");
    }
    let before = if recovery.clean { "" } else { "; the run before it did not end cleanly" };
    info!("log: run {} begins at record {}{before}", recovery.run, recovery.next_sequence);
    let reporter = node.reporter();
    let until_the_stop = || {
        // Who waits for these lines may ask for the status at once.
        for (name, address) in node.addresses() {
            info!("listener {name}: mqtt on {address}");
        }
        wait(&reporter, config.node.status_every, &stop);
    };
    socket::answer_while(&config.node.data, || reporter.report(), until_the_stop);
    let Stopped { counters, log, waiting } = node.stop()?;
    for (what, count) in counters.losses() {
        warn!("{count} {what}");
    }
    let (p50, p99, max) = log.sync_p50_p99_max_us();
    info!(
        "{} connections, {} messages in, {} out; {} records in {} groups, fdatasync {p50} / {p99} / {max} µs (median, 99 %, most)",
        counters.connected, counters.published, counters.delivered, log.records, log.groups
    );
    if waiting > 0 {
        info!("{waiting} records wait in the log for Kafka; the next start delivers them");
    }
    Ok(())
}

/// Until it is time to stop; says the numbers now and then if that is asked for.
fn wait(reporter: &Reporter, status_every: Duration, stop: &Receiver<()>) {
    if status_every.is_zero() {
        let _ = stop.recv();
        return;
    }
    while stop.recv_timeout(status_every) == Err(RecvTimeoutError::Timeout) {
        info!("{}", reporter.report().line());
    }
}
