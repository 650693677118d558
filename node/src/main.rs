//! The `skein` binary: the command line, and the node that `skein up` runs.

use std::process::ExitCode;

use clap::Parser;
use skein_cli::Cli;

#[allow(clippy::print_stderr, reason = "there is no terminal of the command line yet")]
fn main() -> ExitCode {
    let cli = Cli::parse();
    let host_name = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the threads of skein cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(skein_cli::run(cli, &host_name, skein_node::up))
}
