//! Deployments: rollouts over replica sets.

mod bounds;
mod family;
mod plan;
mod revision;
mod sizes;
mod status;
mod template;
