//! Which wills have to be published and which may not be, from what the clients know of how their connections ended.

use super::book::{Book, Goodbye, Message};
use super::copies::Copy;
use std::collections::BTreeSet;

/// What becomes of the will of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was published, after this stamp.
    Published(u64),
    /// It was not and will not be while this connection is the client's.
    Unsent,
    /// The client cannot know.
    Unknown,
}

/// How much later than it is due a delayed will may come: the broker may learn late that the connection has ended.
const LATE_MS: u64 = 1_500;

impl Book {
    /// At rest, with all clients connected.
    pub(super) fn fate(&self, at: usize) -> Fate {
        let link = &self.links[at];
        let Some((_, delay_s)) = link.will else { return Fate::Unsent };
        if !link.over {
            return Fate::Unsent;
        }
        if link.opened.is_none() {
            return Fate::Unknown;
        }
        match link.goodbye {
            Goodbye::No => {}
            Goodbye::Heard if link.may_be_given_up() => return Fate::Unknown,
            Goodbye::Said => return Fate::Unknown,
            Goodbye::Heard => return Fate::Unsent, // [MQTT-3.14.4-3]
        }
        let (since, ends_ms) = link.ends_from.unwrap_or(link.born);
        if delay_s == 0 || link.expiry_s == 0 {
            return Fate::Published(since);
        }
        let Some(next) = self.links[at + 1..].iter().find(|next| next.client == link.client) else {
            return Fate::Unknown;
        };
        if next.opened.is_none() {
            return Fate::Unknown;
        }
        if !next.resumed {
            return Fate::Published(since); // with the end of its session
        }
        let delay_ms = u64::from(delay_s) * 1_000;
        if next.opened_ms < ends_ms + delay_ms {
            return Fate::Unsent; // [MQTT-3.1.3-9]
        }
        let in_time = |(from, to): &(u64, u64)| {
            // Until it is reset, a broker that waits for its client may not have read its end.
            link.over_ms <= *from && *to <= next.born.1 && to - from >= delay_ms + LATE_MS
        };
        if self.pauses.iter().any(in_time) { Fate::Published(since) } else { Fate::Unknown }
    }

    /// At rest: of all wills that hooks take, by their numbers.
    pub(super) fn fates(&self) -> Vec<(u64, Fate)> {
        let over = self.links.iter().enumerate().filter(|(_, link)| link.over);
        let wills = over.filter_map(|(at, link)| Some((link.will?.0, self.fate(at))));
        let taken = |message: &Message| message.topic.starts_with("h/") && !message.past;
        wills.filter(|(number, _)| taken(&self.messages[*number as usize])).collect()
    }

    /// What was published was recorded, and nothing else.
    pub(super) fn check_recorded(&self, fates: &[(u64, Fate)], found: &BTreeSet<u64>) -> Result<(), String> {
        for (number, fate) in fates {
            let wrong = match fate {
                Fate::Published(_) => !found.contains(number),
                Fate::Unsent => found.contains(number),
                Fate::Unknown => false,
            };
            if wrong {
                return Err(format!("will {number} with {fate:?}: recorded, {}", found.contains(number)));
            }
        }
        Ok(())
    }

    /// Nobody has a will that is not to be published, or has it too early.
    pub(super) fn check_will(&self, message: &Message, copies: &[&Copy]) -> Result<(), String> {
        let fate = self.fate(message.link);
        if fate == Fate::Unsent && !copies.is_empty() {
            return Err("a will that was not to be published".into());
        }
        let link = &self.links[message.link];
        let Some((_, delay_s)) = link.will else { return Ok(()) };
        let (_, ends_ms) = link.ends_from.unwrap_or(link.born);
        let due_ms = ends_ms + u64::from(delay_s.min(link.expiry_s)) * 1_000;
        // Or with the end of its session, which a later CONNECT asked for.
        let cleaned_ms =
            self.links[message.link + 1..].iter().filter(|next| next.client == link.client && next.clean);
        let cleaned_ms = cleaned_ms.map(|next| next.born.1).min().unwrap_or(u64::MAX);
        let early = |copy: &&&Copy| copy.came_ms < due_ms.min(cleaned_ms);
        match copies.iter().find(early).filter(|_| link.opened.is_some()) {
            Some(copy) => Err(format!("came at {} and was due at {due_ms}", copy.came_ms)),
            None => Ok(()),
        }
    }
}
