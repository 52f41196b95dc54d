//! Groups driven by the runtime's clock, which runs ahead whenever nobody has anything to do.

mod fences;

use std::collections::HashMap;
use std::sync::Mutex;

use millpond_storage::TopicNumber;
use millpond_storage::state::VolumeId;
use tokio::time::{Instant, advance, sleep};

use super::super::request::Protocol;
use super::super::subscription::encode_subscription;
use super::*;

/// A log in memory: saves end at once, or wait in line.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    records: HashMap<GroupKey, Bytes>,
    holds: bool,
    held: Vec<Saved>,
}

impl Memory {
    fn hold(&self) {
        self.0.lock().unwrap().holds = true;
    }

    fn release(&self, is_durable: bool) {
        let held = {
            let mut inner = self.0.lock().unwrap();
            inner.holds = false;
            std::mem::take(&mut inner.held)
        };
        assert!(!held.is_empty(), "something was saved");
        for saved in held {
            saved(is_durable);
        }
    }

    fn records(&self) -> Vec<(GroupKey, Bytes)> {
        self.0.lock().unwrap().records.iter().map(|(key, record)| (key.clone(), record.clone())).collect()
    }
}

impl GroupStore for Memory {
    fn save(&self, key: &GroupKey, record: Option<Bytes>, saved: Saved) {
        let mut inner = self.0.lock().unwrap();
        match record {
            Some(record) => inner.records.insert(key.clone(), record),
            None => inner.records.remove(key),
        };
        if inner.holds {
            inner.held.push(saved);
        } else {
            drop(inner);
            saved(true);
        }
    }
}

/// Dotted names and paths of one volume `v` with one stream `s`; on a listener of a volume they are that one's.
struct Names;

impl TopicNames for Names {
    fn identity(&self, scope: Scope, name: &str) -> Option<TopicIdentity> {
        let topic = name.strip_prefix("v.s.").or_else(|| name.strip_prefix("/v/s:"))?;
        let number = TopicNumber(u32::from(topic.as_bytes()[0]));
        let home = if scope == Scope::Everything { Scope::Volume(VolumeId(1)) } else { scope };
        Some(TopicIdentity { home, number })
    }

    fn frozen(&self, _: PinId) -> Option<Arc<FrozenState>> {
        None
    }
}

fn settings() -> GroupSettings {
    GroupSettings {
        session_timeout_min: Duration::from_secs(6),
        session_timeout_max: Duration::from_mins(1),
        members_max: 10,
        initial_rebalance_delay: Duration::from_secs(3),
        new_member_join_timeout: Duration::from_mins(5),
    }
}

/// A coordinator that runs.
fn start(store: &Memory) -> Arc<Coordinator> {
    let coordinator = Coordinator::new(settings(), Box::new(store.clone()), Arc::new(Names));
    tokio::spawn(Arc::clone(&coordinator).run());
    coordinator
}

fn key() -> GroupKey {
    GroupKey::new(Scope::Everything, "g")
}

fn request(member_id: &str, topic: &str) -> JoinRequest {
    JoinRequest {
        member_id: member_id.to_owned(),
        client_id: "c".to_owned(),
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(30),
        protocol_type: "consumer".to_owned(),
        protocols: vec![Protocol { name: "range".to_owned(), metadata: encode_subscription(&[topic]) }],
        ..JoinRequest::default()
    }
}

fn sync_request(member_id: &str, generation: i32) -> SyncRequest {
    SyncRequest {
        member_id: member_id.to_owned(),
        instance_id: None,
        generation,
        protocol_type: None,
        protocol_name: None,
        assignments: vec![(member_id.to_owned(), Bytes::from_static(b"all"))],
    }
}

fn claim(member_id: &str, generation: i32) -> MemberClaim {
    MemberClaim { member_id: member_id.to_owned(), instance_id: None, generation }
}

/// A member alone in its group, at work.
async fn member(coordinator: &Arc<Coordinator>) -> (String, i32) {
    let joined = coordinator.join(&key(), request("", "v.s.t")).await.unwrap();
    let synced = coordinator.sync(&key(), sync_request(&joined.member_id, joined.generation)).await.unwrap();
    assert_eq!(synced.assignment, Bytes::from_static(b"all"));
    (joined.member_id, joined.generation)
}

#[tokio::test(start_paused = true)]
async fn time_outs_come_when_they_are_due() {
    let coordinator = start(&Memory::default());
    let began = Instant::now();
    let (member_id, generation) = member(&coordinator).await;
    assert_eq!(began.elapsed().as_secs(), 3, "the initial delay");
    for _ in 0..5 {
        sleep(Duration::from_secs(9)).await;
        assert_eq!(coordinator.heartbeat(&key(), &claim(&member_id, generation)), Ok(()));
    }
    sleep(Duration::from_secs(11)).await;
    assert_eq!(coordinator.describe(&key()).unwrap().state, State::Empty, "nobody was heard of");
    assert_eq!(coordinator.heartbeat(&key(), &claim(&member_id, generation)), Err(GroupError::UnknownMemberId));
}

#[tokio::test(start_paused = true)]
async fn an_earlier_deadline_is_not_slept_through() {
    let coordinator = start(&Memory::default());
    let slow = JoinRequest { session_timeout: Duration::from_mins(1), ..request("", "v.s.t") };
    coordinator.join(&GroupKey::new(Scope::Everything, "slow"), slow).await.unwrap();
    let began = Instant::now();
    coordinator.join(&key(), request("", "v.s.t")).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_whole_broker_is_no_silence_of_its_members() {
    let coordinator = start(&Memory::default());
    let (member_id, generation) = member(&coordinator).await;
    advance(Duration::from_mins(10)).await;
    tokio::task::yield_now().await;
    assert_eq!(coordinator.heartbeat(&key(), &claim(&member_id, generation)), Ok(()), "it may be heard now");
    sleep(Duration::from_secs(11)).await;
    assert_eq!(coordinator.describe(&key()).unwrap().state, State::Empty, "time goes on after the pause");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_disturbs_nobody() {
    let coordinator = start(&Memory::default());
    drop(coordinator.join(&key(), request("", "v.s.t")));
    let (member_id, _) = {
        let joined = coordinator.join(&key(), request("", "v.s.t")).await.unwrap();
        (joined.member_id, joined.generation)
    };
    assert!(coordinator.describe(&key()).unwrap().members.iter().any(|member| member.member_id == member_id));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_makes_no_group() {
    let coordinator = start(&Memory::default());
    let nameless = GroupKey::new(Scope::Everything, "");
    let short = JoinRequest { session_timeout: Duration::from_millis(5_999), ..request("", "t") };
    let long = JoinRequest { session_timeout: Duration::from_millis(60_001), ..request("", "t") };
    for (key, request, error) in [
        (&nameless, request("", "t"), GroupError::InvalidGroupId),
        (&key(), short, GroupError::InvalidSessionTimeout),
        (&key(), long, GroupError::InvalidSessionTimeout),
        (&key(), request("stranger", "t"), GroupError::UnknownMemberId),
    ] {
        let member_id = request.member_id.clone();
        assert_eq!(coordinator.join(key, request).await, Err(JoinRefusal { error, member_id }));
    }
    assert_eq!(coordinator.sync(&key(), sync_request("m", 1)).await, Err(GroupError::UnknownMemberId));
    assert_eq!(coordinator.sync(&nameless, sync_request("m", 1)).await, Err(GroupError::InvalidGroupId));
    assert_eq!(coordinator.heartbeat(&key(), &claim("m", 1)), Err(GroupError::UnknownMemberId));
    assert_eq!(coordinator.heartbeat(&nameless, &claim("m", 1)), Err(GroupError::InvalidGroupId));
    let leaver = Leaver { member_id: "m".to_owned(), instance_id: None, reason: String::new() };
    assert_eq!(coordinator.leave(&key(), &[leaver]), Ok(vec![Err(GroupError::UnknownMemberId)]));
    assert_eq!(coordinator.delete(&key()).map(|_| ()), Err(GroupError::GroupIdNotFound));
    assert_eq!(coordinator.list(Scope::Everything), []);
}

#[tokio::test(start_paused = true)]
async fn groups_of_other_scopes_are_other_groups() {
    let coordinator = start(&Memory::default());
    member(&coordinator).await;
    let elsewhere = GroupKey::new(Scope::Volume(VolumeId(7)), "g");
    assert_eq!(coordinator.describe(&elsewhere), None);
    coordinator.join(&elsewhere, request("", "v.s.t")).await.unwrap();
    let listed: Vec<_> = coordinator
        .list(Scope::Volume(VolumeId(7)))
        .into_iter()
        .map(|(group_id, group)| (group_id, group.state))
        .collect();
    assert_eq!(listed, [("g".to_owned(), State::CompletingRebalance)]);
    assert_eq!(coordinator.list(Scope::Everything)[0].1.state, State::Stable);
}

#[tokio::test(start_paused = true)]
async fn members_of_overlapping_scopes_do_not_share_positions() {
    let coordinator = start(&Memory::default());
    let (member_id, _) = member(&coordinator).await;
    let volume = GroupKey::new(Scope::Volume(VolumeId(1)), "g");
    let refusal = coordinator.join(&volume, request("", "v.s.t")).await.unwrap_err();
    assert_eq!(refusal.error, GroupError::InconsistentGroupProtocol);
    let leaver = Leaver { member_id, instance_id: None, reason: String::new() };
    assert_eq!(coordinator.leave(&key(), &[leaver]), Ok(vec![Ok(())]));
    coordinator.join(&volume, request("", "v.s.t")).await.unwrap();
    let refusal = coordinator.join(&key(), request("", "v.s.t")).await.unwrap_err();
    assert_eq!(refusal.error, GroupError::InconsistentGroupProtocol);
    assert!(coordinator.join(&GroupKey::new(Scope::Everything, "h"), request("", "v.s.t")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_that_join_overlapping_scopes_at_once_one_gets_in() {
    let settings = GroupSettings { initial_rebalance_delay: Duration::ZERO, ..settings() };
    let coordinator = Coordinator::new(settings, Box::new(Memory::default()), Arc::new(Names));
    for round in 0..300 {
        let keys =
            [Scope::Everything, Scope::Volume(VolumeId(1))].map(|scope| GroupKey::new(scope, &round.to_string()));
        let gate = Arc::new(std::sync::Barrier::new(2));
        let joining = keys.clone().map(|key| {
            let (coordinator, gate) = (Arc::clone(&coordinator), Arc::clone(&gate));
            std::thread::spawn(move || {
                gate.wait();
                // What it did is done when this returns; the answer is of no interest.
                drop(coordinator.join(&key, request("", "v.s.t")));
            })
        });
        for thread in joining {
            thread.join().unwrap();
        }
        let members = |key| coordinator.describe(key).map_or(0, |group| group.members.len());
        assert_eq!(keys.iter().map(members).sum::<usize>(), 1, "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_spellings_of_a_topic_do_not_meet_in_a_group() {
    let coordinator = start(&Memory::default());
    member(&coordinator).await;
    let refusal = coordinator.join(&key(), request("", "/v/s:t")).await.unwrap_err();
    assert_eq!(refusal.error, GroupError::InconsistentGroupProtocol);
    let elsewhere = GroupKey::new(Scope::Everything, "h");
    assert!(coordinator.join(&elsewhere, request("", "/v/s:t")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn members_survive_the_broker() {
    let store = Memory::default();
    let (member_id, generation) = member(&start(&store)).await;
    let coordinator = start(&store);
    coordinator.load(store.records());
    assert_eq!(coordinator.heartbeat(&key(), &claim(&member_id, generation)), Ok(()));
    let refusal = coordinator.join(&key(), request("", "/v/s:t")).await.unwrap_err();
    assert_eq!(refusal.error, GroupError::InconsistentGroupProtocol, "its subscription is known again");
    sleep(Duration::from_secs(11)).await;
    assert_eq!(coordinator.describe(&key()).unwrap().state, State::Empty, "its session is watched again");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_costs_only_its_own_group() {
    let store = Memory::default();
    let (member_id, generation) = member(&start(&store)).await;
    let coordinator = start(&store);
    let mut records = store.records();
    records.insert(0, (GroupKey::new(Scope::Everything, "bad"), Bytes::from_static(b"\x01nonsense")));
    coordinator.load(records);
    assert_eq!(coordinator.describe(&GroupKey::new(Scope::Everything, "bad")), None);
    assert_eq!(coordinator.heartbeat(&key(), &claim(&member_id, generation)), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn answers_wait_for_the_log() {
    let store = Memory::default();
    let coordinator = start(&store);
    let joined = coordinator.join(&key(), request("", "v.s.t")).await.unwrap();
    store.hold();
    let answer = tokio::spawn(coordinator.sync(&key(), sync_request(&joined.member_id, joined.generation)));
    sleep(Duration::from_secs(1)).await;
    assert!(!answer.is_finished());
    store.release(true);
    assert!(answer.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_broker_that_ends() {
    let store = Memory::default();
    let coordinator = start(&store);
    let joined = coordinator.join(&key(), request("", "v.s.t")).await.unwrap();
    store.hold();
    let syncing = coordinator.sync(&key(), sync_request(&joined.member_id, joined.generation));
    let joining = coordinator.join(&GroupKey::new(Scope::Everything, "h"), request("", "v.s.t"));
    coordinator.stop();
    assert_eq!(syncing.await, Err(GroupError::CoordinatorNotAvailable));
    assert_eq!(joining.await.unwrap_err().error, GroupError::CoordinatorNotAvailable);
    store.release(true);
    let late = coordinator.join(&key(), request("", "v.s.t"));
    assert_eq!(late.await.unwrap_err().error, GroupError::CoordinatorNotAvailable);
    let late = coordinator.sync(&key(), sync_request(&joined.member_id, joined.generation));
    assert_eq!(late.await, Err(GroupError::CoordinatorNotAvailable));
    assert_eq!(coordinator.heartbeat(&key(), &claim(&joined.member_id, joined.generation)), Ok(()), "it is a member");
}

#[tokio::test(start_paused = true)]
async fn nobody_expires_in_a_broker_that_ends() {
    let store = Memory::default();
    let coordinator = start(&store);
    let (member_id, generation) = member(&coordinator).await;
    let written = store.records();
    coordinator.stop();
    sleep(Duration::from_mins(10)).await;
    assert_eq!(coordinator.heartbeat(&key(), &claim(&member_id, generation)), Ok(()), "it is a member");
    assert_eq!(store.records(), written);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_group_is_gone_when_that_is_durable() {
    let store = Memory::default();
    let coordinator = start(&store);
    let (member_id, _) = member(&coordinator).await;
    assert_eq!(coordinator.delete(&key()).map(|_| ()), Err(GroupError::NonEmptyGroup));
    let leaver = Leaver { member_id, instance_id: None, reason: String::new() };
    assert_eq!(coordinator.leave(&key(), &[leaver]), Ok(vec![Ok(())]));

    store.hold();
    let failed = coordinator.delete(&key()).unwrap();
    assert_eq!(coordinator.describe(&key()), None);
    assert_eq!(coordinator.list(Scope::Everything), []);
    store.release(false);
    assert_eq!(failed.await, Err(GroupError::CoordinatorNotAvailable));
    assert_eq!(coordinator.describe(&key()).unwrap().state, State::Empty, "it is still there");

    assert_eq!(coordinator.delete(&key()).unwrap().await, Ok(()));
    assert_eq!(store.records(), []);
    assert!(coordinator.groups.is_empty());
    let joined = coordinator.join(&key(), request("", "v.s.t")).await.unwrap();
    assert_eq!(joined.generation, 1, "a group of that name begins anew");
}

#[tokio::test(start_paused = true)]
async fn commits_are_allowed_to_members_and_to_anybody_where_there_are_none() {
    let coordinator = start(&Memory::default());
    assert_eq!(coordinator.check_commit(&key(), &claim("", -1)), Ok(()), "there is no group that could mind");
    assert_eq!(
        coordinator.check_commit(&GroupKey::new(Scope::Everything, "x"), &claim("m", 3)),
        Err(GroupError::UnknownMemberId)
    );
    let (member_id, generation) = member(&coordinator).await;
    assert_eq!(coordinator.check_commit(&key(), &claim(&member_id, generation)), Ok(()));
    assert_eq!(coordinator.check_commit(&key(), &claim("", -1)), Err(GroupError::UnknownMemberId));
    assert!(!coordinator.has_overtaken(&key(), generation));
    assert!(coordinator.has_overtaken(&key(), generation - 1));
    assert!(!coordinator.has_overtaken(&GroupKey::new(Scope::Everything, "x"), 3));
}

/// Saves that end on threads of their own, as a log's do.
struct Elsewhere;

impl GroupStore for Elsewhere {
    fn save(&self, _: &GroupKey, _: Option<Bytes>, saved: Saved) {
        std::thread::spawn(move || saved(true));
    }
}

/// One member: joins and syncs until it has an assignment, then leaves; so many times.
async fn come_and_go(coordinator: Arc<Coordinator>, times: usize) {
    let mut done = 0;
    while done < times {
        let joined = coordinator.join(&key(), request("", "v.s.t")).await.unwrap();
        let member_id = joined.member_id;
        let mut sync = sync_request(&member_id, joined.generation);
        sync.assignments = joined.members.into_iter().map(|member| (member.member_id, "all".into())).collect();
        if let Ok(synced) = coordinator.sync(&key(), sync).await {
            assert_eq!(synced.assignment, Bytes::from_static(b"all"), "never empty");
            done += 1;
        }
        let leaver = Leaver { member_id, instance_id: None, reason: String::new() };
        coordinator.leave(&key(), &[leaver]).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn members_on_many_threads_all_get_their_turn() {
    let settings = GroupSettings { initial_rebalance_delay: Duration::ZERO, ..settings() };
    let coordinator = Coordinator::new(settings, Box::new(Elsewhere), Arc::new(Names));
    let running = tokio::spawn(Arc::clone(&coordinator).run());
    let members: Vec<_> = (0..8).map(|_| tokio::spawn(come_and_go(Arc::clone(&coordinator), 25))).collect();
    for member in members {
        tokio::time::timeout(Duration::from_mins(1), member).await.expect("nobody waits for ever").unwrap();
    }
    assert_eq!(coordinator.describe(&key()).unwrap().state, State::Empty);
    running.abort();
}
