//! Scenarios: the whole agent over a simulated runtime and an in-memory store, under a paused
//! clock.

mod ephemeral;
mod faults;
mod host;
mod lifetime;
mod metrics;
mod resize;
mod store;
mod world;
