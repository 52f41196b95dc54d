//! The `/v1` resources of a broker, as blocking calls: one connection for each, and a time limit on it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_mins(1);

/// Asks for something below `/v1`, where the broker may die meanwhile: the status, and the body if it is JSON.
pub fn try_call(address: &str, method: &str, path: &str, body: &Value) -> io::Result<(u16, Value)> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = exchange(address, &format!("{method} /v1{path}"), &body)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(ErrorKind::InvalidData)?;
    Ok((status, serde_json::from_str(body).unwrap_or_default()))
}

/// [`try_call`] of what must succeed.
#[track_caller]
pub fn call(address: &str, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) =
        try_call(address, method, path, body).unwrap_or_else(|error| panic!("{method} {path} at {address}: {error}"));
    assert!((200..300).contains(&status), "{method} {path} with {body}: {status}, {answer}");
    answer
}

/// What `/metrics` says of a name without labels.
pub fn metric(address: &str, name: &str) -> f64 {
    let answer = get(address, "/metrics").unwrap_or_else(|error| panic!("metrics at {address}: {error}"));
    let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no metric {name} at {address}"))
}

/// The answer to a GET of what is not below `/v1`, head and all.
pub fn get(address: &str, path: &str) -> io::Result<String> {
    exchange(address, &format!("GET {path}"), "")
}

fn exchange(address: &str, request: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    String::from_utf8(answer).map_err(|_| ErrorKind::InvalidData.into())
}
