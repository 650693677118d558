use super::*;
use crate::{
    NodeId,
    limits::{FREE_DEATHS, HEAR_EVERY_SMALL},
};

const WALL: SystemTime = SystemTime::UNIX_EPOCH;
const ID: NodeId = NodeId(1);

/// A peer and its time.
struct Scene {
    peer: Peer,
    now: Instant,
}

impl Scene {
    /// A watched peer that has just been heard.
    fn new() -> Self {
        let now = Instant::now();
        let addr = ([10, 0, 0, 1], 7600).into();
        let profile = Profile { name: "h1".into(), addr, values: BTreeMap::new() };
        let mut peer = Peer::new(profile, HEAR_EVERY_SMALL, now, WALL);
        peer.watch(true, HEAR_EVERY_SMALL, now);
        peer.heard(Arrival { at: now, rtt: None }, now);
        Self { peer, now }
    }

    fn hear(&mut self) -> bool {
        self.peer.heard(Arrival { at: self.now, rtt: None }, self.now)
    }

    fn look(&mut self) -> Due {
        self.peer.look(true, true, self.now)
    }

    /// Looks every 10 ms for so long; what was due, and after how many milliseconds.
    fn watch_for(&mut self, ms: u64) -> Vec<(u64, Due)> {
        let mut due = Vec::new();
        for passed in (10..=ms).step_by(10) {
            self.now += Duration::from_millis(10);
            match self.look() {
                Due::Nothing => {}
                what => due.push((passed, what)),
            }
        }
        due
    }

    /// Silence until the verdict.
    fn die(&mut self) {
        let verdict = (0..300).find(|_| self.watch_for(10).contains(&(10, Due::Tell)));
        assert!(verdict.is_some());
    }

    fn alive(&self) -> Option<bool> {
        self.peer.shown_alive()
    }

    fn state(&self) -> BeliefState {
        self.peer.belief_state()
    }
}

#[test]
fn silence_is_asked_about_then_probed_then_fatal() {
    let mut scene = Scene::new();
    let due = scene.watch_for(3000);
    let asked = due.iter().filter(|(_, due)| *due == Due::Ask).map(|(ms, _)| *ms);
    assert_eq!(asked.collect::<Vec<_>>(), [200, 300, 400]);
    let probed = due.iter().filter(|(_, due)| matches!(due, Due::Probe { .. }));
    let rounds: Vec<_> = probed.copied().collect();
    assert_eq!(rounds[0], (470, Due::Probe { helped: false }));
    assert_eq!(rounds[1], (520, Due::Probe { helped: true }));
    assert!(rounds.len() >= 7, "{rounds:?}");
    assert_eq!(due.last(), Some(&(1620, Due::Tell)));
    assert_eq!((scene.alive(), scene.state()), (Some(false), BeliefState::Dead));
}

#[test]
fn any_answer_ends_a_trial_however_late() {
    for (direct, asked_ms) in [(true, 480), (false, 480), (true, 1500)] {
        let mut scene = Scene::new();
        let start = scene.now;
        scene.watch_for(1600);
        assert_eq!((scene.alive(), scene.state()), (Some(true), BeliefState::Suspect));
        scene.peer.answered(direct, start + Duration::from_millis(asked_ms), scene.now);
        assert_eq!((scene.alive(), scene.state()), (Some(true), BeliefState::Alive));
        scene.watch_for(200);
        assert_eq!(scene.state(), BeliefState::Alive);
    }
}

#[test]
fn a_peer_reached_by_helpers_alone_is_left_in_peace_for_a_while() {
    let mut scene = Scene::new();
    scene.watch_for(550);
    scene.peer.answered(false, scene.now, scene.now);
    let probed = scene.watch_for(990).into_iter().find(|(_, due)| *due != Due::Ask);
    assert_eq!(probed, None);
    assert!(scene.watch_for(50).iter().any(|(_, due)| matches!(due, Due::Probe { .. })));
}

#[test]
fn every_cause_has_its_own_patience() {
    let table = [(Cause::Silence, 1150), (Cause::Told, 400), (Cause::Refused, 60)];
    for (cause, patience_ms) in table {
        let mut scene = Scene::new();
        assert!(scene.peer.suspect(cause, scene.now));
        scene.look();
        let due = scene.watch_for(2000);
        assert_eq!(due.last(), Some(&(patience_ms, Due::Tell)), "{cause:?}");
    }
}

#[test]
fn a_refusal_hastens_a_trial_but_hearsay_does_not_prolong_it() {
    let mut scene = Scene::new();
    scene.watch_for(600);
    assert!(!scene.peer.suspect(Cause::Refused, scene.now));
    scene.peer.suspect(Cause::Told, scene.now);
    assert_eq!(scene.watch_for(500).last(), Some(&(60, Due::Tell)));
}

#[test]
fn a_slow_way_gives_a_refused_peer_more_time() {
    let mut scene = Scene::new();
    let asked = scene.now;
    scene.now += Duration::from_millis(100);
    scene.peer.answered(true, asked, scene.now);
    scene.peer.suspect(Cause::Refused, scene.now);
    assert_eq!(scene.watch_for(1000).last(), Some(&(260, Due::Tell)));
}

#[test]
fn refusals_of_a_peer_that_helpers_reach_are_not_looked_into_over_and_over() {
    let mut scene = Scene::new();
    assert!(scene.peer.suspect(Cause::Refused, scene.now));
    scene.look();
    scene.peer.answered(false, scene.now, scene.now);
    assert!(!scene.peer.suspect(Cause::Refused, scene.now));
    scene.now += PROBE_AGAIN;
    assert!(scene.peer.suspect(Cause::Refused, scene.now));
}

#[test]
fn nobody_is_condemned_before_the_second_round() {
    let mut scene = Scene::new();
    scene.peer.suspect(Cause::Refused, scene.now);
    scene.now += Duration::from_secs(1);
    assert_eq!(scene.look(), Due::Probe { helped: true });
    assert_eq!(scene.watch_for(60), [(50, Due::Probe { helped: true }), (60, Due::Tell)]);
}

#[test]
fn helpers_are_asked_at_once_when_time_is_short() {
    for (cause, helped) in [(Cause::Silence, false), (Cause::Told, true), (Cause::Refused, true)] {
        let mut scene = Scene::new();
        scene.peer.suspect(cause, scene.now);
        assert_eq!(scene.look(), Due::Probe { helped }, "{cause:?}");
    }
}

#[test]
fn what_was_under_way_before_its_death_does_not_bring_it_back() {
    let mut scene = Scene::new();
    let before = scene.now;
    scene.die();
    scene.peer.answered(true, before, scene.now);
    assert!(!scene.hear(), "too soon");
    assert!(!scene.peer.heartbeat_grew(scene.now));
    assert_eq!(scene.alive(), Some(false));
}

#[test]
fn a_dead_peer_of_whom_something_is_heard_is_probed_and_back_with_its_answer() {
    let mut scene = Scene::new();
    scene.die();
    scene.now += PROBE_AGAIN;
    assert!(scene.peer.heartbeat_grew(scene.now));
    assert!(!scene.peer.heartbeat_grew(scene.now), "once a second");
    assert_eq!(scene.alive(), Some(false));
    scene.peer.answered(false, scene.now, scene.now);
    assert_eq!(scene.alive(), Some(true));
}

#[test]
fn a_goodbye_is_final_until_the_node_starts_again() {
    let mut scene = Scene::new();
    scene.peer.left(scene.now);
    assert_eq!(scene.alive(), Some(false));
    scene.now += GOODBYE_GRACE / 2;
    assert!(!scene.hear());
    scene.peer.restarted(scene.now);
    assert!(scene.peer.heartbeat_grew(scene.now));
    scene.peer.answered(true, scene.now, scene.now);
    assert_eq!((scene.alive(), scene.state()), (Some(true), BeliefState::Alive));
}

#[test]
fn an_answer_given_while_leaving_does_not_bring_it_back() {
    let mut scene = Scene::new();
    scene.peer.left(scene.now);
    scene.now += Duration::from_millis(10);
    let asked = scene.now;
    scene.now += Duration::from_millis(10);
    scene.peer.answered(true, asked, scene.now);
    assert_eq!(scene.alive(), Some(false));
}

#[test]
fn a_peer_that_dies_too_often_answers_and_is_held_dead() {
    let mut scene = Scene::new();
    for _ in 0..=FREE_DEATHS {
        assert_eq!(scene.alive(), Some(true));
        scene.die();
        scene.now += Duration::from_millis(10);
        scene.peer.answered(true, scene.now, scene.now);
    }
    assert_eq!((scene.alive(), scene.state()), (Some(false), BeliefState::Flapping));
    let released = (0..100).find(|_| {
        scene.now += Duration::from_millis(100);
        scene.hear();
        scene.look();
        scene.alive() == Some(true)
    });
    assert_eq!(released, Some(49), "five seconds");
}

#[test]
fn a_peer_only_heard_of_is_not_shown_and_dead_after_its_grace() {
    let mut scene = Scene::new();
    scene.peer.standing = Standing::Unproven { since: scene.now };
    scene.peer.heartbeat_grew(scene.now);
    assert_eq!(scene.alive(), None, "the first heartbeat may be old");
    scene.now += UNPROVEN_GRACE;
    scene.look();
    assert_eq!(scene.alive(), Some(false));
}

#[test]
fn an_unwatched_peer_is_judged_by_its_heartbeats_with_more_patience() {
    let mut scene = Scene::new();
    scene.peer.watch(false, Duration::from_secs(1), scene.now);
    for _ in 0..10 {
        scene.now += Duration::from_secs(1);
        scene.peer.heartbeat_grew(scene.now);
        assert_eq!(scene.look(), Due::Nothing);
    }
    let due = scene.watch_for(12_000);
    let first = due.first().map(|(ms, _)| *ms);
    assert!(first.is_some_and(|ms| (9000..9500).contains(&ms)), "{due:?}");
}

#[test]
fn no_verdict_is_passed_nor_suspicion_raised_without_leave() {
    let mut scene = Scene::new();
    scene.now += Duration::from_secs(1);
    assert_eq!(scene.peer.look(false, true, scene.now), Due::Ask, "no room");
    scene.peer.suspect(Cause::Silence, scene.now);
    for _ in 0..30 {
        scene.now += Duration::from_millis(100);
        assert_ne!(scene.peer.look(true, false, scene.now), Due::Tell);
    }
    assert_eq!(scene.look(), Due::Tell);
}

#[test]
fn time_that_this_node_did_not_run_is_not_counted() {
    let mut scene = Scene::new();
    scene.watch_for(600);
    let stall = Duration::from_secs(30);
    scene.now += stall;
    scene.peer.excuse(stall, scene.now);
    assert_eq!(scene.watch_for(3000).last(), Some(&(1020, Due::Tell)));
}

#[test]
fn since_changes_with_what_is_shown_and_only_then() {
    let mut scene = Scene::new();
    let wall = |seconds| WALL + Duration::from_secs(seconds);
    scene.peer.stamp(None, wall(1));
    scene.watch_for(1000);
    scene.peer.stamp(Some(true), wall(2));
    let belief = scene.peer.belief(ID, scene.now).unwrap();
    assert_eq!((belief.state, belief.since), (BeliefState::Suspect, wall(2)));
    let member = scene.peer.member(ID).unwrap();
    assert_eq!((member.alive, member.since), (true, wall(1)));
    scene.watch_for(1000);
    scene.peer.stamp(Some(true), wall(3));
    let member = scene.peer.member(ID).unwrap();
    assert_eq!((member.alive, member.since), (false, wall(3)));
}
