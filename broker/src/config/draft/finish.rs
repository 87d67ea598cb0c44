//! The end of a draft: what is computed, and the checks that need more than one key.

use std::sync::Arc;

use millrace_kafka_sink::{Durability, Rule};

use super::super::types::{Config, Hook, Listener};
use super::{Draft, ListenerDraft, Origin, Problem, Table, has_topic, path};

impl Draft {
    /// Fills in what is computed and checks what needs more than one key.
    pub(in super::super) fn finish(mut self) -> (Config, Vec<Problem>) {
        self.finish_listeners();
        self.finish_hooks();
        self.finish_rewrites();
        self.finish_subscribes();
        self.check_sizes();
        let first = self.config.listeners.first().map(|listener| listener.bind.ip().to_string());
        self.config.node.name =
            self.node_name.unwrap_or_else(|| format!("millrace@{}", first.unwrap_or_default()));
        self.config.node.cores = self.node_cores.unwrap_or_else(spare_cpus);
        (self.config, in_source_order(self.problems))
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
            let ListenerDraft { name, protocol, versions, .. } = draft;
            self.config.listeners.push(Listener { name, bind, protocol, versions });
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
            if draft.durability == Durability::Kafka && self.config.target().is_none() {
                let message = format!(
                    "hook.{}.durability is kafka, but kafka.servers is empty: name a Kafka, or take log or memory",
                    draft.name
                );
                self.problem(&draft.origin, message);
            }
            let same = |other: &&Hook| Rule::id_of(&other.name) == Rule::id_of(&draft.name);
            if let Some(same) = self.config.hooks.iter().find(same) {
                let message = format!(
                    "hook.{} and hook.{} cannot stand beside each other: the id that records carry, which is made \
                     from the name, is the same; rename one of them",
                    same.name, draft.name
                );
                self.problem(&draft.origin, message);
            }
            self.config.hooks.push(Hook {
                name: draft.name,
                on,
                filter,
                topic,
                durability: draft.durability,
                max_record_bytes: draft.max_record_bytes,
                max_waiting_bytes: draft.max_waiting_bytes,
            });
        }
    }

    /// Notes that a required key is missing, unless it is there with a value that was refused already.
    pub(super) fn missing(&mut self, table: Table, name: &str, key: &str, origin: &Origin) {
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
