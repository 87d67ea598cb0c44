//! Events of the broker, made into durable records.
//!
//! A core turns what happened into an [`Event`], finds the [`Rule`]s that match, asks its
//! [`Producer`] for room and appends. The log thread takes the records of all cores, writes them
//! as one group, syncs, and reports through [`Completion`] what is durable. `millrace consume`
//! reads the same files with [`log::reader::Reader`].
//!
//! This crate knows nothing of MQTT packets, sessions or sockets.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod event;
mod rule;

mod record;

mod accounts;
mod ring;
/// What wakes the log thread is made of this; the models in `broker/tests/loom` bring loom's.
mod sync {
    pub(crate) use std::sync::atomic::{AtomicBool, Ordering, fence};
}

pub mod log;

mod batch;
mod partition;
mod sender;
mod status;
mod target;
mod wire;

mod backlog;
mod running;

pub use event::{Event, EventData, EventKind, UnknownEvent};
pub use log::{Log, LogConfig, LogError, LogHandle, LogStats, Recovery, Summary};
pub use record::{value_len, write_value};
pub use ring::{AckToken, Completion, Producer};
pub use rule::{
    Durability, Rule, STREAM_NAME_BYTES_MAX, StreamNameError, UnknownDurability, validate_stream_name,
};
pub use running::{Observer, Running, start};
pub use status::{HookStatus, KafkaStatus, Status, TopicStatus};
pub use target::{Compression, KafkaConfig, Start, UnknownName};
#[cfg(feature = "sim")]
pub use wire::read_answer;
