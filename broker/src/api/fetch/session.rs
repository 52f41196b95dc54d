//! Fetch sessions (KIP-227): the partitions that a consumer fetches again and again, so that it need not name them each time.
//!
//! Invariants: a session belongs to the scope in which it was made; its epoch goes up by one per request, from 1, around to 1; an incremental answer leaves out
//! partitions that have neither data nor an error nor other marks than the client was last told. A partition that gave data goes to the back, so that none
//! starves behind another. A session with a partition whose volume was restored ends. When the cache is full, a session that was idle for two minutes gives way, else the request is answered without one, as in Kafka.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::FetchPartition;
use millpond_storage::Partition;
use uuid::Uuid;

use super::super::Context;
use super::super::error::{self, ErrorCode};
use super::gather::Gathered;
use super::{Marks, SessionRef};
use crate::scope::Scope;
use crate::topics::Resolved;

/// Epoch of a request outside of any session; it ends the one that it names.
const FINAL_EPOCH: i32 = -1;
/// Epoch of a request that begins a session.
const INITIAL_EPOCH: i32 = 0;
/// A session idle for this long may be evicted (`min.incremental.fetch.session.eviction.ms`).
const EVICTED_AFTER: Duration = Duration::from_mins(2);

/// How a client names a topic.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum TopicRef {
    /// Up to version 12.
    Name(Arc<str>),
    /// From version 13 on.
    Id(Uuid),
}

/// One partition of a request, and what it is here.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(super) topic: TopicRef,
    pub(super) partition: i32,
    pub(super) fetch_offset: i64,
    pub(super) max_bytes: usize,
    pub(super) leader_epoch: i32,
    pub(super) last_fetched_epoch: i32,
    pub(super) found: Option<(Arc<Resolved>, Arc<Partition>)>,
    /// What to say when it is not there.
    pub(super) missing: ErrorCode,
}

/// What a request came to.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) session: Option<SessionRef>,
    pub(super) targets: Vec<Target>,
    pub(super) is_incremental: bool,
}

/// All sessions of the broker.
#[derive(Debug)]
pub struct FetchSessions {
    sessions_max: usize,
    sessions: Mutex<Sessions>,
}

#[derive(Debug, Default)]
struct Sessions {
    by_id: HashMap<i32, SessionRef>,
    last_id: i32,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) id: i32,
    scope: Scope,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// The epoch of the next request.
    epoch: i32,
    used: Instant,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    target: Target,
    /// What the client was last told.
    told: Option<Marks>,
}

impl FetchSessions {
    /// At most so many sessions at once (`max.incremental.fetch.session.cache.slots`); 0: none.
    pub fn new(sessions_max: usize) -> Self {
        Self { sessions_max, sessions: Mutex::default() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        lock(&self.sessions).by_id.len()
    }

    pub(super) fn open(&self, ctx: &Context, request: FetchRequest) -> Result<Opened, ErrorCode> {
        let (id, epoch) = (request.session_id, request.session_epoch);
        if epoch == FINAL_EPOCH || epoch == INITIAL_EPOCH {
            if id != 0 {
                self.remove(ctx, id);
            }
            let targets = targets_of(ctx, request);
            let session = if epoch == INITIAL_EPOCH { self.begin(ctx, &targets) } else { None };
            return Ok(Opened { session, targets, is_incremental: false });
        }
        let session = lock(&self.sessions).by_id.get(&id).cloned();
        let session = session.filter(|session| session.scope == ctx.scope());
        let session = session.ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let targets = session.advance(ctx, request);
        if let Err(ErrorCode::FetchSessionIdNotFound) = targets {
            self.remove(ctx, id);
        }
        let targets = targets?;
        Ok(Opened { session: Some(session), targets, is_incremental: true })
    }

    fn remove(&self, ctx: &Context, id: i32) {
        let mut sessions = lock(&self.sessions);
        if sessions.by_id.get(&id).is_some_and(|session| session.scope == ctx.scope()) {
            sessions.by_id.remove(&id);
        }
    }

    fn begin(&self, ctx: &Context, targets: &[Target]) -> Option<SessionRef> {
        let mut sessions = lock(&self.sessions);
        if sessions.by_id.len() >= self.sessions_max && !sessions.evict() {
            return None;
        }
        let id = sessions.next_id(ctx.broker().engine.now());
        let entries = targets.iter().map(|target| Entry { target: target.clone(), told: None });
        let kept = Kept { epoch: 1, used: Instant::now(), entries: entries.collect() };
        let session = Arc::new(Session { id, scope: ctx.scope(), kept: Mutex::new(kept) });
        sessions.by_id.insert(id, Arc::clone(&session));
        Some(session)
    }
}

impl Sessions {
    /// Makes room by the session that was idle longest, if that is long enough.
    fn evict(&mut self) -> bool {
        let idle = |session: &SessionRef| lock(&session.kept).used.elapsed();
        let oldest = self.by_id.iter().map(|(id, session)| (idle(session), *id)).max();
        match oldest {
            Some((idle, id)) if idle >= EVICTED_AFTER => self.by_id.remove(&id).is_some(),
            _ => false,
        }
    }

    /// Not the one of a session that a client of an earlier start may still have in mind, most likely; never 0.
    fn next_id(&mut self, now: i64) -> i32 {
        if self.last_id == 0 {
            self.last_id = i32::try_from(now & i64::from(i32::MAX)).unwrap_or(1);
        }
        loop {
            self.last_id = self.last_id.wrapping_add(1) & i32::MAX;
            if self.last_id != 0 && !self.by_id.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }
}

impl Session {
    /// Takes an incremental request: its partitions are added or changed, the forgotten ones removed. Returns all that is to be fetched.
    fn advance(&self, ctx: &Context, request: FetchRequest) -> Result<Vec<Target>, ErrorCode> {
        let mut kept = lock(&self.kept);
        // What the client was told is of another history.
        if kept.entries.iter().any(|entry| entry.target.is_fenced()) {
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        if kept.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        kept.epoch = if kept.epoch == i32::MAX { 1 } else { kept.epoch + 1 };
        kept.used = Instant::now();
        for topic in &request.forgotten_topics_data {
            let name = topic_ref(ctx, topic.topic.as_str(), topic.topic_id);
            kept.entries
                .retain(|Entry { target, .. }| target.topic != name || !topic.partitions.contains(&target.partition));
        }
        kept.merge(targets_of(ctx, request));
        for entry in &mut kept.entries {
            entry.target.look_again(ctx);
        }
        Ok(kept.entries.iter().map(|entry| entry.target.clone()).collect())
    }

    /// Notes what the client is told, and leaves out what it knows.
    pub(super) fn note<'a>(
        &self,
        answers: impl Iterator<Item = (&'a Target, Gathered)>,
        is_incremental: bool,
    ) -> Vec<(&'a Target, Gathered)> {
        let mut kept = lock(&self.kept);
        let mut entries: HashMap<(TopicRef, i32), Entry> =
            kept.entries.drain(..).map(|entry| ((entry.target.topic.clone(), entry.target.partition), entry)).collect();
        let (mut with_data, mut told) = (Vec::new(), Vec::new());
        for (target, gathered) in answers {
            let Some(mut entry) = entries.remove(&(target.topic.clone(), target.partition)) else { continue };
            let marks = gathered.marks;
            let is_news =
                gathered.bytes > 0 || marks.is_error() || gathered.diverging.is_some() || entry.told != Some(marks);
            // An error is told again and again, until it is over.
            entry.told = Some(marks).filter(|marks| !marks.is_error());
            if gathered.bytes > 0 {
                with_data.push(entry);
            } else {
                kept.entries.push(entry);
            }
            if is_news || !is_incremental {
                told.push((target, gathered));
            }
        }
        kept.entries.extend(with_data);
        told
    }
}

impl Kept {
    fn merge(&mut self, targets: Vec<Target>) {
        if targets.is_empty() {
            return;
        }
        let key = |target: &Target| (target.topic.clone(), target.partition);
        let places: HashMap<_, _> =
            self.entries.iter().enumerate().map(|(at, entry)| (key(&entry.target), at)).collect();
        for target in targets {
            match places.get(&key(&target)) {
                Some(at) => self.entries[*at].target = target,
                None => self.entries.push(Entry { target, told: None }),
            }
        }
    }
}

impl Target {
    /// A partition that is not there.
    pub(super) fn missing(topic: TopicRef, partition: i32, missing: ErrorCode) -> Self {
        Self {
            topic,
            partition,
            fetch_offset: 0,
            max_bytes: 0,
            leader_epoch: -1,
            last_fetched_epoch: -1,
            found: None,
            missing,
        }
    }

    /// The partition, if it may still grow.
    pub(super) fn live(&self) -> Option<&(Arc<Resolved>, Arc<Partition>)> {
        self.found.as_ref().filter(|(topic, _)| !topic.is_frozen())
    }

    /// Whether it is in a history that its volume has left.
    fn is_fenced(&self) -> bool {
        self.live().is_some_and(|(topic, partition)| topic.is_fenced(partition))
    }

    fn of(topic: &TopicRef, found: &Result<Arc<Resolved>, ErrorCode>, asked: &FetchPartition) -> Self {
        let missing = found.as_ref().err().copied().unwrap_or(ErrorCode::UnknownTopicOrPartition);
        Self {
            fetch_offset: asked.fetch_offset,
            max_bytes: usize::try_from(asked.partition_max_bytes).unwrap_or(0),
            leader_epoch: asked.current_leader_epoch,
            last_fetched_epoch: asked.last_fetched_epoch,
            found: with_partition(found, asked.partition),
            ..Self::missing(topic.clone(), asked.partition, missing)
        }
    }

    /// Topics come and go while a session lasts.
    fn look_again(&mut self, ctx: &Context) {
        // A snapshot that was deleted is not found any more, though it can be read for as long as it is held.
        let is_there = self.live().is_some_and(|(topic, partition)| !topic.is_gone(partition));
        if !is_there {
            let found = resolve(ctx, &self.topic);
            self.found = with_partition(&found, self.partition);
            self.missing = found.err().unwrap_or(ErrorCode::UnknownTopicOrPartition);
        }
    }
}

fn with_partition(found: &Result<Arc<Resolved>, ErrorCode>, index: i32) -> Option<(Arc<Resolved>, Arc<Partition>)> {
    let topic = found.as_ref().ok()?;
    Some((Arc::clone(topic), topic.partition(index).ok()?))
}

fn targets_of(ctx: &Context, request: FetchRequest) -> Vec<Target> {
    let mut targets = Vec::new();
    for topic in request.topics {
        let name = topic_ref(ctx, topic.topic.as_str(), topic.topic_id);
        let found = resolve(ctx, &name);
        targets.extend(topic.partitions.iter().map(|asked| Target::of(&name, &found, asked)));
    }
    targets
}

fn topic_ref(ctx: &Context, name: &str, id: Uuid) -> TopicRef {
    if ctx.api_version >= 13 { TopicRef::Id(id) } else { TopicRef::Name(Arc::from(name)) }
}

fn resolve(ctx: &Context, topic: &TopicRef) -> Result<Arc<Resolved>, ErrorCode> {
    let found = match topic {
        TopicRef::Name(name) => ctx.topic(name),
        TopicRef::Id(id) => ctx.topic_by_id(id),
    };
    found.map(Arc::new).map_err(|why| match error::of_topic(&why) {
        // Java's consumer knows only some errors here; after this one it asks where the leader is, and comes back.
        ErrorCode::LeaderNotAvailable => ErrorCode::NotLeaderOrFollower,
        code => code,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
