//! rskafka and tokio: the only place that knows either.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::accounts::Accounts;
use crate::log::control::TargetState;
use crate::log::file::Fs;
use crate::log::port::Port;
use crate::ring::Completion;
use crate::status::KafkaStatus;
use crate::target::KafkaConfig;

/// What the sink shares with the rest of the stream side.
pub(crate) struct SinkShared {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) completion: Arc<dyn Completion>,
    /// What the log knows of the target at the start.
    pub(crate) restored: TargetState,
    /// The streams of the hooks, each once.
    pub(crate) streams: Vec<Arc<str>>,
    /// The log's directory and the file layer it is on.
    pub(crate) dir: PathBuf,
    pub(crate) fs: Arc<dyn Fs>,
    /// The first sequence that is still in the log.
    pub(crate) earliest: u64,
    pub(crate) cores: usize,
}

/// The running sink.
pub(crate) struct Handle;

pub(crate) fn start(_config: KafkaConfig, _port: Arc<Port>, _shared: SinkShared) -> io::Result<Handle> {
    Ok(Handle)
}

impl Handle {
    pub(crate) fn status(&self) -> (KafkaStatus, BTreeMap<u32, Option<u64>>) {
        Default::default()
    }

    pub(crate) fn stop(self, _grace: Duration) {}
}
