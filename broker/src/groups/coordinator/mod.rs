//! All groups: finds the machine that a request is for, runs one step of it and carries out the effects.
//!
//! A request changes its group before the call returns; the future that it gives only waits for the answer and may be
//! dropped. A step runs under the lock of its group; nothing is submitted, answered or awaited under it.
//!
//! [`Coordinator::run`] is the one task that gives groups their time-outs.

mod fence;
mod load;
mod overlap;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use dashmap::mapref::one::RefMut;
use millpond_storage::state::{PinId, State as FrozenState};
use tokio::sync::oneshot;
use tokio::time::sleep_until;
use tracing::{debug, warn};
use uuid::Uuid;

use super::classic::{Aging, ClassicGroup, Effect, Save, SaveVersion, Step};
use super::clock::Clock;
use super::deadlines::Deadlines;
use super::request::{
    GroupDescription, JoinRefusal, JoinReply, JoinRequest, Leaver, MemberClaim, SyncReply, SyncRequest,
};
use super::spelling::TopicIdentity;
use super::{GroupError, GroupKey, GroupSettings, State};
pub(super) use fence::Fence;

use crate::scope::Scope;
use overlap::Turns;

/// Told once whether a record is durable. May be called from any thread, also before [`GroupStore::save`] returns.
pub type Saved = Box<dyn FnOnce(bool) + Send>;

/// Where groups are written down: one record per group.
pub trait GroupStore: Send + Sync + 'static {
    /// Submits a group's record, or its deletion. Must not wait.
    fn save(&self, key: &GroupKey, record: Option<Bytes>, saved: Saved);
}

/// What names mean, so that two names of one topic can be told.
pub trait TopicNames: Send + Sync + 'static {
    /// The topic that a scope knows by this name, if there is one.
    fn identity(&self, scope: Scope, name: &str) -> Option<TopicIdentity>;

    /// What a snapshot shows; none if it is not there, or not loaded.
    fn frozen(&self, pin: PinId) -> Option<Arc<FrozenState>>;
}

type Group = ClassicGroup<oneshot::Sender<JoinReply>, oneshot::Sender<SyncReply>>;
type GroupStep<'a> = Step<'a, oneshot::Sender<JoinReply>, oneshot::Sender<SyncReply>>;
type GroupEffect = Effect<oneshot::Sender<JoinReply>, oneshot::Sender<SyncReply>>;

/// A group, and who in this process has an eye on it.
struct Slot {
    group: Group,
    /// The entry of the deadline queue that counts.
    armed: Option<Duration>,
    /// Who waits for a save, or a later one, to have ended.
    awaited: Vec<(SaveVersion, Awaited)>,
    /// How often its members were sent away because a volume was restored.
    fences: u64,
}

/// Told whether a save is durable.
type Awaited = Box<dyn FnOnce(bool) + Send + Sync>;

impl Slot {
    fn new(group: Group) -> Self {
        Self { group, armed: None, awaited: Vec::new(), fences: 0 }
    }
}

/// The members of all groups of this broker.
pub struct Coordinator {
    groups: DashMap<GroupKey, Slot>,
    settings: GroupSettings,
    store: Box<dyn GroupStore>,
    topics: Arc<dyn TopicNames>,
    clock: Clock,
    deadlines: Deadlines,
    is_stopping: AtomicBool,
    /// Held while a member joins, by group id: so that of two in overlapping scopes one sees the other.
    joining: Turns,
    /// The volumes that are being restored.
    restoring: Mutex<Vec<Scope>>,
}

impl Coordinator {
    /// A coordinator without groups. Somebody has to [run](Self::run) it.
    pub fn new(settings: GroupSettings, store: Box<dyn GroupStore>, topics: Arc<dyn TopicNames>) -> Arc<Self> {
        Arc::new(Self {
            groups: DashMap::new(),
            settings,
            store,
            topics,
            clock: Clock::start(),
            deadlines: Deadlines::default(),
            is_stopping: AtomicBool::new(false),
            joining: Turns::default(),
            restoring: Mutex::default(),
        })
    }

    /// `JoinGroup`. A group is made for a member without an id; one with an id must have got it here.
    pub fn join(
        self: &Arc<Self>,
        key: &GroupKey,
        mut request: JoinRequest,
    ) -> impl Future<Output = JoinReply> + Send + use<> {
        let (waiter, answer) = oneshot::channel();
        let member_id = request.member_id.clone();
        let refuse = |waiter: oneshot::Sender<JoinReply>, error| {
            let _ = waiter.send(Err(JoinRefusal { error, member_id: member_id.clone() }));
        };
        if let Err(error) = self.check_join(key, &request) {
            refuse(waiter, error);
            return joined(answer);
        }
        request.topics = self.spellings(key.scope, &request.protocol_type, &request.protocols);
        request.fresh_id = Uuid::new_v4().to_string();
        let mut effects = Vec::new();
        if let Err((waiter, error)) = self.enter(key, request, waiter, &mut effects) {
            refuse(waiter, error);
        }
        self.carry_out(key, effects);
        joined(answer)
    }

    /// Takes a request into its group. Gives back the waiter of one that is refused before.
    fn enter(
        &self,
        key: &GroupKey,
        request: JoinRequest,
        waiter: oneshot::Sender<JoinReply>,
        effects: &mut Vec<GroupEffect>,
    ) -> Result<(), (oneshot::Sender<JoinReply>, GroupError)> {
        let _turn = self.joining.take(&key.group_id);
        if self.is_claimed_elsewhere(key, &request.topics) {
            return Err((waiter, GroupError::InconsistentGroupProtocol));
        }
        let slot = if request.member_id.is_empty() { Some(self.slot_or_new(key)) } else { self.groups.get_mut(key) };
        let Some(mut slot) = slot else { return Err((waiter, GroupError::UnknownMemberId)) };
        self.act(key, &mut slot, effects, |slot, step| slot.group.join(step, request, waiter));
        Ok(())
    }

    fn check_join(&self, key: &GroupKey, request: &JoinRequest) -> Result<(), GroupError> {
        self.check_running()?;
        check_group_id(key)?;
        let allowed = self.settings.session_timeout_min..=self.settings.session_timeout_max;
        if allowed.contains(&request.session_timeout) { Ok(()) } else { Err(GroupError::InvalidSessionTimeout) }
    }

    /// `SyncGroup`.
    pub fn sync(
        self: &Arc<Self>,
        key: &GroupKey,
        request: SyncRequest,
    ) -> impl Future<Output = SyncReply> + Send + use<> {
        let (waiter, answer) = oneshot::channel();
        let checked = self.check_running().and_then(|()| check_group_id(key));
        if checked.is_ok() {
            // Without a group the waiter is dropped, which the future below takes for what it is.
            self.step(key, |slot, step| slot.group.sync(step, request, waiter));
        }
        async move {
            checked?;
            answer.await.unwrap_or(Err(GroupError::UnknownMemberId))
        }
    }

    /// `Heartbeat`.
    pub fn heartbeat(self: &Arc<Self>, key: &GroupKey, claim: &MemberClaim) -> Result<(), GroupError> {
        check_group_id(key)?;
        let result = self.step(key, |slot, step| slot.group.heartbeat(step, claim));
        result.unwrap_or(Err(GroupError::UnknownMemberId))
    }

    /// `LeaveGroup`: an answer for each who leaves.
    pub fn leave(
        self: &Arc<Self>,
        key: &GroupKey,
        leavers: &[Leaver],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        check_group_id(key)?;
        let results = self.step(key, |slot, step| slot.group.leave(step, leavers));
        Ok(results.unwrap_or_else(|| vec![Err(GroupError::UnknownMemberId); leavers.len()]))
    }

    /// Whether an `OffsetCommit` may be carried out. A client outside of the group protocol may name a group that is not
    /// there: it will be there by its positions. A member of a group that is not there any more, or is elsewhere since its
    /// listener shows something else, is to join again, as after a heartbeat (Kafka's `GROUP_ID_NOT_FOUND` ends Java's poll
    /// loops and librdkafka).
    pub fn check_commit(self: &Arc<Self>, key: &GroupKey, claim: &MemberClaim) -> Result<(), GroupError> {
        let checked = self.step(key, |slot, step| slot.group.check_commit(step, claim));
        checked.unwrap_or(if claim.generation < 0 { Ok(()) } else { Err(GroupError::UnknownMemberId) })
    }

    /// Whether a commit of this generation, allowed before, has come too late to be carried out: to be asked where commits
    /// are put in order, so that a dawdler's never lands behind that of who took over from it.
    pub fn has_overtaken(&self, key: &GroupKey, generation: i32) -> bool {
        self.groups.get(key).is_some_and(|slot| slot.group.has_overtaken(generation))
    }

    /// Whether single positions of a group may be deleted, see [`ClassicGroup::check_offset_delete`]; none if there is no
    /// such group here.
    pub fn check_offset_delete(&self, key: &GroupKey) -> Option<Result<(), GroupError>> {
        self.groups.get(key).map(|slot| slot.group.check_offset_delete())
    }

    /// Whether the consumers of a group want a topic, by this name or another.
    pub fn is_subscribed_to(&self, key: &GroupKey, name: &str, topic: TopicIdentity) -> bool {
        self.groups.get(key).is_some_and(|slot| slot.group.is_subscribed_to(name, topic))
    }

    /// By what a group's positions age.
    pub fn aging(&self, key: &GroupKey) -> Aging {
        self.groups.get(key).map_or(Aging::SinceCommit, |slot| slot.group.aging())
    }

    /// Deletes a group without members; the future is done when that is durable.
    pub fn delete(
        self: &Arc<Self>,
        key: &GroupKey,
    ) -> Result<impl Future<Output = Result<(), GroupError>> + Send + use<>, GroupError> {
        let (waiter, answer) = oneshot::channel();
        let begun = self.step(key, |slot, step| {
            let version = slot.group.delete(step)?;
            let told = |is_durable| if is_durable { Ok(()) } else { Err(GroupError::CoordinatorNotAvailable) };
            let tell = move |is_durable| {
                // Whoever asked may be gone.
                let _gone = waiter.send(told(is_durable));
            };
            slot.awaited.push((version, Box::new(tell)));
            Ok(())
        });
        begun.unwrap_or(Err(GroupError::GroupIdNotFound))?;
        Ok(async move { answer.await.unwrap_or(Err(GroupError::CoordinatorNotAvailable)) })
    }

    /// Deletes a group if it is empty and nobody is about to join it. Nobody waits for it.
    pub fn delete_idle(self: &Arc<Self>, key: &GroupKey) {
        self.step(key, |slot, step| {
            if slot.group.is_idle() {
                // An empty group can be deleted, and if the log does not take that, the next look finds it again.
                let _ = slot.group.delete(step);
            }
        });
    }

    /// The group as it is; none if there is none.
    pub fn describe(&self, key: &GroupKey) -> Option<GroupDescription> {
        self.groups.get(key).map(|slot| slot.group.describe()).filter(|group| group.state != State::Dead)
    }

    /// The groups of a scope, in no order.
    pub fn list(&self, scope: Scope) -> Vec<(String, GroupDescription)> {
        let slots = self.groups.iter().filter(|slot| slot.key().scope == scope);
        let groups = slots.map(|slot| (slot.key().group_id.clone(), slot.group.describe_without_members()));
        groups.filter(|(_, group)| group.state != State::Dead).collect()
    }

    /// The groups of all scopes, in no order.
    pub fn states(&self) -> Vec<(GroupKey, State)> {
        self.groups.iter().map(|slot| (slot.key().clone(), slot.group.describe_without_members().state)).collect()
    }

    /// Answers everybody who waits, and lets nobody wait any more: the broker is about to end. Members come back to the next;
    /// none expires meanwhile, whose client had nobody to speak to.
    pub fn stop(self: &Arc<Self>) {
        self.is_stopping.store(true, Ordering::Release);
        let keys: Vec<GroupKey> = self.groups.iter().map(|slot| slot.key().clone()).collect();
        for key in keys {
            self.step(&key, |slot, step| slot.group.dismiss(step));
        }
    }

    fn check_running(&self) -> Result<(), GroupError> {
        if self.is_stopping.load(Ordering::Acquire) { Err(GroupError::CoordinatorNotAvailable) } else { Ok(()) }
    }

    /// Gives groups their time-outs, for as long as it is polled.
    pub async fn run(self: Arc<Self>) {
        loop {
            let now = self.clock.now().monotonic;
            while let Some((at, key)) = self.deadlines.pop_due(now) {
                self.wake(at, &key);
            }
            let Some(first) = self.deadlines.first() else {
                self.deadlines.wait_for_earlier().await;
                continue;
            };
            tokio::select! {
                () = sleep_until(self.clock.instant(first)) => {
                    if let Some(pause) = self.clock.forgive_pause(first) {
                        warn!(?pause, "the broker did not run for a while; members are given that time");
                    }
                }
                () = self.deadlines.wait_for_earlier() => {}
            }
        }
    }

    fn wake(self: &Arc<Self>, at: Duration, key: &GroupKey) {
        if self.check_running().is_err() {
            return;
        }
        self.step(key, |slot, step| {
            if slot.armed == Some(at) {
                slot.armed = None;
                slot.group.tick(step);
            }
        });
    }

    /// Runs a step of a group, if there is one.
    fn step<R>(self: &Arc<Self>, key: &GroupKey, act: impl FnOnce(&mut Slot, &mut GroupStep<'_>) -> R) -> Option<R> {
        let mut effects = Vec::new();
        let result = self.groups.get_mut(key).map(|mut slot| self.act(key, &mut slot, &mut effects, act));
        self.carry_out(key, effects);
        result
    }

    /// A group, which is made if there is none.
    fn slot_or_new(&self, key: &GroupKey) -> RefMut<'_, GroupKey, Slot> {
        match self.groups.entry(key.clone()) {
            Entry::Occupied(slot) => slot.into_ref(),
            Entry::Vacant(place) => {
                debug!(group = %key, "new group");
                place.insert(Slot::new(ClassicGroup::new(&key.group_id, self.clock.now())))
            }
        }
    }

    fn act<R>(
        &self,
        key: &GroupKey,
        slot: &mut Slot,
        effects: &mut Vec<GroupEffect>,
        act: impl FnOnce(&mut Slot, &mut GroupStep<'_>) -> R,
    ) -> R {
        let mut step = Step { now: self.clock.now(), settings: &self.settings, effects };
        let result = act(slot, &mut step);
        if let Some(at) = slot.group.wake_at()
            && slot.armed.is_none_or(|armed| at < armed)
        {
            slot.armed = Some(at);
            self.deadlines.push(at, key.clone());
        }
        result
    }

    fn carry_out(self: &Arc<Self>, key: &GroupKey, effects: Vec<GroupEffect>) {
        for effect in effects {
            // A waiter may be gone with its connection; the machine learns of that by the member's silence.
            match effect {
                Effect::Joined(waiter, reply) => drop(waiter.send(reply)),
                Effect::Synced(waiter, reply) => drop(waiter.send(reply)),
                Effect::Save(save) => self.save(key, save),
            }
        }
    }

    fn save(self: &Arc<Self>, key: &GroupKey, Save { version, record }: Save) {
        let record = record.map(|record| record.encode());
        let this = Arc::clone(self);
        let saved_key = key.clone();
        let saved = move |is_durable| this.saved(&saved_key, version, is_durable);
        self.store.save(key, record, Box::new(saved));
    }

    fn saved(self: &Arc<Self>, key: &GroupKey, version: SaveVersion, is_durable: bool) {
        let ended = self.step(key, |slot, step| {
            slot.group.saved(step, version, is_durable);
            slot.awaited.extract_if(.., |(awaited, _)| *awaited <= version).collect::<Vec<_>>()
        });
        self.groups.remove_if(key, |_, slot| slot.group.is_gone());
        for (_, told) in ended.into_iter().flatten() {
            told(is_durable);
        }
    }
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "coordinator of {} groups", self.groups.len())
    }
}

/// Waits for the answer to a join.
async fn joined(answer: oneshot::Receiver<JoinReply>) -> JoinReply {
    let gone = JoinRefusal { error: GroupError::CoordinatorNotAvailable, member_id: String::new() };
    answer.await.unwrap_or(Err(gone))
}

fn check_group_id(key: &GroupKey) -> Result<(), GroupError> {
    if key.group_id.is_empty() || !key.is_storable() { Err(GroupError::InvalidGroupId) } else { Ok(()) }
}
