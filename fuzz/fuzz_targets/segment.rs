#![cfg_attr(feature = "libfuzzer", no_main)]

millpond_fuzz::fuzz_target!(|data: &[u8]| millpond_storage::fuzzing::segment(data));
