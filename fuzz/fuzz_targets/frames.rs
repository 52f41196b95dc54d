#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millpond::server::fuzzing::frames(data));
