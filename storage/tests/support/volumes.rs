//! What models of volumes have an engine do: pins, branches, restores, deletions.

use std::sync::Arc;

use millpond_storage::state::{LogStart, Numbers, PinId, PinKind, Txn, Volume};
use millpond_storage::{
    Engine, Error, Lsn, NewTimeline, PinnedView, Stand, Timeline, TimelineId, TopicPartition, Usage,
};

use crate::calls::wait;
use crate::facts::{pin, volume};

pub(crate) fn pin_view(engine: &Arc<Engine>, view: PinnedView) -> Result<(PinId, Stand), Error> {
    let pin = |txn: &mut Txn<'_>, stand: Stand, id| {
        txn.put(pin(id, stand, PinKind::Snapshot));
        Ok::<_, ()>((id, stand))
    };
    wait(|done| engine.pin(view, pin, done)).map(|pinned| pinned.expect("it is not refused"))
}

/// Deletes a pin, which frees what the engine says that it owns.
pub(crate) fn unpin(engine: &Arc<Engine>, id: PinId) {
    let before = usage(engine);
    let unpinned = wait(|done| engine.unpin(id, |_, pin| pin.map(|_| ()).ok_or(()), done));
    unpinned.expect("durable").expect("it was there");
    let dead = |usage: &Usage| usage.timelines.values().map(|of| of.dead).sum::<u64>();
    assert_eq!(dead(&usage(engine)), dead(&before) + before.pins[&id].owned, "what {id:?} owns is what it frees");
}

pub(crate) fn usage(engine: &Arc<Engine>) -> Usage {
    wait(|done| engine.usage(done)).expect("it can be counted")
}

/// Makes a volume of a name: its timeline.
pub(crate) fn branch(engine: &Arc<Engine>, name: &str, from: (TimelineId, Lsn)) -> Result<TimelineId, Error> {
    let (new, name) = (NewTimeline { from: Some(from), volume: None }, name.to_owned());
    let made = wait(|done| {
        engine.branch(
            new,
            move |txn, info| {
                txn.put(volume(&name, info.id, info.volume));
                Ok::<_, ()>(info.id)
            },
            done,
        );
    });
    made.map(|made| made.expect("it is not refused"))
}

/// Restores a volume: its new timeline, and the pin of where the old one ends.
pub(crate) fn restore(
    engine: &Arc<Engine>,
    name: &str,
    to: (TimelineId, Lsn),
) -> Result<(TimelineId, PinId, Stand), Error> {
    let (known, old) = engine.volume(name).expect("it is there");
    let new = NewTimeline { from: Some(to), volume: Some(known.id) };
    let named = wait(|done| {
        engine.replace(
            old.id(),
            new,
            move |txn, info, end| {
                let id = PinId(txn.take(Numbers::Pin, 1).expect("numbers are left"));
                txn.put(pin(id, end, PinKind::Safety));
                txn.put(Volume { timeline: info.id, ..known });
                Ok::<_, ()>((info.id, id, end))
            },
            done,
        );
    });
    named.map(|named| named.expect("it is not refused"))
}

pub(crate) fn delete(engine: &Arc<Engine>, name: &str, timeline: TimelineId) {
    let key = Arc::<str>::from(name);
    let delete = |txn: &mut Txn<'_>| {
        txn.delete::<Volume>(key);
        Ok::<_, ()>(())
    };
    wait(|done| engine.unname(timeline, delete, done)).expect("durable").expect("it is not refused");
}

/// Deletes the records below an offset.
pub(crate) fn hide_below(timeline: &Timeline, partition: TopicPartition, offset: i64) {
    wait(|done| timeline.transact(move |txn| txn.put(LogStart { partition, offset }), done)).expect("durable");
}
