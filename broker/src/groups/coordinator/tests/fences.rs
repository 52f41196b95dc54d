//! Members whose volume is restored.

use super::*;

const HOME: Scope = Scope::Volume(VolumeId(1));

/// Restores the volume; whether what came of it was durable.
fn restore(coordinator: &Arc<Coordinator>, with_positions: &str) -> oneshot::Receiver<bool> {
    let (told, durable) = oneshot::channel();
    let done = Box::new(move |is_durable| {
        let _unwanted = told.send(is_durable);
    });
    coordinator.begin_fence(HOME).carry_out(|group_id| group_id == with_positions, done);
    durable
}

#[tokio::test(start_paused = true)]
async fn members_of_a_restored_volume_are_strangers_and_generations_go_on() {
    let store = Memory::default();
    let coordinator = start(&store);
    let (member_id, generation) = member(&coordinator).await;
    assert!(restore(&coordinator, "").await.unwrap());
    let stranger = GroupError::UnknownMemberId;
    assert_eq!(coordinator.heartbeat(&key(), &claim(&member_id, generation)), Err(stranger));
    assert_eq!(coordinator.check_commit(&key(), &claim(&member_id, generation)), Err(stranger));
    assert_eq!(coordinator.sync(&key(), sync_request(&member_id, generation)).await.unwrap_err(), stranger);
    let refusal = coordinator.join(&key(), request(&member_id, "v.s.t")).await.unwrap_err();
    assert_eq!(refusal.error, GroupError::UnknownMemberId);

    let again = Coordinator::new(settings(), Box::new(store.clone()), Arc::new(Names));
    again.load(store.records());
    assert_eq!(again.describe(&key()).unwrap().state, State::Empty, "a restart does not bring them back");
    let (_, next) = member(&coordinator).await;
    assert!(next > generation, "{next} after {generation}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_group_is_a_stranger_at_once() {
    let store = Memory::default();
    let coordinator = start(&store);
    let other = GroupKey::new(HOME, "h");
    let joined = coordinator.join(&other, request("", "v.s.t")).await.unwrap();
    let gathering = coordinator.join(&key(), request("", "v.s.t"));
    store.hold();
    let syncing = coordinator.sync(&other, sync_request(&joined.member_id, joined.generation));
    let durable = restore(&coordinator, "");
    assert_eq!(syncing.await.unwrap_err(), GroupError::UnknownMemberId);
    assert_eq!(gathering.await.unwrap_err().error, GroupError::UnknownMemberId);
    store.release(true);
    assert!(durable.await.unwrap());
    // The assignment that was on its way to the log is overtaken there by who is in the group: nobody.
    let again = Coordinator::new(settings(), Box::new(store.clone()), Arc::new(Names));
    again.load(store.records());
    assert!(again.describe(&other).unwrap().members.is_empty());
}

#[tokio::test(start_paused = true)]
async fn groups_with_a_stake_are_those_that_consume_may_consume_or_have_positions() {
    let coordinator = start(&Memory::default());
    let named = |group_id: &str| GroupKey::new(Scope::Everything, group_id);
    let unreadable = |protocol_type: &str| JoinRequest {
        protocol_type: protocol_type.to_owned(),
        protocols: vec![Protocol { name: "range".to_owned(), metadata: Bytes::from_static(b"?") }],
        ..request("", "")
    };
    let other = GroupKey::new(Scope::Volume(VolumeId(7)), "volume");
    let requests = [
        (named("consumer"), request("", "v.s.t"), true),
        (GroupKey::new(HOME, "scoped"), request("", "v.s.t"), true),
        (named("unreadable"), unreadable("consumer"), true),
        (named("positions"), request("", "elsewhere"), true),
        (named("elsewhere"), request("", "elsewhere"), false),
        (named("connect"), unreadable("connect"), false),
        (other, request("", "v.s.t"), false),
    ];
    let mut members = Vec::new();
    for (key, request, has_stake) in requests {
        let joined = coordinator.join(&key, request).await.unwrap();
        coordinator.sync(&key, sync_request(&joined.member_id, joined.generation)).await.unwrap();
        members.push((key, claim(&joined.member_id, joined.generation), has_stake));
    }
    assert!(restore(&coordinator, "positions").await.unwrap());
    for (key, claim, has_stake) in members {
        let expected = if has_stake { Err(GroupError::UnknownMemberId) } else { Ok(()) };
        assert_eq!(coordinator.heartbeat(&key, &claim), expected, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_down_is_told() {
    let store = Memory::default();
    let coordinator = start(&store);
    let gathering = coordinator.join(&key(), request("", "v.s.t"));
    store.hold();
    let durable = restore(&coordinator, "");
    assert_eq!(gathering.await.unwrap_err().error, GroupError::UnknownMemberId);
    store.release(false);
    assert!(!durable.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_is_given_up_costs_nobody_anything() {
    let coordinator = start(&Memory::default());
    let (member_id, generation) = member(&coordinator).await;
    let (first, second) = (coordinator.begin_fence(HOME), coordinator.begin_fence(HOME));
    drop(first);
    assert!(coordinator.is_restoring(HOME) && !coordinator.is_restoring(Scope::Volume(VolumeId(2))));
    drop(second);
    assert!(!coordinator.is_restoring(HOME));
    assert_eq!(coordinator.heartbeat(&key(), &claim(&member_id, generation)), Ok(()));
    assert_eq!(coordinator.fences(&key()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_sent_away_is_a_stranger_even_when_its_group_is_gone() {
    let coordinator = start(&Memory::default());
    let (member_id, generation) = member(&coordinator).await;
    assert!(restore(&coordinator, "").await.unwrap());
    coordinator.delete_idle(&key());
    assert_eq!(coordinator.describe(&key()), None);
    let late = coordinator.check_commit(&key(), &claim(&member_id, generation));
    assert_eq!(
        late,
        Err(GroupError::UnknownMemberId),
        "not that there is no such group, which librdkafka takes for final"
    );
}
