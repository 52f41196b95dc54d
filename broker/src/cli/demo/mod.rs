//! `millpond demo`: data to try things with, and the means to replay it.

pub mod taq;
