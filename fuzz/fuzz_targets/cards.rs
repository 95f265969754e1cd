//! Agent cards.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| a2a::fuzzing::card(body));
