//! The data directory goes away under the broker: moved, removed, or read-only. It says so, takes no more writes, and goes on serving what it can.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use millpond_compat_tests::server::Server;

use crate::known::{Known, copy_dir};
use crate::mounts::in_own_mounts;

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
