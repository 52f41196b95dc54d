//! Handlers over several volumes and a snapshot: what clients of each scope are answered.

use std::sync::{Arc, mpsc};

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{FetchRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest};

use super::super::error::ErrorCode;
use super::super::*;
use super::codes::delete_records_request;
use super::support::{World, call, code, commit, committed, ctx, fetch, fetch_request, name, world};
use crate::broker::{Broker, Scope};
use crate::topics::fixture::{batch, batch_of_producer};

#[tokio::test]
async fn a_snapshot_is_consumed_like_a_topic() {
    let World { broker, fixture: _fixture, snapshot } = world().await;
    let asked = MetadataRequestTopic::default().with_name(Some(name("trading.-close.taq.trades")));
    let request = MetadataRequest::default().with_topics(Some(vec![asked]));
    let answer = call::<metadata::Metadata>(&ctx(&broker, Scope::Everything, 9), request).await;
    assert_eq!(answer.topics[0].error_code, 0, "it was waited for");
    let Scope::Snapshot(pin) = snapshot else { panic!("it is one") };
    let _loaded = broker.topics.load(pin).await.unwrap();
    for (scope, topic) in [
        (snapshot, "taq.trades"),
        (Scope::Everything, "trading.-close.taq.trades"),
        (Scope::Everything, "/trading/.snapshot/close/taq:trades"),
    ] {
        let ctx = ctx(&broker, scope, 12);
        let answer = fetch(&ctx, fetch_request(topic, 0, -1, 0)).await;
        let partition = &answer.responses[0].partitions[0];
        assert_eq!((partition.error_code, partition.high_watermark), (0, 2), "{topic}");
        assert!(partition.records.as_ref().is_some_and(|records| !records.is_empty()), "{topic}");
        let end = fetch(&ctx, fetch_request(topic, 2, -1, 20)).await;
        assert_eq!(end.responses[0].partitions[0].error_code, 0, "it waits and gives nothing");
        let beyond = fetch(&ctx, fetch_request(topic, 3, -1, 0)).await;
        assert_eq!(beyond.responses[0].partitions[0].error_code, code(ErrorCode::OffsetOutOfRange));
    }
    for (time, offset) in [(-1, 2), (-2, 0), (1001, 1), (5000, -1)] {
        let partition = ListOffsetsPartition::default().with_timestamp(time).with_current_leader_epoch(-1);
        let topic = ListOffsetsTopic::default().with_name(name("taq.trades")).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_topics(vec![topic]);
        let answer = call::<list_offsets::ListOffsets>(&ctx(&broker, snapshot, 5), request).await;
        assert_eq!(answer.topics[0].partitions[0].offset, offset, "at {time}");
    }
}

#[tokio::test]
async fn a_snapshot_takes_positions_and_no_records() {
    let World { broker, snapshot, .. } = world().await;
    let Scope::Snapshot(pin) = snapshot else { panic!("it is one") };
    let _loaded = broker.topics.load(pin).await.unwrap();
    let data = PartitionProduceData::default().with_records(Some(batch(&["x"])));
    let topic = TopicProduceData::default().with_name(name("taq.trades")).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic]);
    let answer = call::<produce::Produce>(&ctx(&broker, snapshot, 9), request).await;
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, code(ErrorCode::PolicyViolation));
    assert!(partition.error_message.as_ref().is_some_and(|why| why.contains("taq.trades")));

    assert_eq!(committed(&broker, snapshot, "taq.trades").await, 1, "as it was frozen");
    commit(&broker, snapshot, "taq.trades", 2).await;
    assert_eq!(committed(&broker, snapshot, "taq.trades").await, 2);
    assert_eq!(committed(&broker, Scope::Everything, "trading.-close.taq.trades").await, 2);
    assert_eq!(committed(&broker, Scope::Everything, "trading.taq.trades").await, 3, "the volume has its own");
    assert_eq!(broker.groups.list(snapshot).keys().collect::<Vec<_>>(), ["app"]);
}

#[tokio::test]
async fn a_clone_goes_on_with_positions_of_its_own() {
    let World { broker, fixture, snapshot } = world().await;
    let Scope::Snapshot(pin) = snapshot else { panic!("it is one") };
    let clone = Scope::Volume(fixture.clone_of(pin, "v2").await);
    assert_eq!(committed(&broker, clone, "taq.trades").await, 1);
    commit(&broker, clone, "taq.trades", 2).await;
    assert_eq!(committed(&broker, Scope::Everything, "v2.taq.trades").await, 2);
    assert_eq!(committed(&broker, Scope::Everything, "trading.taq.trades").await, 3);
}

#[tokio::test]
async fn a_restore_wakes_fetches_and_ends_sessions() {
    let World { broker, fixture, snapshot } = world().await;
    let Scope::Snapshot(pin) = snapshot else { panic!("it is one") };
    let ctx = ctx(&broker, Scope::Everything, 12);
    let first = fetch(&ctx, fetch_request("trading.taq.trades", 3, -1, 0).with_session_epoch(0)).await;
    assert_ne!(first.session_id, 0);
    let session = first.session_id;
    let again = FetchRequest::default().with_min_bytes(1).with_max_bytes(1 << 20).with_max_wait_ms(60_000);
    let parked = fetch(&ctx, again.clone().with_session_id(session).with_session_epoch(1));
    let (parked, _) = tokio::join!(parked, fixture.restore("trading", pin));
    assert_eq!(parked.responses[0].partitions[0].error_code, code(ErrorCode::FencedLeaderEpoch));
    let next = fetch(&ctx, again.with_session_id(session).with_session_epoch(2)).await;
    assert_eq!(next.error_code, code(ErrorCode::FetchSessionIdNotFound));
    assert_eq!(committed(&broker, Scope::Everything, "trading.taq.trades").await, 1, "positions went back, too");
    let old = fetch(&ctx, fetch_request("trading.taq.trades", 0, 0, 0)).await;
    assert_eq!(old.responses[0].partitions[0].error_code, code(ErrorCode::FencedLeaderEpoch));
}

/// It was meant for what the volume had then; decided in the successor, it would be done to other records.
#[tokio::test]
async fn a_deletion_of_records_that_waits_at_a_restore_is_refused() {
    let World { broker, fixture, snapshot } = world().await;
    let Scope::Snapshot(pin) = snapshot else { panic!("it is one") };
    let topic = "trading.taq.trades";
    let (ctx, request) = (ctx(&broker, Scope::Everything, 2), delete_records_request(topic));
    let (submitted, is_submitted) = mpsc::channel();
    let submit = move || submitted.send(delete_records::DeleteRecords::handle(&ctx, request)).unwrap();
    fixture.restore_while("trading", pin, submit).await;
    let Answer::Later(waiting) = is_submitted.recv().unwrap() else { panic!("it waits") };
    let Outcome::Message(answer) = waiting.await else { panic!("it is answered") };
    let refused = &answer.topics[0].partitions[0];
    assert_eq!((refused.error_code, refused.low_watermark), (code(ErrorCode::FencedLeaderEpoch), -1));
    let partition = broker.topics.resolve(Scope::Everything, topic).unwrap().partition(0).unwrap();
    assert_eq!((partition.log_start(), partition.high_watermark()), (0, 2));
}

/// Appends a batch of one record of an idempotent producer: where it went.
async fn produced(broker: &Arc<Broker>, scope: Scope, topic: &str, sequence: i32) -> (i16, i64) {
    let data = PartitionProduceData::default().with_records(Some(batch_of_producer(9, sequence)));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]);
    let answer = call::<produce::Produce>(&ctx(broker, scope, 9), request).await;
    let partition = &answer.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

/// It counts a sequence for each name that it knows, and that of the clone is new to it.
#[tokio::test]
async fn a_producer_that_wrote_to_a_volume_begins_anew_in_its_clone() {
    let World { broker, fixture, .. } = world().await;
    let live = async |sequence| produced(&broker, Scope::Everything, "trading.taq.trades", sequence).await;
    assert_eq!((live(0).await, live(1).await), ((0, 3), (0, 4)));
    let pin = fixture.snapshot("trading", "then").await;
    let clone = Scope::Volume(fixture.clone_of(pin, "v2").await);
    // A listener that moved from the volume to its clone: the producer goes on.
    assert_eq!(produced(&broker, clone, "taq.trades", 1).await, (0, 4), "a duplicate");
    let own = async |sequence| produced(&broker, Scope::Everything, "v2.taq.trades", sequence).await;
    assert_eq!((own(0).await, own(1).await), ((0, 5), (0, 6)), "no duplicates: they would be lost");
    assert_eq!((own(1).await, own(0).await), ((0, 6), (0, 5)), "these are");
    assert_eq!(own(3).await.0, code(ErrorCode::OutOfOrderSequenceNumber));
    assert_eq!((live(2).await, own(2).await), ((0, 5), (0, 7)));
}
