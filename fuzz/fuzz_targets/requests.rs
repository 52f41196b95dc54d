#![cfg_attr(feature = "libfuzzer", no_main)]
#![allow(dead_code, reason = "the test of the broker uses more of these modules")]

#[path = "../../broker/tests/hostile_frames/apis.rs"]
mod apis;
#[path = "../../broker/tests/hostile_frames/body.rs"]
mod body;
#[path = "../../broker/tests/hostile_frames/sample.rs"]
mod sample;

millpond_fuzz::fuzz_target!(|data: &[u8]| body::requests(data));
