//! Shared subscriptions, the side of the core that keeps a group: a keyed hash of `$share/{group}/{filter}` names it.
//!
//! To the rest of that core a group is a subscriber like any other, so its topics find the way here by the usual
//! routes. What comes is given to one member, on whichever core it lives; one more crossing at most, and in return there is
//! one place that knows who is there, whose turn it is, and what to do with what a member has given back.
//!
//! Lanes are emptied whatever the other cores do. What does not fit into another core's lane waits here, and this core
//! says that it is congested: until it is not, nobody admits a message for it, so what waits is bounded by what its own
//! lane held.

use super::mailbox::{Control, ShareNote};
use super::slots::Slots;
use super::{Core, SlotId, Target};
use crate::config::Strategy;
use crate::delivery::{Message, Purpose, ToMember};
use crate::seam::{Branch, mark, reach};
use crate::session::Options;
use millrace_codec::QoS;
use millrace_router::{Filter, Group, Member};
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::Ordering::SeqCst;

/// Marks the number of a group among the sessions that subscribe to a filter.
pub(super) const GROUP_BIT: u32 = 1 << 31;

/// The groups that one core keeps.
#[derive(Default)]
pub(super) struct Groups {
    all: Slots<Group>,
    /// By the whole text of the subscription.
    names: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
    congested: bool,
}

impl Groups {
    /// Whether there is none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.all.len() == 0
    }
}

impl Core {
    /// What a member's core says of it.
    pub(super) fn take_share_note(&mut self, note: ShareNote) {
        match note {
            ShareNote::Join { full, member } => {
                if let Some(SlotId { index, generation }) = self.join_group(&full, member) {
                    self.say(member.core, ShareNote::Joined { member, group: (index, generation) });
                }
            }
            ShareNote::Joined { member, group } => self.has_joined(member, group),
            ShareNote::Busy { member, group: (index, generation), load } => {
                if self.groups.all.contains(SlotId { index, generation })
                    && let Some(group) = self.groups.all.at_mut(index)
                {
                    group.report(member, load);
                }
            }
            ShareNote::Away { full, member } => {
                if let Some(group) = self.group_of(&full) {
                    group.away(member);
                }
            }
            ShareNote::Leave { full, member } => self.leave_group(&full, member),
        }
    }

    /// Says something about a member to a core, this one perhaps.
    pub(super) fn say(&mut self, core: usize, note: ShareNote) {
        if core == self.me {
            self.take_share_note(note);
        } else {
            reach();
            self.shared.mailboxes[core].control(Control::Share(Box::new(note)));
        }
    }

    fn group_of(&mut self, full: &str) -> Option<&mut Group> {
        self.groups.all.at_mut(*self.groups.names.get(full)?)
    }

    fn join_group(&mut self, full: &str, member: Member) -> Option<SlotId> {
        let index = match self.groups.names.get(full) {
            Some(index) => *index,
            None => {
                let filter = Filter::parse(full).ok()?;
                let index = self.groups.all.insert(Group::new()).index;
                self.groups.names.insert(full.into(), index);
                // What its members are granted stands with their sessions.
                let options = Options::new(QoS::ExactlyOnce, 0);
                if self.subscriptions.subscribe(filter.text(), GROUP_BIT | index, options).first {
                    self.shared.routes.add(filter.text(), self.me, false);
                }
                index
            }
        };
        reach();
        self.groups.all.at_mut(index)?.join(member);
        self.groups.all.id_at(index)
    }

    fn leave_group(&mut self, full: &str, member: Member) {
        let Some(group) = self.group_of(full) else { return };
        group.leave(member);
        if !group.is_empty() {
            return;
        }
        let Some(index) = self.groups.names.remove(full) else { return };
        self.groups.all.remove(index);
        if self.groups.names.is_empty() {
            self.groups.names = HashMap::default();
        }
        let Ok(filter) = Filter::parse(full) else { return };
        if self
            .subscriptions
            .unsubscribe(filter.text(), GROUP_BIT | index)
            .is_some_and(|removed| removed.last)
        {
            self.shared.routes.remove(filter.text(), self.me);
        }
    }

    /// Gives the message to one member of each group among its targets, and takes these off them.
    pub(super) fn deliver_to_groups(&mut self, message: &Message<'_>, targets: &mut Vec<Target>) {
        for target in &*targets {
            if target.session & GROUP_BIT != 0 {
                self.dispatch(target.session & !GROUP_BIT, message, None);
            }
        }
        targets.retain(|target| target.session & GROUP_BIT == 0);
    }

    /// Gives a message to one member of a group. `last` had it before and gave it back.
    fn dispatch(&mut self, index: u32, message: &Message<'_>, last: Option<Member>) {
        let strategy = self.shared.strategy;
        let draw = match strategy {
            Strategy::Random => self.random(),
            Strategy::HashClientId => self.groups.names.hasher().hash_one(message.from),
            Strategy::HashTopic => self.groups.names.hasher().hash_one(message.topic),
            Strategy::RoundRobin | Strategy::Local | Strategy::Sticky | Strategy::LeastInflight => 0,
        };
        let me = self.me;
        let Some(SlotId { generation, .. }) = self.groups.all.id_at(index) else { return };
        let Some(group) = self.groups.all.at_mut(index) else { return };
        let Some((member, present)) = group.pick(strategy, me, draw, last) else { return };
        if !present {
            mark(Branch::AllAway);
        }
        let to = ToMember { member, group: (index, generation), if_away: !present };
        if member.core == me {
            self.deliver_to_member(me, to, message);
        } else {
            let mailboxes = &self.shared.mailboxes;
            let (own, target) = (&mailboxes[me], &mailboxes[member.core]);
            self.outboxes[member.core].push(me, own, target, message, Purpose::Member(to), &mut None);
        }
    }

    /// A message has come back from a member: another one gets it, or the same when it is the only one.
    pub(super) fn redispatch(&mut self, to: ToMember, message: &Message<'_>) {
        let (index, generation) = to.group;
        // If the group has gone, nobody wants the message any more.
        if self.groups.all.contains(SlotId { index, generation }) {
            mark(Branch::Redispatch);
            self.begin_message(true);
            self.dispatch(index, message, Some(to.member));
        }
    }

    /// Says whether messages wait here for other cores, of which this core's groups may make more.
    pub(super) fn note_congestion(&mut self) {
        if self.groups.is_empty() && !self.groups.congested {
            return;
        }
        let congested = self.outboxes.iter().any(|outbox| !outbox.has_room());
        if congested == self.groups.congested {
            return;
        }
        self.groups.congested = congested;
        let bit = 1 << self.me;
        if congested {
            mark(Branch::Congested);
            self.shared.congested.fetch_or(bit, SeqCst);
        } else {
            self.shared.congested.fetch_and(!bit, SeqCst);
            self.tell_room();
            self.retry_all_held();
        }
    }

    /// Whether this core admits nothing for its own groups.
    pub(super) fn is_congested(&self) -> bool {
        self.groups.congested
    }
}
