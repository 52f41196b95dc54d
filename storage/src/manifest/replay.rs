//! Reads a manifest: what its edits add up to, and how its end looks. Changes nothing.

use super::edit::Decoded;
use super::{Edit, FileSet, Identity};
use crate::disk::File;
use crate::error::{Error, Result};
use crate::frame::{FileHeader, FileKind, HEADER_BYTES};

/// A manifest as it was found.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The file set.
    pub files: FileSet,
    /// Where the sound edits end. What the file holds behind that is the rest of an edit whose write never ended.
    pub end: u64,
    /// Sound edits.
    pub edits: usize,
    /// The bytes of the last edit: the one that may be in the page cache alone.
    pub last: Vec<u8>,
    /// When the manifest was made.
    pub created_ms: i64,
}

impl Replay {
    /// Reads a manifest's file. [`Error::Corrupt`] if anything but the last edit does not check.
    pub fn of(file: &dyn File, identity: &Identity) -> Result<Self> {
        let path = file.path();
        let len = usize::try_from(file.len()?).map_err(|_| Error::Corrupt(format!("{}: too long", path.display())))?;
        let bytes = file.read_at(0, len)?;
        let of = Some((identity.timeline, identity.salt));
        let header = FileHeader::read(&bytes, path, FileKind::Manifest, of)?;
        let mut files = FileSet::default();
        let (mut at, mut edits, mut last) = (HEADER_BYTES, 0, HEADER_BYTES..HEADER_BYTES);
        while at < bytes.len() {
            let damaged = |why: &str| Err(Error::Corrupt(format!("{} at {at}: {why}", path.display())));
            match Edit::decode(&bytes[at..], identity.salt, at as u64) {
                Decoded::Edit(edit, taken) => {
                    if let Err(why) = files.apply(&edit) {
                        return damaged(&why);
                    }
                    last = at..at + taken;
                    (at, edits) = (at + taken, edits + 1);
                }
                Decoded::Bad if sound_edit_behind(&bytes, at, identity.salt) => {
                    return damaged("an edit does not check, and sound ones follow it");
                }
                Decoded::Bad => break,
                Decoded::Unknown(version, kind) => {
                    return damaged(&format!(
                        "an edit of version {version} and kind {kind}, which this program does not know"
                    ));
                }
            }
        }
        Ok(Self { files, end: at as u64, edits, last: bytes[last].to_vec(), created_ms: header.created_ms })
    }
}

/// Whether a sound edit starts anywhere behind a bad one. Its place is not known: the length before it cannot be trusted.
fn sound_edit_behind(bytes: &[u8], bad: usize, salt: u64) -> bool {
    (bad + 1..bytes.len()).any(|at| Edit::decode(&bytes[at..], salt, at as u64) != Decoded::Bad)
}
