//! One group of a shared subscription: who its members are and which of them gets a message [MQTT5 4.8.2]. Owned by the
//! core that keeps the group; knows sessions by the caller's names only.

use hashbrown::HashMap;

/// Members that are compared for one message when the one with the least in flight is looked for.
const COMPARED: usize = 32;

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
    /// The one that has the fewest messages unacknowledged and waiting, among the next 32.
    LeastInflight,
}

/// A session that shares the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its home core.
    pub core: usize,
    /// Its name there: position and generation.
    pub session: (u32, u32),
    /// Which of its memberships this is.
    pub number: u32,
}

/// What a member's core says of its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Messages of this membership that have come to the member's core, whatever became of them; wraps.
    pub taken: u32,
    /// Messages that its client has not acknowledged, or that wait for it.
    pub outstanding: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    member: Member,
    /// Messages that it was picked for; wraps as `Load::taken` does.
    given: u32,
    load: Load,
}

impl Entry {
    /// What it has to do, with what is on its way to it.
    fn burden(&self) -> u32 {
        self.load.outstanding.saturating_add(self.given.wrapping_sub(self.load.taken))
    }
}

/// The members.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Those that are there, then those that are away.
    members: Vec<Entry>,
    /// Where each of them stands.
    places: HashMap<Member, usize, foldhash::fast::RandomState>,
    /// How many are there.
    present: usize,
    turn: usize,
}

impl Group {
    /// Nobody yet.
    pub fn new() -> Group {
        Group::default()
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
        let at = *self.places.entry(member).or_insert_with(|| {
            self.members.push(Entry { member, given: 0, load: Load::default() });
            self.members.len() - 1
        });
        if at >= self.present {
            self.swap(at, self.present);
            self.present += 1;
        }
    }

    /// A member's client has gone, its session is kept.
    pub fn away(&mut self, member: Member) {
        if let Some(at) = self.place(member).filter(|at| *at < self.present) {
            self.present -= 1;
            self.swap(at, self.present);
        }
    }

    /// Takes a member out.
    pub fn leave(&mut self, member: Member) {
        self.away(member);
        if let Some(at) = self.place(member) {
            self.swap(at, self.members.len() - 1);
            self.members.pop();
            self.places.remove(&member);
        }
    }

    /// What a member has to do by now.
    pub fn report(&mut self, member: Member, load: Load) {
        if let Some(at) = self.place(member)
            && let Some(entry) = self.members.get_mut(at)
        {
            entry.load = load;
        }
    }

    fn place(&self, member: Member) -> Option<usize> {
        self.places.get(&member).copied()
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.members.swap(one, other);
        for at in [one, other] {
            if let Some(entry) = self.members.get(at) {
                self.places.insert(entry.member, at);
            }
        }
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
        let at = match self.present {
            0 => last.and_then(|last| self.place(last)).unwrap_or_default(),
            _ => self.pick_present(strategy, here, draw),
        };
        let entry = self.members.get_mut(at)?;
        entry.given = entry.given.wrapping_add(1);
        Some((entry.member, self.present > 0))
    }

    fn pick_present(&mut self, strategy: Strategy, here: usize, draw: u64) -> usize {
        match strategy {
            Strategy::RoundRobin => self.next_turn(),
            Strategy::Random | Strategy::HashClientId | Strategy::HashTopic => {
                (draw % self.present as u64) as usize
            }
            Strategy::Sticky => 0,
            Strategy::Local => {
                let first = self.next_turn();
                let is_here = |at: &usize| self.members.get(*at).is_some_and(|one| one.member.core == here);
                self.from(first).find(is_here).unwrap_or(first)
            }
            Strategy::LeastInflight => {
                let first = self.next_turn();
                let burden = |at: &usize| self.members.get(*at).map(Entry::burden);
                self.from(first).take(COMPARED).min_by_key(burden).unwrap_or(first)
            }
        }
    }

    fn next_turn(&mut self) -> usize {
        let at = self.turn % self.present;
        self.turn = at + 1;
        at
    }

    /// All that are present, from one of them on.
    fn from(&self, first: usize) -> impl Iterator<Item = usize> + use<> {
        let present = self.present;
        (0..present).map(move |step| (first + step) % present)
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
    fn the_one_with_the_least_to_do_is_picked() {
        let mut group = group(3);
        let pick = |group: &mut Group| {
            group.pick(Strategy::LeastInflight, 0, 0, None).map(|(picked, _)| picked.session.0)
        };
        // What is on its way counts, so that it goes in turn as long as nobody says anything.
        let six: Vec<_> = (0..6).filter_map(|_| pick(&mut group)).collect();
        assert_eq!(six, [0, 1, 2, 0, 1, 2]);
        // The second has done its two, the others have theirs before them.
        for (number, outstanding) in [(0, 2), (1, 0), (2, 2)] {
            group.report(member(number), Load { taken: 2, outstanding });
        }
        assert_eq!([pick(&mut group), pick(&mut group)], [Some(1), Some(1)]);
        // One of the two has come and is done.
        group.report(member(1), Load { taken: 3, outstanding: 0 });
        assert_eq!(pick(&mut group), Some(1));
        assert_eq!(shares(&mut group, Strategy::LeastInflight, |_| 0).values().sum::<u32>(), 600);
        // Who does not get on with its work gets no more; of who has left nothing is known.
        group.report(member(0), Load { taken: 0, outstanding: 1_000 });
        group.leave(member(2));
        group.report(member(2), Load::default());
        assert_eq!(shares(&mut group, Strategy::LeastInflight, |_| 0), BTreeMap::from([(1, 600)]));
    }

    #[test]
    fn counts_of_messages_wrap() {
        let mut group = group(2);
        for entry in &mut group.members {
            (entry.given, entry.load.taken) = (u32::MAX, u32::MAX);
        }
        let four: Vec<_> = (0..4).filter_map(|_| group.pick(Strategy::LeastInflight, 0, 0, None)).collect();
        assert_eq!(four.iter().filter(|(picked, _)| *picked == member(0)).count(), 2);
        assert_eq!(group.members.iter().map(Entry::burden).collect::<Vec<_>>(), [2, 2]);
    }

    #[test]
    fn members_are_found_where_they_stand() {
        let mut group = group(40);
        for number in 0..40 {
            match number % 4 {
                0 => group.leave(member(number)),
                1 => group.away(member(number)),
                2 => {
                    group.away(member(number));
                    group.join(member(number));
                }
                _ => group.join(member(number)),
            }
            assert_eq!(group.places.len(), group.members.len());
            for (at, entry) in group.members.iter().enumerate() {
                assert_eq!(group.places.get(&entry.member), Some(&at));
                assert_eq!(
                    at >= group.present,
                    entry.member.session.0 % 4 == 1 && entry.member.session.0 <= number
                );
            }
        }
        assert_eq!((group.len(), group.present), (30, 20));
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
