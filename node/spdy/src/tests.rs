//! Tests of what goes over the wire and of connections.

mod connections;
mod frames;
