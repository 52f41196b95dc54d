//! A committer whose positions only grow, and what they may be after a kill.

use std::collections::BTreeMap;
use std::io;

use millpond_compat_tests::requests;
use millpond_compat_tests::wire::Wire;

use crate::PARTITIONS;
use crate::readback::assert_gone;

const GROUPS: [&str; 3] = ["risk", "ledger", "alerts"];

/// By (group, partition): the last offset that was sent and the last that was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Committer {
    next: i64,
    positions: BTreeMap<(&'static str, usize), Position>,
}

#[derive(Debug, Default)]
struct Position {
    sent: i64,
    acknowledged: Option<i64>,
}

impl Committer {
    /// How many commits were sent.
    pub(crate) fn commits(&self) -> i64 {
        self.next
    }

    /// Commits until the connection breaks.
    pub(crate) fn run(&mut self, address: &str) {
        let error = self.commit(address).expect_err("only an error ends it");
        assert_gone(&error);
    }

    fn commit(&mut self, address: &str) -> io::Result<()> {
        let mut wire = Wire::try_connect(address)?;
        loop {
            for group in GROUPS {
                for (lane, (topic, partition)) in PARTITIONS.into_iter().enumerate() {
                    self.next += 1;
                    let position = self.positions.entry((group, lane)).or_default();
                    position.sent = self.next;
                    let request = requests::commit(group, topic, partition, self.next, &note(self.next));
                    let answer = wire.try_call(8, &request)?;
                    assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{answer:?}");
                    position.acknowledged = Some(self.next);
                }
            }
        }
    }

    /// Every position is the last acknowledged one, or the one sent after it; its note comes with it.
    pub(crate) fn check(&mut self, wire: &mut Wire) {
        for (&(group, lane), position) in &mut self.positions {
            let (topic, partition) = PARTITIONS[lane];
            let answer = wire.call(8, &requests::position(group, topic, partition));
            let found = &answer.groups[0].topics[0].partitions[0];
            assert_eq!((answer.groups[0].error_code, found.error_code), (0, 0), "{answer:?}");
            let offset = found.committed_offset;
            let allowed = [position.acknowledged.unwrap_or(-1), position.sent];
            assert!(allowed.contains(&offset), "{group} at {topic}-{partition}: {offset}, expected one of {allowed:?}");
            if offset >= 0 {
                assert_eq!(found.metadata.as_deref(), Some(note(offset).as_str()));
                (position.acknowledged, position.sent) = (Some(offset), offset);
            }
        }
    }
}

fn note(offset: i64) -> String {
    format!("after {offset}")
}
