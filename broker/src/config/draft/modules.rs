//! `[rewrite.NAME]` and `[subscribe.NAME]` so far, and what they become.

use millrace_codec::{QoS, RetainHandling};

use super::super::modules::{Rewrite, Subscription};
use super::{Draft, Origin, Table};
use crate::rewrite;

/// A `[rewrite.NAME]` so far.
#[derive(Debug)]
pub(in super::super) struct RewriteDraft {
    name: String,
    origin: Origin,
    pub(in super::super) action: String,
    pub(in super::super) filter: Option<String>,
    pub(in super::super) to: Option<String>,
}

/// A `[subscribe.NAME]` so far.
#[derive(Debug)]
pub(in super::super) struct SubscribeDraft {
    name: String,
    origin: Origin,
    pub(in super::super) filter: Option<String>,
    pub(in super::super) qos: QoS,
    pub(in super::super) no_local: bool,
    pub(in super::super) retain_as_published: bool,
    pub(in super::super) retain_handling: u16,
}

impl Draft {
    /// The rule of this name; made when it is first met.
    pub(super) fn rewrite(&mut self, name: &str, origin: &Origin) -> &mut RewriteDraft {
        let found = self.rewrites.iter().position(|rule| rule.name == name);
        let index = found.unwrap_or_else(|| {
            let (name, origin) = (name.to_owned(), origin.clone());
            self.rewrites.push(RewriteDraft { name, origin, action: String::new(), filter: None, to: None });
            self.rewrites.len() - 1
        });
        if found.is_none() {
            self.put_presets(Table::Rewrite, name);
        }
        &mut self.rewrites[index]
    }

    /// The subscription of this name; made when it is first met.
    pub(super) fn subscribe(&mut self, name: &str, origin: &Origin) -> &mut SubscribeDraft {
        let found = self.subscribes.iter().position(|one| one.name == name);
        let index = found.unwrap_or_else(|| {
            self.subscribes.push(SubscribeDraft {
                name: name.to_owned(),
                origin: origin.clone(),
                filter: None,
                qos: QoS::AtMostOnce,
                no_local: false,
                retain_as_published: false,
                retain_handling: 0,
            });
            self.subscribes.len() - 1
        });
        if found.is_none() {
            self.put_presets(Table::Subscribe, name);
        }
        &mut self.subscribes[index]
    }

    /// Checks the rules.
    pub(super) fn finish_rewrites(&mut self) {
        for draft in std::mem::take(&mut self.rewrites) {
            let missing = if draft.filter.is_none() { "filter" } else { "to" };
            let (Some(filter), Some(to)) = (draft.filter, draft.to) else {
                self.missing(Table::Rewrite, &draft.name, missing, &draft.origin);
                continue;
            };
            let wildcards = filter.split('/').filter(|level| matches!(*level, "+" | "#")).count();
            if rewrite::highest(&to) > wildcards {
                let message = format!(
                    "rewrite.{}.to: %{} stands for a wildcard that the filter has not",
                    draft.name,
                    rewrite::highest(&to)
                );
                self.problem(&draft.origin, message);
            }
            let (publish, subscribe) = (draft.action != "subscribe", draft.action != "publish");
            self.config.modules.rewrite.push(Rewrite { name: draft.name, publish, subscribe, filter, to });
        }
    }

    /// Checks the subscriptions.
    pub(super) fn finish_subscribes(&mut self) {
        for draft in std::mem::take(&mut self.subscribes) {
            let Some(filter) = draft.filter else {
                self.missing(Table::Subscribe, &draft.name, "filter", &draft.origin);
                continue;
            };
            let retain_handling = match draft.retain_handling {
                0 => RetainHandling::Send,
                1 => RetainHandling::SendIfNew,
                _ => RetainHandling::DoNotSend,
            };
            self.config.modules.subscribe.push(Subscription {
                name: draft.name,
                filter,
                qos: draft.qos,
                no_local: draft.no_local,
                retain_as_published: draft.retain_as_published,
                retain_handling,
            });
        }
    }
}
