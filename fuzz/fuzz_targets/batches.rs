#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millpond_storage::fuzzing::batches(data));
