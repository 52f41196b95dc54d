//! Reads from files: given by where they lie, checked once after the start, and never served when they rot before that.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millpond_storage::batch::BatchIter;
use millpond_storage::{Engine, Error, Fetched, Options, Piece, Timeline, TopicPartition};

use crate::front_door::{append, create_topic, options, read, timeline};

const VALUE_BYTES: usize = 40_000;

fn without_cache(dir: &Path) -> Options {
    Options { cache_bytes: 0, ..options(dir) }
}

/// Three long batches of each of two partitions, interleaved, then a short one.
fn written(dir: &Path) -> (Arc<Engine>, Timeline, TopicPartition) {
    let engine = Engine::open(without_cache(dir)).expect("it opens");
    let number = create_topic(&engine, "trades", 2);
    let log = timeline(&engine);
    for n in 0..3 {
        for partition in 0..2 {
            let value = format!("{n}").repeat(VALUE_BYTES);
            append(&log, TopicPartition::new(number, partition), &[&value]);
        }
    }
    append(&log, TopicPartition::new(number, 1), &["short"]);
    (engine, log, TopicPartition::new(number, 1))
}

fn offsets(fetched: &Fetched) -> Vec<i64> {
    let bytes = fetched.concat().expect("it can be read");
    BatchIter::new(&bytes).map(|batch| batch.expect("sound").header().base_offset()).collect()
}

/// How many bytes were checked, and how many were known to be sound.
fn counted(engine: &Engine) -> (u64, u64) {
    (engine.stats().checked_bytes.get(), engine.stats().known_bytes.get())
}

fn log_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for timeline in fs::read_dir(dir.join("timelines")).expect("it is there") {
        let logs = fs::read_dir(timeline.expect("an entry").path().join("log")).expect("it is there");
        found.extend(logs.map(|log| log.expect("an entry").path()));
    }
    found.into_iter().filter(|path| path.extension().is_some_and(|end| end == "log")).collect()
}

#[test]
fn long_batches_are_checked_once_and_given_by_where_they_lie() {
    let dir = tempfile::tempdir().expect("a directory");
    let (engine, log, id) = written(dir.path());
    let first = read(&log, id, 0).expect("in range");
    assert_eq!(offsets(&first), [0, 1, 2, 3]);
    let is_stored: Vec<bool> = first.pieces.iter().map(|piece| matches!(piece, Piece::Stored(_))).collect();
    assert_eq!(is_stored, [true, true, true, false]);
    let all = u64::try_from(first.bytes).expect("small");
    assert_eq!(counted(&engine), (all, 0));

    let second = read(&log, id, 0).expect("in range");
    assert_eq!(second.concat().expect("readable"), first.concat().expect("readable"));
    let short = u64::try_from(first.pieces[3].len()).expect("small");
    assert_eq!(counted(&engine), (all + short, all - short), "only the short batch is checked again");

    // From within: the limit holds for what is known as well, and the first batch comes whole.
    let two = u64::try_from(first.pieces[1].len()).expect("small");
    let view = log.live();
    let partition = view.partition(id).expect("it exists");
    let one = millpond_storage::Read { from: 1, max_bytes: VALUE_BYTES + 1_000, at_least_one: true };
    for max_bytes in [one.max_bytes, 1] {
        let (sender, receiver) = std::sync::mpsc::channel();
        let asked = millpond_storage::Read { max_bytes, ..one };
        view.read(&partition, asked, move |outcome| sender.send(outcome).expect("the test waits"));
        let fetched = receiver.recv().expect("answered").expect("in range");
        assert_eq!((offsets(&fetched), fetched.bytes as u64), (vec![1], two));
    }
    engine.close().expect("it closes");
}

#[test]
fn rot_before_the_first_read_after_a_start_is_told_of() {
    let dir = tempfile::tempdir().expect("a directory");
    let (engine, log, id) = written(dir.path());
    assert_eq!(offsets(&read(&log, id, 0).expect("in range")), [0, 1, 2, 3]);
    engine.close().expect("it closes");
    drop((engine, log));

    let path = log_files(dir.path()).into_iter().max_by_key(|path| fs::metadata(path).expect("a file").len());
    let path = path.expect("a log");
    let mut bytes = fs::read(&path).expect("readable");
    let middle = bytes.windows(64).rposition(|window| window == [b'1'; 64]).expect("the second value");
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("writable");

    let engine = Engine::open(without_cache(dir.path())).expect("it opens");
    let log = timeline(&engine);
    for _ in 0..2 {
        assert_eq!(offsets(&read(&log, id, 0).expect("what lies before is sound")), [0]);
        let refused = read(&log, id, 1).expect_err("it has rotted");
        assert!(matches!(refused, Error::DamagedBatch { base_offset: 1, end_offset: 2, .. }), "{refused:?}");
        assert_eq!(offsets(&read(&log, id, 2).expect("what lies behind is sound")), [2, 3]);
    }
    engine.close().expect("it closes");
}

#[test]
fn what_was_given_outlives_the_name_of_its_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let (engine, log, id) = written(dir.path());
    let fetched = read(&log, id, 0).expect("in range");
    let expected = fetched.concat().expect("readable");
    engine.close().expect("it closes");
    for path in log_files(dir.path()) {
        fs::remove_file(path).expect("removable");
    }

    let mut sent = tempfile::tempfile().expect("a file");
    for mut piece in fetched.pieces {
        while let Piece::Stored(stored) = &piece {
            if piece.is_empty() {
                break;
            }
            let count = stored.send(sent.as_fd()).expect("it can be sent");
            piece.advance(count);
        }
        if let Piece::Bytes(bytes) = piece {
            std::io::Write::write_all(&mut sent, &bytes).expect("writable");
        }
    }
    std::io::Seek::rewind(&mut sent).expect("a file");
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut sent, &mut bytes).expect("readable");
    assert_eq!(bytes, expected);
}
