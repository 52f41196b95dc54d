//! `DeleteTopics` (key 20), versions 1–6: deletes topics, with their records and the positions in them.
//!
//! The timeout is not needed: a topic is gone with the next sync.
//!
//! - v3: `TOPIC_DELETION_DISABLED`, which older versions know as `INVALID_REQUEST`. v4: flexible. v5: error messages
//!   (KIP-599). v6: by id (KIP-516).

use std::collections::{HashMap, HashSet};

use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use millpond_storage::TopicNumber;
use uuid::Uuid;

use super::error::{self, ErrorCode};
use super::text::{text, topic_name};
use super::{Answer, Api, Context};
use crate::scope::Scope;
use crate::topics::{Changing, Resolved, TopicError};

/// The API.
pub(super) struct DeleteTopics;

impl Api for DeleteTopics {
    type Request = DeleteTopicsRequest;

    fn handle(ctx: &Context, request: DeleteTopicsRequest) -> Answer<DeleteTopicsResponse> {
        let deletions = Deletions::begin(ctx, asked(request));
        let version = ctx.api_version;
        Answer::later(async move {
            let mut responses = Vec::with_capacity(deletions.len());
            for Deletion { asked, outcome } in deletions {
                let outcome = match outcome {
                    Ok(deleted) => deleted.await,
                    Err(why) => Err(why),
                };
                responses.push(answer(version, asked, outcome));
            }
            DeleteTopicsResponse::default().with_responses(responses)
        })
    }
}

/// A topic as it was asked for, and its name when it is found by its id.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Asked {
    name: Option<TopicName>,
    id: Uuid,
}

/// All that a request asks for, whichever of its fields has it.
fn asked(request: DeleteTopicsRequest) -> Vec<Asked> {
    let by_name = request.topic_names.into_iter().map(|name| Asked { name: Some(name), id: Uuid::nil() });
    let states = request.topics.into_iter().map(|DeleteTopicState { name, topic_id, .. }| Asked { name, id: topic_id });
    by_name.chain(states).collect()
}

struct Deletion {
    asked: Asked,
    outcome: Result<Changing<()>, TopicError>,
}

/// Deletes each topic once, however it is called.
struct Deletions<'a> {
    ctx: &'a Context,
    seen: HashSet<(Scope, TopicNumber)>,
}

impl<'a> Deletions<'a> {
    fn begin(ctx: &'a Context, all: Vec<Asked>) -> Vec<Deletion> {
        let mut times = HashMap::<Asked, usize>::new();
        for asked in &all {
            *times.entry(asked.clone()).or_default() += 1;
        }
        let mut deletions = Self { ctx, seen: HashSet::new() };
        let mut begun = Vec::with_capacity(times.len());
        for asked in all {
            // Of what comes more than once, the first stands for all.
            let Some(times) = times.remove(&asked) else { continue };
            begun.push(deletions.one(asked, times));
        }
        begun
    }

    fn one(&mut self, mut asked: Asked, times: usize) -> Deletion {
        let outcome = self.find(&asked, times).and_then(|found| {
            if asked.name.is_none() {
                asked.name = Some(topic_name(found.name()));
            }
            asked.id = found.id;
            if !self.seen.insert((found.home(), found.topic.number)) {
                return invalid("The provided topic name maps to an ID that was already supplied.");
            }
            Ok(self.ctx.broker().topics.delete(&found))
        });
        Deletion { asked, outcome }
    }

    fn find(&self, asked: &Asked, times: usize) -> Result<Resolved, TopicError> {
        match (&asked.name, asked.id.is_nil()) {
            (None, true) => invalid("Neither topic name nor id were specified."),
            (Some(_), false) => invalid("You may not specify both topic name and topic id."),
            (Some(_), true) if times > 1 => invalid("Duplicate topic name."),
            (None, false) if times > 1 => invalid("Duplicate topic id."),
            (Some(name), true) => self.ctx.topic(name.as_str()),
            (None, false) => self.ctx.topic_by_id(&asked.id),
        }
    }
}

fn invalid<T>(why: &str) -> Result<T, TopicError> {
    Err(TopicError::InvalidRequest(why.to_owned()))
}

fn answer(version: i16, asked: Asked, outcome: Result<(), TopicError>) -> DeletableTopicResult {
    let result = DeletableTopicResult::default().with_name(asked.name).with_topic_id(asked.id);
    match outcome {
        Ok(()) => result,
        Err(why) => {
            let code = match error::of_topic(&why) {
                ErrorCode::TopicDeletionDisabled if version < 3 => ErrorCode::InvalidRequest,
                code => code,
            };
            result.with_error_code(code.code()).with_error_message(Some(text(why)))
        }
    }
}
