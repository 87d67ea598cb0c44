//! The `millrace` program: the command line around the broker.

use millrace::config::Config;
use millrace::node::Node;
use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::Receiver;
use tracing::{info, warn};

fn main() -> ExitCode {
    millrace::cli::main(serve)
}

/// Serves until something is received or the sender is gone.
fn serve(config: Config, stop: Receiver<()>) -> Result<(), Box<dyn Error>> {
    let node = Node::start(&config)?;
    let recovery = node.recovery();
    if recovery.torn_bytes > 0 {
        warn!("log: cut off {} bytes of an unfinished write", recovery.torn_bytes);
    }
    for damage in &recovery.damage {
        let (file, (from, to), (first, end)) = (&damage.file, damage.bytes, damage.sequences);
        warn!(
            "log: {file} is damaged from byte {from} to {to}, records {first} to {end}; a copy is in quarantine"
        );
    }
    for note in &recovery.notes {
        warn!("log: {note}");
    }
    info!("log: run {}, next record {}", recovery.run, recovery.next_sequence);
    for (name, address) in node.addresses() {
        info!("listener {name}: mqtt on {address}");
    }
    let _ = stop.recv();
    let (counters, log) = node.stop()?;
    for (what, count) in counters.losses() {
        warn!("{count} {what}");
    }
    let (p50, p99, max) = log.sync_p50_p99_max_us();
    info!(
        "{} connections, {} messages in, {} out; {} records in {} groups, fdatasync {p50} / {p99} / {max} µs (median, 99 %, most)",
        counters.connected, counters.published, counters.delivered, log.records, log.groups
    );
    Ok(())
}
