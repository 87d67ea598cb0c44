//! `millrace run`: what happens around the broker's engine: configuration, logging, data directory, signals.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};

use clap::Args;
use millrace_kafka_sink::Durability;
use tracing::{info, warn};

use super::{Failure, SourceArgs, logging, signals};
use crate::config::{Config, Hook};

/// The broker: runs until something is received, or the sender is gone, and then stops cleanly: listeners
/// closed, clients told, log flushed. The data directory exists and is locked. An error is one line for the
/// operator.
pub type Engine = fn(Config, Receiver<()>) -> Result<(), Box<dyn std::error::Error>>;

/// Name of the file in the data directory whose lock says that a broker uses it.
const LOCK_FILE: &str = "millrace.lock";

/// Start the broker in the foreground
///
/// It listens on 127.0.0.1:1883, keeps its data in ./data and has the two hooks of the example, unless a file
/// or an option says otherwise. Ctrl-C or SIGTERM stops it cleanly, a second one at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace run
  millrace run --config millrace.toml
  millrace run --set listener.mqtt.bind=0.0.0.0:1883 --data /var/lib/millrace
  millrace run --set kafka.servers=127.0.0.1:9092
  millrace run --bridge-conf etc/plugins/emqx_bridge_kafka.conf
  millrace run --set node.status_every=10s

`millrace config` prints a configuration file, `millrace check` checks one.")]
pub(super) struct RunArgs {
    #[command(flatten)]
    sources: SourceArgs,
    /// Log filter: a level (off, error, warn, info, debug, trace) or MODULE=LEVEL, separated by commas; the
    /// environment variable MILLRACE_LOG is read if this is not given [default: info]
    #[arg(long, value_name = "FILTER", value_parser = logging::check)]
    log: Option<String>,
}

pub(super) fn run(args: &RunArgs, engine: Engine) -> Result<(), Failure> {
    logging::start(args.log.as_deref())?;
    let loaded = args.sources.load()?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let config = loaded.config;
    let _lock = lock_data_directory(&config.node.data)?;
    info!(
        "millrace {}, {}, data in {}",
        env!("CARGO_PKG_VERSION"),
        config.node.name,
        config.node.data.display()
    );
    say_hooks(&config);
    let (sender, stop) = mpsc::channel();
    signals::on_first(move |name| {
        info!("{name}: stopping; a second signal stops at once");
        // No receiver: the engine has ended by itself.
        let _ = sender.send(());
    })?;
    engine(config, stop).map_err(Failure::new)?;
    info!("stopped");
    Ok(())
}

/// One line for each place that records go to.
fn say_hooks(config: &Config) {
    if let Some(kafka) = config.target() {
        info!("kafka: {} (start {})", kafka.servers.join(", "), kafka.start);
    }
    if !config.bridge.enabled {
        info!("hooks are off (bridge.enabled = false)");
        return;
    }
    for hook in &config.hooks {
        info!("{}", describe(hook, &config.node.log_dir(), config.target().is_some()));
    }
}

fn describe(hook: &Hook, log_dir: &Path, to_kafka: bool) -> String {
    let filter = hook.filter.as_deref().map(|filter| format!(" on {filter}")).unwrap_or_default();
    let kept = match hook.durability {
        Durability::Kafka => "acknowledged when Kafka has confirmed it",
        Durability::Log => "acknowledged when synced",
        Durability::Memory => "acknowledged when accepted",
    };
    let (home, way) = if to_kafka { ("Kafka topic", "through") } else { ("stream", "in") };
    format!(
        "hook {}: {}{filter} goes to {home} {} {way} {}, {kept}",
        hook.name,
        hook.on.as_str(),
        hook.topic,
        log_dir.display()
    )
}

/// Makes the data directory, for this user only, and takes its lock, which is held until the file is dropped.
fn lock_data_directory(data: &Path) -> Result<File, Failure> {
    let failure = |what: &str, error: std::io::Error| {
        Failure::new(format!("data directory {}: {what}: {error}", data.display()))
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(|error| failure("cannot be made", error))?;
    let path = data.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failure(&format!("{LOCK_FILE} cannot be opened"), error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = (&file).take(32).read_to_string(&mut holder);
            let holder = holder.trim();
            let who = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
            return Err(Failure::new(format!(
                "data directory {} is in use by another broker{who}",
                data.display()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(failure("cannot be locked", error)),
    }
    // The process id is for people; the lock alone decides.
    let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(|error| failure(&format!("{LOCK_FILE} cannot be written"), error))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_broker_at_a_time() {
        let base = tempfile::tempdir().unwrap();
        let data = base.path().join("a/b");
        let lock = lock_data_directory(&data).unwrap();
        let refused = lock_data_directory(&data).unwrap_err();
        assert!(refused.lines[0].contains("is in use by another broker (process "), "{refused:?}");
        assert!(refused.lines[0].contains(&std::process::id().to_string()), "{refused:?}");
        assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::metadata(data.join(LOCK_FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        drop(lock);
        lock_data_directory(&data).unwrap();
    }

    #[test]
    fn unusable_directories() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        std::fs::write(&file, "").unwrap();
        for data in [file.clone(), file.join("below")] {
            let refused = lock_data_directory(&data).unwrap_err();
            assert!(refused.lines[0].starts_with("data directory "), "{refused:?}");
        }
    }

    #[test]
    fn hook_lines() {
        let config = Config::default();
        let line = |hook| describe(hook, Path::new("data/log"), false);
        let lines: Vec<_> = config.hooks.iter().map(line).collect();
        assert_eq!(
            lines,
            [
                "hook message_state: message.publish on devices/+/state goes to stream message_state in data/log, \
                 acknowledged when synced",
                "hook message_command: message.acked on devices/+/command goes to stream message_command in \
                 data/log, acknowledged when synced",
            ]
        );
        let strict = Hook { durability: Durability::Kafka, ..config.hooks[0].clone() };
        assert_eq!(
            describe(&strict, Path::new("data/log"), true),
            "hook message_state: message.publish on devices/+/state goes to Kafka topic message_state through \
             data/log, acknowledged when Kafka has confirmed it"
        );
    }
}
