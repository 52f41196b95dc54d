//! Fixed answers to versions that are not served, or that are advertised and not decoded.
//!
//! - `ApiVersions` in an unknown version is answered in version 0 with `UNSUPPORTED_VERSION` and its own row, so that the
//!   client can ask again (KIP-511). Every new Java client takes this path: it opens with the newest version it knows.
//! - Produce 0–2 is advertised because old librdkafka derives its features from it (KAFKA-18659). Its message sets of
//!   magic 0 and 1 are not taken: every partition is answered with `UNSUPPORTED_VERSION`.
//! - All else ends the connection, as in Kafka.

use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, ProduceResponse};

use super::error::ErrorCode;
use super::reply::{Answer, Heading, Outcome, Reply};
use super::{Refused, Row};

/// The answer to a version outside the advertised range.
pub(super) fn version(row: &Row, heading: Heading) -> Result<Reply, Refused> {
    if row.key != ApiKey::ApiVersions {
        return Err(Refused::UnsupportedVersion { name: row.name, version: heading.version });
    }
    let own = ApiVersion::default()
        .with_api_key(row.key as i16)
        .with_min_version(row.versions.min)
        .with_max_version(row.versions.max);
    let response =
        ApiVersionsResponse::default().with_error_code(ErrorCode::UnsupportedVersion.code()).with_api_keys(vec![own]);
    Ok(Heading { version: 0, ..heading }.reply(Answer::now(response)))
}

/// The answer to a version that is advertised and not decoded: Produce before 3. The body follows its schema.
pub(super) fn undecoded(row: &Row, heading: Heading, mut body: Bytes) -> Result<Reply, Refused> {
    let short = |_| Refused::UnsupportedVersion { name: row.name, version: heading.version };
    let acks = body.try_get_i16().map_err(short)?;
    let answer = if acks == 0 {
        Answer::close("Produce with acks=0 in a version that is not taken")
    } else {
        Answer::Now(Outcome::Encoded(vec![produce_response(&mut body, heading.version).map_err(short)?.into()]))
    };
    Ok(heading.reply::<ProduceResponse>(answer))
}

fn produce_response(body: &mut Bytes, version: i16) -> Result<Bytes, TryGetError> {
    let mut response = BytesMut::new();
    let _timeout = body.try_get_i32()?;
    for _ in 0..copy_count(body, &mut response)? {
        let name_len = body.try_get_i16()?;
        let name = take(body, name_len.into());
        response.put_i16(name_len);
        response.put_slice(&name);
        for _ in 0..copy_count(body, &mut response)? {
            produce_partition(body, &mut response, version)?;
        }
    }
    if version >= 1 {
        response.put_i32(0); // throttle time
    }
    Ok(response.freeze())
}

fn produce_partition(body: &mut Bytes, response: &mut BytesMut, version: i16) -> Result<(), TryGetError> {
    response.put_i32(body.try_get_i32()?);
    let records = body.try_get_i32()?;
    take(body, records);
    response.put_i16(ErrorCode::UnsupportedVersion.code());
    response.put_i64(-1); // base offset
    if version >= 2 {
        response.put_i64(-1); // time of the append
    }
    Ok(())
}

/// The count of an array, null as none, which the answer repeats.
fn copy_count(body: &mut Bytes, response: &mut BytesMut) -> Result<i32, TryGetError> {
    let count = body.try_get_i32()?.max(0);
    response.put_i32(count);
    Ok(count)
}

/// So many bytes, none for a null; the schema's check has found them there.
fn take(body: &mut Bytes, len: i32) -> Bytes {
    body.split_to(usize::try_from(len).unwrap_or(0).min(body.len()))
}
