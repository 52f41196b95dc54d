//! `ApiVersions` (key 18), versions 0–4: which APIs are served in which versions.
//!
//! A version that is not served is answered in version 0 by `unsupported.rs`. Features: none is supported or finalized, and
//! the epoch says so (−1), until an API needs one.
//!
//! - v1: throttle time. v2: throttled after the answer.
//! - v3: flexible; the client names its software (KIP-511); features (KIP-584).
//! - v4: features whose lowest version is 0 (KIP-1022).

use std::sync::Arc;

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use super::error::ErrorCode;
use super::{Answer, Api, Context, Row, Software};

/// The API.
pub struct ApiVersions;

impl Api for ApiVersions {
    type Request = ApiVersionsRequest;

    fn handle(ctx: &Context, request: ApiVersionsRequest) -> Answer<ApiVersionsResponse> {
        if ctx.api_version >= 3 {
            let (name, version) = (&request.client_software_name, &request.client_software_version);
            if !is_software(name) || !is_software(version) {
                let code = ctx.error(ErrorCode::InvalidRequest);
                return Answer::now(ApiVersionsResponse::default().with_error_code(code));
            }
            let software = Software { name: name.to_string(), version: version.to_string() };
            ctx.connection.software.store(Some(Arc::new(software)));
        }
        let rows = ctx.connection.table.rows();
        Answer::now(ApiVersionsResponse::default().with_api_keys(rows.iter().map(advertised).collect()))
    }
}

fn advertised(row: &Row) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(row.key as i16)
        .with_min_version(row.versions.min)
        .with_max_version(row.versions.max)
}

/// Kafka's rule for names and versions of software: letters, digits, and inside also dashes and dots.
fn is_software(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    edge(text.as_bytes().first()) && edge(text.as_bytes().last()) && text.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::is_software;

    #[test]
    fn software_is_named_as_kafka_says() {
        for good in ["a", "apache-kafka-java", "4.1.0", "librdkafka", "2.12.1-RC2", "a..b", "7"] {
            assert!(is_software(good), "{good}");
        }
        for bad in ["", "-a", "a-", ".1", "1.", "a b", "a_b", "ä", "a\n"] {
            assert!(!is_software(bad), "{bad}");
        }
    }
}
