//! THE table of settings: table, key, type, unit, limits, default and meaning of each, once.
//!
//! The annotated file, `config --keys`, the limits check, the suggestions for unknown keys and
//! [`Config::default`](super::Config) are all made from it. A new setting is one row in [`rows`] and one field in
//! [`super::types`]. Defaults are written as in `--set` and go through the same checks as a user's values.

use super::draft::{Draft, HookDraft, ListenerDraft, RewriteDraft, SubscribeDraft};
use super::types::Config;
use super::value::{Kind, Slot};

mod rows;

pub use rows::SETTINGS;

/// A table of the configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// `[node]`
    Node,
    /// `[listener.NAME]`
    Listener,
    /// `[bridge]`
    Bridge,
    /// `[kafka]`
    Kafka,
    /// `[hook.NAME]`
    Hook,
    /// `[log]`
    Log,
    /// `[limits]`
    Limits,
    /// `[share]`
    Share,
    /// `[sys]`
    Sys,
    /// `[delayed]`
    Delayed,
    /// `[rewrite.NAME]`
    Rewrite,
    /// `[subscribe.NAME]`
    Subscribe,
}

/// What a key has when nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// This value, written as in `--set`.
    Value(&'static str),
    /// A value found at the start, described in words.
    Computed(&'static str),
    /// Nothing: the key must be given.
    Required,
}

/// One row of the table.
#[derive(Debug)]
pub struct Setting {
    /// The table that the key stands in.
    pub table: Table,
    /// The key's name.
    pub key: &'static str,
    /// Type, unit and limits.
    pub kind: Kind,
    /// The default.
    pub preset: Preset,
    /// What it does, as sentences.
    pub text: &'static str,
    /// The field it fills.
    pub(super) field: Field,
}

/// Where a row's value goes.
#[derive(Debug)]
pub(super) enum Field {
    Draft(fn(&mut Draft) -> Slot<'_>),
    Listener(fn(&mut ListenerDraft) -> Slot<'_>),
    Hook(fn(&mut HookDraft) -> Slot<'_>),
    Rewrite(fn(&mut RewriteDraft) -> Slot<'_>),
    Subscribe(fn(&mut SubscribeDraft) -> Slot<'_>),
}

/// A named table that exists when the files configure none of its kind: its name, and its keys with their
/// values as in `--set`.
pub type Example = (&'static str, &'static [(&'static str, &'static str)]);

/// The listeners of a configuration without any.
pub const DEFAULT_LISTENERS: &[Example] = &[("mqtt", &[("bind", "127.0.0.1:1883"), ("protocol", "mqtt")])];

/// The hooks of a configuration without any.
pub const DEFAULT_HOOKS: &[Example] = &[
    (
        "message_state",
        &[("on", "message.publish"), ("filter", "devices/+/state"), ("topic", "message_state")],
    ),
    (
        "message_command",
        &[("on", "message.acked"), ("filter", "devices/+/command"), ("topic", "message_command")],
    ),
];

impl Table {
    /// All, in the order of the annotated file.
    pub const ALL: [Table; 12] = [
        Table::Node,
        Table::Listener,
        Table::Bridge,
        Table::Kafka,
        Table::Hook,
        Table::Log,
        Table::Limits,
        Table::Share,
        Table::Sys,
        Table::Delayed,
        Table::Rewrite,
        Table::Subscribe,
    ];

    /// The name in brackets, without NAME.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Node => "node",
            Table::Listener => "listener",
            Table::Bridge => "bridge",
            Table::Kafka => "kafka",
            Table::Hook => "hook",
            Table::Log => "log",
            Table::Limits => "limits",
            Table::Share => "share",
            Table::Sys => "sys",
            Table::Delayed => "delayed",
            Table::Rewrite => "rewrite",
            Table::Subscribe => "subscribe",
        }
    }

    /// Whether there are many, each with a NAME.
    pub const fn is_named(self) -> bool {
        matches!(self, Table::Listener | Table::Hook | Table::Rewrite | Table::Subscribe)
    }

    /// What the table is about.
    pub const fn text(self) -> &'static str {
        match self {
            Table::Node => "This process.",
            Table::Listener => {
                "Addresses that take connections, each a table of its own. A file with any listener replaces the \
                 default one."
            }
            Table::Bridge => "The hooks as a whole.",
            Table::Kafka => {
                "The Kafka cluster that records go to. Without servers they stay in the log, for `consume`."
            }
            Table::Hook => {
                "Hooks: which events become records of which stream, each a table of its own. A file with any hook \
                 replaces the two default ones."
            }
            Table::Log => {
                "The durable log in the data directory: records wait there for Kafka, and are read by `consume`."
            }
            Table::Limits => "What one client, and all clients together, may take. Everything has a limit.",
            Table::Share => "Shared subscriptions.",
            Table::Sys => "What the broker publishes about itself, on topics under $SYS/broker/.",
            Table::Delayed => {
                "Messages that are published later: what is published to $delayed/SECONDS/TOPIC goes to TOPIC after so \
                 many seconds. They wait in memory and are lost when the broker stops. Limits are for one core."
            }
            Table::Rewrite => {
                "Topics and filters of clients that are replaced by others, each rule a table of its own. The first \
                 rule of the file that matches applies, once; what would become no valid topic or filter stays."
            }
            Table::Subscribe => {
                "Subscriptions that each new session begins with, each a table of its own. The client may unsubscribe."
            }
        }
    }

    /// The tables that exist when the files configure none; empty for tables without NAME.
    pub const fn examples(self) -> &'static [Example] {
        match self {
            Table::Listener => DEFAULT_LISTENERS,
            Table::Hook => DEFAULT_HOOKS,
            _ => &[],
        }
    }

    /// The keys that may stand in this table.
    pub fn settings(self) -> impl Iterator<Item = &'static Setting> {
        SETTINGS.iter().filter(move |setting| setting.table == self)
    }

    /// The row of `key` in this table.
    pub fn find(self, key: &str) -> Option<&'static Setting> {
        self.settings().find(|setting| setting.key == key)
    }

    /// The table of this name.
    pub fn by_name(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.name() == name)
    }
}

impl Setting {
    /// `limits.max_inflight`, `hook.NAME.filter`.
    pub fn path(&self) -> String {
        let middle = if self.table.is_named() { ".NAME" } else { "" };
        format!("{}{middle}.{}", self.table.name(), self.key)
    }
}

/// The configuration of `millrace run` without any file or option.
pub(super) fn defaults() -> Config {
    let mut draft = Draft::new();
    draft.add_default_tables();
    let (config, problems) = draft.finish();
    debug_assert!(problems.is_empty(), "the table's own defaults are wrong: {problems:?}");
    config
}
