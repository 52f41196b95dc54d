"""Administration: creating with settings, configurations, the cluster."""

from confluent_kafka import KafkaError
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
    ResourceType,
)

from cases import (
    WAIT_S,
    admin,
    case,
    fails_with,
    fresh,
    make_topic,
    only,
    result,
    wait_until,
)

SET, DELETE, APPEND = AlterConfigOpType.SET, AlterConfigOpType.DELETE, AlterConfigOpType.APPEND


def configs(address, topic):
    return only(admin(address).describe_configs([ConfigResource(ResourceType.TOPIC, topic)]))


def alter(address, topic, operation, key, value, validate_only=False):
    entry = ConfigEntry(key, value, incremental_operation=operation)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    return only(admin(address).incremental_alter_configs([resource], validate_only=validate_only))


def create(address, name, validate_only=False, **arguments):
    arguments = {"num_partitions": 1, "replication_factor": 1, **arguments}
    return only(admin(address).create_topics([NewTopic(name, **arguments)], validate_only=validate_only))


def topics(address):
    return admin(address).list_topics(timeout=WAIT_S).topics


@case
def creating_twice_is_refused(address):
    topic = make_topic(address)
    fails_with(KafkaError.TOPIC_ALREADY_EXISTS, lambda: create(address, topic))


@case
def validate_only_creates_nothing_and_still_refuses(address):
    topic = fresh("topic")
    create(address, topic, validate_only=True)
    assert topic not in topics(address)
    fails_with(KafkaError.INVALID_CONFIG, lambda: create(address, topic, validate_only=True, config={"no.such": "1"}))


@case
def impossible_topics_are_refused(address):
    name = fresh("topic")
    fails_with(KafkaError.INVALID_PARTITIONS, lambda: create(address, name, num_partitions=0))
    fails_with(KafkaError.INVALID_REPLICATION_FACTOR, lambda: create(address, name, replication_factor=3))
    for config in ({"no.such.key": "1"}, {"retention.ms": "soon"}, {"segment.bytes": "-5"}, {"cleanup.policy": "burn"}):
        fails_with(KafkaError.INVALID_CONFIG, lambda config=config: create(address, name, config=config))
    assert name not in topics(address)


@case
def one_bad_topic_does_not_spoil_the_others(address):
    good, bad = fresh("good"), fresh("bad")
    wanted = [NewTopic(good, 1, 1), NewTopic(bad, 1, 1, config={"no.such.key": "1"})]
    futures = admin(address).create_topics(wanted)
    futures[good].result(WAIT_S)
    fails_with(KafkaError.INVALID_CONFIG, lambda: futures[bad].result(WAIT_S))
    found = topics(address)
    assert good in found and bad not in found


@case
def minus_one_means_the_brokers_default(address):
    topic = fresh("topic")
    create(address, topic, num_partitions=-1, replication_factor=-1)
    assert len(topics(address)[topic].partitions) >= 1


@case
def settings_given_at_creation_are_overrides_and_the_rest_defaults(address):
    topic = make_topic(address, config={"retention.ms": "123456789", "max.message.bytes": "54321"})
    found = configs(address, topic)
    assert found["retention.ms"].value == "123456789"
    assert found["max.message.bytes"].value == "54321"
    topic_source = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    assert {k for k, entry in found.items() if entry.source == topic_source} == {"retention.ms", "max.message.bytes"}
    expected = {
        "cleanup.policy": "delete",
        "compression.type": "producer",
        "message.timestamp.type": "CreateTime",
        "min.insync.replicas": "1",
        "retention.bytes": "-1",
        "segment.bytes": "1073741824",
    }
    assert {key: found[key].value for key in expected} == expected


@case
def a_set_value_shows_and_a_deleted_one_falls_back(address):
    topic = make_topic(address)
    default = configs(address, topic)["retention.ms"].value
    alter(address, topic, SET, "retention.ms", "7200000")

    def shows(value, source):
        entry = configs(address, topic)["retention.ms"]
        return entry.value == value and (entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value) == source

    wait_until("the set value", lambda: shows("7200000", True))
    alter(address, topic, DELETE, "retention.ms", None)
    wait_until("the default", lambda: shows(default, False))


@case
def a_list_is_appended_to_without_doubles(address):
    topic = make_topic(address)
    alter(address, topic, APPEND, "cleanup.policy", "delete")
    assert configs(address, topic)["cleanup.policy"].value == "delete"
    fails_with(KafkaError.INVALID_CONFIG, lambda: alter(address, topic, APPEND, "retention.ms", "5"))


@case
def bad_settings_are_refused_and_change_nothing(address):
    topic = make_topic(address)
    before = {k: e.value for k, e in configs(address, topic).items()}
    for key, value in (("no.such.key", "1"), ("retention.ms", "soon"), ("segment.bytes", "1"), ("min.insync.replicas", "0")):
        fails_with(KafkaError.INVALID_CONFIG, lambda key=key, value=value: alter(address, topic, SET, key, value))
    alter(address, topic, SET, "retention.ms", "1000", validate_only=True)
    assert {k: e.value for k, e in configs(address, topic).items()} == before
    fails_with(KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: alter(address, fresh("absent"), SET, "retention.ms", "1"))


@case
def the_old_alter_configs_replaces_all_overrides(address):
    topic = make_topic(address, config={"retention.ms": "1000000", "max.message.bytes": "54321"})
    resource = ConfigResource(ResourceType.TOPIC, topic, set_config={"retention.ms": "2000000"})
    result(admin(address).alter_configs([resource]))

    def replaced():
        found = configs(address, topic)
        return found["retention.ms"].value == "2000000" and found["max.message.bytes"].value != "54321"

    wait_until("the overrides are replaced", replaced)


@case
def describe_configs_of_an_absent_topic_is_an_error(address):
    fails_with(KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: configs(address, fresh("absent")))


@case
def broker_settings_are_described(address):
    node = only_node(address)
    found = only(admin(address).describe_configs([ConfigResource(ResourceType.BROKER, str(node.id))]))
    for key in ("log.retention.ms", "message.max.bytes", "num.partitions", "auto.create.topics.enable"):
        assert key in found, key
    assert int(found["num.partitions"].value) >= 1


def only_node(address):
    (node,) = admin(address).describe_cluster().result(WAIT_S).nodes
    return node


@case
def the_cluster_describes_itself(address):
    cluster = admin(address).describe_cluster().result(WAIT_S)
    (node,) = cluster.nodes
    assert cluster.cluster_id and cluster.controller.id == node.id
    assert f"{node.host}:{node.port}" == address
    again = admin(address).describe_cluster().result(WAIT_S)
    assert again.cluster_id == cluster.cluster_id
    listed = admin(address).list_topics(timeout=WAIT_S)
    assert listed.cluster_id == cluster.cluster_id and list(listed.brokers) == [node.id]
    assert listed.controller_id == node.id
