//! `IncrementalAlterConfigs`, versions 0–1.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use millpond_compat_tests::requests::{create_topic, text};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC_EXCEPTION: i16 = 17;
const INVALID_CONFIG: i16 = 40;
const INVALID_REQUEST: i16 = 42;

/// Keys, each with an operation and a value.
type Edits<'a> = &'a [(&'a str, i8, Option<&'a str>)];

fn resource(kind: i8, name: &str, edits: Edits<'_>) -> AlterConfigsResource {
    let configs = edits.iter().map(|(key, operation, value)| {
        AlterableConfig::default().with_name(text(key)).with_config_operation(*operation).with_value(value.map(text))
    });
    AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(configs.collect())
}

fn of(resources: Vec<AlterConfigsResource>) -> IncrementalAlterConfigsRequest {
    IncrementalAlterConfigsRequest::default().with_resources(resources)
}

/// The value of a topic's key, and whether the topic has it of its own.
fn value(wire: &mut Wire, topic: &str, key: &str) -> (String, bool) {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_configuration_keys(Some(vec![text(key)]));
    let mut answer = wire.call(4, &DescribeConfigsRequest::default().with_resources(vec![resource]));
    let config = answer.results.remove(0).configs.remove(0);
    (config.value.expect("it has one").to_string(), config.config_source == 1)
}

fn server() -> Server {
    let server = Server::start();
    for topic in ["trades", "quotes"] {
        assert_eq!(server.wire().call(7, &create_topic(topic, 1)).topics[0].error_code, 0);
    }
    server
}

#[test]
fn keys_are_set_and_unset_and_lists_changed_in_every_version() {
    let server = server();
    let mut wire = server.wire();
    for version in 0..=1 {
        let set = [("retention.ms", SET, Some("60000")), ("segment.bytes", SET, Some(" 2097152 "))];
        let list = [("cleanup.policy", APPEND, Some("compact"))];
        let answer = wire.call(version, &of(vec![resource(TOPIC, "trades", &set), resource(TOPIC, "quotes", &list)]));
        for (response, name) in answer.responses.iter().zip(["trades", "quotes"]) {
            assert_eq!((response.error_code, &response.error_message), (0, &None), "v{version}");
            assert_eq!((response.resource_type, response.resource_name.as_str()), (TOPIC, name));
        }
        assert_eq!(value(&mut wire, "trades", "retention.ms"), ("60000".to_owned(), true));
        assert_eq!(value(&mut wire, "trades", "segment.bytes"), ("2097152".to_owned(), true));
        assert_eq!(value(&mut wire, "quotes", "cleanup.policy"), ("delete,compact".to_owned(), true));
        let alone = [("cleanup.policy", SUBTRACT, Some("delete"))];
        assert_eq!(wire.call(version, &of(vec![resource(TOPIC, "quotes", &alone)])).responses[0].error_code, 0);
        assert_eq!(value(&mut wire, "quotes", "cleanup.policy"), ("compact".to_owned(), true));
        let unset = [("cleanup.policy", DELETE, None)];
        assert_eq!(wire.call(version, &of(vec![resource(TOPIC, "quotes", &unset)])).responses[0].error_code, 0);
        let unset = [("retention.ms", DELETE, None), ("segment.bytes", DELETE, Some("anything"))];
        assert_eq!(wire.call(version, &of(vec![resource(TOPIC, "trades", &unset)])).responses[0].error_code, 0);
        assert_eq!(value(&mut wire, "trades", "retention.ms"), ("604800000".to_owned(), false));
        assert!(!value(&mut wire, "trades", "segment.bytes").1);
    }
}

#[test]
fn a_resource_is_changed_whole_or_not_at_all() {
    let server = server();
    let mut wire = server.wire();
    for version in 0..=1 {
        let cases: [(Edits<'_>, i16, &str); 10] = [
            (&[("retention.ms", SET, Some("5")), ("no.such.key", SET, Some("1"))], INVALID_CONFIG, "no.such.key"),
            (&[("retention.ms", SET, Some("5")), ("segment.ms", SET, Some("0"))], INVALID_CONFIG, "segment.ms"),
            (&[("cleanup.policy", SET, Some("burn"))], INVALID_CONFIG, "cleanup.policy"),
            (&[("cleanup.policy", APPEND, Some("compact,burn"))], INVALID_CONFIG, "cleanup.policy"),
            (
                &[("min.compaction.lag.ms", SET, Some("6")), ("max.compaction.lag.ms", SET, Some("5"))],
                INVALID_CONFIG,
                "above",
            ),
            (&[("cleanup.policy", SUBTRACT, Some("delete"))], INVALID_CONFIG, "cleanup.policy"),
            (&[("retention.ms", APPEND, Some("1"))], INVALID_CONFIG, "LIST"),
            (&[("retention.ms", SET, None)], INVALID_REQUEST, "Null value"),
            (&[("retention.ms", SET, Some("5")), ("retention.ms", DELETE, None)], INVALID_REQUEST, "duplicate"),
            (&[("retention.ms", 9, Some("5"))], INVALID_REQUEST, "operations type 9"),
        ];
        for (edits, code, words) in cases {
            let response = wire.call(version, &of(vec![resource(TOPIC, "trades", edits)])).responses.remove(0);
            let message = response.error_message.unwrap_or_default();
            assert_eq!(response.error_code, code, "{edits:?}: {message}");
            assert!(message.contains(words), "{edits:?}: {message}");
            assert!(!value(&mut wire, "trades", "retention.ms").1, "{edits:?} changed something");
        }
    }
}

#[test]
fn each_resource_is_refused_by_itself() {
    let server = server();
    let mut wire = server.wire();
    for version in 0..=1 {
        let set: Edits<'_> = &[("retention.ms", SET, Some("5"))];
        let cases = [
            (TOPIC, "missing", set, UNKNOWN_TOPIC_OR_PARTITION),
            (TOPIC, "no name", set, INVALID_TOPIC_EXCEPTION),
            (TOPIC, "__consumer_offsets", set, INVALID_TOPIC_EXCEPTION),
            (TOPIC, "quotes", set, INVALID_REQUEST),
            (TOPIC, "quotes", set, INVALID_REQUEST),
            (BROKER, "1", &[("log.retention.ms", SET, Some("5"))], INVALID_REQUEST),
            (BROKER, "2", &[], INVALID_REQUEST),
            (BROKER, "", &[], 0),
            (16, "x", set, INVALID_REQUEST),
            (TOPIC, "trades", set, 0),
        ];
        let request = of(cases.iter().map(|(kind, name, edits, _)| resource(*kind, name, edits)).collect());
        let answer = wire.call(version, &request);
        for (response, (kind, name, _, code)) in answer.responses.iter().zip(cases) {
            assert_eq!(response.error_code, code, "v{version} {kind} {name}: {:?}", response.error_message);
        }
        assert!(!value(&mut wire, "quotes", "retention.ms").1);
        assert!(value(&mut wire, "trades", "retention.ms").1);
    }
}

#[test]
fn what_is_only_validated_is_not_changed() {
    let server = server();
    let mut wire = server.wire();
    for version in 0..=1 {
        for (value, code) in [("5", 0), ("x", INVALID_CONFIG)] {
            let edits = [("retention.ms", SET, Some(value))];
            let request = of(vec![resource(TOPIC, "trades", &edits)]).with_validate_only(true);
            assert_eq!(wire.call(version, &request).responses[0].error_code, code, "v{version} {value}");
        }
        assert!(!value(&mut wire, "trades", "retention.ms").1);
    }
}

#[test]
fn changes_outlive_a_crash() {
    let mut server = server();
    let set = [("retention.ms", SET, Some("60000"))];
    assert_eq!(server.wire().call(1, &of(vec![resource(TOPIC, "trades", &set)])).responses[0].error_code, 0);
    server.kill();
    server.restart();
    assert_eq!(value(&mut server.wire(), "trades", "retention.ms"), ("60000".to_owned(), true));
}
