//! What an answer comes to as a whole: its status, its body, and how the body ended (pure).

use http::StatusCode;
use serde_json::Value;

use crate::failure::Cause;
use crate::parse::{Envelope, envelope};
use crate::rpc_error::MAX_MESSAGE;
use crate::text::clean;

/// The result of the JSON-RPC call with this id, or why there is none. `cut` says why the body is not whole.
///
/// A JSON-RPC answer counts whatever the status; the status counts where there is none.
pub(crate) fn judge(status: StatusCode, body: &[u8], cut: Option<Cause>, id: &str) -> Result<Value, Cause> {
    match cut {
        Some(cut) if status.is_success() || is_busy(status) => return Err(cut),
        _ => {}
    }
    match envelope(body, status, id) {
        Envelope::Result(result) => Ok(result),
        Envelope::Error(error) => Err(Cause::Rpc(error)),
        Envelope::Foreign(problem) if is_busy(status) => Err(Cause::Protocol(status, problem)),
        Envelope::Foreign(problem) | Envelope::None(problem) if status.is_success() => {
            Err(Cause::Protocol(status, problem))
        }
        Envelope::Foreign(_) | Envelope::None(_) => Err(http_cause(status, body)),
    }
}

/// An HTTP status without a JSON-RPC answer, with the start of its text.
pub(crate) fn http_cause(status: StatusCode, body: &[u8]) -> Cause {
    let start = body.get(..body.len().min(2 * MAX_MESSAGE)).unwrap_or_default();
    Cause::Http(status, clean(&String::from_utf8_lossy(start), MAX_MESSAGE))
}

/// These promise that nothing ran, but only where they come from something in front of the agent:
/// what may be the agent's own JSON-RPC, unreadable or cut, must not be taken for that promise.
fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::classify::Class::{self, Ambiguous, Credentials, NotExecuted, Terminal};
    use crate::classify::class;

    fn judged(status: u16, body: &str, cut: bool) -> Class {
        let cut = cut.then(|| Cause::Lost("reset".to_owned()));
        class(&judge(StatusCode::from_u16(status).unwrap(), body.as_bytes(), cut, "1").unwrap_err())
    }

    #[test]
    fn a_busy_server_ran_nothing_unless_it_spoke_json_rpc() {
        let internal = r#"{"jsonrpc":"2.0","id":"1","error":{"code":-32603,"message":"boom"}}"#;
        let own = r#"{"jsonrpc":"2.0","id":"1","error":{"code":-32050,"message":"overloaded"}}"#;
        let foreign = r#"{"jsonrpc":"2.0","id":"2","error":{"code":-32050}}"#;
        let bare = r#"{"error":"busy"}"#;
        for (status, body, cut, expected) in [
            (503, "busy", false, NotExecuted),
            (503, "", false, NotExecuted),
            (503, bare, false, NotExecuted),
            (503, internal, false, Ambiguous),
            (503, own, false, Ambiguous),
            (503, foreign, false, Ambiguous),
            (503, "{\"jsonrpc\":", true, Ambiguous),
            (429, "slow down", false, NotExecuted),
            (429, own, false, NotExecuted),
            (429, internal, false, Ambiguous),
            (429, foreign, false, Ambiguous),
            (429, "slo", true, Ambiguous),
        ] {
            assert_eq!(judged(status, body, cut), expected, "{status} {body} {cut}");
        }
    }

    #[test]
    fn a_cut_body_does_not_hide_a_status_that_is_enough() {
        for (status, expected) in [(200, Ambiguous), (400, Terminal), (401, Credentials), (500, Ambiguous)] {
            assert_eq!(judged(status, "{\"jso", true), expected, "{status}");
        }
        let of_a_gateway = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"no token"}}"#;
        assert_eq!(judged(401, of_a_gateway, false), Credentials);
    }

    #[test]
    fn a_result_counts_whatever_the_status() {
        let body = json!({"jsonrpc": "2.0", "id": "1", "result": {"id": "t"}}).to_string();
        for status in [200, 202, 400, 500, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(judge(status, body.as_bytes(), None, "1"), Ok(json!({"id": "t"})));
        }
    }
}
