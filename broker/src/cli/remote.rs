//! A running broker, spoken to over HTTP `/v1`.

use clap::Args;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use crate::http::Problem;

/// Where a broker's HTTP is when nobody says.
const DEFAULT_SERVER: &str = "http://127.0.0.1:9080";

/// Which broker a command speaks to.
#[derive(Args, Clone, Debug)]
pub struct RemoteArgs {
    /// The broker's HTTP address
    #[arg(long, value_name = "URL", env = "MILLPOND_SERVER", default_value = DEFAULT_SERVER)]
    server: String,

    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

impl RemoteArgs {
    /// The flag that other commands need to find the same broker, if they do.
    pub fn flag(&self) -> String {
        if self.server == DEFAULT_SERVER { String::new() } else { format!(" --server {}", self.server) }
    }
}

/// The `/v1` resources of one broker.
#[derive(Debug)]
pub struct Remote {
    base: Url,
    client: Client,
}

impl Remote {
    /// The broker that `args` name; nothing is sent yet.
    pub fn new(args: &RemoteArgs) -> Result<Self, Failure> {
        let with_scheme =
            if args.server.contains("://") { args.server.clone() } else { format!("http://{}", args.server) };
        let base = Url::parse(&with_scheme).ok().filter(|url| url.scheme() == "http" && url.has_host());
        let base = base.ok_or_else(|| {
            Failure::new(format!("--server {:?} is not a URL such as http://127.0.0.1:9080", args.server))
        })?;
        // A proxy for the Internet is none for the machine's own broker, and would be asked for 127.0.0.1 as well.
        Ok(Self { base, client: Client::builder().no_proxy().build()? })
    }

    /// Gets what lies at `path`, given by its segments behind `/v1`.
    pub async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Failure> {
        self.send(self.request(Method::GET, path)?).await?.json().await.map_err(|error| self.not_a_broker(&error))
    }

    /// Gets what lies at `path`; nothing if nothing does.
    pub async fn find<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Option<T>, Failure> {
        let response = self.request(Method::GET, path)?.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.checked(response).await?.json().await.map(Some).map_err(|error| self.not_a_broker(&error))
    }

    /// Gets what lies at `path` with parameters.
    pub async fn get_with<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, Failure> {
        let request = self.request(Method::GET, path)?.query(query);
        self.send(request).await?.json().await.map_err(|error| self.not_a_broker(&error))
    }

    /// Posts `body` to `path`.
    pub async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T, Failure> {
        let request = self.request(Method::POST, path)?.json(body);
        self.send(request).await?.json().await.map_err(|error| self.not_a_broker(&error))
    }

    /// Changes what lies at `path`.
    pub async fn patch<T: DeserializeOwned>(&self, path: &[&str], change: &impl Serialize) -> Result<T, Failure> {
        let request = self.request(Method::PATCH, path)?.json(change);
        self.send(request).await?.json().await.map_err(|error| self.not_a_broker(&error))
    }

    /// Deletes what lies at `path`, whatever it holds if it is by force.
    pub async fn delete_by_force(&self, path: &[&str], force: bool) -> Result<(), Failure> {
        self.delete_with(path, &[("force", if force { "true" } else { "false" })]).await
    }

    /// Deletes what lies at `path` with parameters.
    pub async fn delete_with(&self, path: &[&str], query: &[(&str, &str)]) -> Result<(), Failure> {
        self.send(self.request(Method::DELETE, path)?.query(query)).await.map(|_| ())
    }

    /// Deletes what lies at `path`.
    pub async fn delete(&self, path: &[&str]) -> Result<(), Failure> {
        self.delete_with(path, &[]).await
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Failure> {
        // In a URL these are no steps but ways, and would lead to another resource.
        let is_none = |name: &str| matches!(name, "" | "." | "..") || name.contains(char::is_control);
        if let Some(name) = path.iter().find(|name| is_none(name)) {
            return Err(Failure::new(format!("{name:?} is not a name that can be asked for")));
        }
        let mut url = self.base.clone();
        // Fails for URLs that cannot have a path; one with a host can.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        Ok(self.client.request(method, url))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        self.checked(response).await
    }

    async fn checked(&self, response: Response) -> Result<Response, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        Err(match serde_json::from_str::<Problem>(&text) {
            Ok(problem) => Failure::new(problem.detail),
            Err(_) => Failure::new(format!("{} answers {status}: is it a Millpond broker's HTTP address?", self.base)),
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        Failure::new(format!(
            "no broker answers at {} ({}). Start one with `millpond`, or say where it is with --server URL or \
             MILLPOND_SERVER.",
            self.base,
            root_cause(error)
        ))
    }

    fn not_a_broker(&self, error: &reqwest::Error) -> Failure {
        let cause = root_cause(error);
        Failure::new(format!(
            "{} gives an answer that makes no sense here ({cause}): is it of this version?",
            self.base
        ))
    }
}

/// The innermost error: the outer ones only say that a request failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// What a command prints for programs: the resource as it came.
pub fn json(resource: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(resource)? + "\n")
}

/// What `delete` answers for programs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Deleted {
    /// The name of what was deleted.
    pub deleted: String,
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with `answer`; gives the base URL and, later, the request's first line.
    async fn answering(answer: &'static str) -> (Remote, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = socket.read(&mut request).await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).lines().next().unwrap().to_owned()
        });
        (Remote::new(&RemoteArgs { server, json: false }).unwrap(), task)
    }

    #[tokio::test]
    async fn names_are_one_segment_of_the_path_whatever_is_in_them() {
        let (remote, request) = answering("HTTP/1.1 204 No Content\r\n\r\n").await;
        remote.delete(&["topics", "/trading/taq:trades ä"]).await.unwrap();
        assert_eq!(request.await.unwrap(), "DELETE /v1/topics/%2Ftrading%2Ftaq:trades%20%C3%A4 HTTP/1.1");
    }

    #[tokio::test]
    async fn names_that_would_lead_elsewhere_are_not_asked_for() {
        let remote = Remote::new(&RemoteArgs { server: "127.0.0.1:1".to_owned(), json: false }).unwrap();
        for name in ["", ".", "..", "a\nb"] {
            let words = remote.delete(&["topics", name]).await.unwrap_err().to_string();
            assert!(words.contains("is not a name"), "{words}");
        }
    }

    #[tokio::test]
    async fn a_problem_is_told_in_its_own_words() {
        let body = r#"{"type":"urn:millpond:unknown-topic","title":"t","status":404,"detail":"no topic x"}"#;
        let answer = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let (remote, _) = answering(answer.leak()).await;
        assert_eq!(remote.delete(&["topics", "x"]).await.unwrap_err().to_string(), "no topic x");
    }

    #[tokio::test]
    async fn what_is_no_broker_is_told() {
        let (remote, _) = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        let words = remote.get::<Deleted>(&["topics"]).await.unwrap_err().to_string();
        assert!(words.contains("makes no sense here"), "{words}");
        let (remote, _) = answering("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 2\r\n\r\nhi").await;
        let words = remote.get::<Deleted>(&["topics"]).await.unwrap_err().to_string();
        assert!(words.contains("502 Bad Gateway"), "{words}");
    }

    #[tokio::test]
    async fn where_nobody_answers_the_way_on_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let remote = Remote::new(&RemoteArgs { server, json: false }).unwrap();
        let words = remote.get::<Deleted>(&["topics"]).await.unwrap_err().to_string();
        assert!(words.contains("refused") && words.contains("MILLPOND_SERVER"), "{words}");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for server in ["", "http://", "ftp://x", "https://x", "a b"] {
            let args = RemoteArgs { server: server.to_owned(), json: false };
            assert!(Remote::new(&args).is_err(), "{server:?}");
        }
    }
}
