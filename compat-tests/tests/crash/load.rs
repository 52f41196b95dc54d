//! Producers whose every record can be told from every other, and what they know about them.
//!
//! A producer sends to all partitions, each with a sequence of its own. A record's value says who sent it, where to, its
//! number (which is also its sequence), and goes on with bytes that follow from these. Up to five requests are in
//! flight; when the connection breaks, the batches without an answer are kept, and sent again, as they were, first thing
//! in the next round.

use std::collections::VecDeque;
use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use millpond_compat_tests::batch::{self, Batch, Codec, Record};
use millpond_compat_tests::random::Random;
use millpond_compat_tests::requests;
use millpond_compat_tests::wire::{Sent, Wire};

use crate::PARTITIONS;

const IN_FLIGHT_MAX: usize = 5;

/// A producer over all rounds.
#[derive(Debug)]
pub(crate) struct Producer {
    id: u32,
    /// Producer id and epoch.
    identity: (i64, i16),
    random: Random,
    /// By partition: the number of the next record.
    next: [i32; PARTITIONS.len()],
    /// Sent and not answered, in order.
    open: VecDeque<Vec<OpenBatch>>,
    acknowledged: Vec<Acknowledged>,
}

/// A batch that was sent and may or may not have arrived.
#[derive(Clone, Debug)]
struct OpenBatch {
    lane: usize,
    first: i32,
    count: i32,
    bytes: Bytes,
}

/// A batch that the broker said it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    /// Which of [`PARTITIONS`].
    pub(crate) lane: usize,
    /// Number of its first record.
    pub(crate) first: i32,
    /// How many records.
    pub(crate) count: i32,
    /// Offset of its first record.
    pub(crate) offset: i64,
}

/// What a record's value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) producer: u32,
    pub(crate) lane: u32,
    pub(crate) number: i32,
}

impl Producer {
    /// Gets a producer id.
    pub(crate) fn new(id: u32, wire: &mut Wire, random: Random) -> Self {
        let answer = wire.call(4, &requests::init_producer());
        assert_eq!(answer.error_code, 0);
        Self {
            id,
            identity: (answer.producer_id.0, answer.producer_epoch),
            random,
            next: [0; PARTITIONS.len()],
            open: VecDeque::new(),
            acknowledged: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The number of the next record for a partition: all before were sent.
    pub(crate) fn next(&self, lane: usize) -> i32 {
        self.next[lane]
    }

    pub(crate) fn acknowledged(&self) -> &[Acknowledged] {
        &self.acknowledged
    }

    /// Sends until the connection breaks.
    pub(crate) fn run(&mut self, address: &str) {
        let error = self.produce(address).expect_err("only an error ends it");
        crate::readback::assert_gone(&error);
    }

    fn produce(&mut self, address: &str) -> io::Result<()> {
        let mut wire = Wire::try_connect(address)?;
        let mut sent: VecDeque<Sent<ProduceRequest>> = VecDeque::new();
        for batches in &self.open {
            sent.push_back(wire.try_send(requests::PRODUCE, &request(batches))?);
        }
        loop {
            while self.open.len() < IN_FLIGHT_MAX {
                let batches = self.more();
                self.open.push_back(batches.clone());
                sent.push_back(wire.try_send(requests::PRODUCE, &request(&batches))?);
            }
            let answer = wire.try_receive(sent.pop_front().expect("something is in flight"))?;
            let batches = self.open.pop_front().expect("as many as are in flight");
            self.note(&batches, &answer);
        }
    }

    /// The batches of one request: for one to three partitions.
    fn more(&mut self) -> Vec<OpenBatch> {
        let count = usize::try_from(self.random.between(1, 3)).expect("a small number");
        let start = usize::try_from(self.random.between(0, 5)).expect("a small number");
        (0..count).map(|step| self.batch((start + 2 * step) % PARTITIONS.len())).collect()
    }

    fn batch(&mut self, lane: usize) -> OpenBatch {
        let count = i32::try_from(self.random.between(1, 8)).expect("a small number");
        let first = self.next[lane];
        self.next[lane] += count;
        let lane_number = u32::try_from(lane).expect("a small number");
        let now = batch::now();
        let records = (first..first + count).map(|number| {
            let origin = Origin { producer: self.id, lane: lane_number, number };
            Record::of(origin.value()).at(now)
        });
        let codec = Codec::ALL[usize::try_from(self.random.between(0, 4)).expect("a small number")];
        let batch = Batch::of(records).codec(codec).producer(self.identity.0, self.identity.1, first);
        OpenBatch { lane, first, count, bytes: batch.encode() }
    }

    fn note(&mut self, batches: &[OpenBatch], answer: &ProduceResponse) {
        for batch in batches {
            let spot = PARTITIONS[batch.lane];
            let part = partition(answer, spot).unwrap_or_else(|| panic!("no answer for {spot:?}: {answer:?}"));
            assert_eq!(part.error_code, 0, "{spot:?} from {}: {part:?}", batch.first);
            let OpenBatch { lane, first, count, .. } = *batch;
            self.acknowledged.push(Acknowledged { lane, first, count, offset: part.base_offset });
        }
    }
}

fn partition<'a>(answer: &'a ProduceResponse, spot: (&str, i32)) -> Option<&'a PartitionProduceResponse> {
    let topic = answer.responses.iter().find(|response| response.name.as_str() == spot.0)?;
    topic.partition_responses.iter().find(|part| part.index == spot.1)
}

fn request(batches: &[OpenBatch]) -> ProduceRequest {
    let parts = batches.iter().map(|batch| {
        let (topic, partition) = PARTITIONS[batch.lane];
        (topic.to_owned(), partition, batch.bytes.clone())
    });
    requests::produce(-1, parts)
}

impl Origin {
    /// A value that says this: three numbers, then up to 1,500 bytes that follow from them.
    fn value(self) -> Bytes {
        let mut value = BytesMut::new();
        value.put_u32(self.producer);
        value.put_u32(self.lane);
        value.put_i32(self.number);
        let seed =
            (u64::from(self.producer) << 40) ^ (u64::from(self.lane) << 32) ^ u64::from(self.number.unsigned_abs());
        let mut random = Random::new(seed);
        for _ in 0..random.between(0, 190) {
            value.put_u64(random.number());
        }
        value.freeze()
    }

    /// Who sent a value; panics if a byte of it is not as it was sent.
    pub(crate) fn of(value: &Bytes) -> Self {
        let mut head = &value[..];
        let origin = Self { producer: head.get_u32(), lane: head.get_u32(), number: head.get_i32() };
        assert!(*value == origin.value(), "other bytes than were sent: {origin:?}");
        origin
    }
}
