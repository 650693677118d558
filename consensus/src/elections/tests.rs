use proptest::prelude::*;

use super::{measured::Peak, *};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn observed(gap: u64, round_trip: u64, sync: u64) -> Observed {
    Observed { gap: ms(gap), round_trip: ms(round_trip), sync: ms(sync) }
}

#[test]
fn timeouts_follow_what_was_measured_within_their_bounds() {
    let table = [
        (observed(0, 0, 0), 50, 230, 20, "nothing measured yet"),
        (observed(60, 1, 2), 50, 230, 20, "an idle machine"),
        (observed(60, 40, 5), 80, 320, 90, "a distant site: slower beats, longer turns"),
        (observed(60, 2, 60), 50, 230, 124, "a slow disk lengthens turns, not the silence"),
        (observed(400, 3, 20), 50, 803, 46, "a starved machine waits for twice the worst gap"),
        (observed(5_000, 3, 900), 50, 2_000, 250, "never beyond the bounds"),
    ];
    for (observed, heartbeat, silence, turn, why) in table {
        let expected = Timeouts { heartbeat: ms(heartbeat), silence: ms(silence), turn: ms(turn) };
        assert_eq!(timeouts(&observed, &Timing::default()), expected, "{why}");
    }
}

fn situation(now: Instant) -> Situation {
    Situation {
        heard_at: now,
        leader_dead_since: None,
        place: 0,
        candidates: 2,
        attempts: 0,
        attempted_at: None,
    }
}

#[tokio::test(start_paused = true)]
async fn voters_take_turns_and_a_dead_leader_is_not_waited_for() {
    let now = Instant::now();
    let timeouts = timeouts(&Observed::default(), &Timing::default());
    let due = |situation: Situation| due_at(&situation, &timeouts).duration_since(now);
    assert_eq!(due(situation(now)), ms(230));
    assert_eq!(due(Situation { place: 1, ..situation(now) }), ms(250));
    let dead = |at: u64| Situation { leader_dead_since: Some(now + ms(at)), ..situation(now) };
    assert_eq!(due(dead(10)), limits::LEASE, "openraft refuses within the lease");
    assert_eq!(due(dead(180)), ms(180));
    let tried = |attempts| Situation { attempts, attempted_at: Some(now + ms(230)), ..dead(180) };
    assert_eq!(due(tried(1)), ms(230 + 60));
    assert_eq!(due(tried(2)), ms(230 + 120));
    assert_eq!(due(tried(40)), ms(230 + 480));
}

#[test]
fn neither_the_dead_nor_the_former_leader_has_a_turn_and_witnesses_come_last() {
    let peer = |id, alive, witness| PeerState {
        id: NodeId(id),
        name: format!("h{id}"),
        addr: ([10, 77, 0, 1], 7600).into(),
        alive,
        zone: String::new(),
        witness,
        removed: false,
    };
    let peers =
        [peer(1, true, true), peer(2, false, false), peer(3, true, false), peer(4, true, false)];
    let voters = [1, 2, 3, 4, 5].map(NodeId);
    let place = |own, former: Option<u64>| place(NodeId(own), &voters, former.map(NodeId), &peers);
    assert_eq!(place(3, Some(4)), (0, 3));
    assert_eq!(place(5, Some(4)), (1, 3));
    assert_eq!(place(1, Some(4)), (2, 3));
    assert_eq!(place(4, Some(4)), (1, 4), "a former leader may stand again");
}

#[tokio::test(start_paused = true)]
async fn a_measured_peak_fades() {
    let now = Instant::now();
    let mut peak = Peak::default();
    peak.note(ms(800), now);
    peak.note(ms(100), now + ms(1_000));
    assert!(peak.at(now + ms(1_000)) > ms(750));
    assert_eq!(peak.at(now + ms(40_000)), ms(200));
    peak.note(ms(300), now + ms(40_000));
    assert_eq!(peak.at(now + ms(40_000)), ms(300));
}

#[test]
fn one_slow_round_trip_among_many_says_little() {
    let mut mean = measured::Mean::default();
    mean.note(ms(160));
    for _ in 0..40 {
        mean.note(ms(2));
    }
    assert!(mean.get() < ms(4), "{:?}", mean.get());
}

proptest! {
    #[test]
    fn a_leader_is_given_up_only_after_several_heartbeats(
        gap in 0..10_000u64,
        round_trip in 0..2_000u64,
        sync in 0..5_000u64,
    ) {
        let timing = Timing::default();
        let found = timeouts(&observed(gap, round_trip, sync), &timing);
        prop_assert!(found.silence >= timing.election_min && found.silence <= timing.election_max);
        prop_assert!(found.heartbeat * 4 <= found.silence);
        prop_assert!(found.turn <= TURN_MAX);
    }
}
