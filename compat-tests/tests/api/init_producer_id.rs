//! `InitProducerId`, versions 0–5.

use std::collections::HashSet;

use kafka_protocol::messages::{InitProducerIdRequest, TransactionalId};
use millpond_compat_tests::requests::{init_producer, text};
use millpond_compat_tests::server::Server;

const INVALID_REQUEST: i16 = 42;
const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;

#[test]
fn every_producer_gets_an_id_of_its_own() {
    let mut server = Server::start();
    let mut ids = HashSet::new();
    for round in 0..2 {
        let mut wire = server.wire();
        for version in 0..=5 {
            // More than a block holds, with many on their way at once.
            let sent: Vec<_> = (0..250).map(|_| wire.send(version, &init_producer())).collect();
            for sent in sent {
                let answer = wire.receive(sent);
                assert_eq!((answer.error_code, answer.producer_epoch), (0, 0), "v{version}");
                assert!(ids.insert(answer.producer_id.0), "v{version}: {} in round {round}", answer.producer_id.0);
            }
        }
        server.kill();
        server.restart();
    }
}

#[test]
fn a_producer_that_has_an_id_gets_another() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in 3..=5 {
        let first = wire.call(version, &init_producer());
        let with = |id: i64, epoch: i16| {
            InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_producer_id(id.into())
                .with_producer_epoch(epoch)
        };
        let again = wire.call(version, &with(first.producer_id.0, 0));
        assert_eq!((again.error_code, again.producer_epoch), (0, 0), "v{version}");
        assert_ne!(again.producer_id, first.producer_id, "v{version}");
        for half in [with(first.producer_id.0, -1), with(-1, 0)] {
            let answer = wire.call(version, &half);
            assert_eq!((answer.error_code, answer.producer_id.0), (INVALID_REQUEST, -1), "v{version}");
        }
    }
}

#[test]
fn transactional_ids_are_refused() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in 0..=5 {
        for (id, code) in [("app", TRANSACTIONAL_ID_AUTHORIZATION_FAILED), ("", INVALID_REQUEST)] {
            let request = init_producer().with_transactional_id(Some(TransactionalId(text(id))));
            let answer = wire.call(version, &request);
            let refused = (answer.error_code, answer.producer_id.0, answer.producer_epoch);
            assert_eq!(refused, (code, -1, -1), "v{version} {id:?}");
        }
    }
    let line = "transactions are not served";
    assert!(server.output().contains(line), "a log line says why");
}
