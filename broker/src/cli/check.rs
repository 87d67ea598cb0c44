//! `millrace check` and `millrace config`: the configuration without a broker.

use clap::Args;

use super::{Failure, SourceArgs, print};
use crate::config::{self, Config};

/// Read the configuration as `run` would, and say what is wrong with it
///
/// Prints every error and warning with its file and line, and what the configuration amounts to. Exit code 0 if
/// `run` would start with it, 1 if not. Starts nothing and touches no data.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace check --config millrace.toml
  millrace check --bridge-conf etc/plugins/emqx_bridge_kafka.conf")]
pub(super) struct CheckArgs {
    #[command(flatten)]
    sources: SourceArgs,
}

/// Print a configuration file with every key, its default and its meaning
///
/// Everything in it is commented out: used as it is, it changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace config > millrace.toml
  millrace config --keys | less")]
pub(super) struct ConfigArgs {
    /// Print the list of keys with their types, limits and defaults instead
    #[arg(long)]
    keys: bool,
}

pub(super) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let loaded = args.sources.load()?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    print(&format!("The configuration is valid.\n{}", summary(&loaded.config)))
}

pub(super) fn config(args: &ConfigArgs) -> Result<(), Failure> {
    print(&if args.keys { config::keys() } else { config::annotated() })
}

fn summary(config: &Config) -> String {
    let mut lines = vec![format!(
        "node {}, {} cores, data in {}",
        config.node.name,
        config.node.cores,
        config.node.data.display()
    )];
    for listener in &config.listeners {
        lines.push(format!("listener {}: {} on {}", listener.name, listener.protocol, listener.bind));
    }
    if let Some(kafka) = config.target() {
        lines.push(format!("kafka {} (start {})", kafka.servers.join(", "), kafka.start));
    }
    for hook in &config.hooks {
        let off = if config.bridge.enabled { "" } else { " (off: bridge.enabled = false)" };
        let filter = hook.filter.as_deref().map(|filter| format!(" on {filter}")).unwrap_or_default();
        let home = if config.target().is_some() { "Kafka topic" } else { "stream" };
        lines.push(format!("hook {}: {}{filter} to {home} {}{off}", hook.name, hook.on.as_str(), hook.topic));
    }
    lines.join("\n") + "\n"
}
