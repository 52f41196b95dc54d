//! Writing a group down: one save at a time, each a whole image, the newest wins.
//!
//! Whoever must not be answered before an image is durable keeps the version that [`Persistence::request`] gave and waits
//! until that version, or a later one, is settled. Images are absolute, so one that is overtaken while it waits for its
//! turn need not be written at all.
//!
//! Invariant: at most one save is under way, so saves of a group cannot overtake each other wherever they are carried out.

use super::super::record::GroupRecord;

/// A number for each image, rising.
pub type SaveVersion = u64;

/// An order to write a group down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Save {
    /// To be handed back with the outcome.
    pub version: SaveVersion,
    /// The image, or none to delete the group's record.
    pub record: Option<GroupRecord>,
}

#[derive(Debug, Default)]
pub(super) struct Persistence {
    last: SaveVersion,
    under_way: Option<SaveVersion>,
    queued: Option<Save>,
}

impl Persistence {
    /// Wants an image written. The save to start now, if none is under way.
    pub(super) fn request(&mut self, record: Option<GroupRecord>) -> (SaveVersion, Option<Save>) {
        self.last += 1;
        let save = Save { version: self.last, record };
        if self.under_way.is_some() {
            self.queued = Some(save);
            return (self.last, None);
        }
        self.under_way = Some(self.last);
        (self.last, Some(save))
    }

    /// The save under way has ended, well or badly. The save to start next; none also for an end that is not awaited.
    pub(super) fn settle(&mut self, version: SaveVersion) -> Option<Save> {
        if self.under_way != Some(version) {
            return None;
        }
        let next = self.queued.take();
        self.under_way = next.as_ref().map(|save| save.version);
        next
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_save_at_a_time_and_the_newest_image_wins() {
        let mut persistence = Persistence::default();
        let (first, save) = persistence.request(None);
        assert_eq!(save.map(|save| save.version), Some(first));
        let (second, save) = persistence.request(None);
        assert_eq!(save, None);
        let (third, save) = persistence.request(None);
        assert_eq!(save, None);
        assert!(first < second && second < third);
        assert_eq!(persistence.settle(second), None, "not the one under way");
        assert_eq!(persistence.settle(first).map(|save| save.version), Some(third), "the second is skipped");
        assert!(!persistence.is_idle());
        assert_eq!(persistence.settle(third), None);
        assert!(persistence.is_idle());
    }
}
