//! Rot and files of a newer program, through the whole broker. (`storage/tests/flips.rs` flips every byte; here it is a seeded sample, and what a
//! person and a client see.)

use std::fs;
use std::path::{Path, PathBuf};

use kafka_protocol::messages::FetchResponse;
use millpond_compat_tests::batch::{self, Batch};
use millpond_compat_tests::random::Random;
use millpond_compat_tests::requests;
use millpond_compat_tests::server::{Builder, Server};

use crate::known::{Known, PARTITIONS, TOPIC, copy_dir, replace_dir};

/// Flips of each kind of file.
const FLIPS: u32 = 6;

fn setup() -> Builder {
    Server::builder().set("log.file_bytes", "1MiB").set("log.checkpoint_bytes", "1MiB").set("log.tail_cache_bytes", "0")
}

/// A broker that has stopped, with sealed log files, and a copy of its data.
fn stopped() -> (Server, Known, tempfile::TempDir) {
    let mut server = setup().start();
    let mut known = Known::make(&server);
    known.produce(&mut server.wire(), 12, 50_000);
    assert!(server.stop().success());
    let whole = tempfile::tempdir().expect("a directory can be made");
    copy_dir(server.data(), whole.path());
    (server, known, whole)
}

/// The files below a directory whose path ends so.
fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_str().expect("UTF-8").contains(end) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Reads all that can be read: every record must be one that was written, at its offset. How many there were.
pub(crate) fn nothing_false_is_served(server: &Server, known: &Known) -> usize {
    let mut wire = server.wire();
    let mut found = 0;
    for partition in 0..PARTITIONS {
        let expected: Vec<_> = known.values(partition).collect();
        let mut next = 0;
        loop {
            let answer: FetchResponse =
                wire.call(requests::FETCH, &requests::fetch(&[(TOPIC, partition, next)]).with_max_wait_ms(1));
            let part = &answer.responses[0].partitions[0];
            if part.error_code != 0 {
                break;
            }
            let batches = batch::decode_all(part.records.as_deref().unwrap_or_default());
            for (offset, record) in batches.iter().flat_map(Batch::offsets) {
                let at = usize::try_from(offset).expect("not negative");
                found += 1;
                assert_eq!(record.value.as_ref(), expected.get(at).copied(), "{TOPIC}-{partition} at {offset}");
            }
            next = batches.last().map_or(next, Batch::next_offset);
            if next >= part.high_watermark {
                break;
            }
            assert!(!batches.is_empty(), "{TOPIC}-{partition}: nothing at {next}, and no error");
        }
    }
    found
}

#[test]
fn no_flipped_byte_is_served() {
    let (mut server, known, whole) = stopped();
    let mut random = Random::of_test("rot");
    for kind in ["FORMAT", "TIMELINE", "MANIFEST", "/state-at/", ".log", ".idx"] {
        let names = files(server.data(), kind);
        assert!(!names.is_empty(), "no file {kind}");
        for _ in 0..FLIPS {
            let path = &names[usize::try_from(random.between(0, names.len() as u64 - 1)).expect("small")];
            let mut bytes = fs::read(path).expect("it can be read");
            let at = usize::try_from(random.between(0, bytes.len() as u64 - 1)).expect("small");
            bytes[at] ^= 1 << random.between(0, 7);
            fs::write(path, bytes).expect("it can be written");
            match server.try_restart() {
                Ok(()) => drop(nothing_false_is_served(&server, &known)),
                Err(output) => {
                    let name = path.file_name().expect("a file").to_str().expect("UTF-8");
                    assert!(output.contains(name) && !output.contains("panicked"), "{kind} at {at}: {output}");
                }
            }
            server.stop();
            assert!(!server.output().contains("panicked"), "{kind} at {at}: {}", server.output());
            replace_dir(whole.path(), server.data());
        }
    }
    server.restart();
    known.check(&server);
}

#[test]
fn a_newer_format_is_told_of_by_the_name_of_its_file() {
    let (mut server, known, whole) = stopped();
    for kind in ["FORMAT", "TIMELINE", "MANIFEST", "/state-at/", ".log", ".idx"] {
        // state/ would stand in for a state-at file.
        fs::remove_dir_all(server.data().join("state")).expect("it is there");
        for path in files(server.data(), kind) {
            make_newer(&path);
        }
        let (name, said) = match server.try_restart() {
            Err(output) => (true, output),
            Ok(()) => (false, server.output()),
        };
        let newer = if kind == "FORMAT" { "has format 3" } else { "has format 2" };
        assert!(said.contains(kind.trim_matches('/')) && said.contains(newer), "{kind}: {said}");
        assert!(said.contains("use the newer program, or another data directory"), "{kind}, refused: {name}: {said}");
        server.stop();
        replace_dir(whole.path(), server.data());
    }
    server.restart();
    known.check(&server);
}

/// As a newer program would have written it: another version, under a CRC that is right.
fn make_newer(path: &Path) {
    let mut bytes = fs::read(path).expect("it can be read");
    if path.ends_with("FORMAT") {
        bytes = b"millpond data, format 3\n".to_vec();
    } else {
        bytes[8] = 2;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..64]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    }
    fs::write(path, bytes).expect("it can be written");
}
