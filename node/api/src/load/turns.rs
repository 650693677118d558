//! Whose turn it is. Pure.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Places, who holds them, and who waits.
#[derive(Debug)]
pub(super) struct Turns<W> {
    places: usize,
    taken: usize,
    /// The most that wait of one user.
    queue: usize,
    waiting: usize,
    users: BTreeMap<Arc<str>, User<W>>,
    /// Counts the places given away, to tell who has waited longest for one.
    turn: u64,
}

#[derive(Debug)]
struct User<W> {
    holds: usize,
    waits: VecDeque<W>,
    last: u64,
}

/// What becomes of one who arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A place is free and now taken.
    Served,
    /// There is none yet.
    Waits,
    /// Too many of the same user wait already.
    Refused,
}

impl<W> Turns<W> {
    pub(super) fn new(places: usize, queue: usize) -> Self {
        Self { places, taken: 0, queue, waiting: 0, users: BTreeMap::new(), turn: 0 }
    }

    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes a place for `user`, or puts `waiter` in the user's queue.
    pub(super) fn arrive(&mut self, user: &Arc<str>, waiter: W) -> Arrival {
        let is_free = self.taken < self.places;
        let nobody = || User { holds: 0, waits: VecDeque::new(), last: 0 };
        let entry = self.users.entry(Arc::clone(user)).or_insert_with(nobody);
        if is_free {
            self.taken += 1;
            self.turn += 1;
            (entry.holds, entry.last) = (entry.holds + 1, self.turn);
            Arrival::Served
        } else if entry.waits.len() < self.queue {
            entry.waits.push_back(waiter);
            self.waiting += 1;
            Arrival::Waits
        } else {
            self.forget_idle(user);
            Arrival::Refused
        }
    }

    /// Gives back a place of `user`; who gets it now holds it. Among those who wait it is the user
    /// with the fewest places, then the one whose last turn is longest ago.
    pub(super) fn leave(&mut self, user: &Arc<str>) -> Option<(Arc<str>, W)> {
        if let Some(entry) = self.users.get_mut(user) {
            entry.holds = entry.holds.saturating_sub(1);
        }
        let waiting = self.users.iter_mut().filter(|(_, one)| !one.waits.is_empty());
        let next = waiting.min_by_key(|(_, one)| (one.holds, one.last));
        let served = next.and_then(|(name, entry)| {
            let waiter = entry.waits.pop_front()?;
            self.turn += 1;
            (entry.holds, entry.last) = (entry.holds + 1, self.turn);
            Some((Arc::clone(name), waiter))
        });
        match &served {
            Some(_) => self.waiting -= 1,
            None => self.taken -= 1,
        }
        self.forget_idle(user);
        served
    }

    fn forget_idle(&mut self, user: &Arc<str>) {
        let is_idle = |one: &User<W>| one.holds == 0 && one.waits.is_empty();
        if self.users.get(user).is_some_and(is_idle) {
            self.users.remove(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Arc<str> {
        name.into()
    }

    #[test]
    fn one_with_a_single_request_comes_before_the_many_of_another() {
        let mut turns = Turns::new(2, 100);
        let (busy, other) = (user("busy"), user("other"));
        for number in 0..10 {
            let expected = if number < 2 { Arrival::Served } else { Arrival::Waits };
            assert_eq!(turns.arrive(&busy, number), expected);
        }
        assert_eq!(turns.arrive(&other, 100), Arrival::Waits);
        assert_eq!(turns.leave(&busy), Some((other.clone(), 100)));
        assert_eq!(turns.leave(&other), Some((busy.clone(), 2)), "in the order of its queue");
    }

    #[test]
    fn users_with_as_many_places_take_turns() {
        let mut turns = Turns::new(1, 100);
        turns.arrive(&user("z"), 0);
        for name in ["a", "b", "c"] {
            for number in 0..2 {
                turns.arrive(&user(name), number);
            }
        }
        let mut holder = user("z");
        let mut order = Vec::new();
        while let Some((next, number)) = turns.leave(&holder) {
            order.push(format!("{next}{number}"));
            holder = next;
        }
        assert_eq!(order, ["a0", "b0", "c0", "a1", "b1", "c1"]);
        assert_eq!((turns.taken(), turns.waiting(), turns.users.len()), (0, 0, 0));
    }

    #[test]
    fn a_queue_is_bounded_for_each_user_and_nobody_idle_is_kept() {
        let mut turns = Turns::new(1, 1);
        turns.arrive(&user("a"), 0);
        assert_eq!(turns.arrive(&user("a"), 1), Arrival::Waits);
        assert_eq!(turns.arrive(&user("a"), 2), Arrival::Refused);
        assert_eq!(turns.arrive(&user("b"), 3), Arrival::Waits, "another has a queue of its own");
        let mut none = Turns::new(0, 0);
        assert_eq!(none.arrive(&user("a"), 0), Arrival::Refused);
        assert_eq!(none.users.len(), 0);
    }
}
