//! Sockets: connections, frames, limits and the order of replies.
//!
//! One task per connection holds a read loop and a write loop, joined by a *lane*: a queue of replies in the order of
//! their requests. What a client may have under way (requests, their bytes, answers it has not read) is bounded by the
//! lane; what all of them may have by a *budget*, charged before requests are read. At a bound a connection is not
//! read from, and TCP tells the client; it is never an error.
//!
//! ```text
//! socket ─► read: frames ─► api::dispatch ─► lane (replies in order) ─► write: batches ─► socket
//! ```
//!
//! Invariants: replies leave in the order of requests; a connection that ends takes its waiting replies with it, but for
//! a shutdown and a refused request, which let the requests before them finish.

mod budget;
mod connection;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod lane;
mod listeners;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

pub use listeners::{Added, ListenerError, Listeners};

use crate::api::{Connection, Table};
use crate::broker::{Advertised, Broker, Listener};
use crate::metrics::ApiMetrics;
use crate::quotas::Held;
use crate::seldom::Seldom;
use budget::Budget;
use gate::{Admission, Gate};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 1024;
/// How long to wait when a connection cannot be accepted: mostly for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The Kafka side of a broker.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    /// Ends what a shutdown no longer waits for.
    killing: CancellationToken,
}

/// What connections have in common.
#[derive(Debug)]
struct Shared {
    broker: Arc<Broker>,
    table: &'static Table,
    metrics: Arc<[Arc<ApiMetrics>]>,
    budget: Budget,
    gate: Arc<Gate>,
    unsent_bytes: AtomicUsize,
    /// The broker's.
    stopping: CancellationToken,
}

impl Server {
    /// A server of these APIs that does not listen yet.
    pub fn new(broker: Arc<Broker>, table: &'static Table) -> Self {
        let budget = Budget::new(&broker.limits, broker.metrics.connections.queued_bytes.clone());
        let shared = Shared {
            metrics: table.metrics(&broker.metrics),
            stopping: broker.stopping.clone(),
            broker,
            table,
            budget,
            gate: Arc::default(),
            unsent_bytes: AtomicUsize::new(0),
        };
        Self { shared: Arc::new(shared), tasks: TaskTracker::new(), killing: CancellationToken::new() }
    }

    /// One of all APIs, for tests of what lies above.
    #[cfg(test)]
    pub(crate) fn of_all_apis(broker: Arc<Broker>) -> Self {
        Self::new(broker, &crate::api::SERVED)
    }

    /// Listens, within a tokio runtime. Gives the address, with the port that was found if any would do.
    pub fn listen(&self, listener: Listener) -> io::Result<SocketAddr> {
        self.open(listener, self.killing.clone()).map(|(address, _)| address)
    }

    /// The same; `killing` ends it with its connections. The task ends when nothing listens there any more.
    fn open(&self, listener: Listener, killing: CancellationToken) -> io::Result<(SocketAddr, JoinHandle<()>)> {
        let socket = if listener.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(listener.address)?;
        let socket = socket.listen(BACKLOG)?;
        let address = socket.local_addr()?;
        let listener = Arc::new(Listener { address, ..listener });
        let door = Door { shared: Arc::clone(&self.shared), listener, tasks: self.tasks.clone(), killing };
        Ok((address, self.tasks.spawn(door.accept_all(socket))))
    }

    /// Takes no more connections and requests, finishes those under way (as long as `shutdown_timeout` allows), and closes.
    pub async fn shutdown(&self) {
        self.shared.stopping.cancel();
        self.tasks.close();
        let patience = self.shared.broker.limits.shutdown_timeout;
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            warn!("{} connections still have requests under way and are closed", self.tasks.len());
            self.killing.cancel();
            self.tasks.wait().await;
        }
    }
}

/// Where connections of one listener come in.
struct Door {
    shared: Arc<Shared>,
    listener: Arc<Listener>,
    tasks: TaskTracker,
    killing: CancellationToken,
}

impl Door {
    async fn accept_all(self, socket: TcpListener) {
        let failing = Seldom::new();
        loop {
            let accepted = tokio::select! { biased;
                () = self.shared.stopping.cancelled() => return,
                () = self.killing.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(why) => {
                    if failing.lets_through(Instant::now()) {
                        warn!("cannot accept connections (the next is tried in {ACCEPT_RETRY:?}, and so on): {why}");
                    }
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let connections = &self.shared.broker.metrics.connections;
        connections.accepted.inc();
        let broker = &self.shared.broker;
        let of_volume = broker.topics.connections_max(self.listener.scope);
        match self.shared.gate.enter(peer.ip(), &broker.limits, of_volume) {
            Ok(admission) => match self.connection(&stream, peer) {
                Ok(connection) => self.spawn(stream, connection, admission),
                Err(why) => debug!(%peer, "connection lost at once: {why}"),
            },
            Err(limit) => {
                debug!(%peer, limit, "connection turned away");
                connections.closed(limit);
            }
        }
    }

    fn connection(&self, stream: &TcpStream, peer: SocketAddr) -> io::Result<Arc<Connection>> {
        // Answers are whole when they are written; and a client that vanished is found out, as in Kafka.
        stream.set_nodelay(true)?;
        SockRef::from(stream).set_keepalive(true)?;
        let reached = stream.local_addr()?;
        let reached = || Advertised { host: reached.ip().to_canonical().to_string(), port: reached.port() };
        Ok(Arc::new(Connection {
            broker: Arc::clone(&self.shared.broker),
            listener: Arc::clone(&self.listener),
            advertised: self.listener.advertised.clone().unwrap_or_else(reached),
            table: self.shared.table,
            metrics: Arc::clone(&self.shared.metrics),
            peer,
            software: ArcSwapOption::empty(),
            held: Held::default(),
        }))
    }

    fn spawn(&self, stream: TcpStream, connection: Arc<Connection>, admission: Admission) {
        let shared = Arc::clone(&self.shared);
        // Its own: that of all would be locked by all, at every request.
        let killing = self.killing.child_token();
        self.tasks.spawn(async move {
            let _open = OpenConnection::new(&shared, admission);
            killing.run_until_cancelled(connection::serve(&shared, &connection, stream)).await
        });
    }
}

/// Counts a connection for as long as it is open.
struct OpenConnection<'a> {
    shared: &'a Shared,
    _admission: Admission,
}

impl<'a> OpenConnection<'a> {
    fn new(shared: &'a Shared, admission: Admission) -> Self {
        shared.broker.metrics.connections.open.inc();
        Self { shared, _admission: admission }
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.shared.broker.metrics.connections.open.dec();
    }
}
