//! Recovery on a disk that fails: nothing promised is lost, nothing else comes back, damage is told from torn writes.

mod crashes;
mod damage;
mod pond;
