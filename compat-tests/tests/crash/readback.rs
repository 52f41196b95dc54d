//! Reading everything back, and remembering what was ever readable.

use std::io::{self, ErrorKind};

use millpond_compat_tests::batch::{self, Batch};
use millpond_compat_tests::requests;
use millpond_compat_tests::wire::Wire;

use crate::PARTITIONS;
use crate::load::{Origin, Producer};

/// By partition, the records from offset 0 on, as far as anybody has read them.
#[derive(Debug, Default)]
pub(crate) struct Readback {
    seen: [Vec<Origin>; PARTITIONS.len()],
}

impl Readback {
    /// Records seen so far.
    pub(crate) fn len(&self) -> usize {
        self.seen.iter().map(Vec::len).sum()
    }

    /// Reads at the end of every partition until the connection breaks.
    pub(crate) fn follow(&mut self, address: &str) {
        let error = self.read_on(address).expect_err("only an error ends it");
        assert_gone(&error);
    }

    fn read_on(&mut self, address: &str) -> io::Result<()> {
        let mut wire = Wire::try_connect(address)?;
        loop {
            let from: Vec<_> =
                PARTITIONS.iter().zip(&self.seen).map(|(spot, seen)| (spot.0, spot.1, offset(seen))).collect();
            let answer = wire.try_call(requests::FETCH, &requests::fetch(&from).with_max_wait_ms(100))?;
            for response in &answer.responses {
                for part in &response.partitions {
                    let spot = (response.topic.as_str(), part.partition_index);
                    let lane =
                        PARTITIONS.iter().position(|known| *known == spot).expect("a partition that was asked for");
                    assert_eq!(part.error_code, 0, "{spot:?} from {}", offset(&self.seen[lane]));
                    let batches = batch::decode_all(part.records.as_deref().unwrap_or_default());
                    self.append(lane, &batches);
                }
            }
        }
    }

    /// Adds what lies behind what was seen; what overlaps must be the same.
    fn append(&mut self, lane: usize, batches: &[Batch]) {
        let seen = &mut self.seen[lane];
        for (found, record) in batches.iter().flat_map(Batch::offsets) {
            let origin = Origin::of(record.value.as_ref().expect("a value"));
            assert!(found <= offset(seen), "a gap in {:?} before {found}", PARTITIONS[lane]);
            match seen.get(usize::try_from(found).expect("offsets are not negative")) {
                Some(before) => assert_eq!(origin, *before, "{:?} at {found} has changed", PARTITIONS[lane]),
                None => seen.push(origin),
            }
        }
    }

    /// Reads every partition from its start and checks it against what was seen and what the producers know.
    pub(crate) fn check_all(&mut self, wire: &mut Wire, producers: &[Producer]) {
        for (lane, (topic, partition)) in PARTITIONS.into_iter().enumerate() {
            let (batches, high_watermark) = requests::read_log(wire, topic, partition, 0);
            assert!(
                high_watermark >= offset(&self.seen[lane]),
                "{topic}-{partition} ends at {high_watermark}, records up to {} were readable before the kill",
                offset(&self.seen[lane])
            );
            self.append(lane, &batches);
            for producer in producers {
                self.check_producer(lane, producer);
            }
        }
    }

    fn check_producer(&self, lane: usize, producer: &Producer) {
        let spot = PARTITIONS[lane];
        let own: Vec<i32> = self.seen[lane].iter().filter(|o| o.producer == producer.id()).map(|o| o.number).collect();
        for (expected, number) in (0..).zip(&own) {
            assert_eq!(*number, expected, "{spot:?}: lost, doubled or out of order, producer {}", producer.id());
        }
        assert!(own.len() <= usize::try_from(producer.next(lane)).expect("not negative"), "more than was sent");
        for batch in producer.acknowledged().iter().filter(|batch| batch.lane == lane) {
            for (offset, number) in (batch.offset..).zip(batch.first..batch.first + batch.count) {
                let found = usize::try_from(offset).ok().and_then(|offset| self.seen[lane].get(offset));
                let found = found.map(|origin| (origin.producer, origin.number));
                assert_eq!(found, Some((producer.id(), number)), "{spot:?}: acknowledged at {offset} and not there");
            }
        }
    }
}

fn offset(seen: &[Origin]) -> i64 {
    i64::try_from(seen.len()).expect("a small log")
}

/// A connection of a killed broker breaks; one that stays silent is a broker that hangs.
pub(crate) fn assert_gone(error: &io::Error) {
    let silent = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    assert!(!silent, "the broker went silent: {error}");
}
