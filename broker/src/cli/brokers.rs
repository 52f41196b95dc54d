//! Which Kafka brokers a command speaks to, over Kafka's own protocol.

use clap::Args;

use super::failure::Failure;
use crate::client::{Client, ClientError, ConnectionOptions};
use crate::config::Address;

/// The flag that names them.
#[derive(Args, Clone, Debug)]
pub struct BrokersArgs {
    /// Brokers to begin with, any Kafka's, separated by commas
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "MILLPOND_BROKERS",
        default_value = "127.0.0.1:9092",
        value_delimiter = ','
    )]
    brokers: Vec<Address>,
}

impl BrokersArgs {
    /// Connects to one of them.
    pub async fn connect(&self) -> Result<Client, Failure> {
        Client::connect(self.brokers.clone(), ConnectionOptions::default()).await.map_err(|error| match &error {
            ClientError::Unreachable { .. } => Failure::new(format!(
                "{error}\nStart one with `millpond` (or `cargo run --release`), or name another with --brokers HOST:PORT."
            )),
            _ => error.into(),
        })
    }

    /// The first of them.
    pub fn first(&self) -> Option<&Address> {
        self.brokers.first()
    }

    /// Their addresses, for people.
    pub fn show(&self) -> String {
        self.brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}
