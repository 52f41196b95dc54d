//! Making, replacing and removing timelines, and pinning views of them.
//!
//! One thread does all of it, one job after another. Each step is durable before the next: a number of `system`, the fact that the timeline is being made,
//! its files, the one group of facts that names it. A crash leaves a timeline that is there as a whole, or files that the next start removes by the fact
//! that they were being made. A pin counts in memory from before its fact is written until the fact of its deletion is durable.

use std::sync::Arc;

use crate::engine::{Engine, Shared};
use crate::error::{Error, Result};
use crate::manifest::TimelineDir;
use crate::segment::raise_to;
use crate::state::{Durability, Floor, Numbers, Pin, PinId, Stage, TimelineInfo, Txn, Volume, VolumeId};
use crate::timeline::{Lease, Timeline, lock};
use crate::units::{Lsn, Moment, TimelineId};

/// A timeline to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewTimeline {
    /// The view that it branches off; none: it begins empty.
    pub from: Option<(TimelineId, Lsn)>,
    /// The volume that it is for; none: a new one, which gets the next id.
    pub volume: Option<VolumeId>,
}

/// A view, and the time it stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// The timeline.
    pub timeline: TimelineId,
    /// The last group that it shows.
    pub lsn: Lsn,
    /// The time of that group, in milliseconds.
    pub time: i64,
}

/// A timeline that is made and not named.
struct Made {
    info: TimelineInfo,
    timeline: Timeline,
    /// Keeps what it branched off until it is named or gone.
    _lease: Option<Lease>,
}

impl Engine {
    /// Makes a timeline, then has `name` give it to a volume: in `system`, in the same group of facts that says it is there. `name` puts nothing when it
    /// refuses.
    pub fn branch<R: Send + 'static, E: Send + 'static>(
        self: &Arc<Self>,
        new: NewTimeline,
        name: impl FnOnce(&mut Txn<'_>, &TimelineInfo) -> Result<R, E> + Send + 'static,
        done: impl FnOnce(Result<Result<R, E>>) + Send + 'static,
    ) {
        self.in_turn(
            move |engine| {
                let made = engine.make(new)?;
                let named = engine.name(&made.info, name);
                engine.shared().disk.fail_point("branch.after_fact")?;
                engine.settle(made, named)
            },
            done,
        );
    }

    /// Replaces the current timeline of a volume by one that branches off a view. `name` is given the new timeline and where the old one ends: it moves
    /// the name, and pins the old end under the id it is given, in one group of facts.
    pub fn replace<R: Send + 'static, E: Send + 'static>(
        self: &Arc<Self>,
        old: TimelineId,
        new: NewTimeline,
        name: impl FnOnce(&mut Txn<'_>, &TimelineInfo, Stand) -> Result<R, E> + Send + 'static,
        done: impl FnOnce(Result<Result<R, E>>) + Send + 'static,
    ) {
        self.in_turn(
            move |engine| {
                let old = engine.known(old)?;
                let made = engine.make(new)?;
                let (end, lease) = match engine.fence(&old) {
                    Ok(fenced) => fenced,
                    Err(error) => return engine.discard(made).and(Err(error)),
                };
                made.timeline.0.await_predecessor();
                let named = engine.name(&made.info, move |txn, info| name(txn, info, end));
                if let Ok(Ok(_)) = &named {
                    engine.shared().disk.fail_point("replace.named")?;
                    lease.keep();
                    old.0.hand_over(&made.timeline.0);
                } else {
                    old.0.reopen();
                }
                engine.settle(made, named)
            },
            done,
        );
    }

    /// Keeps a view readable: `pin` puts the pin's fact under the id that it is given, when the view is durable.
    pub fn pin<R: Send + 'static, E: Send + 'static>(
        self: &Arc<Self>,
        view: PinnedView,
        pin: impl FnOnce(&mut Txn<'_>, Stand, PinId) -> Result<R, E> + Send + 'static,
        done: impl FnOnce(Result<Result<R, E>>) + Send + 'static,
    ) {
        self.in_turn(
            move |engine| {
                let (stand, lease) = engine.stand(view)?;
                engine.shared().disk.fail_point("pin.before_fact")?;
                let pinned = engine.transact(move |txn| {
                    let id = txn.counter(Numbers::Pin);
                    let result = pin(txn, stand, PinId(id));
                    if result.is_ok() {
                        txn.take(Numbers::Pin, 1);
                    }
                    result
                })?;
                engine.shared().disk.fail_point("pin.after_fact")?;
                if pinned.is_ok() {
                    lease.keep();
                }
                Ok(pinned)
            },
            done,
        );
    }

    /// Gives a pin up, if `decide` agrees; it puts nothing when it refuses.
    pub fn unpin<R: Send + 'static, E: Send + 'static>(
        self: &Arc<Self>,
        id: PinId,
        decide: impl FnOnce(&mut Txn<'_>, Option<&Pin>) -> Result<R, E> + Send + 'static,
        done: impl FnOnce(Result<Result<R, E>>) + Send + 'static,
    ) {
        self.in_turn(
            move |engine| {
                let (result, gone) = engine.transact(move |txn| {
                    let pin = txn.get::<Pin>(&id);
                    let result = decide(txn, pin.as_ref());
                    let gone = pin.filter(|_| result.is_ok());
                    if gone.is_some() {
                        txn.delete::<Pin>(id);
                    }
                    (result, gone)
                })?;
                engine.shared().disk.fail_point("unpin.after_fact")?;
                if let Some(pin) = gone
                    && let Some(timeline) = engine.timeline(pin.timeline)
                {
                    timeline.0.history.unpin(pin.lsn);
                }
                engine.wake_maintenance();
                Ok(result)
            },
            done,
        );
    }

    /// Takes the name of a volume from its timeline, if `decide` agrees (and deletes the volume's fact; it puts nothing when it refuses). What nothing needs
    /// of the timeline is then freed.
    pub fn unname<R: Send + 'static, E: Send + 'static>(
        self: &Arc<Self>,
        timeline: TimelineId,
        decide: impl FnOnce(&mut Txn<'_>) -> Result<R, E> + Send + 'static,
        done: impl FnOnce(Result<Result<R, E>>) + Send + 'static,
    ) {
        self.in_turn(
            move |engine| {
                let timeline = engine.known(timeline)?;
                let result = engine.transact(decide)?;
                engine.shared().disk.fail_point("unname.after_fact")?;
                if result.is_ok() {
                    timeline.0.end();
                    engine.wake_maintenance();
                }
                Ok(result)
            },
            done,
        );
    }

    /// Gives up the past of a timeline up to now, but for what is pinned, and says what the oldest is that can still be had. That is durable by then; the
    /// bytes go by the next collection.
    pub fn forget_history(
        self: &Arc<Self>,
        id: TimelineId,
        done: impl FnOnce(Result<Option<Moment>>) + Send + 'static,
    ) {
        self.in_turn(
            move |engine| {
                let (stand, _lease) = engine.stand(PinnedView::Now(id))?;
                let timeline = engine.known(id)?;
                raise_to(engine, &timeline, Moment { lsn: stand.lsn, time: stand.time })?;
                Ok(timeline.oldest())
            },
            done,
        );
    }

    fn in_turn<R: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce(&Engine) -> Result<R> + Send + 'static,
        done: impl FnOnce(Result<R>) + Send + 'static,
    ) {
        let engine = Arc::clone(self);
        self.shared().branch_pool.run(move || done(job(&engine)));
    }

    fn known(&self, id: TimelineId) -> Result<Timeline> {
        self.timeline(id).ok_or_else(|| Error::Invalid(format!("there is no timeline {id}")))
    }

    /// A view that is durable, and what keeps it.
    fn stand(&self, view: PinnedView) -> Result<(Stand, Lease)> {
        let (id, lsn) = match view {
            PinnedView::Now(id) => {
                let timeline = self.known(id)?;
                crate::engine::wait(|done| timeline.barrier(move || done(Ok(()))))?;
                (id, timeline.visible_lsn())
            }
            PinnedView::At(id, lsn) => (id, lsn),
        };
        let timeline = self.known(id)?;
        if lsn > timeline.visible_lsn() {
            return Err(Error::Invalid(format!(
                "LSN {lsn} is in the future: the newest is {}",
                timeline.visible_lsn()
            )));
        }
        let lease = timeline.0.history.lease(lsn)?;
        timeline.0.await_durable(lsn)?;
        let time = timeline.0.time_of(lsn)?;
        Ok((Stand { timeline: id, lsn, time }, lease))
    }

    /// Holds what is submitted to a timeline, and keeps the view at its end.
    fn fence(&self, old: &Timeline) -> Result<(Stand, Lease)> {
        let (lsn, time) = old.0.fence()?;
        let lease = self.shared().disk.fail_point("replace.fenced").and_then(|()| old.0.history.lease(lsn));
        let lease = lease.inspect_err(|_| old.0.reopen())?;
        Ok((Stand { timeline: old.id(), lsn, time }, lease))
    }

    /// Numbers, the fact that it is being made, files; and opens it.
    fn make(&self, new: NewTimeline) -> Result<Made> {
        let (parent, lease) = match new.from {
            Some((id, lsn)) => (Some(self.known(id)?), Some(self.stand(PinnedView::At(id, lsn))?.1)),
            None => (None, None),
        };
        let created = self.shared().now();
        let info = self.transact(move |txn| {
            let volume = new.volume.or_else(|| txn.take(Numbers::Volume, 1).map(VolumeId))?;
            let id = TimelineId(txn.take(Numbers::Timeline, 1)?);
            let leader_epoch = i32::try_from(txn.take(Numbers::LeaderEpoch, 1)?).ok()?;
            let info = TimelineInfo { id, origin: new.from, volume, leader_epoch, created, stage: Stage::Making };
            txn.put(info.clone());
            Some(info)
        })?;
        let info = info.ok_or_else(|| Error::Invalid("no numbers are left for a timeline".to_owned()))?;
        let opened = self.shared().disk.fail_point("branch.after_intent");
        let opened = opened.and_then(|()| Timeline::begin(self.shared(), self.system(), &info, parent.as_ref()));
        match opened {
            Ok(timeline) => {
                // Found as soon as it is named; and until its volume says otherwise, what is acknowledged is on the disk.
                timeline.0.set_durability(Durability::Fsync);
                self.add(timeline.clone());
                Ok(Made { info, timeline, _lease: lease })
            }
            Err(error) => self.unmake(&info).and(Err(error)),
        }
    }

    fn name<R: Send + 'static, E: Send + 'static>(
        &self,
        info: &TimelineInfo,
        name: impl FnOnce(&mut Txn<'_>, &TimelineInfo) -> Result<R, E> + Send + 'static,
    ) -> Result<Result<R, E>> {
        let there = TimelineInfo { stage: Stage::There, ..info.clone() };
        self.transact(move |txn| {
            let result = name(txn, &there);
            if result.is_ok() {
                txn.put(there);
            }
            result
        })
    }

    /// Removes a timeline that was not named, when nobody is at work on it.
    fn discard(&self, made: Made) -> Result<()> {
        let _turn = lock(&self.shared().tending);
        let info = made.info.clone();
        self.forget(info.id);
        made.timeline.0.end();
        made.timeline.0.forsake();
        drop(made);
        self.unmake(&info)
    }

    /// A timeline that was named serves; one that was not is removed. Where it is not known which, the next start finds out.
    fn settle<R, E>(&self, made: Made, named: Result<Result<R, E>>) -> Result<Result<R, E>> {
        if matches!(named, Ok(Err(_))) {
            self.discard(made)?;
        } else if matches!(named, Ok(Ok(_))) {
            let id = made.info.id;
            let volume = self.system().state(|state| state.volumes().find(|volume| volume.timeline == id).cloned());
            made.timeline.0.set_durability(durability_of(self.shared(), volume.as_ref()));
        }
        named
    }

    /// Removes the files of a timeline that nothing refers to, then what is known of it.
    fn unmake(&self, info: &TimelineInfo) -> Result<()> {
        let shared = self.shared();
        let root = TimelineDir::new(info.id).root().to_owned();
        if shared.disk.exists(&root)? {
            shared.disk.remove_dir_all(&root)?;
        }
        // Also where it is gone: the sync of a try before may have failed.
        shared.disk.sync_dir(std::path::Path::new("timelines"))?;
        shared.disk.fail_point("branch.after_removal")?;
        if let Some(index) = &shared.index {
            lock(index).remove(info.id);
        }
        let id = info.id;
        self.transact(move |txn| {
            txn.delete::<TimelineInfo>(id);
            if txn.get::<Floor>(&id).is_some() {
                txn.delete::<Floor>(id);
            }
        })
    }

    /// Removes what a crash left half made or half removed. At the start, before anything is opened.
    pub(crate) fn remove_unfinished(&self) -> Result<()> {
        self.infos(|info| info.stage != Stage::There).iter().try_for_each(|info| self.unmake(info))
    }

    fn infos(&self, wanted: impl Fn(&TimelineInfo) -> bool) -> Vec<TimelineInfo> {
        self.system().state(|state| state.timelines().filter(|info| wanted(info)).cloned().collect())
    }

    /// Removes timelines that no volume points at, no pin or reader keeps, and nothing branched off: the youngest first, since they keep their parents. One that fails
    /// keeps no other (but its parents) from it, and is tried again by the next call.
    pub(crate) fn remove_unneeded(&self) -> Result<()> {
        let unfinished = self.infos(|info| info.stage == Stage::Removing && self.timeline(info.id).is_none());
        let mut outcome = unfinished.iter().map(|info| self.unmake(info)).fold(Ok(()), Result::and);
        for timeline in self.timelines().into_iter().rev() {
            if !timeline.0.is_named() && timeline.0.history.is_unpinned() && timeline.0.children().is_empty() {
                outcome = outcome.and(self.remove(timeline));
            }
        }
        outcome
    }

    /// Removes a timeline, unless it is needed when it comes to that.
    fn remove(&self, timeline: Timeline) -> Result<()> {
        let id = timeline.id();
        let removing = self.transact(move |txn| {
            let is_named = txn.all::<Volume>().iter().any(|volume| volume.timeline == id);
            let is_pinned = txn.all::<Pin>().iter().any(|pin| pin.timeline == id);
            let is_parent = txn.all::<TimelineInfo>().iter().any(|info| info.origin.is_some_and(|(of, _)| of == id));
            let info = txn.get::<TimelineInfo>(&id).filter(|_| !is_named && !is_pinned && !is_parent)?;
            let info = TimelineInfo { stage: Stage::Removing, ..info };
            txn.put(info.clone());
            Some(info)
        })?;
        let Some(info) = removing else { return Ok(()) };
        self.shared().disk.fail_point("branch.removing")?;
        self.forget(id);
        timeline.0.forsake();
        drop(timeline);
        self.unmake(&info)
    }
}

/// A view to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinnedView {
    /// All that was submitted before.
    Now(TimelineId),
    /// The view at an LSN, within the history or pinned already.
    At(TimelineId, Lsn),
}

pub(crate) fn durability_of(shared: &Shared, volume: Option<&Volume>) -> Durability {
    volume.and_then(|volume| volume.durability).unwrap_or(shared.options.durability)
}
