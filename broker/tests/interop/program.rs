//! A client program: what it needs is fetched into the target directory, then it runs against a broker of its own and
//! must report each scenario as passed.

use crate::scenarios::{Version, names};
use crate::support::{Broker, left_out};
use crate::tool::Tool;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long all scenarios of a library may take when some of them fail, which is when their time-outs pass.
const PATIENCE: Duration = Duration::from_secs(120);
/// The address of a broker to run against instead.
const OTHER_BROKER: &str = "MILLRACE_TEST_BROKER";

/// A folder with the sources of a program.
pub fn sources(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/clients").join(name)
}

/// A command in a folder.
pub fn command(program: &Path, folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words).current_dir(folder);
    command
}

/// Runs a command to its end; an error is what it said when it failed.
fn outcome(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{command:?} says {}", String::from_utf8_lossy(&said)))
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) {
    outcome(command).unwrap_or_else(|said| panic!("{said}"));
}

/// Copies files into another folder.
pub fn copy(from: &Path, names: &[&str], to: &Path) {
    for name in names {
        std::fs::copy(from.join(name), to.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// The folder with what a program needs besides itself, in the target directory. If there is none for the contents of
/// `manifests` (files in its sources), the commands that `fetch` makes run in a new folder with copies of these, which
/// gets its name only when they have succeeded: a download that broke off leaves nothing that looks finished, and two at
/// a time do not disturb each other. `None`, after saying so, if a command fails: then the network is not there.
pub fn fetched(name: &str, manifests: &[&str], fetch: impl Fn(&Path) -> Vec<Command>) -> Option<PathBuf> {
    let from = sources(name);
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    for manifest in manifests {
        hasher.write(&std::fs::read(from.join(manifest)).expect("a manifest"));
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp").join("interop");
    let folder = target.join(format!("{name}-{:016x}", hasher.finish()));
    if folder.is_dir() {
        return Some(folder);
    }
    std::fs::create_dir_all(&target).expect("a folder for packages");
    let partial = tempfile::Builder::new().prefix("fetching-").tempdir_in(&target).expect("a folder");
    copy(&from, manifests, partial.path());
    for mut command in fetch(partial.path()) {
        if let Err(said) = outcome(&mut command) {
            left_out(name, &format!("what cannot be fetched: {said}"));
            return None;
        }
    }
    match std::fs::rename(partial.path(), &folder) {
        Err(error) if !folder.is_dir() => panic!("{}: {error}", folder.display()),
        _ => Some(folder),
    }
}

/// The broker that a program runs against.
pub struct Target {
    _own: Option<Broker>,
    address: String,
}

impl Target {
    /// A broker of our own, or the one that the environment names.
    pub fn start() -> Target {
        match std::env::var(OTHER_BROKER) {
            Ok(address) => Target { _own: None, address },
            Err(_) => {
                let broker = Broker::start(&[]);
                Target { address: broker.address().to_string(), _own: Some(broker) }
            }
        }
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The scenarios that a library must pass here. `cannot`: those that it has no way to do.
    pub fn scenarios(&self, versions: &[Version], cannot: &[&str]) -> Vec<String> {
        names(versions, cannot)
    }
}

/// What came out.
#[derive(Default)]
pub struct Run {
    /// Scenarios that were passed.
    pub passed: Vec<String>,
    /// Every other line of standard output.
    pub complaints: Vec<String>,
    /// Standard error, where libraries also warn of what is no fault.
    pub warnings: Vec<String>,
}

impl Run {
    /// Panics unless exactly what was expected has passed, and standard output has nothing else.
    pub fn check(mut self, expected: &[String]) {
        self.passed.sort();
        let mut lines = self.complaints;
        lines.extend(missing(expected, &self.passed).map(|name| format!("not ok: {name}")));
        lines.extend(missing(&self.passed, expected).map(|name| format!("not asked for: {name}")));
        assert!(lines.is_empty(), "{}\n{}", lines.join("\n"), self.warnings.join("\n"));
        assert_eq!(self.passed, expected, "a scenario was reported twice");
    }
}

/// What is in `from` and not in `other`.
fn missing<'a>(from: &'a [String], other: &'a [String]) -> impl Iterator<Item = &'a String> {
    from.iter().filter(|name| !other.contains(name))
}

/// Runs a program against a broker; all scenarios must pass. `cannot`: those that the library has no way to do.
pub fn run(mut command: Command, versions: &[Version], cannot: &[&str]) {
    let target = Target::start();
    command.arg(target.address());
    let program = Tool::start(command);
    let deadline = Instant::now() + PATIENCE;
    let mut run = Run::default();
    while let Ok(line) = program.out.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        match line.strip_prefix("ok ") {
            Some(name) => run.passed.push(name.to_owned()),
            None => run.complaints.push(line),
        }
    }
    run.warnings.extend(program.err.try_iter());
    run.check(&target.scenarios(versions, cannot));
    assert_eq!(program.end().code, Some(0), "it failed without a word");
}
