//! Values that many objects have in common, kept once.

use std::{
    borrow::Borrow,
    collections::HashSet,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use crate::limits::POOL_SWEEP;

/// Shares equal values. Those that nobody uses any more are swept out whenever the pool has
/// doubled, so it holds at most twice what is in use, and never less than [`POOL_SWEEP`] at once.
pub(crate) struct Pool<T: ?Sized>(Mutex<Known<T>>);

struct Known<T: ?Sized> {
    values: HashSet<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::new(Known { values: HashSet::new(), sweep_at: POOL_SWEEP }))
    }
}

impl<T: ?Sized + Eq + Hash> Pool<T> {
    /// The one that equals `value`.
    pub(crate) fn share<V>(&self, value: V) -> Arc<T>
    where
        V: Borrow<T>,
        Arc<T>: From<V>,
    {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = known.values.get(<V as Borrow<T>>::borrow(&value)) {
            return shared.clone();
        }
        if known.values.len() >= known.sweep_at {
            known.values.retain(|value| Arc::strong_count(value) > 1);
            known.sweep_at = (known.values.len() * 2).max(POOL_SWEEP);
        }
        let shared = Arc::<T>::from(value);
        known.values.insert(shared.clone());
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one() {
        let pool = Pool::<str>::default();
        assert!(Arc::ptr_eq(&pool.share("a"), &pool.share("a")));
    }

    #[test]
    fn values_that_nobody_uses_are_swept_out_and_others_stay() {
        let pool = Pool::<str>::default();
        let used = pool.share("used");
        for number in 0..POOL_SWEEP * 3 {
            pool.share(number.to_string());
        }
        assert!(pool.0.lock().unwrap().values.len() <= POOL_SWEEP);
        assert!(Arc::ptr_eq(&used, &pool.share("used")));
    }
}
