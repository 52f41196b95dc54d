//! `HOST:PORT`, as it is written in the configuration and told to clients.

use std::fmt;
use std::str::FromStr;

/// A host (a name, an IPv4 address, or an IPv6 address without its brackets) and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Name or address; never empty.
    pub host: String,
    /// The port; 0 asks the system for a free one when it is listened on.
    pub port: u16,
}

/// The text is no `HOST:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not HOST:PORT, such as 127.0.0.1:9092, broker.example.com:9092 or [::1]:9092")]
pub struct NotAnAddress;

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let (host, port) = text.trim().rsplit_once(':').ok_or(NotAnAddress)?;
        let port = port.parse().map_err(|_| NotAnAddress)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
            None if is_host(host) => host,
            Some(_) | None => return Err(NotAnAddress),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Letters, digits and what host names hold beside them; a bare IPv6 address is ambiguous and needs brackets.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl From<std::net::SocketAddr> for Address {
    fn from(address: std::net::SocketAddr) -> Self {
        // A v4 client of a v6 socket is known by its v4 address; `::ffff:` forms confuse clients.
        Self { host: address.ip().to_canonical().to_string(), port: address.port() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_shown() {
        for text in ["127.0.0.1:9092", "localhost:0", "broker_1.example-x.com:65535", "[::1]:9092"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["", "9092", ":9092", "host", "host:", "host:65536", "::1:9092", "[::1]", "[x]:1", "a b:1", "http://h:1"]
        {
            assert_eq!(text.parse::<Address>(), Err(NotAnAddress), "{text}");
        }
    }

    #[test]
    fn mapped_addresses_are_shown_as_v4() {
        let address: std::net::SocketAddr = "[::ffff:10.0.0.1]:80".parse().unwrap();
        assert_eq!(Address::from(address).to_string(), "10.0.0.1:80");
    }
}
