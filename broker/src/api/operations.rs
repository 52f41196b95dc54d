//! What a client may do, as bits by Kafka's numbers of ACL operations. There is no authorizer: everything that there is.

/// On a topic: read, write, create, delete, alter, describe, describe configs, alter configs.
pub(super) const ON_TOPIC: i32 = bits(&[3, 4, 5, 6, 7, 8, 10, 11]);
/// On the cluster: create, alter, describe, cluster action, describe configs, alter configs, idempotent write.
pub(super) const ON_CLUSTER: i32 = bits(&[5, 7, 8, 9, 10, 11, 12]);
/// On a group: read, delete, describe.
pub(super) const ON_GROUP: i32 = bits(&[3, 6, 8]);
/// What stands in the place of the bits that were not asked for.
const NOT_ASKED: i32 = i32::MIN;

/// The bits, if they were asked for.
pub(super) fn if_asked(asked: bool, operations: i32) -> i32 {
    if asked { operations } else { NOT_ASKED }
}

const fn bits(operations: &[u8]) -> i32 {
    let (mut bits, mut at) = (0, 0);
    while at < operations.len() {
        bits |= 1 << operations[at];
        at += 1;
    }
    bits
}
