//! What an agent is sent directly: the same as a worker would send.

use a2a::Outgoing;
use daemon::TraceContext;
use http::HeaderMap;

use crate::dispatch::agents::Contact;
use crate::dispatch::record::Run;
use crate::incident::{Incident, STEP, context_id};

/// The first run of an incident.
pub(super) fn first_run(incident: &Incident, contact: &Contact) -> Run {
    let message_id = incident.message_id();
    Run {
        context_id: contact.profile.context.first(|| context_id(&message_id)),
        message_id,
        task_id: None,
        wire: contact.agent.wire(),
        agent: contact.name.to_string(),
        attempts: 1,
    }
}

/// The message. `doubtful`: it may make a second run.
pub(super) fn outgoing(incident: &Incident, run: &Run, doubtful: bool) -> Outgoing {
    let mut message = Outgoing::new(&run.message_id, incident.text.clone());
    message.context_id = Some(run.context_id.clone()).filter(|id| !id.is_empty());
    let notes = [
        ("workflow_id", incident.workflow_id.clone().into()),
        ("step", STEP.into()),
        ("fingerprint", incident.fingerprint.clone().into()),
        ("attempt", run.attempts.into()),
    ];
    let doubt = doubtful.then_some(("duplicate_possible", true.into()));
    message.metadata.extend(notes.into_iter().chain(doubt).map(|(name, value)| (name.to_owned(), value)));
    message
}

/// The producer's trace goes on at the agent.
pub(super) fn headers(incident: &Incident) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let state = Some(incident.tracestate.as_str()).filter(|state| !state.is_empty());
    if let Some(context) = TraceContext::parse(&incident.traceparent, state) {
        context.child().inject(&mut headers);
    }
    headers
}
