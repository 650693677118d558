//! `skein status --peers`: what every node believes of every other, and since when.

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    columns::{Cell, layout},
    status::age,
};
use crate::terminal::{Palette, Tone};

/// What `GET /skein/v1/peers` answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Peers {
    hosts: Vec<Host>,
}

/// What one node believes, or why it did not say.
#[derive(Debug, Deserialize)]
struct Host {
    name: String,
    #[serde(default)]
    beliefs: Vec<Belief>,
    #[serde(default)]
    error: Option<String>,
}

/// What is believed of one node.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Belief {
    name: String,
    state: String,
    since: Timestamp,
    #[serde(default)]
    phi: f64,
    #[serde(default)]
    last_heard_ms: Option<f64>,
    #[serde(default)]
    rtt_ms: Option<f64>,
    #[serde(default)]
    direct: Option<String>,
    #[serde(default)]
    indirect: Indirect,
}

/// How many of those asked to reach a node did.
#[derive(Debug, Default, Deserialize)]
struct Indirect {
    answered: u32,
    asked: u32,
}

/// Renders a line per node and observer, by node, then the nodes that did not answer.
pub(crate) fn render(peers: &Peers, now: Timestamp, palette: Palette) -> String {
    let mut lines: Vec<(&str, &str, Vec<Cell>)> = peers
        .hosts
        .iter()
        .flat_map(|host| host.beliefs.iter().map(move |belief| (host, belief)))
        .filter(|(host, belief)| host.name != belief.name)
        .map(|(host, belief)| {
            (belief.name.as_str(), host.name.as_str(), row(&host.name, belief, now))
        })
        .collect();
    lines.sort_by_key(|(about, by, _)| (*about, *by));
    let rows: Vec<Vec<Cell>> = lines.into_iter().map(|(_, _, row)| row).collect();
    let headings =
        ["NODE", "SEEN BY", "STATE", "SINCE", "HEARD", "RTT", "PROBE", "BY OTHERS", "PHI"];
    let mut text = layout(&headings, &rows, palette);
    for host in &peers.hosts {
        if let Some(error) = &host.error {
            text.push_str(&format!("{} does not say what it believes: {error}\n", host.name));
        }
    }
    text
}

fn row(observer: &str, belief: &Belief, now: Timestamp) -> Vec<Cell> {
    let tone = match belief.state.as_str() {
        "Alive" => Tone::Good,
        "Suspect" | "Flapping" => Tone::Warning,
        _ => Tone::Bad,
    };
    let millis = |time: Option<f64>| time.map_or_else(|| "-".to_owned(), duration);
    let indirect = match &belief.indirect {
        Indirect { asked: 0, .. } => "-".to_owned(),
        Indirect { answered, asked } => format!("{answered} of {asked}"),
    };
    vec![
        Cell::plain(&belief.name),
        Cell::plain(observer),
        Cell::new(belief.state.to_lowercase(), tone),
        Cell::plain(age(belief.since, now)),
        Cell::plain(millis(belief.last_heard_ms)),
        Cell::plain(millis(belief.rtt_ms)),
        Cell::plain(belief.direct.as_deref().unwrap_or("-").to_lowercase()),
        Cell::plain(indirect),
        Cell::plain(format!("{:.1}", belief.phi)),
    ]
}

/// Milliseconds with the precision that tells something.
fn duration(millis: f64) -> String {
    match millis {
        0.0..10.0 => format!("{millis:.1}ms"),
        10.0..10_000.0 => format!("{millis:.0}ms"),
        _ => format!("{:.0}s", millis / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_belief_has_a_line_and_a_silent_node_is_named() {
        let alive = |name: &str| {
            json!({
                "name": name, "state": "Alive", "since": "2026-01-01T00:00:00Z", "phi": 0.14,
                "lastHeardMs": 84.2, "rttMs": 0.41, "direct": "Answered",
                "indirect": {"answered": 0, "asked": 0},
            })
        };
        let dead = json!({
            "name": "h3", "state": "Dead", "since": "2026-01-01T02:59:30Z", "phi": 9.0,
            "lastHeardMs": 31_000.0, "rttMs": null, "direct": "Refused",
            "indirect": {"answered": 0, "asked": 3},
        });
        let peers: Peers = serde_json::from_value(json!({"hosts": [
            {"name": "h2", "beliefs": [alive("h1"), alive("h2"), dead.clone()]},
            {"name": "h1", "beliefs": [alive("h1"), alive("h2"), dead]},
            {"name": "h3", "error": "it is dead"},
        ]}))
        .unwrap();
        let now = "2026-01-01T03:00:00Z".parse().unwrap();
        insta::assert_snapshot!(render(&peers, now, Palette::PLAIN));
    }
}
