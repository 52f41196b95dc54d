//! The end of a log file, asked for from inside.

use std::sync::Arc;

use super::lock;
use crate::disk::SimDisk;
use crate::engine::{DEFAULT_VOLUME, Engine};
use crate::options::Options;

fn open(disk: &SimDisk) -> Arc<Engine> {
    let options = Options::new(Arc::new(disk.clone()));
    Engine::open(Options { background: false, free_floor_bytes: 0, ballast_bytes: 0, ..options }).unwrap()
}

#[test]
fn a_log_file_without_groups_is_not_ended() {
    let disk = SimDisk::new();
    let engine = open(&disk);
    let log = engine.volume(DEFAULT_VOLUME).unwrap().1.0;
    log.step_on().unwrap();
    for _ in 0..3 {
        log.end_active().unwrap();
    }
    let logs = lock(&log.manifest).files().logs.clone();
    let ended: Vec<_> = logs.iter().map(|log| log.end.map(|end| end.last)).collect();
    assert_eq!(ended, [Some(log.written_lsn()), None]);
    let disk = disk.power_loss(3);
    let engine = open(&disk);
    let again = engine.volume(DEFAULT_VOLUME).unwrap().1;
    assert_eq!((again.damage(), again.end_lsn()), (None, log.written_lsn()));
    again.0.step_on().unwrap();
    again.0.end_active().unwrap();
    assert!(open(&disk.kill()).volume(DEFAULT_VOLUME).unwrap().1.damage().is_none());
}
