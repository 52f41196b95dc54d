//! Connecting, negotiating versions, finding leaders, creating topics.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, MetadataRequest, ProduceRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::fake::{FakeCluster, Fault};
use crate::client::{Client, ClientError, Connection, ConnectionOptions, OffsetAt, TopicState};
use crate::config::Address;

#[tokio::test]
async fn an_older_broker_is_asked_for_its_versions_in_one_that_it_knows() {
    let cluster = FakeCluster::start(1).await;
    cluster.world().offered.insert(ApiKey::ApiVersions as i16, Some((0, 1)));
    cluster.world().offered.insert(ApiKey::Metadata as i16, Some((0, 4)));
    cluster.client().await;
    let seen = cluster.world().seen.clone();
    assert_eq!(seen, [(18, 3, 0), (18, 1, 0), (3, 4, 0)]);
}

#[tokio::test]
async fn an_api_without_a_common_version_is_refused_here() {
    let cluster = FakeCluster::start(1).await;
    cluster.world().offered.insert(ApiKey::Produce as i16, Some((0, 2)));
    let connection = Connection::open(&cluster.address(0), &ConnectionOptions::default()).await.unwrap();
    assert!(!connection.offers::<ProduceRequest>());
    let error = connection.request(&ProduceRequest::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unsupported { api: "Produce", .. }), "{error}");
    assert_eq!(cluster.count(ApiKey::Produce), 0);
}

#[tokio::test]
async fn pipelined_answers_find_their_requests() {
    let cluster = FakeCluster::start(1).await;
    let connection = Connection::open(&cluster.address(0), &ConnectionOptions::default()).await.unwrap();
    for topic in ["a", "b", "c"] {
        cluster.add_topic(topic, 1);
    }
    let ask = |topic: &str| {
        let asked = kafka_protocol::messages::metadata_request::MetadataRequestTopic::default()
            .with_name(Some(crate::client::cluster::topic_name(topic)));
        MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false)
    };
    let answers: Vec<_> = ["a", "b", "c"].map(|topic| connection.submit(&ask(topic)).unwrap()).into();
    for (answer, topic) in answers.into_iter().zip(["a", "b", "c"]).rev() {
        let answer = answer.receive(std::time::Duration::ZERO).await.unwrap();
        assert_eq!(answer.topics[0].name.as_ref().unwrap().as_str(), topic);
    }
}

#[tokio::test]
async fn a_closed_connection_ends_all_who_wait_and_is_replaced() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let client = cluster.client().await;
    cluster.fail(ApiKey::Metadata, [Some(Fault::Close)]);
    let error = client.refresh("t").await.unwrap_err();
    assert!(matches!(error, ClientError::Disconnected { .. }), "{error}");
    assert_eq!(client.refresh("t").await.unwrap().partitions().len(), 1);
}

#[tokio::test]
async fn nobody_listening_is_said_with_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::from(listener.local_addr().unwrap());
    drop(listener);
    let error = Client::connect(vec![address.clone()], ConnectionOptions::default()).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("no broker at {address}: Connection refused")), "{error}");
}

#[tokio::test]
async fn something_that_is_not_kafka_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::from(listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    });
    let error = Client::connect(vec![address], ConnectionOptions::default()).await.unwrap_err();
    assert!(error.to_string().ends_with("does not speak Kafka's protocol: it answers in HTTP"), "{error}");
}

#[tokio::test]
async fn the_next_bootstrap_address_is_tried() {
    let cluster = FakeCluster::start(1).await;
    let dead = Address { host: "127.0.0.1".to_owned(), port: 1 };
    Client::connect(vec![dead, cluster.address(0)], ConnectionOptions::default()).await.unwrap();
}

#[tokio::test]
async fn topics_are_created_once() {
    let cluster = FakeCluster::start(2).await;
    let client = cluster.client().await;
    assert!(matches!(client.topic("t").await, Err(ClientError::UnknownTopic { .. })));
    assert_eq!(client.ensure_topic("t", Some(5)).await.unwrap(), TopicState::Created);
    assert_eq!(client.ensure_topic("t", Some(9)).await.unwrap(), TopicState::Existing);
    assert_eq!(client.topic("t").await.unwrap().partitions().len(), 5);
    assert_eq!(client.ensure_topic("u", None).await.unwrap(), TopicState::Created);
    assert_eq!(client.topic("u").await.unwrap().partitions().len(), 3, "as many as the broker likes");
}

#[tokio::test]
async fn a_refused_topic_says_why() {
    let cluster = FakeCluster::start(1).await;
    cluster.fail(ApiKey::CreateTopics, [Some(Fault::Code(ResponseError::PolicyViolation))]);
    let error = cluster.client().await.ensure_topic("t", None).await.unwrap_err();
    assert_eq!(error.to_string(), "creating topic t: POLICY_VIOLATION (44)");
}

#[tokio::test]
async fn offsets_come_from_each_leader_and_survive_its_move() {
    let cluster = FakeCluster::start(3).await;
    cluster.add_topic("t", 6);
    let client = cluster.client().await;
    client.topic("t").await.unwrap();
    cluster.world().topics.get_mut("t").unwrap()[4].leader = 0;
    for log in cluster.world().topics.get_mut("t").unwrap() {
        log.start = 7;
    }
    let offsets = client.offsets("t", &[0, 1, 2, 3, 4, 5], OffsetAt::Latest).await.unwrap();
    assert_eq!(offsets.into_values().collect::<Vec<_>>(), [7; 6]);
    let error = client.offsets("t", &[6], OffsetAt::Latest).await.unwrap_err();
    assert_eq!(error.to_string(), "topic t has no partition 6");
}
