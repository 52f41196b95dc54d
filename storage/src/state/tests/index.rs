//! The index: right, or made anew; never wrong.

use super::{checkpoint, topic};
use crate::disk::sim::Seed;
use crate::state::index::Put;
use crate::state::{Checkpoint, Fact, Index, Topic};
use crate::{Lsn, TimelineId};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const CACHE_BYTES: u64 = 4 << 20;
const TIMELINES: [TimelineId; 2] = [TimelineId(0), TimelineId(4)];

struct Data {
    root: tempfile::TempDir,
}

impl Data {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("state")
    }

    fn open(&self) -> Index {
        Index::open(&self.dir(), CACHE_BYTES)
    }

    /// What stands beside the index.
    fn aside(&self) -> Vec<String> {
        let names = fs::read_dir(self.root.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).filter(|name| name.starts_with("state.bad-")).collect()
    }
}

/// The files below a directory, by path, and their bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.append(&mut files(&path));
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

fn write_files(dir: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    let _ = fs::remove_dir_all(dir);
    for (path, bytes) in files {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// The next checkpoint of a timeline: one partition went on, one topic came and one went.
fn later(before: &Checkpoint, seed: u64) -> Checkpoint {
    let mut later = Checkpoint { lsn: Lsn(before.lsn.0 + 10), ..before.clone() };
    let at = usize::try_from(seed).unwrap() % later.partitions.len();
    later.partitions[at].end_offset += 17;
    let number = 50_000 + u32::try_from(seed).unwrap();
    later.facts.apply(&topic("default", &format!("new-{seed}"), number).into());
    let gone = later.facts.topics().nth(at % later.facts.topic_count()).unwrap().name.clone();
    later.facts.apply(&Fact::delete::<Topic>(gone));
    later
}

#[test]
fn the_last_checkpoint_of_each_timeline_comes_back() {
    let data = Data::new();
    let index = data.open();
    assert_eq!(index.load(TIMELINES[0]), None);
    let mut last = BTreeMap::new();
    for (nth, timeline) in TIMELINES.into_iter().enumerate() {
        let mut now = checkpoint(300, 4, nth as u64);
        for seed in 0..5 {
            index.put(timeline, &now).unwrap();
            assert_eq!(index.load(timeline).as_ref(), Some(&now));
            last.insert(timeline, now.clone());
            now = later(&now, seed);
        }
    }
    drop(index);
    let index = data.open();
    for (timeline, checkpoint) in last {
        assert_eq!(index.load(timeline), Some(checkpoint));
    }
    assert_eq!(data.aside(), [""; 0]);
}

#[test]
fn only_what_changed_is_written() {
    let data = Data::new();
    let index = data.open();
    let first = checkpoint(2_500, 4, 1);
    let Put { written, removed, pages } = index.put(TIMELINES[1], &first).unwrap();
    assert_eq!((written, removed), (pages, 0));
    assert!((200..800).contains(&pages), "{pages} pages of about 128 entries");
    let same = index.put(TIMELINES[1], &first).unwrap();
    assert_eq!(same, Put { written: 0, removed: 0, pages });

    let second = later(&first, 1);
    drop(index);
    // What is there is known again after a start, whether it was asked for or not.
    let index = data.open();
    let put = index.put(TIMELINES[1], &second).unwrap();
    // A partition, a topic that came and one that went, the tail with the LSN; a page that was split or joined counts twice.
    assert!(put.written <= 6 && put.removed <= 1, "{put:?}");
    assert_eq!(index.load(TIMELINES[1]), Some(second));
}

#[test]
fn a_checkpoint_that_was_put_needs_no_closing() {
    let data = Data::new();
    let index = data.open();
    let mut now = checkpoint(60, 2, 1);
    for seed in 0..5 {
        now = later(&now, seed);
        index.put(TIMELINES[1], &now).unwrap();
        // What another process would find if this one were killed here.
        let killed = Data::new();
        for (path, bytes) in files(&data.dir()) {
            let path = killed.dir().join(path.strip_prefix(data.dir()).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        assert_eq!(killed.open().load(TIMELINES[1]).as_ref(), Some(&now));
    }
}

#[test]
fn a_checkpoint_may_lag_and_go_back() {
    let data = Data::new();
    let index = data.open();
    let first = checkpoint(20, 2, 1);
    let second = later(&first, 1);
    index.put(TIMELINES[1], &second).unwrap();
    index.put(TIMELINES[1], &first).unwrap();
    assert_eq!(index.load(TIMELINES[1]), Some(first));
}

#[test]
fn a_timeline_that_is_removed_is_gone() {
    let data = Data::new();
    let index = data.open();
    let checkpoint = checkpoint(20, 2, 1);
    for timeline in TIMELINES {
        index.put(timeline, &checkpoint).unwrap();
    }
    index.remove(TIMELINES[0]);
    drop(index);
    let index = data.open();
    assert_eq!(index.load(TIMELINES[0]), None);
    assert_eq!(index.load(TIMELINES[1]), Some(checkpoint));
}

/// Opens the database itself. Its threads let go of the lock a moment after the handle before it is dropped.
fn opened(data: &Data) -> sled::Db {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        match sled::open(data.dir()) {
            Err(sled::Error::Io(_)) if std::time::Instant::now() < deadline => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// Does something to the tree of a timeline behind the index's back.
fn with_tree(data: &Data, change: impl FnOnce(&sled::Tree)) {
    let db = opened(data);
    change(&db.open_tree(TIMELINES[1].0.to_be_bytes()).unwrap());
    db.flush().unwrap();
}

type Change = fn(&sled::Tree);

#[test]
fn a_tree_that_lost_or_kept_something_is_set_aside() {
    let first = checkpoint(300, 4, 1);
    let second = later(&first, 3);
    let changes: [(&str, Change); 5] = [
        ("a page is lost", |tree| {
            tree.pop_min().unwrap();
        }),
        ("the LSN is lost", |tree| {
            tree.remove("applied").unwrap();
        }),
        ("a page is under another key", |tree| {
            let (key, value) = tree.pop_min().unwrap().unwrap();
            tree.insert([&key[..], b"x"].concat(), value).unwrap();
        }),
        ("something else is there", |tree| {
            tree.insert(b"\xffsomething", b"else").unwrap();
        }),
        ("the LSN is that of another format", |tree| {
            let mut value = tree.get("applied").unwrap().unwrap().to_vec();
            value[4] += 1;
            let crc = crc32c::crc32c(&value[4..]);
            value[..4].copy_from_slice(&crc.to_le_bytes());
            tree.insert("applied", value).unwrap();
        }),
    ];
    for (what, change) in changes {
        let data = Data::new();
        data.open().put(TIMELINES[1], &first).unwrap();
        with_tree(&data, change);
        let index = data.open();
        assert_eq!(index.load(TIMELINES[1]), None, "{what}");
        assert_eq!(data.aside().len(), 1, "{what}");
        index.put(TIMELINES[1], &second).unwrap();
        assert_eq!(index.load(TIMELINES[1]).as_ref(), Some(&second), "{what}");
    }
}

#[test]
fn pages_of_an_older_checkpoint_do_not_pass_for_the_last() {
    let data = Data::new();
    let first = checkpoint(300, 4, 1);
    data.open().put(TIMELINES[1], &first).unwrap();
    let mut old = BTreeMap::new();
    with_tree(&data, |tree| {
        old.extend(tree.iter().map(|entry| entry.unwrap()).filter(|(key, _)| key[0] < b'a'));
    });
    data.open().put(TIMELINES[1], &later(&first, 3)).unwrap();
    let mut changed = Vec::new();
    with_tree(&data, |tree| {
        changed.extend(old.into_iter().filter(|(key, value)| tree.get(key).unwrap().as_ref() != Some(value)));
    });
    assert!(changed.len() >= 2);
    for (key, value) in changed {
        let kept = files(&data.dir());
        with_tree(&data, |tree| {
            tree.insert(&key, &value).unwrap();
        });
        assert_eq!(data.open().load(TIMELINES[1]), None);
        write_files(&data.dir(), &kept);
    }
}

#[test]
fn what_cannot_be_opened_is_set_aside_and_only_the_last_of_those_is_kept() {
    let data = Data::new();
    let checkpoint = checkpoint(20, 2, 1);
    for _ in 0..3 {
        let _ = fs::remove_dir_all(data.dir());
        fs::write(data.dir(), "no directory").unwrap();
        let index = data.open();
        assert!(index.is_open());
        assert_eq!(index.load(TIMELINES[1]), None);
        index.put(TIMELINES[1], &checkpoint).unwrap();
        assert_eq!(index.load(TIMELINES[1]).as_ref(), Some(&checkpoint));
        assert_eq!(data.aside().len(), 1);
    }
}

#[test]
fn without_a_place_there_is_no_index_until_there_is_one() {
    let data = Data::new();
    let beyond = data.root.path().join("beyond");
    fs::write(&beyond, "no directory").unwrap();
    let index = Index::open(&beyond.join("state"), CACHE_BYTES);
    let checkpoint = checkpoint(20, 2, 1);
    assert!(!index.is_open());
    assert_eq!((index.load(TIMELINES[1]), index.put(TIMELINES[1], &checkpoint)), (None, None));
    fs::remove_file(&beyond).unwrap();
    assert!(index.put(TIMELINES[1], &checkpoint).is_some());
    assert_eq!(index.load(TIMELINES[1]), Some(checkpoint));
}

/// Damages a file at a place that was used: a bit, a sector, or all that follows.
fn damage(bytes: &mut Vec<u8>, at: usize, seeded: &mut Seed) {
    match seeded.below(4) {
        0 => bytes.truncate(at),
        1 => {
            let sector = at / 512 * 512..bytes.len().min(at / 512 * 512 + 512);
            let byte = [0, 0xff, 0x55][seeded.index(3)];
            bytes[sector].fill(byte);
        }
        _ => bytes[at] ^= 1 << seeded.below(8),
    }
}

/// Damages the files anywhere: whatever sled makes of it, a checkpoint that comes back is one that was put.
#[test]
fn damage_is_seen_or_harmless() {
    let data = Data::new();
    let first = checkpoint(60, 2, 1);
    let second = later(&first, 3);
    let index = data.open();
    index.put(TIMELINES[1], &first).unwrap();
    index.put(TIMELINES[1], &second).unwrap();
    drop(index);
    let good = files(&data.dir());
    // Most of a new database is zeros: damage there would prove little.
    let used: Vec<(&PathBuf, usize)> = good
        .iter()
        .flat_map(|(path, bytes)| (0..bytes.len()).filter(|at| bytes[*at] != 0).map(move |at| (path, at)))
        .collect();
    let mut outcomes = [0; 3];
    for seed in 0..150 {
        let mut seeded = Seed::new(seed);
        let (path, at) = used[seeded.index(used.len())];
        let mut bad = good.clone();
        damage(bad.get_mut(path).unwrap(), at, &mut seeded);
        write_files(&data.dir(), &bad);
        let index = data.open();
        let loaded = index.load(TIMELINES[1]);
        let outcome = [None, Some(&first), Some(&second)].iter().position(|possible| *possible == loaded.as_ref());
        outcomes[outcome.unwrap_or_else(|| panic!("seed {seed}: {} at {at}: wrong", path.display()))] += 1;
        let third = later(&second, seed);
        let put = index.put(TIMELINES[1], &third).or_else(|| index.put(TIMELINES[1], &third));
        assert!(put.is_some(), "seed {seed}: no index");
        assert_eq!(index.load(TIMELINES[1]), Some(third), "seed {seed}");
    }
    assert!(outcomes[0] > 0, "nothing, the first, the second: {outcomes:?}");
}
