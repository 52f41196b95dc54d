//! Creating topics: by request, and because they were asked for.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use millpond_storage::state::{DEFAULT_STREAM, Topic, TopicName, Txn};
use millpond_storage::{Error, TopicNumber};

use super::config_keys::Overrides;
use super::ids::Spelling;
use super::lags::{agree, of_stream, own};
use super::limits;
use super::names::InvalidName;
use super::pending::{Changing, flat, pending};
use super::place::Place;
use super::streams;
use super::{Resolved, TopicError, Topics};
use crate::config::TopicsConfig;
use crate::documents::VolumeLimits;
use crate::scope::Scope;

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
    /// Creates a topic, by the name that a client of a scope gave it.
    pub fn create(&self, scope: Scope, new: NewTopic) -> Changing<Resolved> {
        let topics = self.clone();
        let submitted = self.plan(scope, new).map(|plan| (plan.place.home, plan.spelling, self.submit(plan)));
        Box::pin(async move {
            let (home, spelling, created) = submitted?;
            let number = created.await?;
            // Somebody may have deleted it already.
            topics.by_number(home, number, spelling)
        })
    }

    /// Creates a topic with the broker's defaults, unless it is there when it comes to that. So two that ask for a topic at
    /// once get the same. The name is one that [`Topics::resolve`] took.
    pub fn create_when_asked_for(&self, scope: Scope, name: &str) -> Changing<Resolved> {
        let topics = self.clone();
        let name = name.to_owned();
        let created = self.create(scope, NewTopic { name: name.clone(), ..NewTopic::default() });
        Box::pin(async move {
            match created.await {
                Err(TopicError::AlreadyExists(_)) => topics.resolve(scope, &name),
                Err(TopicError::LimitReached(why)) => {
                    tracing::debug!(name, why, "a topic that was asked for does not come into being");
                    Err(TopicError::Unknown)
                }
                // It has a name that could be one: there is no such stream, and topics alone come into being.
                Err(TopicError::InvalidName(_) | TopicError::ReadOnly(_)) => Err(TopicError::Unknown),
                outcome => outcome,
            }
        })
    }

    /// Whether a topic could be created now, and how many partitions it would have.
    pub fn check_new(&self, scope: Scope, new: NewTopic) -> Result<u32, TopicError> {
        let Plan { place, topic, .. } = self.plan(scope, new)?;
        let there = || place.timeline().state(|state| state.topics().map(|topic| Topic::clone(topic)).collect());
        limits::check(&place.quota.limits, (1, topic.partitions), there)?;
        Ok(topic.partitions)
    }

    fn plan(&self, scope: Scope, new: NewTopic) -> Result<Plan, TopicError> {
        let directory = self.directory();
        let found = directory.find(scope, &new.name, &self.0.recent).map_err(|why| match why {
            TopicError::Unknown => nowhere(&new.name).into(),
            why => why,
        })?;
        if found.place.snapshot().is_some() {
            return Err(TopicError::ReadOnly(new.name));
        }
        let open = found.place.open(&self.0.recent)?;
        let stream = open.stream(found.stream).filter(|_| !found.topic.is_empty());
        let stream = stream.ok_or_else(|| nowhere(&new.name))?;
        let first = found.topic.split_once('.').map(|(first, _)| first);
        if found.place.is_default() && first.is_some_and(|first| directory.is_reserved(first)) {
            return Err(taken(found.topic, "a volume").into());
        }
        agree(&self.0.config.topics, &[own(&new.settings), of_stream(&stream.config)])?;
        let partitions = partitions(&self.0.config.topics, new.partitions.or(stream.partitions))?;
        if open.topic(found.stream, found.topic).is_some() {
            return Err(TopicError::AlreadyExists(new.name));
        }
        let topic = Topic {
            name: TopicName::new(found.stream, found.topic),
            number: TopicNumber::FACTS,
            partitions,
            created: now_ms(),
            internal: false,
            settings: new.settings,
        };
        Ok(Plan { place: found.place, spelling: found.spelling, topic })
    }

    /// Takes a number, then has the writer decide: each step is taken when the one before is durable, whoever waits.
    fn submit(&self, plan: Plan) -> Changing<TopicNumber> {
        let Plan { place, topic, .. } = plan;
        let (done, created) = pending();
        let timeline = place.timeline().clone();
        let is_plain = place.is_default() && *topic.name.stream == *DEFAULT_STREAM;
        let topics = self.clone();
        let decide = move |txn: &mut Txn<'_>, number| {
            // A volume may have come since the look at it.
            if is_plain && topics.is_taken_by_volume(&topic.name.topic) {
                return Err(taken(&topic.name.topic, "a volume").into());
            }
            // The stream may have changed, too.
            let stream = streams::config_in(txn, &topic.name.stream);
            agree(&topics.0.config.topics, &[own(&topic.settings), of_stream(&stream)])?;
            decide(txn, topic, number, &place.quota.limits)
        };
        self.0.numbers.take(move |number| match number {
            Ok(number) => timeline.transact(move |txn| decide(txn, number), move |outcome| done(flat(outcome))),
            Err(error) => done(Err(error.into())),
        });
        created
    }
}

fn nowhere(name: &str) -> InvalidName {
    InvalidName(format!(
        "'{name}' is in no stream that there is; topics are created in existing ones (`millpond stream create VOLUME STREAM` makes one)"
    ))
}

fn taken(name: &str, by: &str) -> InvalidName {
    InvalidName(format!("what '{name}' begins with is, or was, the name of {by}"))
}

/// In the writer: the stream must be there, nothing of this name, and room for it.
fn decide(txn: &mut Txn<'_>, topic: Topic, number: u64, limits: &VolumeLimits) -> Result<TopicNumber, TopicError> {
    let TopicName { stream, topic: name } = &topic.name;
    // It may have been deleted since the look at it.
    if **stream != *DEFAULT_STREAM && !streams::is_there(txn, stream) {
        return Err(nowhere(&topic.name.short()).into());
    }
    // Else its short name would mean another topic, in that stream.
    if **stream == *DEFAULT_STREAM && name.split_once('.').is_some_and(|(first, _)| streams::is_there(txn, first)) {
        return Err(taken(name, "a stream").into());
    }
    if txn.get::<Topic>(&topic.name).is_some() {
        return Err(TopicError::AlreadyExists(topic.name.short().to_string()));
    }
    limits::check(limits, (1, topic.partitions), || txn.all::<Topic>())?;
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
