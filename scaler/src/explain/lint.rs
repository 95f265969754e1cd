//! What is odd about a whole object, whatever the numbers are (pure). Behaviour of KEDA 2.18 and later.

use super::finding::Findings;
use super::keda::Behavior;
use super::manifest::{Fallback, Kind, Object};

/// An outage that is shorter than a poll is not seen; a longer interval makes everything slow.
const SLOW_POLLING: u64 = 60;

/// Looks at everything but the triggers. `current`: replicas that there are, where that is known.
pub(super) fn object(object: &Object, current: Option<u64>, findings: &mut Findings) {
    replicas(object, findings);
    if object.kind.is_job() {
        job(object, findings);
    } else {
        times(object, findings);
        fallback(object, current, findings);
    }
    if object.formula {
        let text = "the formula is not computed here: what is said is what the triggers alone would do";
        findings.note("spec.advanced.scalingModifiers", text);
    }
}

fn replicas(object: &Object, findings: &mut Findings) {
    let Object { min, max, idle, .. } = *object;
    if min > max {
        findings.error("spec.minReplicaCount", format!("is {min}, more than maxReplicaCount, which is {max}"));
    }
    let Some(idle) = idle else { return };
    let field = "spec.idleReplicaCount";
    if idle >= min {
        findings.error(field, format!("is {idle}; it must be less than minReplicaCount, which is {min}"));
    } else if idle != 0 {
        findings.warning(field, "the autoscaler does not let any number but 0 work (kedacore/keda#2314)");
    }
}

fn times(object: &Object, findings: &mut Findings) {
    if object.polling > SLOW_POLLING {
        let text = format!(
            "is {} s: a trigger of type external is seen that late from zero, and the end of the work that late too",
            object.polling
        );
        findings.warning("spec.pollingInterval", text);
    }
    if !object.goes_to_zero() {
        let text = format!("{} replicas stay whatever there is to do; cooldownPeriod has no effect", object.min);
        findings.note("spec.minReplicaCount", text);
    } else if object.cooldown < object.polling {
        let text = format!(
            "is {} s, shorter than pollingInterval, which is {} s: one quiet poll scales to zero",
            object.cooldown, object.polling
        );
        findings.warning("spec.cooldownPeriod", text);
    }
}

fn fallback(object: &Object, current: Option<u64>, findings: &mut Findings) {
    let field = "spec.fallback";
    let Some(Fallback { threshold, replicas, behavior }) = object.fallback else {
        // A wrong one has been noted; one by a formula is none here.
        if findings.0.iter().all(|finding| !finding.field.starts_with(field)) && !object.formula {
            let text = "is missing: while Redis cannot be read, KEDA keeps the replicas that there are, and starts none \
                        from zero. Add failureThreshold: 4, replicas: 1, behavior: currentReplicasIfHigher";
            findings.warning(field, text);
        }
        return;
    };
    let advice = "say behavior: currentReplicasIfHigher";
    if replicas == 0 && object.goes_to_zero() {
        let text = "with 0, whatever the behavior, an error holds nothing: to zero after the cooldown while Redis cannot be \
                    read, also what is at work. Say 1";
        findings.warning("spec.fallback.replicas", text);
    } else if behavior == Behavior::Static {
        let text = match current {
            Some(current) if current > replicas => format!(
                "is static: {replicas} instead of the {current} that there are, so busy workers are stopped while Redis \
                 cannot be read; {advice}"
            ),
            _ => format!(
                "is static: where more than {replicas} are at work, busy ones are stopped while Redis cannot be read; \
                 {advice}"
            ),
        };
        findings.warning("spec.fallback.behavior", text);
    } else if behavior == Behavior::CurrentIfLower {
        let text = format!("stops busy workers above {replicas} while Redis cannot be read; {advice}");
        findings.warning("spec.fallback.behavior", text);
    }
    if replicas > object.max {
        let text = format!("is {replicas}, more than maxReplicaCount, which is {}", object.max);
        findings.warning("spec.fallback.replicas", text);
    }
    if threshold == 0 {
        let text = "is 0: the first failed poll already uses the fallback; a failover of Redis takes seconds";
        findings.note("spec.fallback.failureThreshold", text);
    }
}

fn job(object: &Object, findings: &mut Findings) {
    if object.fallback.is_some() {
        let text = "has no effect on a ScaledJob: on errors KEDA creates no jobs";
        findings.warning("spec.fallback", text);
    }
    if object.min > 0 {
        let text = format!("at least {} jobs are kept running; that is not computed here", object.min);
        findings.note("spec.minReplicaCount", text);
    }
    if object.kind == Kind::ScaledObject || object.polling <= SLOW_POLLING {
        return;
    }
    let text = format!("is {} s: new work waits that long, since nothing is pushed to a ScaledJob", object.polling);
    findings.warning("spec.pollingInterval", text);
}
