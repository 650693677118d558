//! Flap damping: a node that dies and comes back again and again is held dead for a while, each
//! time for longer, so that nobody moves work to it and away again.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::limits::{
    FIRST_FLAP_HOLD, FLAP_FORGIVEN, FLAP_WINDOW, FREE_DEATHS, MAX_FLAP_HOLD, MAX_FLAP_LEVEL,
};

/// The latest deaths of one node.
#[derive(Clone, Debug, Default)]
pub(super) struct Flaps {
    deaths: VecDeque<Instant>,
    /// How often it was held, less what has been forgiven since.
    level: u32,
    changed: Option<Instant>,
}

impl Flaps {
    pub(super) fn died(&mut self, now: Instant) {
        self.deaths.push_back(now);
        if self.deaths.len() > FREE_DEATHS + 1 {
            self.deaths.pop_front();
        }
    }

    /// The node is back. For how long it is held dead nevertheless.
    pub(super) fn returned(&mut self, now: Instant) -> Option<Duration> {
        self.forgive(now);
        self.deaths.retain(|death| now.saturating_duration_since(*death) < FLAP_WINDOW);
        if self.deaths.len() <= FREE_DEATHS {
            return None;
        }
        let hold = (FIRST_FLAP_HOLD * 2u32.pow(self.level)).min(MAX_FLAP_HOLD);
        self.level = (self.level + 1).min(MAX_FLAP_LEVEL);
        self.changed = Some(now);
        Some(hold)
    }

    /// Every while without another hold takes one level back.
    fn forgive(&mut self, now: Instant) {
        while let Some(changed) = self.changed
            && self.level > 0
            && now.saturating_duration_since(changed) >= FLAP_FORGIVEN
        {
            self.level -= 1;
            self.changed = Some(changed + FLAP_FORGIVEN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dies and returns every `seconds`; gives the holds in seconds.
    fn flap(flaps: &mut Flaps, now: &mut Instant, seconds: u64, times: usize) -> Vec<u64> {
        let mut hold = || {
            *now += Duration::from_secs(seconds);
            flaps.died(*now);
            flaps.returned(*now).map_or(0, |hold| hold.as_secs())
        };
        (0..times).map(|_| hold()).collect()
    }

    #[test]
    fn a_flapping_node_is_held_for_longer_each_time_up_to_a_limit() {
        let (mut flaps, mut now) = (Flaps::default(), Instant::now());
        let holds = flap(&mut flaps, &mut now, 5, 11);
        assert_eq!(holds, [0, 0, 0, 0, 5, 10, 20, 40, 60, 60, 60]);
    }

    #[test]
    fn a_node_that_dies_now_and_then_is_never_held() {
        let (mut flaps, mut now) = (Flaps::default(), Instant::now());
        assert_eq!(flap(&mut flaps, &mut now, 16, 50), [0; 50]);
    }

    #[test]
    fn calm_is_rewarded_step_by_step() {
        let (mut flaps, mut now) = (Flaps::default(), Instant::now());
        assert_eq!(flap(&mut flaps, &mut now, 5, 7)[6], 20);
        now += 2 * FLAP_FORGIVEN;
        assert_eq!(flap(&mut flaps, &mut now, 5, 5), [0, 0, 0, 0, 10]);
        now += 20 * FLAP_FORGIVEN;
        assert_eq!(flap(&mut flaps, &mut now, 5, 5), [0, 0, 0, 0, 5]);
    }
}
