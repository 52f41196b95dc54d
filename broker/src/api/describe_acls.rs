//! `DescribeAcls` (key 29), versions 1–3: there is no authorizer, and so there are no ACLs; the answer says so as Kafka's does.
//!
//! - v1: patterns (KIP-290). v2: flexible. v3: users as resources (KIP-373).

use kafka_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};

use super::error::ErrorCode;
use super::text::text;
use super::{Answer, Api, Context};

/// The API.
pub(super) struct DescribeAcls;

impl Api for DescribeAcls {
    type Request = DescribeAclsRequest;

    fn handle(_: &Context, _: DescribeAclsRequest) -> Answer<DescribeAclsResponse> {
        let response = DescribeAclsResponse::default()
            .with_error_code(ErrorCode::SecurityDisabled.code())
            .with_error_message(Some(text("No Authorizer is configured.")));
        Answer::now(response)
    }
}
