//! The private parsers for the fuzz targets (folder `fuzz`): only there, with `--cfg fuzzing`.

use crate::invariants;

/// Reads bytes as the body of any answer.
pub fn answer(body: &[u8]) {
    invariants::any_answer(body);
}

/// Reads bytes as the `result` of an answer, which spares the fuzzer the envelope.
pub fn result(body: &[u8]) {
    if let Ok(value) = serde_json::from_slice(body) {
        invariants::any_result(&value, body.len());
    }
}

/// Reads bytes as the `error` of an answer.
pub fn error(body: &[u8]) {
    if let Ok(value) = serde_json::from_slice(body) {
        invariants::any_error(&value);
    }
}

/// Reads bytes as an agent card.
pub fn card(body: &[u8]) {
    if let Ok(value) = serde_json::from_slice(body) {
        invariants::any_card(&value);
    }
}
