//! Listeners that come and go while the broker runs: each shows a volume or a snapshot (or everything) at an address.
//!
//! They are documents in `system`, by the address that was bound, and are opened again at the start. A snapshot is loaded
//! before its listener opens and stays so for as long as it is open, so that its clients never have to ask twice. Re-binding
//! a listener closes its connections: what a client was told at an address holds for as long as its connection.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use millpond_storage::Error as StorageError;
use millpond_storage::state::Txn;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Server;
use crate::broker::Listener;
use crate::documents::{self, Collection};
use crate::scope::Scope;
use crate::topics::{Frozen, TopicError};

/// Why a listener was not added or removed.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// There is no such volume or snapshot.
    #[error("there is no {0}")]
    UnknownScope(Scope),
    /// Nothing that was added listens there.
    #[error("no listener was added at {0}")]
    UnknownAddress(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, io::Error),
    /// The snapshot cannot be read.
    #[error(transparent)]
    Snapshot(TopicError),
    /// The log did not take it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a document says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    /// The number of its scope.
    scope: u64,
    /// What a newer version says.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The listeners that were added.
#[derive(Debug)]
pub struct Listeners {
    server: Arc<Server>,
    /// Held while one is added or removed.
    open: Mutex<BTreeMap<SocketAddr, Open>>,
}

/// A listener that is open.
#[derive(Debug)]
struct Open {
    scope: Scope,
    /// Ends its connections, and the acceptance of more.
    closing: CancellationToken,
    accepting: JoinHandle<()>,
    /// The snapshot stays loaded.
    _frozen: Option<Arc<Frozen>>,
}

impl Open {
    /// When this is done, the address is free.
    async fn close(self) {
        self.closing.cancel();
        // It ends by itself; if it panicked, it has ended, too.
        let _ended = self.accepting.await;
    }
}

impl Listeners {
    /// None yet, on a server.
    pub fn new(server: Arc<Server>) -> Self {
        Self { server, open: Mutex::default() }
    }

    /// Opens the listeners that were added before the start. One that cannot be opened is told of, and stays for the next.
    pub async fn reopen(&self) {
        let system = self.server.shared.broker.engine.system();
        let saved: Vec<(Arc<str>, Saved)> = system.state(|state| documents::all(state, Collection::Listeners));
        let mut open = self.open.lock().await;
        for (address, saved) in saved {
            let scope = Scope::of_number(saved.scope);
            let opened = match address.parse() {
                Ok(address) => self.listen(address, scope).await,
                Err(_) => continue,
            };
            match opened {
                Ok((address, listener)) => drop(open.insert(address, listener)),
                Err(error) => warn!(%address, %scope, "a listener is not opened again: {error}"),
            }
        }
    }

    /// Shows a scope at an address, for good: port 0 is any free one, and the address that is told has it. A listener that
    /// was added there before is bound to the new scope.
    pub async fn add(&self, address: SocketAddr, scope: Scope) -> Result<SocketAddr, ListenerError> {
        let mut open = self.open.lock().await;
        self.check(scope)?;
        if let Some(before) = open.remove(&address) {
            before.close().await;
        }
        let (address, listener) = self.listen(address, scope).await?;
        let saved = Saved { scope: scope.number(), rest: Map::new() };
        let document = Collection::Listeners.document(&address.to_string(), &saved);
        if let Err(error) = self.transact(move |txn| txn.put(document)).await {
            listener.close().await;
            return Err(error.into());
        }
        info!(%address, %scope, "a listener is added");
        open.insert(address, listener);
        Ok(address)
    }

    /// Closes a listener that was added, with its connections.
    pub async fn remove(&self, address: SocketAddr) -> Result<(), ListenerError> {
        let mut open = self.open.lock().await;
        let name = address.to_string();
        let is_saved =
            |state: &millpond_storage::state::State| documents::body(state, Collection::Listeners, &name).is_some();
        if !self.server.shared.broker.engine.system().state(is_saved) {
            return Err(ListenerError::UnknownAddress(address));
        }
        self.transact(move |txn| documents::remove(txn, Collection::Listeners, &name)).await?;
        if let Some(listener) = open.remove(&address) {
            listener.close().await;
        }
        info!(%address, "a listener is removed");
        Ok(())
    }

    /// The listeners that are open, with what they show.
    pub async fn list(&self) -> Vec<(SocketAddr, Scope)> {
        self.open.lock().await.iter().map(|(address, listener)| (*address, listener.scope)).collect()
    }

    fn check(&self, scope: Scope) -> Result<(), ListenerError> {
        let is_there = self.server.shared.broker.engine.system().state(|state| match scope {
            Scope::Everything => true,
            Scope::Volume(id) => state.volume_by_id(id).is_some(),
            Scope::Snapshot(id) => state.pin(id).is_some(),
        });
        if is_there { Ok(()) } else { Err(ListenerError::UnknownScope(scope)) }
    }

    async fn listen(&self, address: SocketAddr, scope: Scope) -> Result<(SocketAddr, Open), ListenerError> {
        self.check(scope)?;
        let frozen = match scope {
            Scope::Everything | Scope::Volume(_) => None,
            Scope::Snapshot(pin) => {
                let loaded = self.server.shared.broker.topics.load(pin).await;
                Some(loaded.map_err(ListenerError::Snapshot)?)
            }
        };
        let closing = self.server.killing.child_token();
        let listener = Listener { address, advertised: None, scope };
        let opened = self.server.open(listener, closing.clone());
        let (bound, accepting) = opened.map_err(|error| ListenerError::Bind(address, error))?;
        Ok((bound, Open { scope, closing, accepting, _frozen: frozen }))
    }

    async fn transact(&self, change: impl FnOnce(&mut Txn<'_>) + Send + 'static) -> Result<(), StorageError> {
        let (done, changed) = tokio::sync::oneshot::channel();
        let system = self.server.shared.broker.engine.system();
        system.transact(change, move |outcome| drop(done.send(outcome)));
        changed.await.unwrap_or(Err(StorageError::Closed))
    }
}
