//! What all parts of one broker share: its identity, its limits, and the parts themselves.

use std::net::SocketAddr;

use crate::limits::Limits;

/// One running broker. Handlers reach everything through it.
#[derive(Debug)]
pub struct Broker {
    /// The cluster id that clients see, stable over restarts.
    pub cluster_id: String,
    /// The one node id of this broker.
    pub node_id: i32,
    /// What clients may take.
    pub limits: Limits,
}

/// One address at which clients connect, and what they see there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where the socket is bound.
    pub bound: SocketAddr,
    /// The host that answers name (Metadata, `FindCoordinator`, `DescribeCluster`); clients reconnect to it.
    pub advertised_host: String,
    /// The port that answers name.
    pub advertised_port: u16,
    /// What clients of this listener see.
    pub scope: Scope,
}

/// What a listener shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every volume, under plain, dotted and path names.
    Everything,
}
