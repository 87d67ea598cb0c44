//! Topic aliases of one connection (5.0, 3.3.2.3.4): those that the client has set, and those that the broker gives. Pure
//! state; they end with their connection.

use crate::delivery::Alias;
use millrace_codec::{Error, ReasonCode};

/// What the client has set.
#[derive(Debug, Default)]
pub struct Taken {
    /// By alias, from 1.
    topics: Vec<Box<str>>,
}

impl Taken {
    /// A PUBLISH with an alias: what its topic is. `maximum` is what the CONNACK has said.
    ///
    /// # Errors
    /// The alias is 0 or above the maximum [MQTT-3.3.2-8, MQTT-3.3.2-9], or stands for nothing yet.
    pub fn resolve<'a>(&'a mut self, alias: u16, topic: &'a str, maximum: u16) -> Result<&'a str, Error> {
        let invalid = |text| Error::protocol_as(ReasonCode::TopicAliasInvalid, text);
        if alias > maximum {
            return Err(invalid("a topic alias above topic_alias_maximum"));
        }
        let position = usize::from(alias).checked_sub(1).ok_or_else(|| invalid("topic alias 0"))?;
        if topic.is_empty() {
            let known = self.topics.get(position).filter(|known| !known.is_empty());
            return known.map(|known| &**known).ok_or_else(|| Error::protocol("an unknown topic alias"));
        }
        if self.topics.len() <= position {
            self.topics.resize_with(position + 1, Box::default);
        }
        if let Some(known) = self.topics.get_mut(position)
            && **known != *topic
        {
            *known = topic.into();
        }
        Ok(topic)
    }
}

/// What the broker has set, by use: a topic that comes while all aliases are in use takes the place of one that has
/// not been used for long.
#[derive(Debug, Default)]
pub struct Given {
    maximum: u16,
    /// Messages sent with or without alias; tells how long ago a topic was used.
    clock: u32,
    /// By alias, from 1.
    topics: Vec<Use>,
}

#[derive(Debug)]
struct Use {
    topic: Box<str>,
    last: u32,
}

impl Given {
    /// None given yet, at most `maximum`.
    pub fn new(maximum: u16) -> Given {
        Given { maximum, ..Given::default() }
    }

    /// How to write the topic of a message that is certain to be sent.
    pub fn give(&mut self, topic: &str) -> Alias {
        self.clock = self.clock.wrapping_add(1);
        let clock = self.clock;
        if let Some(position) = self.topics.iter().position(|one| *one.topic == *topic) {
            self.topics[position].last = clock;
            return Alias::Known(position as u16 + 1);
        }
        let maximum = usize::from(self.maximum);
        if self.topics.len() < maximum {
            self.topics.push(Use { topic: topic.into(), last: clock });
            return Alias::New(self.topics.len() as u16);
        }
        // Only what has not been used for a while: topics that come in turn would push each other out.
        let age = |one: &Use| clock.wrapping_sub(one.last);
        let oldest = self.topics.iter().enumerate().max_by_key(|(_, one)| age(one));
        let Some((position, _)) = oldest.filter(|(_, one)| age(one) as usize > maximum * 4) else {
            return Alias::None;
        };
        self.topics[position] = Use { topic: topic.into(), last: clock };
        Alias::New(position as u16 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_stands_for_what_it_was_last_set_to() {
        let mut taken = Taken::default();
        assert_eq!(taken.resolve(2, "a", 3), Ok("a"));
        assert_eq!(taken.resolve(2, "", 3), Ok("a"));
        assert_eq!(taken.resolve(2, "b", 3), Ok("b"));
        assert_eq!(taken.resolve(2, "", 3), Ok("b"));
        let reason = |result: Result<&str, Error>| result.map_err(|error| error.reason).err();
        assert_eq!(reason(taken.resolve(1, "", 3)), Some(ReasonCode::ProtocolError));
        assert_eq!(reason(taken.resolve(3, "", 3)), Some(ReasonCode::ProtocolError));
        assert_eq!(reason(taken.resolve(0, "a", 3)), Some(ReasonCode::TopicAliasInvalid));
        assert_eq!(reason(taken.resolve(4, "a", 3)), Some(ReasonCode::TopicAliasInvalid));
        assert_eq!(reason(taken.resolve(1, "a", 0)), Some(ReasonCode::TopicAliasInvalid));
    }

    #[test]
    fn aliases_are_given_by_use() {
        let mut given = Given::new(2);
        assert_eq!(given.give("a"), Alias::New(1));
        assert_eq!(given.give("b"), Alias::New(2));
        assert_eq!(given.give("a"), Alias::Known(1));
        assert_eq!(given.give("c"), Alias::None, "both were used just now");
        for _ in 0..8 {
            assert_eq!(given.give("a"), Alias::Known(1));
        }
        assert_eq!(given.give("c"), Alias::New(2), "instead of b");
        assert_eq!(given.give("b"), Alias::None);
        assert_eq!(Given::new(0).give("a"), Alias::None);
    }
}
