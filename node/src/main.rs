//! The `skein` binary: the command line, and the node that `skein up` runs.

use std::process::ExitCode;

use clap::Parser;
use skein_cli::Cli;
use tikv_jemallocator::Jemalloc;

/// A create is many allocations on three hosts, and the system's allocator makes it a third dearer;
/// see `docs/benchmarks.md`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What jemalloc reads at start: few arenas, and what is free goes back to the system within a
/// second, or a large state would take more memory.
#[allow(unsafe_code, reason = "jemalloc finds its options by this name, which nothing else has")]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &[u8] =
    b"narenas:4,background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

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
