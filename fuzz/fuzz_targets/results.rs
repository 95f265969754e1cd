//! Results of a send, a get and a list, without the envelope.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| a2a::fuzzing::result(body));
