//! What all parts of one broker share: its identity, its limits, and the parts themselves.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::limits::Limits;
use crate::metrics::Metrics;

/// One running broker. Handlers reach everything through it.
#[derive(Debug)]
pub struct Broker {
    /// The cluster id that clients see, stable over restarts.
    pub cluster_id: String,
    /// The one node id of this broker.
    pub node_id: i32,
    /// What clients may take.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// One address at which clients connect, and what they see there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where to listen; port 0 is any free one.
    pub address: SocketAddr,
    /// What answers tell clients to connect to; none means the address at which each of them reached the broker.
    pub advertised: Option<Advertised>,
    /// What clients see.
    pub scope: Scope,
}

/// An address in answers (Metadata, `FindCoordinator`, `DescribeCluster` and others).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// A name or an IP address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What a listener shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every volume, under plain, dotted and path names.
    Everything,
}
