//! The end by a signal: soon and clean, whoever waits for what, and whatever the broker is doing.

use std::fs;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use millpond_compat_tests::http;
use millpond_compat_tests::requests::{self, FETCH};
use millpond_compat_tests::server::Server;

use crate::failed_sync::with_syncs;
use crate::known::{Known, TOPIC};

const COORDINATOR_NOT_AVAILABLE: i16 = 15;
/// Longer than any test waits.
const FOR_EVER_MS: i32 = 600_000;
/// Well below `limits.shutdown_timeout_ms`, after which the broker waits for nobody.
const SOON: Duration = Duration::from_secs(8);

/// Ends it by a signal, which must not take as long as what is not waited for.
fn stops_soon(server: &mut Server) {
    let started = Instant::now();
    assert!(server.stop().success());
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    let output = server.output();
    assert!(!output.contains("requests under way and are closed") && !output.contains("panicked"), "{output}");
}

#[test]
fn who_waits_for_records_is_answered_and_keeps_nothing_up() {
    let mut server = Server::start();
    let known = Known::make(&server);
    let end = i64::try_from(known.values(0).count()).expect("small");
    let (mut alone, mut in_session) = (server.wire(), server.wire());
    let waiting = fetch(&[(TOPIC, 0, end)]);
    let parked = alone.send(FETCH, &waiting);
    let session = in_session.call(FETCH, &waiting.clone().with_session_epoch(0).with_max_wait_ms(0)).session_id;
    let parked_too = in_session.send(FETCH, &fetch(&[]).with_session_id(session).with_session_epoch(1));
    // They are under way once a request that was sent later is answered on a connection of its own; and nothing else answers them.
    known.check_records(&mut server.wire());
    alone.expect_silence(Duration::from_millis(200));
    stops_soon(&mut server);
    let answer: FetchResponse = alone.receive(parked);
    let part = &answer.responses[0].partitions[0];
    assert_eq!((answer.error_code, part.error_code, part.high_watermark), (0, 0, end));
    assert!(part.records.as_ref().is_none_or(Bytes::is_empty));
    let answer: FetchResponse = in_session.receive(parked_too);
    assert_eq!((answer.error_code, answer.responses.len()), (0, 0));
    alone.expect_closed();
    server.restart();
    known.check(&server);
}

fn fetch(from: &[(&str, i32, i64)]) -> FetchRequest {
    requests::fetch(from).with_min_bytes(1).with_max_wait_ms(FOR_EVER_MS)
}

#[test]
fn who_waits_for_a_group_is_sent_to_the_next_broker() {
    let mut server = Server::builder().set("groups.initial_rebalance_delay_ms", "10min").start();
    let mut joining = server.wire();
    let waiting = joining.send(3, &requests::join_request(3, "readers", ""));
    joining.expect_silence(Duration::from_millis(200));
    stops_soon(&mut server);
    assert_eq!(joining.receive(waiting).error_code, COORDINATOR_NOT_AVAILABLE);

    server.with_setup(Server::builder().set("groups.initial_rebalance_delay_ms", "500ms"));
    server.restart();
    let (mut first, mut second) = (server.wire(), server.wire());
    let joining = [(); 2].map(|()| requests::join_request(3, "readers", ""));
    let (one, two) = (first.send(3, &joining[0]), second.send(3, &joining[1]));
    let (one, two) = (first.receive(one), second.receive(two));
    let leads = one.leader == one.member_id;
    let (mut follower, joined) = if leads { (second, two) } else { (first, one) };
    let mut request = requests::sync_request(3, "readers", &joined);
    request.assignments.clear();
    let waiting = follower.send(3, &request);
    follower.expect_silence(Duration::from_millis(200));
    stops_soon(&mut server);
    assert_eq!(follower.receive(waiting).error_code, COORDINATOR_NOT_AVAILABLE);
}

#[test]
fn data_that_is_being_opened_is_not_waited_for_and_loses_nothing() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let wait = directory.path().join("wait");
    let mut server = with_syncs(directory.path()).variable("MILLPOND_TEST_SYNCS_WAIT", &wait).start();
    let mut known = Known::make(&server);
    for was_killed in [true, false, true] {
        known.produce(&mut server.wire(), 2, 2_000);
        if was_killed {
            server.kill();
        } else {
            assert!(server.stop().success());
        }
        // No start is without a sync: it stands still there.
        fs::write(&wait, b"").expect("it can be written");
        server.begin_restart();
        let deadline = Instant::now() + Duration::from_mins(1);
        while !http::get(server.http(), "/readyz").is_ok_and(|answer| answer.contains(" 503 ")) {
            assert!(Instant::now() < deadline, "{}", server.output());
        }
        stops_soon(&mut server);
        server.printed("stopped while the data was being opened");
        fs::remove_file(&wait).expect("it is there");
        server.restart();
        known.check(&server);
    }
}
