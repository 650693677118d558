//! What the node's object says, as tables.

use jiff::{SignedDuration, Timestamp};
use skein_runtime::RuntimeVersion;

use super::*;
use crate::AgentConfig;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn docker() -> RuntimeVersion {
    RuntimeVersion {
        name: "docker".into(),
        version: "20.10".into(),
        cpus: 2,
        memory_bytes: 4 << 30,
        ..RuntimeVersion::default()
    }
}

fn config() -> AgentConfig {
    AgentConfig::new("h1", "10.77.0.1".parse().expect("an address"), "/nowhere".into())
}

fn seen(before: &Node, health: Health, network: NetworkHealth, now: i64) -> Node {
    let (config, machine) = (config(), MachineIds::default());
    with_facts(before, &Facts { config: &config, machine: &machine, health, network, now: at(now) })
}

#[test]
fn readiness_needs_the_runtime_and_a_range() {
    let ill = |last| Health::Ill { message: "no socket".into(), last };
    let simulated = RuntimeVersion { name: "simulated".into(), ..RuntimeVersion::default() };
    let cases = [
        (Health::Unknown, NetworkHealth::Well, "False", "RuntimeNotReady"),
        (ill(None), NetworkHealth::Well, "False", "DockerNotReady"),
        (ill(Some(docker())), NetworkHealth::Well, "False", "DockerNotReady"),
        (ill(Some(simulated)), NetworkHealth::Well, "False", "RuntimeNotReady"),
        (Health::Well(docker()), NetworkHealth::NoRange, "False", "NetworkNotReady"),
        (Health::Well(docker()), NetworkHealth::Ill("no".into()), "False", "NetworkNotReady"),
        (Health::Well(docker()), NetworkHealth::Well, "True", "AgentReady"),
    ];
    for (health, network, status, reason) in cases {
        let node = seen(&Node::default(), health, network, 1);
        let ready = ready(&node).expect("a condition");
        assert_eq!((ready.status.as_str(), ready.reason.as_deref()), (status, Some(reason)));
    }
}

#[test]
fn nothing_changes_while_nothing_changed() {
    let well = || Health::Well(docker());
    let first = seen(&Node::default(), well(), NetworkHealth::Well, 1);
    assert_eq!(seen(&first, well(), NetworkHealth::Well, 500), first);
    let capacity = first.status.and_then(|status| status.capacity).expect("capacity");
    assert_eq!(capacity["memory"].0, "4194304Ki");
    assert_eq!(capacity["pods"].0, "110");
}

#[test]
fn what_the_runtime_told_of_the_host_stays_while_it_is_down() {
    let well = seen(&Node::default(), Health::Well(docker()), NetworkHealth::Well, 1);
    let ill = Health::Ill { message: "stopped".into(), last: None };
    let ill = seen(&well, ill, NetworkHealth::Well, 9);
    let capacity = |node: &Node| node.status.as_ref().and_then(|status| status.capacity.clone());
    assert_eq!(capacity(&ill), capacity(&well));
    let transition = ready(&ill).and_then(|ready| ready.last_transition_time.clone());
    assert_eq!(transition.map(|time| time.0), Some(at(9)));
}

#[test]
fn labels_of_others_stay() {
    let mut node = Node::default();
    node.metadata.labels = Some([("theirs".to_owned(), "1".to_owned())].into());
    let node = with_labels(&node, &config());
    let labels = node.metadata.labels.expect("labels");
    assert_eq!(labels["theirs"], "1");
    assert_eq!(labels["kubernetes.io/hostname"], "h1");
    assert_eq!(labels["kubernetes.io/os"], "linux");
}

#[test]
fn labels_no_longer_configured_go() {
    let with = |node: &Node, labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        with_labels(node, &AgentConfig { labels, ..config() })
    };
    let mut node = Node::default();
    node.metadata.labels = Some([("theirs".to_owned(), "1".to_owned())].into());
    let plain = with(&node, &[]);
    assert_eq!(plain.metadata.annotations, None);
    let both = with(&plain, &[("zone", "a"), ("kubernetes.io/os", "other")]);
    assert_eq!(with(&both, &[("zone", "a"), ("kubernetes.io/os", "other")]), both);
    let one = with(&both, &[("zone", "b")]);
    let labels = one.metadata.labels.clone().expect("labels");
    assert_eq!((labels["zone"].as_str(), labels["kubernetes.io/os"].as_str()), ("b", "linux"));
    assert_eq!(with(&one, &[]), plain);
}
