//! Every API through a raw wire client, in every version. One module mirrors one file of `broker/src/api/`.
//!
//! To add one: `tests/api/<name>.rs`, a `mod` line here, in order of the alphabet.

mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_topics;
mod describe_configs;
mod describe_groups;
mod fetch;
mod find_coordinator;
mod group;
mod heartbeat;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod produce;
mod sync_group;
