//! `skein status`: the cluster at a glance.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Deserialize;

use super::columns::{Cell, layout};
use crate::terminal::{Palette, Tone};

/// What `GET /skein/v1/status` answers, as far as it is shown.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterStatus {
    #[serde(default)]
    cluster_id: String,
    /// The leader's name.
    #[serde(default)]
    leader: Option<String>,
    #[serde(default)]
    term: u64,
    /// The life of the cluster the answering node is in; another after each recovery.
    #[serde(default)]
    epoch: Option<String>,
    #[serde(default)]
    quorum: bool,
    /// Voters that do not answer, where the quorum is lost.
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    warnings: Vec<String>,
    /// Every node the answering one knows.
    #[serde(default)]
    pub(crate) members: Vec<Member>,
}

impl ClusterStatus {
    /// Addresses to join through: living members, voters first, at most `count`.
    pub(crate) fn seeds(&self, count: usize) -> Vec<String> {
        let mut alive: Vec<&Member> = self
            .members
            .iter()
            .filter(|member| member.alive && !member.address.is_empty())
            .collect();
        alive.sort_by_key(|member| (!is_voter(member), member.name.clone()));
        alive.into_iter().take(count).map(|member| member.address.clone()).collect()
    }
}

/// A node of the cluster.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    #[serde(default)]
    address: String,
    /// Where it serves the API, `HOST:PORT`.
    #[serde(default)]
    pub(crate) api_address: Option<String>,
    #[serde(default)]
    alive: bool,
    #[serde(default)]
    role: String,
    /// Whether it only votes.
    #[serde(default)]
    witness: bool,
    #[serde(default)]
    version: String,
    #[serde(default)]
    since: Option<Timestamp>,
}

/// Renders the summary and a line per member, by name.
pub(crate) fn render(
    status: &ClusterStatus,
    answered_by: &str,
    now: Timestamp,
    palette: Palette,
) -> String {
    let mut text = String::new();
    let (leader, tone) = match &status.leader {
        Some(name) => (name.as_str(), Tone::Good),
        None => ("none", Tone::Bad),
    };
    let quorum = if status.quorum {
        palette.paint(Tone::Good, "yes")
    } else {
        palette
            .paint(Tone::Bad, "no: nothing can be changed until a majority of the voters is back")
    };
    let voters = status.members.iter().filter(|member| is_voter(member));
    let (alive, all) =
        voters.fold((0, 0), |(alive, all), member| (alive + usize::from(member.alive), all + 1));
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        writeln!(text, "{name:<9}{value}").ok();
    };
    line("Cluster", status.cluster_id.clone());
    line("Leader", format!("{} (term {})", palette.paint(tone, leader), status.term));
    if let Some(epoch) = &status.epoch {
        line("Epoch", epoch.clone());
    }
    line("Quorum", quorum);
    if !status.missing.is_empty() {
        line("Missing", palette.paint(Tone::Bad, &status.missing.join(", ")));
    }
    line("Voters", format!("{alive} of {all} alive"));
    line("Asked", answered_by.to_owned());
    for warning in &status.warnings {
        line("Warning", palette.paint(Tone::Warning, warning));
    }
    text.push('\n');

    let mut members: Vec<&Member> = status.members.iter().collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    let rows: Vec<Vec<Cell>> = members.into_iter().map(|member| row(member, now)).collect();
    text + &layout(&["NAME", "STATE", "SINCE", "ROLE", "ADDRESS", "API", "VERSION"], &rows, palette)
}

fn is_voter(member: &Member) -> bool {
    matches!(member.role.as_str(), "leader" | "voter")
}

fn row(member: &Member, now: Timestamp) -> Vec<Cell> {
    let (state, tone) = if member.alive { ("alive", Tone::Good) } else { ("dead", Tone::Bad) };
    let role_tone = if member.role == "leader" { Tone::Good } else { Tone::Plain };
    let role = match member.witness {
        true => format!("{} (witness)", member.role),
        false => member.role.clone(),
    };
    let or_dash = |text: &str| Cell::plain(if text.is_empty() { "-" } else { text });
    vec![
        Cell::plain(&member.name),
        Cell::new(state, tone),
        or_dash(&member.since.map(|since| age(since, now)).unwrap_or_default()),
        Cell::new(role, role_tone),
        or_dash(&member.address),
        or_dash(member.api_address.as_deref().unwrap_or_default()),
        or_dash(&member.version),
    ]
}

/// A duration in its two most telling units, as kubectl prints ages.
pub(crate) fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn member(name: &str, role: &str, alive: bool) -> serde_json::Value {
        json!({
            "name": name, "id": "17", "address": format!("{name}:7600"), "apiAddress": format!("{name}:6443"),
            "alive": alive, "role": role, "version": "0.1.0", "since": "2026-01-01T00:00:00Z",
        })
    }

    #[test]
    fn a_healthy_cluster_names_its_leader_and_members() {
        let status: ClusterStatus = serde_json::from_value(json!({
            "clusterId": "c0ffee", "leader": "h1", "term": 4, "quorum": true,
            "members": [member("h3", "voter", false), member("h1", "leader", true), member("h2", "voter", true)],
        }))
        .unwrap();
        insta::assert_snapshot!(render(&status, "h2", at("2026-01-01T03:00:00Z"), Palette::PLAIN));
    }

    #[test]
    fn without_quorum_it_says_what_that_means() {
        let status: ClusterStatus = serde_json::from_value(json!({
            "clusterId": "c0ffee", "leader": null, "term": 9, "epoch": "2", "quorum": false,
            "missing": ["h2", "h3"], "warnings": ["the quorum is lost: skein recover"],
            "members": [member("h1", "voter", true)],
        }))
        .unwrap();
        insta::assert_snapshot!(render(&status, "h1", at("2026-01-01T00:00:30Z"), Palette::PLAIN));
    }

    #[test]
    fn ages_keep_the_unit_that_tells_most() {
        let zero = at("2026-01-01T00:00:00Z");
        for (now, expected) in [
            ("2026-01-01T00:01:30Z", "90s"),
            ("2026-01-01T00:10:00Z", "10m"),
            ("2026-01-01T05:00:00Z", "5h"),
            ("2026-01-11T00:00:00Z", "10d"),
            ("2025-01-01T00:00:00Z", "0s"),
        ] {
            assert_eq!(age(zero, at(now)), expected);
        }
    }
}
