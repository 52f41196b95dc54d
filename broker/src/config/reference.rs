//! What `config/millpond.toml` says about each key: its line of explanation and Kafka's name for it.
//!
//! The file is the one place where a key is explained. A comment of one line stands above its key and ends in
//! `Kafka: <name>` where Kafka has the key.

/// The file, embedded: the defaults are these, so the two cannot differ.
pub(super) const DEFAULTS: &str = include_str!("../../../config/millpond.toml");

/// A key and what is said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Explained {
    /// `section.name`.
    pub(super) key: String,
    /// One line.
    pub(super) documentation: &'static str,
    /// Kafka's name, where it has one.
    pub(super) kafka_name: Option<&'static str>,
}

/// Every key of the file, in its order.
pub(super) fn explained() -> Vec<Explained> {
    let mut section = "";
    let mut comment = "";
    let mut keys = Vec::new();
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some(text) = line.strip_prefix("# ") {
            comment = text;
        } else if let Some((name, _)) = line.split_once(" = ") {
            let (documentation, kafka_name) = match comment.split_once(" Kafka: ") {
                Some((text, name)) => (text, Some(name)),
                None => (comment, None),
            };
            keys.push(Explained { key: format!("{section}.{name}"), documentation, kafka_name });
            comment = "";
        }
    }
    keys
}
