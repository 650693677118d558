//! Pods placed per second, for clusters and backlogs of several sizes: median and spread of some
//! passes over one snapshot. Run with `cargo bench -p skein-scheduler`.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::{sync::Arc, time::Instant};

use skein_scheduler::{Decision, NodeView, PodView, Resources, Snapshot, Strategy, schedule};

/// Passes per figure; odd, so that the median is one of them.
const PASSES: usize = 9;

fn main() {
    println!(
        "{:>6} {:>6} {:>8} {:>12} {:>12} {:>12}",
        "nodes", "pods", "placed", "min/s", "median/s", "max/s"
    );
    for (nodes, pods) in [(3, 100), (100, 1_000), (1_000, 1_000), (1_000, 5_000), (5_000, 1_000)] {
        let snapshot = Snapshot { nodes: (0..nodes).map(node).collect(), bound: Vec::new() };
        let pending: Vec<PodView> = (0..pods).map(pod).collect();
        let mut placed = 0;
        let mut rates: Vec<u128> = (0..PASSES)
            .map(|_| {
                let start = Instant::now();
                let decisions = schedule(&snapshot, &pending, Strategy::Spread);
                let elapsed = start.elapsed();
                let is_placed = |one: &&Decision| matches!(one, Decision::Place(_));
                placed = decisions.iter().filter(is_placed).count();
                pending.len() as u128 * 1_000_000_000 / elapsed.as_nanos().max(1)
            })
            .collect();
        rates.sort_unstable();
        let (least, median, most) = (rates[0], rates[PASSES / 2], rates[PASSES - 1]);
        println!("{nodes:>6} {pods:>6} {placed:>8} {least:>12} {median:>12} {most:>12}");
    }
}

fn node(index: usize) -> NodeView {
    NodeView {
        name: format!("node-{index}"),
        allocatable: Resources {
            cpu_milli: 16_000,
            memory_bytes: 64 << 30,
            ..Resources::default()
        },
        max_pods: 110,
        ..NodeView::default()
    }
}

/// Pods of fifty workloads.
fn pod(index: usize) -> PodView {
    PodView {
        requests: Arc::new(Resources {
            cpu_milli: 100,
            memory_bytes: 128 << 20,
            ..Resources::default()
        }),
        owner: Some(format!("workload-{}", index % 50).into()),
        ..PodView::default()
    }
}
