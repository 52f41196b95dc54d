//! Idempotent producers over a restore, with and without `kill -9` in between. What a producer sent to the history that was left
//! is missing in the one that it finds itself in: the first batch that is no known duplicate is taken, whatever its sequence, then
//! sequences are strict again. (`OUT_OF_ORDER_SEQUENCE_NUMBER` is final for a whole producer of librdkafka, and for ever in
//! `KafkaJS`.) And ids never come twice, or the batches of a second producer would count as duplicates and vanish with success.

use millpond_compat_tests::requests::{init_producer, read_log};

use super::*;

/// What is killed, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kills {
    Never,
    BeforeTheGap,
    BehindTheGap,
    Both,
}

impl Kills {
    const ALL: [Self; 4] = [Self::Never, Self::BeforeTheGap, Self::BehindTheGap, Self::Both];

    fn at(self, server: &mut Server, moments: [Self; 2]) {
        if moments.contains(&self) {
            server.kill();
            server.restart();
        }
    }
}

fn producer_id(server: &Server) -> i64 {
    let answer = server.wire().call(4, &init_producer());
    assert_eq!(answer.error_code, 0);
    answer.producer_id.0
}

/// Sends the record of a sequence: the code and the offset.
fn send(server: &Server, id: i64, sequence: i32) -> (i16, i64) {
    send_at(server, TRADES, id, (0, sequence))
}

fn send_at(server: &Server, topic: &str, id: i64, (epoch, sequence): (i16, i32)) -> (i16, i64) {
    let batch = Batch::of_value(format!("{id}-{sequence}")).producer(id, epoch, sequence).encode();
    let answer = server.wire().call(PRODUCE, &produce(-1, [(topic.to_owned(), 0, batch)]));
    let answer = &answer.responses[0].partition_responses[0];
    (answer.error_code, answer.base_offset)
}

fn values(server: &Server) -> Vec<String> {
    let (batches, _) = read_log(&mut server.wire(), TRADES, 0, 0);
    let values = batches.iter().flat_map(|batch| &batch.records);
    values.map(text_of).collect()
}

#[test]
fn a_producer_goes_on_over_a_restore_with_one_gap() {
    for kills in Kills::ALL {
        let mut server = pond_with_trades();
        let id = producer_id(&server);
        for sequence in 0..3 {
            assert_eq!(send(&server, id, sequence), (0, i64::from(sequence)));
        }
        snapshot(&server, "trading", "close");
        for sequence in 3..7 {
            assert_eq!(send(&server, id, sequence), (0, i64::from(sequence)));
        }
        restore(&server, "close");
        kills.at(&mut server, [Kills::BeforeTheGap, Kills::Both]);
        assert_eq!(send(&server, id, 2), (0, 2), "{kills:?}: what was inherited is a duplicate");
        assert_eq!(send(&server, id, 7), (0, 3), "{kills:?}: what it sent between is not here");
        kills.at(&mut server, [Kills::BehindTheGap, Kills::Both]);
        assert_eq!(send(&server, id, 7), (0, 3), "{kills:?}: a duplicate, no second gap");
        assert_eq!(send(&server, id, 9).0, OUT_OF_ORDER_SEQUENCE_NUMBER, "{kills:?}: strict again");
        assert_eq!(send(&server, id, 8), (0, 4), "{kills:?}");
        assert_eq!(values(&server), [0, 1, 2, 7, 8].map(|sequence| format!("{id}-{sequence}")), "{kills:?}");
    }
}

#[test]
fn the_undone_restore_takes_one_gap_as_well() {
    for kills in Kills::ALL {
        let mut server = pond_with_trades();
        let id = producer_id(&server);
        assert_eq!(send(&server, id, 0), (0, 0));
        snapshot(&server, "trading", "close");
        assert_eq!(send(&server, id, 1), (0, 1));
        let undo = restore(&server, "close");
        for (sequence, offset) in [(2, 1), (3, 2)] {
            assert_eq!(send(&server, id, sequence), (0, offset));
        }
        restore(&server, &undo);
        kills.at(&mut server, [Kills::BeforeTheGap, Kills::Both]);
        assert_eq!(send(&server, id, 4), (0, 2), "{kills:?}");
        kills.at(&mut server, [Kills::BehindTheGap, Kills::Both]);
        assert_eq!(send(&server, id, 6).0, OUT_OF_ORDER_SEQUENCE_NUMBER, "{kills:?}");
        assert_eq!(send(&server, id, 5), (0, 3), "{kills:?}");
        assert_eq!(values(&server), [0, 1, 4, 5].map(|sequence| format!("{id}-{sequence}")), "{kills:?}");
    }
}

#[test]
fn the_newest_of_five_in_flight_is_what_a_gap_leads_to() {
    let server = pond_with_trades();
    let id = producer_id(&server);
    assert_eq!(send(&server, id, 0), (0, 0));
    snapshot(&server, "trading", "close");
    for sequence in 1..4 {
        assert_eq!(send(&server, id, sequence).0, 0);
    }
    restore(&server, "close");
    // Sent at once and answered in order, as a client does that has had no answer since: one of them may be behind a gap.
    let mut wire = server.wire();
    let sent: Vec<_> = (4..9)
        .map(|sequence| {
            let batch = Batch::of_value(format!("{id}-{sequence}")).producer(id, 0, sequence).encode();
            wire.send(PRODUCE, &produce(-1, [(TRADES.to_owned(), 0, batch)]))
        })
        .collect();
    for (offset, sent) in (1..).zip(sent) {
        let answer = wire.receive(sent).responses.remove(0).partition_responses.remove(0);
        assert_eq!((answer.error_code, answer.base_offset), (0, offset));
    }
}

#[test]
fn a_producer_that_the_snapshot_did_not_know_and_one_with_a_newer_epoch_go_on() {
    for kills in [Kills::Never, Kills::BeforeTheGap] {
        let mut server = pond_with_trades();
        let (known, unknown) = (producer_id(&server), producer_id(&server));
        assert_eq!(send(&server, known, 0), (0, 0));
        snapshot(&server, "trading", "close");
        assert_eq!(send(&server, unknown, 0), (0, 1));
        assert_eq!(send_at(&server, TRADES, known, (1, 0)), (0, 2));
        assert_eq!(send_at(&server, TRADES, known, (1, 1)), (0, 3));
        restore(&server, "close");
        kills.at(&mut server, [Kills::BeforeTheGap, Kills::Both]);
        assert_eq!(send(&server, unknown, 1), (0, 1), "{kills:?}");
        assert_eq!(send_at(&server, TRADES, known, (1, 2)), (0, 2), "{kills:?}: behind a gap of a newer epoch");
        assert_eq!(send_at(&server, TRADES, known, (1, 4)).0, OUT_OF_ORDER_SEQUENCE_NUMBER, "{kills:?}");
        assert_eq!(send_at(&server, TRADES, known, (1, 3)), (0, 3), "{kills:?}");
    }
}

#[test]
fn producer_ids_never_come_twice_over_restores_clones_and_kills() {
    let mut server = pond_with_trades();
    snapshot(&server, "trading", "close");
    let mut ids = vec![producer_id(&server)];
    let new = |server: &Server, ids: &mut Vec<i64>| {
        let id = producer_id(server);
        assert!(ids.iter().all(|before| *before < id), "{id} after {ids:?}");
        ids.push(id);
        // Else its first record would be taken for one that another sent.
        let end = read_log(&mut server.wire(), TRADES, 0, 0).1;
        assert_eq!(send(server, id, 0), (0, end), "{ids:?}");
    };
    for round in 0..4 {
        new(&server, &mut ids);
        let undo = restore(&server, "close");
        new(&server, &mut ids);
        server.kill();
        server.restart();
        new(&server, &mut ids);
        if round % 2 == 0 {
            restore(&server, &undo);
            new(&server, &mut ids);
        }
        clone(&server, "trading@close", &format!("v{round}"));
        new(&server, &mut ids);
        let scoped = listen(&server, &format!("v{round}"));
        let answer = Wire::connect(&scoped).call(4, &init_producer());
        assert!(answer.producer_id.0 > *ids.last().expect("there are some"));
        ids.push(answer.producer_id.0);
    }
}
