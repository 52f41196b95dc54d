//! `AlterConfigs`, versions 0–2.

use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{AlterConfigsRequest, DescribeConfigsRequest};
use millpond_compat_tests::requests::{create_topic, text};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_CONFIG: i16 = 40;
const INVALID_REQUEST: i16 = 42;

/// Keys with their values.
type Keys<'a> = &'a [(&'a str, Option<&'a str>)];

fn resource(kind: i8, name: &str, keys: Keys<'_>) -> AlterConfigsResource {
    let configs =
        keys.iter().map(|(key, value)| AlterableConfig::default().with_name(text(key)).with_value(value.map(text)));
    AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(configs.collect())
}

fn of(resources: Vec<AlterConfigsResource>) -> AlterConfigsRequest {
    AlterConfigsRequest::default().with_resources(resources)
}

/// The keys that a topic has of its own, with their values.
fn own(wire: &mut Wire, topic: &str) -> Vec<(String, String)> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_configuration_keys(None);
    let answer = wire.call(4, &DescribeConfigsRequest::default().with_resources(vec![resource]));
    let own = answer.results[0].configs.iter().filter(|config| config.config_source == 1);
    own.map(|config| (config.name.to_string(), config.value.as_ref().expect("it has one").to_string())).collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn all_that_is_set_is_replaced_in_every_version() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    for version in 0..=2 {
        let two = [("retention.ms", Some("60000")), ("segment.ms", Some("1000"))];
        let answer = wire.call(version, &of(vec![resource(TOPIC, "trades", &two)]));
        assert_eq!((answer.responses[0].error_code, &answer.responses[0].error_message), (0, &None), "v{version}");
        assert_eq!(own(&mut wire, "trades"), [pair("retention.ms", "60000"), pair("segment.ms", "1000")]);
        wire.call(version, &of(vec![resource(TOPIC, "trades", &[("retention.bytes", Some("5"))])]));
        assert_eq!(own(&mut wire, "trades"), [pair("retention.bytes", "5")]);
        wire.call(version, &of(vec![resource(TOPIC, "trades", &[])]));
        assert_eq!(own(&mut wire, "trades"), []);
    }
}

#[test]
fn refusals_change_nothing() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    wire.call(7, &create_topic("quotes", 1));
    wire.call(2, &of(vec![resource(TOPIC, "trades", &[("retention.ms", Some("7"))])]));
    for version in 0..=2 {
        let good: Keys<'_> = &[("retention.ms", Some("5"))];
        let cases: [(i8, &str, Keys<'_>, i16); 9] = [
            (TOPIC, "missing", good, UNKNOWN_TOPIC_OR_PARTITION),
            (TOPIC, "trades", &[("retention.ms", Some("5")), ("no.such.key", Some("1"))], INVALID_CONFIG),
            (TOPIC, "quotes", good, INVALID_REQUEST),
            (TOPIC, "quotes", good, INVALID_REQUEST),
            (BROKER, "1", &[("num.partitions", Some("5"))], INVALID_REQUEST),
            (BROKER, "one", &[], INVALID_REQUEST),
            (8, "1", good, INVALID_REQUEST),
            (TOPIC, "/default/default:trades", &[("retention.ms", None)], INVALID_REQUEST),
            (
                TOPIC,
                "/default/default:quotes",
                &[("segment.ms", Some("1")), ("segment.ms", Some("2"))],
                INVALID_REQUEST,
            ),
        ];
        let request = of(cases.iter().map(|(kind, name, keys, _)| resource(*kind, name, keys)).collect());
        let answer = wire.call(version, &request);
        for (response, (kind, name, _, code)) in answer.responses.iter().zip(cases) {
            assert_eq!(response.error_code, code, "v{version} {kind} {name}: {:?}", response.error_message);
            assert_eq!((response.resource_type, response.resource_name.as_str()), (kind, name));
        }
        assert_eq!(own(&mut wire, "trades"), [pair("retention.ms", "7")]);
        assert_eq!(own(&mut wire, "quotes"), []);
    }
}

#[test]
fn what_is_only_validated_is_not_changed() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    for version in 0..=2 {
        for (value, code) in [("5", 0), ("x", INVALID_CONFIG)] {
            let request =
                of(vec![resource(TOPIC, "trades", &[("retention.ms", Some(value))])]).with_validate_only(true);
            assert_eq!(wire.call(version, &request).responses[0].error_code, code, "v{version} {value}");
        }
        assert_eq!(own(&mut wire, "trades"), []);
    }
}
