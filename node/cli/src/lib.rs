//! The `skein` command line: what can be typed, what it does, how it prints.
//!
//! Every command but `up` is a client of the API that any node serves; `up` is only parsed and
//! validated here, into plain [`UpOptions`], and handed to the caller that can run a node.
//!
//! What a command prints is made by pure functions from what the API answered, so that it can be
//! shown in snapshots; only [`run`] touches the terminal.

mod args;
mod commands;
mod connection;
mod discovery;
mod exit;
mod kubeconfig;
mod limits;
mod manifest;
mod render;
mod request;
mod target;
mod terminal;
mod up;

pub use args::Cli;
pub use commands::{fail, run};
pub use exit::{FAILURE, SUCCESS, USAGE};
pub use kubeconfig::{ClientCertificate, NodeAddress, render as render_kubeconfig};
pub use up::{AuditFiles, Runtime, Strategy, UpArgs, UpError, UpOptions};
