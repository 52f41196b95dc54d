//! What a broker that has started says to the person who started it: where it is, and how to go on.

use std::env;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use crate::config::Durability;

/// Where commands look for a broker by themselves.
const DEFAULT_BROKERS: &str = "127.0.0.1:9092";
const DEFAULT_SERVER: &str = "127.0.0.1:9080";

/// What there is to say.
pub(super) struct Greeting<'a> {
    pub(super) kafka: SocketAddr,
    pub(super) http: SocketAddr,
    pub(super) data: &'a Path,
    pub(super) durability: Durability,
    /// How commands are called here, see [`program`].
    pub(super) program: &'a str,
}

impl Greeting<'_> {
    /// Three lines.
    pub(super) fn text(&self) -> String {
        let Self { kafka, http, program, .. } = self;
        let version = env!("CARGO_PKG_VERSION");
        let done = match self.durability {
            Durability::Fsync => "is on the disk",
            Durability::PageCache => "is in the page cache",
        };
        let brokers = flag("--brokers", self.kafka, DEFAULT_BROKERS);
        let server = flag("--server", self.http, DEFAULT_SERVER);
        let mut text = format!("Millpond {version} serves Kafka on {kafka} and HTTP on http://{http}\n");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Its data is in {}; a write is acknowledged when it {done}", self.data.display());
        let _ = writeln!(
            text,
            "Go on with `{program} demo versions{brokers}{server}` or `{program} demo taq{brokers}`, or any Kafka client; \
             Ctrl-C stops"
        );
        text
    }
}

/// The flag that commands need to find the broker, if they do. One that listens everywhere is found on loopback, too.
fn flag(name: &str, mut address: SocketAddr, default: &str) -> String {
    if address.ip().is_unspecified() {
        address.set_ip([127, 0, 0, 1].into());
    }
    let address = address.to_string();
    if address == default { String::new() } else { format!(" {name} {address}") }
}

/// How a person who started this process calls the program: as it was called if that is a path, by way of cargo if cargo
/// runs it.
pub(super) fn program() -> String {
    let called = env::args_os().next().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    program_as(&called, env::var_os("CARGO").is_some())
}

fn program_as(called: &str, under_cargo: bool) -> String {
    if under_cargo {
        "cargo run --release --".to_owned()
    } else if called.contains('/') {
        called.to_owned()
    } else {
        "millpond".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kafka: &str, program: &str) -> String {
        let (kafka, http) = (kafka.parse().unwrap(), "127.0.0.1:9080".parse().unwrap());
        Greeting { kafka, http, data: Path::new("/d"), durability: Durability::Fsync, program }.text()
    }

    #[test]
    fn the_greeting_says_where_and_how_to_go_on() {
        let greeting = text("127.0.0.1:9092", "millpond");
        assert_eq!(greeting.lines().count(), 3, "{greeting}");
        assert!(greeting.contains("Kafka on 127.0.0.1:9092 and HTTP on http://127.0.0.1:9080"), "{greeting}");
        assert!(greeting.contains("`millpond demo versions` or `millpond demo taq`"), "{greeting}");
        assert!(text("127.0.0.1:9092", "./target/release/millpond").contains("`./target/release/millpond demo taq`"));
    }

    #[test]
    fn the_whole_address_decides_whether_commands_need_it() {
        for (kafka, flag) in [
            ("[::1]:5", "taq --brokers [::1]:5`"),
            ("10.0.0.7:9092", "taq --brokers 10.0.0.7:9092`"),
            ("0.0.0.0:9092", "taq`"),
            ("0.0.0.0:9093", "taq --brokers 127.0.0.1:9093`"),
        ] {
            let greeting = text(kafka, "millpond");
            assert!(greeting.contains(flag), "{greeting}");
        }
        let (kafka, http) = ("127.0.0.1:9092".parse().unwrap(), "0.0.0.0:81".parse().unwrap());
        let greeting =
            Greeting { kafka, http, data: Path::new("/d"), durability: Durability::Fsync, program: "millpond" }.text();
        assert!(greeting.contains("versions --server 127.0.0.1:81` or `millpond demo taq`"), "{greeting}");
    }

    #[test]
    fn the_program_is_called_as_it_was() {
        assert_eq!(program_as("millpond", false), "millpond");
        assert_eq!(program_as("/usr/bin/millpond", false), "/usr/bin/millpond");
        assert_eq!(program_as("target/debug/millpond", true), "cargo run --release --");
    }
}
