//! A small writer that keeps the engine's rules, and the ghost that remembers what it wrote.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::sim::Seed;
use crate::disk::{Disk, File, SimDisk};
use crate::error::{Error, Result};
use crate::frame::sample::{Place, Sample, group};
use crate::frame::{GroupRead, HEADER_BYTES};
use crate::manifest::{Edit, FileRef, Identity, Manifest, NextLog, SegmentFile, TimelineDir};
use crate::timeline::recovery::{Recovered, Recovery, Required, Resume, Start};
use crate::units::{Lsn, TimelineId};

pub(super) const SALT: u64 = 0xfeed_beef_0000_1234;

pub(super) fn identity() -> Identity {
    Identity { timeline: TimelineId(2), salt: SALT, created_ms: 0, parent: None, volume: 1, leader_epoch: 0 }
}

pub(super) fn dir() -> TimelineDir {
    TimelineDir::new(identity().timeline)
}

/// What was written, what clients were told of, and what other durable things build on.
#[derive(Clone, Debug, Default)]
pub(super) struct Ghost {
    /// Every group that is or may be in the log, in order.
    pub(super) groups: Vec<(Lsn, Vec<Sample>)>,
    /// All up to here was acknowledged or served: it must never go.
    pub(super) promised: Lsn,
    /// The newest checkpoint.
    pub(super) checkpoint: Option<Start>,
    /// The highest LSN that a file was opened for: LSNs below it may have been given.
    pub(super) opened: Lsn,
    /// Whether the timeline was made, so that it must be there.
    pub(super) is_made: bool,
}

impl Ghost {
    pub(super) fn end(&self) -> Lsn {
        self.groups.last().map_or(Lsn::ZERO, |(lsn, _)| *lsn)
    }
}

/// The file that is appended to.
#[derive(Debug)]
struct Active {
    first: Lsn,
    file: Arc<dyn File>,
    position: u64,
    chain: u32,
}

/// A timeline that is open.
#[derive(Debug)]
pub(super) struct Pond {
    disk: Arc<dyn Disk>,
    pub(super) manifest: Manifest,
    active: Option<Active>,
    /// Where a file that is not made yet follows.
    after: (Lsn, u64),
    /// The last group.
    last: Lsn,
    /// The next group's LSN.
    next: Lsn,
    pub(super) durable: Lsn,
    job: u64,
}

pub(super) struct Opened {
    pub(super) pond: Pond,
    pub(super) recovered: Recovered,
    pub(super) folded: Vec<(Lsn, Vec<Sample>)>,
}

/// Opens a timeline without a word on whether that is right.
pub(super) fn open(disk: &SimDisk, start: Option<Start>, required: &[Required]) -> Result<Opened> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let identity = Identity::read(disk, identity().timeline)?;
    let mut manifest = Manifest::open(&shared, &identity)?;
    let mut folded = Vec::new();
    let recovery = Recovery { disk: &shared, identity: &identity, manifest: &mut manifest, required, start };
    let recovered = recovery.run(&mut |group| {
        folded.push((group.header.lsn, samples(disk, group)));
        Ok(())
    })?;
    let (active, after) = match &recovered.resume {
        Some(Resume::Same { log, file, position, chain }) => {
            let active = Active { first: *log, file: Arc::clone(file), position: *position, chain: *chain };
            (Some(active), (recovered.end_lsn, 0))
        }
        Some(Resume::New { after, after_bytes }) => (None, (*after, *after_bytes)),
        None => (None, (recovered.end_lsn, 0)),
    };
    let (last, next) = (recovered.end_lsn, recovered.next_lsn);
    Ok(Opened {
        pond: Pond { disk: shared, manifest, active, after, last, next, durable: last, job: 1 },
        recovered,
        folded,
    })
}

/// The group as it lies in the file: its payloads read from where they are said to be.
fn samples(disk: &SimDisk, group: &GroupRead) -> Vec<Sample> {
    let bytes = disk.contents(dir().log(group.log)).unwrap();
    let each = group.frames.iter().map(|frame| {
        let at = usize::try_from(frame.payload_position()).unwrap();
        let payload = &bytes[at..at + frame.header.payload_bytes as usize];
        if let Some(handed) = &frame.payload {
            assert_eq!(handed, payload);
        }
        Sample { kind: frame.header.kind, payload: payload.to_vec() }
    });
    each.collect()
}

/// Opens the timeline, making it if it was never made, and holds the recovery to what the ghost knows.
pub(super) fn start(disk: &SimDisk, ghost: &mut Ghost) -> Result<Pond> {
    if !ghost.is_made {
        // Until its making has come to its end, it is nothing: what is there is replaced.
        Manifest::create(&(Arc::new(disk.clone()) as Arc<dyn Disk>), &identity())?;
    }
    ghost.is_made = true;
    let opened = open(disk, ghost.checkpoint, &[])?;
    check(disk, ghost, &opened);
    Ok(opened.pond)
}

fn check(disk: &SimDisk, ghost: &mut Ghost, opened: &Opened) {
    let Opened { pond, recovered, folded } = opened;
    assert_eq!(recovered.damage, None, "ghost: {ghost:?}");
    assert!(recovered.end_lsn >= ghost.promised, "{ghost:?}: {recovered:?} {:?}", pond.manifest.files());
    assert!(recovered.next_lsn >= ghost.opened, "{ghost:?}: {recovered:?}");
    assert!(recovered.aside.is_empty(), "{:?}", recovered.aside);
    let from = ghost.checkpoint.map_or(Lsn::ZERO, |start| start.lsn);
    let expected: Vec<_> =
        ghost.groups.iter().filter(|(lsn, _)| *lsn > from && *lsn <= recovered.end_lsn).cloned().collect();
    assert_eq!(*folded, expected, "groups that were not written so");
    assert!(
        recovered.end_lsn == ghost.end()
            || ghost.groups.iter().any(|(lsn, _)| *lsn == recovered.end_lsn)
            || recovered.end_lsn == from
    );
    ghost.groups.retain(|(lsn, _)| *lsn <= recovered.end_lsn);
    ghost.promised = recovered.end_lsn;
    assert_eq!(on_disk(disk), named(&pond.manifest), "files and manifest agree");
}

fn on_disk(disk: &SimDisk) -> BTreeSet<PathBuf> {
    disk.paths()
        .into_iter()
        .filter(|path| path.starts_with(dir().root()) && path.parent() != Some(dir().root()))
        .collect()
}

fn named(manifest: &Manifest) -> BTreeSet<PathBuf> {
    let files = manifest.files();
    let logs = files.logs.iter().map(|log| dir().log(log.first));
    let sealed = files.logs.iter().filter(|log| log.end.is_some_and(|end| end.sealed));
    let indexes = sealed.map(|log| dir().index(log.first));
    let segments = files.segments.keys().map(|id| dir().segment(*id));
    let folds = files.state_ats.iter().map(|lsn| dir().state_at(*lsn));
    logs.chain(indexes).chain(segments).chain(folds).collect()
}

impl Pond {
    /// Appends a group; the ghost knows of it before the disk does.
    pub(super) fn append(&mut self, ghost: &mut Ghost, samples: Vec<Sample>) -> Result<()> {
        if self.active.is_none() {
            self.create_log(self.next, self.after.0, self.after.1)?;
        }
        let active = self.active.as_mut().expect("made just now");
        let place = Place {
            salt: SALT,
            position: active.position,
            lsn: self.next,
            durable: self.durable,
            opening: self.manifest.opening(),
            chain: active.chain,
        };
        let (bytes, crc) = group(place, &samples);
        ghost.groups.push((place.lsn, samples));
        match active.file.write_at(&bytes, active.position) {
            Err(Error::Full(why)) => {
                active.file.truncate(active.position)?;
                ghost.groups.pop();
                return Err(Error::Full(why));
            }
            written => written?,
        }
        (active.position, active.chain) = (active.position + bytes.len() as u64, crc);
        (self.last, self.next) = (place.lsn, place.lsn.next());
        Ok(())
    }

    /// Syncs, and promises what is durable then.
    pub(super) fn sync(&mut self, ghost: &mut Ghost) -> Result<()> {
        if let Some(active) = &self.active {
            active.file.sync_data()?;
        }
        self.durable = self.last;
        ghost.promised = self.durable;
        Ok(())
    }

    /// Rolls: sync, create, name.
    pub(super) fn roll(&mut self, ghost: &mut Ghost) -> Result<()> {
        self.sync(ghost)?;
        let after_bytes = self.active.as_ref().map_or(0, |active| active.position);
        if after_bytes > HEADER_BYTES as u64 {
            self.create_log(self.next, self.last, after_bytes)?;
        }
        Ok(())
    }

    /// Goes on in a new file, as a page-cache timeline does after an unclean start: LSNs that were perhaps given are skipped.
    pub(super) fn skip(&mut self, ghost: &mut Ghost, by: u64) -> Result<()> {
        self.sync(ghost)?;
        let after_bytes = self.active.as_ref().map_or(self.after.1, |active| active.position);
        self.next = Lsn(self.next.0 + by);
        self.create_log(self.next, self.last, after_bytes)?;
        ghost.opened = self.next;
        Ok(())
    }

    fn create_log(&mut self, first: Lsn, after: Lsn, after_bytes: u64) -> Result<()> {
        let file = self.manifest.create_log(NextLog { first, after, after_bytes, created_ms: 0 })?;
        self.active = Some(Active { first, file, position: HEADER_BYTES as u64, chain: 0 });
        Ok(())
    }

    /// Notes a checkpoint, as a durable fold of the facts does.
    pub(super) fn checkpoint(&mut self, ghost: &mut Ghost) -> Result<()> {
        self.sync(ghost)?;
        let Some(active) = &self.active else { return Ok(()) };
        let start =
            Start { log: active.first, position: active.position, lsn: self.last, time_ms: 0, chain: active.chain };
        if start.lsn > Lsn::ZERO && !self.manifest.files().state_ats.contains(&start.lsn) {
            self.put(&dir().state_at(start.lsn), b"a fold")?;
            self.disk.sync_dir(&dir().states_at())?;
            self.manifest.append(&Edit::StateAt { lsn: start.lsn, added: true })?;
        }
        ghost.checkpoint = Some(start);
        let old: Vec<Lsn> = self.manifest.files().state_ats.iter().copied().filter(|lsn| *lsn < start.lsn).collect();
        for lsn in old {
            self.manifest.append(&Edit::StateAt { lsn, added: false })?;
            self.unlink(&[dir().state_at(lsn)], FileRef::StateAt(lsn))?;
        }
        Ok(())
    }

    /// Seals the files that ended, and lets a job take the first of those that the checkpoint does not need.
    pub(super) fn rewrite(&mut self, ghost: &Ghost) -> Result<()> {
        let ended: Vec<_> = self.manifest.files().logs.iter().filter_map(|log| Some((log.first, log.end?))).collect();
        for (first, end) in ended.iter().filter(|(_, end)| !end.sealed) {
            self.put(&dir().index(*first), b"an index")?;
            self.disk.sync_dir(&dir().logs())?;
            self.manifest.append(&Edit::Sealed { first: *first, last: end.last, bytes: end.bytes })?;
        }
        let Some(kept) = ghost.checkpoint.map(|start| start.log) else { return Ok(()) };
        let Some((first, end)) = ended.into_iter().find(|(first, _)| *first < kept) else { return Ok(()) };
        let (job, id) = (self.job, self.manifest.next_file());
        self.job += 1;
        self.manifest.append(&Edit::Intent { job, outputs: vec![id] })?;
        self.put(&dir().segment(id), &[7; 1000])?;
        self.disk.sync_dir(&dir().segments())?;
        let output = SegmentFile { id, class: 0, first, last: end.last.max(first), bytes: 1000 };
        self.manifest.append(&Edit::Swap { job, outputs: vec![output], inputs: vec![FileRef::Log(first)] })?;
        self.unlink(&[dir().log(first), dir().index(first)], FileRef::Log(first))
    }

    fn put(&self, path: &std::path::Path, bytes: &[u8]) -> Result<()> {
        let file = self.disk.create(path)?;
        file.write_at(bytes, 0)?;
        file.sync_all()
    }

    fn unlink(&mut self, paths: &[PathBuf], file: FileRef) -> Result<()> {
        for path in paths {
            self.disk.remove(path)?;
        }
        self.disk.sync_dir(paths[0].parent().expect("in a directory"))?;
        self.manifest.unlinked(file);
        Ok(())
    }

    /// Closes: all is synced, and the manifest says so.
    pub(super) fn close(&mut self, ghost: &mut Ghost) -> Result<()> {
        self.sync(ghost)?;
        self.manifest.append(&Edit::Closed { last: self.last })
    }
}

/// Some frames, by a seed: small ones, some longer than a sector, some that hold whole groups.
pub(super) fn some_frames(seed: &mut Seed) -> Vec<Sample> {
    let count = 1 + seed.index(3);
    let each = (0..count).map(|at| {
        let len = [0, 10, 100, 700, 3000][seed.index(5)];
        let byte = seed.bits().to_le_bytes()[0];
        match seed.below(5) {
            0 => Sample::idle(),
            1 => Sample::facts(i64::try_from(at).unwrap(), &vec![byte; len]),
            2 => {
                let place = Place { salt: SALT, position: 64, lsn: Lsn(9), durable: Lsn(8), opening: 1, chain: 0 };
                Sample::records(5, &group(place, &[Sample::idle()]).0)
            }
            _ => Sample::records(7, &vec![byte; len]),
        }
    });
    each.collect()
}
