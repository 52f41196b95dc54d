//! A timeline: the life of a frame.

pub mod recovery;
mod sweep;
