//! The rules of all hooks, and the sets of them that topics turn out to need. A set is named by a small number, so
//! that a topic's cached verdict is a few bytes.

use hashbrown::HashMap;
use millrace_kafka_sink::{EventData, EventKind, Rule};
use millrace_router::matches;
use smallvec::SmallVec;

/// Distinct sets remembered by one core. Only thousands of overlapping filters make more; then the rules of a topic
/// are found anew for each of its messages.
const SETS_MAX: usize = 16_384;

/// Names a set of rules on one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetId(u16);

impl SetId {
    /// The empty set.
    pub const NONE: SetId = SetId(0);
    /// A set that is not remembered.
    const UNNAMED: SetId = SetId(u16::MAX);
}

/// Which rules take messages on a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// `message.publish`.
    pub publish: SetId,
    /// `message.deliver`.
    pub deliver: SetId,
    /// `message.acked`.
    pub acked: SetId,
}

/// All rules; immutable and shared by all cores.
pub struct HookTable {
    rules: Vec<Rule>,
    by_kind: [Vec<u16>; EventKind::ALL.len()],
}

/// Positions of rules in the table.
pub type Positions = SmallVec<[u16; 8]>;

impl HookTable {
    /// At most 65,535 rules; configuration refuses more.
    pub fn new(rules: Vec<Rule>) -> HookTable {
        let mut by_kind: [Vec<u16>; EventKind::ALL.len()] = Default::default();
        for (position, rule) in rules.iter().enumerate().take(usize::from(u16::MAX)) {
            by_kind[rule.on as usize].push(position as u16);
        }
        HookTable { rules, by_kind }
    }

    /// The rule at a position of a set.
    #[inline]
    pub fn rule(&self, position: u16) -> Option<&Rule> {
        self.rules.get(usize::from(position))
    }

    /// Whether deliveries or acknowledgements of some topic are recorded.
    pub fn follows_messages(&self) -> bool {
        !self.by_kind[EventKind::MessageDeliver as usize].is_empty()
            || !self.by_kind[EventKind::MessageAcked as usize].is_empty()
    }

    fn find(&self, kind: EventKind, topic: Option<&str>) -> Positions {
        let positions = self.by_kind[kind as usize].iter().copied();
        let takes = |position: &u16| {
            let filter = self.rule(*position).and_then(|rule| rule.filter.as_deref());
            match (filter, topic) {
                (Some(filter), Some(topic)) => matches(filter, topic),
                _ => true,
            }
        };
        positions.filter(takes).collect()
    }

    fn matching(&self, kind: EventKind, topic: Option<&str>, sets: &mut Sets) -> SetId {
        if self.by_kind[kind as usize].is_empty() { SetId::NONE } else { sets.name(&self.find(kind, topic)) }
    }

    /// The verdict on a topic.
    pub fn verdict(&self, topic: &str, sets: &mut Sets) -> Verdict {
        Verdict {
            publish: self.matching(EventKind::MessagePublish, Some(topic), sets),
            deliver: self.matching(EventKind::MessageDeliver, Some(topic), sets),
            acked: self.matching(EventKind::MessageAcked, Some(topic), sets),
        }
    }

    /// The set for one event; a hook's filter on sessions is matched against the text of the subscription's filter.
    pub fn set_for(&self, data: &EventData<'_>, sets: &mut Sets) -> SetId {
        let (kind, topic) = subject(data);
        self.matching(kind, topic, sets)
    }

    /// The rules of a set, for the event it was found for; `found` holds those of a set that is not remembered.
    #[inline]
    pub fn resolve<'a>(
        &self,
        id: SetId,
        data: &EventData<'_>,
        sets: &'a Sets,
        found: &'a mut Positions,
    ) -> &'a [u16] {
        if id != SetId::UNNAMED {
            return sets.get(id);
        }
        let (kind, topic) = subject(data);
        *found = self.find(kind, topic);
        found
    }
}

/// The kind of an event, and the text its rules' filters are matched against.
fn subject<'a>(data: &EventData<'a>) -> (EventKind, Option<&'a str>) {
    match *data {
        EventData::Connected { .. } => (EventKind::ClientConnected, None),
        EventData::Disconnected { .. } => (EventKind::ClientDisconnected, None),
        EventData::Subscribed { filter, .. } => (EventKind::SessionSubscribed, Some(filter)),
        EventData::Unsubscribed { filter, .. } => (EventKind::SessionUnsubscribed, Some(filter)),
        EventData::Publish { topic, .. } => (EventKind::MessagePublish, Some(topic)),
        EventData::Deliver { topic, .. } => (EventKind::MessageDeliver, Some(topic)),
        EventData::Acked { topic, .. } => (EventKind::MessageAcked, Some(topic)),
    }
}

/// The sets one core has met.
pub struct Sets {
    sets: Vec<Box<[u16]>>,
    names: HashMap<Box<[u16]>, SetId, foldhash::fast::RandomState>,
}

impl Default for Sets {
    fn default() -> Self {
        Sets { sets: vec![Box::default()], names: HashMap::default() }
    }
}

impl Sets {
    #[inline]
    fn get(&self, id: SetId) -> &[u16] {
        self.sets.get(usize::from(id.0)).map_or(&[], |set| set)
    }

    fn name(&mut self, positions: &[u16]) -> SetId {
        if positions.is_empty() {
            return SetId::NONE;
        }
        if let Some(&id) = self.names.get(positions) {
            return id;
        }
        if self.sets.len() >= SETS_MAX {
            return SetId::UNNAMED;
        }
        let id = SetId(self.sets.len() as u16);
        self.sets.push(positions.into());
        self.names.insert(positions.into(), id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(on: EventKind, filter: &str) -> Rule {
        let rule = Rule::new(0, "test", on, "stream").expect("a legal name");
        Rule { filter: Some(filter.into()), ..rule }
    }

    fn taken(table: &HookTable, sets: &mut Sets, topic: &str) -> Vec<String> {
        let data = EventData::Publish { topic, payload: b"", qos: 0, packet_id: 0 };
        let verdict = table.verdict(topic, sets);
        let mut found = Positions::new();
        let positions = table.resolve(verdict.publish, &data, sets, &mut found);
        positions
            .iter()
            .map(|&p| table.rule(p).and_then(|r| r.filter.as_deref()).unwrap_or("").to_owned())
            .collect()
    }

    #[test]
    fn each_topic_is_taken_by_the_rules_of_its_kind_that_match() {
        let kinds = [
            ("a/+", EventKind::MessagePublish),
            ("#", EventKind::MessagePublish),
            ("a/#", EventKind::MessageAcked),
        ];
        let table = HookTable::new(kinds.map(|(filter, kind)| rule(kind, filter)).into());
        let mut sets = Sets::default();
        assert_eq!(taken(&table, &mut sets, "a/b"), ["a/+", "#"]);
        assert_eq!(taken(&table, &mut sets, "b"), ["#"]);
        assert_eq!(taken(&table, &mut sets, "$SYS/x"), [""; 0]);
        assert!(table.follows_messages());
        assert!(table.verdict("b", &mut sets).acked == SetId::NONE);
    }

    #[test]
    fn more_sets_than_are_remembered_stay_right() {
        // 15 filters of one level each: every subset of them is met by some topic.
        let filter =
            |bit: usize| (0..15).map(|n| if n == bit { "1" } else { "+" }).collect::<Vec<_>>().join("/");
        let table =
            HookTable::new((0..15).map(|bit| rule(EventKind::MessagePublish, &filter(bit))).collect());
        let mut sets = Sets::default();
        for number in 0..1u32 << 15 {
            let topic =
                (0..15).map(|n| if number >> n & 1 == 1 { "1" } else { "0" }).collect::<Vec<_>>().join("/");
            assert_eq!(taken(&table, &mut sets, &topic).len(), number.count_ones() as usize);
        }
        assert_eq!(sets.sets.len(), SETS_MAX);
    }
}
