//! A configuration being put together: defaults first, then each source in turn, then the checks that need
//! more than one key.
//!
//! Called by the readers of the sources ([`super::file`], [`super::bridge`], [`super::load`]); has no I/O.
//! It collects problems instead of stopping at the first, so that `check` can show all of them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millrace_kafka_sink::{Durability, EventKind};

use super::suggest;
use super::table::{Field, Preset, SETTINGS, Setting, Table};
use super::types::{Bridge, Config, Hook, Kafka, Limits, Listener, Log, Node, Protocol};
use super::value::Raw;

/// Where a value comes from: a file and its line, or an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file or option, as the user wrote it.
    pub source: Arc<str>,
    /// Line of the file, from 1.
    pub line: Option<usize>,
}

/// Something wrong, or odd, and where; displays as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// What.
    pub message: String,
}

/// Settings so far.
#[derive(Debug)]
pub(super) struct Draft {
    /// Everything but the fields below.
    pub(super) config: Config,
    pub(super) node_name: Option<String>,
    pub(super) node_cores: Option<usize>,
    pub(super) listeners: Vec<ListenerDraft>,
    pub(super) hooks: Vec<HookDraft>,
    pub(super) problems: Vec<Problem>,
}

/// A `[listener.NAME]` so far.
#[derive(Debug)]
pub(super) struct ListenerDraft {
    name: String,
    origin: Origin,
    pub(super) bind: Option<SocketAddr>,
    pub(super) protocol: Protocol,
}

/// A `[hook.NAME]` so far.
#[derive(Debug)]
pub(super) struct HookDraft {
    name: String,
    origin: Origin,
    pub(super) on: Option<EventKind>,
    pub(super) filter: Option<String>,
    pub(super) topic: Option<String>,
    pub(super) durability: Durability,
    pub(super) max_record_bytes: u32,
}

impl Draft {
    /// The defaults, without any listener or hook.
    pub(super) fn new() -> Draft {
        let mut draft = Draft {
            config: blank(),
            node_name: None,
            node_cores: None,
            listeners: vec![],
            hooks: vec![],
            problems: vec![],
        };
        for table in Table::ALL.into_iter().filter(|table| !table.is_named()) {
            draft.put_presets(table, "");
        }
        draft
    }

    /// Adds the default listener and hooks where no source has brought any.
    pub(super) fn add_default_tables(&mut self) {
        let origin = Origin::of("default");
        for (table, is_empty) in
            [(Table::Listener, self.listeners.is_empty()), (Table::Hook, self.hooks.is_empty())]
        {
            for (name, keys) in table.examples().iter().filter(|_| is_empty) {
                for (key, text) in *keys {
                    self.set(table, name, key, &Raw::Plain((*text).to_owned()), &origin);
                }
            }
        }
    }

    /// Sets `key` of `table` (of that `name`, for named tables) or notes why not.
    pub(super) fn set(&mut self, table: Table, name: &str, key: &str, raw: &Raw, origin: &Origin) {
        match table.find(key) {
            Some(setting) => self.put(setting, name, raw, origin),
            None => self.problem(origin, unknown_key(table, name, key)),
        }
    }

    /// Makes sure that the named table exists; `origin` is where it was first seen. False: it cannot have this
    /// name, which is noted.
    pub(super) fn open(&mut self, table: Table, name: &str, origin: &Origin) -> bool {
        if let Err(message) = check_name(name) {
            self.problem(origin, format!("{}.{}: {message}", table.name(), name.escape_debug()));
            return false;
        }
        match table {
            Table::Listener => {
                self.listener(name, origin);
            }
            Table::Hook => {
                self.hook(name, origin);
            }
            _ => {}
        }
        true
    }

    /// Notes something wrong.
    pub(super) fn problem(&mut self, origin: &Origin, message: String) {
        self.problems.push(Problem { origin: origin.clone(), message });
    }

    /// Fills in what is computed and checks what needs more than one key.
    pub(super) fn finish(mut self) -> (Config, Vec<Problem>) {
        self.finish_listeners();
        self.finish_hooks();
        self.check_sizes();
        let first = self.config.listeners.first().map(|listener| listener.bind.ip().to_string());
        self.config.node.name =
            self.node_name.unwrap_or_else(|| format!("millrace@{}", first.unwrap_or_default()));
        self.config.node.cores = self.node_cores.unwrap_or_else(spare_cpus);
        (self.config, in_source_order(self.problems))
    }

    fn put(&mut self, setting: &'static Setting, name: &str, raw: &Raw, origin: &Origin) {
        if setting.table.is_named() && !self.open(setting.table, name, origin) {
            return;
        }
        let result = setting.kind.read(raw).and_then(|value| {
            let slot = match setting.field {
                Field::Draft(field) => field(self),
                Field::Listener(field) => field(self.listener(name, origin)),
                Field::Hook(field) => field(self.hook(name, origin)),
            };
            slot.fill(value)
        });
        if let Err(message) = result {
            self.problem(origin, format!("{}: {message}", path(setting.table, name, setting.key)));
        }
    }

    fn listener(&mut self, name: &str, origin: &Origin) -> &mut ListenerDraft {
        let found = self.listeners.iter().position(|listener| listener.name == name);
        let index = found.unwrap_or_else(|| {
            let (name, origin) = (name.to_owned(), origin.clone());
            self.listeners.push(ListenerDraft { name, origin, bind: None, protocol: Protocol::Mqtt });
            self.listeners.len() - 1
        });
        if found.is_none() {
            self.put_presets(Table::Listener, name);
        }
        &mut self.listeners[index]
    }

    fn hook(&mut self, name: &str, origin: &Origin) -> &mut HookDraft {
        let found = self.hooks.iter().position(|hook| hook.name == name);
        let index = found.unwrap_or_else(|| {
            self.hooks.push(HookDraft {
                name: name.to_owned(),
                origin: origin.clone(),
                on: None,
                filter: None,
                topic: None,
                durability: Durability::Memory,
                max_record_bytes: 0,
            });
            self.hooks.len() - 1
        });
        if found.is_none() {
            self.put_presets(Table::Hook, name);
        }
        &mut self.hooks[index]
    }

    /// Sets the keys of one table to their defaults; a named table exists already.
    fn put_presets(&mut self, table: Table, name: &str) {
        for setting in table.settings() {
            if let Preset::Value(text) = setting.preset {
                self.put(setting, name, &Raw::Plain(text.to_owned()), &Origin::of("default"));
            }
        }
    }

    fn finish_listeners(&mut self) {
        for draft in std::mem::take(&mut self.listeners) {
            let Some(bind) = draft.bind else {
                self.missing(Table::Listener, &draft.name, "bind", &draft.origin);
                continue;
            };
            let same = self.config.listeners.iter().find(|other| bind.port() != 0 && other.bind == bind);
            if let Some(same) = same {
                let message = format!("listener.{}: {bind} is taken by listener.{}", draft.name, same.name);
                self.problem(&draft.origin, message);
            }
            self.config.listeners.push(Listener { name: draft.name, bind, protocol: draft.protocol });
        }
    }

    fn finish_hooks(&mut self) {
        for draft in std::mem::take(&mut self.hooks) {
            let (Some(on), Some(topic)) = (draft.on, draft.topic) else {
                let missing = if draft.on.is_none() { "on" } else { "topic" };
                self.missing(Table::Hook, &draft.name, missing, &draft.origin);
                continue;
            };
            if !has_topic(on) && draft.filter.is_some() {
                let message = format!("hook.{}: {} has no topic, so no filter", draft.name, on.as_str());
                self.problem(&draft.origin, message);
            }
            let filter = has_topic(on).then(|| draft.filter.unwrap_or_else(|| "#".to_owned()));
            let (durability, max_record_bytes) = (draft.durability, draft.max_record_bytes);
            self.config.hooks.push(Hook {
                name: draft.name,
                on,
                filter,
                topic,
                durability,
                max_record_bytes,
            });
        }
    }

    /// Notes that a required key is missing, unless it is there with a value that was refused already.
    fn missing(&mut self, table: Table, name: &str, key: &str, origin: &Origin) {
        let path = path(table, name, key);
        let refused = format!("{path}: ");
        if !self.problems.iter().any(|problem| problem.message.starts_with(&refused)) {
            self.problem(origin, format!("{path} is missing"));
        }
    }

    /// Sizes that must fit into each other.
    fn check_sizes(&mut self) {
        let log = &self.config.log;
        let origin = Origin::of("configuration");
        let mut messages = Vec::new();
        if log.retention_bytes < log.segment_bytes {
            messages.push(
                "log.retention_bytes is smaller than log.segment_bytes, one file of the log".to_owned(),
            );
        }
        for hook in &self.config.hooks {
            let longest = u64::from(hook.max_record_bytes);
            for (key, room) in [("log.ring_bytes", log.ring_bytes), ("log.segment_bytes", log.segment_bytes)]
            {
                // Half, because a record on its way has a header and shares the room with others.
                if longest > room / 2 {
                    messages.push(format!("hook.{}.max_record_bytes is more than half of {key}", hook.name));
                }
            }
        }
        for message in messages {
            self.problem(&origin, message);
        }
    }
}

impl Origin {
    /// Of a source as a whole.
    pub(super) fn of(source: &str) -> Origin {
        Origin { source: source.into(), line: None }
    }

    /// Of one line of this source, from 1.
    pub(super) fn at(&self, line: usize) -> Origin {
        Origin { source: Arc::clone(&self.source), line: Some(line) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.source),
            None => f.write_str(&self.source),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

/// Whether events of this kind are about a topic (or a filter, for `session.*`).
pub(super) fn has_topic(on: EventKind) -> bool {
    !matches!(on, EventKind::ClientConnected | EventKind::ClientDisconnected)
}

/// `limits.max_inflight`, `hook.NAME.filter`, whatever the names hold.
pub(super) fn path(table: Table, name: &str, key: &str) -> String {
    let (name, key) = (name.escape_debug(), key.escape_debug());
    if table.is_named() {
        format!("{}.{name}.{key}", table.name())
    } else {
        format!("{}.{key}", table.name())
    }
}

fn unknown_key(table: Table, name: &str, key: &str) -> String {
    let elsewhere = || SETTINGS.iter().find(|setting| setting.key == key).map(Setting::path);
    let near = suggest::nearest(key, table.settings().map(|setting| setting.key));
    let hint = near.map(|near| path(table, name, near)).or_else(elsewhere);
    let hint = hint.map(|hint| format!("; did you mean {hint}?")).unwrap_or_default();
    format!("{}: unknown key{hint}", path(table, name, key))
}

fn check_name(name: &str) -> Result<(), &'static str> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=128).contains(&name.len()) && name.bytes().all(ok) {
        Ok(())
    } else {
        Err("a name is 1 to 128 of a-z A-Z 0-9 . _ -")
    }
}

/// By source in the order of reading, and by line in each.
fn in_source_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    let sources: Vec<_> = problems.iter().map(|problem| Arc::clone(&problem.origin.source)).collect();
    problems.sort_by_key(|problem| {
        (sources.iter().position(|source| *source == problem.origin.source), problem.origin.line)
    });
    problems
}

/// The CPUs this process may use, less one for the log and the kernel.
fn spare_cpus() -> usize {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    cpus.saturating_sub(1).clamp(1, 64)
}

/// Zeros, to be filled by the defaults of the table; a test sees that no field stays untouched.
fn blank() -> Config {
    Config {
        node: Node { name: String::new(), cores: 0, data: PathBuf::new() },
        listeners: Vec::new(),
        bridge: Bridge { enabled: false },
        kafka: Kafka { servers: Vec::new() },
        hooks: Vec::new(),
        log: Log {
            segment_bytes: 0,
            retention_bytes: 0,
            retention_time: Duration::ZERO,
            ring_bytes: 0,
            ring_records: 0,
        },
        limits: Limits {
            max_connections: 0,
            max_packet_size: 0,
            max_client_id_bytes: 0,
            connect_timeout: Duration::ZERO,
            max_keep_alive: 0,
            receive_maximum: 0,
            max_inflight: 0,
            max_queued_messages: 0,
            max_queued_bytes: 0,
            max_output_bytes: 0,
            max_subscriptions: 0,
            max_filters_per_packet: 0,
            max_topic_levels: 0,
            max_user_properties: 0,
            held_bytes: 0,
            write_timeout: Duration::ZERO,
        },
    }
}
