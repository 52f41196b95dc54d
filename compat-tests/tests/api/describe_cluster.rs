//! `DescribeCluster`, versions 0–2.

use kafka_protocol::messages::{DescribeClusterRequest, MetadataRequest};
use millpond_compat_tests::server::Server;

const MISMATCHED_ENDPOINT_TYPE: i16 = 114;
const UNSUPPORTED_ENDPOINT_TYPE: i16 = 115;

#[test]
fn the_cluster_is_this_node_in_every_version() {
    let server = Server::start();
    let mut wire = server.wire();
    let cluster_id = wire.call(12, &MetadataRequest::default()).cluster_id;
    for version in 0..=2 {
        let answer = wire.call(version, &DescribeClusterRequest::default());
        assert_eq!((answer.error_code, &answer.error_message), (0, &None), "v{version}");
        assert_eq!(Some(answer.cluster_id), cluster_id, "v{version}");
        assert_eq!((answer.controller_id.0, answer.brokers.len(), answer.endpoint_type), (1, 1, 1), "v{version}");
        let broker = &answer.brokers[0];
        assert_eq!(format!("{}:{}", broker.host.as_str(), broker.port), server.kafka(), "v{version}");
        assert_eq!((broker.broker_id.0, broker.is_fenced), (1, false));
        assert_eq!(answer.cluster_authorized_operations, i32::MIN);
        let asked = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
        assert_eq!(wire.call(version, &asked).cluster_authorized_operations, 0b1_1111_1010_0000, "v{version}");
    }
}

#[test]
fn another_kind_of_endpoint_is_refused() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in 1..=2 {
        for (kind, code) in
            [(2, MISMATCHED_ENDPOINT_TYPE), (0, UNSUPPORTED_ENDPOINT_TYPE), (3, UNSUPPORTED_ENDPOINT_TYPE)]
        {
            let answer = wire.call(version, &DescribeClusterRequest::default().with_endpoint_type(kind));
            assert_eq!((answer.error_code, answer.brokers.len()), (code, 0), "v{version} {kind}");
            assert!(answer.error_message.is_some());
        }
    }
}

#[test]
fn the_advertised_address_is_told() {
    let server = Server::builder().set("server.advertised", "broker.example:19092").start();
    let answer = server.wire().call(2, &DescribeClusterRequest::default());
    assert_eq!((answer.brokers[0].host.as_str(), answer.brokers[0].port), ("broker.example", 19092));
}
