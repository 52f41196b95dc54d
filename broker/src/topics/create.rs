//! Creating topics: by request, and because they were asked for.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use millpond_storage::state::{DEFAULT_STREAM, Topic, TopicName, Txn};
use millpond_storage::{Error, TopicNumber};

use super::config_keys::Overrides;
use super::ids::Spelling;
use super::names::InvalidName;
use super::pending::{Changing, flat, pending};
use super::place::Place;
use super::streams::{self, Stream};
use super::{Resolved, TopicError, Topics};
use crate::config::TopicsConfig;

/// A topic to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; the broker's default where there is no number.
    pub partitions: Option<i32>,
    /// What is set on it, checked.
    pub settings: Overrides,
}

/// A topic that may be created, as far as can be seen.
struct Plan {
    place: Arc<Place>,
    spelling: Spelling,
    /// All of it but its number.
    topic: Topic,
}

impl Topics {
    /// Creates a topic.
    pub fn create(&self, new: NewTopic) -> Changing<Resolved> {
        let topics = self.clone();
        let submitted = self.plan(new).map(|plan| self.submit(plan));
        Box::pin(async move {
            let (place, spelling, created) = submitted?;
            let number = created.await?;
            // Somebody may have deleted it already.
            let topic = place.topic_by_number(number).ok_or(TopicError::Unknown)?;
            Ok(topics.resolved(place, topic, spelling))
        })
    }

    /// Creates a topic with the broker's defaults, unless it is there when it comes to that. So two that ask for a topic at
    /// once get the same. The name is one that [`Topics::resolve`] took.
    pub fn create_when_asked_for(&self, name: &str) -> Changing<Resolved> {
        let topics = self.clone();
        let name = name.to_owned();
        let created = self.create(NewTopic { name: name.clone(), ..NewTopic::default() });
        Box::pin(async move {
            match created.await {
                Err(TopicError::AlreadyExists(_)) => topics.resolve(&name),
                // It has a name that could be one: there is no such stream, and topics alone come into being.
                Err(TopicError::InvalidName(_)) => Err(TopicError::Unknown),
                outcome => outcome,
            }
        })
    }

    /// Whether a topic could be created now, and how many partitions it would have.
    pub fn check_new(&self, new: NewTopic) -> Result<u32, TopicError> {
        self.plan(new).map(|plan| plan.topic.partitions)
    }

    fn plan(&self, new: NewTopic) -> Result<Plan, TopicError> {
        let name = self.parse(&new.name)?;
        let place = self.place(name.home).filter(|_| !name.topic.is_empty());
        let found = place.and_then(|place| {
            let stream = place.timeline.state(|state| Stream::find(state, name.stream))?;
            Some((place, stream))
        });
        let (place, stream) = found.ok_or_else(|| {
            InvalidName(format!("'{}' is in no stream that there is; topics are created in existing ones", new.name))
        })?;
        let partitions = partitions(&self.0.config.topics, new.partitions.or(stream.partitions))?;
        if place.topic(&name).is_some() {
            return Err(TopicError::AlreadyExists(new.name));
        }
        let spelling = name.spelling();
        let topic = Topic {
            name: TopicName::new(name.stream, name.topic),
            number: TopicNumber::FACTS,
            partitions,
            created: now_ms(),
            internal: false,
            settings: new.settings,
        };
        Ok(Plan { place, spelling, topic })
    }

    /// Takes a number, then has the writer decide: each step is taken when the one before is durable, whoever waits.
    fn submit(&self, plan: Plan) -> (Arc<Place>, Spelling, Changing<TopicNumber>) {
        let Plan { place, spelling, topic } = plan;
        let (done, created) = pending();
        let timeline = place.timeline.clone();
        self.0.numbers.take(move |number| match number {
            Ok(number) => timeline.transact(move |txn| decide(txn, topic, number), move |outcome| done(flat(outcome))),
            Err(error) => done(Err(error.into())),
        });
        (place, spelling, created)
    }
}

/// In the writer: nothing of this name may be there.
fn decide(txn: &mut Txn<'_>, topic: Topic, number: u64) -> Result<TopicNumber, TopicError> {
    // It may have been deleted since the look at it.
    if &*topic.name.stream != DEFAULT_STREAM && !streams::is_there(txn, &topic.name.stream) {
        return Err(InvalidName(format!("there is no stream '{}' any more", topic.name.stream)).into());
    }
    if txn.get::<Topic>(&topic.name).is_some() {
        return Err(TopicError::AlreadyExists(topic.name.short().to_string()));
    }
    let number =
        u32::try_from(number).map(TopicNumber).map_err(|_| Error::Invalid("no topic numbers are left".into()))?;
    txn.put(Topic { number, ..topic });
    Ok(number)
}

fn partitions(config: &TopicsConfig, wanted: Option<i32>) -> Result<u32, TopicError> {
    let wanted = wanted.unwrap_or(config.num_partitions);
    let count = u32::try_from(wanted).ok().filter(|count| *count > 0).ok_or_else(|| {
        TopicError::InvalidPartitions("Number of partitions was set to an invalid non-positive value.".to_owned())
    })?;
    at_most(count)
}

/// Refuses more partitions than a topic may have.
pub(super) fn at_most(count: u32) -> Result<u32, TopicError> {
    let most = *TopicsConfig::PARTITIONS.end();
    if u64::from(count) > most {
        return Err(TopicError::InvalidPartitions(format!("A topic has at most {most} partitions.")));
    }
    Ok(count)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
