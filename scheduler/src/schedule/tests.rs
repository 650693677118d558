//! What the pass promises, as tables and properties.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{prelude::*, strategy::Strategy as Generate};

use super::*;
use crate::{
    Effect, HostPort, Match, Operator, Protocol, Requirement, Resources, Strategy, Taint, Term,
    Toleration,
};

const GIB: u64 = 1 << 30;

fn node(name: &str, cpu_milli: u64) -> NodeView {
    NodeView {
        name: name.into(),
        allocatable: Resources {
            cpu_milli,
            memory_bytes: 8 * GIB,
            ephemeral_storage_bytes: 100 * GIB,
            extended: BTreeMap::new(),
        },
        max_pods: 110,
        ..NodeView::default()
    }
}

fn tainted(name: &str, key: &str, effect: Effect) -> NodeView {
    let taint = Taint { key: key.into(), value: String::new(), effect };
    NodeView { taints: vec![taint], ..node(name, 1000) }
}

fn labelled(name: &str, key: &str, value: &str) -> NodeView {
    NodeView { labels: BTreeMap::from([(key.into(), value.into())]), ..node(name, 1000) }
}

fn pod(cpu_milli: u64) -> PodView {
    PodView {
        requests: Arc::new(Resources { cpu_milli, ..Resources::default() }),
        owner: Some("web".into()),
        ..PodView::default()
    }
}

fn bound(node: &str, owner: &str, cpu_milli: u64) -> BoundPod {
    BoundPod {
        node: node.into(),
        requests: Arc::new(Resources { cpu_milli, ..Resources::default() }),
        owner: Some(owner.into()),
        ..BoundPod::default()
    }
}

fn port(address: Option<&str>, port: u16) -> HostPort {
    HostPort {
        address: address.map(|address| address.parse().unwrap()),
        protocol: Protocol::Tcp,
        port,
    }
}

fn run(nodes: Vec<NodeView>, bound: Vec<BoundPod>, pending: &[PodView]) -> Vec<String> {
    run_with(nodes, bound, pending, Strategy::Spread)
}

fn run_with(
    nodes: Vec<NodeView>,
    bound: Vec<BoundPod>,
    pending: &[PodView],
    strategy: Strategy,
) -> Vec<String> {
    let snapshot = Snapshot { nodes, bound };
    schedule(&snapshot, pending, strategy)
        .into_iter()
        .map(|decision| match decision {
            Decision::Place(index) => snapshot.nodes[index].name.clone(),
            Decision::Refuse(why) => why.to_string(),
        })
        .collect()
}

#[test]
fn refusals_read_as_kubernetes_words_them() {
    let nodes = vec![
        tainted("a", "node.kubernetes.io/unreachable", Effect::NoExecute),
        node("b", 100),
        node("c", 100),
    ];
    assert_eq!(
        run(nodes, vec![], &[pod(500)]),
        ["0/3 nodes are available: 1 node(s) had untolerated taint \
          {node.kubernetes.io/unreachable: }, 2 Insufficient cpu."]
    );
    assert_eq!(run(vec![], vec![], &[pod(1)]), ["no nodes available to schedule pods"]);
}

#[test]
fn every_filter_names_itself() {
    let cordoned = NodeView { unschedulable: true, ..node("n", 1000) };
    let full = NodeView { max_pods: 0, ..node("n", 1000) };
    let selecting =
        PodView { node_selector: BTreeMap::from([("disk".into(), "ssd".into())]), ..pod(1) };
    let hungry = PodView {
        requests: Arc::new(Resources {
            cpu_milli: 5000,
            memory_bytes: 100 * GIB,
            ephemeral_storage_bytes: 1000 * GIB,
            extended: BTreeMap::from([("example.com/gpu".into(), 1)]),
        }),
        ..PodView::default()
    };
    let cases = [
        (cordoned, pod(1), "1 node(s) were unschedulable"),
        (full, pod(1), "1 Too many pods"),
        (node("n", 1000), selecting, "1 node(s) didn't match Pod's node affinity/selector"),
        (
            node("n", 1000),
            hungry,
            "1 Insufficient cpu, 1 Insufficient ephemeral-storage, \
             1 Insufficient example.com/gpu, 1 Insufficient memory",
        ),
    ];
    for (node, pod, reason) in cases {
        let expected = format!("0/1 nodes are available: {reason}.");
        assert_eq!(run(vec![node], vec![], &[pod]), [expected]);
    }
}

#[test]
fn host_ports_conflict_on_equal_or_wildcard_addresses() {
    let refused = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested \
                   pod ports.";
    let cases = [
        (port(None, 80), port(None, 80), false),
        (port(Some("10.0.0.1"), 80), port(None, 80), false),
        (port(Some("10.0.0.1"), 80), port(Some("10.0.0.2"), 80), true),
        (port(None, 80), port(None, 81), true),
    ];
    for (first, second, both_fit) in cases {
        let with = |port| PodView { host_ports: [port].into(), ..pod(1) };
        let placed = run(vec![node("n", 1000)], vec![], &[with(first), with(second)]);
        assert_eq!(placed, ["n", if both_fit { "n" } else { refused }]);
    }
}

#[test]
fn tolerated_taints_and_tolerated_cordons_do_not_refuse() {
    let everything = PodView {
        tolerations: vec![Toleration { key: None, value: Match::Exists, effect: None }],
        ..pod(1)
    };
    let cordoned = NodeView { unschedulable: true, ..tainted("n", "k", Effect::NoSchedule) };
    assert_eq!(run(vec![cordoned], vec![], &[everything]), ["n"]);
}

#[test]
fn prefer_no_schedule_is_a_last_resort() {
    let nodes = || vec![tainted("a", "k", Effect::PreferNoSchedule), node("b", 200)];
    for strategy in [Strategy::Spread, Strategy::Binpack, Strategy::Random { seed: 7 }] {
        let pods = [pod(100), pod(100), pod(100)];
        assert_eq!(run_with(nodes(), vec![], &pods, strategy), ["b", "b", "a"]);
    }
}

#[test]
fn required_affinity_matches_any_term_and_every_requirement_in_it() {
    let requirement = |key: &str, operator, values: &[&str]| Requirement {
        key: key.into(),
        operator,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let affine = |terms| PodView { required_terms: Some(terms), ..pod(1) };
    let zone_b = Term { labels: vec![requirement("zone", Operator::In, &["b"])], fields: vec![] };
    let by_name =
        Term { labels: vec![], fields: vec![requirement("metadata.name", Operator::In, &["n1"])] };
    let nodes = || vec![labelled("n1", "zone", "a"), labelled("n2", "zone", "b")];
    assert_eq!(run(nodes(), vec![], &[affine(vec![zone_b])]), ["n2"]);
    assert_eq!(run(nodes(), vec![], &[affine(vec![Term::default(), by_name])]), ["n1"]);
    let refused = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.";
    assert_eq!(run(nodes(), vec![], &[affine(vec![Term::default()])]), [refused]);
    assert_eq!(run(nodes(), vec![], &[affine(vec![])]), [refused]);
}

#[test]
fn spread_keeps_pods_of_one_owner_apart_before_it_looks_at_load() {
    let nodes = vec![node("a", 1000), node("b", 1000), node("c", 1000)];
    let there = vec![bound("c", "other", 900), bound("a", "web", 10)];
    assert_eq!(run(nodes, there, &[pod(10), pod(10), pod(10)]), ["b", "c", "a"]);
}

#[test]
fn spread_prefers_the_less_loaded_node_between_equals() {
    let nodes = vec![node("small", 500), node("large", 4000)];
    assert_eq!(run(nodes, vec![], &[pod(100)]), ["large"]);
}

#[test]
fn binpack_fills_a_node_before_it_opens_the_next() {
    let nodes = vec![node("a", 1000), node("b", 1000), node("c", 1000)];
    let pods = vec![pod(400); 5];
    let there = vec![bound("b", "other", 100)];
    assert_eq!(run_with(nodes, there, &pods, Strategy::Binpack), ["b", "b", "a", "a", "c"]);
}

#[test]
fn higher_priority_gets_the_last_place() {
    let pods = [pod(100), PodView { priority: 10, ..pod(100) }];
    let refused = "0/1 nodes are available: 1 Insufficient cpu.";
    assert_eq!(run(vec![node("n", 150)], vec![], &pods), [refused, "n"]);
}

#[test]
fn a_pod_that_asks_for_nothing_fits_an_overfull_node() {
    assert_eq!(run(vec![node("n", 100)], vec![bound("n", "x", 900)], &[pod(0)]), ["n"]);
}

fn any_strategy() -> impl Generate<Value = Strategy> {
    prop_oneof![
        Just(Strategy::Spread),
        Just(Strategy::Binpack),
        any::<u64>().prop_map(|seed| Strategy::Random { seed }),
    ]
}

fn any_pod() -> impl Generate<Value = PodView> {
    (0u64..800, 0u64..4, prop::option::of(8000u16..8003), 0i32..2, 0u8..3).prop_map(
        |(cpu_milli, gib, port_number, priority, owner)| PodView {
            requests: Arc::new(Resources {
                cpu_milli,
                memory_bytes: gib * GIB,
                ..Resources::default()
            }),
            host_ports: port_number.map(|number| port(None, number)).into_iter().collect(),
            priority,
            owner: Some(owner.to_string().into()),
            ..PodView::default()
        },
    )
}

fn any_snapshot() -> impl Generate<Value = Snapshot> {
    prop::collection::vec((0u64..2000, 0u64..6, any::<bool>()), 0..6).prop_map(|nodes| Snapshot {
        nodes: nodes
            .into_iter()
            .enumerate()
            .map(|(index, (cpu, max_pods, unschedulable))| NodeView {
                max_pods,
                unschedulable,
                ..node(&index.to_string(), cpu)
            })
            .collect(),
        bound: vec![bound("0", "0", 100)],
    })
}

proptest! {
    #[test]
    fn no_node_is_ever_over_committed(
        snapshot in any_snapshot(),
        pods in prop::collection::vec(any_pod(), 0..20),
        strategy in any_strategy(),
    ) {
        let decisions = schedule(&snapshot, &pods, strategy);
        for (index, node) in snapshot.nodes.iter().enumerate() {
            let here: Vec<&PodView> = pods.iter().zip(&decisions)
                .filter(|(_, decision)| **decision == Decision::Place(index))
                .map(|(pod, _)| pod)
                .collect();
            let before = snapshot.bound.iter().filter(|bound| *bound.node == *node.name);
            let cpu_before: u64 = before.clone().map(|bound| bound.requests.cpu_milli).sum();
            let cpu: u64 = here.iter().map(|pod| pod.requests.cpu_milli).sum();
            let memory: u64 = here.iter().map(|pod| pod.requests.memory_bytes).sum();
            prop_assert!(cpu == 0 || cpu + cpu_before <= node.allocatable.cpu_milli);
            prop_assert!(memory <= node.allocatable.memory_bytes);
            prop_assert!(here.is_empty() || (here.len() + before.count()) as u64 <= node.max_pods);
            prop_assert!(here.is_empty() || !node.unschedulable);
            let mut ports: Vec<u16> =
                here.iter().flat_map(|pod| pod.host_ports.iter()).map(|port| port.port).collect();
            let all = ports.len();
            ports.sort_unstable();
            ports.dedup();
            prop_assert_eq!(ports.len(), all);
        }
    }

    #[test]
    fn equal_input_gives_equal_output(
        snapshot in any_snapshot(),
        pods in prop::collection::vec(any_pod(), 0..20),
        strategy in any_strategy(),
    ) {
        prop_assert_eq!(
            schedule(&snapshot, &pods, strategy),
            schedule(&snapshot, &pods, strategy)
        );
    }

    /// Everything placed before a refusal takes its share, so what is refused must not even fit
    /// beside those pods alone that went before it.
    #[test]
    fn a_pod_is_refused_only_where_it_does_not_fit(
        snapshot in any_snapshot(),
        pods in prop::collection::vec(any_pod(), 1..12),
        strategy in any_strategy(),
    ) {
        let decisions = schedule(&snapshot, &pods, strategy);
        let mut after = snapshot.clone();
        for (pod, decision) in pods.iter().zip(&decisions) {
            if let Decision::Place(index) = decision {
                after.bound.push(BoundPod {
                    node: snapshot.nodes[*index].name.as_str().into(),
                    requests: pod.requests.clone(),
                    host_ports: pod.host_ports.clone(),
                    owner: pod.owner.clone(),
                });
            }
        }
        for (pod, decision) in pods.iter().zip(&decisions) {
            if let Decision::Refuse(why) = decision {
                prop_assert_eq!(why.nodes, snapshot.nodes.len());
                let again = schedule(&after, std::slice::from_ref(pod), strategy);
                prop_assert!(matches!(&again[0], Decision::Refuse(_)));
            }
        }
    }
}
