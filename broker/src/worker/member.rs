//! Shared subscriptions, the side of a member's home core: joining and leaving groups, and giving back what a member that
//! leaves has not acknowledged.
//!
//! A message with QoS 2 that has been sent stays with its client: when that is back its delivery is completed
//! [MQTT-4.8.2-4], and nobody else gets it [MQTT-4.8.2-5].

use super::deliver::Terms;
use super::mailbox::ShareNote;
use super::{Core, SlotId};
use crate::config::Strategy;
use crate::delivery::{Message, Purpose, ToMember};
use crate::session::{Membership, Options, Queued};
use millrace_router::{Load, Member};

impl Core {
    /// Joins a group for a session, or changes the options of its membership. `false`: the core that keeps the group has
    /// not answered yet; the connection is tried again when it has.
    pub(super) fn join(&mut self, id: SlotId, full: &str, options: Options) -> bool {
        let number = self.scans.wrapping_add(1).max(1);
        let Some(session) = self.sessions.at_mut(id.index) else { return true };
        let memberships = &mut session.extra().memberships;
        if let Some(known) = memberships.iter_mut().find(|one| *one.full == *full) {
            known.options = options;
            return known.group.is_some();
        }
        self.scans = number;
        self.counters.subscribed += 1;
        self.counters.joined += 1;
        memberships.push(Membership { number, full: full.into(), options, group: None, taken: 0 });
        self.announce(id, number, full.into());
        self.membership(id, number).is_none_or(|one| one.group.is_some())
    }

    fn announce(&mut self, id: SlotId, number: u32, full: Box<str>) {
        let member = self.member(id, number);
        self.say(self.shared.keeper(&full), ShareNote::Join { full, member });
    }

    fn member(&self, id: SlotId, number: u32) -> Member {
        Member { core: self.me, session: (id.index, id.generation), number }
    }

    fn membership(&mut self, id: SlotId, number: u32) -> Option<&mut Membership> {
        if !self.sessions.contains(id) {
            return None;
        }
        let memberships = &mut self.sessions.at_mut(id.index)?.extra_if_any()?.memberships;
        memberships.iter_mut().find(|one| one.number == number)
    }

    /// The group has taken a member in, and its route is stored.
    pub(super) fn has_joined(&mut self, member: Member, group: (u32, u32)) {
        let (index, generation) = member.session;
        let id = SlotId { index, generation };
        let Some(membership) = self.membership(id, member.number) else { return };
        membership.group = Some(group);
        if let Some(session) = self.sessions.at(index) {
            // At once, so that its SUBACK goes before the first message.
            let connection = session.connection;
            self.resume(connection);
        }
    }

    /// Whether a session is a member of this group, or about to be.
    pub(super) fn is_member(&mut self, id: SlotId, full: &str) -> bool {
        let extra = self.sessions.at_mut(id.index).and_then(|session| session.extra_if_any());
        extra.is_some_and(|extra| extra.memberships.iter().any(|one| *one.full == *full))
    }

    /// Leaves a group. `None`: it was not a member.
    pub(super) fn leave(&mut self, id: SlotId, full: &str) -> Option<Options> {
        let extra = self.sessions.at_mut(id.index)?.extra_if_any()?;
        let at = extra.memberships.iter().position(|one| *one.full == *full)?;
        let membership = extra.memberships.swap_remove(at);
        // What it has begun to get it gets [MQTT-3.10.4-3].
        self.take_leave(id, &membership, false);
        // Its queue may have become short.
        self.ask(id.index);
        Some(membership.options)
    }

    /// A session ends: it leaves all its groups.
    pub(super) fn leave_all(&mut self, id: SlotId) {
        let Some(extra) = self.sessions.at_mut(id.index).and_then(|session| session.extra_if_any()) else {
            return;
        };
        for membership in std::mem::take(&mut extra.memberships) {
            self.take_leave(id, &membership, true);
        }
    }

    fn take_leave(&mut self, id: SlotId, membership: &Membership, gone: bool) {
        self.counters.unsubscribed += 1;
        self.counters.parted += 1;
        let member = self.member(id, membership.number);
        let full = membership.full.clone();
        self.say(self.shared.keeper(&full), ShareNote::Leave { full, member });
        self.give_back(id, membership, gone);
    }

    /// A kept session's client has gone: others of its groups get what it has not acknowledged.
    pub(super) fn be_away(&mut self, id: SlotId) {
        let Some(extra) = self.sessions.at_mut(id.index).and_then(|session| session.extra_if_any()) else {
            return;
        };
        for membership in extra.memberships.clone() {
            let member = self.member(id, membership.number);
            let full = membership.full.clone();
            self.say(self.shared.keeper(&full), ShareNote::Away { full, member });
            self.give_back(id, &membership, true);
        }
    }

    /// A kept session's client is back.
    pub(super) fn be_back(&mut self, id: SlotId) {
        let Some(extra) = self.sessions.at_mut(id.index).and_then(|session| session.extra_if_any()) else {
            return;
        };
        for Membership { number, full, .. } in extra.memberships.clone() {
            self.announce(id, number, full);
        }
        self.note_load(id.index);
    }

    /// Gives back to its group what a member has not got, oldest first; if it is `gone`, what it has not acknowledged.
    fn give_back(&mut self, id: SlotId, membership: &Membership, gone: bool) {
        let Some(group) = membership.group else { return };
        let flow = self.sessions.at_mut(id.index).and_then(|session| session.flow_if_any());
        let taken = flow.map(|flow| flow.outbound.take_shared(membership.number, gone)).unwrap_or_default();
        let member = self.member(id, membership.number);
        let core = self.shared.keeper(&membership.full);
        let mut list = std::mem::take(&mut self.scratch.list);
        for Queued { message, .. } in taken {
            if let Some(message) = message.message_at(self.now.mono_ms, &mut list) {
                let to = ToMember { member, group, if_away: false };
                self.return_to(core, to, &Message { share: 0, ..message });
            }
        }
        self.scratch.list = list;
    }

    /// Something has changed in what a member of a group has to do: its groups hear of it at the end of the turn, if
    /// they go by that.
    #[inline]
    pub(super) fn note_load(&mut self, position: u32) {
        if self.shared.strategy == Strategy::LeastInflight {
            self.note_load_of(position);
        }
    }

    #[cold]
    fn note_load_of(&mut self, position: u32) {
        let id = self.sessions.id_at(position);
        let extra = self.sessions.at_mut(position).and_then(|session| session.extra_if_any());
        if let Some(extra) = extra
            && !extra.memberships.is_empty()
            && !std::mem::replace(&mut extra.load_changed, true)
        {
            self.loads.extend(id);
        }
    }

    /// Tells groups what their members on this core have to do.
    pub(super) fn report_loads(&mut self) {
        for id in std::mem::take(&mut self.loads) {
            if !self.sessions.contains(id) {
                continue;
            }
            let Some(session) = self.sessions.at_mut(id.index) else { continue };
            let outstanding = session.flow_if_any().map_or(0, |flow| flow.outbound.outstanding());
            let Some(extra) = session.extra_if_any() else { continue };
            extra.load_changed = false;
            for Membership { number, full, group, taken, .. } in extra.memberships.clone() {
                if let Some(group) = group {
                    let (member, load) = (self.member(id, number), Load { taken, outstanding });
                    self.say(self.shared.keeper(&full), ShareNote::Busy { member, group, load });
                }
            }
        }
    }

    fn return_to(&mut self, core: usize, to: ToMember, message: &Message<'_>) {
        if core == self.me {
            return self.redispatch(to, message);
        }
        let mailboxes = &self.shared.mailboxes;
        let (own, target) = (&mailboxes[self.me], &mailboxes[core]);
        self.outboxes[core].push(self.me, own, target, message, Purpose::Return(to), &mut None);
    }

    /// A message for one member, from the core that keeps the group.
    pub(super) fn deliver_to_member(&mut self, from: usize, to: ToMember, message: &Message<'_>) {
        let (index, generation) = to.member.session;
        let number = to.member.number;
        let options = self.membership(SlotId { index, generation }, number).map(|one| {
            one.taken = one.taken.wrapping_add(1);
            // It may come in the turn before the word that it has joined.
            one.group.get_or_insert(to.group);
            one.options
        });
        self.note_load(index);
        let away = self.sessions.at(index).is_none_or(|session| session.connection == u32::MAX);
        let Some(options) = options.filter(|_| to.if_away || !away) else {
            // Its group does not know yet; what says so is on its way there before this.
            if from != self.me {
                crate::seam::mark(crate::seam::Branch::MemberGone);
                self.return_to(from, to, message);
            }
            return;
        };
        let terms = Terms::of(options, message);
        // The copy that is held until it is acknowledged is this member's own.
        let shared = self.scratch.stored.take();
        self.deliver_or_queue(index, &Message { share: number, order: 0, ..*message }, terms);
        self.scratch.stored = shared;
    }
}
