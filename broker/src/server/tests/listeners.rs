//! Listeners that are added, bound anew and removed while the broker runs.

use tokio::io::AsyncReadExt;

use super::harness::{Running, start, within};
use crate::broker::{Broker, Scope};
use crate::config::Config;
use crate::limits::Limits;
use crate::server::{Added, ListenerError, Listeners};
use crate::topics::fixture::Fixture;

async fn is_closed(stream: &mut tokio::net::TcpStream) -> bool {
    matches!(within(stream.read(&mut [0; 1])).await, Ok(0) | Err(_))
}

#[tokio::test]
async fn a_listener_is_added_bound_anew_and_removed() {
    let Running { server, broker, .. } = start(Limits::default());
    let fixture = Fixture(std::sync::Arc::clone(&broker.engine));
    let volume = Scope::Volume(fixture.volume("trading", true, &[]).await);
    let snapshot = Scope::Snapshot(fixture.snapshot("trading", "close").await);
    let listeners = Listeners::new(std::sync::Arc::clone(&server));
    let advertised: crate::config::Address = "broker.example.com:7000".parse().unwrap();
    let address = listeners.add("127.0.0.1:0".parse().unwrap(), volume, Some(advertised.clone())).await.unwrap();
    assert_ne!(address.port(), 0);
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    assert_eq!(listeners.list().await, [Added { address, scope: volume, advertised: Some(advertised), is_open: true }]);
    assert_eq!(listeners.add(address, snapshot, None).await.unwrap(), address);
    assert!(is_closed(&mut client).await, "what it was told holds no more");
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    assert_eq!(listeners.list().await, [Added { address, scope: snapshot, advertised: None, is_open: true }]);
    listeners.remove(address).await.unwrap();
    assert!(is_closed(&mut client).await);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert!(matches!(listeners.remove(address).await, Err(ListenerError::UnknownAddress(_))));
    let nowhere = Scope::Volume(millpond_storage::state::VolumeId(99));
    assert!(matches!(listeners.add(address, nowhere, None).await, Err(ListenerError::UnknownScope(_))));
}

#[tokio::test]
async fn listeners_come_back() {
    let Running { server, broker, .. } = start(Limits::default());
    let volume = Scope::Volume(Fixture(std::sync::Arc::clone(&broker.engine)).volume("trading", true, &[]).await);
    let listeners = Listeners::new(std::sync::Arc::clone(&server));
    let advertised = Some("[::1]:7000".parse::<crate::config::Address>().unwrap());
    let address = listeners.add("127.0.0.1:0".parse().unwrap(), volume, advertised.clone()).await.unwrap();
    server.shutdown().await;
    let again = Listeners::new(std::sync::Arc::new(crate::server::Server::new(broker, &crate::api::SERVED)));
    let closed = Added { address, scope: volume, advertised, is_open: false };
    assert_eq!(again.list().await, std::slice::from_ref(&closed));
    again.reopen().await;
    // (Its broker is stopping for good: whether it lets anybody in is for the test of the whole process.)
    assert_eq!(again.list().await, [Added { is_open: true, ..closed }]);
}

#[test]
fn every_scope_is_a_cluster_of_its_own() {
    let broker = Broker::in_memory(Config::default()).unwrap();
    let [everything, volume, snapshot] = [
        Scope::Everything,
        Scope::Volume(millpond_storage::state::VolumeId(1)),
        Scope::Snapshot(millpond_storage::state::PinId(1)),
    ]
    .map(|scope| broker.cluster_id(scope));
    assert!(everything != volume && volume != snapshot && everything != snapshot);
    assert_eq!(everything, crate::topics::ids::text(&broker.engine.cluster_id()));
}
