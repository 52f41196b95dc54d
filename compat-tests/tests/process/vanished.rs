//! The data directory goes away under the broker: moved, removed, or read-only. It says so, takes no more writes, and goes on serving what it can.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{DeleteTopicsRequest, DescribeLogDirsRequest};
use millpond_compat_tests::requests;
use millpond_compat_tests::server::Server;

use crate::known::{Known, TOPIC, copy_dir};
use crate::mounts::in_own_mounts;

const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const STORAGE_ERROR: i16 = 56;

/// Sends until it is refused, or until it is taken.
fn until(known: &mut Known, server: &Server, is_taken: bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut wire = server.wire();
    loop {
        let code = known.try_produce(&mut wire, 0, 100).error_code;
        if (code == 0) == is_taken {
            assert!(is_taken || code == STORAGE_ERROR, "error {code}");
            return;
        }
        assert!(Instant::now() < deadline, "still {code}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_directory_that_is_moved_away_takes_no_writes_until_it_is_back() {
    let mut server = Server::start();
    let mut known = Known::make(&server);
    let elsewhere = server.data().with_extension("moved");
    fs::rename(server.data(), &elsewhere).expect("it is ours");
    server.printed("the data directory is GONE");
    until(&mut known, &server, false);
    known.check_records(&mut server.wire());
    fs::rename(&elsewhere, server.data()).expect("it is ours");
    server.printed("the data directory is back");
    until(&mut known, &server, true);
    known.check(&server);
    assert!(server.stop().success());
    server.restart();
    known.check(&server);

    // It is gone when the broker stops: that is where its data is.
    fs::rename(server.data(), &elsewhere).expect("it is ours");
    server.printed("the data directory is GONE");
    server.stop();
    fs::rename(&elsewhere, server.data()).expect("it is ours");
    server.restart();
    known.check(&server);
    assert!(!server.output().contains("panicked"), "{}", server.output());
}

/// Of every API that writes: an error that its clients try again after, or show.
#[test]
fn what_cannot_be_written_is_refused_with_what_clients_know() {
    let mut server = Server::builder().set("groups.initial_rebalance_delay_ms", "0").start();
    let known = Known::make(&server);
    let mut wire = server.wire();
    let joined = wire.call(3, &requests::join_request(3, "readers", ""));
    assert_eq!(joined.error_code, 0);
    let elsewhere = server.data().with_extension("moved");
    fs::rename(server.data(), &elsewhere).expect("it is ours");
    server.printed("the data directory is GONE");

    let created = wire.call(7, &requests::create_topic("quotes", 1));
    assert_eq!(created.topics[0].error_code, STORAGE_ERROR, "{created:?}");
    let deleted = wire.call(5, &DeleteTopicsRequest::default().with_topic_names(vec![requests::name(TOPIC)]));
    assert_eq!(deleted.responses[0].error_code, STORAGE_ERROR, "{deleted:?}");
    let asked = wire.call(9, &requests::metadata(&["quotes"]).with_allow_auto_topic_creation(true));
    assert_eq!(asked.topics[0].error_code, STORAGE_ERROR, "{asked:?}");
    let synced = wire.call(3, &requests::sync_request(3, "readers", &joined));
    assert_eq!(synced.error_code, COORDINATOR_NOT_AVAILABLE, "{synced:?}");
    let committed = wire.call(8, &requests::commit("risk", TOPIC, 1, 9, ""));
    assert_eq!(committed.topics[0].partitions[0].error_code, COORDINATOR_NOT_AVAILABLE, "{committed:?}");
    // What is left of a block of ids is given out still.
    let ids = (0..=1000).map(|_| wire.call(4, &requests::init_producer()));
    let refused = ids.into_iter().find(|answer| answer.error_code != 0).expect("a block has no more");
    let said = (refused.error_code, refused.producer_id.0, refused.producer_epoch);
    assert_eq!(said, (COORDINATOR_LOAD_IN_PROGRESS, -1, -1));
    let described = wire.call(1, &DescribeLogDirsRequest::default().with_topics(None));
    assert_eq!(described.results[0].error_code, STORAGE_ERROR, "{described:?}");

    fs::rename(&elsewhere, server.data()).expect("it is ours");
    server.printed("the data directory is back");
    assert_eq!(wire.call(4, &requests::init_producer()).error_code, 0);
    known.check(&server);
    assert!(server.stop().success());
}

#[test]
fn a_directory_that_is_removed_can_still_be_read_from() {
    let mut server = Server::start();
    let mut known = Known::make(&server);
    let aside = tempfile::tempdir().expect("a directory can be made");
    copy_dir(server.data(), aside.path());
    let held: Vec<usize> = known.acknowledged.iter().map(Vec::len).collect();
    fs::remove_dir_all(server.data()).expect("it is ours");
    // A sync that was under way when its file went may still have counted; none that began later does.
    until(&mut known, &server, false);
    known.check_records(&mut server.wire());
    let output = server.printed("the data directory is GONE");
    assert!(!output.contains("panicked"), "{output}");
    server.stop();
    fs::create_dir(server.data()).expect("its place is free");
    fs::remove_dir(server.data()).expect("it is empty");
    copy_dir(aside.path(), server.data());
    for (sent, held) in known.acknowledged.iter_mut().zip(held) {
        sent.truncate(held);
    }
    server.restart();
    known.check(&server);
}

#[test]
fn a_disk_that_becomes_read_only_refuses_writes_and_loses_nothing() {
    in_own_mounts("vanished::a_disk_that_becomes_read_only_refuses_writes_and_loses_nothing", |mounts| {
        let disk = mounts.tmpfs(200);
        let mut server = Server::builder()
            .data_in(disk)
            .set("disk.free_bytes_min", "1MiB")
            .set("disk.ballast_bytes", "1MiB")
            .start();
        let mut known = Known::make(&server);
        assert!(server.stop().success());
        mounts.remount("ro");
        let refused = server.try_restart().expect_err("it cannot write");
        assert!(refused.contains("Read-only file system"), "{refused}");
        assert!(refused.contains(server.data().to_str().expect("UTF-8")) && !refused.contains("panicked"), "{refused}");
        mounts.remount("rw");
        server.restart();
        known.check(&server);
        known.produce(&mut server.wire(), 1, 100);
        assert!(server.stop().success());
    });
}
