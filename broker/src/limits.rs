//! What one client, and all of them together, may take of the broker.
//!
//! Towards Kafka clients every bound makes a connection wait, or closes it; none of them is an error on the wire. The defaults
//! suit a machine with a few gigabytes of memory; `config/millpond.toml` has the same keys.

use std::time::Duration;

/// Bounds on connections, frames, requests and the memory behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest request frame, in bytes, without its four bytes of length (Kafka: `socket.request.max.bytes`). A larger
    /// one closes the connection.
    pub frame_bytes_max: usize,
    /// Most memory, in bytes, that the decoded form of one request may take beside its frame. A request that asks for
    /// more closes the connection.
    pub decoded_bytes_max: usize,
    /// Connections in all (Kafka: `max.connections`). One more is closed as it is accepted.
    pub connections_max: usize,
    /// Connections from one address (Kafka: `max.connections.per.ip`). One more is closed as it is accepted.
    pub connections_per_address_max: usize,
    /// Requests of one connection that are read and not yet answered. At the bound the connection is not read from.
    pub in_flight_requests_max: usize,
    /// Bytes of the requests of one connection that are read and not yet answered; a single request may exceed it.
    pub in_flight_bytes_max: usize,
    /// Bytes of requests that are read and not yet answered, over all connections. At the bound readers wait.
    pub queued_bytes_max: usize,
    /// A share beside `queued_bytes_max` for requests that are not Produce, so that consumers, groups and administration
    /// go on while producers wait.
    pub queued_bytes_reserve: usize,
    /// Bytes of finished answers that wait for one client to read them; a single answer may exceed it. At the bound the
    /// client's further requests wait.
    pub unsent_bytes_max: usize,
    /// The same over all connections. Beyond it, each connection may have one answer waiting.
    pub unsent_bytes_total_max: usize,
    /// What the records of one batch may become when the broker opens it, in bytes.
    pub decompressed_bytes_max: usize,
    /// Bytes of records in one answer to a fetch (Kafka: `fetch.max.bytes`); a first batch may be larger.
    pub fetch_bytes_max: usize,
    /// Fetch sessions that are kept (Kafka: `max.incremental.fetch.session.cache.slots`).
    pub fetch_sessions_max: usize,
    /// A connection on which nothing moves and nothing is in flight for so long is closed
    /// (Kafka: `connections.max.idle.ms`).
    pub idle_timeout: Duration,
    /// How long each further part of a frame that has begun, at most a mebibyte, may take to arrive.
    pub frame_timeout: Duration,
    /// How long a client may take no byte of an answer that waits for it.
    pub write_timeout: Duration,
    /// How long a shutdown waits for the requests in flight.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            frame_bytes_max: 100 * MIB,
            decoded_bytes_max: 64 * MIB,
            connections_max: 10_000,
            connections_per_address_max: 5_000,
            in_flight_requests_max: 100,
            in_flight_bytes_max: 64 * MIB,
            queued_bytes_max: 256 * MIB,
            queued_bytes_reserve: 16 * MIB,
            unsent_bytes_max: 4 * MIB,
            unsent_bytes_total_max: 256 * MIB,
            decompressed_bytes_max: 128 * MIB,
            fetch_bytes_max: 55 * MIB,
            fetch_sessions_max: 1000,
            idle_timeout: Duration::from_mins(10),
            frame_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_mins(1),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// Bounds on HTTP: tools and scrapers of one broker, of which there are few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Connections in all. At the bound further ones wait until one ends.
    pub connections_max: usize,
    /// Connections from one address. One more is closed as it comes.
    pub connections_per_address_max: usize,
    /// Largest body of a request, in bytes. A larger one is refused.
    pub body_bytes_max: usize,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// How long the head of a request may take, from its first byte; of the first, from the connection's beginning.
    pub head_timeout: Duration,
    /// A connection on which nothing moves for so long is closed.
    pub idle_timeout: Duration,
    /// How long a shutdown waits for the requests under way.
    pub shutdown_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 256,
            connections_per_address_max: 128,
            body_bytes_max: 1 << 20,
            body_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(1),
            shutdown_timeout: Duration::from_secs(2),
        }
    }
}
