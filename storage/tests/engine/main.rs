//! The engine as a whole: through its front door on a real disk, and on a simulated one with a clock of its own and every fault.

mod branches;
#[path = "../support/calls.rs"]
mod calls;
mod cuts;
#[path = "../support/facts.rs"]
mod facts;
mod fail_points;
mod front_door;
mod packed;
mod pressure;
mod random;
mod reads;
mod space;
mod troubles;
mod upkeep;
mod world;
