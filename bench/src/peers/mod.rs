//! `millrace-bench peers`: other brokers to be measured beside, from package registries with their ordinary clients.
//!
//! A peer lives in a folder of its own under `--dir`: what its `install` script (`bench/peers`, built in) leaves there.
//! Its file `version` says that it is whole.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::{Args, Subcommand};
use millrace_codec::Version;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::process::broker::{self, Broker};
use catalogue::{PEERS, Peer};

mod catalogue;

#[cfg(test)]
mod tests;

/// Lines of a failed build that are shown.
const LINES: usize = 5;
/// The build's output, in the peer's folder.
const LOG: &str = "build.log";
/// The version that is there, in the peer's folder.
const VERSION: &str = "version";

/// Install other brokers from package registries, list them, and run one
///
/// They are the competition of `millrace-bench results`: mosquitto (Debian), rumqttd and rmqttd (crates.io), mochi
/// (Go), HiveMQ CE (Maven Central), aedes (npm), aMQTT (PyPI). Nothing is installed outside of the folder. Settings
/// are in the project's folder bench/peers: anonymous clients, nothing stored, no limit that would cap it, logs off.
#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    #[command(subcommand)]
    command: PeersCommand,
    /// Folder of the installations [default: $XDG_CACHE_HOME/millrace-bench/peers, or ~/.cache/…]
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum PeersCommand {
    /// Install these, or all that are not there yet; needs the registry's client (cargo, go, mvn, npm, …)
    Install {
        /// Names, as `list` prints them
        names: Vec<String>,
    },
    /// Print all peers, where they come from and which version is there
    List,
    /// Run one in the foreground at 127.0.0.1:PORT; this process becomes the broker
    Run {
        name: String,
        port: u16,
        /// MQTT version that clients will speak; only rumqttd has to know
        #[arg(long, value_name = "V", default_value = "3.1.1", value_parser = ["3.1", "3.1.1", "5.0"])]
        version: String,
    },
}

/// A peer that is there.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub name: &'static str,
    pub version: String,
    /// The folder of all installations.
    pub dir: PathBuf,
    /// Threads that serve clients; 0: its own choice.
    pub cores: usize,
    /// Seconds of load until it has compiled itself.
    pub prime_s: f64,
    pub speaks_v5: bool,
}

/// Whether all went well.
pub(crate) fn run(args: &PeersArgs) -> Result<bool, String> {
    let dir = folder(args.dir.as_deref())?;
    match &args.command {
        PeersCommand::List => {
            print!("{}", list(&dir));
            Ok(true)
        }
        PeersCommand::Install { names } => install_all(&dir, names),
        PeersCommand::Run { name, port, version } => {
            become_peer(&dir, catalogue::find(name)?, *port, version)
        }
    }
}

/// All peers that are there, in the catalogue's order.
pub(crate) fn installed(dir: Option<&Path>) -> Result<Vec<Installed>, String> {
    let dir = folder(dir)?;
    let there = PEERS.iter().filter_map(|peer| {
        let version = version(&dir, peer)?;
        let &Peer { name, cores, prime_s, speaks_v5, .. } = peer;
        Some(Installed { name, version, dir: dir.clone(), cores, prime_s, speaks_v5 })
    });
    Ok(there.collect())
}

fn folder(dir: Option<&Path>) -> Result<PathBuf, String> {
    let cache = || env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::home_dir().map(|home| home.join(".cache"));
    let dir = match dir {
        Some(dir) => dir.to_owned(),
        None => cache().or_else(home).ok_or("no home directory; say --dir")?.join("millrace-bench/peers"),
    };
    // Scripts run elsewhere and need the whole path.
    std::path::absolute(&dir).map_err(|error| format!("{}: {error}", dir.display()))
}

fn version(dir: &Path, peer: &Peer) -> Option<String> {
    let text = fs::read_to_string(dir.join(peer.name).join(VERSION)).ok()?;
    let version = text.trim();
    (!version.is_empty()).then(|| version.to_owned())
}

fn list(dir: &Path) -> String {
    let mut out = format!("in {}:\n", dir.display());
    for peer in PEERS {
        let missing = missing_tools(peer);
        let state = match version(dir, peer) {
            Some(version) => format!("installed: {version}"),
            None if missing.is_empty() => "not installed".to_owned(),
            None => format!("not installed, and it needs {}", missing.join(", ")),
        };
        out.push_str(&format!("{:<10}  {:<34}  {state}\n", peer.name, peer.source));
    }
    out
}

fn missing_tools(peer: &Peer) -> Vec<&'static str> {
    let path = env::var_os("PATH").unwrap_or_default();
    let runs = |file: PathBuf| {
        fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 > 0)
    };
    let there = |tool: &str| env::split_paths(&path).any(|folder| runs(folder.join(tool)));
    peer.tools.iter().copied().filter(|tool| !there(tool)).collect()
}

fn install_all(dir: &Path, names: &[String]) -> Result<bool, String> {
    let mut chosen = Vec::new();
    for name in names {
        chosen.push(catalogue::find(name)?);
    }
    if names.is_empty() {
        chosen = PEERS.iter().filter(|peer| version(dir, peer).is_none()).collect();
    }
    let mut all_well = true;
    for peer in chosen {
        let began = Instant::now();
        eprintln!("{}: {} …", peer.name, peer.source);
        match install(dir, peer).and_then(|version| try_out(dir, peer).map(|()| version)) {
            Ok(version) => eprintln!("{}: {version} in {:.0} s", peer.name, began.elapsed().as_secs_f64()),
            Err(error) => {
                all_well = false;
                eprintln!("{}: {error}", peer.name);
            }
        }
    }
    Ok(all_well)
}

/// Builds it; its version.
fn install(dir: &Path, peer: &Peer) -> Result<String, String> {
    let missing = missing_tools(peer);
    if !missing.is_empty() {
        return Err(format!("left out: it needs {}", missing.join(", ")));
    }
    let home = dir.join(peer.name);
    let failed = |error: std::io::Error| format!("{}: {error}", home.display());
    fs::create_dir_all(&home).map_err(failed)?;
    // An older one is not whole from here on.
    let _ = fs::remove_file(home.join(VERSION));
    for (name, content) in peer.files {
        fs::write(home.join(name), content).map_err(failed)?;
    }
    let log = home.join(LOG);
    let out = File::create(&log).and_then(|out| Ok((out.try_clone()?, out))).map_err(failed)?;
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "install"])
        .current_dir(&home)
        .stdin(Stdio::null())
        .stdout(out.0)
        .stderr(out.1);
    // Ours, if cargo started us, are not for the peer's build.
    for ours in ["CARGO_TARGET_DIR", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "CARGO", "CARGO_MANIFEST_DIR"] {
        bash.env_remove(ours);
    }
    let status = bash.status().map_err(|error| format!("bash: {error}"))?;
    match version(dir, peer) {
        Some(version) if status.success() => Ok(version),
        _ => Err(format!(
            "its build failed ({status}):\n{}  all of it: {}",
            telling_lines(&log),
            log.display()
        )),
    }
}

/// Whether it answers a client.
fn try_out(dir: &Path, peer: &Peer) -> Result<(), String> {
    let bench = env::current_exe().map_err(|error| error.to_string())?;
    let command = format!("'{}' peers run {} {{port}} --dir '{}'", bench.display(), peer.name, dir.display());
    let broker = Broker::start(peer.name, &command, broker::free_port()?, Version::V311);
    let failed = |error| {
        // Not to be measured.
        let _ = fs::remove_file(dir.join(peer.name).join(VERSION));
        format!("it was built and does not run: {error}")
    };
    broker.and_then(Broker::stop).map_err(failed)
}

/// The lines of a build's output that say what went wrong: the first that speak of an error, or else the last ones.
fn telling_lines(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let speaks = |line: &&&str| line.to_lowercase().contains("error:") || line.contains("ERROR");
    let mut telling: Vec<_> = lines.iter().filter(speaks).take(LINES).collect();
    if telling.is_empty() {
        telling = lines[lines.len().saturating_sub(LINES)..].iter().collect();
    }
    telling.iter().map(|line| format!("  {line}\n")).collect()
}

/// Replaces this process by the broker; returns only if that fails.
fn become_peer(dir: &Path, peer: &Peer, port: u16, version_of_mqtt: &str) -> Result<bool, String> {
    if version(dir, peer).is_none() {
        return Err(format!(
            "{} is not installed in {}: `millrace-bench peers install`",
            peer.name,
            dir.display()
        ));
    }
    let home = dir.join(peer.name);
    let work = home.join("work").join(port.to_string());
    let failed = |error: std::io::Error| format!("{}: {error}", work.display());
    if work.exists() {
        fs::remove_dir_all(&work).map_err(failed)?;
    }
    fs::create_dir_all(&work).map_err(failed)?;
    let limit = getrlimit(Resource::Nofile);
    // As many files as it may have; not every broker asks by itself.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let mut bash = Command::new("bash");
    bash.args(["-euc", peer.run]).current_dir(&work).env("PEER", &home).env("PORT", port.to_string());
    Err(format!("bash: {}", bash.env("VERSION", version_of_mqtt).exec()))
}
