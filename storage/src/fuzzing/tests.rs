//! The targets on stable Rust: the committed seeds, and a bounded number of seeded changes of them.

use std::fs;
use std::path::Path;

use super::TARGETS;
use crate::disk::sim::Seed;

/// Changed inputs of each target: all of them together take some seconds.
const CHANGED: usize = 4_000;
const BYTES_MAX: usize = 2_048;

#[test]
fn batches_hold() {
    drive("batches");
}

#[test]
fn log_holds() {
    drive("log");
}

#[test]
fn manifest_holds() {
    drive("manifest");
}

#[test]
fn index_holds() {
    drive("index");
}

#[test]
fn segment_holds() {
    drive("segment");
}

#[test]
fn state_at_holds() {
    drive("state_at");
}

#[test]
fn facts_hold() {
    drive("facts");
}

/// Prints what it was given when the body panics.
struct Given<'a>(&'a str, &'a [u8]);

impl Drop for Given<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("target {} fails with {:02x?}", self.0, self.1);
        }
    }
}

fn drive(name: &str) {
    let (_, body) = TARGETS.into_iter().find(|(target, _)| *target == name).unwrap();
    let run = |bytes: &[u8]| {
        let _given = Given(name, bytes);
        body(bytes);
    };
    let seeds = seeds(name);
    for seed in &seeds {
        run(seed);
    }
    let mut random = Seed::new(0x5eed);
    for _ in 0..CHANGED {
        run(&changed(&seeds, &mut random));
    }
}

/// The committed inputs of a target, and some that any target takes.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no seeds in {}", folder.display());
    let mut seeds: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    seeds.extend([vec![], vec![0; 200], vec![1; 200], vec![2; 200]]);
    seeds
}

/// One of the seeds with some changes: bytes, pieces that go, double or come from another.
fn changed(seeds: &[Vec<u8>], random: &mut Seed) -> Vec<u8> {
    let mut bytes = seeds[random.index(seeds.len())].clone();
    for _ in 0..=random.index(6) {
        let at = random.index(bytes.len() + 1);
        let end = at + random.index((bytes.len() - at).min(64) + 1);
        match random.index(6) {
            0 if at < bytes.len() => bytes[at] = byte(random),
            1 => bytes.insert(at, byte(random)),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.splice(at..at, bytes[at..end].to_vec()).for_each(drop),
            4 => {
                let other = &seeds[random.index(seeds.len())];
                let from = random.index(other.len() + 1);
                let to = from + random.index((other.len() - from).min(256) + 1);
                bytes.splice(at..end, other[from..to].iter().copied()).for_each(drop);
            }
            _ => bytes.splice(at..at, (0..random.index(16)).map(|_| byte(random)).collect::<Vec<_>>()).for_each(drop),
        }
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

/// Small numbers and edges more often than others.
fn byte(random: &mut Seed) -> u8 {
    const EDGES: [u8; 8] = [0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff];
    if random.coin() { EDGES[random.index(EDGES.len())] } else { random.bits().to_le_bytes()[0] }
}
