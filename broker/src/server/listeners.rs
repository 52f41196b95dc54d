//! Listeners that come and go while the broker runs: each shows a volume or a snapshot (or everything) at an address.
//!
//! They are documents in `system`, by the address that was bound, and are opened again at the start. A snapshot is loaded
//! before its listener opens and stays so for as long as it is open, so that its clients never have to ask twice. Re-binding
//! a listener closes its connections: what a client was told at an address holds for as long as its connection. What a
//! listener shows is not deleted (`volumes/listeners.rs`): a listener is said, and what it shows is there, in one decision.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use millpond_storage::Error as StorageError;
use millpond_storage::state::{Pin, State, Txn, Volume, VolumeId};
use serde_json::Map;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Server;
use crate::broker::{Advertised, Listener};
use crate::config::Address;
use crate::documents::{self, AddedListener, Collection};
use crate::scope::Scope;
use crate::topics::{Frozen, TopicError};

/// Why a listener was not added or removed.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// There is no such volume or snapshot.
    #[error("there is no {0}")]
    UnknownScope(Scope),
    /// Nothing that was added listens there.
    #[error("No listener was added at {0}. `millpond listener list` shows those that were.")]
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

/// A listener that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it shows.
    pub scope: Scope,
    /// What its answers tell clients to connect to; none: the address at which each of them reached the broker.
    pub advertised: Option<Address>,
    /// Whether it is open: one that could not be opened at the start is not.
    pub is_open: bool,
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
        let mut open = self.open.lock().await;
        for Added { address, scope, advertised, .. } in system.state(saved) {
            let opened = match self.shown(scope).await {
                Ok(frozen) => self.listen(address, scope, frozen, advertised),
                Err(error) => Err(error),
            };
            match opened {
                Ok((address, listener)) => drop(open.insert(address, listener)),
                Err(error) => warn!(%address, %scope, "a listener is not opened again: {error}"),
            }
        }
    }

    /// Shows a scope at an address, for good: port 0 is any free one, and the address that is told has it. A listener that
    /// was added there before is bound to the new scope. Answers tell clients to connect to what is `advertised`.
    pub async fn add(
        &self,
        address: SocketAddr,
        scope: Scope,
        advertised: Option<Address>,
    ) -> Result<SocketAddr, ListenerError> {
        let mut open = self.open.lock().await;
        // All that may be refused comes before what is there is closed.
        let frozen = self.shown(scope).await?;
        if let Some(before) = open.remove(&address) {
            before.close().await;
        }
        let (address, listener) = self.listen(address, scope, frozen, advertised.clone())?;
        let told = advertised.map(|advertised| advertised.to_string());
        let saved = AddedListener { scope: scope.number(), advertised: told, rest: Map::new() };
        let document = Collection::Listeners.document(&address.to_string(), &saved);
        let put = move |txn: &mut Txn<'_>| {
            let is_there = is_there(txn, scope);
            if is_there {
                txn.put(document);
            }
            is_there
        };
        let refusal = match self.transact(put).await {
            Ok(true) => None,
            // It was deleted since the look at it.
            Ok(false) => Some(ListenerError::UnknownScope(scope)),
            Err(error) => Some(error.into()),
        };
        if let Some(refusal) = refusal {
            listener.close().await;
            return Err(refusal);
        }
        info!(%address, %scope, "a listener is added");
        open.insert(address, listener);
        Ok(address)
    }

    /// Closes a listener that was added, with its connections.
    pub async fn remove(&self, address: SocketAddr) -> Result<(), ListenerError> {
        let mut open = self.open.lock().await;
        let name = address.to_string();
        let is_saved = |state: &State| documents::body(state, Collection::Listeners, &name).is_some();
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

    /// Removes the listeners that show a volume, or a snapshot of it.
    pub async fn remove_showing(&self, volume: VolumeId) -> Result<(), ListenerError> {
        let system = self.server.shared.broker.engine.system();
        let showing = system.state(|state| {
            let is_of_it = |scope: Scope| match scope {
                Scope::Everything => false,
                Scope::Volume(id) => id == volume,
                Scope::Snapshot(id) => state.pin(id).is_some_and(|pin| pin.volume == volume),
            };
            saved(state).into_iter().filter(|added| is_of_it(added.scope)).collect::<Vec<_>>()
        });
        for added in showing {
            match self.remove(added.address).await {
                // Somebody else was faster.
                Ok(()) | Err(ListenerError::UnknownAddress(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The listeners that were added, by address.
    pub async fn list(&self) -> Vec<Added> {
        let open = self.open.lock().await;
        let mut added = self.server.shared.broker.engine.system().state(saved);
        for listener in &mut added {
            listener.is_open = open.contains_key(&listener.address);
        }
        added.sort_by_key(|listener| listener.address);
        added
    }

    /// Whether there is something to show; a snapshot is loaded.
    async fn shown(&self, scope: Scope) -> Result<Option<Arc<Frozen>>, ListenerError> {
        let broker = &self.server.shared.broker;
        let is_there = broker.engine.system().state(|state| match scope {
            Scope::Everything => true,
            Scope::Volume(id) => state.volume_by_id(id).is_some(),
            Scope::Snapshot(id) => state.pin(id).is_some(),
        });
        match scope {
            _ if !is_there => Err(ListenerError::UnknownScope(scope)),
            Scope::Everything | Scope::Volume(_) => Ok(None),
            Scope::Snapshot(pin) => broker.topics.load(pin).await.map(Some).map_err(ListenerError::Snapshot),
        }
    }

    fn listen(
        &self,
        address: SocketAddr,
        scope: Scope,
        frozen: Option<Arc<Frozen>>,
        advertised: Option<Address>,
    ) -> Result<(SocketAddr, Open), ListenerError> {
        let closing = self.server.killing.child_token();
        let advertised = advertised.map(|Address { host, port }| Advertised { host, port });
        let listener = Listener { address, advertised, scope };
        let opened = self.server.open(listener, closing.clone());
        let (bound, accepting) = opened.map_err(|error| ListenerError::Bind(address, error))?;
        Ok((bound, Open { closing, accepting, _frozen: frozen }))
    }

    async fn transact<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Txn<'_>) -> T + Send + 'static,
    ) -> Result<T, StorageError> {
        let (done, changed) = tokio::sync::oneshot::channel();
        let system = self.server.shared.broker.engine.system();
        system.transact(change, move |outcome| drop(done.send(outcome)));
        changed.await.unwrap_or(Err(StorageError::Closed))
    }
}

/// The listeners that are written down, none of them open. One whose address or name cannot be read is told of.
fn saved(state: &State) -> Vec<Added> {
    let saved = documents::all::<AddedListener>(state, Collection::Listeners).into_iter();
    let read = |address: &str, saved: AddedListener| {
        let advertised = saved.advertised.map(|advertised| advertised.parse()).transpose().ok()?;
        let (address, scope) = (address.parse().ok()?, Scope::of_number(saved.scope));
        Some(Added { address, scope, advertised, is_open: false })
    };
    let read = saved.filter_map(|(address, saved)| {
        let added = read(&address, saved);
        if added.is_none() {
            warn!(%address, "a listener is written down in a way that is not understood");
        }
        added
    });
    read.collect()
}

/// In the writer of `system`: whether there is something to show.
fn is_there(txn: &Txn<'_>, scope: Scope) -> bool {
    match scope {
        Scope::Everything => true,
        Scope::Volume(id) => txn.all::<Volume>().iter().any(|volume| volume.id == id),
        Scope::Snapshot(id) => txn.get::<Pin>(&id).is_some(),
    }
}
