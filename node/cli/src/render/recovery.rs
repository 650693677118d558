//! `skein recover`: what is left of a cluster, and what would become of it.

use serde::Deserialize;

use super::columns::{Cell, layout};
use crate::terminal::{Palette, Tone};

/// What `GET /skein/v1/recovery` answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Recovery {
    replicas: Vec<Replica>,
    /// What can be done.
    #[serde(default)]
    pub(crate) plan: Option<Plan>,
    /// Why nothing can or need be done.
    #[serde(default)]
    pub(crate) refusal: Option<String>,
}

/// What one replica says of itself, or why it does not.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Replica {
    name: String,
    #[serde(default)]
    epoch: String,
    #[serde(default)]
    last_log_term: u64,
    #[serde(default)]
    last_log_index: u64,
    #[serde(default)]
    applied: u64,
    #[serde(default)]
    leader: Option<String>,
    /// The later epoch that went on without it.
    #[serde(default)]
    outdated: Option<String>,
    /// What keeps it from working.
    #[serde(default)]
    failure: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

/// What would be done.
#[derive(Debug, Deserialize)]
pub(crate) struct Plan {
    /// The replica the cluster goes on from.
    pub(crate) lead: String,
    #[serde(default)]
    follow: Vec<String>,
    #[serde(default)]
    missing: Vec<String>,
    /// The epoch that begins.
    pub(crate) epoch: String,
}

/// Renders the replicas, the one that is chosen, and what may be lost with the others.
pub(crate) fn render(recovery: &Recovery, palette: Palette) -> String {
    let lead = recovery.plan.as_ref().map(|plan| plan.lead.as_str());
    let rows: Vec<Vec<Cell>> = recovery.replicas.iter().map(|replica| row(replica, lead)).collect();
    let headings = ["NODE", "EPOCH", "LAST TERM", "LAST INDEX", "APPLIED", "LEADER", ""];
    let mut text = layout(&headings, &rows, palette);
    if let Some(plan) = &recovery.plan {
        text.push('\n');
        text.push_str(&consequences(plan));
    }
    text
}

fn row(replica: &Replica, lead: Option<&str>) -> Vec<Cell> {
    if let Some(error) = &replica.error {
        let mut row = vec![Cell::plain(&replica.name)];
        row.extend((0..5).map(|_| Cell::plain("-")));
        row.push(Cell::new(error, Tone::Bad));
        return row;
    }
    let remark = match replica {
        _ if lead == Some(replica.name.as_str()) => Cell::new("the freshest", Tone::Good),
        Replica { failure: Some(failure), .. } => Cell::new(failure, Tone::Bad),
        Replica { outdated: Some(epoch), .. } => {
            Cell::new(format!("left behind by epoch {epoch}"), Tone::Warning)
        }
        _ => Cell::plain(""),
    };
    vec![
        Cell::plain(&replica.name),
        Cell::plain(&replica.epoch),
        Cell::plain(replica.last_log_term.to_string()),
        Cell::plain(replica.last_log_index.to_string()),
        Cell::plain(replica.applied.to_string()),
        Cell::plain(replica.leader.as_deref().unwrap_or("none")),
        remark,
    ]
}

fn consequences(plan: &Plan) -> String {
    let mut text = format!(
        "The cluster goes on from {} alone, in epoch {}; a host that joins brings the next vote.\n",
        plan.lead, plan.epoch
    );
    if !plan.follow.is_empty() {
        text += &format!("{} start anew from it.\n", plan.follow.join(", "));
    }
    if !plan.missing.is_empty() {
        text += &format!(
            "Lost are the changes that only {} had: those acknowledged since {} was last heard by \
             them. When they come back they are turned away until `skein rejoin` is run there; \
             their containers run on.\n",
            plan.missing.join(", "),
            plan.lead
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_freshest_replica_is_marked_and_the_price_is_told() {
        let recovery: Recovery = serde_json::from_value(json!({
            "replicas": [
                {"name": "h1", "error": "it does not answer"},
                {"name": "h2", "error": "it does not answer"},
                {"name": "h3", "epoch": "1", "lastLogTerm": 4, "lastLogIndex": 812, "applied": 811,
                 "leader": null},
                {"name": "h4", "epoch": "1", "lastLogTerm": 4, "lastLogIndex": 800, "applied": 800,
                 "leader": null},
            ],
            "plan": {"lead": "h3", "follow": ["h4"], "missing": ["h1", "h2"], "epoch": "2"},
        }))
        .unwrap();
        insta::assert_snapshot!(render(&recovery, Palette::PLAIN));
    }

    #[test]
    fn a_replica_that_cannot_lead_says_why() {
        let recovery: Recovery = serde_json::from_value(json!({
            "replicas": [
                {"name": "h1", "epoch": "1", "outdated": "2", "failure": null},
                {"name": "h2", "epoch": "1", "failure": "the disk is full"},
            ],
            "refusal": "no replica can be recovered",
        }))
        .unwrap();
        let text = render(&recovery, Palette::PLAIN);
        assert!(text.contains("left behind by epoch 2") && text.contains("the disk is full"));
    }
}
