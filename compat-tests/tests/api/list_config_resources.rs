//! `ListConfigResources`, versions 0–1.

use kafka_protocol::messages::ListConfigResourcesRequest;
use millpond_compat_tests::requests::create_topic;
use millpond_compat_tests::server::Server;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const UNSUPPORTED_VERSION: i16 = 35;

#[test]
fn there_are_no_client_metrics() {
    let answer = Server::start().wire().call(0, &ListConfigResourcesRequest::default());
    assert_eq!((answer.error_code, answer.config_resources.len()), (0, 0));
}

#[test]
fn topics_and_the_broker_are_listed_by_type() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    let mut list = |types: &[i8]| {
        let answer = wire.call(1, &ListConfigResourcesRequest::default().with_resource_types(types.to_vec()));
        let resources = answer.config_resources.iter();
        let named = resources.map(|resource| (resource.resource_type, resource.resource_name.to_string()));
        (answer.error_code, named.collect::<Vec<_>>())
    };
    let (broker, topic) = ((BROKER, "1".to_owned()), (TOPIC, "trades".to_owned()));
    assert_eq!(list(&[]), (0, vec![broker.clone(), topic.clone()]));
    assert_eq!(list(&[TOPIC]), (0, vec![topic]));
    assert_eq!(list(&[BROKER, 8, 16, 32]), (0, vec![broker]));
    assert_eq!(list(&[TOPIC, 3]), (UNSUPPORTED_VERSION, vec![]));
}
