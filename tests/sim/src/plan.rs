//! What goes wrong and when: data, drawn from the seed before anything runs, and printed with a
//! failure. Faults that need a victim that is only known then name it by its role.

use std::fmt;

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::wire::Weather;

/// Whom a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// Whoever leads then.
    Leader,
    /// This host.
    Host(u64),
}

/// One fault, or the end of some.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The process dies after so many more effects; if `power` fails, unsynced writes are lost and
    /// containers end with it.
    Crash { victim: Victim, after_effects: u32, power: bool },
    /// SIGTERM.
    Stop(Victim),
    /// Every host that is down starts.
    StartAll,
    /// Nothing passes between the two, or from the first to the second only.
    Cut { victim: Victim, peer: u64, one_way: bool },
    /// Nothing passes between these hosts and the others.
    Split(Vec<u64>),
    /// How messages travel from now on.
    Weather(Weather),
    /// Every path is whole again.
    Mend,
    /// The process stands still for a while.
    Stall { victim: Victim, ms: u64 },
    /// The wall clock jumps to be off by so much.
    Clock { victim: Victim, off_by_ms: i64 },
    /// The disk is full, or no longer.
    DiskFull { victim: Victim, full: bool },
    /// So many of a thousand writes and syncs fail.
    DiskErrors { victim: Victim, of_a_thousand: u32 },
    /// A sync takes so long.
    DiskSlow { victim: Victim, ms: u64 },
}

/// The faults of one run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Hosts of the cluster, numbered from one.
    pub(crate) hosts: u64,
    /// Each fault and how long after the cluster has formed it comes, in order.
    pub(crate) faults: Vec<(u64, Fault)>,
    /// When everything is healed.
    pub(crate) heals_at_ms: u64,
}

impl Plan {
    /// The plan of `seed`, whose faults come within `chaos_ms`.
    pub(crate) fn draw(seed: u64, chaos_ms: u64) -> Self {
        let mut luck = StdRng::seed_from_u64(seed ^ 0x706c_616e);
        let hosts = *choose(&mut luck, &[3, 3, 3, 4, 5]);
        // Some runs are stormy, some calm with a fault now and then.
        let longest_pause = *choose(&mut luck, &[800, 2_000, 5_000]);
        let (mut faults, mut at) = (Vec::new(), 0);
        loop {
            at += luck.random_range(50..longest_pause);
            if at >= chaos_ms {
                return Self { hosts, faults, heals_at_ms: chaos_ms };
            }
            faults.push((at, draw(&mut luck, hosts)));
        }
    }
}

fn choose<'a, T>(luck: &mut StdRng, choices: &'a [T]) -> &'a T {
    &choices[luck.random_range(0..choices.len())]
}

fn draw(luck: &mut StdRng, hosts: u64) -> Fault {
    let victim = match luck.random_range(0..3) {
        0 => Victim::Leader,
        _ => Victim::Host(luck.random_range(1..=hosts)),
    };
    match luck.random_range(0..29) {
        0..=5 => {
            // Soon enough to fall into the middle of something.
            let after_effects = *choose(luck, &[0, 1, 2, 3, 5, 8, 13, 40]);
            Fault::Crash { victim, after_effects, power: luck.random() }
        }
        6 => Fault::Stop(victim),
        7..=11 => Fault::StartAll,
        12 | 13 => {
            let peer = luck.random_range(1..=hosts);
            Fault::Cut { victim, peer, one_way: luck.random() }
        }
        14 | 15 => {
            let side = (1..=hosts).filter(|_| luck.random()).collect();
            Fault::Split(side)
        }
        16 | 17 => Fault::Weather(weather(luck)),
        18..=20 => Fault::Mend,
        21 | 22 => Fault::Stall { victim, ms: luck.random_range(100..3_000) },
        23 => {
            let off_by_ms = luck.random_range(-600_000..600_000);
            Fault::Clock { victim, off_by_ms }
        }
        24 => Fault::DiskFull { victim, full: true },
        25 => Fault::DiskFull { victim, full: false },
        26 => Fault::DiskErrors { victim, of_a_thousand: *choose(luck, &[0, 1, 20, 500]) },
        _ => Fault::DiskSlow { victim, ms: *choose(luck, &[0, 1, 5, 30, 400]) },
    }
}

fn weather(luck: &mut StdRng) -> Weather {
    let min_ms = luck.random_range(1..5);
    Weather {
        min_ms,
        max_ms: min_ms + luck.random_range(0..30),
        lost: *choose(luck, &[0, 10, 50, 200]),
        doubled: *choose(luck, &[0, 50, 200]),
        late: *choose(luck, &[0, 10, 50]),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} hosts, healed after {} ms", self.hosts, self.heals_at_ms)?;
        self.faults.iter().try_for_each(|(at, fault)| writeln!(f, "{at:>8} ms  {fault:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_follows_from_its_seed() {
        assert_eq!(Plan::draw(7, 10_000).faults, Plan::draw(7, 10_000).faults);
        assert_ne!(Plan::draw(7, 10_000).faults, Plan::draw(8, 10_000).faults);
    }

    #[test]
    fn every_kind_of_fault_is_drawn() {
        let all: Vec<String> = (0..50)
            .flat_map(|seed| Plan::draw(seed, 20_000).faults)
            .map(|(_, fault)| format!("{fault:?}"))
            .collect();
        for kind in [
            "Crash",
            "Stop",
            "StartAll",
            "Cut",
            "Split",
            "Weather",
            "Mend",
            "Stall",
            "Clock",
            "DiskFull",
            "DiskErrors",
            "DiskSlow",
        ] {
            assert!(all.iter().any(|fault| fault.starts_with(kind)), "{kind}");
        }
    }
}
