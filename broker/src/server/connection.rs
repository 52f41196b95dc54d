//! One connection: a read loop and a write loop in one task, joined by a lane. Dropping the task cancels whatever waits.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpStream;
use tracing::debug;

use super::Shared;
use super::lane::{Lane, Queued, Reading};
use super::read::{Announced, Broken, Frames};
use super::write::{Answers, Finished};
use crate::api::{self, Connection, Dispatched, Refused};

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Broken(Broken),
    /// The requests before this one are answered, it is not.
    #[error(transparent)]
    Refused(Refused),
    #[error(transparent)]
    Finished(Finished),
    /// Too slow, or idle for too long.
    #[error("{0}")]
    Expired(&'static str),
    #[error("shutdown")]
    Shutdown,
}

impl End {
    /// The label in the metrics.
    fn reason(&self) -> &'static str {
        match self {
            Self::Broken(Broken::Closed) => "client",
            Self::Broken(Broken::Size(_)) => "frame_size",
            Self::Broken(Broken::Socket(_)) | Self::Finished(Finished::Socket(_)) => "socket",
            Self::Refused(_) => "refused",
            Self::Finished(Finished::Close(_)) => "closed_by_request",
            Self::Finished(Finished::All | Finished::Ended) | Self::Shutdown => "shutdown",
            Self::Expired(why) => why,
        }
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(shared: &Shared, connection: &Arc<Connection>, mut stream: TcpStream) {
    let end = run(shared, connection, &mut stream).await;
    let reason = end.reason();
    let software = connection.software.load();
    debug!(peer = %connection.peer, software = ?software.as_deref(), reason, "connection closed: {end}");
    shared.broker.metrics.connections.closed(reason);
}

async fn run(shared: &Shared, connection: &Arc<Connection>, stream: &mut TcpStream) -> End {
    let limits = &shared.broker.limits;
    let lane = Lane::new(limits, &shared.unsent_bytes);
    let (reader, writer) = stream.split();
    let frames = Frames::new(reader, &lane, &shared.budget, limits.frame_bytes_max);
    let answers = Answers::new(writer, &lane, &connection.metrics, &shared.broker.engine);
    let mut writing = pin!(answers.write_all());
    let mut expired = pin!(lane.expired());
    // A token of its own: that of all would be locked by all, at every request.
    let stopping = shared.stopping.child_token();
    let end = {
        // The reader goes first: what it adds leaves in the same turn.
        let reading = pin!(read(connection, &lane, frames));
        tokio::select! { biased;
            end = reading => end,
            finished = &mut writing => End::Finished(finished),
            why = &mut expired => End::Expired(why),
            () = stopping.cancelled() => End::Shutdown,
        }
    };
    if matches!(end, End::Refused(_) | End::Shutdown | End::Broken(Broken::Size(_))) {
        lane.end();
        tokio::select! { biased;
            _ = writing => {}
            _ = expired => {}
        }
    }
    end
}

/// Reads and handles requests until there is a reason to stop.
async fn read(connection: &Arc<Connection>, lane: &Lane<'_>, mut frames: Frames<'_>) -> End {
    loop {
        let announced = match frames.announced().await {
            Ok(announced) => announced,
            Err(broken) => return End::Broken(broken),
        };
        if let Err(end) = request(connection, lane, &mut frames, announced).await {
            return end;
        }
        if let Some(until) = connection.held.muted_until(Instant::now()) {
            lane.reading(Reading::Room);
            tokio::time::sleep_until(until.into()).await;
        }
        // Many small frames may be in the buffer: let others have this thread now and then.
        tokio::task::consume_budget().await;
    }
}

async fn request(
    connection: &Arc<Connection>,
    lane: &Lane<'_>,
    frames: &mut Frames<'_>,
    announced: Announced,
) -> Result<(), End> {
    lane.enter(announced.size).await;
    let (frame, charge) = frames.frame(announced).await.map_err(End::Broken)?;
    match api::dispatch(connection, frame, Instant::now()) {
        Ok(Dispatched { place, reply, handled }) => {
            lane.push(Queued { reply, place, request_bytes: announced.size, handled, charge });
            Ok(())
        }
        Err(refused) => Err(End::Refused(refused)),
    }
}
