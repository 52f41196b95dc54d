//! What happens with time: snapshots whose lifetime is over go, schedules take others, and quotas are looked at.

use std::time::Duration;

use millpond_storage::state::Pin;
use tokio::time::{MissedTickBehavior, interval};

use super::limits::Watch;
use super::{VolumeError, Volumes};

/// How often it is looked. A look at a thousand snapshots takes microseconds.
const EVERY: Duration = Duration::from_secs(1);

impl Volumes {
    /// Keeps time, for as long as it is polled.
    pub async fn run(self) {
        let mut ticks = interval(EVERY);
        let mut watch = Watch::default();
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = self.engine.now();
            self.expire(now).await;
            self.keep_schedules(now).await;
            self.watch_quotas(&mut watch);
        }
    }

    /// Deletes the snapshots whose lifetime is over, but for those that are protected, or shown by a listener.
    pub(super) async fn expire(&self, now: i64) {
        let is_over = move |pin: &Pin| !pin.protected && pin.expires.is_some_and(|expires| expires <= now);
        let over: Vec<Pin> =
            self.engine.system().state(|state| state.pins().filter(|pin| is_over(pin)).cloned().collect());
        for pin in over {
            let agree = move |found: Option<&Pin>| match found {
                Some(pin) if is_over(pin) => Ok(()),
                // Somebody has deleted it, or keeps it for longer. (Nor is it an error when a listener shows it.)
                _ => Err(VolumeError::InTheWay(String::new())),
            };
            match self.unpin(pin.id, agree).await {
                Ok(()) => {
                    tracing::info!(snapshot = %pin.name, volume = pin.volume.0, "the lifetime of a snapshot is over");
                }
                Err(VolumeError::InTheWay(_)) => {}
                Err(error) => tracing::error!(snapshot = %pin.name, %error, "a snapshot could not be deleted"),
            }
        }
    }
}
