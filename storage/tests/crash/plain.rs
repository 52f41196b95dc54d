//! The model: topics and records in plain memory, as a fold of what was asked for.

use std::collections::BTreeMap;

/// A partition, by its topic's number.
pub(crate) type Id = (u32, u32);

/// Something that the engine was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A topic comes.
    Create { name: String, number: u32, partitions: u32 },
    /// A topic goes.
    Delete { name: String },
    /// Records for a partition.
    Append { to: Id, values: Vec<String> },
    /// All records below an offset go.
    LogStart { of: Id, offset: i64 },
}

/// What a client can see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plain {
    /// Topics: name, number and partitions.
    pub(crate) topics: BTreeMap<String, (u32, u32)>,
    /// Records by partition: the first offset, and the values from there on.
    pub(crate) logs: BTreeMap<Id, (i64, Vec<String>)>,
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
                    self.logs.insert((*number, partition), (0, Vec::new()));
                }
            }
            Op::Delete { name } => {
                if let Some((number, _)) = self.topics.remove(name) {
                    self.logs.retain(|(of, _), _| of != &number);
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
    pub(crate) fn end(&self, id: Id) -> i64 {
        self.logs.get(&id).map_or(0, |(start, log)| start + i64::try_from(log.len()).expect("small"))
    }
}
