//! One group of a shared subscription: who its members are and which of them gets a message [MQTT5 4.8.2]. Owned by the
//! core that keeps the group; knows sessions by the caller's names only.

/// How the member for a message is chosen among those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// One after the other.
    RoundRobin,
    /// Any.
    Random,
    /// One on the core that keeps the group if there is any, one after the other.
    Local,
    /// The same one until it leaves.
    Sticky,
    /// By the publisher's client id.
    HashClientId,
    /// By the topic.
    HashTopic,
}

/// A session that shares the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its home core.
    pub core: usize,
    /// Its name there: position and generation.
    pub session: (u32, u32),
    /// Which of its memberships this is.
    pub number: u32,
}

/// The members.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Those that are there, then those that are away.
    members: Vec<Member>,
    /// How many are there.
    present: usize,
    turn: usize,
}

impl Group {
    /// Nobody yet.
    pub const fn new() -> Group {
        Group { members: Vec::new(), present: 0, turn: 0 }
    }

    /// How many members there are, present or away.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds a member that is present, or notes that it is.
    pub fn join(&mut self, member: Member) {
        let at = self.position(member).unwrap_or_else(|| {
            self.members.push(member);
            self.members.len() - 1
        });
        if at >= self.present {
            self.members.swap(at, self.present);
            self.present += 1;
        }
    }

    /// A member's client has gone, its session is kept.
    pub fn away(&mut self, member: Member) {
        if let Some(at) = self.position(member).filter(|at| *at < self.present) {
            self.present -= 1;
            self.members.swap(at, self.present);
        }
    }

    /// Takes a member out.
    pub fn leave(&mut self, member: Member) {
        self.away(member);
        if let Some(at) = self.position(member) {
            self.members.swap_remove(at);
        }
    }

    fn position(&self, member: Member) -> Option<usize> {
        self.members.iter().position(|one| *one == member)
    }

    /// The member for a message, and whether it is present; nobody only if there are no members. `here` is the core that
    /// keeps the group, `draw` is random or the hash that the strategy goes by. Of those that are away, as long as nobody
    /// is present, `last` is taken if it is one: it had the message before.
    pub fn pick(
        &mut self,
        strategy: Strategy,
        here: usize,
        draw: u64,
        last: Option<Member>,
    ) -> Option<(Member, bool)> {
        if self.present == 0 {
            let last = last.filter(|last| self.position(*last).is_some());
            return last.or_else(|| self.members.first().copied()).map(|member| (member, false));
        }
        let at = match strategy {
            Strategy::RoundRobin => self.next_turn(),
            Strategy::Random | Strategy::HashClientId | Strategy::HashTopic => {
                (draw % self.present as u64) as usize
            }
            Strategy::Sticky => 0,
            Strategy::Local => {
                let first = self.next_turn();
                let ring = (0..self.present).map(|step| (first + step) % self.present);
                ring.clone()
                    .find(|at| self.members.get(*at).is_some_and(|one| one.core == here))
                    .unwrap_or(first)
            }
        };
        self.members.get(at).map(|member| (*member, true))
    }

    fn next_turn(&mut self) -> usize {
        let at = self.turn % self.present;
        self.turn = at + 1;
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn member(number: u32) -> Member {
        Member { core: number as usize % 2, session: (number, 7), number: 1 }
    }

    fn group(count: u32) -> Group {
        let mut group = Group::new();
        (0..count).for_each(|number| group.join(member(number)));
        group
    }

    fn shares(group: &mut Group, strategy: Strategy, draw: impl Fn(u64) -> u64) -> BTreeMap<u32, u32> {
        let mut shares = BTreeMap::new();
        for n in 0..600 {
            let (picked, present) = group.pick(strategy, 1, draw(n), None).expect("a member");
            assert!(present);
            *shares.entry(picked.session.0).or_default() += 1;
        }
        shares
    }

    #[test]
    fn each_strategy_has_its_way() {
        let all = |each| BTreeMap::from([(0, each), (1, each), (2, each)]);
        assert_eq!(shares(&mut group(3), Strategy::RoundRobin, |_| 0), all(200));
        assert_eq!(shares(&mut group(3), Strategy::Random, |n| n), all(200));
        assert_eq!(shares(&mut group(3), Strategy::HashTopic, |_| 5), BTreeMap::from([(2, 600)]));
        assert_eq!(shares(&mut group(3), Strategy::Local, |_| 0), BTreeMap::from([(1, 600)]));
        assert_eq!(shares(&mut group(5), Strategy::Local, |_| 0).keys().copied().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(shares(&mut group(3), Strategy::Sticky, |n| n), BTreeMap::from([(0, 600)]));
    }

    #[test]
    fn who_is_away_is_passed_over_while_another_is_there() {
        let mut group = group(3);
        group.away(member(0));
        group.away(member(0));
        assert_eq!(shares(&mut group, Strategy::RoundRobin, |_| 0), BTreeMap::from([(1, 300), (2, 300)]));
        group.away(member(1));
        group.away(member(2));
        let (first, present) = group.pick(Strategy::RoundRobin, 0, 0, None).expect("somebody");
        assert!(!present);
        let last = member((first.session.0 + 1) % 3);
        assert_eq!(group.pick(Strategy::RoundRobin, 0, 0, Some(last)), Some((last, false)));
        assert_eq!(group.pick(Strategy::RoundRobin, 0, 0, Some(member(9))), Some((first, false)));
        group.join(member(2));
        assert_eq!(group.pick(Strategy::RoundRobin, 0, 0, Some(last)), Some((member(2), true)));
        assert_eq!(group.len(), 3);
    }

    #[test]
    fn members_come_and_go() {
        let mut group = group(2);
        group.leave(member(5));
        group.leave(member(0));
        assert_eq!(shares(&mut group, Strategy::Sticky, |_| 0), BTreeMap::from([(1, 600)]));
        group.away(member(1));
        group.leave(member(1));
        assert!(group.is_empty());
        assert_eq!(group.pick(Strategy::RoundRobin, 0, 0, Some(member(1))), None);
    }
}
