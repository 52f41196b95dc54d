//! `FindCoordinator`: every version, every kind of key.

use kafka_protocol::messages::FindCoordinatorRequest;
use millpond_compat_tests::requests::text;
use millpond_compat_tests::server::Server;

use crate::group::{INVALID_REQUEST, NONE, TRANSACTIONAL_ID_AUTHORIZATION_FAILED};

#[test]
fn the_coordinator_of_a_group_is_where_the_client_asked() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in 0..=3 {
        let answer = wire.call(version, &FindCoordinatorRequest::default().with_key(text("g")));
        assert_eq!(answer.error_code, NONE, "v{version}");
        assert_eq!(format!("{}:{}", answer.host, answer.port), server.kafka(), "v{version}");
        assert!(answer.node_id.0 >= 0);
    }
    for version in 4..=6 {
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g"), text("h")]);
        let answer = wire.call(version, &request);
        let keys: Vec<_> = answer.coordinators.iter().map(|found| found.key.to_string()).collect();
        assert_eq!(keys, ["g", "h"], "v{version}");
        for found in answer.coordinators {
            assert_eq!((found.error_code, format!("{}:{}", found.host, found.port)), (NONE, server.kafka().to_owned()));
        }
    }
}

#[test]
fn transactions_and_other_kinds_are_refused() {
    let server = Server::start();
    let mut wire = server.wire();
    for (key_type, error) in [(1, TRANSACTIONAL_ID_AUTHORIZATION_FAILED), (2, INVALID_REQUEST), (7, INVALID_REQUEST)] {
        for version in 1..=3 {
            let request = FindCoordinatorRequest::default().with_key(text("x")).with_key_type(key_type);
            let answer = wire.call(version, &request);
            assert_eq!((answer.error_code, answer.node_id.0), (error, -1), "v{version} key type {key_type}");
            assert!(answer.error_message.is_some());
        }
        for version in 4..=6 {
            let request =
                FindCoordinatorRequest::default().with_coordinator_keys(vec![text("x")]).with_key_type(key_type);
            let answer = wire.call(version, &request);
            assert_eq!(answer.coordinators[0].error_code, error, "v{version} key type {key_type}");
        }
    }
}
