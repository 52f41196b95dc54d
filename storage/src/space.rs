//! Room on the disk: the ballast, and the floor below which records are refused.
//!
//! Records are refused while less than the floor is free; facts (commits, deletions, settings) still go in, into the space between the floor and nothing.
//! When even that runs out, the ballast is given up, so that deletion can run; it is taken again when there is room for it twice.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::disk::Disk;
use crate::error::Result;
use crate::options::Options;
use crate::timeline::lock;

const BALLAST: &str = "ballast";

/// What is known of the room on the disk.
pub(crate) struct Space {
    disk: Arc<dyn Disk>,
    ballast_bytes: u64,
    free_floor_bytes: u64,
    refused: Mutex<Option<String>>,
}

impl Space {
    /// Looks at the disk for the first time.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let space = Self {
            disk: Arc::clone(&options.disk),
            ballast_bytes: options.ballast_bytes,
            free_floor_bytes: options.free_floor_bytes,
            refused: Mutex::new(None),
        };
        if !space.has_size_asked_for()? {
            space.disk.remove(Path::new(BALLAST))?;
        }
        space.look()?;
        Ok(space)
    }

    /// Why records are refused, if they are.
    pub(crate) fn refused(&self) -> Option<String> {
        lock(&self.refused).clone()
    }

    /// Looks at the disk again; returns the free bytes.
    pub(crate) fn look(&self) -> Result<u64> {
        let mut free = self.disk.space()?.free;
        let has_ballast = self.disk.exists(Path::new(BALLAST))?;
        if has_ballast && free < self.free_floor_bytes / 4 {
            tracing::warn!(free, "the disk is nearly full: giving up the ballast, so that deletion can run");
            self.disk.remove(Path::new(BALLAST))?;
            free = self.disk.space()?.free;
        } else if !has_ballast
            && self.ballast_bytes > 0
            && free > self.free_floor_bytes.saturating_add(2 * self.ballast_bytes)
        {
            self.take_ballast()?;
        }
        self.decide(free);
        Ok(free)
    }

    /// A write found the disk full.
    pub(crate) fn found_full(&self) {
        self.decide(0);
    }

    fn decide(&self, free: u64) {
        let mut refused = lock(&self.refused);
        if free >= self.free_floor_bytes {
            if refused.take().is_some() {
                tracing::info!(free, "there is room again: records are taken");
            }
        } else if refused.is_none() {
            let why = format!(
                "{free} bytes are free, records are refused below {} (disk.free_bytes_min)",
                self.free_floor_bytes
            );
            tracing::error!(
                "the disk is full: {why}; the past that history keeps is given up first; delete topics or lower their retention, or make room"
            );
            *refused = Some(why);
        }
    }

    /// Whether the ballast, where there is one, was made for the size that is set now: it begins with that.
    fn has_size_asked_for(&self) -> Result<bool> {
        let path = Path::new(BALLAST);
        if !self.disk.exists(path)? {
            return Ok(true);
        }
        let size = self.size();
        Ok(self.ballast_bytes > 0 && self.disk.open_read_only(path)?.read_at(0, size.len())? == size.as_bytes())
    }

    fn size(&self) -> String {
        format!("{} bytes set aside for a full disk\n", self.ballast_bytes)
    }

    /// The space counts as taken only where the file system really sets it aside.
    fn take_ballast(&self) -> Result<()> {
        let file = self.disk.create(Path::new(BALLAST))?;
        file.write_at(self.size().as_bytes(), 0)?;
        if let Err(error) = file.allocate(self.ballast_bytes) {
            tracing::debug!(%error, "no ballast");
            self.disk.remove(Path::new(BALLAST))?;
        }
        Ok(())
    }
}
