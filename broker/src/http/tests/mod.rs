//! HTTP over a socket: every answer that these tests get from `/v1` is held against the `OpenAPI` document.

mod document;
mod past;
mod schema;
mod topics;
mod volumes;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::broker::Broker;
use crate::config::Config;
use crate::limits::HttpLimits;
use crate::server::{Listeners, Server as Kafka};

/// A listener on a port of its own.
pub(super) struct Server {
    address: String,
    state: HttpState,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<io::Result<()>>,
    document: Value,
}

impl Server {
    /// One whose broker is not there yet.
    pub(super) async fn start() -> Self {
        Self::bounded(HttpLimits::default()).await
    }

    async fn bounded(limits: HttpLimits) -> Self {
        let state = HttpState::new(limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, state.clone(), stop.clone()));
        let mut server = Self { address, state, stop, task, document: Value::Null };
        server.document = reqwest::get(server.url("/v1/openapi.json")).await.unwrap().json().await.unwrap();
        server
    }

    /// One with an empty broker.
    pub(super) async fn with_broker() -> Self {
        Self::start().await.and_broker()
    }

    fn and_broker(self) -> Self {
        let server = self;
        let broker = Arc::new(Broker::in_memory(Config::default()).unwrap());
        server.state.serve(Arc::clone(&broker));
        server.state.listen(Arc::new(Listeners::new(Arc::new(Kafka::of_all_apis(broker)))));
        server
    }

    pub(super) fn broker(&self) -> &Broker {
        self.state.broker().unwrap()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Creates a topic by a body that may be shorter than its head says; what comes back until the connection closes.
    async fn create_topic(&self, length: usize, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let head = format!(
            "POST /v1/topics HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(&self, path: &str) -> (u16, String, String) {
        let response = reqwest::get(self.url(path)).await.unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (response.status().as_u16(), kind, response.text().await.unwrap())
    }

    /// Sends a request, with a body unless that is empty, and checks the answer against the document: and the body, too, if it
    /// was taken.
    pub(super) async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = reqwest::Client::new().request(method.clone(), self.url(path));
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        let answer = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        let operation = self.operation(&method, path);
        let said = &operation["responses"][status.to_string()];
        assert!(said.is_object(), "{method} {path} answers {status}, which the document does not say: {text}");
        if let Some(content) = said["content"].as_object() {
            let kind = kind.unwrap_or_default();
            let schema = &content.get(&kind).unwrap_or_else(|| panic!("{method} {path} gives {kind}"))["schema"];
            self.check(schema, &answer, &format!("the answer to {method} {path}"));
        } else {
            assert_eq!(text, "", "{method} {path}");
        }
        if status < 300 && !body.is_empty() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            self.check(schema, &serde_json::from_str(body).unwrap(), &format!("the body of {method} {path}"));
        }
        (status, answer)
    }

    /// The same, of which only the status and the kind of problem matter.
    pub(super) async fn refused(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let (status, answer) = self.ask(method, path, body).await;
        let kind = answer["type"].as_str().unwrap_or_else(|| panic!("{method} {path} {body}: {answer}"));
        assert_eq!(answer["status"], status);
        (status, kind.strip_prefix("urn:millpond:").unwrap().to_owned())
    }

    fn check(&self, schema: &Value, value: &Value, what: &str) {
        if let Err(why) = schema::check(&self.document, schema, value) {
            panic!("{what} is not what the document says: {why}");
        }
    }

    /// What the document says of a method of a path.
    fn operation(&self, method: &Method, path: &str) -> &Value {
        let path = path.split('?').next().unwrap();
        let fits = |template: &str| {
            let pairs: Vec<_> = template.split('/').zip(path.split('/')).collect();
            template.split('/').count() == path.split('/').count()
                && pairs.iter().all(|(step, given)| step.starts_with('{') || step == given)
        };
        let paths = self.document["paths"].as_object().unwrap();
        let of_path = paths.iter().find(|(template, _)| fits(template)).map(|(_, of_path)| of_path);
        &of_path.unwrap_or_else(|| panic!("{path} is not in the document"))[method.as_str().to_lowercase()]
    }
}

#[tokio::test]
async fn the_process_lives_before_it_is_ready() {
    let server = Server::start().await;
    assert_eq!(server.get("/livez").await.0, 200);
    let (status, kind, body) = server.get("/readyz").await;
    assert_eq!((status, kind.as_str()), (503, "application/problem+json"));
    assert!(body.contains("starting"), "{body}");
    server.state.readiness.ready();
    assert_eq!(server.get("/readyz").await.0, 200);
    server.state.readiness.stopping();
    assert_eq!(server.get("/readyz").await.0, 503);
}

#[tokio::test]
async fn metrics_are_openmetrics_text() {
    let server = Server::start().await;
    let (status, kind, body) = server.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    assert!(body.ends_with("# EOF\n"), "{body}");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let server = Server::start().await;
    let (status, kind, body) = server.get("/nothing").await;
    assert_eq!((status, kind.as_str()), (404, "application/problem+json"));
    let problem: Problem = serde_json::from_str(&body).unwrap();
    assert_eq!((problem.kind.as_str(), problem.status), ("urn:millpond:unknown-path", 404));
    let response = reqwest::Client::new().post(server.url("/livez")).send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.json::<Problem>().await.unwrap().kind, "urn:millpond:method-not-allowed");
}

#[tokio::test]
async fn web_pages_are_refused_before_anything_else() {
    let server = Server::start().await;
    let client = reqwest::Client::new();
    let post = client.post(server.url("/v1/topics"));
    let response = post.header("origin", "http://evil.example").send().await.unwrap();
    assert_eq!(response.status(), 403);
    let get = client.get(server.url("/livez")).header("host", "evil.example");
    assert_eq!(get.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_body_is_as_long_as_it_may_be_and_comes_in_time() {
    let limits = HttpLimits { body_bytes_max: 64, body_timeout: Duration::from_millis(20), ..HttpLimits::default() };
    let server = Server::bounded(limits).await.and_broker();
    let long = format!("{{\"name\": \"{}\"}}", "t".repeat(64));
    assert_eq!(server.refused("POST", "/v1/topics", &long).await, (413, "body-too-large".to_owned()));
    let body = br#"{"name": "trades"}"#;
    let late = server.create_topic(body.len() + 1, body).await;
    assert!(late.starts_with("HTTP/1.1 408 ") && late.contains("20ms"), "{late}");
    assert!(server.create_topic(body.len(), body).await.starts_with("HTTP/1.1 201 "));
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_told_whatever_a_client_does() {
    let server = Server::start().await;
    let mut slow = TcpStream::connect(&server.address).await.unwrap();
    slow.write_all(b"GET /livez HT").await.unwrap();
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn it_ends_when_told() {
    let server = Server::start().await;
    assert_eq!(server.get("/livez").await.0, 200);
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
}
