//! A consumer that is a member of a group, by the classic protocol, and reads one topic.
//!
//! It joins when it is first asked for records, and again whenever the group goes through a rebalance or has lost it. Whatever
//! was read and not committed then belongs to whoever gets the partition: [`GroupPolled::Joined`] says so, and from which
//! offsets this member goes on.
//!
//! Heartbeats are a task's, which lives as long as the membership. Partitions are shared out by range.
//!
//! | file | what it holds |
//! |---|---|
//! | `coordinator` | the requests of a member, and to whom they go |
//! | `assignment` | what members tell each other through the broker: subscriptions, and who reads what |

mod assignment;
mod coordinator;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::admin::OffsetAt;
use super::backoff::Backoff;
use super::cluster::Client;
use super::consumer::{Consumer, ConsumerOptions, Polled};
use super::error::{ClientError, ErrorCode, Result};
use coordinator::{Coordinator, Member};

/// How to be a member.
#[derive(Debug, Clone)]
pub struct GroupOptions {
    /// After so long without a heartbeat the group goes on without this member.
    pub session_timeout: Duration,
    /// How often it says that it is there.
    pub heartbeat_interval: Duration,
    /// How long a rebalance may wait for this member.
    pub rebalance_timeout: Duration,
    /// How long to go on trying to join or to commit.
    pub patience: Duration,
    /// How to fetch.
    pub consumer: ConsumerOptions,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_secs(10),
            heartbeat_interval: Duration::from_secs(3),
            rebalance_timeout: Duration::from_secs(30),
            patience: Duration::from_mins(1),
            consumer: ConsumerOptions::default(),
        }
    }
}

/// What a member has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupPolled {
    /// It is in the group and reads these partitions, from these offsets on. What it read before and did not commit will
    /// be read again, by itself or by another.
    Joined(BTreeMap<i32, i64>),
    /// What comes next in its partitions.
    Polled(Polled),
}

impl From<Polled> for GroupPolled {
    fn from(polled: Polled) -> Self {
        Self::Polled(polled)
    }
}

/// See the module.
#[derive(Debug)]
pub struct GroupConsumer {
    client: Client,
    coordinator: Arc<Coordinator>,
    topic: String,
    options: GroupOptions,
    /// Given by the coordinator, empty until then.
    member_id: String,
    membership: Option<Membership>,
}

/// From one rebalance to the next.
#[derive(Debug)]
struct Membership {
    member: Member,
    consumer: Consumer,
    /// Ends when the group has gone on without this member, or waits for it to join again.
    lost: oneshot::Receiver<()>,
    heartbeats: AbortHandle,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.heartbeats.abort();
    }
}

impl GroupConsumer {
    /// A consumer of `topic` in `group`. It joins with the first [`GroupConsumer::next`].
    pub fn new(client: Client, group: &str, topic: &str, options: GroupOptions) -> Self {
        Self {
            coordinator: Arc::new(Coordinator::new(client.clone(), group)),
            client,
            topic: topic.to_owned(),
            options,
            member_id: String::new(),
            membership: None,
        }
    }

    /// The group's generation that this member is in.
    pub fn generation(&self) -> Option<i32> {
        self.membership.as_ref().map(|membership| membership.member.generation)
    }

    /// What comes next. To be awaited to its end: a join that is given up leaves a member behind until its session is over.
    pub async fn next(&mut self) -> Result<GroupPolled> {
        let Some(membership) = &mut self.membership else { return self.join().await };
        tokio::select! {
            polled = membership.consumer.next() => return Ok(polled?.into()),
            _ = &mut membership.lost => {}
        }
        self.membership = None;
        self.join().await
    }

    /// Commits the offsets of the records to be read next. `false`: the group has gone on without this member, nothing is
    /// committed, and [`GroupConsumer::next`] joins again.
    pub async fn commit(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<bool> {
        let Some(membership) = &self.membership else { return Ok(false) };
        let member = membership.member.clone();
        let deadline = Instant::now() + self.options.patience;
        let mut backoff = Backoff::default();
        loop {
            match self.coordinator.commit(&member, &self.topic, offsets).await {
                Ok(()) => return Ok(true),
                Err(error) if has_gone_on(&error) => {
                    self.membership = None;
                    return Ok(false);
                }
                Err(error) if error.is_retriable() && Instant::now() < deadline => {
                    self.coordinator.forget();
                    tokio::time::sleep(backoff.advance()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Leaves the group, so that it need not wait for the end of the session.
    pub async fn leave(mut self) -> Result<()> {
        let Some(membership) = self.membership.take() else { return Ok(()) };
        match self.coordinator.leave(&membership.member).await {
            Err(error) if has_gone_on(&error) => Ok(()),
            outcome => outcome,
        }
    }

    async fn join(&mut self) -> Result<GroupPolled> {
        let deadline = Instant::now() + self.options.patience;
        let mut backoff = Backoff::default();
        loop {
            match self.try_join().await {
                Ok(begins) => return Ok(GroupPolled::Joined(begins)),
                Err(error) if (has_gone_on(&error) || error.is_retriable()) && Instant::now() < deadline => {
                    if is_code(&error, &[ErrorCode::UnknownMemberId]) {
                        self.member_id.clear();
                    }
                    self.coordinator.forget();
                    tokio::time::sleep(backoff.advance()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One round: join, share out if this member leads, take what is assigned, and begin where the group has come to.
    async fn try_join(&mut self) -> Result<BTreeMap<i32, i64>> {
        let joined = self.coordinator.join(&self.member_id, &self.topic, &self.options).await;
        if let Err(coordinator::JoinError::NeedsId(id)) = &joined {
            self.member_id.clone_from(id);
        }
        let joined = match joined {
            Err(coordinator::JoinError::NeedsId(_)) => {
                self.coordinator.join(&self.member_id, &self.topic, &self.options).await?
            }
            joined => joined?,
        };
        self.member_id.clone_from(&joined.member.id);
        let shares = assignment::shared_out(&self.client, &joined.subscriptions).await?;
        let assignment = self.coordinator.sync(&joined, &shares, &self.options).await?;
        let partitions = assignment.get(&self.topic).cloned().unwrap_or_default();
        let begins = self.begins(&partitions).await?;
        let (client, options) = (self.client.clone(), self.options.consumer.clone());
        let consumer = Consumer::assign_at(client, &self.topic, &begins, options).await?;
        self.membership = Some(self.membership(joined.member, consumer));
        Ok(begins)
    }

    /// The committed offset of each partition; the first that there is where the group has none.
    async fn begins(&self, partitions: &[i32]) -> Result<BTreeMap<i32, i64>> {
        let mut begins = self.coordinator.committed(&self.topic, partitions).await?;
        let new: Vec<i32> = partitions.iter().copied().filter(|partition| !begins.contains_key(partition)).collect();
        if !new.is_empty() {
            begins.extend(self.client.offsets(&self.topic, &new, OffsetAt::Earliest).await?);
        }
        Ok(begins)
    }

    fn membership(&self, member: Member, consumer: Consumer) -> Membership {
        let (tell, lost) = oneshot::channel();
        let (coordinator, interval) = (Arc::clone(&self.coordinator), self.options.heartbeat_interval);
        let beating = member.clone();
        let heartbeats = tokio::spawn(async move {
            coordinator.beat_until_lost(&beating, interval).await;
            // Nobody hears it where the membership has ended meanwhile.
            let _ = tell.send(());
        });
        Membership { member, consumer, lost, heartbeats: heartbeats.abort_handle() }
    }
}

/// Whether the group does not, or not for now, count on this member.
fn has_gone_on(error: &ClientError) -> bool {
    use ErrorCode::{IllegalGeneration, RebalanceInProgress, UnknownMemberId};
    is_code(error, &[IllegalGeneration, RebalanceInProgress, UnknownMemberId])
}

fn is_code(error: &ClientError, codes: &[ErrorCode]) -> bool {
    matches!(error, ClientError::Refused { code, .. } if codes.contains(code))
}
