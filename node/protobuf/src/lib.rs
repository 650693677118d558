//! Kubernetes' protobuf bodies as JSON values.
//!
//! Typed Go clients, `kubectl create` among them, send objects as
//! `application/vnd.kubernetes.protobuf`. [`decode`] turns such a body into the value that the
//! same object's JSON would parse to, so that everything behind it knows JSON alone.
//!
//! The messages are data: `schema/*.schema` lists every message that can occur, with the numbers
//! of Kubernetes 1.36's `generated.proto` files and the names its Go types have in JSON. A kind is
//! added by adding its lines.
//!
//! This crate does not encode, does no IO, and does not judge the object: defaults, required
//! fields and unknown kinds of content are for who reads the value.

mod envelope;
mod error;
mod fields;
pub mod limits;
mod schema;
mod well_known;
mod wire;

#[cfg(test)]
mod tests;

pub use envelope::decode;
pub use error::{DecodeError, Problem};
