//! Settings: from defaults, files and options to one checked [`Config`].
//!
//! The command line calls [`load`] once, before anything else runs; the rest of the broker only reads the
//! [`Config`]. Order: defaults < `--config FILE` < `--bridge-conf FILE` < `--set KEY=VALUE` < `--data DIR`.
//! No file is looked for on its own. Listeners and hooks of the files replace the default ones; `--set` and a
//! second file change or add single ones by name.
//!
//! All settings stand in one table, [`table::SETTINGS`].

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

mod modules;
pub mod table;
mod types;
pub mod value;

mod draft;
mod suggest;
pub mod units;

mod annotated;
mod bridge;
mod file;

pub use annotated::{annotated, keys};
pub use draft::{Origin, Problem};
pub use modules::{Delayed, Modules, Rewrite, Subscription, Sys};
pub use types::{
    Bridge, Config, Hook, Limits, Listener, Log, Node, Overlap, Protocol, QueueFull, Share, Strategy,
    Versions,
};

use draft::Draft;
use table::Table;
use value::Raw;

/// Files longer than this (bytes) are refused: they are something else.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Longest batch, in bytes, that Kafka takes by default (`message.max.bytes`).
const KAFKA_BATCH_BYTES_MAX: u32 = 1_048_588;
/// More than a batch of one record has beside key and value.
const KAFKA_OVERHEAD_BYTES: u32 = 256;

/// Where settings come from, besides the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// `--config FILE`: TOML, as `millrace config` prints it.
    pub config: Option<PathBuf>,
    /// `--bridge-conf FILE`: the properties file of the older bridge plugin.
    pub bridge_conf: Option<PathBuf>,
    /// `--set KEY=VALUE`, in order; a later one wins.
    pub set: Vec<String>,
    /// `--data DIR`: wins over `node.data` of all others.
    pub data: Option<PathBuf>,
}

/// A configuration, and what its reader should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What was understood but has no effect, or was not understood and does not matter.
    pub warnings: Vec<Problem>,
}

/// Why there is no configuration: at least one problem; displays as one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong, in the order of the sources.
    pub problems: Vec<Problem>,
    /// Warnings found on the way.
    pub warnings: Vec<Problem>,
}

/// The text of the sources, for callers that have it already (tests, fuzzing).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// Name and content of the TOML file.
    pub config: Option<(String, Vec<u8>)>,
    /// Name and content of the properties file.
    pub bridge_conf: Option<(String, Vec<u8>)>,
    /// `KEY=VALUE`, in order.
    pub set: Vec<String>,
}

/// Looks up an environment variable for `${ENV:NAME}`.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads the sources.
///
/// # Errors
/// Every problem found: a file that cannot be read, a line that is not understood, an unknown key, a value of
/// the wrong type or out of its limits, settings that contradict each other.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    if sources.data.as_deref().is_some_and(|data| data.as_os_str().is_empty()) {
        return Err(ConfigError::one(Origin::of("--data"), "a path cannot be empty".to_owned()));
    }
    let texts = Texts {
        config: sources.config.as_deref().map(read_file).transpose()?,
        bridge_conf: sources.bridge_conf.as_deref().map(read_file).transpose()?,
        set: sources.set.clone(),
    };
    let mut loaded = parse(&texts, &|name| std::env::var(name).ok())?;
    if let Some(data) = &sources.data {
        loaded.config.node.data.clone_from(data);
    }
    Ok(loaded)
}

/// [`load`] without files: never panics, whatever the bytes.
///
/// # Errors
/// As [`load`].
pub fn parse(texts: &Texts, env: Env<'_>) -> Result<Loaded, ConfigError> {
    let mut draft = Draft::new();
    let mut warnings = Vec::new();
    if let Some((name, bytes)) = &texts.config {
        let origin = Origin::of(name);
        if let Some(text) = utf8(bytes, &origin, &mut draft) {
            file::read(text, &origin, env, &mut draft);
        }
    }
    if let Some((name, bytes)) = &texts.bridge_conf {
        let origin = Origin::of(name);
        if let Some(text) = utf8(bytes, &origin, &mut draft) {
            bridge::read(text, &origin, &mut draft, &mut warnings);
        }
    }
    draft.add_default_tables();
    for assignment in &texts.set {
        set(assignment, env, &mut draft);
    }
    let (config, problems) = draft.finish();
    if !problems.is_empty() {
        return Err(ConfigError { problems, warnings });
    }
    warnings.extend(too_long_for_kafka(&config));
    Ok(Loaded { config, warnings })
}

/// Hooks whose longest records Kafka takes only if its topic was told to.
fn too_long_for_kafka(config: &Config) -> impl Iterator<Item = Problem> {
    let hooks = if config.target().is_some() { config.hooks.as_slice() } else { &[] };
    let key_bytes = u32::from(config.limits.max_client_id_bytes);
    let too_long = hooks.iter().filter(move |hook| {
        let longest = hook.max_record_bytes.saturating_add(key_bytes).saturating_add(KAFKA_OVERHEAD_BYTES);
        longest > KAFKA_BATCH_BYTES_MAX
    });
    too_long.map(|hook| Problem {
        origin: Origin::of("configuration"),
        message: format!(
            "hook.{}.max_record_bytes: Kafka takes batches of up to {KAFKA_BATCH_BYTES_MAX} bytes unless its topic \
             {} says more (max.message.bytes); longer records are set aside",
            hook.name, hook.topic
        ),
    })
}

impl ConfigError {
    fn one(origin: Origin, message: String) -> ConfigError {
        ConfigError { problems: vec![Problem { origin, message }], warnings: Vec::new() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Sets `KEY=VALUE`, the key as `limits.max_inflight` or `hook.NAME.filter`; NAME may have dots.
fn set(assignment: &str, env: Env<'_>, draft: &mut Draft) {
    let origin = Origin::of("--set");
    let Some((path, text)) = assignment.split_once('=') else {
        return draft.problem(&origin, format!("{:?} is not KEY=VALUE", assignment));
    };
    let (path, text) = (path.trim(), text.trim());
    let Some((table, name, key)) = split_path(path) else {
        let known = table::SETTINGS.iter().map(|setting| setting.path()).collect::<Vec<_>>();
        let known = known.iter().map(String::as_str).chain(Table::ALL.map(Table::name));
        let table = path.split('.').next().unwrap_or_default();
        let near = suggest::nearest(path, known.clone()).or_else(|| suggest::nearest(table, known));
        let near = near
            .filter(|near| *near != path)
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        return draft.problem(&origin, format!("{}: unknown key{near}", path.escape_debug()));
    };
    match file::substitute(text, env) {
        Ok(text) => draft.set(table, name, key, &Raw::Plain(text), &origin),
        Err(message) => draft.problem(&origin, format!("{path}: {message}")),
    }
}

/// Table, NAME (empty for tables without) and key of a path.
fn split_path(path: &str) -> Option<(Table, &str, &str)> {
    let (table, rest) = path.split_once('.')?;
    let table = Table::by_name(table)?;
    if table.is_named() {
        let (name, key) = rest.rsplit_once('.')?;
        Some((table, name, key))
    } else {
        Some((table, "", rest))
    }
}

fn read_file(path: &Path) -> Result<(String, Vec<u8>), ConfigError> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    // One byte more than allowed tells "too long" from "just fits", also for devices that never end.
    let result = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match result {
        Err(error) => Err(ConfigError::one(Origin::of(&name), format!("cannot be read: {error}"))),
        Ok(_) if bytes.len() as u64 > FILE_BYTES_MAX => {
            Err(ConfigError::one(Origin::of(&name), format!("is longer than {FILE_BYTES_MAX} bytes")))
        }
        Ok(_) => Ok((name, bytes)),
    }
}

fn utf8<'a>(bytes: &'a [u8], origin: &Origin, draft: &mut Draft) -> Option<&'a str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            draft.problem(&origin.at(line), "is not UTF-8".to_owned());
            None
        }
    }
}

#[cfg(test)]
mod tests;
