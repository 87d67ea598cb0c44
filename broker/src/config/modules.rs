//! What the small modules read: `$SYS`, delayed messages, topics that are rewritten, automatic subscriptions.
//! Every field is one row of the table in [`super::table`].

use std::time::Duration;

use millrace_codec::{QoS, RetainHandling};

/// What the broker publishes about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sys {
    /// Between two publications; zero for none.
    pub interval: Duration,
}

/// Messages that are published later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delayed {
    /// Whether `$delayed/SECONDS/TOPIC` means this.
    pub enabled: bool,
    /// Longest delay.
    pub max_seconds: u32,
    /// Messages that wait on one core.
    pub max_messages: u32,
    /// Their bytes.
    pub max_bytes: u64,
}

/// Topics and filters of clients that are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// NAME of `[rewrite.NAME]`, unique.
    pub name: String,
    /// Applies to PUBLISH and wills.
    pub publish: bool,
    /// Applies to SUBSCRIBE and UNSUBSCRIBE.
    pub subscribe: bool,
    /// A valid MQTT topic filter, never shared.
    pub filter: String,
    /// What takes the place, with `%1` to `%9`, `%c` and `%u`.
    pub to: String,
}

/// A subscription that each new session begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// NAME of `[subscribe.NAME]`, unique.
    pub name: String,
    /// A valid MQTT topic filter, never shared, with `%c` and `%u`.
    pub filter: String,
    /// Highest QoS of deliveries.
    pub qos: QoS,
    /// Not to the client that published.
    pub no_local: bool,
    /// Keeps the retain flag as it was published.
    pub retain_as_published: bool,
    /// Whether retained messages come.
    pub retain_handling: RetainHandling,
}

/// What may be done to messages and subscriptions of clients, off unless configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Modules {
    /// `[delayed]`.
    pub delayed: Delayed,
    /// `[rewrite.NAME]`, in the order of the file; the first that matches applies.
    pub rewrite: Vec<Rewrite>,
    /// `[subscribe.NAME]`, in the order of the file.
    pub subscribe: Vec<Subscription>,
}
