//! `DescribeAcls`, versions 1–3.

use kafka_protocol::messages::DescribeAclsRequest;
use millpond_compat_tests::server::Server;

const SECURITY_DISABLED: i16 = 54;

#[test]
fn there_is_no_authorizer() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in 1..=3 {
        let answer = wire.call(version, &DescribeAclsRequest::default().with_resource_type_filter(1));
        assert_eq!((answer.error_code, answer.resources.len()), (SECURITY_DISABLED, 0), "v{version}");
        assert_eq!(answer.error_message.as_deref(), Some("No Authorizer is configured."), "v{version}");
    }
}
