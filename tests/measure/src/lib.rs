//! What every measurement needs: a distribution of outcomes and the disk's own speed beside it.
//!
//! The binary `bench-store` measures the store alone, so that it can be built, and profiled, without
//! the rest of Skein.

mod disk;
mod distribution;

pub use disk::syncs_per_second;
pub use distribution::{Distribution, EmptyDistribution};
