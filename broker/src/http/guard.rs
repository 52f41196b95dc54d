//! Keeps web pages out: the listener has no authentication, and a browser on the same machine reaches loopback.
//!
//! - A listener on loopback answers only to a `Host` that is `localhost` or an address: a page whose own name was
//!   pointed at 127.0.0.1 (DNS rebinding) sends its own name.
//! - What changes something is refused when it has an `Origin` (browsers send it with every such request, programs
//!   never do), and when its body is not JSON by its `Content-Type`, which a page cannot send without asking first.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderName, Method};
use axum::middleware::Next;
use axum::response::Response;

use super::problem::Problem;

/// Whether the listener is on loopback.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    pub(super) on_loopback: bool,
}

/// Lets `request` through, or answers why not.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Result<Response, Problem> {
    guard.check(request.method(), request.headers())?;
    Ok(next.run(request).await)
}

impl Guard {
    fn check(self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        let host = text(headers, &HOST).ok_or_else(|| Problem::bad_request("the request has no Host"))?;
        if self.on_loopback && !is_local(host) {
            let detail = format!("this listener answers to localhost or an address, not to {host:?}");
            return Err(Problem::forbidden(detail));
        }
        if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        if headers.contains_key(ORIGIN) {
            return Err(Problem::forbidden("web pages may not change anything here"));
        }
        let has_body = headers.contains_key(TRANSFER_ENCODING)
            || text(headers, &CONTENT_LENGTH).is_some_and(|length| length != "0");
        let is_json = text(headers, &CONTENT_TYPE).is_some_and(is_json);
        if has_body && !is_json {
            return Err(Problem::bad_request("a body must be JSON, with Content-Type: application/json"));
        }
        Ok(())
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether `host` (with or without a port) is this machine's own name for itself or an address.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    const LOOPBACK: Guard = Guard { on_loopback: true };

    fn status(guard: Guard, method: &Method, headers: &[(&'static str, &'static str)]) -> StatusCode {
        let headers =
            headers.iter().map(|&(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        match guard.check(method, &headers) {
            Ok(()) => StatusCode::OK,
            Err(problem) => StatusCode::from_u16(problem.status).unwrap(),
        }
    }

    #[test]
    fn loopback_answers_only_to_its_own_names() {
        for host in ["localhost", "localhost:9080", "127.0.0.1:9080", "[::1]:9080", "[::1]", "LOCALHOST:1"] {
            assert_eq!(status(LOOPBACK, &Method::GET, &[("host", host)]), StatusCode::OK, "{host}");
        }
        for host in ["evil.example", "evil.example:9080", "localhost.evil.example", ""] {
            assert_eq!(status(LOOPBACK, &Method::GET, &[("host", host)]), StatusCode::FORBIDDEN, "{host}");
        }
        let open = Guard { on_loopback: false };
        assert_eq!(status(open, &Method::GET, &[("host", "broker.example")]), StatusCode::OK);
        assert_eq!(status(open, &Method::GET, &[]), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn web_pages_change_nothing() {
        let host = ("host", "127.0.0.1:9080");
        let json = ("content-type", "application/json; charset=utf-8");
        let length = ("content-length", "2");
        assert_eq!(status(LOOPBACK, &Method::POST, &[host, json, length]), StatusCode::OK);
        assert_eq!(status(LOOPBACK, &Method::DELETE, &[host]), StatusCode::OK);
        for origin in ["http://127.0.0.1:9080", "null", "https://evil.example"] {
            let headers = [host, json, length, ("origin", origin)];
            assert_eq!(status(LOOPBACK, &Method::POST, &headers), StatusCode::FORBIDDEN, "{origin}");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            let headers = [host, length, ("content-type", kind)];
            assert_eq!(status(LOOPBACK, &Method::POST, &headers), StatusCode::BAD_REQUEST, "{kind}");
        }
        assert_eq!(status(LOOPBACK, &Method::POST, &[host, length]), StatusCode::BAD_REQUEST);
        assert_eq!(status(LOOPBACK, &Method::POST, &[host, ("transfer-encoding", "chunked")]), StatusCode::BAD_REQUEST);
    }
}
