//! Volumes, snapshots, clones and restores for tests, made by the engine's own means.

use std::sync::Arc;

use bytes::Bytes;
use millpond_storage::batch::{BatchBuilder, NewRecord, Rules, TimestampType, check};
use millpond_storage::state::{Numbers, Pin, PinId, PinKind, Txn, Volume, VolumeId};
use millpond_storage::{
    Ack, Append, AppendPart, Engine, Fetched, NewTimeline, PinnedView, Read, Result, Stand, TimelineId,
};

use super::Resolved;
use crate::completion;
use crate::documents::{Collection, FormerVolume};

const RULES: Rules = Rules {
    now_ms: 0,
    timestamp_type: TimestampType::Create,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: i64::MAX,
    keys_required: false,
    zstd_allowed: true,
    every_record: true,
    batch_bytes_max: 1 << 20,
    plain_bytes_max: 1 << 20,
};

async fn waited<T: Send + 'static>(submit: impl FnOnce(Box<dyn FnOnce(Result<T>) + Send>)) -> T {
    let (done, outcome) = completion::pair();
    submit(Box::new(done));
    outcome.await.expect("the engine answers").expect("it is done")
}

/// An engine whose volumes are made and restored.
#[derive(Clone)]
pub(crate) struct Fixture(pub(crate) Arc<Engine>);

impl Fixture {
    pub(crate) fn volume_id(&self, name: &str) -> VolumeId {
        self.0.volume(name).expect("it is there").0.id
    }

    fn timeline(&self, name: &str) -> TimelineId {
        self.0.volume(name).expect("it is there").1.id()
    }

    /// A volume with these streams beside `default`.
    pub(crate) async fn volume(&self, name: &str, is_listed: bool, streams: &[&str]) -> VolumeId {
        let id = self.branch(name, is_listed, NewTimeline::default()).await;
        let (_, timeline) = self.0.volume(name).expect("just made");
        let streams: Vec<_> =
            streams.iter().map(|name| Collection::Streams.document(name, &serde_json::json!({}))).collect();
        let put = move |txn: &mut Txn<'_>| streams.into_iter().for_each(|stream| txn.put(stream));
        waited(|done| timeline.transact(put, done)).await;
        id
    }

    async fn branch(&self, name: &str, listed: bool, new: NewTimeline) -> VolumeId {
        let volume = Volume {
            name: name.into(),
            id: VolumeId(0),
            timeline: TimelineId(0),
            durability: None,
            created: 0,
            listed,
            mount: format!("/{name}").into(),
        };
        let named = waited(|done| {
            self.0.branch(
                new,
                move |txn, info| {
                    txn.put(Volume { id: info.volume, timeline: info.id, ..volume });
                    std::result::Result::<_, ()>::Ok(info.volume)
                },
                done,
            );
        });
        named.await.expect("it is not refused")
    }

    pub(crate) async fn snapshot(&self, volume: &str, name: &str) -> PinId {
        let (id, pinned, name) = (self.volume_id(volume), PinnedView::Now(self.timeline(volume)), name.to_owned());
        let made = waited(|done| {
            self.0.pin(
                pinned,
                move |txn, stand, pin| {
                    txn.put(pin_of(id, pin, stand, PinKind::Snapshot, &name));
                    std::result::Result::<_, ()>::Ok(pin)
                },
                done,
            );
        });
        made.await.expect("it is not refused")
    }

    pub(crate) async fn delete_snapshot(&self, pin: PinId) {
        let gone = waited(|done| self.0.unpin(pin, |_, pin| pin.map(|_| ()).ok_or(()), done));
        gone.await.expect("it was there");
    }

    fn view(&self, pin: PinId) -> (TimelineId, millpond_storage::Lsn) {
        self.0.system().state(|state| state.pin(pin).map(|pin| (pin.timeline, pin.lsn))).expect("it is there")
    }

    pub(crate) async fn clone_of(&self, pin: PinId, name: &str) -> VolumeId {
        self.branch(name, false, NewTimeline { from: Some(self.view(pin)), volume: None }).await
    }

    /// Restores a volume; the snapshot that keeps what it was.
    pub(crate) async fn restore(&self, volume: &str, pin: PinId) -> PinId {
        self.restore_while(volume, pin, || ()).await
    }

    /// The same; `meanwhile` is done just before the name moves, when what is submitted waits.
    pub(crate) async fn restore_while(
        &self,
        volume: &str,
        pin: PinId,
        meanwhile: impl FnOnce() + Send + 'static,
    ) -> PinId {
        let (known, old) = self.0.volume(volume).expect("it is there");
        let new = NewTimeline { from: Some(self.view(pin)), volume: Some(known.id) };
        let restored = waited(|done| {
            self.0.replace(
                old.id(),
                new,
                move |txn, info, end| {
                    meanwhile();
                    let pin = PinId(txn.take(Numbers::Pin, 1).expect("numbers are left"));
                    txn.put(pin_of(known.id, pin, end, PinKind::Safety, &format!("safety-{}", pin.0)));
                    txn.put(Volume { timeline: info.id, ..known });
                    std::result::Result::<_, ()>::Ok(pin)
                },
                done,
            );
        });
        restored.await.expect("it is not refused")
    }

    pub(crate) async fn delete_volume(&self, name: &str) {
        let (known, timeline) = self.0.volume(name).expect("it is there");
        let former = FormerVolume { id: known.id.0, mount: known.mount.to_string(), ..FormerVolume::default() };
        let former = Collection::FormerVolumes.document(name, &former);
        let gone = waited(|done| {
            self.0.unname(
                timeline.id(),
                move |txn| {
                    txn.put(former);
                    txn.delete::<Volume>(known.name);
                    std::result::Result::<_, ()>::Ok(())
                },
                done,
            );
        });
        gone.await.expect("it is not refused");
    }
}

fn pin_of(volume: VolumeId, id: PinId, stand: Stand, kind: PinKind, name: &str) -> Pin {
    Pin {
        id,
        timeline: stand.timeline,
        lsn: stand.lsn,
        kind,
        created: 0,
        volume,
        time: stand.time,
        expires: None,
        protected: false,
        name: name.into(),
        schedule: "".into(),
    }
}

/// A batch of these values, a millisecond apart from 1000 on.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    batch_at(1000, values)
}

/// A batch of one record of an idempotent producer.
pub(crate) fn batch_of_producer(id: i64, sequence: i32) -> Bytes {
    built(BatchBuilder::new().producer(id, 0, sequence), 1000, &["x"])
}

fn batch_at(time: i64, values: &[&str]) -> Bytes {
    built(BatchBuilder::new(), time, values)
}

fn built(mut builder: BatchBuilder, time: i64, values: &[&str]) -> Bytes {
    for (timestamp, value) in (time..).zip(values) {
        let record = NewRecord { value: Some(value.as_bytes()), timestamp, ..NewRecord::default() };
        builder.append(&record).expect("fits");
    }
    Bytes::from(builder.build().expect("a batch"))
}

/// Appends a batch of these values to partition 0; the offset of the first.
pub(crate) async fn append(topic: &Resolved, values: &[&str]) -> i64 {
    append_at(topic, 1000, values).await
}

/// The same with the first at this time.
pub(crate) async fn append_at(topic: &Resolved, time: i64, values: &[&str]) -> i64 {
    let batch = batch_at(time, values);
    let checked = check(&batch, &RULES).expect("sound");
    let partition = topic.partition(0).expect("it is there");
    let parts = vec![AppendPart { partition, batch, checked, stamp: false, name: 0, is_new_name: false }];
    let (done, appended) = completion::pair();
    topic.timeline.append(Append { parts, ack: Ack::Visible }, done);
    let mut appended: Vec<_> = appended.await.expect("it answers");
    appended.pop().expect("one part").expect("appended").base_offset
}

/// The bytes of partition 0 from an offset on, and where it ends.
pub(crate) async fn read(topic: &Resolved, from: i64) -> (usize, i64) {
    let partition = topic.partition(0).expect("it is there");
    let (done, fetched) = completion::pair();
    topic.view().read(&partition, Read { from, max_bytes: 1 << 20, at_least_one: true }, done);
    let fetched: Result<Fetched> = fetched.await.expect("it answers");
    let bounds = topic.bounds(&partition).await.expect("known");
    (fetched.expect("readable").bytes, bounds.high_watermark)
}
