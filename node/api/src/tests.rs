//! The API over real TLS against the in-memory store.

mod audit;
mod conversion;
mod custom;
mod errors;
mod evictions;
mod harness;
mod hook;
mod hosts;
mod inside;
mod kubectl;
mod mistakes;
mod objects;
mod pages;
mod pki;
mod streams;
mod surroundings;
mod tokens;
mod webhooks;
