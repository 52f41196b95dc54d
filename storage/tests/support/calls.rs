//! How tests call an engine: what batches are held to, and answers that are waited for.

use std::sync::mpsc;

use millpond_storage::batch::{Rules, TimestampType};

/// Nothing but that a batch is whole.
pub(crate) const RULES: Rules = Rules {
    now_ms: 0,
    timestamp_type: TimestampType::Create,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: i64::MAX,
    keys_required: false,
    zstd_allowed: true,
    every_record: true,
    batch_bytes_max: 1 << 20,
    plain_bytes_max: 1 << 20,
};

/// Submits, and parks the test until the answer is there.
pub(crate) fn wait<T: Send + 'static>(submit: impl FnOnce(Box<dyn FnOnce(T) + Send>)) -> T {
    let (sender, receiver) = mpsc::channel();
    submit(Box::new(move |outcome| drop(sender.send(outcome))));
    receiver.recv().expect("the engine answers")
}
