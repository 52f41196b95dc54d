//! Which replicas a request may ask for: one of each partition, on this node.

use super::TopicError;

/// Checks a number of replicas; −1 stands for the default.
pub fn check_replication_factor(factor: i16) -> Result<(), TopicError> {
    match factor {
        -1 | 1 => Ok(()),
        ..=0 => Err(TopicError::InvalidReplicationFactor(
            "Replication factor must be larger than 0, or -1 to use the default value.".to_owned(),
        )),
        _ => Err(TopicError::InvalidReplicationFactor(format!(
            "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be \
             reached because only 1 broker(s) are registered."
        ))),
    }
}

/// Checks the nodes that a partition is to be on.
pub fn check_replicas(nodes: &[i32], node_id: i32) -> Result<(), TopicError> {
    let refused = |why: String| Err(TopicError::InvalidAssignment(format!("The manual partition assignment {why}")));
    if nodes.is_empty() {
        return refused("includes an empty replica list.".to_owned());
    }
    if let Some(other) = nodes.iter().find(|node| **node != node_id) {
        return refused(format!("includes broker {other}, but no such broker is registered."));
    }
    if nodes.len() > 1 {
        return refused(format!("includes the broker {node_id} more than once."));
    }
    Ok(())
}

/// Checks where the partitions of a new topic are to be: each by its index and its nodes. Gives how many there are.
pub fn check_assignment(partitions: &[(i32, Vec<i32>)], node_id: i32) -> Result<i32, TopicError> {
    let mut indexes: Vec<i32> = partitions.iter().map(|(index, _)| *index).collect();
    indexes.sort_unstable();
    if let Some([twice, _]) = indexes.array_windows().find(|[one, next]| one == next) {
        return Err(TopicError::InvalidAssignment(format!(
            "Found multiple manual partition assignments for partition {twice}"
        )));
    }
    for (_, nodes) in partitions {
        check_replicas(nodes, node_id)?;
    }
    let count = i32::try_from(indexes.len()).unwrap_or(i32::MAX);
    if !indexes.iter().copied().eq(0..count) {
        return Err(TopicError::InvalidAssignment(
            "partitions should be a consecutive 0-based integer sequence".to_owned(),
        ));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_replica_can_be_had() {
        assert!(check_replication_factor(-1).is_ok() && check_replication_factor(1).is_ok());
        for factor in [i16::MIN, -2, 0, 2, i16::MAX] {
            assert!(
                matches!(check_replication_factor(factor), Err(TopicError::InvalidReplicationFactor(_))),
                "{factor}"
            );
        }
    }

    #[test]
    fn assignments_are_whole_and_on_this_node() {
        let check = |partitions: &[(i32, &[i32])]| {
            let owned: Vec<_> = partitions.iter().map(|(index, nodes)| (*index, nodes.to_vec())).collect();
            check_assignment(&owned, 7)
        };
        assert_eq!(check(&[(1, &[7]), (0, &[7])]).unwrap(), 2);
        for bad in [
            &[(0, &[7][..]), (0, &[7])][..],
            &[(0, &[7]), (2, &[7])],
            &[(1, &[7])],
            &[(-1, &[7])],
            &[(0, &[])],
            &[(0, &[8])],
            &[(0, &[7, 7])],
        ] {
            assert!(matches!(check(bad), Err(TopicError::InvalidAssignment(_))), "{bad:?}");
        }
    }
}
