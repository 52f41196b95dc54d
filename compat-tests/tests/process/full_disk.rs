//! A disk that is full: records are refused with an error that clients retry, everything else goes on, and when there is room again
//! everything is as if nothing had been.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use millpond_compat_tests::server::{Builder, Server};
use millpond_compat_tests::wire::Wire;

use crate::known::Known;
use crate::mounts::in_own_mounts;

const NOT_ENOUGH_REPLICAS: i16 = 19;

fn setup(disk: &Path) -> Builder {
    Server::builder()
        .data_in(disk)
        .set("disk.ballast_bytes", "2MiB")
        .set("disk.free_bytes_min", "4MiB")
        .set("log.file_bytes", "1MiB")
        .set("log.checkpoint_bytes", "1MiB")
        .set("topics.retention_check_interval_ms", "1s")
}

/// Fills a disk to the last byte.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("filler");
    let mut file = File::create(&path).expect("there is room for a name");
    for size in [1 << 16, 1 << 12, 1] {
        let piece = vec![7; size];
        while file.write_all(&piece).is_ok() {}
    }
    path
}

/// Produces until it is refused, and again until it is taken: the code of the refusal.
fn until(known: &mut Known, wire: &mut Wire, is_taken: bool) -> i16 {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let answer = known.try_produce(wire, 0, 20_000);
        if (answer.error_code == 0) == is_taken {
            return answer.error_code;
        }
        assert!(Instant::now() < deadline, "still {answer:?}");
        if is_taken {
            // The broker looks at the disk every half second: nothing tells a client that there is room.
            thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_full_disk_refuses_records_and_nothing_else() {
    in_own_mounts("full_disk::a_full_disk_refuses_records_and_nothing_else", |mounts| {
        let disk = mounts.tmpfs(40);
        let mut server = setup(disk).start();
        let mut known = Known::make(&server);
        let mut wire = server.wire();
        known.produce(&mut wire, 20, 20_000);
        for _ in 0..2 {
            let filler = fill(disk);
            assert_eq!(until(&mut known, &mut wire, false), NOT_ENOUGH_REPLICAS);
            known.check_records(&mut wire);
            let output = server.printed("the disk is full");
            assert!(output.contains("delete topics or lower their retention, or make room"), "{output}");
            known.commit(&mut wire);
            fs::remove_file(filler).expect("it is there");
            until(&mut known, &mut wire, true);
            known.check(&server);
        }
        assert!(server.is_alive() && server.stop().success());
        server.restart();
        known.check(&server);
        let output = server.output();
        assert!(!output.contains("panicked") && !output.contains("DAMAGED"), "{output}");
    });
}

#[test]
fn a_broker_starts_on_a_full_disk_and_ends_on_one() {
    in_own_mounts("full_disk::a_broker_starts_on_a_full_disk_and_ends_on_one", |mounts| {
        let disk = mounts.tmpfs(40);
        let mut server = setup(disk).start();
        let mut known = Known::make(&server);
        known.produce(&mut server.wire(), 10, 20_000);
        let filler = fill(disk);
        until(&mut known, &mut server.wire(), false);
        server.kill();
        server.restart();
        known.check_records(&mut server.wire());
        server.stop();
        fs::remove_file(filler).expect("it is there");
        server.restart();
        known.check(&server);
        until(&mut known, &mut server.wire(), true);
        assert!(server.stop().success());
    });
}

#[test]
fn sorting_waits_for_room_and_goes_on() {
    in_own_mounts("full_disk::sorting_waits_for_room_and_goes_on", |mounts| {
        let disk = mounts.tmpfs(40);
        let mut server = setup(disk).set("topics.retention_check_interval_ms", "1h").start();
        let mut known = Known::make(&server);
        // Small batches of three partitions by turns: runs that are short.
        known.produce(&mut server.wire(), 700, 1_500);
        assert!(server.stop().success());
        server.with_setup(setup(disk).set("topics.retention_check_interval_ms", "1s"));
        let filler = fill(disk);
        server.restart();
        // Refused for want of room, again and again, without harm.
        thread::sleep(Duration::from_secs(3));
        assert!(server.is_alive());
        known.check_records(&mut server.wire());
        assert_eq!(segments(server.data()), 0, "there was room to sort");
        fs::remove_file(filler).expect("it is there");
        server.printed("there is room again");
        let deadline = Instant::now() + Duration::from_mins(1);
        while segments(server.data()) == 0 {
            assert!(Instant::now() < deadline, "not sorted: {}", server.output());
            known.produce(&mut server.wire(), 1, 100);
            thread::sleep(Duration::from_millis(100));
        }
        known.check(&server);
        assert!(server.stop().success());
    });
}

fn segments(data: &Path) -> usize {
    fs::read_dir(data.join("timelines/1/segments")).expect("it is there").count()
}
