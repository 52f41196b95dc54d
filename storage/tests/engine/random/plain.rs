//! The model: topics and records in plain memory, as a fold of what was asked for.

use std::collections::BTreeMap;

use millpond_storage::{TopicNumber, TopicPartition};

/// Something that the engine was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A topic comes.
    Create { name: String, number: TopicNumber, partitions: u32 },
    /// A topic goes.
    Delete { name: String },
    /// Records for a partition.
    Append { to: TopicPartition, values: Vec<String> },
    /// All records below an offset go.
    LogStart { of: TopicPartition, offset: i64 },
}

/// What a client can see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plain {
    /// Topics: name, number and partitions.
    pub(crate) topics: BTreeMap<String, (TopicNumber, u32)>,
    /// Records by partition: the first offset, and the values from there on.
    pub(crate) logs: BTreeMap<TopicPartition, (i64, Vec<String>)>,
}

impl Plain {
    /// The fold of some operations.
    pub(crate) fn of(ops: &[Op]) -> Self {
        let mut plain = Self::default();
        for op in ops {
            plain.apply(op);
        }
        plain
    }

    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { name, number, partitions } => {
                self.topics.insert(name.clone(), (*number, *partitions));
                for partition in 0..*partitions {
                    self.logs.insert(TopicPartition::new(*number, partition), (0, Vec::new()));
                }
            }
            Op::Delete { name } => {
                if let Some((number, _)) = self.topics.remove(name) {
                    self.logs.retain(|id, _| id.topic != number);
                }
            }
            Op::Append { to, values } => {
                if let Some((_, log)) = self.logs.get_mut(to) {
                    log.extend(values.iter().cloned());
                }
            }
            Op::LogStart { of, offset } => {
                if let Some((start, log)) = self.logs.get_mut(of) {
                    let gone = usize::try_from(offset - *start).unwrap_or(0).min(log.len());
                    log.drain(..gone);
                    *start += i64::try_from(gone).expect("small");
                }
            }
        }
    }

    /// The offset behind the last record of a partition.
    pub(crate) fn end(&self, id: TopicPartition) -> i64 {
        self.logs.get(&id).map_or(0, |(start, log)| start + i64::try_from(log.len()).expect("small"))
    }

    /// Whether clients may see `seen` where this is what was asked for; `expiring`: retention may have hidden what is past its time.
    pub(crate) fn allows(&self, seen: &Self, expiring: bool) -> bool {
        let same = |id: &TopicPartition, (start, log): &(i64, Vec<String>)| {
            let Some((seen_start, seen_log)) = seen.logs.get(id) else { return false };
            let Ok(hidden) = usize::try_from(seen_start - start) else { return false };
            let may_hide = hidden == 0 || (expiring && self.expires(*id));
            may_hide && log.get(hidden..).is_some_and(|log| log == seen_log)
        };
        self.topics == seen.topics
            && self.logs.len() == seen.logs.len()
            && self.logs.iter().all(|(id, log)| same(id, log))
    }

    /// Whether the topic of a partition keeps its records for a minute only.
    pub(crate) fn expires(&self, id: TopicPartition) -> bool {
        self.topics.iter().any(|(name, (number, _))| *number == id.topic && name.starts_with("short"))
    }

    /// A few words for each partition, in place of its bytes.
    pub(crate) fn brief(&self) -> String {
        let log = |(start, log): &(i64, Vec<String>)| {
            format!("{start}: {}", log.iter().map(|value| value.trim()).collect::<Vec<_>>().join(" "))
        };
        let logs: BTreeMap<_, _> = self.logs.iter().map(|(id, each)| (id, log(each))).collect();
        format!("{:?} {logs:?}", self.topics)
    }
}
