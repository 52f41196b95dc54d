//! `InitProducerId` (key 22), versions 0–5: a producer id that nobody ever had, with epoch 0.
//!
//! An idempotent producer that sends the id and the epoch that it has gets a new id, as from Kafka. Transactional ids are
//! refused until there are transactions; this refusal is the only one that stops librdkafka.
//!
//! - v1: throttled after the answer. v2: flexible. v3: the id and epoch that the producer has (KIP-360). v4:
//!   `PRODUCER_FENCED`. v5: transactions of KIP-890.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::error::ErrorCode;
use super::{Answer, Api, Context};
use crate::completion;

/// The API.
pub(super) struct InitProducerId;

const NO_ID: i64 = -1;
const NO_EPOCH: i16 = -1;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;

    fn handle(ctx: &Context, request: InitProducerIdRequest) -> Answer<InitProducerIdResponse> {
        if let Some(id) = request.transactional_id {
            if id.is_empty() {
                return Answer::now(refused(ErrorCode::InvalidRequest));
            }
            tracing::info!(transactional_id = %id.as_str(), peer = %ctx.peer(), "transactions are not served");
            return Answer::now(refused(ErrorCode::TransactionalIdAuthorizationFailed));
        }
        if (request.producer_id.0 == NO_ID) != (request.producer_epoch == NO_EPOCH) {
            return Answer::now(refused(ErrorCode::InvalidRequest));
        }
        let (done, taken) = completion::pair();
        ctx.broker().producer_ids.take(done);
        Answer::later(async {
            match taken.await.map(|taken| taken.map(i64::try_from)) {
                Some(Ok(Ok(id))) => {
                    InitProducerIdResponse::default().with_producer_id(id.into()).with_producer_epoch(0)
                }
                Some(Err(why)) => {
                    tracing::warn!("no producer ids can be reserved: {why}");
                    // As Kafka's when it has no block of ids: every client asks again.
                    refused(ErrorCode::CoordinatorLoadInProgress)
                }
                Some(Ok(Err(_))) | None => refused(ErrorCode::BrokerNotAvailable),
            }
        })
    }
}

fn refused(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(code.code())
        .with_producer_id(NO_ID.into())
        .with_producer_epoch(NO_EPOCH)
}
