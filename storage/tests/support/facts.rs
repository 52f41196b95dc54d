//! Facts as tests put them: a pin and a volume that are nothing special.

use millpond_storage::state::{Pin, PinId, PinKind, Volume, VolumeId};
use millpond_storage::{Stand, TimelineId};

pub(crate) fn pin(id: PinId, stand: Stand, kind: PinKind) -> Pin {
    Pin {
        id,
        timeline: stand.timeline,
        lsn: stand.lsn,
        kind,
        created: 0,
        volume: VolumeId(1),
        time: stand.time,
        expires: None,
        protected: false,
        name: format!("pin-{}", id.0).into(),
        schedule: "".into(),
    }
}

pub(crate) fn volume(name: &str, timeline: TimelineId, id: VolumeId) -> Volume {
    Volume {
        name: name.into(),
        id,
        timeline,
        durability: None,
        created: 0,
        listed: false,
        mount: format!("/{name}").into(),
    }
}
