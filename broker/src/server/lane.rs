//! The lane between the two loops of a connection: replies in request order, and every bound on what one client may have
//! under way.
//!
//! The reader enters a request before it reads its body, and pushes its reply when the handler has returned; the writer
//! takes replies from the front. Both loops run in one task, so that the lock is never contended. The reader is polled
//! before the writer, which so finds what was pushed without being woken: a wake from within would have the task polled
//! once more, in vain, for every request.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

use tokio::sync::Notify;

use super::budget::Charge;
use crate::api::{Outgoing, Reply};
use crate::limits::Limits;

/// The replies of one connection.
pub(super) struct Lane<'a> {
    state: Mutex<State>,
    /// There may be room for another request.
    room: Notify,
    limits: &'a Limits,
    /// Bytes of answers unsent over all connections; this lane's part is in it.
    unsent_total: &'a AtomicUsize,
}

/// A reply on its way.
pub(super) struct Queued {
    pub(super) reply: Reply,
    /// The place of its API in the table.
    pub(super) place: usize,
    /// The length of its request.
    pub(super) request_bytes: usize,
    /// When its handler returned.
    pub(super) handled: Instant,
    /// The request's part of the common budget, held until the reply is known.
    pub(super) charge: Charge,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Queued>,
    /// Requests entered whose reply is not yet known.
    requests: usize,
    request_bytes: usize,
    /// Bytes of known answers that the socket has not taken.
    unsent: usize,
    ended: bool,
    reader: Reading,
    /// Since when the socket has taken nothing of an answer that waits.
    writing_since: Option<Instant>,
    /// When the connection last did anything; while a request is under way, it does.
    moved: Instant,
}

/// What the reader waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The first byte of a frame.
    Nothing,
    /// More of a frame, since this moment.
    Frame(Instant),
    /// Room: the client waits for us.
    Room,
}

impl std::fmt::Debug for Queued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queued").field("place", &self.place).finish_non_exhaustive()
    }
}

impl<'a> Lane<'a> {
    pub(super) fn new(limits: &'a Limits, unsent_total: &'a AtomicUsize) -> Self {
        let state = State {
            queue: VecDeque::new(),
            requests: 0,
            request_bytes: 0,
            unsent: 0,
            ended: false,
            reader: Reading::Nothing,
            writing_since: None,
            moved: Instant::now(),
        };
        Self { state: Mutex::new(state), room: Notify::new(), limits, unsent_total }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request of `bytes` may be under way, and counts it.
    pub(super) async fn enter(&self, bytes: usize) {
        while !self.try_enter(bytes) {
            self.room.notified().await;
        }
    }

    fn try_enter(&self, bytes: usize) -> bool {
        let mut state = self.state();
        let limits = self.limits;
        let few = state.requests < limits.in_flight_requests_max.max(1);
        let small = state.requests == 0 || state.request_bytes + bytes <= limits.in_flight_bytes_max;
        // Whoever has nothing unsent may always go on, so that slow readers stop only themselves.
        let sent = state.unsent == 0
            || (state.unsent < limits.unsent_bytes_max
                && self.unsent_total.load(Ordering::Relaxed) < limits.unsent_bytes_total_max);
        let may_enter = few && small && sent;
        state.reader = Reading::Room;
        if may_enter {
            state.requests += 1;
            state.request_bytes += bytes;
        }
        may_enter
    }

    /// Adds the reply of the request that entered last.
    pub(super) fn push(&self, queued: Queued) {
        let mut state = self.state();
        if let Reply::Ready(outgoing) = &queued.reply {
            self.add_unsent(&mut state, outgoing);
        }
        state.queue.push_back(queued);
    }

    /// No reply will follow.
    pub(super) fn end(&self) {
        self.state().ended = true;
    }

    /// The oldest reply, if there is one.
    pub(super) fn try_next(&self) -> Option<Queued> {
        self.state().queue.pop_front()
    }

    /// The oldest reply; none at the end. Whoever pushes or ends has the task that waits here polled after that.
    pub(super) async fn next(&self) -> Option<Queued> {
        poll_fn(|_| {
            let mut state = self.state();
            match state.queue.pop_front() {
                None if !state.ended => Poll::Pending,
                queued => Poll::Ready(queued),
            }
        })
        .await
    }

    /// The reply of a request of `request_bytes` is known `now`: it became so while the writer waited for it, or was before.
    pub(super) fn resolved(&self, request_bytes: usize, awaited: Option<&Outgoing>, now: Instant) {
        let mut state = self.state();
        state.requests = state.requests.saturating_sub(1);
        state.request_bytes = state.request_bytes.saturating_sub(request_bytes);
        state.moved = now;
        if let Some(outgoing) = awaited {
            self.add_unsent(&mut state, outgoing);
        }
        self.room.notify_one();
    }

    fn add_unsent(&self, state: &mut State, outgoing: &Outgoing) {
        if let Outgoing::Frame(frame) = outgoing {
            state.unsent += frame.len();
            self.unsent_total.fetch_add(frame.len(), Ordering::Relaxed);
        }
    }

    /// The writer starts to hand bytes to the socket.
    pub(super) fn writing(&self, now: Instant) {
        self.state().writing_since = Some(now);
    }

    /// The socket took so many bytes; all it was handed, or not.
    pub(super) fn sent(&self, bytes: usize, all: bool, now: Instant) {
        let mut state = self.state();
        state.unsent = state.unsent.saturating_sub(bytes);
        self.unsent_total.fetch_sub(bytes, Ordering::Relaxed);
        state.moved = now;
        state.writing_since = (!all).then_some(now);
        self.room.notify_one();
    }

    /// Says what the reader waits for.
    pub(super) fn reading(&self, reader: Reading) {
        self.state().reader = reader;
    }

    /// Waits until the connection has been too slow or idle for too long, and says which. It looks a few times within the
    /// shortest of the timeouts: a timer for every request would cost more than the request.
    pub(super) async fn expired(&self) -> &'static str {
        let limits = self.limits;
        let shortest = limits.idle_timeout.min(limits.frame_timeout).min(limits.write_timeout);
        loop {
            tokio::time::sleep(shortest / 4).await;
            if let Some(why) = self.state().expired(limits, Instant::now()) {
                return why;
            }
        }
    }
}

impl State {
    fn expired(&self, limits: &Limits, now: Instant) -> Option<&'static str> {
        if self.writing_since.is_some_and(|since| now - since >= limits.write_timeout) {
            return Some("slow_reader");
        }
        match self.reader {
            Reading::Frame(since) if now - since >= limits.frame_timeout => Some("slow_frame"),
            Reading::Nothing if self.requests == 0 && self.unsent == 0 && now - self.moved >= limits.idle_timeout => {
                Some("idle")
            }
            _ => None,
        }
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        let unsent = self.state().unsent;
        self.unsent_total.fetch_sub(unsent, Ordering::Relaxed);
    }
}
