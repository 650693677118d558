//! Which host is broken or repaired next. Pure: the same numbers, the same choice.

use std::{collections::BTreeMap, fmt};

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

/// What has been done to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Nothing: it runs and is connected.
    Well,
    /// Its node was ended by `kill -9`.
    Killed,
    /// Its cable was pulled.
    Cut,
}

/// One step of a drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// `kill -9`.
    Kill(String),
    /// Pull the cable.
    Cut(String),
    /// Start the node again.
    Start(String),
    /// Plug the cable in again.
    Heal(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, host) = match self {
            Self::Kill(host) => ("kill", host),
            Self::Cut(host) => ("cut", host),
            Self::Start(host) => ("start", host),
            Self::Heal(host) => ("heal", host),
        };
        write!(f, "{verb} {host}")
    }
}

/// The hosts as the drill left them.
#[derive(Clone, Debug)]
pub(super) struct Hosts(BTreeMap<String, Condition>);

impl Hosts {
    pub(super) fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| (name.clone(), Condition::Well)).collect())
    }

    /// The next step: at most a minority is broken at a time, and every other fault is the
    /// leader's, if it is known.
    pub(super) fn next(&self, leader: Option<&str>, random: &mut StdRng) -> Step {
        let (well, broken): (Vec<&String>, Vec<&String>) =
            self.0.keys().partition(|host| self.0[*host] == Condition::Well);
        let may_break = broken.len() < (self.0.len() - 1) / 2;
        let repaired = broken.choose(random).copied();
        match repaired.filter(|_| !may_break || random.random_bool(0.5)) {
            Some(host) => self.repair(host),
            None => {
                let leader = leader.filter(|_| random.random_bool(0.5));
                let led = well.iter().copied().find(|host| leader == Some(host.as_str()));
                let victim = led.or_else(|| well.choose(random).copied()).cloned();
                let victim = victim.unwrap_or_default();
                if random.random_bool(0.5) { Step::Kill(victim) } else { Step::Cut(victim) }
            }
        }
    }

    fn repair(&self, host: &str) -> Step {
        match self.0[host] {
            Condition::Cut => Step::Heal(host.to_owned()),
            Condition::Killed | Condition::Well => Step::Start(host.to_owned()),
        }
    }

    /// What it takes to make every host well.
    pub(super) fn repairs(&self) -> Vec<Step> {
        let broken = self.0.iter().filter(|(_, condition)| **condition != Condition::Well);
        broken.map(|(host, _)| self.repair(host)).collect()
    }

    /// Notes that `step` was taken.
    pub(super) fn note(&mut self, step: &Step) {
        let (host, condition) = match step {
            Step::Kill(host) => (host, Condition::Killed),
            Step::Cut(host) => (host, Condition::Cut),
            Step::Start(host) | Step::Heal(host) => (host, Condition::Well),
        };
        self.0.insert(host.clone(), condition);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn walk(count: usize, seed: u64, steps: usize) -> (Vec<Step>, Vec<usize>) {
        let names: Vec<String> = (1..=count).map(|number| format!("h{number}")).collect();
        let (mut hosts, mut random) = (Hosts::new(&names), StdRng::seed_from_u64(seed));
        let (mut taken, mut broken) = (Vec::new(), Vec::new());
        for _ in 0..steps {
            let step = hosts.next(Some("h2"), &mut random);
            hosts.note(&step);
            taken.push(step);
            broken.push(hosts.repairs().len());
        }
        (taken, broken)
    }

    #[test]
    fn never_more_than_a_minority_is_broken() {
        for (count, most) in [(3, 1), (4, 1), (5, 2), (7, 3)] {
            let (_, broken) = walk(count, 7, 500);
            assert_eq!(broken.iter().max(), Some(&most), "{count} hosts");
            assert!(broken.contains(&0), "{count} hosts are all well at times");
        }
    }

    #[test]
    fn every_kind_of_step_is_taken_and_the_leader_hit_more_than_others() {
        let (taken, _) = walk(5, 11, 500);
        let count = |wanted: fn(&Step) -> bool| taken.iter().filter(|step| wanted(step)).count();
        assert!(count(|step| matches!(step, Step::Kill(_))) > 80);
        assert!(count(|step| matches!(step, Step::Cut(_))) > 80);
        assert!(
            count(|step| matches!(step, Step::Kill(host) | Step::Cut(host) if host == "h2")) > 80
        );
    }

    #[test]
    fn the_same_seed_takes_the_same_steps() {
        assert_eq!(walk(5, 3, 50).0, walk(5, 3, 50).0);
        assert_ne!(walk(5, 3, 50).0, walk(5, 4, 50).0);
    }

    #[test]
    fn a_broken_host_is_repaired_by_what_undoes_its_fault() {
        let mut hosts = Hosts::new(&["h1".to_owned(), "h2".to_owned()]);
        hosts.note(&Step::Kill("h1".into()));
        hosts.note(&Step::Cut("h2".into()));
        assert_eq!(hosts.repairs(), [Step::Start("h1".into()), Step::Heal("h2".into())]);
    }
}
