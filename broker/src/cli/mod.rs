//! The command line: `millrace run`, `status`, `pub`, `sub`, `consume`, `check`, `config`.
//!
//! `main.rs` calls [`main`] and nothing else here; [`run`] starts the broker through the [`Engine`] it is
//! given, so that this module knows nothing of connections and cores. Exit codes: 0 for success, 1 for a
//! failure, which prints one clear line on standard error, 2 for wrong usage.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, ConfigError, Loaded, Sources};

mod logging;
mod signals;

mod check;
mod client;
mod consume;
mod run;
mod status;

pub use run::Engine;

/// What `millrace` understands.
#[derive(Debug, Parser)]
#[command(
    name = "millrace",
    version,
    about = "An MQTT broker that feeds streams",
    long_about = "Millrace is an MQTT broker that feeds streams: clients speak MQTT 3.1, 3.1.1 and 5.0 to each other, \
                  and hooks turn what they say into records of durable streams, in its own log and in Apache Kafka.",
    after_help = EXAMPLE,
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLE: &str = r#"Try it with a smart lock, each step in a terminal of its own:
  1. The broker: MQTT on 127.0.0.1:1883, data in ./data
       millrace run
  2. The lock 10083618796833171 waits for commands; the back end sends one; a lock reports its state
       millrace sub -q 1 -i 10083618796833171 -t devices/10083618796833171/command
       millrace pub -q 1 -t devices/10083618796833171/command -m '{"action":"unlock"}'
       millrace pub -q 1 -i 10083618796833172 -t devices/10083618796833172/state \
         -m '{"battery":83.4}'
  3. What the hooks recorded: commands that a lock acknowledged, and states
       millrace consume message_command --from-beginning
       millrace consume message_state --from-beginning
  4. The same, and into Apache Kafka; and how far it is
       millrace run --set kafka.servers=127.0.0.1:9092
       millrace status

`millrace COMMAND --help` has more about each command."#;

/// The commands; their help is the documentation of their arguments.
#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Status(status::StatusArgs),
    Pub(client::PublishArgs),
    Sub(client::SubscribeArgs),
    Consume(consume::ConsumeArgs),
    Check(check::CheckArgs),
    Config(check::ConfigArgs),
}

/// Where the configuration comes from; the same for every command that reads it.
#[derive(Debug, Args)]
struct SourceArgs {
    /// Configuration file (TOML; `millrace config` prints one)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Properties file of the older bridge plugin (emqx_bridge_kafka.conf), as it is
    #[arg(long, value_name = "FILE")]
    bridge_conf: Option<PathBuf>,
    /// One setting, such as limits.max_inflight=100 or hook.NAME.topic=x; may be repeated, wins over files
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Data directory; short for --set node.data=DIR
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl SourceArgs {
    fn load(&self) -> Result<Loaded, ConfigError> {
        config::load(&Sources {
            config: self.config.clone(),
            bridge_conf: self.bridge_conf.clone(),
            set: self.set.clone(),
            data: self.data.clone(),
        })
    }
}

/// Why a command failed: one line for each thing that is wrong.
#[derive(Debug)]
struct Failure {
    lines: Vec<String>,
    code: u8,
}

impl Failure {
    /// Something went wrong.
    fn new(line: impl fmt::Display) -> Failure {
        Failure { lines: vec![line.to_string()], code: 1 }
    }

    /// The command line makes no sense.
    fn usage(line: impl fmt::Display) -> Failure {
        Failure { lines: vec![line.to_string()], code: 2 }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        for warning in &error.warnings {
            eprintln!("warning: {warning}");
        }
        Failure { lines: error.problems.iter().map(ToString::to_string).collect(), code: 1 }
    }
}

/// Writes to standard output; a reader that went away (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Reads the command line, does what it says and gives the process's exit code. `engine` is the broker.
pub fn main(engine: Engine) -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run::run(&args, engine),
        Command::Status(args) => status::status(&args),
        Command::Pub(args) => client::publish(&args),
        Command::Sub(args) => client::subscribe(&args),
        Command::Consume(args) => consume::consume(&args),
        Command::Check(args) => check::check(&args),
        Command::Config(args) => check::config(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in &failure.lines {
                eprintln!("error: {line}");
            }
            ExitCode::from(failure.code)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn usage() {
        let cases: &[(&str, bool)] = &[
            ("run", true),
            ("run --config a.toml --bridge-conf b.conf --set a=b --set c=d --data d --log debug", true),
            ("run --log millrace=debug,info", true),
            ("run --log inof", false),
            ("run --log millrace=lots", false),
            ("run extra", false),
            ("", false),
            ("serve", false),
            ("sub -q 1 -i 10083618796833171 -t devices/10083618796833171/command", true),
            ("sub -t a -t b -v -N -C 3 -W 5 -V 5 -u user -P secret -k 30 -c -i x", true),
            ("sub -h localhost -p 1884 -t a", true),
            ("sub", false),
            ("sub -t a -q 3", false),
            ("sub -t a -V 4", false),
            ("sub -t a -c", false),
            ("sub -t a -C 0", false),
            ("sub -t a -P secret", false),
            ("sub -t a#", false),
            ("pub -t a -m x", true),
            ("pub -t a -f file -q 2 -r", true),
            ("pub -t a -l", true),
            ("pub -t a -m x --will-topic w --will-payload gone --will-qos 1 --will-retain", true),
            ("pub -t a -m x --will-payload gone", false),
            ("pub -t a", false),
            ("pub -m x", false),
            ("pub -t a -m x -l", false),
            ("pub -t a -m x -f y", false),
            ("pub -t a/+ -m x", false),
            ("pub -t a -m x -p 0", false),
            ("pub -t a -m x -p 65536", false),
            ("pub -t a -m x -k 65536", false),
            ("consume message_state", true),
            ("consume message_state --from-beginning --max 10 --json --data d", true),
            ("consume message_state --offset 7", true),
            ("consume message_state --offset 7 --from-beginning", false),
            ("consume message_state --offset -1", false),
            ("consume", false),
            ("consume bad/name", false),
            ("check --config a.toml", true),
            ("config", true),
            ("config --keys", true),
            ("status", true),
            ("status --data d --json --watch", true),
            ("status x", false),
        ];
        for (line, ok) in cases {
            let words = std::iter::once("millrace").chain(line.split_whitespace());
            let parsed = Cli::try_parse_from(words);
            assert_eq!(parsed.is_ok(), *ok, "{line}: {parsed:?}");
            if let Err(error) = parsed {
                assert_eq!(error.exit_code(), 2, "{line}: {error}");
            }
        }
    }

    #[test]
    fn help_and_version_are_no_errors() {
        for line in ["--help", "--version", "-V", "-h", "run --help", "run -h", "sub --help", "pub --help"] {
            let words = std::iter::once("millrace").chain(line.split_whitespace());
            assert_eq!(
                Cli::try_parse_from(words).map_err(|error| error.exit_code()).err(),
                Some(0),
                "{line}"
            );
        }
    }
}
