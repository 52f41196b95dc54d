//! What is told to who names nothing: on the listener that shows everything volume `default` and listed volumes, on that of a
//! volume or snapshot its own topics, and never a clone, a snapshot or another volume's positions. Else consumers by regex and
//! `MirrorMaker` (`.*`) would eat a clone the second that it appears. Every listing is made by one function; each is asked here.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeLogDirsRequest, DescribeTopicPartitionsRequest, ListGroupsRequest, MetadataRequest,
    OffsetFetchRequest,
};
use millpond_compat_tests::requests::{commit, text};

use super::*;
use crate::group::id;

/// Topics in `default`, `trading`, its clone `v2` and a volume that is not listed; a snapshot `close` of `trading`; a position
/// of group `app` in each.
fn world() -> Server {
    let server = pond_with_trades();
    let mut wire = server.wire();
    append(&mut wire, TRADES, "a");
    assert_eq!(wire.call(9, &commit("app", TRADES, 0, 1, "")).topics[0].partitions[0].error_code, 0);
    snapshot(&server, "trading", "close");
    clone(&server, "trading@close", "v2");
    post(&server, "volumes", &json!({ "name": "hidden", "listed": false }));
    for topic in ["plain", "v2.taq.more", "hidden.default.topic"] {
        create(&mut wire, topic);
        append(&mut wire, topic, "a");
        assert_eq!(wire.call(9, &commit("app", topic, 0, 1, "")).topics[0].partitions[0].error_code, 0);
    }
    server
}

/// The topics by each way of asking for all, which must agree.
fn listed(wire: &mut Wire) -> Vec<String> {
    let answer = wire.call(12, &MetadataRequest::default().with_topics(None)).topics.into_iter();
    let by_metadata: Vec<String> =
        answer.filter(|topic| !topic.is_internal).map(|topic| topic.name.expect("named").as_str().to_owned()).collect();
    let request = DescribeTopicPartitionsRequest::default().with_response_partition_limit(100);
    let answer = wire.call(0, &request).topics.into_iter();
    let by_partitions: Vec<String> =
        answer.filter(|topic| !topic.is_internal).map(|topic| topic.name.expect("named").as_str().to_owned()).collect();
    assert_eq!(by_partitions, by_metadata);
    let answer = wire.call(4, &DescribeLogDirsRequest::default().with_topics(None)).results.remove(0);
    let mut by_dirs: Vec<String> = answer.topics.into_iter().map(|topic| topic.name.as_str().to_owned()).collect();
    by_dirs.retain(|topic| topic != "__consumer_offsets");
    by_dirs.sort_unstable();
    assert_eq!(by_dirs, by_metadata);
    by_metadata
}

/// The topics in which group `app` has positions, by a request for all, and whether the group is listed.
fn with_positions(wire: &mut Wire) -> (Vec<String>, bool) {
    let group = OffsetFetchRequestGroup::default().with_group_id(id("app")).with_member_epoch(-1).with_topics(None);
    let answer = wire.call(9, &OffsetFetchRequest::default().with_groups(vec![group])).groups.remove(0);
    assert_eq!(answer.error_code, 0);
    let mut topics: Vec<String> = answer.topics.into_iter().map(|topic| topic.name.as_str().to_owned()).collect();
    topics.sort_unstable();
    let groups = wire.call(4, &ListGroupsRequest::default()).groups;
    (topics, groups.iter().any(|group| group.group_id.as_str() == "app"))
}

#[test]
fn the_listener_that_shows_everything_lists_default_and_listed_volumes() {
    let server = world();
    let mut wire = server.wire();
    assert_eq!(listed(&mut wire), ["plain", TRADES]);
    assert_eq!(with_positions(&mut wire), (vec!["plain".to_owned(), TRADES.to_owned()], true));
    // What is not listed is there for who names it.
    for topic in ["v2.taq.trades", "hidden.default.topic", "trading.-close.taq.trades", "v2.default.__consumer_offsets"]
    {
        let described = described(&mut wire, topic);
        assert_eq!((described.error_code, described.is_internal), (0, topic.contains("__")), "{topic}");
    }
    let asked = DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("v2.taq.trades"))
        .with_configuration_keys(None);
    let answer = wire.call(4, &DescribeConfigsRequest::default().with_resources(vec![asked]));
    assert_eq!(answer.results[0].error_code, 0);
}

#[test]
fn the_listener_of_a_volume_or_snapshot_lists_its_own() {
    let server = world();
    for (shows, topics, positions) in [
        ("v2", &["taq.more", "taq.trades"][..], &["taq.more", "taq.trades"][..]),
        ("trading", &["taq.trades"], &["taq.trades"]),
        ("hidden", &["topic"], &["topic"]),
        ("trading@close", &["taq.trades"], &["taq.trades"]),
    ] {
        let mut wire = Wire::connect(&listen(&server, shows));
        assert_eq!(listed(&mut wire), topics, "{shows}");
        let (with_positions, is_listed) = with_positions(&mut wire);
        assert_eq!(
            (with_positions, is_listed),
            (positions.iter().map(|&name| name.to_owned()).collect(), true),
            "{shows}"
        );
    }
}

#[test]
fn a_volume_that_is_listed_no_more_is_still_there_for_who_names_it() {
    let server = world();
    let mut wire = server.wire();
    call(server.http(), "PATCH", "/volumes/trading", &json!({ "listed": false }));
    assert_eq!(listed(&mut wire), ["plain"]);
    assert_eq!(append(&mut wire, TRADES, "b"), 1);
    call(server.http(), "PATCH", "/volumes/v2", &json!({ "listed": true }));
    assert_eq!(listed(&mut wire), ["plain", "v2.taq.more", "v2.taq.trades"]);
}
