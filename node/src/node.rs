//! One node from its start to its end.
//!
//! [`Foundation`] is what makes it a member of the cluster: transport, membership, replica.
//! [`Services`] is what it does for the cluster on top: API, agent, and the leader's work.

mod foundation;
mod pumps;
mod services;

use std::io::IsTerminal;

use anyhow::{Context, Result, ensure};
use skein_cli::UpOptions;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use self::{foundation::Foundation, services::Services};

/// Runs the node of `skein up` until SIGTERM or SIGINT. Containers run on after it.
///
/// # Errors
/// What keeps the node from starting.
pub(crate) async fn up(options: UpOptions) -> Result<()> {
    let filter: EnvFilter =
        options.log_level.parse().context("--log-level is not a filter of log lines")?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let mut signals = Signals::new()?;
    let foundation = tokio::select! {
        started = Foundation::start(&options) => started?,
        () = signals.any() => return Ok(()),
    };
    let started = tokio::select! {
        started = Services::start(&foundation, &options) => started,
        () = signals.any() => {
            foundation.stop().await;
            return Ok(());
        }
    };
    match started {
        Ok(services) => {
            tracing::info!(name = options.name, api = %services.api_address(), "the node is up");
            let replaced = tokio::select! {
                () = signals.any() => false,
                () = foundation.replaced() => true,
            };
            if replaced {
                services.stop_and_end_pods().await;
            } else {
                tracing::info!("the node stops; its containers run on");
                services.stop().await;
            }
            foundation.stop().await;
            ensure!(
                !replaced,
                "another host joined as {:?} while this one was away and has its pods now; to \
                 join again, use an empty --data-dir, another --name and a token",
                options.name
            );
            Ok(())
        }
        Err(error) => {
            foundation.stop().await;
            Err(error)
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
