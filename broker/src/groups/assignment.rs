//! The partitions in a consumer's assignment (Kafka's `ConsumerProtocolAssignment`), for people who look at a group.
//!
//! Shape: version i16, then an array of topics (count i32, each a name and an array of partitions, i32), then user data. The
//! leader's client wrote it for the member's; the broker hands it on and has no use for it. What cannot be read is no error.

use super::subscription::Input;

/// The partitions of each topic in an assignment; none if it cannot be read.
pub fn assigned_partitions(assignment: &[u8]) -> Option<Vec<(String, Vec<i32>)>> {
    let mut input = Input(assignment);
    if input.i16()? < 0 {
        return None;
    }
    let count = input.i32()?;
    // The loops end with the input, whatever the counts say.
    let mut topics = Vec::new();
    for _ in 0..count.max(0) {
        let name = input.string()?;
        let count = input.i32()?;
        let mut partitions = Vec::new();
        for _ in 0..count.max(0) {
            partitions.push(input.i32()?);
        }
        topics.push((name, partitions));
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRADES_0_AND_2: [u8; 30] = [
        0, 1, 0, 0, 0, 1, 0, 6, b't', b'r', b'a', b'd', b'e', b's', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 255, 255, 255,
        255,
    ];

    #[test]
    fn partitions_are_read_and_what_follows_is_left_alone() {
        assert_eq!(assigned_partitions(&TRADES_0_AND_2), Some(vec![("trades".to_owned(), vec![0, 2])]));
        assert_eq!(assigned_partitions(&[0, 0, 0, 0, 0, 0]), Some(vec![]));
    }

    #[test]
    fn what_cannot_be_read_is_not_believed_in_part() {
        for length in 0..TRADES_0_AND_2.len() - 4 {
            assert_eq!(assigned_partitions(&TRADES_0_AND_2[..length]), None, "{length} bytes");
        }
        assert_eq!(assigned_partitions(&[0, 0, 0x7f, 0xff, 0xff, 0xff]), None);
        assert_eq!(assigned_partitions(&[0, 0, 0, 0, 0, 1, 0, 1, b'a', 0x7f, 0xff, 0xff, 0xff]), None);
    }
}
