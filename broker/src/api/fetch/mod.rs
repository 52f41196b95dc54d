//! `Fetch` (key 1), versions 4–18: batches from an offset on, with long polling and fetch sessions (KIP-227).
//!
//! The request's partitions (or its session's) are read in order, from the tail cache or from files, until `max_bytes` are gathered. With less than
//! `min_bytes` the answer waits for new data, at most `max_wait_ms`; waiting holds no thread. An answer that would be empty waits at least until what was
//! appended before the request can be read. Batches go to the socket from where they are: the response is encoded here, around them.
//!
//! Left out: followers' fetches (`replica_id` is ignored), transactions (nothing is ever aborted), rack awareness.
//!
//! - v4: isolation level. v5: log start offset. v7: sessions. v9: leader epochs (KIP-320). v11: rack. v12: flexible, diverging epochs.
//! - v13: topic ids in place of names (KIP-516). v15: replica state. v16: where leaders are. v17: directory ids. v18: high watermark of followers.

mod encode;
mod gather;
pub(crate) mod session;

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::{FetchRequest, FetchResponse};
use tokio::time::Instant;

use super::error::{self, ErrorCode};
use super::{Answer, Api, Context, Outcome, Piece};
use encode::Body;
use gather::{Gathered, Limits, gather};
use session::{Opened, Session, Target};

/// The API.
pub(super) struct Fetch;

impl Api for Fetch {
    type Request = FetchRequest;

    fn handle(ctx: &Context, request: FetchRequest) -> Answer<FetchResponse> {
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let limits = Limits {
            min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
            max_bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(ctx.broker().limits.fetch_bytes_max),
            deadline: Instant::from_std(ctx.arrived + wait),
        };
        let opened = match ctx.broker().fetch_sessions.open(ctx, request) {
            Ok(opened) => opened,
            Err(code) => return Answer::Now(Outcome::Encoded(Body::failed(ctx.api_version, code))),
        };
        let version = ctx.api_version;
        let ctx = ctx.clone();
        Answer::outcome_later(async move { Outcome::Encoded(answer(&ctx, version, opened, limits).await) })
    }
}

async fn answer(ctx: &Context, version: i16, opened: Opened, limits: Limits) -> Vec<Piece> {
    let Opened { session, targets, is_incremental } = opened;
    let gathered = gather(ctx, &targets, &limits).await;
    let mut body = Body::new(version, session.as_ref().map_or(0, |session| session.id));
    let answers: Vec<(&Target, Gathered)> = match &session {
        Some(session) => session.note(targets.iter().zip(gathered), is_incremental),
        None => targets.iter().zip(gathered).collect(),
    };
    body.topics(&answers);
    body.finish()
}

/// What a partition's answer says beside its batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Marks {
    error: i16,
    high_watermark: i64,
    last_stable: i64,
    log_start: i64,
}

impl Marks {
    fn failed(code: ErrorCode) -> Self {
        Self { error: code.code(), high_watermark: -1, last_stable: -1, log_start: -1 }
    }

    fn is_error(self) -> bool {
        self.error != error::NONE
    }
}

/// A session that a request belongs to.
type SessionRef = Arc<Session>;
