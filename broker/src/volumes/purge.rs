//! Giving up the past of a volume on demand, rather than with time.

use millpond_storage::{Error, Moment};

use super::{Result, VolumeError, Volumes};
use crate::completion;

impl Volumes {
    /// Raises the history floor of a volume to now, and says what the oldest is that can still be frozen. It is durable by
    /// then. Snapshots stay; what nothing else needs goes by the next collection.
    pub async fn purge_history(&self, name: &str) -> Result<Moment> {
        let (_, timeline) = self.find(name)?;
        let (done, purged) = completion::pair();
        self.engine.forget_history(timeline.id(), done);
        let oldest = purged.await.unwrap_or(Err(Error::Closed))?;
        oldest.ok_or_else(|| {
            VolumeError::InTheWay(format!("Volume {name} was restored or deleted meanwhile: try again."))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::moment::Moment as Asked;
    use super::super::tests::{Pond, append, end, new, snapshot, trading};
    use super::*;

    #[tokio::test]
    async fn a_past_that_is_given_up_stays_so_and_snapshots_stay_too() {
        let disk = Arc::default();
        let pond = Pond::on(&disk);
        trading(&pond).await;
        let lsn = pond.volumes.describe("trading").unwrap().lsn.0;
        pond.volumes.create_snapshot("trading", snapshot("early", Asked::Lsn(lsn))).await.unwrap();
        append(&pond, "trading.default.trades", 3).await;
        let oldest = pond.volumes.purge_history("trading").await.unwrap();
        assert!(oldest.lsn.0 > lsn);
        assert!(matches!(pond.volumes.purge_history("no").await, Err(VolumeError::UnknownVolume(_))));
        pond.engine.close().unwrap();
        drop(pond);

        let pond = Pond::on(&disk);
        let kept = pond.volumes.describe("trading").unwrap().oldest.unwrap();
        assert_eq!(kept, oldest, "it is durable");
        let again = pond.volumes.create_snapshot("trading", snapshot("again", Asked::Lsn(lsn - 1))).await;
        assert!(matches!(again, Err(VolumeError::Forgotten(_))), "{again:?}");
        pond.volumes.create_snapshot("trading", snapshot("now", Asked::Lsn(oldest.lsn.0))).await.unwrap();
        pond.volumes.clone_view(&"trading@early".parse().unwrap(), new("v2")).await.unwrap();
        assert_eq!((end(&pond, "v2.default.trades"), end(&pond, "trading.default.trades")), (5, 8));
    }
}
