//! The table is whole, and refuses what it does not allow in words that help.

use super::*;

fn message(name: &str, value: &str) -> String {
    checked([(name, Some(value))]).unwrap_err().to_string()
}

#[test]
fn rows_are_sorted_and_explained_and_allow_their_own_fixed_value() {
    assert!(CONFIG_KEYS.is_sorted_by(|a, b| a.name < b.name));
    for key in &CONFIG_KEYS {
        assert!(key.documentation.ends_with('.'), "{}", key.name);
        if let Some(fixed) = key.fixed() {
            assert_eq!(key.check(fixed), Ok(()), "{}", key.name);
        }
    }
}

#[test]
fn the_docs_have_the_table() {
    let table = markdown();
    let docs = include_str!("../../../../docs/operations.md");
    assert!(docs.contains(&table), "docs/operations.md should have this table:\n{table}");
}

#[test]
fn unknown_keys_are_refused_by_name() {
    assert_eq!(message("retention.mss", "1"), "Unknown topic config name: retention.mss");
}

#[test]
fn bad_values_are_refused_with_what_is_allowed() {
    assert_eq!(
        message("retention.ms", "-2"),
        "Invalid value \"-2\" for topic config retention.ms: must be a whole number from -1 to 9223372036854775807"
    );
    for (name, value) in [
        ("retention.ms", ""),
        ("retention.ms", "1.5"),
        ("retention.ms", "9223372036854775808"),
        ("segment.bytes", "1048575"),
        ("segment.bytes", "2147483648"),
        ("segment.ms", "0"),
        ("max.message.bytes", "-1"),
        ("min.insync.replicas", "0"),
        ("message.timestamp.type", "createtime"),
        ("cleanup.policy", ""),
        ("cleanup.policy", "compacted"),
        ("cleanup.policy", "compact,compact"),
        ("min.cleanable.dirty.ratio", "1.01"),
        ("min.cleanable.dirty.ratio", "NaN"),
        ("max.compaction.lag.ms", "0"),
    ] {
        assert!(message(name, value).contains("must be"), "{name} = {value:?}");
    }
}

#[test]
fn what_is_not_there_is_refused_with_the_reason() {
    assert_eq!(
        message("compression.type", "gzip"),
        "Invalid value \"gzip\" for topic config compression.type: \
         only \"producer\" is supported, since batches are kept as their producer compressed them"
    );
    for (name, value) in [
        ("compression.type", "zstd"),
        ("flush.messages", "1"),
        ("unclean.leader.election.enable", "true"),
        ("remote.storage.enable", "true"),
    ] {
        assert!(message(name, value).contains("only"), "{name} = {value:?}");
    }
}

#[test]
fn a_fixed_key_takes_its_value_in_every_spelling() {
    for (name, value) in
        [("preallocate", "FALSE"), ("compression.lz4.level", "09"), ("file.delete.delay.ms", " 60000 ")]
    {
        assert!(checked([(name, Some(value))]).is_ok(), "{name} = {value:?}");
    }
}

#[test]
fn a_change_is_made_or_refused_whole() {
    let mut overrides = checked([("retention.ms", Some(" 1000 "))]).unwrap();
    assert_eq!(overrides["retention.ms"], "1000");
    assert!(change(&mut overrides, "retention.ms", Change::Set(Some("x"))).is_err());
    assert_eq!(change(&mut overrides, "retention.ms", Change::Set(None)), Err(InvalidConfig::Null("retention.ms")));
    assert_eq!(overrides["retention.ms"], "1000");
    change(&mut overrides, "retention.ms", Change::Delete).unwrap();
    assert!(overrides.is_empty());
    assert!(change(&mut overrides, "no.such.key", Change::Delete).is_err());
}

#[test]
fn lists_are_added_to_and_taken_from() {
    let mut overrides = Overrides::new();
    change(&mut overrides, "cleanup.policy", Change::Append(Some("delete"))).unwrap();
    assert_eq!(overrides["cleanup.policy"], "delete");
    assert!(change(&mut overrides, "cleanup.policy", Change::Append(Some("burn"))).is_err());
    assert!(change(&mut overrides, "cleanup.policy", Change::Subtract(Some("delete"))).is_err());
    assert_eq!(overrides["cleanup.policy"], "delete");
    change(&mut overrides, "cleanup.policy", Change::Append(Some("compact"))).unwrap();
    assert_eq!(overrides["cleanup.policy"], "delete,compact");
    change(&mut overrides, "cleanup.policy", Change::Subtract(Some("delete"))).unwrap();
    assert_eq!(overrides["cleanup.policy"], "compact");
    assert_eq!(
        change(&mut overrides, "retention.ms", Change::Append(Some("1"))),
        Err(InvalidConfig::NotAList("retention.ms"))
    );
}
