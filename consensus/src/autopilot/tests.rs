use proptest::prelude::*;

use super::*;

const LONG: Duration = Duration::from_secs(600);

/// `V` voter, `s` standby, `l` standby that lags, `o` outside; the first voter leads. After it:
/// dead for long (`x`), for a moment (`y`), in zone z (`z`), a witness (`w`), removed (`r`), with
/// damaged files (`d`).
fn members(text: &str) -> Vec<Member> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let leader = words.iter().position(|word| word.starts_with('V'));
    let parse = |(index, word): (usize, &&str)| {
        let role = match word.as_bytes()[0] {
            b'V' => MemberRole::Voter,
            b's' | b'l' => MemberRole::Standby,
            _ => MemberRole::Outside,
        };
        let dead = word.contains('x').then_some(LONG);
        Member {
            id: NodeId(index as u64 + 1),
            name: format!("h{}", index + 1),
            zone: if word.contains('z') { "z".to_owned() } else { String::new() },
            role,
            leads: Some(index) == leader,
            dead_for: dead.or(word.contains(['y', 'd']).then_some(Duration::from_secs(1))),
            alive_for: LONG,
            caught_up: word.starts_with(['V', 's']),
            witness: word.contains('w'),
            leaving: match word {
                word if word.contains('r') => Some(Leaving::Removed),
                word if word.contains('d') => Some(Leaving::Damaged),
                _ => None,
            },
        }
    };
    words.iter().enumerate().map(parse).collect()
}

fn change(text: &str) -> Option<Change> {
    plan(&members(text), LONG).map(|planned| planned.change)
}

fn voters(ids: impl IntoIterator<Item = u64>) -> Option<Change> {
    Some(Change::SetVoters(ids.into_iter().map(NodeId).collect()))
}

fn add(id: u64) -> Option<Change> {
    Some(Change::AddStandby(NodeId(id)))
}

fn remove(id: u64) -> Option<Change> {
    Some(Change::RemoveStandby(NodeId(id)))
}

fn check(table: &[(&str, Option<Change>, &str)]) {
    for (before, expected, why) in table {
        assert_eq!(&change(before), expected, "{why}: {before}");
    }
}

#[test]
fn the_group_grows_with_the_cluster() {
    check(&[
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
    ]);
}

#[test]
fn the_dead_are_replaced_late_and_all_at_once() {
    check(&[
        ("V V Vy s s", None, "it may only restart"),
        ("V V Vx s", voters([1, 2, 4]), "a standby takes over"),
        ("V V Vx l", None, "not before it has caught up"),
        ("V V Vx", None, "nobody to replace it, and two bear no more than two of three"),
        ("V Vx Vx s s", None, "no quorum to decide it"),
        ("V V Vx o", add(4), "a new host stands by first"),
        ("V V V Vx Vx s s", voters([1, 2, 3, 6, 7]), "both dead at once"),
        ("V V V V V s sx o", remove(7), "a dead standby makes room"),
        ("V V V V V s sx", None, "no one to take its place"),
        ("V V V V V s sy o", None, "it may come back"),
        ("V sx o", add(3), "a third node, one of them dead"),
    ]);
}

#[test]
fn fewer_voters_where_the_long_dead_only_weigh() {
    check(&[
        ("V V V Vx Vx", voters([1, 2, 3]), "three living of five bear none, three of three one"),
        ("V V V Vx", voters([1, 2, 3]), "an even number"),
        ("V V V V Vx", None, "four of five bear one, and so do four of four"),
        ("V V V Vy Vy", None, "they may come back"),
    ]);
}

#[test]
fn who_is_to_go_is_replaced_first_and_the_leader_hands_over_before() {
    check(&[
        ("V V Vr s", voters([1, 2, 4]), "a standby takes its vote"),
        ("V V Vr l", None, "not before that has caught up"),
        ("V V Vr", voters([1, 2]), "nobody is left to take it"),
        ("V V", voters([1]), "then an even number is not kept"),
        ("V s sr", remove(3), "it is no standby either"),
        ("Vr V V s", Some(Change::HandOver), "this node is to go"),
        ("Vr s", voters([2]), "a lone voter's standby takes all"),
        ("Vr", None, "the last host stays"),
        ("V V V or", None, "it never comes back in"),
        ("V V Vd", voters([1, 2]), "a damaged one is missed by nobody"),
        ("V V V V Vd s", voters([1, 2, 3, 4, 6]), "or replaced"),
        ("V V sd", remove(3), "and is then let go altogether, to be back soon"),
    ]);
}

#[test]
fn a_witness_votes_where_hosts_are_few_and_leads_nobody() {
    check(&[
        ("V s ow", add(3), "two hosts and a witness"),
        ("V s sw", voters([1, 2, 3]), "make three voters"),
        ("V V Vw s", voters([1, 2, 4]), "a third host takes its vote"),
        ("V V V ow", None, "it holds no copy where it is not needed"),
        ("Vw V V", Some(Change::HandOver), "another leads if one can"),
        ("V V Vx sw", voters([1, 2, 4]), "better than a dead host"),
    ]);
}

#[test]
fn two_hosts_are_told_of_a_third_or_a_witness() {
    let warned = |text| warning(&members(text)).is_some();
    assert!(warned("V s") && warned("V o") && warned("V sx"));
    assert!(!warned("V") && !warned("V s sw") && !warned("V sr"));
    let told = warning(&members("V s")).unwrap();
    assert_eq!((told.about, told.reason), (NodeId(1), "TwoHosts"));
}

#[test]
fn that_the_warning_is_over_is_told_when_the_loss_of_a_host_is_borne() {
    assert!(relief(&members("V s o")).is_none() && relief(&members("V V Vy")).is_none());
    let told = relief(&members("V V V")).unwrap();
    assert_eq!((told.about, told.reason), (NodeId(1), "EnoughHosts"));
    assert_eq!(told.message, "h1 is one of 3 voters: the cluster survives the loss of one");
}

#[test]
fn voters_spread_over_zones_and_the_steady_go_first() {
    assert_eq!(change("V s sz o"), voters([1, 2, 3]));
    assert_eq!(change("Vz V Vx s sz"), voters([1, 2, 4]));
    assert_eq!(change("V Vx V s sz"), voters([1, 3, 5]));
    let mut all = members("V V Vx s s");
    all[3].alive_for = Duration::from_secs(60);
    assert_eq!(plan(&all, LONG).map(|planned| planned.change), voters([1, 2, 5]));
}

#[test]
fn a_new_leader_waits_before_it_judges() {
    assert_eq!(plan(&members("V V Vx s"), Duration::from_millis(100)), None);
}

#[test]
fn every_decision_says_why() {
    let planned = plan(&members("V V Vx s"), LONG).unwrap();
    assert_eq!((planned.about, planned.reason), (NodeId(3), "VoterReplaced"));
    assert_eq!(planned.message, "h3 has been dead for 600 s: h4 votes in its place");
}

fn drawn() -> impl Strategy<Value = Vec<Member>> {
    let member = (0..3u8, 0..5u8, any::<bool>(), any::<bool>(), 0..8u8);
    proptest::collection::vec(member, 1..10).prop_map(|drawn| {
        let mut members: Vec<Member> = (1..)
            .zip(drawn)
            .map(|(id, (role, health, caught_up, zone, special))| Member {
                id: NodeId(id),
                name: format!("h{id}"),
                zone: if zone { "z".to_owned() } else { String::new() },
                role: match role {
                    0 => MemberRole::Voter,
                    1 => MemberRole::Standby,
                    _ => MemberRole::Outside,
                },
                leads: false,
                dead_for: match health {
                    0 => Some(LONG),
                    1 => Some(Duration::from_secs(1)),
                    _ => None,
                },
                alive_for: LONG,
                caught_up,
                witness: special == 0,
                leaving: (special == 1).then_some(Leaving::Removed),
            })
            .collect();
        let leader = &mut members[0];
        (leader.role, leader.leads, leader.dead_for) = (MemberRole::Voter, true, None);
        members
    })
}

fn voting(members: &[Member]) -> Vec<&Member> {
    members.iter().filter(|member| member.role == MemberRole::Voter).collect()
}

/// The members after a change; whoever stands by and lives catches up.
fn after(mut members: Vec<Member>, change: &Change) -> Vec<Member> {
    for member in &mut members {
        match change {
            Change::AddStandby(id) if member.id == *id => member.role = MemberRole::Standby,
            Change::RemoveStandby(id) if member.id == *id => member.role = MemberRole::Outside,
            Change::SetVoters(ids) if ids.contains(&member.id) => member.role = MemberRole::Voter,
            Change::SetVoters(_) if member.role == MemberRole::Voter => {
                member.role = MemberRole::Standby;
            }
            _ => {}
        }
        member.caught_up |= member.role == MemberRole::Standby && member.is_alive();
    }
    if *change == Change::HandOver || voting(&members).iter().all(|voter| !voter.leads) {
        let former = members.iter().position(|member| member.leads);
        let heir = |member: &&Member| {
            member.role == MemberRole::Voter && member.is_alive() && !member.leads
        };
        let rank = |member: &&Member| (!member.stays(), member.witness);
        let heir = members.iter().filter(heir).min_by_key(rank).map(|member| member.id);
        for (index, member) in members.iter_mut().enumerate() {
            member.leads = heir.map_or(Some(index) == former, |heir| member.id == heir);
        }
    }
    members
}

proptest! {
    #[test]
    fn each_step_bears_as_many_failures_and_the_steps_end(mut members in drawn()) {
        for _ in 0..40 {
            let before = voting(&members);
            let Some(planned) = plan(&members, LONG) else { return Ok(()) };
            let find = |id: &NodeId| members.iter().find(|member| member.id == *id).unwrap();
            match &planned.change {
                Change::SetVoters(ids) => {
                    let chosen: Vec<&Member> = ids.iter().map(find).collect();
                    prop_assert!(tolerance(&before) >= 0 && tolerance(&chosen) >= 0);
                    for member in &chosen {
                        prop_assert!(member.role == MemberRole::Voter || member.can_vote());
                    }
                    let forced = before.iter().any(|voter| !voter.stays());
                    let ready = members.iter().any(|member| member.can_vote());
                    prop_assert!(
                        tolerance(&chosen) >= tolerance(&before) || (forced && !ready),
                        "{planned:?}"
                    );
                }
                Change::AddStandby(id) => {
                    let added = find(id);
                    prop_assert!(added.is_alive() && added.stays());
                    prop_assert_eq!(added.role, MemberRole::Outside);
                }
                Change::RemoveStandby(id) => {
                    let gone = find(id);
                    prop_assert!(!gone.is_alive() || !gone.stays());
                    prop_assert_eq!(gone.role, MemberRole::Standby);
                }
                Change::HandOver => {
                    prop_assert!(before.iter().any(|voter| !voter.leads && voter.is_alive()));
                }
            }
            members = after(members, &planned.change);
        }
        prop_assert!(false, "no end: {:?}", plan(&members, LONG));
    }
}
