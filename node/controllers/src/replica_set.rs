//! Replica sets: keeping a number of equal pods.

mod plan;
mod rank;
