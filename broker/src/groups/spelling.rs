//! One topic, two names: what a classic group must not mix.
//!
//! A topic may be named plainly, with dots or by path. Members of a classic group assign topics among themselves by name,
//! so two spellings in one group would be two topics to the leader and every record would be consumed twice; Java clients
//! stop altogether when two names carry one topic id. A member that would bring a second spelling is therefore refused.
//!
//! Invariant: `names` holds exactly the topics of the group's members, each with how many members name it.

use std::collections::HashMap;

use millpond_storage::TopicNumber;

use crate::scope::Scope;

/// What a topic is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicIdentity {
    /// The volume or snapshot that has it.
    pub home: Scope,
    /// Its number there.
    pub number: TopicNumber,
}

/// A topic as a member's subscription spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpelling {
    /// The name used.
    pub name: String,
    /// The topic meant.
    pub topic: TopicIdentity,
}

/// The spellings in use by the members of one group.
#[derive(Debug, Default)]
pub(super) struct Spellings {
    names: HashMap<TopicIdentity, (String, usize)>,
}

impl Spellings {
    /// The first topic that `topics` spells otherwise than the group does, or in two ways within itself: the spelling in
    /// use and the one refused.
    pub(super) fn conflict<'a>(&'a self, topics: &'a [TopicSpelling]) -> Option<(&'a str, &'a str)> {
        let mut own: HashMap<TopicIdentity, &str> = HashMap::new();
        for spelling in topics {
            let used = self.names.get(&spelling.topic).map(|(name, _)| name.as_str());
            let used = used.unwrap_or_else(|| own.entry(spelling.topic).or_insert(&spelling.name));
            if used != spelling.name {
                return Some((used, &spelling.name));
            }
        }
        None
    }

    /// Whether a member names a topic of a volume or snapshot.
    pub(super) fn is_in(&self, home: Scope) -> bool {
        self.names.keys().any(|topic| topic.home == home)
    }

    /// Whether a member names the topic.
    pub(super) fn contains(&self, topic: TopicIdentity) -> bool {
        self.names.contains_key(&topic)
    }

    /// Counts in a member's topics, which were found free of conflict.
    pub(super) fn add(&mut self, topics: &[TopicSpelling]) {
        for spelling in topics {
            self.names.entry(spelling.topic).or_insert_with(|| (spelling.name.clone(), 0)).1 += 1;
        }
    }

    /// Counts out the topics of a member that leaves or changes its subscription.
    pub(super) fn remove(&mut self, topics: &[TopicSpelling]) {
        for spelling in topics {
            if let Some((_, members)) = self.names.get_mut(&spelling.topic) {
                *members -= 1;
                if *members == 0 {
                    self.names.remove(&spelling.topic);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use millpond_storage::state::VolumeId;

    use super::*;

    fn spelled(name: &str, topic: u32) -> TopicSpelling {
        let topic = TopicIdentity { home: Scope::Volume(VolumeId(1)), number: TopicNumber(topic) };
        TopicSpelling { name: name.to_owned(), topic }
    }

    #[test]
    fn a_second_spelling_is_found_within_a_group_and_within_a_member() {
        let mut spellings = Spellings::default();
        let plain = [spelled("v.s.t", 1), spelled("u", 2)];
        assert_eq!(spellings.conflict(&plain), None);
        spellings.add(&plain);
        assert_eq!(spellings.conflict(&plain), None);
        assert_eq!(spellings.conflict(&[spelled("/v/s:t", 1)]), Some(("v.s.t", "/v/s:t")));
        assert_eq!(spellings.conflict(&[spelled("a", 3), spelled("b", 3)]), Some(("a", "b")));
    }

    #[test]
    fn the_last_member_to_go_frees_the_spelling() {
        let mut spellings = Spellings::default();
        let topics = [spelled("v.s.t", 1)];
        spellings.add(&topics);
        spellings.add(&topics);
        spellings.remove(&topics);
        assert!(spellings.conflict(&[spelled("/v/s:t", 1)]).is_some());
        spellings.remove(&topics);
        assert_eq!(spellings.conflict(&[spelled("/v/s:t", 1)]), None);
    }
}
