//! `millpond listener`: adds, lists and removes addresses that show one volume or one snapshot, over HTTP.

use std::net::SocketAddr;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::{Table, print};
use super::remote::{Deleted, Remote, RemoteArgs, json};
use crate::http::listeners::{Listener, ListenerList, NewListener};

/// What to do with listeners.
#[derive(Args, Debug)]
pub struct ListenerArgs {
    #[command(subcommand)]
    command: ListenerCommand,
}

#[derive(Subcommand, Debug)]
enum ListenerCommand {
    /// List the listeners that were added
    List {
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Show a volume or a snapshot to Kafka clients at an address of its own, under short names
    Add {
        /// Where to listen, such as 127.0.0.1:9192; port 0 is any free one
        address: SocketAddr,
        /// The volume to show
        #[arg(long, value_name = "VOLUME", required_unless_present = "snapshot", conflicts_with = "snapshot")]
        volume: Option<String>,
        /// The snapshot to show: read only
        #[arg(long, value_name = "VOLUME@SNAPSHOT")]
        snapshot: Option<String>,
        /// What clients are told to connect to [default: where they reached the listener]
        #[arg(long, value_name = "HOST:PORT")]
        advertised: Option<String>,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Remove a listener; its connections are closed
    Remove {
        /// Where it listens
        address: SocketAddr,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

impl ListenerArgs {
    /// Does it, and prints the answer.
    pub async fn run(self) -> Result<(), Failure> {
        let text = match self.command {
            ListenerCommand::List { remote } => list(&remote).await?,
            ListenerCommand::Add { address, volume, snapshot, advertised, remote } => {
                let shows = volume.or(snapshot).unwrap_or_default();
                add(&remote, NewListener { address, shows, advertised }).await?
            }
            ListenerCommand::Remove { address, remote } => remove(&remote, address).await?,
        };
        Ok(print(&text)?)
    }
}

async fn list(args: &RemoteArgs) -> Result<String, Failure> {
    let list: ListenerList = Remote::new(args)?.get(&["listeners"]).await?;
    if args.json { json(&list) } else { Ok(show_list(&list)) }
}

async fn add(args: &RemoteArgs, new: NewListener) -> Result<String, Failure> {
    let listener: Listener = Remote::new(args)?.post(&["listeners"], &new).await?;
    if args.json {
        return json(&listener);
    }
    let Listener { address, shows, advertised, .. } = listener;
    let shows = shows.unwrap_or_default();
    let told = advertised.map(|told| format!(" They are told to connect to {told}.")).unwrap_or_default();
    Ok(format!(
        "Clients at {address} see {shows}, its topics under their short names.{told} The listener comes back after a restart; \
         `millpond listener remove {address}` ends it.\n"
    ))
}

async fn remove(args: &RemoteArgs, address: SocketAddr) -> Result<String, Failure> {
    let address = address.to_string();
    Remote::new(args)?.delete(&["listeners", &address]).await?;
    if args.json {
        return json(&Deleted { deleted: address });
    }
    Ok(format!("Removed the listener at {address}.\n"))
}

fn show_list(list: &ListenerList) -> String {
    if list.listeners.is_empty() {
        return "No listeners were added yet. `millpond listener add 127.0.0.1:9192 --volume VOLUME` adds one.\n"
            .to_owned();
    }
    let mut table = Table::new(&["ADDRESS", "SHOWS", "ADVERTISED", "OPEN"]);
    for listener in &list.listeners {
        let shows = listener.shows.clone().unwrap_or_else(|| "(gone)".to_owned());
        let advertised = listener.advertised.clone().unwrap_or_else(|| "-".to_owned());
        let open = if listener.open { "yes" } else { "no: see the log" };
        table.row([listener.address.to_string(), shows, advertised, open.to_owned()]);
    }
    table.show()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_what_each_address_shows() {
        let listener = Listener {
            address: "127.0.0.1:9192".parse().unwrap(),
            shows: Some("trading@close".to_owned()),
            advertised: Some("broker.example.com:9192".to_owned()),
            open: true,
        };
        let text = show_list(&ListenerList { listeners: vec![listener] });
        assert!(text.ends_with("127.0.0.1:9192  trading@close  broker.example.com:9192  yes\n"), "{text}");
        assert!(show_list(&ListenerList { listeners: vec![] }).contains("listener add"));
    }
}
