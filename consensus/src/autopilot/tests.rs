use proptest::prelude::*;

use super::*;

const LONG: Duration = Duration::from_secs(600);

/// `V` voter, `s` standby, `l` standby that lags, `o` outside; lower-case `x`, `y` and `z` after
/// it: dead for long (`x`), for a moment (`y`), in zone z (`z`).
fn members(text: &str) -> Vec<Member> {
    let parse = |(index, word): (usize, &str)| {
        let role = match word.as_bytes()[0] {
            b'V' => MemberRole::Voter,
            b's' | b'l' => MemberRole::Standby,
            _ => MemberRole::Outside,
        };
        Member {
            id: NodeId(index as u64 + 1),
            zone: if word.contains('z') { "z".to_owned() } else { String::new() },
            role,
            dead_for: if word.contains('x') {
                Some(LONG)
            } else if word.contains('y') {
                Some(Duration::from_secs(1))
            } else {
                None
            },
            caught_up: word.starts_with(['V', 's']),
        }
    };
    text.split_whitespace().enumerate().map(parse).collect()
}

fn voters(ids: impl IntoIterator<Item = u64>) -> Option<Change> {
    Some(Change::SetVoters(ids.into_iter().map(NodeId).collect()))
}

fn add(id: u64) -> Option<Change> {
    Some(Change::AddStandby(NodeId(id)))
}

#[test]
fn the_group_grows_with_the_cluster() {
    let table = [
        ("V", None, "one host alone"),
        ("V o", add(2), "a second host stands by"),
        ("V s", None, "two voters would be worse than one"),
        ("V s o", add(3), "a third"),
        ("V s l", None, "no vote before it has caught up"),
        ("V s s", voters([1, 2, 3]), "three voters at once"),
        ("V s s o", voters([1, 2, 3]), "four hosts, three voters"),
        ("V V V o", add(4), "a standby"),
        ("V V V s o", add(5), "a second standby, maybe a voter"),
        ("V V V s s", voters([1, 2, 3, 4, 5]), "five voters"),
        ("V V V V V o o", add(6), "standbys beside five voters"),
        ("V V V V V s s o", None, "further hosts hold no replica"),
    ];
    for (before, change, why) in table {
        assert_eq!(plan(&members(before), LONG), change, "{why}: {before}");
    }
}

#[test]
fn the_dead_are_replaced_late_and_only_safely() {
    let table = [
        ("V V Vy s s", None, "it may only restart"),
        ("V V Vx s", voters([1, 2, 4]), "a standby takes over"),
        ("V V Vx l", None, "not before it has caught up"),
        ("V V Vx", None, "nobody to replace it"),
        ("V Vx Vx s s", None, "no quorum to decide it"),
        ("V V Vx o", add(4), "a new host stands by first"),
        ("V V V V V s sx o", Some(Change::RemoveStandby(NodeId(7))), "a dead standby makes room"),
        ("V V V V V s sx", None, "no one to take its place"),
        ("V V V V V s sy o", None, "it may come back"),
        ("V sx o", add(3), "a third node, one of them dead"),
    ];
    for (before, change, why) in table {
        assert_eq!(plan(&members(before), LONG), change, "{why}: {before}");
    }
}

#[test]
fn voters_spread_over_zones() {
    assert_eq!(plan(&members("V s sz o"), LONG), voters([1, 2, 3]));
    assert_eq!(plan(&members("Vz V Vx s sz"), LONG), voters([1, 2, 4]));
    assert_eq!(plan(&members("V Vx V s sz"), LONG), voters([1, 3, 5]));
}

#[test]
fn a_new_leader_waits_before_it_judges() {
    assert_eq!(plan(&members("V V Vx s"), Duration::from_millis(100)), None);
}

fn member() -> impl Strategy<Value = (u8, bool, bool, bool)> {
    (0..3u8, any::<bool>(), any::<bool>(), any::<bool>())
}

proptest! {
    #[test]
    fn no_change_costs_the_quorum(drawn in proptest::collection::vec(member(), 1..9)) {
        let members: Vec<Member> = drawn
            .into_iter()
            .enumerate()
            .map(|(index, (role, alive, caught_up, zone))| Member {
                id: NodeId(index as u64),
                zone: if zone { "z".to_owned() } else { String::new() },
                role: match role {
                    0 => MemberRole::Voter,
                    1 => MemberRole::Standby,
                    _ => MemberRole::Outside,
                },
                dead_for: (!alive).then_some(LONG),
                caught_up,
            })
            .collect();
        let find = |id: &NodeId| members.iter().find(|member| member.id == *id).unwrap();
        let voters = members.iter().filter(|member| member.role == MemberRole::Voter).count();
        match plan(&members, LONG) {
            Some(Change::SetVoters(chosen)) => {
                let alive = chosen.iter().filter(|id| find(id).is_alive()).count();
                prop_assert!(alive * 2 > chosen.len());
                prop_assert!(chosen.len() >= voters);
                for id in &chosen {
                    let member = find(id);
                    prop_assert!(member.role == MemberRole::Voter || member.can_vote());
                }
            }
            Some(Change::AddStandby(id)) => {
                prop_assert!(find(&id).is_alive() && find(&id).role == MemberRole::Outside);
            }
            Some(Change::RemoveStandby(id)) => {
                prop_assert!(!find(&id).is_alive() && find(&id).role == MemberRole::Standby);
            }
            None => {}
        }
    }
}
