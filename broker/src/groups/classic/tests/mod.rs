//! The rules of the classic protocol, one by one, and all at once in a storm.

mod bench;
mod join;
mod leave;
mod persistence;
mod rebalance;
mod session;
mod static_member;
mod storm;
mod sync;
