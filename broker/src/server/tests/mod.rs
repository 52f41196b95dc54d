//! The server as a client meets it: over real sockets, with handlers that answer when the test says so.

mod handshake;
mod harness;
mod hostile;
mod limits;
mod listeners;
mod order;
mod slow;
