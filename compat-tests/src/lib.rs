//! What Millpond's tests through the wire are made of.
//!
//! - [`server::Server`]: the real binary on a free port with a directory of its own, to be killed and started again;
//! - [`wire::Wire`]: a raw client that sends any frame, or any request in any version, and reads the answers;
//! - [`directory`]: data copied and measured;
//! - [`http`]: the broker's `/v1` resources and metrics, in blocking calls;
//! - [`requests`]: the requests that tests send most, in one line each;
//! - [`random`]: numbers from seeds that are printed;
//! - [`batch`]: record batches written and read by code that shares nothing with the broker's.
//!
//! Everything here panics when something is wrong, with words that say what: it runs in tests only. Every wait has a
//! limit.
//!
//! # Where a test goes
//!
//! There are a few test binaries, so that they link quickly; each is a folder with a `main.rs` that lists its modules:
//!
//! - `tests/api/<name>.rs` mirrors `broker/src/api/<name>.rs`: every version and every error which that file claims.
//!   Add the file and one `mod` line to `tests/api/main.rs`. A test starts its own server and talks to it:
//!
//!   ```no_run
//!   use kafka_protocol::messages::MetadataRequest;
//!   use millpond_compat_tests::server::Server;
//!
//!   let server = Server::start();
//!   let answer = server.wire().call(12, &MetadataRequest::default());
//!   assert_eq!(answer.brokers.len(), 1);
//!   ```
//! - `tests/clients/` has real clients in Rust; those in other languages are in `clients/<language>/`, each with a `run`
//!   that takes a bootstrap address. All of them pass against Apache Kafka, too.
//! - `tests/crash/` kills the broker under load and reads everything back;
//! - `tests/volumes/` freezes and clones volumes under load, and kills the broker at every named step of that;
//! - `tests/process/` has the program as a process, and its commands.
//!
//! `MILLPOND_BIN` names the binary to test; without it the harness builds the one of this workspace.
//! `MILLPOND_BOOTSTRAP` names a running broker (Apache Kafka, say) that the tests in `tests/clients/` then use.

pub mod batch;
pub mod directory;
pub mod http;
pub mod random;
pub mod requests;
pub mod server;
pub mod wire;
