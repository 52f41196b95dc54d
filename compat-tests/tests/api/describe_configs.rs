//! `DescribeConfigs`, versions 1–4.

use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::create_topics_request::CreatableTopicConfig;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use millpond_compat_tests::requests::{create_topic, text};
use millpond_compat_tests::server::Server;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const FROM_TOPIC: i8 = 1;
const FROM_BROKER_FILE: i8 = 4;
const FROM_DEFAULT: i8 = 5;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC_EXCEPTION: i16 = 17;
const INVALID_REQUEST: i16 = 42;

fn resource(kind: i8, name: &str) -> DescribeConfigsResource {
    DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(None)
}

fn of(resources: Vec<DescribeConfigsResource>) -> DescribeConfigsRequest {
    DescribeConfigsRequest::default().with_resources(resources)
}

fn find<'a>(result: &'a DescribeConfigsResult, key: &str) -> &'a DescribeConfigsResourceResult {
    result.configs.iter().find(|config| config.name.as_str() == key).unwrap_or_else(|| panic!("{key} is not told"))
}

/// A server that has a retention of its own, with a topic that has one, too.
fn server() -> Server {
    let server = Server::builder().set("topics.retention_ms", "1h").start();
    let mut request = create_topic("trades", 1);
    request.topics[0].configs =
        vec![CreatableTopicConfig::default().with_name(text("retention.ms")).with_value(Some(text("60000")))];
    assert_eq!(server.wire().call(7, &request).topics[0].error_code, 0);
    server
}

#[test]
fn a_topic_tells_every_key_in_every_version() {
    let server = server();
    let mut wire = server.wire();
    for version in 1..=4 {
        let result = wire.call(version, &of(vec![resource(TOPIC, "trades")])).results.remove(0);
        assert_eq!((result.error_code, result.resource_type, result.resource_name.as_str()), (0, TOPIC, "trades"));
        assert!(result.configs.len() > 30, "v{version}: {}", result.configs.len());
        let retention = find(&result, "retention.ms");
        assert_eq!((retention.value.as_deref(), retention.config_source), (Some("60000"), FROM_TOPIC), "v{version}");
        assert!(!retention.read_only && !retention.is_sensitive && retention.synonyms.is_empty());
        let policy = find(&result, "cleanup.policy");
        assert_eq!((policy.value.as_deref(), policy.config_source), (Some("delete"), FROM_DEFAULT));
        // 5 is LONG, 7 is LIST.
        let types = if version >= 3 { (5, 7) } else { (0, 0) };
        assert_eq!((retention.config_type, policy.config_type), types, "v{version}");
    }
}

#[test]
fn layers_and_documentation_come_where_they_are_asked_for() {
    let server = server();
    let mut wire = server.wire();
    for version in 1..=4 {
        let request =
            of(vec![resource(TOPIC, "trades")]).with_include_synonyms(true).with_include_documentation(version >= 3);
        let result = wire.call(version, &request).results.remove(0);
        let retention = find(&result, "retention.ms");
        let layers: Vec<_> = retention
            .synonyms
            .iter()
            .map(|layer| (layer.name.as_str(), layer.value.as_deref().unwrap_or_default(), layer.source))
            .collect();
        let expected = [
            ("retention.ms", "60000", FROM_TOPIC),
            ("log.retention.ms", "3600000", FROM_BROKER_FILE),
            ("log.retention.ms", "604800000", FROM_DEFAULT),
        ];
        assert_eq!(layers, expected, "v{version}");
        if version >= 3 {
            assert!(retention.documentation.as_ref().is_some_and(|words| words.contains("kept")));
        }
        let without = wire.call(version, &of(vec![resource(TOPIC, "trades")])).results.remove(0);
        let documentation = &find(&without, "retention.ms").documentation;
        assert!(documentation.as_ref().is_none_or(|words| words.is_empty()), "v{version}: {documentation:?}");
    }
}

#[test]
fn only_the_keys_that_are_asked_for_are_told() {
    let server = server();
    let mut wire = server.wire();
    for version in 1..=4 {
        let asked =
            resource(TOPIC, "trades").with_configuration_keys(Some(vec![text("cleanup.policy"), text("no.such.key")]));
        let result = wire.call(version, &of(vec![asked])).results.remove(0);
        assert_eq!((result.error_code, result.configs.len()), (0, 1), "v{version}");
        let empty = resource(TOPIC, "trades").with_configuration_keys(Some(Vec::new()));
        assert!(wire.call(version, &of(vec![empty])).results[0].configs.len() > 30, "v{version}");
    }
}

#[test]
fn the_broker_tells_its_keys() {
    let server = server();
    let mut wire = server.wire();
    for version in 1..=4 {
        let request = of(vec![resource(BROKER, "1"), resource(BROKER, "")]);
        let answer = wire.call(version, &request);
        let broker = &answer.results[0];
        assert!(broker.configs.iter().all(|config| config.read_only));
        let retention = find(broker, "log.retention.ms");
        assert_eq!((retention.value.as_deref(), retention.config_source), (Some("3600000"), FROM_BROKER_FILE));
        for key in ["broker.id", "num.partitions", "auto.create.topics.enable", "default.replication.factor"] {
            assert!(find(broker, key).value.is_some(), "{key}");
        }
        assert_eq!((answer.results[1].error_code, answer.results[1].configs.len()), (0, 0), "v{version}");
    }
}

#[test]
fn the_broker_tells_where_it_was_reached_though_any_port_would_do() {
    let server = Server::start();
    let told = |server: &Server, key: &str| {
        let answer = server.wire().call(4, &of(vec![resource(BROKER, "1")]));
        find(&answer.results[0], key).value.as_ref().expect("it has one").to_string()
    };
    for key in ["listeners", "advertised.listeners"] {
        assert_eq!(told(&server, key), format!("PLAINTEXT://{}", server.kafka()));
    }
    let advertising = Server::builder().argument("--advertised").argument("broker.example:19092").start();
    assert_eq!(told(&advertising, "listeners"), format!("PLAINTEXT://{}", advertising.kafka()));
    assert_eq!(told(&advertising, "advertised.listeners"), "PLAINTEXT://broker.example:19092");
}

#[test]
fn what_has_no_configuration_is_refused_by_itself() {
    let server = server();
    let mut wire = server.wire();
    for version in 1..=4 {
        let cases = [
            (TOPIC, "missing", UNKNOWN_TOPIC_OR_PARTITION),
            (TOPIC, "no name", INVALID_TOPIC_EXCEPTION),
            (BROKER, "2", INVALID_REQUEST),
            (BROKER, "one", INVALID_REQUEST),
            (8, "1", INVALID_REQUEST),
            (0, "", INVALID_REQUEST),
            (-1, "x", INVALID_REQUEST),
            (TOPIC, "trades", 0),
        ];
        let request = of(cases.iter().map(|(kind, name, _)| resource(*kind, name)).collect());
        let answer = wire.call(version, &request);
        for (result, (kind, name, code)) in answer.results.iter().zip(cases) {
            assert_eq!((result.error_code, result.resource_type), (code, kind), "v{version} {name}");
            assert_eq!(result.resource_name.as_str(), name);
            assert_eq!(result.configs.is_empty(), code != 0);
            assert_eq!(result.error_message.is_some(), code != 0);
        }
    }
}
