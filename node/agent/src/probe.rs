//! Readiness, liveness and startup probes: what they ask and what their answers mean.
//!
//! The verdict is pure; [`request`] asks. Exec, gRPC and HTTPS probes need what the agent does
//! not offer yet: they are never asked, so a container with such a startup or readiness probe does
//! not become ready, and one with such a liveness probe is never restarted for it.

mod request;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{ContainerPort, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use skein_runtime::ContainerId;

use crate::lifecycle::due;

pub(crate) use request::ask;

/// What a probe decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProbeKind {
    /// Whether the container has started; the others wait for it.
    Startup,
    /// Whether it must be restarted.
    Liveness,
    /// Whether it takes requests.
    Readiness,
}

impl ProbeKind {
    /// As events name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

/// One probe of one container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProbeKey {
    /// The container.
    pub(crate) id: ContainerId,
    /// Which of its probes.
    pub(crate) kind: ProbeKind,
}

/// How a probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Connect.
    Tcp { host: Option<String>, port: u16 },
    /// GET; an answer from 200 to 399 is good.
    Http { host: Option<String>, port: u16, path: String, headers: Vec<(String, String)> },
    /// It cannot ask, for this reason.
    Unsupported(String),
}

/// A probe with its thresholds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProbeSpec {
    /// What it decides.
    pub(crate) kind: ProbeKind,
    /// How it asks.
    pub(crate) question: Question,
    /// Time after the start before it asks first.
    pub(crate) initial_delay: SignedDuration,
    /// Time between questions.
    pub(crate) period: SignedDuration,
    /// Time an answer may take.
    pub(crate) timeout: Duration,
    /// Good answers in a row that make it good.
    pub(crate) successes: u32,
    /// Bad answers in a row that make it bad.
    pub(crate) failures: u32,
}

impl ProbeSpec {
    /// Why the probe is never asked; `None` if it is.
    pub(crate) fn unsupported(&self) -> Option<&str> {
        match &self.question {
            Question::Unsupported(why) => Some(why),
            Question::Tcp { .. } | Question::Http { .. } => None,
        }
    }

    /// The probe of an object.
    pub(crate) fn of(kind: ProbeKind, probe: &Probe, ports: &[ContainerPort]) -> Self {
        let seconds = |value: Option<i32>, default: i32, least: i32| {
            i64::from(value.unwrap_or(default).max(least))
        };
        let count = |value: Option<i32>, default: u32| {
            value.and_then(|count| u32::try_from(count).ok()).unwrap_or(default).max(1)
        };
        Self {
            kind,
            question: question(probe, ports).unwrap_or_else(Question::Unsupported),
            initial_delay: SignedDuration::from_secs(seconds(probe.initial_delay_seconds, 0, 0)),
            period: SignedDuration::from_secs(seconds(probe.period_seconds, 10, 1)),
            timeout: Duration::from_secs(seconds(probe.timeout_seconds, 1, 1).unsigned_abs()),
            successes: count(probe.success_threshold, 1),
            failures: count(probe.failure_threshold, 3),
        }
    }
}

/// How a probe asks, or why it cannot.
fn question(probe: &Probe, ports: &[ContainerPort]) -> Result<Question, String> {
    if let Some(http) = &probe.http_get {
        if let Some(scheme) = http.scheme.as_deref().filter(|scheme| *scheme != "HTTP") {
            return Err(format!("{scheme} probes are not supported yet"));
        }
        let headers = http.http_headers.iter().flatten();
        return Ok(Question::Http {
            host: http.host.clone().filter(|host| !host.is_empty()),
            port: port(&http.port, ports)?,
            path: http.path.clone().filter(|path| !path.is_empty()).unwrap_or_else(|| "/".into()),
            headers: headers.map(|header| (header.name.clone(), header.value.clone())).collect(),
        });
    }
    if let Some(tcp) = &probe.tcp_socket {
        return Ok(Question::Tcp {
            host: tcp.host.clone().filter(|host| !host.is_empty()),
            port: port(&tcp.port, ports)?,
        });
    }
    let handler = if probe.grpc.is_some() { "gRPC" } else { "exec" };
    Err(format!("{handler} probes are not supported yet"))
}

fn port(port: &IntOrString, ports: &[ContainerPort]) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let port = ports.iter().find(|port| port.name.as_deref() == Some(name));
            port.ok_or_else(|| format!("the container has no port named {name:?}"))?.container_port
        }
    };
    u16::try_from(number).map_err(|_| format!("{number} is not a port"))
}

/// What a probe has heard so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProbeState {
    /// The verdict, once there is one.
    pub(crate) verdict: Option<bool>,
    /// Equal answers in a row, and whether they were good.
    row: (bool, u32),
    /// When it was last asked.
    asked: Option<Timestamp>,
}

impl ProbeState {
    /// The state of a probe whose verdict is known from before.
    pub(crate) fn known(good: bool) -> Self {
        Self { verdict: Some(good), ..Self::default() }
    }

    /// When the probe is to be asked next.
    pub(crate) fn due(&self, spec: &ProbeSpec, started: Timestamp, now: Timestamp) -> Timestamp {
        let (from, delay) = match self.asked {
            Some(asked) => (asked, spec.period),
            None => (started, spec.initial_delay),
        };
        due(from, delay, now)
    }

    /// Takes in an answer.
    pub(crate) fn record(&mut self, spec: &ProbeSpec, good: bool, now: Timestamp) {
        self.asked = Some(now);
        self.row = if self.row.0 == good { (good, self.row.1 + 1) } else { (good, 1) };
        let needed = if good { spec.successes } else { spec.failures };
        if self.row.1 >= needed {
            self.verdict = Some(good);
        }
    }
}
