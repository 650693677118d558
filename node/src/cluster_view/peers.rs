//! What every node believes of every other: each is asked, all at once.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use skein_net::{Belief, Membership, NodeId, Protocol};

use crate::{
    core::timestamp,
    hosts::{BELIEFS, Hosts},
};

/// How long a node may take to say what it believes.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);

/// Nodes asked at once.
const ASKED_AT_ONCE: usize = 64;

/// The beliefs of every known node, as `GET /skein/v1/peers` gives them.
pub(super) async fn beliefs(hosts: &Hosts, membership: &Membership) -> Value {
    // Gossip remembers nodes for a while that have been removed.
    let known = &hosts.liveness.verdicts();
    let mut members = membership.members().borrow().to_vec();
    members.retain(|member| known.contains_key(&member.id));
    let asked = members.into_iter().map(|member| async move {
        let beliefs = if member.name == hosts.node_name {
            Ok(membership.beliefs())
        } else if member.alive {
            ask(hosts, member.id).await
        } else {
            Err("it is dead".to_owned())
        };
        match beliefs {
            Ok(beliefs) => {
                let beliefs = beliefs.iter().filter(|belief| known.contains_key(&belief.id));
                let beliefs: Vec<Value> = beliefs.map(describe).collect();
                json!({"name": member.name, "beliefs": beliefs})
            }
            Err(error) => json!({"name": member.name, "error": error}),
        }
    });
    let mut answers: Vec<Value> =
        stream::iter(asked).buffer_unordered(ASKED_AT_ONCE).collect().await;
    answers.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    json!({"hosts": answers})
}

async fn ask(hosts: &Hosts, id: NodeId) -> Result<Vec<Belief>, String> {
    let question = Bytes::from_static(BELIEFS);
    let answer = hosts.transport.request(id, Protocol::Proxy, question, ANSWER_DEADLINE).await;
    let answer = answer.map_err(|error| error.to_string())?;
    serde_json::from_slice(&answer).map_err(|error| format!("its answer is unusable: {error}"))
}

fn describe(belief: &Belief) -> Value {
    let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1_000.0);
    json!({
        "name": belief.name,
        "id": belief.id.to_string(),
        "address": belief.addr.to_string(),
        "state": belief.state,
        "since": timestamp(belief.since).to_string(),
        "phi": belief.phi,
        "lastHeardMs": millis(belief.last_heard),
        "rttMs": millis(belief.rtt),
        "direct": belief.direct,
        "indirect": {"answered": belief.indirect.0, "asked": belief.indirect.1},
    })
}
