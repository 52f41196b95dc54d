//! Every API through a raw wire client, in every version. One module mirrors one file of `broker/src/api/`.
//!
//! To add one: `tests/api/<name>.rs`, a `mod` line here, in order of the alphabet.

mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod describe_configs;
mod metadata;
