//! How far a Deployment's rollout is, by its status. Pure.

use serde_json::Value;

/// The state of a rollout, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The newest version runs, and nothing else does.
    Complete(String),
    /// Not yet.
    Waiting(String),
    /// It will not come to an end by itself.
    Failed(String),
}

/// Judges the object as kubectl does: first whether its newest state was seen at all.
pub(super) fn progress(deployment: &Value) -> Progress {
    let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    let updated = number("/status/updatedReplicas");
    let available = number("/status/availableReplicas");
    let old = number("/status/replicas").saturating_sub(updated);
    if number("/status/observedGeneration") < number("/metadata/generation") {
        return Progress::Waiting("waiting for the change to be taken up".into());
    }
    if let Some(message) = deadline_exceeded(deployment) {
        return Progress::Failed(format!("its rollout does not get on: {message}"));
    }
    if updated < wanted {
        Progress::Waiting(format!("{updated} of {wanted} replicas are of the new version"))
    } else if old > 0 {
        Progress::Waiting(format!("{old} replicas of an older version are still to end"))
    } else if available < updated {
        Progress::Waiting(format!("{available} of {updated} new replicas are available"))
    } else {
        Progress::Complete("rolled out".into())
    }
}

fn deadline_exceeded(deployment: &Value) -> Option<&str> {
    let conditions = deployment.pointer("/status/conditions")?.as_array()?;
    let progressing = conditions.iter().find(|condition| condition["type"] == "Progressing")?;
    (progressing["reason"] == "ProgressDeadlineExceeded")
        .then(|| progressing["message"].as_str().unwrap_or("the deadline has passed"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(observed: u64, total: u64, updated: u64, available: u64) -> Value {
        json!({
            "metadata": {"generation": 2}, "spec": {"replicas": 3},
            "status": {"observedGeneration": observed, "replicas": total, "updatedReplicas": updated, "availableReplicas": available},
        })
    }

    #[test]
    fn a_rollout_goes_through_its_stages() {
        let waiting = |text: &str| Progress::Waiting(text.into());
        let table = [
            (deployment(1, 3, 3, 3), waiting("waiting for the change to be taken up")),
            (deployment(2, 4, 1, 3), waiting("1 of 3 replicas are of the new version")),
            (deployment(2, 4, 3, 3), waiting("1 replicas of an older version are still to end")),
            (deployment(2, 3, 3, 2), waiting("2 of 3 new replicas are available")),
            (deployment(2, 3, 3, 3), Progress::Complete("rolled out".into())),
        ];
        for (object, expected) in table {
            assert_eq!(progress(&object), expected, "{object}");
        }
    }

    #[test]
    fn a_missed_deadline_is_a_failure() {
        let mut object = deployment(2, 4, 1, 3);
        object["status"]["conditions"] = json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "no progress for 600 s"}]);
        assert_eq!(
            progress(&object),
            Progress::Failed("its rollout does not get on: no progress for 600 s".into())
        );
    }
}
