//! `state/` is an index: without it, with a damaged or an older one, the same broker comes back. One that is ahead of the log says that the log lost
//! something.

use std::fs;
use std::path::{Path, PathBuf};

use millpond_compat_tests::random::Random;
use millpond_compat_tests::server::{Builder, Server};

use crate::known::{Known, Member, TOPIC, copy_dir, replace_dir};
use crate::rot::nothing_false_is_served;

fn setup() -> Builder {
    Server::builder().set("groups.initial_rebalance_delay_ms", "0").set("log.checkpoint_bytes", "1MiB")
}

fn state(server: &Server) -> PathBuf {
    server.data().join("state")
}

/// Starts the broker again and holds it to what is known.
fn comes_back(server: &mut Server, known: &Known, member: &Member, what: &str) {
    server.restart();
    known.check(server);
    member.check(server);
    assert!(server.stop().success(), "{what}");
}

#[test]
fn the_same_broker_comes_back_without_its_index_and_with_an_older_one() {
    let mut server = setup().start();
    let mut known = Known::make(&server);
    let member = Member::join(&server);
    let older = tempfile::tempdir().expect("a directory can be made");
    assert!(server.stop().success());
    copy_dir(&state(&server), older.path());
    server.restart();
    let mut wire = server.wire();
    known.produce(&mut wire, 5, 100);
    known.commit(&mut wire);
    assert!(server.stop().success());

    comes_back(&mut server, &known, &member, "as it was");
    fs::remove_dir_all(state(&server)).expect("it is there");
    comes_back(&mut server, &known, &member, "without an index");
    replace_dir(older.path(), &state(&server));
    comes_back(&mut server, &known, &member, "with an older index");
    server.restart();
    known.produce(&mut server.wire(), 1, 10);
    server.kill();
    replace_dir(older.path(), &state(&server));
    comes_back(&mut server, &known, &member, "with an older index, killed");
    server.restart();
    known.produce(&mut server.wire(), 1, 10);
    server.kill();
    fs::remove_dir_all(state(&server)).expect("it is there");
    comes_back(&mut server, &known, &member, "without an index, killed");
}

#[test]
fn the_same_broker_comes_back_with_a_damaged_index() {
    let mut server = setup().start();
    let known = Known::make(&server);
    let member = Member::join(&server);
    assert!(server.stop().success());
    let whole = tempfile::tempdir().expect("a directory can be made");
    copy_dir(&state(&server), whole.path());
    let mut random = Random::of_test("damaged index");
    for round in 0..8 {
        replace_dir(whole.path(), &state(&server));
        damage(&state(&server), round, &mut random);
        comes_back(&mut server, &known, &member, &format!("damage {round}"));
    }
}

/// Bits that flip, an end that is lost, or nothing but noise, in every file of the index.
fn damage(directory: &Path, round: u32, random: &mut Random) {
    for entry in fs::read_dir(directory).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            damage(&path, round, random);
            continue;
        }
        let mut bytes = fs::read(&path).expect("it can be read");
        let Some(last) = bytes.len().checked_sub(1) else { continue };
        let mut place = || usize::try_from(random.between(0, last as u64)).expect("small");
        match round {
            0 => bytes.truncate(place()),
            1 => bytes.fill(0xa5),
            _ => (0..20).for_each(|_| bytes[place()] ^= 0x10),
        }
        fs::write(&path, bytes).expect("it can be written");
    }
}

#[test]
fn an_index_that_is_ahead_of_the_log_says_that_the_log_lost_something() {
    let mut server = setup().start();
    let mut known = Known::make(&server);
    assert!(server.stop().success());
    let older = tempfile::tempdir().expect("a directory can be made");
    copy_dir(&server.data().join("timelines"), older.path());
    server.restart();
    let held: Vec<usize> = known.acknowledged.iter().map(Vec::len).collect();
    known.produce(&mut server.wire(), 5, 100);
    assert!(server.stop().success());
    replace_dir(older.path(), &server.data().join("timelines"));
    for (sent, held) in known.acknowledged.iter_mut().zip(held) {
        sent.truncate(held);
    }

    server.restart();
    let output = server.printed("DAMAGED");
    assert!(output.contains("a checkpoint (in state/ or state-at/) has LSN"), "{output}");
    let whole: usize = known.acknowledged.iter().map(|sent| 2 * sent.len()).sum();
    assert_eq!(nothing_false_is_served(&server, &known), whole, "what is sound is served");
    let refused = known.try_produce(&mut server.wire(), 0, 10);
    assert_eq!(refused.error_code, 56, "KAFKA_STORAGE_ERROR: {refused:?}");
    assert!(server.stop().success());
    // Whoever put the older log there on purpose says so by removing the index.
    fs::remove_dir_all(state(&server)).expect("it is there");
    server.restart();
    known.check(&server);
    known.produce(&mut server.wire(), 1, 10);
    assert!(server.stop().success());
    assert!(!server.output().contains("DAMAGED"), "{TOPIC}: {}", server.output());
}
