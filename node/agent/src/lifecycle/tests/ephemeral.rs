//! Ephemeral containers: once, beside the others, and nobody waits for them.

use super::*;

fn visited(restart: RestartPolicy, target: Option<&str>) -> Desired {
    let init = vec![container("i", Role::Init, RestartPolicy::OnFailure)];
    let mut visitor = container("v", Role::Ephemeral, RestartPolicy::Never);
    visitor.target = target.map(str::to_owned);
    Desired { ephemeral: vec![visitor], ..pod(init, &["a"], restart) }
}

fn done() -> ContainerInfo {
    made("i", 0, 0, exited(0, 1))
}

#[test]
fn they_start_whatever_the_others_wait_for() {
    let pod = visited(RestartPolicy::Always, None);
    let live = sandbox(0, true);
    let none = observed(std::slice::from_ref(&live), &[]);
    assert_eq!(words(&pod, &none, &memory(&[]), 0), ["prepare v 0", "prepare i 0"]);
    let first = observed(std::slice::from_ref(&live), &[made("i", 0, 0, RUNNING())]);
    assert_eq!(words(&pod, &first, &memory(&[("v", 0)]), 0), ["create v 0"]);
    let seen = [made("i", 0, 0, RUNNING()), made("v", 0, 0, ContainerState::Created)];
    assert_eq!(words(&pod, &observed(&[live], &seen), &memory(&[("v", 0)]), 0), ["start v"]);
}

#[test]
fn they_wait_until_their_target_runs_and_join_the_copy_that_does() {
    let pod = visited(RestartPolicy::Always, Some("a"));
    let live = sandbox(0, true);
    let with = |a: ContainerInfo| observed(std::slice::from_ref(&live), &[done(), a]);
    let known = memory(&[("v", 0), ("a", 0)]);
    let waiting = with(made("a", 0, 0, ContainerState::Created));
    assert_eq!(words(&pod, &waiting, &known, 5), ["start a"]);
    let again = with(made("a", 1, 0, RUNNING()));
    let create = Action::Create {
        sandbox: live.id.clone(),
        container: "v".into(),
        attempt: 0,
        target: Some(ContainerId("a-1".into())),
    };
    assert_eq!(plan(&pod, &again, &known, at(5)).actions, [create]);
    let made_already = [done(), made("v", 0, 0, ContainerState::Created)];
    let crashed = [&made_already[..], &[made("a", 1, 0, exited(1, 4))]].concat();
    let crashed = observed(std::slice::from_ref(&live), &crashed);
    assert_eq!(words(&pod, &crashed, &known, 5), Vec::<String>::new());
}

#[test]
fn they_never_run_again() {
    let pod = visited(RestartPolicy::Always, None);
    let running = [done(), made("a", 0, 0, RUNNING())];
    for state in [RUNNING(), exited(0, 2), exited(1, 2)] {
        let with = [&running[..], &[made("v", 0, 0, state)]].concat();
        let mut seen = observed(&[sandbox(0, true)], &with);
        let mut known = memory(&[("v", 0)]);
        known.absorb(&mut seen);
        assert_eq!(words(&pod, &seen, &known, 900), Vec::<String>::new());
        let mut removed = observed(&[sandbox(0, true)], &running);
        known.absorb(&mut removed);
        assert_eq!(words(&pod, &removed, &known, 900), Vec::<String>::new());
    }
}

#[test]
fn a_new_sandbox_does_not_bring_them_back() {
    let pod = visited(RestartPolicy::Always, None);
    let mut known = memory(&[]);
    let ip = "10.42.0.3".parse().expect("an address");
    known.network = Network::Attached { sandbox: SandboxId("s1".into()), ip };
    known.least_attempt.insert("a".into(), 1);
    let sandboxes = [sandbox(0, false), sandbox(1, true)];
    let old = [made("i", 0, 0, exited(0, 1)), made("v", 0, 0, exited(137, 1))];
    let mut ran = observed(&sandboxes, &old);
    let mut knows = known.clone();
    knows.absorb(&mut ran);
    assert_eq!(words(&pod, &ran, &knows, 5), ["prepare i 1"]);

    // It was made but never ran: it is made anew.
    let old = [made("i", 0, 0, exited(0, 1)), made("v", 0, 0, ContainerState::Created)];
    let mut waits = observed(&sandboxes, &old);
    known.absorb(&mut waits);
    assert_eq!(words(&pod, &waits, &known, 5), ["prepare i 1", "remove v-0"]);
    waits.containers.pop();
    assert_eq!(words(&pod, &waits, &known, 5), ["prepare v 0", "prepare i 1"]);
}

#[test]
fn a_pod_is_complete_without_them_and_takes_them_along() {
    let mut pod = visited(RestartPolicy::Never, None);
    let over = [done(), made("a", 0, 0, exited(0, 1)), made("v", 0, 0, RUNNING())];
    let over = observed(&[sandbox(0, true)], &over);
    assert_eq!(words(&pod, &over, &memory(&[]), 5), ["stop v-0 30"]);

    let open = [done(), made("a", 0, 0, RUNNING()), made("v", 0, 0, exited(1, 1))];
    let open = observed(&[sandbox(0, true)], &open);
    assert_eq!(words(&pod, &open, &memory(&[]), 5), Vec::<String>::new());

    pod.intent = Intent::Terminate { grace_seconds: 3 };
    let both = [done(), made("a", 0, 0, RUNNING()), made("v", 0, 0, RUNNING())];
    let both = observed(&[sandbox(0, true)], &both);
    assert_eq!(words(&pod, &both, &memory(&[]), 5), ["stop a-0 3", "stop v-0 3"]);
}
