//! Whole bodies: the envelope, the id, and what a status makes of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| a2a::fuzzing::answer(body));
