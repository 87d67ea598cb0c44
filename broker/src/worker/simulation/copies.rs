//! Who got which message, and whether each copy has a subscription that it came for.
//!
//! A client may be subscribed to a topic for itself and as a member of several groups: it gets a copy for each, and
//! clients of 3.x are not told which is which. So copies are judged together at the end: there must be a way to lay each of
//! them to a subscription that it may have come for, with one copy for a client's own subscriptions, and one for a
//! group. A group's message may come a second time only when the first member was gone before its PUBACK was taken.

use super::book::{Book, How, Message};
use super::party::Party;
use super::wills::Fate;
use millrace_codec::QoS;
use std::collections::BTreeMap;

/// What a copy may have come for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// The client's own subscriptions.
    Own,
    /// The shared subscription with this filter.
    Group(&'static str),
}

/// A message that came to a client, not retained and not a repetition.
#[derive(Debug)]
pub struct Copy {
    pub link: usize,
    pub number: u64,
    pub qos: QoS,
    pub came: u64,
    pub came_ms: u64,
    pub claims: Vec<Claim>,
    /// The broker has taken the PUBACK for it.
    pub settled: bool,
}

/// Where one copy has a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Own(usize),
    /// The one that a group's message comes to for good.
    Group(&'static str),
    /// Of a group, by a connection that ended before the message was acknowledged.
    Loose(&'static str, usize),
}

/// Marks filters of shared subscriptions.
const SHARE: &str = "$share/";

/// The filter of a subscription without its group.
pub fn inner(filter: &str) -> &str {
    filter.strip_prefix(SHARE).and_then(|rest| rest.split_once('/')).map_or(filter, |(_, inner)| inner)
}

/// Whether this is the filter of a shared subscription.
pub fn is_shared(filter: &str) -> bool {
    filter.starts_with(SHARE)
}

impl Party {
    /// What a message may have come for, and the most that these subscriptions grant. `ids`: the identifiers that came
    /// with it, if the connection has such a thing.
    fn claims(&self, message: &Message, how: How, ids: Option<&[u32]>) -> (Vec<Claim>, QoS) {
        let (mut claims, mut matching) = (Vec::new(), Vec::new());
        for sub in &self.subs {
            let claim = if is_shared(sub.filter) { Claim::Group(sub.filter) } else { Claim::Own };
            let known = match ids {
                None => true,
                Some([]) => sub.id == 0,
                Some(ids) => ids.contains(&sub.id),
            };
            let may = millrace_router::matches(inner(sub.filter), message.topic)
                && match claim {
                    Claim::Own => how.retain || sub.ended.is_none_or(|ended| ended > message.sent),
                    // What it has begun to get it goes on to get; a new one only while it is a member.
                    Claim::Group(filter) => {
                        let is_member =
                            || self.subs.iter().any(|one| one.filter == filter && one.ended.is_none());
                        !how.retain
                            && sub.ended.is_none_or(|ended| ended > message.sent)
                            && (how.dup || is_member())
                    }
                };
            if may {
                matching.push((claim, sub.qos.min(message.qos)));
                if known && !claims.contains(&claim) {
                    claims.push(claim);
                }
            }
        }
        // A copy for several subscriptions has the identifiers of those that have one, and the best of what all grant.
        let granted = matching.iter().filter(|(claim, _)| claims.contains(claim)).map(|(_, qos)| *qos);
        let most = granted.max().unwrap_or(QoS::AtMostOnce);
        (claims, most)
    }
}

impl Book {
    /// A message came.
    pub fn arrived(
        &mut self,
        link: usize,
        number: u64,
        topic: &str,
        how: How,
        ids: Option<&[u32]>,
    ) -> Result<(), String> {
        let came = self.tick();
        self.deliveries += 1;
        let How { qos, packet_id, dup, retain } = how;
        let fail = |what: &str| Err(format!("link {link}: message {number} on {topic}, {how:?}: {what}"));
        let Book { links, parties, messages, order, copies, now_ms, .. } = self;
        let Some(message) = messages.get(number as usize).filter(|message| !message.past) else {
            return fail("nobody sent it");
        };
        if message.topic != topic {
            return fail("was published on another topic");
        }
        let client = links[link].client;
        let one = &mut parties[client];
        if dup && !links[link].resumed {
            return fail("a repetition in a new session");
        }
        match one.takes(packet_id, number, qos, dup) {
            Err(what) => return fail(what),
            Ok(true) => return Ok(()),
            Ok(false) => {}
        }
        let (claims, most) = one.claims(message, how, ids);
        if claims.is_empty() {
            return fail("no subscription for it");
        }
        if qos > most {
            return fail("with more than what was granted");
        }
        let last = one.last.entry(message.topic).or_default();
        *last = number.max(*last);
        let own = claims == [Claim::Own];
        if own {
            let newest = one.newest.entry((message.topic, qos as u8)).or_default();
            // It may be the message that came live, or came for another subscription.
            if retain && *newest > number {
                return fail(&format!("retained, and older than {newest}, which came before"));
            }
            *newest = number.max(*newest);
        }
        if retain {
            return Ok(());
        }
        if own && !one.seen.insert(number) {
            return fail("twice");
        }
        if qos == QoS::AtLeastOnce {
            links[link].unsettled.insert(packet_id, copies.len());
        }
        copies.push(Copy { link, number, qos, came, came_ms: *now_ms, claims, settled: false });
        if !own || message.will {
            return Ok(());
        }
        let from = links[message.link].client;
        let orders = [
            (client, false, message.link, message.topic, qos as u8),
            (client, true, from, message.topic, qos as u8 * 3 + message.qos as u8),
        ];
        for key in orders {
            if let Some(last) = order.insert(key, number).filter(|last| *last > number) {
                return fail(&format!("after {last} of the same publisher"));
            }
        }
        Ok(())
    }

    /// At rest: whether all copies have a place, and if nothing was `dropped`, all places that need one a copy.
    pub(super) fn check_copies(&self, dropped: bool) -> Result<(), String> {
        let mut all = vec![Vec::new(); self.messages.len()];
        self.copies.iter().for_each(|copy| all[copy.number as usize].push(copy));
        let all = self.messages.iter().zip(&all).enumerate();
        for (number, (message, copies)) in all.filter(|(_, (message, _))| !message.past) {
            self.check_places(copies)
                .and_then(|()| if message.will { self.check_will(message, copies) } else { Ok(()) })
                .and_then(|()| if dropped { Ok(()) } else { self.check_complete(message, copies) })
                .map_err(|what| format!("message {number}, {message:?}: {what}; it came as {copies:#?}"))?;
        }
        self.check_group_order()
    }

    fn check_places(&self, copies: &[&Copy]) -> Result<(), String> {
        if copies.iter().all(|copy| copy.claims == [Claim::Own]) {
            return Ok(()); // judged when they came
        }
        let mut places: Vec<Place> = Vec::new();
        let mut options = Vec::new();
        for copy in copies {
            let link = &self.links[copy.link];
            // Of QoS 0 and 2 nothing is given to another once it is sent [MQTT-4.8.2-5].
            let loose = copy.qos == QoS::AtLeastOnce && link.over && !copy.settled;
            let place = |claim: &Claim| match *claim {
                Claim::Own => Place::Own(link.client),
                Claim::Group(filter) if loose => Place::Loose(filter, copy.link),
                Claim::Group(filter) => Place::Group(filter),
            };
            let position = |place: Place| {
                places.iter().position(|known| *known == place).unwrap_or_else(|| {
                    places.push(place);
                    places.len() - 1
                })
            };
            options.push(copy.claims.iter().map(place).map(position).collect::<Vec<_>>());
        }
        match without_place(&options) {
            None => Ok(()),
            Some(_) => Err("came too often".into()),
        }
    }

    /// Everybody who must have a message has it.
    fn check_complete(&self, message: &Message, copies: &[&Copy]) -> Result<(), String> {
        let Some(since) = self.published_since(message).filter(|_| !message.clears) else { return Ok(()) };
        let mut names = Vec::new();
        let mut options = Vec::new();
        for (client, party) in self.parties.iter().enumerate() {
            if self.must_have(message, since, party) {
                let own = |copy: &&Copy| {
                    self.links[copy.link].client == client && copy.claims.contains(&Claim::Own)
                };
                options.push(positions(copies, own));
                names.push(format!("client {client}"));
            }
        }
        for group in self.groups_that_must(message, since) {
            options.push(positions(copies, |copy| copy.claims.contains(&Claim::Group(group))));
            names.push(group.into());
        }
        match without_place(&options) {
            None => Ok(()),
            Some(lost) => Err(format!("was lost for {}", names[lost])),
        }
    }

    /// Whether a message has reached the broker.
    pub(super) fn arrived_surely(&self, message: &Message) -> bool {
        self.published_since(message).is_some()
    }

    /// Of a message that was published surely, a stamp before that.
    fn published_since(&self, message: &Message) -> Option<u64> {
        if message.will {
            return match self.fate(message.link) {
                Fate::Published(since) => Some(since),
                Fate::Unsent | Fate::Unknown => None,
            };
        }
        let from = &self.links[message.link];
        (message.acknowledged || (from.opened.is_some() && !from.over)).then_some(message.sent)
    }

    fn must_have(&self, message: &Message, since: u64, party: &Party) -> bool {
        let Some(opened) = party.link.and_then(|at| self.links[at].opened) else { return false };
        // What comes with QoS 0 is for those who are there.
        let waits = |qos: QoS| qos.min(message.qos) > QoS::AtMostOnce || since > opened;
        party.subs.iter().any(|sub| {
            !is_shared(sub.filter)
                && sub.lasts_since(since)
                && millrace_router::matches(sub.filter, message.topic)
                && waits(sub.qos)
        })
    }

    /// Groups that have had a member all the time since the message was sent, and nobody who may have lost it.
    fn groups_that_must(&self, message: &Message, since: u64) -> Vec<&'static str> {
        let mut groups: BTreeMap<&'static str, (bool, bool)> = BTreeMap::new();
        if message.qos == QoS::AtMostOnce {
            return Vec::new();
        }
        for party in &self.parties {
            let concerned = |sub: &&super::book::Sub| {
                is_shared(sub.filter)
                    && millrace_router::matches(inner(sub.filter), message.topic)
                    && sub.ended.is_none_or(|ended| ended > since)
            };
            for sub in party.subs.iter().filter(concerned) {
                let (lasts, excused) = groups.entry(sub.filter).or_default();
                *lasts |= sub.lasts_since(since);
                // What is in flight stays with a member that leaves, and QoS 2 with any; it ends with the session.
                let keeps = sub.revoked || sub.qos.min(message.qos) == QoS::ExactlyOnce;
                *excused |= sub.qos == QoS::AtMostOnce || (keeps && party.began > since);
            }
        }
        let must =
            |(group, (lasts, excused)): (&'static str, (bool, bool))| (lasts && !excused).then_some(group);
        groups.into_iter().filter_map(must).collect()
    }

    /// A group's messages of one publisher, topic and QoS come to each member in their order, unless another member had
    /// them before.
    fn check_group_order(&self) -> Result<(), String> {
        let mut newest: BTreeMap<_, u64> = BTreeMap::new();
        for copy in &self.copies {
            let [Claim::Group(group)] = copy.claims[..] else { continue };
            let message = &self.messages[copy.number as usize];
            if message.will {
                continue;
            }
            let client = self.links[copy.link].client;
            let from = self.links[message.link].client;
            let key = (client, group, from, message.topic, copy.qos as u8, message.qos as u8);
            let last = newest.entry(key).or_default();
            if *last > copy.number && !self.somebody_left(group, message.sent, copy.came) {
                return Err(format!("link {}: {copy:?} after {last} of the same publisher", copy.link));
            }
            *last = copy.number.max(*last);
        }
        Ok(())
    }

    /// Whether a member of the group may have gone between these stamps.
    fn somebody_left(&self, group: &str, from: u64, to: u64) -> bool {
        self.parties.iter().enumerate().any(|(client, party)| {
            let of_group = |sub: &&super::book::Sub| sub.filter == group;
            let mut subs = party.subs.iter().filter(of_group).peekable();
            if subs.peek().is_none() {
                return false;
            }
            let mut next_opened = u64::MAX;
            let links = self.links.iter().rev().filter(|link| link.client == client);
            let mut ended = false;
            for link in links {
                ended |= link.over && link.ends_from.is_none_or(|(at, _)| at <= to) && next_opened >= from;
                next_opened = link.opened.unwrap_or(next_opened);
            }
            ended || subs.any(|sub| sub.revoked && sub.ended.is_none_or(|ended| ended >= from))
        })
    }
}

fn positions(copies: &[&Copy], is: impl Fn(&&Copy) -> bool) -> Vec<usize> {
    copies.iter().enumerate().filter(|(_, copy)| is(copy)).map(|(at, _)| at).collect()
}

/// Gives each a place of its own out of its options. Returns one that gets none, if all cannot have one.
fn without_place(options: &[Vec<usize>]) -> Option<usize> {
    fn find(
        one: usize,
        options: &[Vec<usize>],
        taken: &mut BTreeMap<usize, usize>,
        tried: &mut Vec<usize>,
    ) -> bool {
        for &place in &options[one] {
            if tried.contains(&place) {
                continue;
            }
            tried.push(place);
            let free = match taken.get(&place) {
                None => true,
                Some(&other) => find(other, options, taken, tried),
            };
            if free {
                taken.insert(place, one);
                return true;
            }
        }
        false
    }
    let mut taken = BTreeMap::new();
    (0..options.len()).find(|&one| !find(one, options, &mut taken, &mut Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_a_place_if_there_is_a_way() {
        type Case = (&'static str, &'static [&'static [usize]], Option<usize>);
        let cases: [Case; 5] = [
            ("nobody", &[], None),
            ("one gives way", &[&[0, 1], &[0]], None),
            ("a chain gives way", &[&[0, 1], &[1, 2], &[0]], None),
            ("two for one place", &[&[3], &[3]], Some(1)),
            ("no place at all", &[&[1], &[]], Some(1)),
        ];
        for (name, options, expected) in cases {
            let options: Vec<Vec<usize>> = options.iter().map(|places| places.to_vec()).collect();
            assert_eq!(without_place(&options), expected, "{name}");
        }
    }
}
