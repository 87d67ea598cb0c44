//! A configuration being put together: defaults first, then each source in turn, then ([`finish`]) the checks that
//! need more than one key.
//!
//! Called by the readers of the sources ([`super::file`], [`super::bridge`], [`super::load`]); has no I/O.
//! It collects problems instead of stopping at the first, so that `check` can show all of them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millrace_codec::QoS;
use millrace_kafka_sink::{Durability, EventKind, KafkaConfig};

use super::modules::{Modules, Sys};
use super::suggest;
use super::table::{Field, Preset, SETTINGS, Setting, Table};
use super::types::{
    Bridge, Config, Limits, Log, Node, Overlap, Protocol, QueueFull, Share, Strategy, Versions,
};
use super::value::Raw;

mod finish;
mod modules;

pub(super) use modules::{RewriteDraft, SubscribeDraft};

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
    pub(super) rewrites: Vec<RewriteDraft>,
    pub(super) subscribes: Vec<SubscribeDraft>,
    pub(super) problems: Vec<Problem>,
}

/// A `[listener.NAME]` so far.
#[derive(Debug)]
pub(super) struct ListenerDraft {
    name: String,
    origin: Origin,
    pub(super) bind: Option<SocketAddr>,
    pub(super) protocol: Protocol,
    pub(super) versions: Versions,
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
    pub(super) max_waiting_bytes: u64,
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
            rewrites: vec![],
            subscribes: vec![],
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
            Table::Rewrite => {
                self.rewrite(name, origin);
            }
            Table::Subscribe => {
                self.subscribe(name, origin);
            }
            _ => {}
        }
        true
    }

    /// Notes something wrong.
    pub(super) fn problem(&mut self, origin: &Origin, message: String) {
        self.problems.push(Problem { origin: origin.clone(), message });
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
                Field::Rewrite(field) => field(self.rewrite(name, origin)),
                Field::Subscribe(field) => field(self.subscribe(name, origin)),
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
            self.listeners.push(ListenerDraft {
                name,
                origin,
                bind: None,
                protocol: Protocol::Mqtt,
                versions: Versions::ALL,
            });
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
                max_waiting_bytes: 0,
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

/// Zeros, to be filled by the defaults of the table; a test sees that no field stays untouched.
fn blank() -> Config {
    Config {
        node: Node {
            name: String::new(),
            cores: 0,
            data: PathBuf::new(),
            status_every: Duration::ZERO,
            server_reference: None,
            response_information: None,
        },
        listeners: Vec::new(),
        bridge: Bridge { enabled: false },
        kafka: KafkaConfig::new(Vec::new()),
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
            max_sessions: 0,
            session_expiry_max: 0,
            max_packet_size: 0,
            max_payload_size: 0,
            max_client_id_bytes: 0,
            zero_length_client_id: false,
            connect_timeout: Duration::ZERO,
            max_keep_alive: 0,
            receive_maximum: 0,
            max_inflight: 0,
            max_qos: QoS::AtMostOnce,
            topic_alias_maximum: 0,
            max_queued_messages: 0,
            max_queued_bytes: 0,
            queue_full: QueueFull::DropOldest,
            queue_qos0: false,
            retain_available: false,
            max_retained_messages: 0,
            max_retained_bytes: 0,
            retained_expiry: 0,
            max_output_bytes: 0,
            max_subscriptions: 0,
            max_filters_per_packet: 0,
            overlap: Overlap::Each,
            wildcard_available: false,
            subscription_ids_available: false,
            shared_available: false,
            max_topic_levels: 0,
            max_user_properties: 0,
            check_payload_format: false,
            reason_strings: false,
            held_bytes: 0,
            write_timeout: Duration::ZERO,
        },
        share: Share { strategy: Strategy::Random },
        sys: Sys { interval: Duration::ZERO },
        modules: Modules::default(),
    }
}
