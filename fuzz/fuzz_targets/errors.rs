//! Error objects, their details and their class.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| a2a::fuzzing::error(body));
