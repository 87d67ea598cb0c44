//! Who is measured: the relay and Millrace with one core and with two, Millrace with hooks, and installed peers.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::record::{Contestant, Kind};
use crate::peers;
use crate::process::broker::{program_beside, quoted};

/// Numbers of cores of relay and Millrace.
const CORES: [usize; 2] = [1, 2];

/// Limits that a measurement would run into on purpose: all subscriptions that are held are one client's.
const SETTINGS: &str = "--set limits.max_subscriptions=2000000";

/// # Errors
/// Millrace's program is not there or does not run.
pub(super) fn all(millrace_path: Option<&Path>, peers_dir: Option<&Path>) -> Result<Vec<Contestant>, String> {
    let bench = env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
    let millrace = millrace(millrace_path)?;
    let version = version(&millrace)?;
    let mut all = Vec::new();
    for cores in CORES {
        all.push(Contestant {
            name: format!("relay-{cores}"),
            kind: Kind::Relay,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: format!("{} relay --bind 127.0.0.1:{{port}} --cores {cores}", quoted(&bench)),
            cores,
            prime_s: 0.0,
            only_v3: false,
        });
    }
    let run = format!(
        "{} run --data {{data}} --set listener.mqtt.bind=127.0.0.1:{{port}} --log error {SETTINGS}",
        quoted(&millrace)
    );
    for (kind, suffix, hooks) in
        [(Kind::Millrace, "", " --set bridge.enabled=false"), (Kind::Hooked, "-hooks", "")]
    {
        for cores in CORES {
            all.push(Contestant {
                name: format!("millrace-{cores}{suffix}"),
                kind,
                version: version.clone(),
                command: format!("{run} --set node.cores={cores}{hooks}"),
                cores,
                prime_s: 0.0,
                only_v3: false,
            });
        }
    }
    for peer in peers::installed(peers_dir)? {
        all.push(Contestant {
            name: peer.name.to_owned(),
            kind: Kind::Peer,
            version: peer.version.clone(),
            command: format!(
                "{} peers run {} {{port}} --version {{version}} --dir {}",
                quoted(&bench),
                peer.name,
                quoted(&peer.dir)
            ),
            cores: peer.cores,
            prime_s: peer.prime_s,
            only_v3: !peer.speaks_v5,
        });
    }
    Ok(all)
}

/// The program that is measured.
///
/// # Errors
/// It is not there.
pub(super) fn millrace(path: Option<&Path>) -> Result<PathBuf, String> {
    let path = path.map_or_else(|| program_beside("millrace"), |path| Ok(path.to_owned()))?;
    let missing = |error| format!("{}: {error}; build it, or name it with --millrace", path.display());
    path.canonicalize().map_err(missing)
}

fn version(millrace: &Path) -> Result<String, String> {
    let output = Command::new(millrace).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", millrace.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().last().unwrap_or("unknown").to_owned())
}
