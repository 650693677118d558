//! At most one leader per term.

use std::collections::BTreeMap;

use skein_net::NodeId;

use super::Violation;

/// Who led when, as far as seen.
#[derive(Debug, Default)]
pub(crate) struct Leaders(BTreeMap<u64, NodeId>);

impl Leaders {
    /// Takes in that `leader` says it leads in `term`. Returns whether that is news.
    pub(crate) fn observe(&mut self, term: u64, leader: NodeId) -> Result<bool, Violation> {
        match self.0.insert(term, leader) {
            None => Ok(true),
            Some(before) if before == leader => Ok(false),
            Some(before) => Err(Violation::new(
                "at most one leader per term",
                format!("in term {term} both {before} and {leader} led"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_leaders_of_one_term_are_noticed() {
        let mut leaders = Leaders::default();
        assert_eq!(leaders.observe(1, NodeId(1)), Ok(true));
        assert_eq!(leaders.observe(1, NodeId(1)), Ok(false));
        assert_eq!(leaders.observe(2, NodeId(2)), Ok(true));
        assert!(leaders.observe(1, NodeId(2)).is_err());
    }
}
