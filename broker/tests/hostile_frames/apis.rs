//! Every request that has a schema: with its codec, and with a handler that does nothing.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Message, Request, VersionRange};
use millpond::api::schema::Schema;
use millpond::api::{Answer, Api, Context, Row, Table};

/// One request as the codec has it.
pub(crate) struct Codec {
    pub(crate) schema: &'static Schema,
    pub(crate) versions: VersionRange,
    pub(crate) again: fn(Bytes, i16) -> Result<Again, String>,
    /// Decodes a body and drops what comes of it.
    pub(crate) decode: fn(Bytes, i16) -> bool,
    /// An empty request.
    pub(crate) empty: fn(i16) -> Vec<u8>,
    /// Encodes an empty response and decodes it again.
    pub(crate) respond: fn(i16) -> Result<(), String>,
}

/// What the codec makes of a body.
pub(crate) struct Again {
    /// How many bytes it left.
    pub(crate) left: usize,
    /// The same, decoded and encoded again.
    pub(crate) encoded: Vec<u8>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.schema.name)
    }
}

impl Codec {
    const fn of<R: Request<Response: Default> + Default>() -> Self {
        let schema = Schema::of(R::KEY);
        let VersionRange { min, max } = <R as Message>::VERSIONS;
        let min = if min > schema.min { min } else { schema.min };
        let max = if max < schema.max { max } else { schema.max };
        Self {
            schema,
            versions: VersionRange { min, max },
            again: again::<R>,
            decode: decode::<R>,
            empty: empty::<R>,
            respond: respond::<R>,
        }
    }

    pub(crate) fn versions(&self) -> impl Iterator<Item = i16> + use<> {
        self.versions.min..=self.versions.max
    }
}

fn again<R: Request>(mut body: Bytes, version: i16) -> Result<Again, String> {
    let request = <R as Decodable>::decode(&mut body, version).map_err(|why| why.to_string())?;
    let mut encoded = Vec::new();
    <R as Encodable>::encode(&request, &mut encoded, version).map_err(|why| why.to_string())?;
    Ok(Again { left: body.len(), encoded })
}

fn decode<R: Request>(mut body: Bytes, version: i16) -> bool {
    <R as Decodable>::decode(&mut body, version).is_ok()
}

fn empty<R: Request + Default>(version: i16) -> Vec<u8> {
    let mut encoded = Vec::new();
    <R as Encodable>::encode(&R::default(), &mut encoded, version).unwrap();
    encoded
}

fn respond<R: Request<Response: Default>>(version: i16) -> Result<(), String> {
    let (response, mut encoded) = (R::Response::default(), BytesMut::new());
    response.encode(&mut encoded, version).map_err(|why| why.to_string())?;
    let size = response.compute_size(version).map_err(|why| why.to_string())?;
    <R::Response as Decodable>::decode(&mut encoded.split_to(size), version).map_err(|why| why.to_string())?;
    if encoded.is_empty() { Ok(()) } else { Err("it is longer than computed".to_owned()) }
}

macro_rules! apis {
    ($($request:ident)*) => {
        pub(crate) static CODECS: &[Codec] = &[$(Codec::of::<$request>()),*];

        /// All of them, served by handlers that close.
        pub(crate) static TABLE: Table = Table::new(&[$(Row::of::<Closing<$request>>()),*]);
    };
}

apis! {
    ProduceRequest FetchRequest ListOffsetsRequest MetadataRequest OffsetCommitRequest OffsetFetchRequest
    FindCoordinatorRequest JoinGroupRequest HeartbeatRequest LeaveGroupRequest SyncGroupRequest DescribeGroupsRequest
    ListGroupsRequest ApiVersionsRequest CreateTopicsRequest DeleteTopicsRequest DeleteRecordsRequest
    InitProducerIdRequest OffsetForLeaderEpochRequest DescribeConfigsRequest AlterConfigsRequest
    IncrementalAlterConfigsRequest DescribeLogDirsRequest CreatePartitionsRequest DeleteGroupsRequest
    OffsetDeleteRequest DescribeClusterRequest DescribeTopicPartitionsRequest ListConfigResourcesRequest
    DescribeProducersRequest ListPartitionReassignmentsRequest AlterPartitionReassignmentsRequest ElectLeadersRequest
    DescribeQuorumRequest DescribeAclsRequest
}

pub(crate) struct Closing<R>(std::marker::PhantomData<R>);

impl<R: Request<Response: Send> + 'static> Api for Closing<R> {
    type Request = R;

    fn handle(_: &Context, _: R) -> Answer<R::Response> {
        Answer::close("a test")
    }
}
