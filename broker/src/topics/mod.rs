//! Topics: what they are called, what holds for them, what is in them.

pub mod config_keys;
pub mod describe;
pub mod settings;
