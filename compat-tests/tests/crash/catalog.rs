//! Somebody who creates topics, and which of them must exist after a kill.

use std::io;

use kafka_protocol::messages::MetadataResponse;
use millpond_compat_tests::requests;
use millpond_compat_tests::wire::Wire;
use uuid::Uuid;

use crate::readback::assert_gone;

/// The topics created so far.
#[derive(Debug, Default)]
pub(crate) struct Creator {
    sent: u32,
    /// Name, id and partitions of each that was acknowledged, or found after a kill.
    created: Vec<(String, Uuid, usize)>,
}

impl Creator {
    /// How many topics exist.
    pub(crate) fn len(&self) -> usize {
        self.created.len()
    }

    /// Creates topics until the connection breaks.
    pub(crate) fn run(&mut self, address: &str) {
        let error = self.create(address).expect_err("only an error ends it");
        assert_gone(&error);
    }

    fn create(&mut self, address: &str) -> io::Result<()> {
        let mut wire = Wire::try_connect(address)?;
        loop {
            self.sent += 1;
            let (name, partitions) = (name(self.sent), 1 + self.sent % 3);
            let request = requests::create_topic(&name, i32::try_from(partitions).expect("a small number"));
            let answer = wire.try_call(7, &request)?;
            assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
            self.created.push((name, answer.topics[0].topic_id, partitions as usize));
        }
    }

    /// Every acknowledged topic exists as it was; the last one sent may.
    pub(crate) fn check(&mut self, wire: &mut Wire) {
        let last = name(self.sent);
        let names: Vec<&str> = self.created.iter().map(|(name, ..)| name.as_str()).chain([last.as_str()]).collect();
        let answer = wire.call(12, &requests::metadata(&names));
        for (name, id, partitions) in &self.created {
            assert_eq!(find(&answer, name), Some((*id, *partitions)), "{name}");
        }
        let acknowledged = self.created.last().is_some_and(|(name, ..)| *name == last);
        if let (false, Some((id, partitions))) = (acknowledged, find(&answer, &last)) {
            self.created.push((last, id, partitions));
        }
    }
}

fn name(number: u32) -> String {
    format!("made-{number}")
}

/// Id and number of partitions, if it exists.
fn find(answer: &MetadataResponse, name: &str) -> Option<(Uuid, usize)> {
    let topic = answer.topics.iter().find(|topic| topic.name.as_ref().is_some_and(|found| found.as_str() == name))?;
    (topic.error_code == 0).then_some((topic.topic_id, topic.partitions.len()))
}
