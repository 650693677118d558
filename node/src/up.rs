//! The node of `skein up` from its start to its end.
//!
//! [`Ground`] is what the process has of it: data directory, identity, QUIC. [`Foundation`] makes it
//! a member of the cluster. [`Front`] is what it does there: API, agent, and the leader's work. The
//! last two may start anew while the process lives.

mod foundation;
mod front;

use std::{io::IsTerminal, sync::Arc};

use anyhow::{Context, Result, bail};
use skein_api::{Audit, AuditLog};
use skein_cli::{AuditFiles, UpOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use self::{
    foundation::{Foundation, Ground},
    front::Front,
};
use crate::core::Departure;

/// Size of an audit log at which it is set aside, and how many of those are kept.
const AUDIT_FILE_BYTES: u64 = 100 * 1024 * 1024;
const AUDIT_FILES_KEPT: usize = 10;

/// Runs the node of `skein up` until SIGTERM or SIGINT. Containers run on after it.
///
/// # Errors
/// What keeps the node from starting, or why it is no longer part of the cluster.
pub async fn up(options: UpOptions) -> Result<()> {
    let filter: EnvFilter =
        options.log_level.parse().context("--log-level is not a filter of log lines")?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let mut signals = Signals::new()?;
    let ground = tokio::select! {
        ground = Ground::take(&options) => ground?,
        () = signals.any() => return Ok(()),
    };
    let ended = run_on(&ground, &options, &mut signals).await;
    ground.leave().await;
    match ended? {
        Ended::Departed(departure) => bail!(explain(departure, &options.name)),
        Ended::Stopped | Ended::Restarts => Ok(()),
    }
}

/// Runs the node as often as it starts anew.
async fn run_on(ground: &Ground, options: &UpOptions, signals: &mut Signals) -> Result<Ended> {
    let audit = options.audit.as_ref().map(start_audit).transpose()?;
    loop {
        match run(ground, options, audit.as_ref(), signals).await {
            Ok(Ended::Restarts) => tracing::info!("the node starts anew; its containers run on"),
            ended => return ended,
        }
    }
}

/// Begins the audit log.
fn start_audit(files: &AuditFiles) -> Result<Arc<Audit>> {
    let shown = files.policy.display();
    let policy = std::fs::read(&files.policy)
        .with_context(|| format!("the audit policy {shown} cannot be read"))?;
    let log =
        AuditLog { path: files.log.clone(), file_bytes: AUDIT_FILE_BYTES, kept: AUDIT_FILES_KEPT };
    let audit = Audit::start(&policy, log).with_context(|| format!("--audit-policy {shown}"))?;
    Ok(Arc::new(audit))
}

/// One run of the node, from its files to its end.
async fn run(
    ground: &Ground,
    options: &UpOptions,
    audit: Option<&Arc<Audit>>,
    signals: &mut Signals,
) -> Result<Ended> {
    let foundation = tokio::select! {
        started = Foundation::start(ground, options) => started?,
        () = signals.any() => return Ok(Ended::Stopped),
    };
    let ended = serve(&foundation, options, audit, signals).await;
    foundation.stop().await;
    ended
}

/// How a run of a node came to its end.
enum Ended {
    Stopped,
    Departed(Departure),
    /// The replica has an order that is carried out when its files are opened next.
    Restarts,
}

/// Runs the services until there is a reason to end.
async fn serve(
    foundation: &Foundation,
    options: &UpOptions,
    audit: Option<&Arc<Audit>>,
    signals: &mut Signals,
) -> Result<Ended> {
    let front = tokio::select! {
        started = Front::start(foundation, options, audit.cloned()) => started?,
        () = signals.any() => return Ok(Ended::Stopped),
    };
    tracing::info!(name = options.name, api = %front.api_address(), "the node is up");
    let ended = tokio::select! {
        () = signals.any() => Ended::Stopped,
        departure = foundation.core.departed() => Ended::Departed(departure),
        () = foundation.core.restart_requested() => Ended::Restarts,
    };
    // Whatever is still under way here ends while another leads already.
    foundation.core.hand_over().await;
    match ended {
        Ended::Departed(_) => front.stop_and_end_pods().await,
        Ended::Stopped => {
            tracing::info!("the node stops; its containers run on");
            front.stop().await;
        }
        Ended::Restarts => front.stop().await,
    }
    Ok(ended)
}

/// Why the node is no longer part of its cluster, and how to come back.
fn explain(departure: Departure, name: &str) -> String {
    match departure {
        Departure::Replaced => format!(
            "another host joined as {name:?} while this one was away and has its pods now; to \
             join again, use an empty --data-dir, another --name and a token"
        ),
        Departure::Removed => format!(
            "{name:?} has been removed from the cluster, and its pods here are ended; to join \
             again, use an empty --data-dir and a token"
        ),
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
