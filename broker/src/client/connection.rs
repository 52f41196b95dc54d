//! One connection to one broker: requests are pipelined, answers found by correlation id.
//!
//! A connection has two tasks. The writer sends frames in the order of `submit`; the reader hands each answer to whoever
//! waits for its id. Both end, and every waiter learns why, as soon as either fails or the last handle is dropped.
//!
//! A frame is a 32-bit length and as many bytes: a header with the correlation id, then the message. A length that no
//! broker would send means that something else listens at that address, and is said so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::error::{ClientError, ErrorCode, Result};
use super::versions::{Versions, api_name};
use crate::config::Address;

/// The largest answer that is read. Fetches are limited far below it; a broker may overrun by one batch.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// The version of `ApiVersions` that is tried first: in it a client tells its name.
const API_VERSIONS_FIRST: i16 = 3;

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    /// What the broker's logs call this client.
    pub client_id: String,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long an answer may take, beyond what the request itself asks the broker to wait.
    pub request_timeout: Duration,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            client_id: "millpond".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// A connection with negotiated versions. Clones are handles of the same one.
#[derive(Debug, Clone)]
pub struct Connection {
    channel: Arc<Channel>,
    versions: Arc<Versions>,
}

impl Connection {
    /// Connects and negotiates.
    pub async fn open(address: &Address, options: &ConnectionOptions) -> Result<Self> {
        let channel = Arc::new(Channel::open(address, options).await?);
        let versions = Arc::new(channel.negotiate().await?);
        Ok(Self { channel, versions })
    }

    /// Whom it leads to.
    pub fn address(&self) -> &Address {
        &self.channel.address
    }

    /// Whether it has ended. It never comes back; open another.
    pub fn is_closed(&self) -> bool {
        self.channel.waiting.lock().is_err()
    }

    /// Whether both sides have a version of `R`.
    pub fn offers<R: Request>(&self) -> bool {
        self.versions.choose::<R>().is_some()
    }

    /// The version that a request of type `R` will have.
    pub fn version<R: Request>(&self) -> Result<i16> {
        self.versions
            .choose::<R>()
            .ok_or_else(|| ClientError::Unsupported { address: self.address().clone(), api: api_name::<R>() })
    }

    /// Queues a request: requests leave in the order of these calls, whenever their answers are awaited.
    pub fn submit<R: Request>(&self, request: &R) -> Result<Answer<R>> {
        self.channel.submit(request, self.version::<R>()?)
    }

    /// Queues a request that has no answer (Produce with `acks=0`).
    pub fn submit_unanswered<R: Request>(&self, request: &R) -> Result<Written> {
        let (frame, _) = self.channel.frame(request, self.version::<R>()?)?;
        let (written, receiver) = oneshot::channel();
        self.channel.send(Outgoing { frame, written: Some(written) })?;
        Ok(Written { channel: Arc::clone(&self.channel), written: receiver })
    }

    /// Sends a request and awaits its answer.
    pub async fn request<R: Request>(&self, request: &R) -> Result<R::Response> {
        self.submit(request)?.receive(Duration::ZERO).await
    }
}

/// An answer that is due.
#[derive(Debug)]
pub struct Answer<R> {
    channel: Arc<Channel>,
    version: i16,
    body: oneshot::Receiver<Result<Bytes>>,
    request: std::marker::PhantomData<fn() -> R>,
}

impl<R: Request> Answer<R> {
    /// Awaits it. `server_wait` is how long the request lets the broker wait before it answers.
    pub async fn receive(self, server_wait: Duration) -> Result<R::Response> {
        let body = self.channel.receive::<R>(self.body, server_wait).await?;
        self.channel.decode::<R>(body, self.version)
    }
}

/// A request that has no answer.
#[derive(Debug)]
pub struct Written {
    channel: Arc<Channel>,
    written: oneshot::Receiver<()>,
}

impl Written {
    /// Returns when the request has been handed to the socket.
    pub async fn done(self) -> Result<()> {
        self.written.await.map_err(|_| self.channel.waiting.reason())
    }
}

/// A connection before, during and after negotiation.
#[derive(Debug)]
struct Channel {
    address: Address,
    options: ConnectionOptions,
    outgoing: mpsc::UnboundedSender<Outgoing>,
    waiting: Arc<Waiting>,
    next_correlation_id: AtomicI32,
    tasks: [AbortHandle; 2],
}

#[derive(Debug)]
struct Outgoing {
    frame: Bytes,
    written: Option<oneshot::Sender<()>>,
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Channel {
    async fn open(address: &Address, options: &ConnectionOptions) -> Result<Self> {
        let unreachable = |reason: String| ClientError::Unreachable { address: address.clone(), reason };
        let connecting = TcpStream::connect((address.host.as_str(), address.port));
        let stream = tokio::time::timeout(options.connect_timeout, connecting)
            .await
            .map_err(|_| unreachable(format!("no connection within {} s", options.connect_timeout.as_secs_f32())))?
            .map_err(|error| unreachable(error.to_string()))?;
        stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
        let (read, write) = stream.into_split();
        let waiting = Arc::new(Waiting::new(address.clone()));
        let (outgoing, frames) = mpsc::unbounded_channel();
        let reader = tokio::spawn(read_answers(read, Arc::clone(&waiting)));
        let writer = tokio::spawn(write_frames(write, frames, Arc::clone(&waiting)));
        Ok(Self {
            address: address.clone(),
            options: options.clone(),
            outgoing,
            waiting,
            next_correlation_id: AtomicI32::new(0),
            tasks: [reader.abort_handle(), writer.abort_handle()],
        })
    }

    /// Asks what the broker offers. A broker that does not know our version answers in version 0, and names the
    /// versions of `ApiVersions` that it does know: then one of those is used.
    async fn negotiate(self: &Arc<Self>) -> Result<Versions> {
        let mut version = API_VERSIONS_FIRST;
        let mut answer = self.api_versions(version).await?;
        if ErrorCode::try_from_code(answer.error_code) == Some(ErrorCode::UnsupportedVersion) {
            let known = Versions::new(&answer.api_keys).choose::<ApiVersionsRequest>();
            version = known.unwrap_or(0).min(API_VERSIONS_FIRST);
            answer = self.api_versions(version).await?;
        }
        match ErrorCode::try_from_code(answer.error_code) {
            None => Ok(Versions::new(&answer.api_keys)),
            Some(code) => Err(ClientError::refused(format!("asking {} for its versions", self.address), code, None)),
        }
    }

    async fn api_versions(self: &Arc<Self>, version: i16) -> Result<ApiVersionsResponse> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("millpond"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let answer = self.submit(&request, version)?;
        let body = self.receive::<ApiVersionsRequest>(answer.body, Duration::ZERO).await?;
        // Behind the correlation id stands the error code, in every version; an unsupported one is answered as 0.
        let code = body.get(4..6).map(|mut code| code.get_i16());
        let unsupported = code == Some(ErrorCode::UnsupportedVersion.code());
        self.decode::<ApiVersionsRequest>(body, if unsupported { 0 } else { version })
    }

    fn submit<R: Request>(self: &Arc<Self>, request: &R, version: i16) -> Result<Answer<R>> {
        let (frame, correlation_id) = self.frame(request, version)?;
        let body = self.waiting.add(correlation_id)?;
        self.send(Outgoing { frame, written: None })?;
        Ok(Answer { channel: Arc::clone(self), version, body, request: std::marker::PhantomData })
    }

    fn send(&self, outgoing: Outgoing) -> Result<()> {
        self.outgoing.send(outgoing).map_err(|_| self.waiting.reason())
    }

    /// A request as it goes over the wire, and its correlation id.
    fn frame<R: Request>(&self, request: &R, version: i16) -> Result<(Bytes, i32)> {
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(Some(StrBytes::from_string(self.options.client_id.clone())));
        let encode_error = |reason: String| ClientError::Encode { what: api_name::<R>(), reason };
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        header
            .encode(&mut frame, R::header_version(version))
            .and_then(|()| request.encode(&mut frame, version))
            .map_err(|error| encode_error(error.to_string()))?;
        let length = i32::try_from(frame.len() - 4).map_err(|_| encode_error("it is too large".to_owned()))?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok((frame.freeze(), correlation_id))
    }

    async fn receive<R: Request>(&self, body: oneshot::Receiver<Result<Bytes>>, wait: Duration) -> Result<Bytes> {
        let after = self.options.request_timeout + wait;
        match tokio::time::timeout(after, body).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => Err(self.waiting.reason()),
            Err(_) => {
                let error = ClientError::TimedOut { address: self.address.clone(), api: api_name::<R>(), after };
                // What a broker owes for so long would only come between later answers.
                self.waiting.close(&error);
                Err(error)
            }
        }
    }

    fn decode<R: Request>(&self, mut body: Bytes, version: i16) -> Result<R::Response> {
        ResponseHeader::decode(&mut body, <R::Response as HeaderVersion>::header_version(version))
            .and_then(|_| R::Response::decode(&mut body, version))
            .map_err(|error| ClientError::Decode {
                address: self.address.clone(),
                api: api_name::<R>(),
                reason: error.to_string(),
            })
    }
}

/// Who waits for which answer; once the connection has ended, why.
#[derive(Debug)]
struct Waiting {
    address: Address,
    state: Mutex<WaitingState>,
}

type WaitingState = Result<HashMap<i32, oneshot::Sender<Result<Bytes>>>>;

impl Waiting {
    fn new(address: Address) -> Self {
        Self { address, state: Mutex::new(Ok(HashMap::new())) }
    }

    /// The map is whole between any two operations on it, so that a panic elsewhere cannot have broken it.
    fn lock(&self) -> MutexGuard<'_, WaitingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, correlation_id: i32) -> Result<oneshot::Receiver<Result<Bytes>>> {
        let (sender, receiver) = oneshot::channel();
        self.lock().as_mut().map_err(|reason| reason.clone())?.insert(correlation_id, sender);
        Ok(receiver)
    }

    /// Hands over an answer. One that nobody asked for ends the connection.
    fn deliver(&self, body: Bytes) -> Result<()> {
        let correlation_id = body.get(..4).map(|mut id| id.get_i32());
        let waiter = match self.lock().as_mut() {
            Ok(waiting) => correlation_id.and_then(|id| waiting.remove(&id)),
            Err(reason) => return Err(reason.clone()),
        };
        let waiter = waiter.ok_or_else(|| self.not_kafka("an answer to nothing that was asked".to_owned()))?;
        // Whoever gave up waiting has no use for it.
        let _ = waiter.send(Ok(body));
        Ok(())
    }

    /// Ends the connection for all who wait and will ask. Only the first reason counts.
    fn close(&self, reason: &ClientError) {
        let mut state = self.lock();
        if let Ok(waiting) = state.as_mut() {
            let waiting = std::mem::take(waiting);
            *state = Err(reason.clone());
            drop(state);
            for waiter in waiting.into_values() {
                let _ = waiter.send(Err(reason.clone()));
            }
        }
    }

    fn reason(&self) -> ClientError {
        match self.lock().as_ref() {
            Err(reason) => reason.clone(),
            Ok(_) => self.disconnected(&"it was closed"),
        }
    }

    fn disconnected(&self, reason: &dyn std::fmt::Display) -> ClientError {
        ClientError::Disconnected { address: self.address.clone(), reason: reason.to_string() }
    }

    fn not_kafka(&self, what: String) -> ClientError {
        ClientError::NotKafka { address: self.address.clone(), what }
    }
}

async fn write_frames(mut to: OwnedWriteHalf, mut frames: mpsc::UnboundedReceiver<Outgoing>, waiting: Arc<Waiting>) {
    while let Some(Outgoing { frame, written }) = frames.recv().await {
        if let Err(error) = to.write_all(&frame).await {
            waiting.close(&waiting.disconnected(&error));
            return;
        }
        if let Some(written) = written {
            let _ = written.send(());
        }
    }
}

async fn read_answers(mut from: OwnedReadHalf, waiting: Arc<Waiting>) {
    loop {
        let outcome = read_answer(&mut from, &waiting).await.and_then(|body| waiting.deliver(body));
        if let Err(reason) = outcome {
            waiting.close(&reason);
            return;
        }
    }
}

async fn read_answer(from: &mut OwnedReadHalf, waiting: &Waiting) -> Result<Bytes> {
    let ended = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => waiting.disconnected(&"the broker closed it"),
        _ => waiting.disconnected(&error),
    };
    let mut length = [0; 4];
    from.read_exact(&mut length).await.map_err(ended)?;
    let bytes = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if bytes > ANSWER_BYTES_MAX {
        return Err(waiting.not_kafka(foreign_greeting(length)));
    }
    // Grows with what arrives, so that a length alone reserves nothing.
    let mut body = BytesMut::with_capacity(bytes.min(64 << 10));
    let mut limited = from.take(bytes as u64);
    while body.len() < bytes {
        if limited.read_buf(&mut body).await.map_err(ended)? == 0 {
            return Err(waiting.disconnected(&"the broker closed it in the middle of an answer"));
        }
    }
    Ok(body.freeze())
}

/// Names what most likely speaks there instead.
fn foreign_greeting(first: [u8; 4]) -> String {
    match &first {
        b"HTTP" => "it answers in HTTP".to_owned(),
        [0x15, 0x03, _, _] => "it expects TLS".to_owned(),
        _ => format!("its first bytes are {first:02x?}"),
    }
}
